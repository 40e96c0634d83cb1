"""Between recovered and ACTIVE: venues are closed for entry until their workers know what became of all they had.

A venue that is down does not hold the others back: after a while the engine is ACTIVE without it, and it stays closed
for entry, for closes and cancels not, until its worker says that it is reconciled (INV-28).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from piggy.core.desk import Desk
from piggy.engine.status import Status

log = logging.getLogger(__name__)

LOOK_S = 0.02


class Reconciliation:
    """Follows the desks of one term; what is still closed, and of how many, is in the status."""

    def __init__(self, *, desks: Mapping[str, Desk], status: Status) -> None:
        self._desks = desks
        self._status = status
        self._venues: dict[str, int] = {}
        self._note()

    def begin(self, *, tenant: str) -> None:
        """Close the venues of a desk that was just made from its log."""
        desk = self._desks[tenant]
        desk.entry.close(state=desk.state)
        self._venues[tenant] = len(desk.entry.closed)
        self._note()

    def keep(self, *, tenants: set[str]) -> None:
        """Forget the tenants that left."""
        self._venues = {tenant: venues for tenant, venues in self._venues.items() if tenant in tenants}
        self._note()

    async def wait(self, *, seconds: float) -> None:
        """Return when every venue is open, at the latest after so many seconds."""
        until_s = time.monotonic() + seconds
        while self._note() and time.monotonic() < until_s:
            await asyncio.sleep(LOOK_S)
        if left := self._note():
            log.warning("venues stay closed for entry", extra={"venues": left})

    async def watch(self, *, every_s: float) -> None:
        """Keep the status true for as long as the term lasts."""
        while True:
            self._note()
            await asyncio.sleep(every_s)

    def _note(self) -> list[str]:
        """Bring the status up to date; return what is closed."""
        closed = sorted(f"{tenant}/{venue}" for tenant in self._venues for venue in self._closed(tenant))
        if opened := sorted(set(self._status.unreconciled) - set(closed)):
            log.info("venues reconciled", extra={"venues": opened, "closed": closed})
        self._status.venues, self._status.unreconciled = sum(self._venues.values()), closed
        return closed

    def _closed(self, tenant: str) -> set[str]:
        desk = self._desks.get(tenant)
        return desk.entry.closed if desk else set()
