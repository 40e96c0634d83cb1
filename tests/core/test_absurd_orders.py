"""Orders whose numbers mean nothing are denied with reasons; none may bring the desk down."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core.commands import AmendOrder, ConfigureMargin
from piggy.core.events import CommandRefused, OrderDenied
from piggy.core.margin import MarginSettings, MarginTier
from piggy.core.orders import Side
from tests.core.floor import Floor

ABSURD = ["1E+999999", "1E+40", "NaN", "sNaN", "Infinity", "-Infinity", "-1", "0"]


@pytest.fixture(scope="module")
def floor() -> Floor:
    return Floor()


@pytest.mark.parametrize("price", [None, *ABSURD, "1E-999999"])
@pytest.mark.parametrize("quantity", [*ABSURD, "1E-999999"])
def test_absurd_numbers_are_denied_with_reasons(floor, quantity, price):
    before = floor.desk.state.positions.copy()
    [event] = floor.place("b1", Side.BUY, quantity, **({} if price is None else {"limit_price": price}))
    assert isinstance(event, OrderDenied)
    assert "P-06" in [reason.code for reason in event.verdict.reasons]
    assert floor.desk.state.positions == before


def test_a_price_of_next_to_nothing_is_denied_where_margin_has_tiers(floor):
    """P-06: what a lot at 1E-999999 is worth divides nothing."""
    settings = MarginSettings(tiers=(MarginTier(above=Decimal(10) ** 12, percent=Decimal(5)),))
    floor.do(ConfigureMargin(group="b", symbol="EURUSD", settings=settings))
    [event] = floor.place("b1", Side.BUY, "0.1", limit_price="1E-999999")
    assert isinstance(event, OrderDenied)
    assert "cannot be judged" in {reason.code: reason for reason in event.verdict.reasons}["P-17"].text
    floor.do(ConfigureMargin(group="b", symbol="EURUSD", settings=MarginSettings()))


@pytest.mark.parametrize("limit_price", ["1000000000000", "999999999999.99999"])
def test_the_largest_numbers_that_are_numbers_are_denied_with_reasons(floor, limit_price):
    """A million million lots at as much a lot bind more than has cents: the gate says so and goes on."""
    [event] = floor.place("b1", Side.BUY, "1000000000000", limit_price=limit_price)
    assert isinstance(event, OrderDenied)
    assert {"P-06", "P-07", "P-08", "P-17", "P-18", "P-19"} <= {reason.code for reason in event.verdict.reasons}
    before = floor.place("b1", Side.BUY, "0.1", limit_price="1.09900")[0]
    amend = {"order_id": before.order_id, "account_id": "b1", "quantity": Decimal(10) ** 12}
    refused, denied = floor.do(AmendOrder(limit_price=Decimal(limit_price), **amend))
    assert isinstance(refused, CommandRefused) and "P-17" in [check.code for check in denied.verdict.reasons]
