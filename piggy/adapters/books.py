"""Depth of one venue: price levels per symbol in the venue's units, given out as quotes in lots."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from decimal import Decimal

from piggy.adapters.interface import SymbolMapping, VenueConfig
from piggy.core.market import Level, VenueQuote
from piggy.core.money import plain

# Price and absolute size.
Change = tuple[Decimal | str, Decimal | str]


class Book:
    """One symbol: price text to size text, as the venue writes them; nothing is rounded."""

    __slots__ = ("asks", "bids", "received_at_us", "venue_at_us", "whole")

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.whole = False
        self.venue_at_us = 0
        self.received_at_us = 0

    def clear(self) -> None:
        """Withdraw both sides; the book is no longer whole."""
        self.bids.clear()
        self.asks.clear()
        self.whole = False

    def change(self, *, bids: Iterable[Change], asks: Iterable[Change]) -> None:
        """Set levels to absolute sizes; size 0 takes one away."""
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price_text, size_text in changes:
                price, size = Decimal(price_text), Decimal(size_text)
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)


class Books:
    """Every mapped symbol of a session, and which changed since somebody looked."""

    def __init__(self, *, config: VenueConfig) -> None:
        self._config = config
        self._mappings = config.to_venue
        self.of: dict[str, Book] = {mapping.symbol: Book() for mapping in config.symbols}
        self._changed: set[str] = set()
        self.unread = 0
        self.why_unread = ""

    def drop(self, *, symbol: str, why: str) -> None:
        """Note market data that nobody can read; the symbol's book, if it is known whose it was, is worth nothing."""
        self.unread += 1
        self.why_unread = why
        if symbol:
            self.of[symbol].clear()
            self._changed.add(symbol)

    @property
    def whole(self) -> bool:
        """Whether every symbol has its snapshot and no gap."""
        return all(book.whole for book in self.of.values())

    def touch(self, *, symbol: str, venue_at_us: int, received_at_us: int) -> None:
        """Note that a book changed."""
        book = self.of[symbol]
        book.venue_at_us, book.received_at_us = venue_at_us, received_at_us
        self._changed.add(symbol)

    def top(
        self, *, symbol: str, bids: Iterable[Change], asks: Iterable[Change], venue_at_us: int, now_us: int
    ) -> None:
        """Replace a whole book by what the venue shows of it."""
        book = self.of[symbol]
        book.clear()
        book.change(bids=bids, asks=asks)
        book.whole = True
        self.touch(symbol=symbol, venue_at_us=venue_at_us, received_at_us=now_us)

    def clear(self) -> None:
        """Withdraw everything: the session ended."""
        for book in self.of.values():
            book.clear()
        self._changed.clear()

    def changed(self) -> list[VenueQuote]:
        """Return quotes of what changed since the last call; a book with a gap shows empty."""
        symbols, self._changed = self._changed, set()
        return [self.quote(symbol=symbol) for symbol in sorted(symbols)]

    def all(self) -> list[VenueQuote]:
        """Return quotes of every whole book."""
        return [self.quote(symbol=symbol) for symbol, book in self.of.items() if book.whole]

    def quote(self, *, symbol: str) -> VenueQuote:
        """Return the best levels of one symbol in lots."""
        book, mapping, depth = self.of[symbol], self._mappings[symbol], self._config.depth
        whole = book.whole
        bids = heapq.nlargest(depth, book.bids) if whole else []
        asks = heapq.nsmallest(depth, book.asks) if whole else []
        return VenueQuote(
            venue=self._config.venue,
            symbol=symbol,
            bids=tuple(Level(price=price, size=lots(units=book.bids[price], mapping=mapping)) for price in bids),
            asks=tuple(Level(price=price, size=lots(units=book.asks[price], mapping=mapping)) for price in asks),
            venue_at_us=book.venue_at_us,
            received_at_us=book.received_at_us,
        )


class BookKeeper:
    """What every session with books of its own gives out alike."""

    _books: Books

    def changed_quotes(self) -> list[VenueQuote]:
        """Return books that changed since the last call."""
        return self._books.changed()

    def all_quotes(self) -> list[VenueQuote]:
        """Return every whole book."""
        return self._books.all()

    @property
    def unread(self) -> tuple[int, str]:
        """How much market data could not be read so far, and why the last of it could not."""
        return self._books.unread, self._books.why_unread


def lots(*, units: Decimal, mapping: SymbolMapping) -> Decimal:
    """Return venue units as lots, without the zeros that a division leaves."""
    return Decimal(plain(units / mapping.units_per_lot))
