"""Replay a recorded time of one broker: as it was, or under drafts."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apps.policies import services
from apps.policies.models import LabRun, Policy, UnableToReadPolicy
from apps.tenants.services import in_tenant


class Command(BaseCommand):
    help = "Replay a recorded day: lab TENANT DAY [--draft ID ...] [--hours N] [--differences FILE]."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose day, which drafts, how long, and where differences go."""
        parser.add_argument("tenant")
        parser.add_argument("day", help="where it begins, UTC: 2026-03-31 or 2026-03-31T08:00")
        parser.add_argument("--hours", type=int, default=24)
        parser.add_argument("--draft", type=int, action="append", default=[], help="id of a draft; may be repeated")
        parser.add_argument("--currency", default="USD")
        parser.add_argument("--differences", type=Path, help="write the orders that differ here, as CSV")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay here and now, and print what came of it as JSON."""
        try:
            begins_at = datetime.fromisoformat(options["day"]).replace(tzinfo=UTC)
        except ValueError as error:
            raise CommandError(f"day: {error}", returncode=2) from error
        ends_at = begins_at + timedelta(hours=options["hours"])
        run = LabRun(begins_at=begins_at, ends_at=ends_at, currency=options["currency"])
        with in_tenant(options["tenant"]):
            try:
                drafts = list(Policy.objects.filter(pk__in=options["draft"]))
                services.check_run(run=run, drafts=drafts, queues=False)
                changes = [each.to_command() for each in drafts]
                found = services.replay(tenant=options["tenant"], run=run, changes=changes, told=lambda part: True)
            except (ValidationError, UnableToReadPolicy, services.UnableToRunLab) as error:
                raise CommandError(str(error)) from error
        self.stdout.write(json.dumps([each.result for each in found], indent=2))
        if options["differences"] and len(found) > 1:
            options["differences"].write_text(services.as_csv(rows=found[1].differences))
