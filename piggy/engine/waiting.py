"""Signals that came before what they follow: a close that overtook its open waits, briefly, until the open is there.

Whose signals take every place loses them to nobody else: tenants share the places alike (F-32).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

LOOK_S = 0.01
HELD_MAX = 1_000


@dataclass(slots=True, eq=False)
class Held:
    """One signal: whether it may go now, and what lets it go, in time or too late."""

    tenant: str
    until_ns: int
    is_due: Callable[[], bool]
    go: Callable[[], None]


class Waiting:
    """Holds signals in the order in which they came; each goes when it is due, or when its time is up."""

    def __init__(self) -> None:
        self._held: list[Held] = []
        self._of: Counter[str] = Counter()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, *, tenant: str, wait_ms: int, is_due: Callable[[], bool], go: Callable[[], None]) -> None:
        """Call `go` when `is_due`, after `wait_ms` at the latest, and at once where too many of the tenant's wait."""
        tenants = len(self._of) + (tenant not in self._of)
        if self._of[tenant] >= HELD_MAX // tenants:
            go()
            return
        self._of[tenant] += 1
        self._held.append(Held(tenant, time.monotonic_ns() + wait_ms * 1_000_000, is_due, go))
        self._wake.set()

    async def watch(self) -> None:
        """Let signals go until cancelled."""
        while True:
            await self._wake.wait()
            now_ns = time.monotonic_ns()
            going = [held for held in self._held if held.until_ns <= now_ns or held.is_due()]
            for held in going:
                self._held.remove(held)
                self._of -= Counter((held.tenant,))
                held.go()
            if not self._held:
                self._wake.clear()
            await asyncio.sleep(LOOK_S)
