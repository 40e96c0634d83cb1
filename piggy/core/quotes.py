"""The market: every venue's quotes of every symbol, consolidated into one best bid and offer, each side attributed.

A quote counts while its venue is enabled, it is not older than the venue's `quote_age_ms_max`, not more than
`AHEAD_MS_MAX` of the future, and its feed is not in quarantine. Equal prices are ranked by larger size, then the
venue's priority, then its name. Nothing here is an event: the market is ephemeral, and a decision that used it records
the prices it saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from piggy.core.building import DeepTouch, deep_touch
from piggy.core.conversion import Touch
from piggy.core.crosses import Cross, crossed, crosses_of
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel, BestQuote, VenueQuote
from piggy.core.profiles import Profiles
from piggy.core.quotebook import Feed, QuoteTable
from piggy.core.quotefilter import BPS, Fault, QuoteFilter

TWO, HOUSE_FILTER = Decimal(2), QuoteFilter()


class _Made(NamedTuple):
    """What was made of two legs' quotes last."""

    first: BestQuote | None
    second: BestQuote | None
    best: BestQuote | None
    bids: tuple[AttributedLevel, ...]
    asks: tuple[AttributedLevel, ...]


class Market(QuoteTable):
    """All symbols of one desk. Times are UTC microseconds; the market never looks at a clock."""

    def __init__(self) -> None:
        super().__init__()
        self._crosses: dict[str, Cross] = {}
        self._crosses_of: dict[str, set[str]] = {}
        self._made: dict[str, _Made] = {}
        # Whether some group's price is built of more than the best of each side.
        self.is_deep = False

    def configure_instruments(self, *, instruments: Mapping[str, Instrument], changed: Iterable[Instrument]) -> None:
        """Take the quote filters of those that `changed`, and the crosses there are among all `instruments` now."""
        for instrument in changed:
            self.configure_filter(symbol=instrument.symbol, quote_filter=instrument.quote_filter or HOUSE_FILTER)
        self.configure_crosses(instruments=instruments)

    def configure_crosses(self, *, instruments: Mapping[str, Instrument]) -> None:
        """Make the crosses among all `instruments`, and no others, synthetics of two other symbols.

        Venues' own quotes of a cross are not used.
        """
        before, self._crosses = self._crosses, {each.symbol: each for each in crosses_of(instruments=instruments)}
        if before == self._crosses:
            return
        self._crosses_of, self._made = {}, {}
        for symbol, cross in self._crosses.items():
            for leg in (cross.first, cross.second):
                self._crosses_of.setdefault(leg, set()).add(symbol)
        names = before.keys() | self._crosses.keys()
        self.touched.update(symbol for symbol in names if before.get(symbol) != self._crosses.get(symbol))

    def configure_builds(self, *, profiles: Profiles) -> None:
        """Let marks know the depth behind them from now on where a group's price is built of it."""
        self.is_deep = any(profile.build for profile in profiles.values())
        if self.is_deep:
            self.touched.update(self.symbols())

    def deepened(self, symbol: str, touch: Touch, now_us: int) -> DeepTouch:
        """Return the live best bid and ask of a symbol with the depth behind them."""
        return deep_touch(
            touch=touch,
            bids=self.levels(symbol=symbol, bids=True, now_us=now_us),
            asks=self.levels(symbol=symbol, bids=False, now_us=now_us),
        )

    def update_many(self, *, quotes: Iterable[VenueQuote]) -> None:
        """Take a batch of quotes in order."""
        for quote in quotes:
            self.update(quote=quote)

    def best(self, *, symbol: str, now_us: int) -> BestQuote | None:
        """Return the best live bid and offer, each with its venue; None when no live venue quotes either side."""
        if self._crosses and (cross := self._crosses.get(symbol)):
            return self._made_of(cross, now_us).best
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
        if self._crosses and (cross := self._crosses.get(symbol)):
            made = self._made_of(cross, now_us)
            return made.bids if bids else made.asks
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

    def _made_of(self, cross: Cross, now_us: int) -> _Made:
        """Return what the legs make now: the same object for as long as neither of them changed."""
        legs = tuple(
            book.best(now_us=now_us) if (book := self.books.get(leg)) else None for leg in (cross.first, cross.second)
        )
        first, second = legs
        held = self._made.get(cross.symbol)
        if held is not None and held.first is first and held.second is second:
            return held
        best = crossed(cross=cross, first=first, second=second) if first and second else None
        bids, asks = (tuple(filter(None, side)) for side in ((best.bid,), (best.ask,))) if best else ((), ())
        made = self._made[cross.symbol] = _Made(first, second, best, bids, asks)
        return made

    def _live(self, symbol: str, now_us: int) -> list[Feed]:
        book = self.books.get(symbol)
        return book.live(now_us=now_us) if book else []


def _quote(feed: Feed) -> VenueQuote:
    assert feed.quote is not None, "a live feed has a quote"
    return feed.quote


def _two_sided_mid(quote: VenueQuote) -> Decimal | None:
    return (quote.bids[0].price + quote.asks[0].price) / TWO if quote.bids and quote.asks else None
