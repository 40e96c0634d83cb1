"""Cancelling what lives at a venue: asked once, ended by the venue's word, and never worked again meanwhile."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.hedging import HedgePolicy
from piggy.core.orders import OrderState, Side, TimeInForce
from tests.core.floor import SECOND_US, Floor, names, only


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


def kill(floor: Floor, scope: str = "tenant", key: str = "", **more: Any) -> list[ev.AnyEvent]:
    return floor.do(
        cmd.SetTradingState(scope=scope, key=key, state=TradingState.KILLED, reason="now", by="tess", **more)
    )


def cancel_reject(floor: Floor, leg: ev.ChildOrderCreated) -> list[ev.AnyEvent]:
    command = cmd.RecordVenueCancelReject(
        venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="too late", occurred_at_us=floor.now_us
    )
    return floor.do(command)


@pytest.mark.parametrize(
    "scope", [("firm", ""), ("tenant", ""), ("group", "a"), ("account", "a1"), ("symbol", "EURUSD")], ids=str
)
def test_inv_16_a_kill_reaches_the_legs_at_venues_of_its_scope(floor: Floor, scope: tuple[str, str]) -> None:
    floor.place("a1", Side.BUY, "3")
    floor.open_account("a2", group="mixed")
    floor.place("a2", Side.BUY, "1", limit_price="1.09990")
    legs = floor.children()
    wide = scope[0] in ("firm", "tenant", "symbol")
    events = kill(floor, *scope)
    assert {event.cl_ord_id for event in only(events, ev.ChildCancelRequested)} == {leg.cl_ord_id for leg in legs}
    assert len(only(events, ev.OrderCancelled)) == wide, "what rests ends at once"
    assert kill(floor, *scope)[1:] == [], "and once"
    assert names(floor.done(legs[0])) == ["ChildOrderClosed"]
    (ended,) = only(floor.done(legs[1]), ev.OrderCancelled)
    assert (ended.outcome, ended.reason) == ("cancelled", "killed: now")


def test_a_kill_of_another_scope_or_one_that_leaves_orders_asks_no_venue(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    assert names(kill(floor, "account", "b1")) == ["TradingStateChanged"]
    assert names(kill(floor, "tenant", cancel_working=False)) == ["TradingStateChanged"]


def test_what_a_killed_venue_gives_back_is_dealt_elsewhere(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    (_, asked) = kill(floor, "venue", leg.venue)
    assert (asked.cl_ord_id, asked.keeps_order) == (leg.cl_ord_id, True)
    (elsewhere,) = only(floor.done(leg), ev.ChildOrderCreated)
    assert elsewhere.venue != leg.venue


def test_a_client_may_still_cancel_what_a_killed_venue_was_asked_for(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    kill(floor, "venue", leg.venue)
    assert names(floor.do(cancel_of())) == ["ChildCancelRequested"]
    assert names(floor.done(leg)) == ["ChildOrderClosed", "OrderCancelled"]


def test_a_kill_recalls_the_houses_own_hedges_and_a_refusal_leaves_them(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    policy = HedgePolicy(key="EURUSD", symbol="EURUSD", threshold=Decimal("0.5"), version=1)
    floor.do(cmd.ConfigureHedging(policy=policy))
    floor.act()
    (leg,) = floor.children()
    (asked,) = only(kill(floor, "symbol", "EURUSD"), ev.ChildCancelRequested)
    assert asked.order_id == leg.order_id
    assert names(cancel_reject(floor, leg)) == ["ChildCancelRejected"]
    assert names(floor.done(leg)) == ["ChildOrderClosed", "HedgeClosed"]


def test_an_order_whose_time_is_up_is_taken_back_from_its_venue_and_ends_as_expired(floor: Floor) -> None:
    until_us = floor.now_us + 60 * SECOND_US
    floor.place("a1", Side.BUY, "6", limit_price="1.10014", time_in_force=TimeInForce.GTD, expires_at_us=until_us)
    floor.act()
    legs = floor.children()
    floor.now_us = until_us
    asked = floor.act()
    assert [event.cl_ord_id for event in only(asked, ev.ChildCancelRequested)] == [leg.cl_ord_id for leg in legs]
    assert cmd.ActOnTime() not in floor.desk.due(now_us=floor.now_us + SECOND_US), "asked once, then waited for"
    ended = [event for leg in legs for event in only(floor.done(leg), ev.OrderCancelled)]
    assert [(event.outcome, event.reason) for event in ended] == [("expired", "gtd ended")]


def test_a_venue_that_refuses_to_give_an_expired_order_back_is_not_asked_without_end(floor: Floor) -> None:
    until_us = floor.now_us + 60 * SECOND_US
    floor.place("a1", Side.BUY, "1", limit_price="1.10014", time_in_force=TimeInForce.GTD, expires_at_us=until_us)
    (leg,) = floor.children()
    floor.now_us = until_us
    floor.act()
    cancel_reject(floor, leg)
    assert floor.act() == []
    floor.fill(leg, "1.10010", lots="0.4")
    floor.done(leg, filled="0.4")
    order = floor.order(1)
    assert (order.filled, order.state) == (Decimal("0.4"), OrderState.EXPIRED)


def test_what_a_venue_kept_at_a_kill_is_not_dealt_on_when_it_comes_back(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1", limit_price="1.10014")
    (leg,) = floor.children()
    kill(floor)
    cancel_reject(floor, leg)
    assert names(floor.done(leg)) == ["ChildOrderClosed", "OrderCancelled"]


def test_p_29_legs_of_a_client_who_dropped_off_are_taken_back(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.do(cmd.ReportConnection(account_id="a1", connected=False))
    floor.now_us += 3_600 * SECOND_US
    assert [event.cl_ord_id for event in only(floor.act(), ev.ChildCancelRequested)] == [leg.cl_ord_id]
