"""What an LP quotes on one session: taken on QuickFIX's thread, read on others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.inbound import MarketDataBook
from piggy.core.market import VenueQuote

# An LP whose quotes are nonsense sends thousands a second; a person needs to see a few.
FAULTS_TOLD_MAX = 20


class Quoted:
    """The books of a session; `clock` gives the time of arrival in UTC microseconds.

    With `conflate` only the latest book of a symbol is kept between two calls of `changed`, else every one.
    """

    def __init__(self, *, config: SessionConfig, clock: Callable[[], int], conflate: bool) -> None:
        self._clock = clock
        self._conflate = conflate
        self._outlives_its_state = config.only_quotes
        self._book = MarketDataBook(config=config)
        self._lock = threading.Lock()
        self._every: list[VenueQuote] = []
        self._changed: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._faults: set[str] = set()

    @property
    def taken(self) -> int:
        """How many entries came."""
        return self._book.taken

    def take(self, *, text: str, blocked: Collection[str]) -> str:
        """Take a message; return what of it cannot be used, where nobody was told yet. Raises UnableToReadReport."""
        received_at_us = self._clock()
        with self._lock:
            for symbol in self._book.apply(text):
                if symbol in blocked:
                    continue
                self._changed[symbol] = self._seen[symbol] = received_at_us
                if not self._conflate:
                    self._every.append(self._book.quote(symbol=symbol, received_at_us=received_at_us))
            faults = [each for each in self._book.faults if each not in self._faults]
            self._book.faults.clear()
        if not faults or len(self._faults) >= FAULTS_TOLD_MAX:
            return ""
        self._faults.update(faults)
        return "; ".join(faults)

    def withdraw(self) -> None:
        """Show every book empty: nothing is traded now."""
        with self._lock:
            self._book.clear()
            self._changed |= dict.fromkeys(self._seen, self._clock())

    def end(self) -> None:
        """The session is gone, and with it every quote."""
        with self._lock:
            self._book.clear()
            # Of a session that takes orders its state says that nothing is quoted any more.
            self._seen = dict.fromkeys(self._seen, self._clock()) if self._outlives_its_state else {}
            self._changed = dict(self._seen)
            self._faults.clear()

    def changed(self) -> list[VenueQuote]:
        """Return the books that changed since the last call: one a symbol, or every one in order of arrival."""
        with self._lock:
            if not self._conflate:
                every, self._every = self._every, []
                return every
            changed, self._changed = self._changed, {}
            return [self._book.quote(symbol=symbol, received_at_us=at) for symbol, at in changed.items()]

    def all(self) -> list[VenueQuote]:
        """Return every book as it stands, with the time it was last heard of."""
        with self._lock:
            return [self._book.quote(symbol=symbol, received_at_us=at) for symbol, at in self._seen.items()]
