"""Instruments: what can be traded, in which steps, and the integer scale of its books.

Prices are quoted in the quote currency per one unit of the base. Quantities are lots; one lot is `contract_size` units.
Books count in integers: a price in points (10 ** -price_digits), a quantity in lot points (10 ** -lot_digits).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from functools import cache

import msgspec

from piggy.core.quotefilter import QuoteFilter, filter_fault

DIGITS_MAX = 12
TERM_MAX = Decimal(10) ** 12  # Beyond it a term means nothing, and exact arithmetic runs out of digits.


class AssetClass(StrEnum):
    FX_MAJOR = "fx_major"
    FX_MINOR = "fx_minor"
    GOLD = "gold"
    COMMODITY = "commodity"
    INDEX_MAJOR = "index_major"
    INDEX_MINOR = "index_minor"
    SHARE = "share"
    CRYPTO = "crypto"
    OPTION = "option"


class OptionKind(StrEnum):
    CALL = "call"
    PUT = "put"


class OptionTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A European option on another symbol; `expires_at_us` is UTC microseconds."""

    underlying: str
    kind: OptionKind
    strike: Decimal
    expires_at_us: int


class CrossKind(StrEnum):
    """MULTIPLY: EURJPY = EURUSD x USDJPY. DIVIDE: EURGBP = EURUSD / GBPUSD."""

    MULTIPLY = "multiply"
    DIVIDE = "divide"


class CrossTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The two symbols that another one's price is made of; `first` shares its base."""

    first: str
    second: str
    kind: CrossKind


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One tradable symbol and every step and bound that an order on it must respect.

    With a `cross` it is a synthetic: priced off its legs and dealt by the house, for no venue is sent it. A
    `quote_filter` says which of its quotes are not believed at once; without one the house's does.
    """

    symbol: str
    asset_class: AssetClass
    base: str
    quote: str
    contract_size: Decimal
    price_digits: int
    tick_size: Decimal
    lot_digits: int = 2
    lot_min: Decimal = Decimal("0.01")
    lot_max: Decimal = Decimal(100)
    lot_step: Decimal = Decimal("0.01")
    margin_percent: Decimal = Decimal(5)
    tradable: bool = True
    option: OptionTerms | None = None
    cross: CrossTerms | None = None
    quote_filter: QuoteFilter | None = None

    @property
    def point(self) -> Decimal:
        """The price of one integer point, 0.00001 for a five-digit symbol."""
        return points_worth(1, self.price_digits)

    def notional(self, *, lots: Decimal, price: Decimal) -> Decimal:
        """Return the value of `lots` at `price`, in the quote currency."""
        return lots * self.contract_size * price


@cache
def points_worth(points: int, digits: int) -> Decimal:
    """Return so many points of a symbol with `digits` price digits, as a price."""
    return points * Decimal(1).scaleb(-digits)


def has_expired(*, instrument: Instrument, now_us: int) -> bool:
    """Return whether it is an option whose time is over."""
    return instrument.option is not None and instrument.option.expires_at_us <= now_us


def instrument_fault(*, instrument: Instrument) -> tuple[str, str] | None:
    """Return (field, what is wrong) of terms that nothing could be dealt or booked by, None for good ones."""
    for name in ("contract_size", "tick_size", "lot_min", "lot_max", "lot_step"):
        number: Decimal = getattr(instrument, name)
        if not (number.is_finite() and 0 < number <= TERM_MAX):
            return name, f"{name} is above 0, and at most {TERM_MAX}"
    if not (instrument.margin_percent.is_finite() and 0 <= instrument.margin_percent <= TERM_MAX):
        return "margin_percent", f"margin_percent is from 0 to {TERM_MAX}"
    for digits in ("price_digits", "lot_digits"):
        if not 0 <= getattr(instrument, digits) <= DIGITS_MAX:
            return digits, f"{digits} is from 0 to {DIGITS_MAX}"
    if instrument.lot_min > instrument.lot_max:
        return "lot_min", "lot_min is not above lot_max"
    option = instrument.option
    if option is not None and not (option.strike.is_finite() and 0 < option.strike <= TERM_MAX):
        return "option", f"a strike is above 0, and at most {TERM_MAX}"
    if instrument.quote_filter is not None and (fault := filter_fault(quote_filter=instrument.quote_filter)):
        return f"quote_filter.{fault[0]}", fault[1]
    return None
