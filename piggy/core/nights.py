"""Nights: what swaps and fees a position settled, so that a fill that is taken back takes its share of them along.

What was settled stands for as many of its lots as were held over it without the fills that were taken back, never for
more: nobody is charged later for lots that were not there. So the order in which fills go back makes no difference,
and with the last of them all of it went back.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.money import ZERO, round_money
from piggy.core.orders import Side

# Of a position; what was settled before stands. Nights over which nothing was dealt are kept as one.
NIGHTS_MAX = 64
# Positions that are over and whose nights are kept, for a venue may take a fill back days later.
FLAT_MAX = 20_000


class Night(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One or more nights with their rollovers from `since_us` to `until_us`, which brought `amount` for `lots`.

    `held` of them were held on `side` without the fills that were taken back: below zero, or more, where a fill that
    had closed or opened is one of those.
    """

    since_us: int
    until_us: int
    side: Side
    lots: Decimal
    held: Decimal
    amount: Decimal
    kind: str


Nights = tuple[Night, ...]


def with_night(*, nights: Nights, night: Night, dealt_at_us: int) -> Nights:
    """Return `nights` with one more; `dealt_at_us` is when the position dealt last."""
    last = nights[-1] if nights else None
    same = last is not None and dealt_at_us < last.until_us and last.held == last.lots == night.lots
    if last is not None and same and (last.kind, last.side) == (night.kind, night.side):
        whole = msgspec.structs.replace(last, until_us=night.until_us, amount=last.amount + night.amount)
        return (*nights[:-1], whole)
    return (*nights, night)[-NIGHTS_MAX:]


def without_lots(*, nights: Nights, side: Side, lots: Decimal, at_us: int) -> Nights:
    """Return `nights` as they are if `lots` that were dealt at `at_us` never were."""
    return tuple(
        msgspec.structs.replace(night, held=night.held - (lots if night.side is side else -lots))
        if at_us < night.since_us
        else night
        for night in nights
    )


def moved(*, before: Nights, after: Nights, currency: str) -> dict[str, Decimal]:
    """Return by kind what the account gets, below zero: pays, when what stood for `before` stands for `after`."""
    sums: dict[str, Decimal] = {}
    for was, now in zip(before, after, strict=True):
        amount = _standing(now, currency) - _standing(was, currency)
        sums[now.kind] = sums.get(now.kind, ZERO) + amount
    return {kind: amount for kind, amount in sums.items() if amount}


def _standing(night: Night, currency: str) -> Decimal:
    lots = max(ZERO, min(night.held, night.lots))
    return round_money(amount=night.amount * lots / night.lots, currency=currency)
