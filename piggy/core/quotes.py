"""The market: every venue's quotes of every symbol, consolidated into one best bid and offer, each side attributed.

A quote counts while its venue is enabled, it is not older than the venue's `quote_age_ms_max`, not more than
`AHEAD_MS_MAX` of the future, and its feed is not in quarantine. Equal prices are ranked by larger size, then the
venue's priority, then its name. Nothing here is an event: the market is ephemeral, and a decision that used it records
the prices it saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from piggy.core.crosses import Cross, crossed
from piggy.core.market import AttributedLevel, BestQuote, VenueQuote
from piggy.core.quotebook import Feed, QuoteTable
from piggy.core.quotefilter import BPS, Fault

TWO = Decimal(2)


class Market(QuoteTable):
    """All symbols of one desk. Times are UTC microseconds; the market never looks at a clock."""

    def __init__(self) -> None:
        super().__init__()
        self._crosses: dict[str, Cross] = {}
        self._crosses_of: dict[str, set[str]] = {}

    def configure_cross(self, *, cross: Cross) -> None:
        """Make `cross.symbol` a synthetic of two other symbols; venues' own quotes of it are then not used."""
        self._crosses[cross.symbol] = cross
        for leg in (cross.first, cross.second):
            self._crosses_of.setdefault(leg, set()).add(cross.symbol)
        self.touched.add(cross.symbol)

    def update_many(self, *, quotes: Iterable[VenueQuote]) -> None:
        """Take a batch of quotes in order."""
        for quote in quotes:
            self.update(quote=quote)

    def best(self, *, symbol: str, now_us: int) -> BestQuote | None:
        """Return the best live bid and offer, each with its venue; None when no live venue quotes either side."""
        if self._crosses and (cross := self._crosses.get(symbol)):
            first = self.best(symbol=cross.first, now_us=now_us)
            second = self.best(symbol=cross.second, now_us=now_us)
            return crossed(cross=cross, first=first, second=second) if first and second else None
        book = self.books.get(symbol)
        return book.best(now_us=now_us) if book else None

    def mid(self, *, symbol: str, now_us: int) -> Decimal | None:
        """Return the middle of the consolidated book, None unless both sides are live."""
        best = self.best(symbol=symbol, now_us=now_us)
        if best is None or best.bid is None or best.ask is None:
            return None
        return (best.bid.price + best.ask.price) / TWO

    def depth(self, *, symbol: str, now_us: int) -> tuple[tuple[AttributedLevel, ...], tuple[AttributedLevel, ...]]:
        """Return (bids, asks): every live venue's levels merged best first, each still its venue's own.

        A cross has one level a side.
        """
        return (
            self.levels(symbol=symbol, bids=True, now_us=now_us),
            self.levels(symbol=symbol, bids=False, now_us=now_us),
        )

    def levels(self, *, symbol: str, bids: bool, now_us: int) -> tuple[AttributedLevel, ...]:
        """Return one side of the depth. As long as nothing changed it is the same tuple, which callers may rely on."""
        if symbol in self._crosses:
            best = self.best(symbol=symbol, now_us=now_us)
            level = (best.bid if bids else best.ask) if best else None
            return (level,) if level else ()
        book = self.books.get(symbol)
        return book.levels(now_us=now_us, bids=bids) if book else ()

    def quote_of(self, *, venue: str, symbol: str) -> VenueQuote | None:
        """Return the venue's last believed quote however old, None in quarantine or when it never quoted."""
        book = self.books.get(symbol)
        feed = book.feeds.get(venue) if book else None
        return feed.quote if feed else None

    def fault_of(self, *, venue: str, symbol: str) -> Fault | None:
        """Return why the venue's feed of the symbol is in quarantine, None when it is not."""
        book = self.books.get(symbol)
        feed = book.feeds.get(venue) if book else None
        return feed.fault if feed else None

    def venues_of(self, *, symbol: str, now_us: int) -> tuple[str, ...]:
        """Return the names of the venues whose quote of `symbol` is live, sorted."""
        return tuple(sorted(feed.venue.name for feed in self._live(symbol, now_us)))

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol that was ever quoted or configured as a cross, sorted."""
        return tuple(sorted(self.books.keys() | self._crosses.keys()))

    def trusted(self, *, symbol: str, now_us: int, k: int, band_bps: Decimal) -> bool:
        """Tell whether `k` or more live two-sided venues have their mid within `band_bps` of the median mid.

        The "trusted market" of stop-outs: one venue alone cannot liquidate anybody. A cross needs both of its legs.
        """
        if cross := self._crosses.get(symbol):
            legs = (cross.first, cross.second)
            return all(self.trusted(symbol=leg, now_us=now_us, k=k, band_bps=band_bps) for leg in legs)
        quotes = map(_quote, self._live(symbol, now_us))
        mids = sorted(mid for mid in map(_two_sided_mid, quotes) if mid is not None)
        if not mids:
            return False
        median = mids[len(mids) // 2]
        return sum(abs(mid - median) <= median * band_bps / BPS for mid in mids) >= k

    def changed(self) -> set[str]:
        """Return the symbols whose book changed since this was last asked, crosses of them included."""
        changed = set(self.touched)
        self.touched.clear()
        for leg in changed & self._crosses_of.keys():
            changed |= self._crosses_of[leg]
        return changed

    def _live(self, symbol: str, now_us: int) -> list[Feed]:
        book = self.books.get(symbol)
        return book.live(now_us=now_us) if book else []


def _quote(feed: Feed) -> VenueQuote:
    assert feed.quote is not None, "a live feed has a quote"
    return feed.quote


def _two_sided_mid(quote: VenueQuote) -> Decimal | None:
    return (quote.bids[0].price + quote.asks[0].price) / TWO if quote.bids and quote.asks else None
