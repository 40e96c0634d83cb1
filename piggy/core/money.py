"""Money: an exact amount in one currency, and the one place that rounds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

ZERO = Decimal(0)

# ISO 4217 minor units; any currency not named here has two.
MINOR_UNITS = {"JPY": 0, "KRW": 0, "HUF": 2, "BTC": 8, "ETH": 8, "USDT": 6, "BHD": 3, "KWD": 3}
CENT = Decimal("0.01")
_STEPS = {currency: Decimal(1).scaleb(-digits) for currency, digits in MINOR_UNITS.items()}


class UnableToAddMoney(Exception):
    """Two amounts of different currencies were put together without a rate."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of one currency; `amount` is exact and never rounded by arithmetic."""

    amount: Decimal
    currency: str

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        return Money(self.amount * factor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def rounded(self) -> Money:
        """Return the amount at the currency's minor unit (half to even)."""
        return Money(round_money(amount=self.amount, currency=self.currency), self.currency)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise UnableToAddMoney(f"{self.currency} and {other.currency} need a rate first.")


def minor_unit(*, currency: str) -> Decimal:
    """Return the smallest amount that `currency` is booked in, 0.01 for most."""
    return _STEPS.get(currency, CENT)


def round_money(*, amount: Decimal, currency: str) -> Decimal:
    """Return `amount` at the minor unit of `currency`, half to even (no drift over many bookings)."""
    return amount.quantize(minor_unit(currency=currency), rounding=ROUND_HALF_EVEN)


def plain(number: Decimal) -> str:
    """Return `number` as people and the wire write it: no exponent, no trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
