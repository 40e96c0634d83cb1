"""Cancelling what lives at a venue: asked once, ended by the venue's word, and never worked again meanwhile."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core.orders import OrderState, Side
from tests.core.floor import Floor, names


@pytest.fixture
def floor() -> Floor:
    return Floor()


def cancel_of(order_id: str = "O000000001", account_id: str = "a1") -> cmd.CancelOrder:
    return cmd.CancelOrder(order_id=order_id, account_id=account_id, reason="asked")


def test_an_order_at_a_venue_is_cancelled_when_the_venue_says_so(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    (asked,) = floor.do(cancel_of())
    assert (asked.cl_ord_id, asked.venue, asked.quantity) == (leg.cl_ord_id, leg.venue, Decimal(1))
    assert floor.desk.unanswered_cancels() == (asked,)
    assert floor.do(cancel_of())[0].code == "CANCEL_PENDING"
    assert floor.order(1).state is OrderState.ROUTED
    ended = floor.done(leg)
    assert names(ended) == ["ChildOrderClosed", "OrderCancelled"], "it is not sent to the next venue"
    assert floor.order(1).state is OrderState.CANCELLED
    assert floor.desk.unanswered_cancels() == ()
    assert floor.desk.state.reserved["a1"] == 0


def test_a_fill_that_was_quicker_than_the_cancel_counts(floor: Floor) -> None:
    """F-13."""
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.do(cancel_of())
    floor.fill(leg, "1.10010", lots="0.4")
    ended = floor.done(leg, filled="0.4")
    assert names(ended) == ["ChildOrderClosed", "OrderCancelled"]
    order = floor.order(1)
    assert (order.filled, order.state) == (Decimal("0.4"), OrderState.CANCELLED)


def test_a_refused_cancel_lets_the_order_work_on(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.do(cancel_of())
    refused = cmd.RecordVenueCancelReject(
        venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="too late", occurred_at_us=floor.now_us
    )
    assert names(floor.do(refused)) == ["ChildCancelRejected"]
    assert floor.do(refused) == [], "said twice, heard once"
    assert "ChildOrderCreated" in names(floor.reject(leg)), "the next venue is asked as ever"
    assert names(floor.do(cancel_of())) == ["ChildCancelRequested"]


def test_an_order_in_two_legs_ends_when_both_have(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "3")
    first, second = floor.children()
    assert names(floor.do(cancel_of())) == ["ChildCancelRequested"] * 2
    assert names(floor.done(first)) == ["ChildOrderClosed"]
    assert names(floor.done(second)) == ["ChildOrderClosed", "OrderCancelled"]


def test_an_order_works_on_only_when_no_leg_is_being_cancelled_any_more(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "6", limit_price="1.10014")
    legs = floor.children()
    assert names(floor.do(cancel_of())) == ["ChildCancelRequested"] * len(legs) and len(legs) > 1
    for number, leg in enumerate(legs, 1):
        refused = cmd.RecordVenueCancelReject(
            venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="too late", occurred_at_us=floor.now_us
        )
        assert names(floor.do(refused)) == ["ChildCancelRejected"]
        assert len(floor.desk.state.resting["EURUSD"]) == (number == len(legs))


def test_lots_that_rest_beside_a_leg_are_not_dealt_while_their_order_is_being_cancelled(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "6", limit_price="1.10014")
    assert len(floor.desk.state.resting["EURUSD"]) == 1
    legs = floor.children()
    floor.do(cancel_of())
    assert len(floor.desk.state.resting["EURUSD"]) == 0
    floor.quotes("-0.00100")
    assert not {"OrderFilled", "ChildOrderCreated"} & set(names(floor.act()))
    for leg in legs:
        floor.done(leg)
    assert floor.order(1).state is OrderState.CANCELLED
