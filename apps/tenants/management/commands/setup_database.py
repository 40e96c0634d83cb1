"""Bring the database to this code's shape: guard, shared tables, template, every broker, policies and rights."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.tenants import services
from apps.tenants.backend.roles import become_owner


class Command(BaseCommand):
    help = "Migrate everything as the owner and protect every table; a broker that cannot be migrated is switched off."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run services.set_up_database as the owner and say how long it took."""
        started_s = time.perf_counter()
        become_owner()
        try:
            changed, failed = services.set_up_database(verbosity=options["verbosity"])
        except services.UnableToSetUp as error:
            raise CommandError(f"No broker could be migrated, and none is switched off: {error}") from error
        took_s = time.perf_counter() - started_s
        what = f"{len(changed)} schemas set up" if changed else "the database is up to date"
        for schema, why in failed.items():
            self.stderr.write(f"{schema} IS OFF, its schema could not be migrated: {why}")
        self.stdout.write(f"{what} ({took_s:.1f} s)")
