"""Can the venue be asked this at all? Steps and bounds, checked before anything leaves."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from piggy.adapters.interface import Symbol, SymbolMapping, UnableToTranslate
from piggy.core.money import plain
from piggy.core.orders import Side


def terms_of(*, terms: Mapping[str, Symbol], mapping: SymbolMapping) -> Symbol:
    """Return what the venue said of a mapped symbol.

    Raises UnableToTranslate where it said nothing: a size that nobody checked may be a thousand times what was meant.
    """
    if (found := terms.get(mapping.venue_symbol)) is None:
        raise UnableToTranslate(f"The venue has no {mapping.venue_symbol} for {mapping.symbol}; nothing is sent.")
    return found


def units_of(*, lots: Decimal, mapping: SymbolMapping, terms: Symbol | None) -> str:
    """Return lots as the venue's units. Raises UnableToTranslate where its steps or bounds forbid them."""
    units = lots * mapping.units_per_lot
    if terms is not None:
        if not terms.tradable:
            raise UnableToTranslate(f"{terms.venue_symbol} is not tradable at the venue.")
        if terms.unit_step and units % terms.unit_step:
            raise UnableToTranslate(f"{plain(units)} {terms.venue_symbol} is no multiple of {plain(terms.unit_step)}.")
        if units < terms.units_min or (terms.units_max and units > terms.units_max):
            bounds = f"{plain(terms.units_min)} to {plain(terms.units_max)}"
            raise UnableToTranslate(f"{plain(units)} {terms.venue_symbol} is outside {bounds}.")
    return plain(units)


def price_of(*, price: Decimal, side: Side, terms: Symbol | None) -> str:
    """Return a limit on the venue's tick, rounded so that it is never worse than asked."""
    if terms is None or not terms.tick_size:
        return plain(price)
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return plain((price / terms.tick_size).to_integral_value(rounding=rounding) * terms.tick_size)


def check_notional(*, units: str, price: str, terms: Symbol | None) -> None:
    """Raises UnableToTranslate where the order is worth less than the venue takes."""
    if terms is not None and Decimal(units) * Decimal(price) < terms.notional_min:
        raise UnableToTranslate(f"{units} at {price} is worth less than {plain(terms.notional_min)}.")


def mismatches(*, mappings: dict[str, SymbolMapping], symbols: tuple[Symbol, ...], lot_step: Decimal) -> list[str]:
    """Return in words which mappings (by the venue's symbol) the venue's own terms do not bear out.

    `lot_step` is the smallest step in lots where a mapping does not say what our instrument deals in.
    """
    known = {symbol.venue_symbol: symbol for symbol in symbols}
    return [
        f"{mapping.symbol}: {text}"
        for name, mapping in mappings.items()
        for text in _differences(name, mapping, known.get(name), lot_step)
    ]


def wrong(*, mappings: dict[str, SymbolMapping], symbols: tuple[Symbol, ...], lot_step: Decimal) -> dict[str, str]:
    """Return by our symbol what is not to be dealt in at the venue at all, and why: sizes would be wrong."""
    known = {symbol.venue_symbol: symbol for symbol in symbols}
    unfit = {mapping.symbol: _unfit(name, mapping, known.get(name), lot_step) for name, mapping in mappings.items()}
    return {symbol: why for symbol, why in unfit.items() if why}


def _unfit(name: str, mapping: SymbolMapping, terms: Symbol | None, lot_step: Decimal) -> str:
    if terms is None:
        return f"the venue has no {name}"
    if not terms.tradable:
        return f"{name} is not tradable"
    step = (mapping.lot_step or lot_step) * mapping.units_per_lot
    if terms.unit_step and step % terms.unit_step:
        return f"a step of {plain(step)} is no multiple of {plain(terms.unit_step)}"
    return ""


def _differences(name: str, mapping: SymbolMapping, terms: Symbol | None, lot_step: Decimal) -> list[str]:
    found = [unfit] if (unfit := _unfit(name, mapping, terms, lot_step)) else []
    if terms is None or not terms.tradable:
        return found
    least = mapping.lot_min * mapping.units_per_lot
    if 0 < least < terms.units_min:
        found.append(f"our least order of {plain(least)} is below the venue's {plain(terms.units_min)}")
    if mapping.tick_size and terms.tick_size and mapping.tick_size % terms.tick_size:
        ticks = f"our tick of {plain(mapping.tick_size)} is no multiple of {plain(terms.tick_size)}"
        found.append(f"{ticks}: limits are rounded away from the market")
    return found
