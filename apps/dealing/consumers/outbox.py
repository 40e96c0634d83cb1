"""One socket's queue: bounded, so that a slow reader costs nobody else anything."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable

MARKET_TEXTS_MAX = 50
ORDER_TEXTS_MAX = 1_000
LAG_S_MAX = 5.0
NEVER_CONFLATED = frozenset({"orders"})
# The lane of all else: a text of it may hold frames of several panels.
MARKET = "market"

Item = tuple[float, str, str]


class Outbox:
    """Texts in order. Market data too far behind is dropped for fresh snapshots of `panels`; orders never are.

    `snapshot_of(panel)` is asked at the moment of sending, so that a snapshot is never older than what follows it.
    What was queued before it bears older numbers, which a page passes over.
    """

    def __init__(
        self,
        *,
        snapshot_of: Callable[[str], str],
        now_s: Callable[[], float],
        panels: Iterable[str] = (),
        write: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._snapshot_of, self._now_s, self._write = snapshot_of, now_s, write
        self._conflated = [panel for panel in panels if panel not in NEVER_CONFLATED]
        self._queue: deque[Item] = deque()
        self._counts: Counter[str] = Counter()
        self._wanted: dict[str, None] = {}
        self._ready = asyncio.Event()
        self._sending_since_s: float | None = None
        self._is_waiting = False
        self.overflown = False

    def put(self, *, lane: str, text: str, frame: bytes = b"") -> None:
        """Queue a text that follows the one before; `lane` is `MARKET` where all in it may be dropped.

        Where nothing waits and the server takes finished frames, `frame` (the text as one) is written at once.
        """
        is_idle = self._is_waiting and not self._queue and not self._wanted
        if is_idle and frame and self._write and self._write(frame):
            return
        if self._counts[lane] < (ORDER_TEXTS_MAX if lane in NEVER_CONFLATED else MARKET_TEXTS_MAX):
            self._queue.append((self._now_s(), lane, text))
            self._counts[lane] += 1
            self._ready.set()
        elif lane in NEVER_CONFLATED:
            self.overflown = True
        else:
            self._queue = deque(item for item in self._queue if item[1] != lane)
            self._counts[lane] = 0
            self.resync(panels=self._conflated)

    def resync(self, *, panels: Iterable[str]) -> None:
        """Send these panels whole, before anything that is queued."""
        self._wanted |= dict.fromkeys(panels)
        self._ready.set()

    async def next(self) -> str:
        """Wait for the next text to send; the time until the call after it counts as its sending."""
        self._sending_since_s = None
        while not self._wanted and not self._queue:
            self._is_waiting = True
            self._ready.clear()
            await self._ready.wait()
        self._is_waiting = False
        self._sending_since_s = self._now_s()
        if self._wanted:
            panel = next(iter(self._wanted))
            del self._wanted[panel]
            return self._snapshot_of(panel)
        _, lane, text = self._queue.popleft()
        self._counts[lane] -= 1
        return text

    def too_slow(self) -> bool:
        """Tell whether the reader lost orders or is more than `LAG_S_MAX` behind."""
        oldest_s = self._queue[0][0] if self._queue else None
        since_s = [each for each in (self._sending_since_s, oldest_s) if each is not None]
        return self.overflown or any(self._now_s() - each > LAG_S_MAX for each in since_s)
