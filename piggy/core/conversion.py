"""Conversion: one unit of a currency in another, off live quotes, with every rate, side and time that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

import msgspec

from piggy.core.instruments import AssetClass, Instrument

RATE_STEP = Decimal("1E-12")
ONE = Decimal(1)
VIA = "USD"
_CASH_CLASSES = frozenset({AssetClass.FX_MAJOR, AssetClass.FX_MINOR})


class Touch(NamedTuple):
    """The best bid and ask of a symbol and when the older of the two was received (UTC microseconds)."""

    bid: Decimal
    ask: Decimal
    at_us: int


class ConversionLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One quote that a rate was made of: the symbol, the side hit, its price, its time."""

    symbol: str
    side: str
    price: Decimal
    at_us: int


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` units of `target` for one unit of `source`; stored with what it was made of, so a re-run is exact."""

    source: str
    target: str
    rate: Decimal
    at_us: int
    legs: tuple[ConversionLeg, ...] = ()


# One of a currency for one of the same.
UNCHANGED = Conversion(source="", target="", rate=ONE, at_us=0)
Quotes = Callable[[str], Touch | None]
Pairs = Mapping[tuple[str, str], str]


def currency_pairs(*, instruments: Iterable[Instrument]) -> dict[tuple[str, str], str]:
    """Return (base, quote) -> symbol of everything that exchanges one currency for another; the first of two wins."""
    pairs: dict[tuple[str, str], str] = {}
    for instrument in instruments:
        if instrument.asset_class in _CASH_CLASSES:
            pairs.setdefault((instrument.base, instrument.quote), instrument.symbol)
    return pairs


def conversion(
    *, source: str, target: str, gain: bool, pairs: Pairs, quotes: Quotes, via: str = VIA
) -> Conversion | None:
    """Return the rate from `source` to `target`, or None when no live path exists: direct, inverse, or through `via`.

    A gain in `source` is sold, so it gets the bid; a loss must be bought, so it costs the ask: neither is flattered.
    """
    if source == target:
        return Conversion(source=source, target=target, rate=ONE, at_us=0)
    direct = _leg(source, target, gain, pairs, quotes)
    if direct is not None:
        rate, leg = direct
        return Conversion(source=source, target=target, rate=_cut(rate), at_us=leg.at_us, legs=(leg,))
    if via in (source, target):
        return None
    first = _leg(source, via, gain, pairs, quotes)
    second = _leg(via, target, gain, pairs, quotes)
    if first is None or second is None:
        return None
    return Conversion(
        source=source,
        target=target,
        rate=_cut(first[0] * second[0]),
        at_us=min(first[1].at_us, second[1].at_us),
        legs=(first[1], second[1]),
    )


def _leg(source: str, target: str, gain: bool, pairs: Pairs, quotes: Quotes) -> tuple[Decimal, ConversionLeg] | None:
    symbol = pairs.get((source, target))
    if symbol is not None and (touch := quotes(symbol)) is not None:
        price, side = (touch.bid, "bid") if gain else (touch.ask, "ask")
        return price, ConversionLeg(symbol=symbol, side=side, price=price, at_us=touch.at_us)
    symbol = pairs.get((target, source))
    if symbol is not None and (touch := quotes(symbol)) is not None:
        price, side = (touch.ask, "ask") if gain else (touch.bid, "bid")
        return ONE / price, ConversionLeg(symbol=symbol, side=side, price=price, at_us=touch.at_us)
    return None


def _cut(rate: Decimal) -> Decimal:
    return rate.quantize(RATE_STEP, rounding=ROUND_HALF_EVEN)
