"""Fills whose numbers mean nothing are kept for a person; the odd ones that venues do write are fills."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import events as ev
from piggy.core.orders import Side
from tests.core.floor import only
from tests.core.hedging_floor import House
from tests.core.test_corrections import correct


@pytest.mark.parametrize("price", ["1E400", "1E30", "1E13", "30000000000", "1.100000000000000000001"])
@pytest.mark.parametrize("restated", [False, True])
def test_an_execution_that_no_arithmetic_can_hold_is_kept_for_a_person(price: str, restated: bool) -> None:
    """F-14: taken, it would leave the desk no digits for the margin of what it opens, and so no answer at all."""
    floor = House()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    if restated:
        floor.fill(leg, "1.1", lots="0.5", fill_id="X1")
        events = correct(floor, leg, "X1", quantity=Decimal("0.5"), price=Decimal(price))
    else:
        events = floor.fill(leg, price, lots="0.5")
    assert [
        (kept.code, str(Decimal(price)) in kept.text or restated) for kept in only(events, ev.VenueReportSuspended)
    ] == [("bad_numbers", True)]
    assert not only(events, ev.OrderFilled)
    assert floor.desk.state.children[leg.cl_ord_id].filled == (Decimal("0.5") if restated else 0)


@pytest.mark.parametrize("price", ["1.1000000000000001", "1.10000000000000000000000000000", "0.00012345678901234567"])
def test_a_fill_told_to_the_last_digit_of_a_double_is_a_fill(price: str) -> None:
    floor = House()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    events = floor.fill(leg, price)
    assert only(events, ev.OrderFilled) and not only(events, ev.VenueReportSuspended)
