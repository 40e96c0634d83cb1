"""Money is booked at the minor unit of its currency, as ISO 4217 has it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core.money import round_money

D = Decimal


@pytest.mark.parametrize(
    ("currency", "booked"),
    [
        ("USD", "1234.57"), ("HUF", "1234.57"), ("JPY", "1235"), ("VND", "1235"), ("CLP", "1235"), ("ISK", "1235"),
        ("KWD", "1234.568"), ("TND", "1234.568"), ("OMR", "1234.568"), ("BTC", "1234.56789012"),
    ],
)  # fmt: skip
def test_an_amount_is_booked_in_whole_minor_units(currency: str, booked: str) -> None:
    assert round_money(amount=D("1234.567890123"), currency=currency) == D(booked)
