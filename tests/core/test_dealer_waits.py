"""A wait for a dealer that something else ends first: the order's own time, or a close that is on its way out."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode
from piggy.core.orders import Side, TimeInForce
from piggy.core.routing_rules import RoutingPolicy
from tests.core.floor import SECOND_US, Floor, only
from tests.core.test_dealing import rules


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.do(rules())
    return made


def test_an_order_whose_own_time_ends_with_its_wait_ends_once(floor: Floor) -> None:
    floor.do(rules(timeout_s=10))
    expires_at_us = floor.now_us + 12 * SECOND_US  # It is placed two seconds from now.
    floor.place("b1", Side.BUY, "1", time_in_force=TimeInForce.GTD, expires_at_us=expires_at_us)
    floor.now_us += 10 * SECOND_US
    assert [event.outcome for event in only(floor.act(), ev.OrderCancelled)] == ["expired"]


def test_what_is_on_its_way_out_is_not_closed_by_hand_as_well(floor: Floor) -> None:
    """INV-17: the venue has the last lot of the position."""
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1)))
    floor.place("b1", Side.BUY, "1")
    floor.do(rules())
    floor.place("b1", Side.SELL, "1", reduce_only=True)
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=4)))
    group = msgspec.structs.replace(floor.desk.state.groups["b"], book_mode=BookMode.A, version=2)
    floor.do(cmd.ConfigureGroup(group=group))
    floor.place("b1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("b1", Side.SELL, "2")
    assert [leg.quantity for leg in floor.children()] == [D(1)] and floor.desk.state.positions["b1:EURUSD"].lots == 1
    decided, cancelled = floor.do(cmd.FillByDealer(order_id="O000000002", by="ann"))
    assert isinstance(decided, ev.DealerDecided) and decided.reason == "nothing left to reduce"
    assert isinstance(cancelled, ev.OrderCancelled)
