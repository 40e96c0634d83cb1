"""The market: every venue's quotes of every symbol, consolidated into one best bid and offer, each side attributed.

A quote counts while its venue is enabled, it is not older than the venue's `quote_age_ms_max`, and its feed is not in
quarantine. Equal prices are ranked by larger size, then the venue's priority, then its name. Nothing here is an event:
the market is ephemeral, and a decision that used it records the prices it saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from piggy.core.accounts import Venue
from piggy.core.crosses import Cross, crossed
from piggy.core.market import AttributedLevel, BestQuote, Level, VenueQuote
from piggy.core.quotefilter import BPS, Fault, QuoteFilter, fault_of, is_spike

TWO = Decimal(2)
NEVER_US = 1 << 62


class Market:
    """All symbols of one desk. Times are UTC microseconds; the market never looks at a clock."""

    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}
        self._venues: dict[str, Venue] = {}
        self._filters: dict[str, QuoteFilter] = {}
        self._crosses: dict[str, Cross] = {}
        self._crosses_of: dict[str, set[str]] = {}
        self._changed: set[str] = set()

    def configure(self, *, venue: Venue) -> None:
        """Take a venue's age limit, priority and whether it is enabled; an unknown venue has the defaults."""
        self._venues[venue.name] = venue
        for symbol, book in self._books.items():
            if feed := book.feeds.get(venue.name):
                feed.venue = venue
                book.forget()
                self._changed.add(symbol)

    def configure_filter(self, *, symbol: str, quote_filter: QuoteFilter) -> None:
        """Take the spike limit and recovery count of one symbol."""
        self._filters[symbol] = quote_filter
        for feed in self._book(symbol).feeds.values():
            feed.filter = quote_filter

    def configure_cross(self, *, cross: Cross) -> None:
        """Make `cross.symbol` a synthetic of two other symbols; venues' own quotes of it are then not used."""
        self._crosses[cross.symbol] = cross
        for leg in (cross.first, cross.second):
            self._crosses_of.setdefault(leg, set()).add(cross.symbol)
        self._changed.add(cross.symbol)

    def update(self, *, quote: VenueQuote) -> Fault | None:
        """Replace the venue's whole book of the symbol; return why it does not count, None when it does."""
        book = self._books.get(quote.symbol) or self._book(quote.symbol)
        feed = book.feeds.get(quote.venue) or self._feed(book, quote)
        fault = feed.take(quote)
        book.forget()
        self._changed.add(quote.symbol)
        return fault

    def update_many(self, *, quotes: Iterable[VenueQuote]) -> None:
        """Take a batch of quotes in order."""
        for quote in quotes:
            self.update(quote=quote)

    def withdraw(self, *, venue: str, symbol: str | None = None) -> None:
        """Forget the venue's quotes of one symbol, or of all when its session is down."""
        for name in [symbol] if symbol is not None else list(self._books):
            book = self._books.get(name)
            if book and book.feeds.pop(venue, None):
                book.forget()
                self._changed.add(name)

    def best(self, *, symbol: str, now_us: int) -> BestQuote | None:
        """Return the best live bid and offer, each with its venue; None when no live venue quotes either side."""
        if cross := self._crosses.get(symbol):
            first = self.best(symbol=cross.first, now_us=now_us)
            second = self.best(symbol=cross.second, now_us=now_us)
            return crossed(cross=cross, first=first, second=second) if first and second else None
        book = self._books.get(symbol)
        return book.best(now_us) if book else None

    def mid(self, *, symbol: str, now_us: int) -> Decimal | None:
        """Return the middle of the consolidated book, None unless both sides are live."""
        best = self.best(symbol=symbol, now_us=now_us)
        if best is None or best.bid is None or best.ask is None:
            return None
        return (best.bid.price + best.ask.price) / TWO

    def depth(self, *, symbol: str, now_us: int) -> tuple[tuple[AttributedLevel, ...], tuple[AttributedLevel, ...]]:
        """Return (bids, asks): every live venue's levels merged best first, each still its venue's own."""
        book = self._books.get(symbol)
        return book.depth(now_us) if book else ((), ())

    def quote_of(self, *, venue: str, symbol: str) -> VenueQuote | None:
        """Return the venue's last believed quote however old, None in quarantine or when it never quoted."""
        book = self._books.get(symbol)
        feed = book.feeds.get(venue) if book else None
        return feed.quote if feed else None

    def fault_of(self, *, venue: str, symbol: str) -> Fault | None:
        """Return why the venue's feed of the symbol is in quarantine, None when it is not."""
        book = self._books.get(symbol)
        feed = book.feeds.get(venue) if book else None
        return feed.fault if feed else None

    def venues_of(self, *, symbol: str, now_us: int) -> tuple[str, ...]:
        """Return the names of the venues whose quote of `symbol` is live, sorted."""
        book = self._books.get(symbol)
        return tuple(sorted(feed.venue.name for feed in book.live(now_us))) if book else ()

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol that was ever quoted or configured as a cross, sorted."""
        return tuple(sorted(self._books.keys() | self._crosses.keys()))

    def trusted(self, *, symbol: str, now_us: int, k: int, band_bps: Decimal) -> bool:
        """Tell whether at least `k` live two-sided venues have their mid within `band_bps` of the median mid.

        The "trusted market" of stop-outs: one venue alone cannot liquidate anybody. A cross needs both of its legs.
        """
        if cross := self._crosses.get(symbol):
            legs = (cross.first, cross.second)
            return all(self.trusted(symbol=leg, now_us=now_us, k=k, band_bps=band_bps) for leg in legs)
        book = self._books.get(symbol)
        mids = book.mids(now_us) if book else []
        if not mids or len(mids) < k:
            return False
        median = mids[len(mids) // 2]
        return sum(abs(mid - median) <= median * band_bps / BPS for mid in mids) >= k

    def changed(self) -> set[str]:
        """Return the symbols whose book changed since this was last asked, crosses of them included."""
        changed, self._changed = self._changed, set()
        for leg in changed & self._crosses_of.keys():
            changed |= self._crosses_of[leg]
        return changed

    def _book(self, symbol: str) -> _Book:
        return self._books.setdefault(symbol, _Book(symbol))

    def _feed(self, book: _Book, quote: VenueQuote) -> _Feed:
        venue = self._venues.get(quote.venue) or Venue(name=quote.venue)
        feed = _Feed(venue, self._filters.get(quote.symbol) or QuoteFilter())
        book.feeds[quote.venue] = feed
        return feed


class _Feed:
    """One venue's stream of one symbol: the quote that counts, or why none does."""

    __slots__ = ("fault", "filter", "good", "quote", "reference", "venue")

    def __init__(self, venue: Venue, quote_filter: QuoteFilter) -> None:
        self.venue = venue
        self.filter = quote_filter
        self.quote: VenueQuote | None = None
        self.reference: VenueQuote | None = None
        self.fault: Fault | None = None
        self.good = 0

    @property
    def expires_at_us(self) -> int:
        return self.quote.received_at_us + self.venue.quote_age_ms_max * 1000 if self.quote else NEVER_US

    def take(self, quote: VenueQuote) -> Fault | None:
        fault = fault_of(quote=quote)
        spiked = fault is None and self._is_spike(quote)
        if fault is None:
            self.reference = quote
        if fault is not None or spiked:
            self.quote, self.good, self.fault = None, 0, fault or Fault.SPIKE
        elif self.fault is not None and self.good + 1 < self.filter.good_ticks:
            self.good += 1
            return Fault.RECOVERING
        else:
            self.quote, self.fault = quote, None
        return self.fault

    def _is_spike(self, quote: VenueQuote) -> bool:
        reference = self.reference
        return reference is not None and is_spike(quote=quote, reference=reference, quote_filter=self.filter)


