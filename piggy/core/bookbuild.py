"""From the consolidated depth to one raw price per side: build modes, and the spread that a profile allows.

The modes are those that bridges offer (NORMAL, VWAP, CUM_QTY, MIDPOINT); the breach actions ABSORB, PASS and REJECT.
Prices that are not on the tick are rounded against the taker on both sides alike: bids down, asks up.
A book thinner than the size is priced for what there is: never better for that than a deeper book, as the top would be.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO

TWO = Decimal(2)
SIZE_LOTS_MAX = Decimal(1_000_000)
Levels = tuple[AttributedLevel, ...]


class BuildMode(StrEnum):
    """BEST: the top. VWAP: the average price of `size`. CUMULATIVE: the worst price that `size` needs. MIDPOINT: both
    sides at the middle of the top, to which a target spread is then added."""

    BEST = "best"
    VWAP = "vwap"
    CUMULATIVE = "cumulative"
    MIDPOINT = "midpoint"


class ThinBook(StrEnum):
    """What to show while fewer lots are quoted than the size: the price of those there are, or no price."""

    PASS = "pass"
    REJECT = "reject"


class PriceBuild(msgspec.Struct, frozen=True, kw_only=True):
    """How a group's raw price is built; VWAP and CUMULATIVE are of `size_lots`, which they need, on each side."""

    mode: BuildMode
    size_lots: Decimal | None = None
    thin: ThinBook = ThinBook.PASS

    @property
    def is_deep(self) -> bool:
        """Whether the price is one of a size, and lots beyond it have their own."""
        return self.size_lots is not None


class SpreadAction(StrEnum):
    """What to do with a spread above the maximum: pay the difference, show it as it is, or show no price.

    Bridges call the last INVALIDATE too: no price, rather than the last one again.
    """

    ABSORB = "absorb"
    PASS = "pass"
    REJECT = "reject"


class SpreadProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the spread in points, markup in it. None: no limit.

    `target` fixes it whatever the market's is, up to the maximum: beyond that `action` says, and ABSORB keeps to the
    target.
    """

    min_points: int | None = None
    max_points: int | None = None
    target_points: int | None = None
    action: SpreadAction = SpreadAction.PASS


class BuiltQuote(msgspec.Struct, frozen=True, kw_only=True):
    """One price a side, in the quote currency, on the tick."""

    bid: Decimal
    ask: Decimal
    is_thin: bool = False


class BuiltSide(NamedTuple):
    """One side of a build: `lots` are dealt at `price`; `is_thin` where those are fewer than the size."""

    price: Decimal
    lots: Decimal
    is_thin: bool


def built_side(*, levels: Levels, build: PriceBuild, is_bid: bool, tick: Decimal) -> BuiltSide | None:
    """Return what a build of a size makes of one side, best first, on the tick; None where nothing is quoted."""
    assert build.size_lots is not None, "only a build of a size is made of one side"
    if not levels:
        return None
    left, value, price = build.size_lots, ZERO, levels[0].price
    for level in levels:
        part, price = min(left, level.size), level.price
        left, value = left - part, value + part * price
        if left == 0:
            break
    lots = build.size_lots - left
    if build.mode is BuildMode.VWAP and lots:
        price = value / lots
    return BuiltSide(_on_tick(price, tick, is_bid), lots, left > 0)


def built(*, bids: Levels, asks: Levels, build: PriceBuild, tick: Decimal) -> BuiltQuote | None:
    """Return both sides as `build` has them, out of depth sorted best first; None where a side is not quoted.

    The one place that decides what a build's bid and ask are.
    """
    if not bids or not asks:
        return None
    if build.is_deep:
        bid = built_side(levels=bids, build=build, is_bid=True, tick=tick)
        ask = built_side(levels=asks, build=build, is_bid=False, tick=tick)
        assert bid is not None, "it is quoted"
        assert ask is not None, "it is quoted"
        return BuiltQuote(bid=bid.price, ask=ask.price, is_thin=bid.is_thin or ask.is_thin)
    top = BuiltQuote(bid=bids[0].price, ask=asks[0].price)
    if build.mode is BuildMode.BEST:
        return top
    middle = (top.bid + top.ask) / TWO
    return BuiltQuote(bid=_on_tick(middle, tick, True), ask=_on_tick(middle, tick, False))


def build_fault(*, build: PriceBuild) -> str:
    """Return what is wrong with a build, its field first, '' when nothing is."""
    size = build.size_lots
    if build.mode in (BuildMode.VWAP, BuildMode.CUMULATIVE):
        if size is None or not (size.is_finite() and 0 < size <= SIZE_LOTS_MAX):
            return f"size_lots: {build.mode} is the price of a size, more than 0 and at most {SIZE_LOTS_MAX} lots"
        return ""
    if size is not None:
        return f"size_lots: {build.mode} is made of the best prices and has no size"
    return "" if build.thin is ThinBook.PASS else f"thin: {build.mode} has no size that a book could be too thin for"


def with_spread(*, quote: BuiltQuote, profile: SpreadProfile, tick: Decimal) -> BuiltQuote | None:
    """Return the quote within the profile, widened or narrowed around its middle; None where the profile rejects it."""
    spread, most = quote.ask - quote.bid, profile.max_points
    is_wide = most is not None and spread > most * tick
    if is_wide and profile.action is not SpreadAction.ABSORB:
        return quote if profile.action is SpreadAction.PASS else None
    if profile.target_points is not None:
        return _around(quote, profile.target_points, tick)
    if profile.min_points is not None and spread < profile.min_points * tick:
        return _around(quote, profile.min_points, tick)
    return _around(quote, most, tick) if is_wide and most is not None else quote


def spread_fault(*, spread: SpreadProfile) -> str:
    """Return what is wrong with spread limits, the field first, '' when nothing is."""
    least, most, target = spread.min_points, spread.max_points, spread.target_points
    for name, points in (("min_points", least), ("max_points", most), ("target_points", target)):
        if points is not None and points < 0:
            return f"{name}: a spread is not below nothing"
    if least is not None and most is not None and least > most:
        return "min_points: the least spread is not above the most"
    if target is not None and ((least is not None and target < least) or (most is not None and target > most)):
        return "target_points: the target is no less than the least spread and no more than the most"
    if spread.action is not SpreadAction.PASS and most is None:
        return "action: there is no max_points beyond which it would be done"
    return ""


def _around(quote: BuiltQuote, points: int, tick: Decimal) -> BuiltQuote:
    bid = ((quote.bid + quote.ask - points * tick) / TWO / tick).to_integral_value(ROUND_FLOOR) * tick
    return BuiltQuote(bid=bid, ask=bid + points * tick)


def _on_tick(price: Decimal, tick: Decimal, is_bid: bool) -> Decimal:
    return (price / tick).to_integral_value(ROUND_FLOOR if is_bid else ROUND_CEILING) * tick
