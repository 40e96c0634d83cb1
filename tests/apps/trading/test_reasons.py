"""A denial names the field that the client can change."""

from __future__ import annotations

import pytest

from apps.trading.api.reasons import field_of, figure


@pytest.mark.parametrize(
    ("code", "text", "field"),
    [
        ("P-07", "the order value is too large", "quantity"),
        ("P-07", "no live price for EURUSD", "symbol"),
        ("P-02", "no such account", "account_id"),
        ("P-06", "the quantity must be a multiple of 0.01 lots", "quantity"),
        ("P-06", "this order type needs a stop price", "stop_price"),
        ("P-06", "this order type needs a limit price", "limit_price"),
        ("P-06", "the take profit must be where the position gains", "take_profit"),
        ("GUARANTEED_STOP", "the guaranteed stop is too near the market", "guaranteed_stop"),
        ("P-06", "the stop loss must be where the position loses", "stop_loss"),
        ("P-06", "the take profit must be a multiple of 0.00001", "take_profit"),
        ("P-06", "the trailing distance must be finite, above zero and at most a million million", "trailing_distance"),
        ("P-06", "what is all or none cannot show a part", "all_or_none"),
        ("P-06", "good till date needs a time to come", "expires_at"),
        ("P-30", "the yearly review of controls is overdue", None),
    ],
)
def test_each_control_names_its_field(code: str, text: str, field: str | None) -> None:
    assert field_of(code=code, text=text) == field


def test_a_collar_names_the_price_that_was_given() -> None:
    assert field_of(code="P-09", text="too far", has_limit_price=True) == "limit_price"
    assert field_of(code="P-09", text="too far", has_limit_price=False) == "stop_price"


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("17.03501583248447863421199397", "17.03501583"),
        ("542420000.00000", "542420000"),
        ("0.00000001", "0.00000001"),
        ("-0.50", "-0.5"),
        ("-1E-12", "0"),
        ("12345678901234567890123456789012345.5", "12345678901234567890123456789012345.5"),
        ("727924 us", "727.924 ms"),
        ("1000 ms", "1000 ms"),
        ("reducing", "reducing"),
        ("not known us", "not known us"),
        ("Infinity", "Infinity"),
        ("9" * 70, "9" * 70),
        ("", None),
    ],
)
def test_a_figure_is_as_long_as_people_read(kept: str, shown: str | None) -> None:
    assert figure(text=kept) == shown
