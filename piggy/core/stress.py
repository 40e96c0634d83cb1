"""Margin of options: one netting set is every option on one underlying together with the underlying itself.

Delta margin charges what the set is worth today as if it were its hedge. The stress moves price and volatility together
over sixteen points, the scan that clearing houses use: seven price moves with volatility up and down, and two extreme
moves of which a part of the loss counts. The margin is the dearest of both and of a floor per short option.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

import msgspec
import numpy as np

from piggy.core.money import ZERO, minor_unit
from piggy.core.options import Floats, Greeks, black_scholes

HUNDRED = Decimal(100)
THIRDS = (0, 1, -1, 2, -2, 3, -3)
VOLATILITY_UP, VOLATILITY_DOWN = 1, -1
VOLATILITY_LEAST = np.float64("1e-4")
UNIT_STEP = Decimal("1E-8")
# Beyond these nothing is meant any more, and the model's numbers overflow.
YEARLY_MAX, STRESS_MAX = Decimal(10), Decimal(1_000)


class OptionLine(msgspec.Struct, frozen=True, kw_only=True):
    """Signed lots of one option, a lot being `contract_size` units of the underlying; `volatility` is 0.12 for 12 %."""

    symbol: str
    quantity: Decimal
    contract_size: Decimal
    call: bool
    strike: Decimal
    years: Decimal
    volatility: Decimal


class NettingSet(msgspec.Struct, frozen=True, kw_only=True):
    """Options on one underlying and `units` of the underlying itself; rates are continuous and yearly."""

    spot: Decimal
    rate: Decimal
    carry: Decimal
    options: tuple[OptionLine, ...] = ()
    units: Decimal = ZERO


class StressTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How hard to shake: the price scan range in percent of spot, volatility by points of 0.01, the extreme move as a
    multiple of the range of which `extreme_cover_percent` counts, and a floor per unit short in percent of spot."""

    price_range_percent: Decimal
    volatility_range_points: Decimal
    delta_percent: Decimal
    extreme_multiple: Decimal = Decimal(3)
    extreme_cover_percent: Decimal = Decimal(33)
    short_floor_percent: Decimal = Decimal(1)


class OptionModel(msgspec.Struct, frozen=True, kw_only=True):
    """How options on `underlying` are priced and margined where no venue quotes them; yearly, 0.12 for 12 %."""

    underlying: str
    volatility: Decimal
    stress: StressTerms
    rate: Decimal = ZERO
    carry: Decimal = ZERO


class StressMargin(msgspec.Struct, frozen=True, kw_only=True):
    """Money in the underlying's quote currency; `scenarios` are profits in their fixed order, losses negative."""

    required: Decimal
    delta_margin: Decimal
    stress_loss: Decimal
    short_floor: Decimal
    delta_units: Decimal
    scenarios: tuple[Decimal, ...]


def model_fault(*, model: OptionModel) -> str:
    """Return what is wrong with an option model, '' for one that can be used."""
    if not (model.volatility.is_finite() and 0 < model.volatility <= YEARLY_MAX):
        return f"volatility: more than nothing, as 0.12 for 12 percent, and at most {YEARLY_MAX}"
    for name in ("rate", "carry"):
        number: Decimal = getattr(model, name)
        if not (number.is_finite() and abs(number) <= YEARLY_MAX):
            return f"{name}: from -{YEARLY_MAX} to {YEARLY_MAX} a year, 1 being all of it"
    for name in StressTerms.__struct_fields__:
        number = getattr(model.stress, name)
        if not (number.is_finite() and 0 <= number <= STRESS_MAX):
            return f"stress.{name}: from 0 to {STRESS_MAX}"
    return "" if model.stress.price_range_percent < HUNDRED else "stress.price_range_percent: below all of the price"


