from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common import sealing
from apps.liquidity import services
from apps.tenants.selectors import active_schemas
from apps.tenants.services import in_tenant

FOUND_DIFFERENCES = 3


class Command(BaseCommand):
    help = "Seal every credential anew under the current key. May be killed and run again, and while trading."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="one broker only; otherwise all of this shard")
        parser.add_argument("--rows", type=int, default=500, help="rows of one transaction")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = [options["tenant"]] if options["tenant"] else list(active_schemas(shard=settings.PIGGY_SHARD))
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
