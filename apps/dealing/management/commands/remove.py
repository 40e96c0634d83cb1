"""Remove a broker for good, as the owner of the schemas."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from django.utils import timezone

from apps.dealing import services
from apps.tenants.services import UnableToRemoveTenant, become_owner


class Command(BaseCommand):
    help = "remove BROKER --by WHO --reason WHY [--folder DIR]: its records go into DIR, nothing else of it stays."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom, who says so and why."""
        parser.add_argument("schema")
        parser.add_argument("--by", required=True)
        parser.add_argument("--reason", required=True)
        parser.add_argument("--folder", type=Path, default=None, help="A new one; $PIGGY_HOME/removed/BROKER-TIME.")
        parser.add_argument("--at-once", action="store_true", help="No engine, web or worker runs that could know it.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say where the records are."""
        become_owner()
        at, schema = timezone.now(), options["schema"]
        folder = options["folder"] or Path(settings.PIGGY_HOME) / "removed" / f"{schema}-{at:%Y%m%dT%H%M%SZ}"
        asked = {"schema": schema, "folder": folder, "by": options["by"], "reason": options["reason"], "at": at}
        try:
            tables = services.remove(**asked, wait_s=0.0 if options["at_once"] else services.LETTING_GO_S)
        except (UnableToRemoveTenant, OSError, redis.RedisError, Error) as error:
            raise CommandError(str(error)) from error
        kept = f"{tables} tables of it are kept in {folder}" if tables else "its records were kept then"
        self.stdout.write(f"{schema} {'is removed' if tables else 'was removed before'}; {kept}")
