"""One socket's queue: bounded, so that a slow reader costs nobody else anything."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable

FRAMES_PER_PANEL_MAX = 25
ORDER_FRAMES_MAX = 1_000
LAG_S_MAX = 5.0
NEVER_CONFLATED = frozenset({"orders"})

Item = tuple[float, str, str]


class Outbox:
    """Frames in order. Market data too far behind is dropped for one fresh snapshot; orders never are.

    `snapshot_of(panel)` is asked at the moment of sending, so that a snapshot is never older than what follows it.
    """

    def __init__(self, *, snapshot_of: Callable[[str], str], now_s: Callable[[], float]) -> None:
        self._snapshot_of, self._now_s = snapshot_of, now_s
        self._queue: deque[Item] = deque()
        self._counts: Counter[str] = Counter()
        self._wanted: dict[str, None] = {}
        self._ready = asyncio.Event()
        self._sending_since_s: float | None = None
        self.overflown = False

    def put(self, *, panel: str, text: str) -> None:
        """Queue a delta that follows the one before."""
        if panel in self._wanted:
            return
        limit = ORDER_FRAMES_MAX if panel in NEVER_CONFLATED else FRAMES_PER_PANEL_MAX
        if self._counts[panel] >= limit:
            if panel in NEVER_CONFLATED:
                self.overflown = True
            else:
                self.resync(panels=[panel])
            return
        self._queue.append((self._now_s(), panel, text))
        self._counts[panel] += 1
        self._ready.set()

    def resync(self, *, panels: Iterable[str]) -> None:
        """Send these panels as a snapshot; whatever of them was queued is in it."""
        wanted = dict.fromkeys(panels)
        self._wanted |= wanted
        self._queue = deque(item for item in self._queue if item[1] not in wanted)
        for panel in wanted:
            self._counts[panel] = 0
        self._ready.set()

    async def next(self) -> str:
        """Wait for the next text to send; the time until the call after it counts as its sending."""
        self._sending_since_s = None
        while not self._wanted and not self._queue:
            self._ready.clear()
            await self._ready.wait()
        self._sending_since_s = self._now_s()
        if self._wanted:
            panel = next(iter(self._wanted))
            del self._wanted[panel]
            return self._snapshot_of(panel)
        _, panel, text = self._queue.popleft()
        self._counts[panel] -= 1
        return text

    def too_slow(self) -> bool:
        """Tell whether the reader lost orders or is more than `LAG_S_MAX` behind."""
        oldest_s = self._queue[0][0] if self._queue else None
        since_s = [each for each in (self._sending_since_s, oldest_s) if each is not None]
        return self.overflown or any(self._now_s() - each > LAG_S_MAX for each in since_s)
