"""Synthetic crosses: the price of one symbol out of two others, as EURGBP = EURUSD / GBPUSD.

Both legs must be live. Each side is made from the leg sides that would really be dealt, so a cross is never tighter
than its legs allow: off the tick a bid is rounded down and an ask up, and a size down to whole steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from piggy.core.instruments import CrossKind, CrossTerms, Instrument
from piggy.core.market import AttributedLevel, BestQuote
from piggy.core.money import plain

ONE = Decimal(1)


class Cross(msgspec.Struct, frozen=True, kw_only=True):
    """`symbol` out of `first`, whose base it shares, and `second`, on the `tick` and in whole lot steps of `step`.

    The shares are the lots of `symbol` that are as many units as one lot of that leg.
    """

    symbol: str
    first: str
    second: str
    kind: CrossKind
    tick: Decimal
    step: Decimal
    first_share: Decimal = ONE
    second_share: Decimal = ONE


def crosses_of(*, instruments: Mapping[str, Instrument]) -> Iterator[Cross]:
    """Yield the crosses among the instruments, by symbol, whose legs are there."""
    for symbol, instrument in instruments.items():
        terms = instrument.cross
        if terms is None or terms.first not in instruments or terms.second not in instruments:
            continue
        first, second = instruments[terms.first].contract_size, instruments[terms.second].contract_size
        yield Cross(
            symbol=symbol,
            first=terms.first,
            second=terms.second,
            kind=terms.kind,
            tick=Decimal(plain(instrument.tick_size)),
            step=Decimal(plain(instrument.lot_step)),
            first_share=first / instrument.contract_size,
            second_share=second / instrument.contract_size,
        )


def cross_fault(*, instrument: Instrument, known: Mapping[str, Instrument]) -> tuple[str, str] | None:
    """Return (field, what is wrong) of a cross, or of a leg that crosses among the `known` are made of."""
    symbol, terms = instrument.symbol, instrument.cross
    if terms is not None and (fault := _terms_fault(instrument, terms, known)):
        return fault
    changed = {**known, symbol: instrument}
    for other in known.values():
        if other.symbol == symbol or other.cross is None or symbol not in (other.cross.first, other.cross.second):
            continue
        if fault := _terms_fault(other, other.cross, changed):
            return "symbol", f"{other.symbol} is made of it, and would not fit: {fault[1]}"
    return None


def crossed(*, cross: Cross, first: BestQuote, second: BestQuote) -> BestQuote | None:
    """Return the cross's best quote from those of its legs; None when no side can be made."""
    contra = cross.kind is CrossKind.DIVIDE
    bid = _side(cross, first.bid, second.ask if contra else second.bid, ROUND_FLOOR)
    ask = _side(cross, first.ask, second.bid if contra else second.ask, ROUND_CEILING)
    return BestQuote(symbol=cross.symbol, bid=bid, ask=ask) if bid or ask else None


def _side(
    cross: Cross, first: AttributedLevel | None, second: AttributedLevel | None, rounding: str
) -> AttributedLevel | None:
    """Return one side on the tick, None where less than a step of it can be made, or where it is worth nothing."""
    if first is None or second is None:
        return None
    multiplies = cross.kind is CrossKind.MULTIPLY
    exact = first.price * second.price if multiplies else first.price / second.price
    price = int((exact / cross.tick).to_integral_value(rounding)) * cross.tick
    # Multiplied, the second leg's units are of the first leg's quote currency; divided, of the cross's own.
    units = second.size * cross.second_share / (first.price if multiplies else exact)
    size = min(first.size * cross.first_share, units)
    size = int(size / cross.step) * cross.step
    if price <= 0 or size <= 0:
        return None
    return AttributedLevel(
        price=price,
        size=size,
        venue=f"{first.venue}+{second.venue}",
        received_at_us=min(first.received_at_us, second.received_at_us),
    )


def _terms_fault(instrument: Instrument, terms: CrossTerms, known: Mapping[str, Instrument]) -> tuple[str, str] | None:
    if instrument.option is not None:
        return "cross", "an option is no cross"
    for name, leg in (("cross.first", terms.first), ("cross.second", terms.second)):
        if leg == instrument.symbol:
            return name, "a cross is not made of itself"
        if leg not in known:
            return name, f"no symbol is called {leg}"
        if known[leg].cross is not None or known[leg].option is not None:
            return name, f"{leg} is a cross or an option itself"
    first, second = known[terms.first], known[terms.second]
    if first.base != instrument.base:
        return "cross.first", f"{terms.first} is in {first.base}, not in {instrument.base}"
    multiplies = terms.kind is CrossKind.MULTIPLY
    needed = (first.quote, instrument.quote) if multiplies else (instrument.quote, first.quote)
    if (second.base, second.quote) != needed:
        return "cross.second", f"it is {needed[0]} in {needed[1]}; {terms.second} is {second.base} in {second.quote}"
    return None
