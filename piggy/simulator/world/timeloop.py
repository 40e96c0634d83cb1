"""An event loop whose clock stands still while anything can run and then jumps to the next timer."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Mapping
from typing import Any

from piggy.engine.clock import Clock

START_US = 1_767_225_600_000_000  # 2026-01-01 00:00 UTC


class WorldIsStuck(Exception):
    """Nothing is left to happen, and somebody still waits."""


class _Jump(selectors.BaseSelector):
    """Selects nothing, ever; being asked to wait moves the clock by exactly that much."""

    def __init__(self) -> None:
        self.waited_us = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise WorldIsStuck
        # Rounded up, else a timer a fraction of a microsecond ahead would never come.
        self.waited_us += max(0, math.ceil(timeout * 1e6))
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`now_us` is UTC in the simulated world; equal seeds schedule equally, as nothing outside is ever ready."""

    def __init__(self, *, start_us: int = START_US) -> None:
        self._jump = _Jump()
        self._start_us = start_us
        super().__init__(self._jump)

    @property
    def now_us(self) -> int:
        """Microseconds UTC."""
        return self._start_us + self._jump.waited_us

    def time(self) -> float:
        """Return seconds since the world began."""
        return self._jump.waited_us / 1e6


class SimulatedClock(Clock):
    """The engine's clock in this world; UTC may be stepped by `skew_us`, the monotonic time never is."""

    def __init__(self, *, loop: SimulatedLoop) -> None:
        self.skew_us = 0
        self._loop = loop
        super().__init__()

    def now_us(self) -> int:
        """Return UTC in microseconds since 1970."""
        return self._loop.now_us + self.skew_us

    def mono_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return self._loop.now_us * 1_000
