from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common import sealing
from apps.liquidity import services
from apps.tenants.services import NoSuchTenant, in_tenant, named_tenants

FOUND_DIFFERENCES = 3
ROWS_MAX = 10_000


class Command(BaseCommand):
    help = "Seal every credential anew under the current key. May be killed and run again, and while trading."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="one broker only; otherwise all of this shard")
        parser.add_argument("--rows", type=_rows, default=500, help="rows of one transaction")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenants = named_tenants(schema=options["tenant"] or "", shard=settings.PIGGY_SHARD)
        except NoSuchTenant as error:
            raise CommandError(str(error), returncode=2) from error
        shut = 0
        for tenant in tenants:
            done = 0
            try:
                with in_tenant(tenant):
                    for sealed, failed in services.rotate_keys(tenant=tenant, rows_max=options["rows"]):
                        done, shut = done + sealed, shut + failed
                        self.stderr.write(f"{tenant}: {done}")
            except sealing.UnableToReachKeys as error:
                raise CommandError(str(error), returncode=5) from error
            self.stdout.write(f"{tenant}: {done} records sealed anew under {sealing.current_kek()}")
        if shut:
            self.stderr.write(f"{shut} records do not open; the key that sealed them is missing or they were altered.")
            sys.exit(FOUND_DIFFERENCES)


def _rows(text: str) -> int:
    """Return how many rows, for the parser. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(ROWS_MAX)) and 0 < int(text) <= ROWS_MAX):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {ROWS_MAX}")
    return int(text)
