"""Trade as the demo's clients until told to stop."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.demo.services import catalogue, people
from apps.demo.services.flow import Trader

SEED = 7


class Command(BaseCommand):
    help = "A modest seeded flow of client orders over the real API; FLOW=0 turns it off."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run one trader per demo broker until SIGTERM or SIGINT."""
        if os.environ.get("FLOW") == "0":
            return
        logins = people.read_logins().values()
        if not logins:
            raise CommandError("There are no demo logins; run manage.py demo first.")
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        base_url = f"http://127.0.0.1:{settings.PIGGY_WEB_PORT}"
        traders = [
            Trader(
                broker=broker,
                logins=[login for login in logins if login.broker == broker.schema],
                base_url=base_url,
                seed=SEED,
            )
            for broker in catalogue.BROKERS
        ]
        threads = [threading.Thread(target=trader.run, kwargs={"stopped": stopped}) for trader in traders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
