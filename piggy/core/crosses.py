"""Synthetic crosses: the price of one symbol out of two others, as EURGBP = EURUSD / GBPUSD.

Both legs must be live. Each side is made from the leg sides that would really be dealt, so a cross is never tighter
than its legs allow. The result is exact to Decimal's 28 digits; whoever shows it rounds to the symbol's tick.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from piggy.core.market import AttributedLevel, BestQuote


class CrossKind(StrEnum):
    """MULTIPLY: EURJPY = EURUSD x USDJPY. DIVIDE: EURGBP = EURUSD / GBPUSD."""

    MULTIPLY = "multiply"
    DIVIDE = "divide"


class Cross(msgspec.Struct, frozen=True, kw_only=True):
    """`symbol` out of `first`, whose base it shares, and `second`; all three with equal contract sizes."""

    symbol: str
    first: str
    second: str
    kind: CrossKind


def crossed(*, cross: Cross, first: BestQuote, second: BestQuote) -> BestQuote | None:
    """Return the cross's best quote from those of its legs; None when no side can be made."""
    if cross.kind is CrossKind.MULTIPLY:
        bid = _product(first.bid, second.bid)
        ask = _product(first.ask, second.ask)
    else:
        bid = _quotient(first.bid, second.ask)
        ask = _quotient(first.ask, second.bid)
    return BestQuote(symbol=cross.symbol, bid=bid, ask=ask) if bid or ask else None


def _product(first: AttributedLevel | None, second: AttributedLevel | None) -> AttributedLevel | None:
    if first is None or second is None:
        return None
    # The second leg's lots are of the first leg's quote currency: turned into the base by the first leg's price.
    return AttributedLevel(
        price=first.price * second.price,
        size=min(first.size, second.size / first.price),
        venue=f"{first.venue}+{second.venue}",
        received_at_us=min(first.received_at_us, second.received_at_us),
    )


def _quotient(first: AttributedLevel | None, second: AttributedLevel | None) -> AttributedLevel | None:
    if first is None or second is None:
        return None
    price = first.price / second.price
    return AttributedLevel(
        price=price,
        size=min(first.size, second.size / price),
        venue=f"{first.venue}+{second.venue}",
        received_at_us=min(first.received_at_us, second.received_at_us),
    )
