"""Replay a recorded time of one broker: as it was, or under drafts."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apps.policies import services
from apps.policies.models import LabRun, Policy, UnableToReadPolicy
from apps.tenants.services import NoSuchTenant, in_tenant, named_tenants

DIGITS = 9


class Command(BaseCommand):
    help = "Replay a recorded day: lab TENANT DAY [--draft ID ...] [--hours N] [--differences FILE]."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose day, which drafts, how long, and where differences go."""
        parser.add_argument("tenant")
        parser.add_argument("day", help="where it begins, UTC: 2026-03-31 or 2026-03-31T08:00")
        parser.add_argument("--hours", type=_hours, default=services.LAB_HOURS_MAX)
        parser.add_argument("--draft", type=int, action="append", default=[], help="id of a draft; may be repeated")
        parser.add_argument("--currency", default="USD")
        parser.add_argument("--differences", type=Path, help="write the orders that differ here, as CSV")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay here and now, and print what came of it as JSON."""
        try:
            (tenant,) = named_tenants(schema=options["tenant"])
            begins_at = datetime.fromisoformat(options["day"])
            begins_at = begins_at.astimezone(UTC) if begins_at.tzinfo else begins_at.replace(tzinfo=UTC)
            ends_at = begins_at + timedelta(hours=options["hours"])
        except NoSuchTenant as error:
            raise CommandError(str(error), returncode=2) from error
        except (ValueError, OverflowError) as error:
            raise CommandError(f"day: {error}", returncode=2) from error
        run = LabRun(begins_at=begins_at, ends_at=ends_at, currency=options["currency"])
        with in_tenant(tenant):
            try:
                drafts = list(Policy.objects.filter(pk__in=options["draft"]))
                services.check_run(run=run, drafts=drafts, queues=False)
                changes = [each.to_command() for each in drafts]
                found = services.replay(tenant=tenant, run=run, changes=changes, told=lambda part: True)
            except ValidationError as error:
                told = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
                raise CommandError(told) from error
            except (UnableToReadPolicy, services.UnableToRunLab) as error:
                raise CommandError(str(error)) from error
        self.stdout.write(json.dumps([each.result for each in found], indent=2))
        if options["differences"] and len(found) > 1:
            try:
                options["differences"].write_text(services.as_csv(rows=found[1].differences))
            except OSError as error:
                raise CommandError(f"--differences: {error}") from error


def _hours(text: str) -> int:
    """Return whole hours, for the parser. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) < DIGITS and 0 < int(text) <= services.LAB_HOURS_MAX):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {services.LAB_HOURS_MAX}")
    return int(text)