def stress_margin(*, netting_set: NettingSet, terms: StressTerms, currency: str) -> StressMargin:
    """Return the margin of a netting set, rounded up at the currency's minor unit, and every figure it was made of."""
    spot = netting_set.spot
    now = _valued(netting_set, spot=_one(spot), shift=_one(ZERO))
    sizes = _sizes(netting_set.options)
    delta_units = netting_set.units + _exact(np.sum(now.delta * sizes))
    scenarios = _scenarios(netting_set, terms, now, sizes)
    step = minor_unit(currency=currency)
    loss = max(ZERO, -min(scenarios))
    delta_margin = abs(delta_units) * spot * terms.delta_percent / HUNDRED
    short = sum((-line.quantity * line.contract_size for line in netting_set.options if line.quantity < 0), ZERO)
    floor = short * spot * terms.short_floor_percent / HUNDRED
    required = max(loss, delta_margin, floor)
    return StressMargin(
        required=required.quantize(step, rounding=ROUND_CEILING),
        delta_margin=delta_margin,
        stress_loss=loss,
        short_floor=floor,
        delta_units=delta_units,
        scenarios=scenarios,
    )


def what_if(*, netting_set: NettingSet, line: OptionLine, terms: StressTerms, currency: str) -> Decimal:
    """Return by how much `line` would change the margin of the set; negative where it hedges."""
    before = stress_margin(netting_set=netting_set, terms=terms, currency=currency)
    with_line = msgspec.structs.replace(netting_set, options=(*netting_set.options, line))
    return stress_margin(netting_set=with_line, terms=terms, currency=currency).required - before.required


def scenario_points(*, terms: StressTerms) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
    """Return the sixteen points: price move in percent, volatility move in points, percent of the result counted."""
    scan = [
        (terms.price_range_percent * thirds / 3, terms.volatility_range_points * way, HUNDRED)
        for thirds in THIRDS
        for way in (VOLATILITY_UP, VOLATILITY_DOWN)
    ]
    far = terms.price_range_percent * terms.extreme_multiple
    # A price cannot fall by more than all of itself.
    down = max(-far, -HUNDRED + UNIT_STEP)
    return (*scan, (far, ZERO, terms.extreme_cover_percent), (down, ZERO, terms.extreme_cover_percent))


def _scenarios(netting_set: NettingSet, terms: StressTerms, now: Greeks, sizes: Floats) -> tuple[Decimal, ...]:
    points = scenario_points(terms=terms)
    spots = [netting_set.spot * (1 + move / HUNDRED) for move, _, _ in points]
    shaken = _valued(netting_set, spot=_array(spots), shift=_array([shift / HUNDRED for _, shift, _ in points]))
    profits = np.sum((shaken.price - now.price) * sizes, axis=1)
    return tuple(
        (_exact(profit) + netting_set.units * (spot - netting_set.spot)) * cover / HUNDRED
        for profit, spot, (_, _, cover) in zip(profits, spots, points, strict=True)
    )


def _valued(netting_set: NettingSet, *, spot: Floats, shift: Floats) -> Greeks:
    """Return price and greeks of every option (columns) at every spot and volatility shift (rows)."""
    lines = netting_set.options
    volatility = _array([line.volatility for line in lines])[None, :] + shift[:, None]
    return black_scholes(
        call=np.array([line.call for line in lines], dtype=bool)[None, :],
        spot=spot[:, None],
        strike=_array([line.strike for line in lines])[None, :],
        years=_array([line.years for line in lines])[None, :],
        rate=np.float64(netting_set.rate),
        volatility=np.maximum(volatility, VOLATILITY_LEAST),
        carry=np.float64(netting_set.carry),
    )


def _sizes(lines: Sequence[OptionLine]) -> Floats:
    return _array([line.quantity * line.contract_size for line in lines])


def _array(values: Sequence[Decimal]) -> Floats:
    return np.array([np.float64(value) for value in values], dtype=np.float64)


def _one(value: Decimal) -> Floats:
    return _array((value,))


def _exact(value: np.float64) -> Decimal:
    return Decimal(repr(np.float64(value).item())).quantize(UNIT_STEP, rounding=ROUND_HALF_EVEN)
