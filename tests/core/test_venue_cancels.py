"""Cancelling what lives at a venue: asked once, ended by the venue's word, and never worked again meanwhile."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState, Venue
from piggy.core.hedging import HedgePolicy
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import OrderState, OrderTerms, Side, TimeInForce
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


def suspend(floor: Floor, **more: Any) -> list[ev.AnyEvent]:
    return floor.do(
        cmd.SetTradingState(
            scope="firm", key="", state=TradingState.REDUCING, reason="unpaid", by="platform", suspends=True, **more
        )
    )


def test_f_33_a_suspension_takes_back_what_works_keeps_exits_and_lets_clients_close(floor: Floor) -> None:
    (filled,) = only(floor.place("b1", Side.BUY, "1"), ev.OrderFilled)
    floor.place("b1", Side.SELL, "0.5", limit_price="1.10500", reduce_only=True)
    floor.place("b1", Side.BUY, "1", limit_price="1.09900")
    floor.place("a1", Side.BUY, "1")
    legs = floor.children()
    events = suspend(floor)
    assert {event.cl_ord_id for event in only(events, ev.ChildCancelRequested)} == {leg.cl_ord_id for leg in legs}
    (ended,) = only(events, ev.OrderCancelled)
    assert ended.reason == "suspended: unpaid"
    exits = [order for order in floor.desk.state.orders.values() if order.terms.reduce_only]
    assert [order.state.final for order in exits] == [False]
    (refused,) = only(floor.place("b1", Side.BUY, "1"), ev.OrderDenied)
    assert "P-01" in {check.code for check in refused.verdict.reasons}
    (closed,) = only(floor.place("b1", Side.SELL, "0.4"), ev.OrderFilled)
    assert (filled.quantity, closed.quantity) == (Decimal(1), Decimal("0.4"))
    assert names(suspend(floor)) == ["TradingStateChanged"], "once"


def test_f_33_a_suspension_may_leave_orders_and_never_opens_what_was_stopped(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    assert names(suspend(floor, cancel_working=False)) == ["TradingStateChanged"]
    kill(floor, "firm")
    suspend(floor)
    assert floor.desk.state.trading_states["firm", ""] is TradingState.KILLED


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


def cancel_refused(leg: ev.ChildOrderCreated, floor: Floor) -> cmd.RecordVenueCancelReject:
    return cmd.RecordVenueCancelReject(
        venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="too late", occurred_at_us=floor.now_us
    )


def test_a_last_look_that_takes_too_long_is_asked_back_once_and_nothing_is_sent_before_it_ends(floor: Floor) -> None:
    """F-18: 5 s, while the price moves; after the cancel only the LP's word frees the lots, for another venue."""
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.do(
        cmd.RecordVenueAck(venue=leg.venue, cl_ord_id=leg.cl_ord_id, venue_order_id="V1", occurred_at_us=floor.now_us)
    )
    floor.now_us += 5 * SECOND_US - 1
    floor.quotes("0.00500")
    assert "ChildCancelRequested" not in names(floor.act())
    floor.now_us += 1
    (asked,) = only(floor.act(), ev.ChildCancelRequested)
    assert (asked.cl_ord_id, asked.keeps_order, asked.reason) == (leg.cl_ord_id, True, "no end within 5000 ms")
    floor.now_us += 60 * SECOND_US
    assert floor.act() == [] and floor.children() == [leg], "asked once, and no second order"
    assert names(floor.do(cancel_refused(leg, floor))) == ["ChildCancelRejected"]
    assert floor.act() == [] and floor.children() == [leg]
    floor.do(cmd.RecordVenueDoubt(venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="silent", occurred_at_us=floor.now_us))
    assert floor.act() == [] and floor.children() == [leg] and floor.order(1).state is OrderState.IN_DOUBT
    floor.requote()
    floor.done(leg)
    (second,) = floor.children()
    assert second.attempt == 2


def test_a_leg_that_was_asked_back_goes_to_another_venue_and_one_that_fills_meanwhile_counts(floor: Floor) -> None:
    """F-18."""
    floor.place("a1", Side.BUY, "1")
    floor.place("a1", Side.BUY, "0.5")
    slow, filled = floor.children()
    floor.now_us += 5 * SECOND_US
    floor.requote()
    assert [asked.cl_ord_id for asked in only(floor.act(), ev.ChildCancelRequested)] == [
        slow.cl_ord_id, filled.cl_ord_id
    ]  # fmt: skip
    assert "OrderFilled" in names(floor.fill(filled, "1.10010"))
    floor.done(slow)
    (second,) = floor.children()
    assert slow.venue == "LP1" and second.venue == "LP2" and second.order_id == slow.order_id
    assert floor.order(2).filled == Decimal("0.5")


def test_each_venue_has_its_own_time_to_answer_and_a_hedge_is_asked_back_too(floor: Floor) -> None:
    """F-18: LP1 may take a second, LP2 as long as ever."""
    floor.do(cmd.ConfigureVenue(venue=Venue(name="LP1", priority=1, quote_age_ms_max=600_000, answer_ms_max=1_000)))
    floor.place("a1", Side.BUY, "3")
    first, other = floor.children()
    assert (first.venue, other.venue) == ("LP1", "LP2")
    floor.do(cmd.CoverByHand(symbol="EURUSD", by="ann", reason="drill", side=Side.BUY, quantity=Decimal("0.1")))
    hedge = floor.children()[-1]
    floor.now_us += SECOND_US
    assert [asked.cl_ord_id for asked in only(floor.act(), ev.ChildCancelRequested)] == [
        leg.cl_ord_id for leg in (first, hedge) if leg.venue == "LP1"
    ]
    floor.now_us += 4 * SECOND_US
    assert {asked.cl_ord_id for asked in only(floor.act(), ev.ChildCancelRequested)} == {
        leg.cl_ord_id for leg in (other, hedge) if leg.venue != "LP1"
    }


def test_a_venue_that_is_cut_off_gets_nothing_new_and_its_legs_count_as_filled_until_it_is_back(floor: Floor) -> None:
    """F-06: what is open there is unknown and counts in full in margin and exposure; new orders go to the others."""
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    reserved = floor.desk.state.reserved["a1"]
    floor.desk.status(status=VenueStatus(venue="LP1", state=VenueState.DOWN, text="no heartbeat", at_us=floor.now_us))
    floor.do(
        cmd.RecordVenueDoubt(venue="LP1", cl_ord_id=leg.cl_ord_id, text="session lost", occurred_at_us=floor.now_us)
    )
    order = floor.order(1)
    assert order.state is OrderState.IN_DOUBT and (order.leaves, order.routed) == (1, 1)
    state = floor.desk.state
    assert reserved > 0 and state.reserved["a1"] == reserved
    mine, theirs = state.account_risks["a1"].symbols["EURUSD"], state.venue_risks["LP1"].symbols["EURUSD"]
    assert mine.lots == theirs.lots == 1
    floor.now_us += 2 * SECOND_US
    for venue in ("LP2", "LP3"):
        floor.quote(venue, "1.10000", "1.10010")
    terms = OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(3))
    floor.do(cmd.PlaceOrder(terms=terms))
    assert {child.venue for child in floor.children() if child is not leg} == {"LP2", "LP3"}
    floor.desk.status(status=VenueStatus(venue="LP1", state=VenueState.READY, text="back", at_us=floor.now_us))
    floor.fill(leg, "1.10010")
    assert order.filled == 1 and state.venue_risks["LP1"].symbols["EURUSD"].buys == 0
