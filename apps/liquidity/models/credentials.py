"""Credentials of LPs: sealed, written by one person and let in by another, shown to nobody."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from apps.common.two_people import Request, four_eyes
from apps.liquidity.models.providers import LiquidityProvider


class CredentialKind(models.TextChoices):
    PASSWORD = "password"
    API_KEY = "api_key"
    API_SECRET = "api_secret"
    PASSPHRASE = "passphrase"


class Credential(models.Model):
    """What opens a session with an LP now; `sealed` opens only for this broker, row and version."""

    provider = models.ForeignKey(LiquidityProvider, on_delete=models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=12, choices=CredentialKind.choices, default=CredentialKind.PASSWORD)
    version = models.PositiveIntegerField(default=0)
    kek_id = models.CharField(max_length=64, db_index=True)
    sealed = models.BinaryField()
    fingerprint = models.CharField(max_length=16)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "kind"], name="liquidity_credential_once"),
            models.CheckConstraint(
                condition=~models.Q(changed_by=models.F("approved_by")), name="liquidity_credential_four_eyes"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"


class CredentialChange(Request):
    """A new credential that waits for a second person; its secret is forgotten once it is decided."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.ForeignKey(LiquidityProvider, on_delete=models.CASCADE, related_name="credential_changes")
    kind = models.CharField(max_length=12, choices=CredentialKind.choices, default=CredentialKind.PASSWORD)
    kek_id = models.CharField(max_length=64, db_index=True)
    sealed = models.BinaryField(null=True)
    fingerprint = models.CharField(max_length=16)

    class Meta:
        constraints = [
            four_eyes("liquidity_change_four_eyes"),
            models.UniqueConstraint(
                fields=["provider", "kind"], condition=models.Q(state="requested"), name="liquidity_change_open_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"
