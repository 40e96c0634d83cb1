"""A broker, its domains, and which engine process owns its shard; all in the public schema."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin

COLOUR = RegexValidator(r"^#[0-9a-f]{6}\Z", "A colour is written #rrggbb, in lower case.")
SCHEMA_NAME = RegexValidator(r"^[a-z][a-z0-9_]{1,30}\Z", "2 to 31 characters: lower case letters, digits and _.")

SHARD_NAME = RegexValidator(r"^[A-Za-z0-9._-]{1,40}\Z", "1 to 40 characters: letters, digits, dots, _ and -.")


class Tenant(TenantMixin):
    """One broker. Its schema is made by apps.tenants.services.create_tenant, never by saving a row."""

    auto_create_schema = False
    auto_drop_schema = False

    name = models.CharField(max_length=80)
    shard = models.CharField(max_length=40, default="main", help_text="The engine process that runs its desk.")
    is_active = models.BooleanField(default=True)
    setup_error = models.TextField(blank=True, default="", help_text="Why it is off until set-up succeeds (F-27).")
    suspended_at = models.DateTimeField(null=True, blank=True, help_text="Since then nothing but closing is allowed.")
    logo_text = models.CharField(max_length=24, blank=True)
    colour_primary = models.CharField(max_length=7, default="#0ecb81", validators=[COLOUR])
    colour_accent = models.CharField(max_length=7, default="#3b82f6", validators=[COLOUR])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["schema_name"]

    def __str__(self) -> str:
        return self.name


class Domain(DomainMixin):
    """A host name that belongs to one broker; anything not in this table is answered 404."""


class EngineLease(models.Model):
    """Who may write the logs of a shard; `token` only grows and is checked inside every write."""

    shard = models.TextField(primary_key=True)
    token = models.BigIntegerField(default=0)
    holder = models.TextField(default="")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "engine_lease"
