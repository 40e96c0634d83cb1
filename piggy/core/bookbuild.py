"""From the consolidated depth to one raw price per side: build modes, and the spread that a profile allows.

The modes are those that bridges offer (NORMAL, VWAP, CUM_QTY, MIDPOINT); the breach actions ABSORB, PASS and REJECT.
Prices that are not on the tick are rounded against the taker on both sides alike: bids down, asks up.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

import msgspec

from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO

TWO = Decimal(2)
Levels = tuple[AttributedLevel, ...]


class BuildMode(StrEnum):
    """BEST: the top. VWAP: the average price of `size`. CUMULATIVE: the worst price that `size` needs. MIDPOINT: both
    sides at the middle of the top, to which a target spread is then added."""

    BEST = "best"
    VWAP = "vwap"
    CUMULATIVE = "cumulative"
    MIDPOINT = "midpoint"


class SpreadAction(StrEnum):
    """What to do with a spread above the maximum: pay the difference, show it as it is, or show no price."""

    ABSORB = "absorb"
    PASS = "pass"
    REJECT = "reject"


class SpreadProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the spread in points; `target` fixes it. None: no limit."""

    min_points: int | None = None
    max_points: int | None = None
    target_points: int | None = None
    action: SpreadAction = SpreadAction.PASS


class BuiltQuote(msgspec.Struct, frozen=True, kw_only=True):
    """One price a side, in the quote currency, on the tick."""

    bid: Decimal
    ask: Decimal


def built(*, bids: Levels, asks: Levels, mode: BuildMode, size: Decimal, tick: Decimal) -> BuiltQuote | None:
    """Return the price of `size` lots (> 0) out of depth sorted best first; None where the depth does not suffice."""
    if not bids or not asks:
        return None
    if mode is BuildMode.BEST:
        return BuiltQuote(bid=bids[0].price, ask=asks[0].price)
    if mode is BuildMode.MIDPOINT:
        middle = (bids[0].price + asks[0].price) / TWO
        return _on_tick(middle, middle, tick)
    price = _average if mode is BuildMode.VWAP else _reached
    bid, ask = price(bids, size), price(asks, size)
    return None if bid is None or ask is None else _on_tick(bid, ask, tick)


def with_spread(*, quote: BuiltQuote, profile: SpreadProfile, tick: Decimal) -> BuiltQuote | None:
    """Return the quote within the profile, widened or narrowed around its middle; None where the profile rejects it."""
    spread = quote.ask - quote.bid
    if profile.target_points is not None:
        return _around(quote, profile.target_points, tick)
    if profile.min_points is not None and spread < profile.min_points * tick:
        return _around(quote, profile.min_points, tick)
    if profile.max_points is None or spread <= profile.max_points * tick or profile.action is SpreadAction.PASS:
        return quote
    return _around(quote, profile.max_points, tick) if profile.action is SpreadAction.ABSORB else None


def _around(quote: BuiltQuote, points: int, tick: Decimal) -> BuiltQuote:
    bid = ((quote.bid + quote.ask - points * tick) / TWO / tick).to_integral_value(ROUND_FLOOR) * tick
    return BuiltQuote(bid=bid, ask=bid + points * tick)


def _on_tick(bid: Decimal, ask: Decimal, tick: Decimal) -> BuiltQuote:
    return BuiltQuote(
        bid=(bid / tick).to_integral_value(ROUND_FLOOR) * tick, ask=(ask / tick).to_integral_value(ROUND_CEILING) * tick
    )


def _average(levels: Levels, size: Decimal) -> Decimal | None:
    left, value = size, ZERO
    for level in levels:
        part = min(left, level.size)
        left, value = left - part, value + part * level.price
        if left == 0:
            return value / size
    return None


def _reached(levels: Levels, size: Decimal) -> Decimal | None:
    left = size
    for level in levels:
        left -= level.size
        if left <= 0:
            return level.price
    return None
