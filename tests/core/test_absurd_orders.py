"""Orders whose numbers mean nothing are denied with reasons; none may bring the desk down."""

from __future__ import annotations

import pytest

from piggy.core.events import OrderDenied
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
