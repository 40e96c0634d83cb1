"""Counterfactual marks: what the house would have made of the same flow under A, under B and under MIXED.

Under B the house is the other side: it has what clients paid less what that is worth at the mark. Under A it has the
markup, less what the LP takes. Under MIXED it has a share of each. Where an LP filled, the B book would have filled at
the price of the order's arrival, as it does. Crossed fills have markup alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from piggy.core.money import ZERO
from piggy.core.orders import Side

MILLION, HUNDRED = Decimal(1_000_000), Decimal(100)
A, CROSS = "A", "CROSS"


class Dealt(msgspec.Struct, frozen=True, kw_only=True):
    """One client's fill, or the sums of several alike: all is linear in them.

    `units` of the base, and what they came to in the quote currency: `paid` by clients, `raw` before markup, `arrival`
    at the best price when the orders came. `mark` is the mid now, `rate` the reporting currency for one of the quote
    currency, `commission` in the former, `fee_per_million` what an LP takes. A fill taken back has all below zero.
    """

    book: str
    side: Side
    units: Decimal
    paid: Decimal
    raw: Decimal
    arrival: Decimal
    mark: Decimal
    rate: Decimal
    commission: Decimal = ZERO
    fee_per_million: Decimal = ZERO
    fills: int = 1


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """What the house made and would have made, in the reporting currency; `volume` is the value dealt."""

    fills: int
    volume: Decimal
    actual: Decimal
    under_a: Decimal
    under_b: Decimal
    under_mixed: Decimal

    def per_million(self, *, amount: Decimal) -> Decimal:
        """Return `amount` for a million dealt (RPM), 0 of nothing."""
        return amount * MILLION / self.volume if self.volume else ZERO


def marks(*, flow: Iterable[Dealt], a_percent: Decimal) -> Marks:
    """Return the marks of a flow; MIXED would have passed `a_percent` of each fill on."""
    fills, volume, actual, under_a, under_b = 0, ZERO, ZERO, ZERO, ZERO
    for dealt in flow:
        passed, kept = if_passed_on(dealt=dealt), if_kept(dealt=dealt)
        fills, volume = fills + dealt.fills, volume + dealt.paid * dealt.rate
        under_a, under_b = under_a + passed, under_b + kept
        actual += _made(dealt, passed, kept)
    under_mixed = (under_a * a_percent + under_b * (HUNDRED - a_percent)) / HUNDRED
    return Marks(fills=fills, volume=volume, actual=actual, under_a=under_a, under_b=under_b, under_mixed=under_mixed)


def if_passed_on(*, dealt: Dealt) -> Decimal:
    """Return what the house makes of a fill that an LP takes: markup and commission, less the LP's fee."""
    fee = dealt.raw * dealt.fee_per_million / MILLION
    return (_markup(dealt) - fee) * dealt.rate + dealt.commission


def if_kept(*, dealt: Dealt) -> Decimal:
    """Return what the house makes of a fill that it takes itself, as the market stands now."""
    basis = dealt.arrival if dealt.book == A else dealt.raw
    risk = dealt.side.sign * (basis - dealt.mark * dealt.units)
    return (_markup(dealt) + risk) * dealt.rate + dealt.commission


def _made(dealt: Dealt, passed: Decimal, kept: Decimal) -> Decimal:
    if dealt.book == CROSS:
        return _markup(dealt) * dealt.rate + dealt.commission
    return passed if dealt.book == A else kept


def _markup(dealt: Dealt) -> Decimal:
    return dealt.side.sign * (dealt.paid - dealt.raw)
