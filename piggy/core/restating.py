"""Restating: a position as it is without one of its fills, and what that moves."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

import msgspec

from piggy.core.money import ZERO
from piggy.core.positions import NOTHING, Booked, Fill, Life, Names, Position, booked, busted, stepped

# A quotient is cut here, and what is booked there; below DUST, by contract size, what they leave over is nothing.
PRICE_STEP, QUOTE_STEP, DUST = Decimal("1E-15"), Decimal("1E-12"), Decimal("1E-11")
BACK = "/bust"


class Restated(NamedTuple):
    """A position without a fill it had (None: flat), its life now, and the profit to add: in the quote currency, and
    in the account's as it was booked."""

    position: Position | None
    realised_quote: Decimal
    life: Life
    realised: Decimal


def without(
    *,
    life: Life,
    gone: Fill,
    position: Position | None,
    contract_size: Decimal,
    names: Names,
    currency: str,
    own: Booked | None = None,
) -> Restated:
    """Return the position as it is once `gone`, which had booked its `own`, never was, from its present life's fills.

    What of `gone` belongs to an earlier life, or to its base, is dealt back: what it opened at its price, what it
    closed at what that had cost, and its own booking is reversed. In the account's `currency` each fill that stands
    counts at its own rate, as what it closed was booked; what is dealt back at that of the latest. Once all that busts
    booked comes to nothing in the quote currency it does so in the account's. Without `own`, as busts were once
    recorded, all is dealt back at the price of `gone`.
    """
    fills, back = _with_back(life, gone, contract_size, own)
    now, present, realised = life.base, Life(base=life.base), ZERO
    for fill in fills:
        step = stepped(now, fill, contract_size, names)
        present.take(fill=fill, before=now, after=step.position, contract_size=contract_size)
        now, realised = step.position, realised + step.realised_quote
    was = (position.realised_quote if position else ZERO) - (life.base.realised_quote if life.base else ZERO)
    sums = (
        booked(base=life.base, fills=each, contract_size=contract_size, currency=currency)
        for each in (fills, life.fills)
    )
    more = Booked(next(sums) - next(sums) - back.money, _cut(realised - was - back.quote, QUOTE_STEP))
    more, present.loose = _balanced(life.loose, more, own, contract_size)
    return Restated(now, more.quote, present, more.money)


def dealt_back(*, life: Life) -> Iterator[Fill]:
    """Yield what busts dealt back of fills that the life does not tell of."""
    return (fill for fill in life.fills if fill.fill_id.endswith(BACK))


def _with_back(life: Life, gone: Fill, contract_size: Decimal, own: Booked | None) -> tuple[tuple[Fill, ...], Booked]:
    """Return the life's fills without `gone`, with what is dealt back of it, and what of its own booking goes."""
    mine = sum((fill.quantity for fill in life.fills if fill.fill_id == gone.fill_id), ZERO)
    fills, lots, price, back = busted(fills=life.fills, fill_id=gone.fill_id), gone.quantity - mine, gone.price, NOTHING
    if lots <= 0:
        return fills, back
    if own is not None:
        signed = gone.side.sign * lots
        beyond = _cut(own.quote / contract_size / signed, PRICE_STEP)
        # What the cut leaves over stays booked, else it would be neither in the position nor in the profit.
        price, back = price + beyond, Booked(own.money, beyond * signed * contract_size)
    latest = max((gone, *fills), key=lambda fill: fill.seq)
    leg = msgspec.structs.replace(
        gone,
        fill_id=f"{gone.fill_id}{BACK}",
        side=gone.side.contra,
        quantity=lots,
        price=price,
        news_lots=ZERO,
        rate=latest.rate,
        seq=latest.seq,
    )
    return (*fills, leg), back


def _balanced(loose: Booked, more: Booked, own: Booked | None, contract_size: Decimal) -> tuple[Booked, Booked]:
    """Return what a bust books, and what all busts of the position booked beyond what the fills had booked."""
    if own is None:
        return more, loose
    left = Booked(loose.money + more.money + own.money, loose.quote + more.quote + own.quote)
    if abs(left.quote) >= DUST * contract_size:
        return more, left
    return Booked(more.money - left.money, more.quote), NOTHING


def _cut(number: Decimal, step: Decimal) -> Decimal:
    return number.quantize(step, rounding=ROUND_HALF_EVEN).normalize() + ZERO
