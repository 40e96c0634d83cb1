"""Money: exact decimal amounts, each field named with its currency, and the one place that rounds them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

ZERO = Decimal(0)

# ISO 4217 minor units; any currency not named here has two.
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_MILLS = "BHD IQD JOD KWD LYD OMR TND"
MINOR_UNITS = {**dict.fromkeys(_WHOLE.split(), 0), **dict.fromkeys(_MILLS.split(), 3), "BTC": 8, "ETH": 8, "USDT": 6}
CENT = Decimal("0.01")
_STEPS = {currency: Decimal(1).scaleb(-digits) for currency, digits in MINOR_UNITS.items()}


def minor_unit(*, currency: str) -> Decimal:
    """Return the smallest amount that `currency` is booked in, 0.01 for most."""
    return _STEPS.get(currency, CENT)


def round_money(*, amount: Decimal, currency: str) -> Decimal:
    """Return `amount` at the minor unit of `currency`, half to even (no drift over many bookings)."""
    return amount.quantize(_STEPS.get(currency, CENT), rounding=ROUND_HALF_EVEN)


def plain(number: Decimal) -> str:
    """Return `number` as people and the wire write it: no exponent, no trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
