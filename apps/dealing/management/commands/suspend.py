"""Suspend a broker, or lift it, as the owner of the schemas."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.dealing import services
from apps.tenants.services import UnableToSuspendTenant, become_owner


class Command(BaseCommand):
    help = "suspend BROKER --reason WHY [--keep-orders] | suspend BROKER --reason WHY --lift"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom and why."""
        parser.add_argument("schema")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--keep-orders", action="store_true", help="What works goes on working.")
        parser.add_argument("--lift", action="store_true", help="Let the broker trade again.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it once, and say what follows."""
        become_owner()
        asked = {"schema": options["schema"], "reason": options["reason"], "at": timezone.now()}
        try:
            if options["lift"]:
                services.lift_suspension(**asked)
            else:
                services.suspend(**asked, keeps_orders=options["keep_orders"])
        except UnableToSuspendTenant as error:
            raise CommandError(str(error)) from error
        what = "may trade again" if options["lift"] else "may only close; its sockets end within seconds"
        self.stdout.write(f"{options['schema']} {what}")
