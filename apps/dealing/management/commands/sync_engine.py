"""Tell the engine everything that the tables say, in the order in which it builds on itself."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts import services as accounts
from apps.instruments import services as instruments
from apps.liquidity import services as liquidity
from apps.policies import services as policies
from apps.risk import services as risk
from apps.tenants.services import NoSuchTenant, in_tenant, named_tenants
from apps.trading import services as trading


class Command(BaseCommand):
    help = "Tell the engine every symbol, LP, group, account, limit and strategy anew; safe at any time."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """All brokers unless one is named."""
        parser.add_argument("--tenant", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the commands to each tenant's outbox."""
        mark = f"-{uuid.uuid4().hex[:8]}"
        try:
            tenants = named_tenants(schema=options["tenant"])
        except NoSuchTenant as error:
            raise CommandError(str(error), returncode=2) from error
        for tenant in tenants:
            with in_tenant(tenant):
                told = sum(
                    app.sync_engine(tenant=tenant, by="sync_engine", mark=mark)
                    for app in (instruments, liquidity, accounts, risk, trading, policies)
                )
            self.stdout.write(f"{tenant}: {told} commands")