class _Book:
    """One symbol over its venues. The best is kept until something that bears on it changes or ages."""

    __slots__ = ("_best", "_from_us", "_until_us", "feeds", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.feeds: dict[str, _Feed] = {}
        self.forget()

    def forget(self) -> None:
        self._best: BestQuote | None = None
        self._from_us, self._until_us = 1, 0

    def live(self, now_us: int) -> list[_Feed]:
        return [
            feed for feed in self.feeds.values() if feed.quote and feed.venue.enabled and now_us <= feed.expires_at_us
        ]

    def best(self, now_us: int) -> BestQuote | None:
        if not self._from_us <= now_us <= self._until_us:
            self._best = self._consolidated(now_us)
        return self._best

    def depth(self, now_us: int) -> tuple[tuple[AttributedLevel, ...], tuple[AttributedLevel, ...]]:
        live = self.live(now_us)
        bids = [(-level.price, -level.size, *_rank(feed), level) for feed in live for level in _quote(feed).bids]
        asks = [(level.price, -level.size, *_rank(feed), level) for feed in live for level in _quote(feed).asks]
        return self._attributed(bids), self._attributed(asks)

    def mids(self, now_us: int) -> list[Decimal]:
        quotes = [_quote(feed) for feed in self.live(now_us)]
        return sorted(
            (quote.bids[0].price + quote.asks[0].price) / TWO for quote in quotes if quote.bids and quote.asks
        )

    def _consolidated(self, now_us: int) -> BestQuote | None:
        live = self.live(now_us)
        stale = [feed.expires_at_us for feed in self.feeds.values() if feed.quote and feed not in live]
        self._from_us = max((at_us + 1 for at_us in stale if at_us < now_us), default=-NEVER_US)
        self._until_us = min((feed.expires_at_us for feed in live), default=NEVER_US)
        bid = ask = None
        bids = [feed for feed in live if _quote(feed).bids]
        asks = [feed for feed in live if _quote(feed).asks]
        if bids:
            bid = _top(min(bids, key=_bid_rank), side="bids")
        if asks:
            ask = _top(min(asks, key=_ask_rank), side="asks")
        return BestQuote(symbol=self.symbol, bid=bid, ask=ask) if bid or ask else None

    @staticmethod
    def _attributed(ranked: list[tuple[Decimal, Decimal, int, str, int, Level]]) -> tuple[AttributedLevel, ...]:
        ranked.sort()
        return tuple(
            AttributedLevel(price=level.price, size=level.size, venue=venue, received_at_us=at_us)
            for _, _, _, venue, at_us, level in ranked
        )


def _quote(feed: _Feed) -> VenueQuote:
    assert feed.quote is not None, "only live feeds are ranked"
    return feed.quote


def _rank(feed: _Feed) -> tuple[int, str, int]:
    return feed.venue.priority, feed.venue.name, _quote(feed).received_at_us


def _bid_rank(feed: _Feed) -> tuple[Decimal, Decimal, int, str]:
    top = _quote(feed).bids[0]
    return -top.price, -top.size, feed.venue.priority, feed.venue.name


def _ask_rank(feed: _Feed) -> tuple[Decimal, Decimal, int, str]:
    top = _quote(feed).asks[0]
    return top.price, -top.size, feed.venue.priority, feed.venue.name


def _top(feed: _Feed, *, side: str) -> AttributedLevel:
    quote = _quote(feed)
    top = quote.bids[0] if side == "bids" else quote.asks[0]
    return AttributedLevel(price=top.price, size=top.size, venue=quote.venue, received_at_us=quote.received_at_us)
