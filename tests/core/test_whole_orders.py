"""Fill-or-kill and all-or-none: all or nothing for the client, whatever venues reply and however the flow is split.

WHOLE_ORDERS sets how many random flows are tried.
"""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import BookMode
from piggy.core.orders import OrderState, OrderType, Side, TimeInForce
from piggy.core.routing_rules import RoutingPolicy, RoutingRule
from tests.core.floor import Floor, only

FOK = TimeInForce.FOK
D = Decimal
EXAMPLES = int(os.environ.get("WHOLE_ORDERS", "40"))


def floor_with(*, a_percent: int = 40, **rule: Any) -> Floor:
    """A floor whose mixed flow is passed on by so many percent, by a rule where the B book's room is limited."""
    floor = Floor(a_book_percent=D(a_percent))
    if rule:
        mixed = RoutingRule(name="mixed", priority=1, book_mode=BookMode.MIXED, a_book_percent=D(a_percent), **rule)
        floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(mixed,))))
    return floor


def parts(events: list[ev.AnyEvent]) -> tuple[str, D, D, D]:
    """Return how the first order's decision divides it: mode, A, B, crossed."""
    made = only(events, ev.OrderAccepted)[0].routing
    return made.mode, made.a_quantity, made.b_quantity, made.cross_quantity


@pytest.mark.parametrize(
    ("a_percent", "mode", "a_lots", "b_lots"),
    [(40, "B", "0", "1"), (49, "B", "0", "1"), (50, "A", "1", "0"), (51, "A", "1", "0")],
)
def test_a_fill_or_kill_of_mixed_flow_goes_whole_to_the_larger_side(
    a_percent: int, mode: str, a_lots: str, b_lots: str
) -> None:
    events = floor_with(a_percent=a_percent).place("mixed1", Side.BUY, "1", time_in_force=FOK)
    assert parts(events) == (mode, D(a_lots), D(b_lots), D(0))
    reason = only(events, ev.OrderAccepted)[0].routing.text
    assert f"all or nothing: {'whole' if mode == 'A' else 'none'} to A instead of 0 crossed, 0.{a_percent} A" in reason


def test_a_side_that_has_not_all_of_it_leaves_it_to_the_other() -> None:
    """No venue shows three lots, all of them together do: the house may keep what no venue takes whole."""
    events = floor_with(a_percent=60).place("mixed1", Side.BUY, "3", time_in_force=FOK)
    assert parts(events)[:3] == ("B", D(0), D(3))
    assert sum(fill.quantity for fill in only(events, ev.OrderFilled)) == 3


@pytest.mark.parametrize(("room", "mode"), [("0.99", "A"), ("1", "B"), ("1.01", "B")])
def test_the_house_keeps_a_whole_only_while_its_book_has_room(room: str, mode: str) -> None:
    events = floor_with(b_net_max_lots=D(room)).place("mixed1", Side.BUY, "1", time_in_force=FOK)
    assert parts(events)[0] == mode


def test_a_whole_goes_to_a_venue_that_shows_it_and_not_to_the_best() -> None:
    floor = floor_with()
    floor.quote("LP3", "1.09999", "1.10012", size="5")
    events = floor.place("a1", Side.BUY, "3", limit_price="1.10100", time_in_force=FOK)
    (leg,) = only(events, ev.ChildOrderCreated)
    assert (leg.venue, leg.quantity, leg.time_in_force) == ("LP3", D(3), "fok")


@pytest.mark.parametrize(("size", "sent"), [("2.99", 0), ("3", 1), ("3.01", 1)])
def test_a_whole_is_sent_only_where_all_of_it_is_shown(size: str, sent: int) -> None:
    floor = floor_with()
    floor.quote("LP3", "1.09999", "1.10012", size=size)
    events = floor.place("a1", Side.BUY, "3", limit_price="1.10100", time_in_force=FOK)
    assert len(only(events, ev.ChildOrderCreated)) == sent
    assert len(only(events, ev.OrderCancelled)) == 1 - sent


