"""Brokers on this installation: their schemas, domains and brands."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class TenantsConfig(AppConfig):
    name = "apps.tenants"
    label = "tenants"
    verbose_name = "Brokers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.management.commands import makemigrations
        from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand

        from apps.tenants.backend.roles import check_app_role

        # Django refuses two autodetectors (commands.E001); the one of makemigrations is the one in force.
        MigrateSchemasCommand.autodetector = makemigrations.Command.autodetector
        checks.register(check_app_role, checks.Tags.database)
