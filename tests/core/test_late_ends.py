"""What a venue said of a leg's end before it took a fill back, heard after it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.orders import OrderState, Side
from tests.core.floor import Floor, names, only
from tests.core.test_corrections import bust, correct


@pytest.mark.parametrize("restated", ["", "0.5"])
def test_the_end_of_a_leg_that_was_told_before_a_bust_may_be_heard_after_it(restated: str) -> None:
    """F-13, F-15: an end with more than what is left of the fills is no doubt that nothing would ever settle."""
    floor = Floor()
    floor.place("a1", Side.BUY, "2")
    leg = floor.children()[0]
    floor.fill(leg, "1.10010", lots="0.8", fill_id="E1")
    if restated:
        correct(floor, leg, "E1", quantity=Decimal(restated))
    else:
        bust(floor, leg, "E1")
    assert "ChildOrderInDoubt" in names(floor.done(leg, filled="0.7")), "that many there never were"
    (closed,) = only(floor.done(leg, filled="0.8"), ev.ChildOrderClosed)
    assert closed.filled == Decimal(restated or 0)
    assert leg.cl_ord_id not in floor.desk.state.open_children


@pytest.mark.parametrize("acknowledged", [False, True])
def test_neither_a_late_acknowledgement_nor_a_refusal_settles_a_leg_whose_fill_is_missing(acknowledged: bool) -> None:
    """F-13: the desk goes on showing it as in doubt, and holds its lots against the venue, until the fill has come."""
    floor = Floor()
    floor.place("a1", Side.BUY, "2")
    leg = floor.children()[0]
    ack = cmd.RecordVenueAck(venue=leg.venue, cl_ord_id=leg.cl_ord_id, venue_order_id="V", occurred_at_us=floor.now_us)
    if acknowledged:
        floor.do(ack)
    floor.done(leg, filled="0.8")
    assert floor.do(ack) == [] and floor.reject(leg) == []
    assert floor.order(1).state is OrderState.IN_DOUBT and floor.order(1).routed == 2
    assert only(floor.fill(leg, "1.10010", lots="0.8"), ev.ChildOrderClosed)
