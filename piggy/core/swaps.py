"""Swaps: what holding a position over a night costs or brings. Rates, nights, and the amount per lot.

Every weekday has one night and the triple day three, for the weekend; a week is seven nights. The night of a holiday is
not settled on that day: it rolls into the next business date, for whoever held the position then, and for as many lots.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

from piggy.core.instruments import Instrument
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.rollover import ONE_DAY, rollover_at_us

HUNDRED = Decimal(100)
RATE_MAX = Decimal(1_000_000)  # Beyond it a rate or fee means nothing, and a night could not be booked.
SATURDAY = 5
WEDNESDAY = 2


class SwapUnit(StrEnum):
    """POINTS of the price and PERCENT a year are in the quote currency, CURRENCY is the account's, per lot."""

    POINTS = "points"
    PERCENT = "percent"
    CURRENCY = "currency"


class SwapRates(msgspec.Struct, frozen=True, kw_only=True):
    """What the holder gets a night; below zero it is charged. Weekdays count from Monday 0.

    A symbol with no `triple_weekday` settles every calendar day.
    """

    symbol: str
    long: Decimal
    short: Decimal
    version: int = 1
    unit: SwapUnit = SwapUnit.POINTS
    triple_weekday: int | None = WEDNESDAY
    holidays: tuple[date, ...] = ()
    days_in_year: int = 360


class SwapFree(msgspec.Struct, frozen=True, kw_only=True):
    """A group without swap. Past `grace_days` (calendar days held) each night costs a fee per lot, if there is one.

    The fee is in the account's currency.
    """

    grace_days: int = 0
    fee_per_lot: Decimal = ZERO


def nights_due(*, rates: SwapRates, business_date: date, held_from_us: int) -> int:
    """Return the nights that a position opened at `held_from_us` settles on the business date, 0 on a holiday."""
    settled = nights_settled(rates=rates, business_date=business_date)
    return sum(nights for place, (nights, at_us) in enumerate(settled) if not place or held_from_us < at_us)


def nights_settled(*, rates: SwapRates, business_date: date) -> list[tuple[int, int]]:
    """Return the nights that are settled on the business date, its own first and then those of holidays before it.

    Each comes with its rollover: only who held something then owes or gets them. None on a holiday or a weekend.
    """
    if business_date in rates.holidays or not _nights_of(rates, business_date):
        return []
    found = [(_nights_of(rates, business_date), rollover_at_us(business_date=business_date))]
    day = business_date - ONE_DAY
    while day in rates.holidays or not _nights_of(rates, day):
        if nights := _nights_of(rates, day):
            found.append((nights, rollover_at_us(business_date=day)))
        day -= ONE_DAY
    return found


def swap_per_lot(*, rates: SwapRates, instrument: Instrument, side: Side, price: Decimal | None) -> Decimal | None:
    """Return what one lot gets a night, in the rates' currency; None where a percentage has no price to be of."""
    rate = rates.long if side is Side.BUY else rates.short
    if rates.unit is SwapUnit.CURRENCY:
        return rate
    if rates.unit is SwapUnit.POINTS:
        return rate * instrument.point * instrument.contract_size
    if price is None:
        return None
    return instrument.notional(lots=Decimal(1), price=price) * rate / HUNDRED / rates.days_in_year


def rates_fault(*, rates: SwapRates) -> str:
    """Return what is wrong with swap rates, '' when nothing is."""
    for name in ("long", "short"):
        rate: Decimal = getattr(rates, name)
        if not (rate.is_finite() and abs(rate) <= RATE_MAX):
            return f"{name}: a swap rate is a finite number, from -{RATE_MAX} to {RATE_MAX}"
    if rates.triple_weekday is not None and not 0 <= rates.triple_weekday < SATURDAY:
        return "triple_weekday: the triple day is a weekday, Monday 0 to Friday 4"
    return "" if rates.days_in_year > 0 else "days_in_year: a year has days"


def _nights_of(rates: SwapRates, day: date) -> int:
    if rates.triple_weekday is None:
        return 1
    if day.weekday() >= SATURDAY:
        return 0
    return 3 if day.weekday() == rates.triple_weekday else 1
