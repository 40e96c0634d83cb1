"""Orders that wait for a dealer and end for a reason of their own."""

from __future__ import annotations

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.orders import OrderState, Side, TimeInForce
from piggy.core.routing_rules import RoutingPolicy
from tests.core.floor import SECOND_US, Floor, names, only
from tests.core.test_dealing import ASKED, rules


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.do(rules())
    return made


def test_a_reducing_order_whose_position_turned_while_it_waited_is_let_go(floor: Floor) -> None:
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=4, rules=())))
    floor.place("b1", Side.BUY, "1")
    floor.do(rules())
    floor.place("b1", Side.SELL, "1", reduce_only=True)
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=5, rules=())))
    events = floor.place("b1", Side.SELL, "2")
    (ended,) = only(events, ev.OrderCancelled)
    assert (ended.order_id, ended.reason) == ("O000000002", "nothing left to reduce")
    (refused,) = floor.do(cmd.FillByDealer(order_id="O000000002", by="ann"))
    assert isinstance(refused, ev.CommandRefused) and floor.order(2).state.final


def test_an_order_that_ends_for_another_reason_is_not_answered_for_as_well(floor: Floor) -> None:
    """Its own time and the dealer's run out together: it expires, once."""
    ends_at_us = floor.now_us + 12 * SECOND_US
    floor.do(rules(timeout_s=10))
    floor.place("b1", Side.BUY, "1", limit_price=str(ASKED), time_in_force=TimeInForce.GTD, expires_at_us=ends_at_us)
    assert floor.order(1).state is OrderState.WITH_DEALER
    floor.now_us = ends_at_us
    events = floor.do(cmd.ActOnTime())
    assert names(events).count("OrderCancelled") == 1
    assert floor.order(1).state is OrderState.EXPIRED