def test_what_could_cross_in_part_is_left_alone_when_the_rest_must_go_to_a_venue() -> None:
    floor = floor_with()
    floor.place("b2", Side.SELL, "0.4", limit_price="1.10008")
    events = floor.place("a1", Side.BUY, "1", limit_price="1.10100", time_in_force=FOK)
    assert parts(events) == ("A", D(1), D(0), D(0)) and not only(events, ev.OrderFilled)


def test_what_crosses_in_part_is_kept_for_the_rest_at_once() -> None:
    """Crossing and keeping both happen here and now, so together they can be held to all or nothing."""
    floor = floor_with()
    floor.place("b2", Side.SELL, "0.4", limit_price="1.10008")
    events = floor.place("mixed1", Side.BUY, "1", limit_price="1.10100", time_in_force=FOK)
    assert parts(events) == ("MIXED", D(0), D("0.6"), D("0.4"))
    assert floor.order(2).state is OrderState.FILLED


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_venue_that_breaks_fill_or_kill_costs_the_client_nothing(side: Side) -> None:
    """It fills a part and ends the leg: the house gives the rest at the same price; the breach is told and counted."""
    floor = Floor(commission_per_lot=D(3))
    floor.place("a1", side, "2", time_in_force=FOK)
    (leg,) = floor.children()
    floor.fill(leg, "1.10007", lots="0.5")
    events = floor.done(leg, filled="0.5")
    (made_good,) = only(events, ev.OrderFilled)
    (venues_own,) = [row.event for row in floor.log if isinstance(row.event, ev.OrderFilled)][:1]
    assert (made_good.quantity, made_good.book, made_good.price) == (D("1.5"), "B", venues_own.price)
    assert made_good.raw_price == venues_own.raw_price and "makes it good" in made_good.reason
    assert floor.order(1).state is OrderState.FILLED
    (told,) = floor.desk.state.suspended
    assert (told.code, told.venue) == ("fok_broken", leg.venue)
    assert floor.desk.state.scores[leg.venue].fill_ratio == D("0.25")
    exposure = floor.desk.state.exposure["EURUSD"]
    assert (exposure.b_net, exposure.a_net) == (side.sign * D("1.5"), side.sign * D("0.5"))


def test_a_part_that_the_market_made_dearer_is_averaged_in_the_clients_favour() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "2", limit_price="1.10100", time_in_force=FOK)
    (leg,) = floor.children()
    floor.fill(leg, "1.10000", lots="1")
    floor.fill(leg, "1.10001", lots="0.5")
    (made_good,) = only(floor.done(leg, filled="1.5"), ev.OrderFilled)
    assert made_good.price == D("1.10003")  # 1.1000033… with three points of markup.


def test_a_breach_told_before_its_fill_is_made_good_at_the_price_of_that_fill() -> None:
    """The venue ends the leg first and reports the fill afterwards: the average knows it already."""
    floor = Floor()
    floor.place("a1", Side.BUY, "2", time_in_force=FOK)
    (leg,) = floor.children()
    assert not only(floor.done(leg, filled="0.5"), ev.OrderFilled)
    venues_own, made_good = only(floor.fill(leg, "1.10007", lots="0.5"), ev.OrderFilled)
    assert (venues_own.quantity, venues_own.book) == (D("0.5"), "A")
    assert (made_good.quantity, made_good.book, made_good.price) == (D("1.5"), "B", venues_own.price)
    assert floor.order(1).state is OrderState.FILLED


def test_a_client_who_cancels_after_the_breach_still_has_all_of_it() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "2", time_in_force=FOK)
    (leg,) = floor.children()
    floor.fill(leg, "1.10007", lots="0.5")
    floor.do(cmd.CancelOrder(order_id="O000000001", account_id="a1", reason="client"))
    floor.done(leg, filled="0.5")
    assert floor.order(1).state is OrderState.FILLED


