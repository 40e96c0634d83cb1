"""Seed the two demo brokers; run it as often as you like."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.demo.services import catalogue, people, seeding
from apps.tenants.services import become_owner, in_tenant, is_gone

CURL = """
# An order by curl:
# curl -s http://{schema}.localhost:{port}/api/v1/orders -H 'Authorization: Token {token}' \\
#   -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s%N)" \\
#   -d '{{"account_id":"{account_id}","symbol":"EURUSD","side":"buy","quantity":"0.10"}}'"""


LP_PORT_BASE = 9_101


class Command(BaseCommand):
    help = "Seed the demo brokers acorn and birch with people, symbols, groups, money and a strategy."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing but what was removed, leave what is there, write the logins."""
        become_owner()
        known = people.read_logins()
        lp_port = int(os.environ.get("PIGGY_LP_PORT_BASE") or LP_PORT_BASE)
        logins = {}
        brokers = [broker for broker in catalogue.BROKERS if not is_gone(schema=broker.schema)]
        for broker in brokers:
            self._create(broker)
            with in_tenant(broker.schema):
                made = seeding.seed(broker=broker, known=known, now=timezone.now(), lp_port=lp_port)
            logins.update({(login.broker, login.login): login for login in made})
        if not brokers:
            return
        broker = brokers[0]
        first = logins[(broker.schema, f"{catalogue.CLIENTS[0][0]}@{broker.schema}")]
        example = CURL.format(
            schema=broker.schema,
            port=settings.PIGGY_WEB_PORT,
            token=first.token,
            account_id=catalogue.account_id(broker=broker, number=0),
        )
        # Not what is in it: a start keeps what this prints in a log.
        self.stdout.write(f"logins are in {people.write_logins(logins=logins, example=example)}")

    def _create(self, broker: catalogue.Broker) -> None:
        call_command(
            "tenant",
            "create",
            broker.schema,
            "--if-absent",
            "--name",
            broker.name,
            "--domain",
            f"{broker.schema}.localhost",
            "--colour-primary",
            broker.colour_primary,
            "--colour-accent",
            broker.colour_accent,
            "--logo-text",
            broker.logo_text,
            "--shard",
            settings.PIGGY_SHARD,
            stdout=self.stdout,
        )