@pytest.mark.parametrize(("meanwhile", "given"), [("0.7", "0.8"), ("1.4", "0.1"), ("1.5", "0"), ("1.6", "0")])
def test_what_only_reduces_is_given_no_more_than_there_is_to_reduce(meanwhile: str, given: str) -> None:
    """The position went while the leg was out, in part or whole; all or nothing never turns it round."""
    floor = Floor()
    floor.place("a1", Side.BUY, "2")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("a1", Side.SELL, "2", reduce_only=True, time_in_force=FOK)
    (leg,) = floor.children()
    floor.place("a1", Side.SELL, meanwhile)
    for child in floor.children():
        floor.fill(child, "1.10000", lots="0.5" if child == leg else "")
    made_good = only(floor.done(leg, filled="0.5"), ev.OrderFilled)
    assert sum(event.quantity for event in made_good) == D(given)
    held = sum(each.quantity for each in floor.desk.state.positions.values() if each.account_id == "a1")
    assert held == min(D(0), D("1.5") - D(meanwhile)), "what it was sold by itself"
    assert not floor.desk.state.open_orders.get("a1")


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_no_order_that_is_all_or_nothing_ever_ends_in_part(data: st.DataObject) -> None:
    """Any flow, any split, anything that the venues reply: it ends filled whole or not at all."""
    room = data.draw(st.sampled_from([None, D("0.5"), D(3)]))
    floor = floor_with(a_percent=data.draw(st.sampled_from([0, 30, 50, 70, 100])), b_net_max_lots=room)
    for venue, bid, ask in (("LP1", "1.10000", "1.10010"), ("LP2", "1.10001", "1.10011")):
        floor.quote(venue, bid, ask, size=data.draw(st.sampled_from(["0.5", "1", "2", "5"])))
    sizes = st.sampled_from(["0.3", "1", "2.5", "4"])
    if data.draw(st.booleans()):
        floor.place("b2", Side.SELL, data.draw(sizes), limit_price="1.10009")
    if data.draw(st.booleans()):
        floor.place("mixed1", data.draw(st.sampled_from(list(Side))), data.draw(sizes))
        settle(floor, data)
    whole = data.draw(st.sampled_from([{"time_in_force": FOK}, {"all_or_none": True}, {"time_in_force": FOK}]))
    kind = data.draw(st.sampled_from([{"limit_price": "1.10060"}, {"type": OrderType.MARKET}]))
    side = Side.BUY if "limit_price" in kind else data.draw(st.sampled_from(list(Side)))
    events = floor.place("mixed1", side, data.draw(sizes), **whole, **kind)
    mine = events[0].order_id
    settle(floor, data)
    order = floor.desk.state.orders[mine]
    assert order.filled in (0, order.quantity), (order.state, order.filled)
    assert order.state.final or whole == {"all_or_none": True}
    for row in floor.log:
        assert ledger.is_balanced(ledger.postings(event=row.event, currency="USD"))


def settle(floor: Floor, data: st.DataObject) -> None:
    """Let venues answer every leg somehow, also against their word, until none is out."""
    for _ in range(40):
        legs = floor.children()
        if not legs:
            return
        leg = legs[0]
        child = floor.desk.state.children[leg.cl_ord_id]
        reply = data.draw(st.sampled_from(["fill", "part", "reject", "done", "doubt", "early end"]))
        if reply == "fill":
            floor.fill(leg, str(leg.limit_price))
        elif reply == "part":
            floor.fill(leg, str(leg.limit_price), lots=str(child.leaves / 2))
            floor.done(leg, filled=str(floor.desk.state.children[leg.cl_ord_id].filled))
        elif reply == "reject":
            floor.reject(leg)
        elif reply == "done":
            floor.done(leg, filled=str(child.filled))
        elif reply == "doubt":
            floor.do(
                cmd.RecordVenueDoubt(venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="?", occurred_at_us=floor.now_us)
            )
        elif child.leaves > D("0.1"):
            floor.done(leg, filled=str(child.filled + D("0.1")))
            floor.fill(leg, str(leg.limit_price), lots="0.1")
    for leg in floor.children():
        floor.fill(leg, str(leg.limit_price))
