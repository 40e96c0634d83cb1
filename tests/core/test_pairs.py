"""Pairs of orders of which one cancels the other: what comes while the other deals, or is out at a venue."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode
from piggy.core.orders import OrderState, Side, TimeInForce
from piggy.core.routing_rules import Conditions, DealerWait, RoutingPolicy, RoutingRule
from piggy.core.working import PAIRED
from tests.core.floor import Floor, names, only
from tests.core.test_combined_orders import told

FIRST, SECOND = "O000000001", "O000000002"


@pytest.fixture
def floor() -> Floor:
    """The first of a pair of a1's is out at LP1."""
    made = Floor()
    made.place("a1", Side.BUY, "1", limit_price="1.10050", oco_group="pair")
    assert made.order(1).routed == 1
    return made


def test_who_joins_a_pair_while_the_other_is_out_waits_for_its_end(floor: Floor) -> None:
    events = floor.place("a1", Side.SELL, "1", limit_price="1.09990", oco_group="pair")
    assert names(events) == ["OrderAccepted"] and floor.order(2).state is OrderState.WORKING
    assert floor.order(2).routing.text == PAIRED
    assert told(floor.fill(floor.children()[0], "1.10010")) == [
        ("filled", "a1", "A"), ("ended", SECOND, f"order {FIRST} filled"),
    ]  # fmt: skip


def test_who_waited_for_the_other_of_its_pair_deals_once_a_venue_gives_that_back(floor: Floor) -> None:
    floor.place("a1", Side.SELL, "1", limit_price="1.09990", oco_group="pair")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10060", "1.10070")
    floor.done(floor.children()[0])
    floor.act()
    assert [leg.order_id for leg in floor.children()] == [SECOND]


def test_a_sibling_that_is_out_at_a_venue_is_left_to_it(floor: Floor) -> None:
    """LP1 had told the end of the first before its fill; what is out since cannot be called back."""
    floor.place("a1", Side.SELL, "1", limit_price="1.09990", oco_group="pair")
    (first,) = floor.children()
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10060", "1.10070")
    floor.done(first)
    floor.act()
    (second,) = floor.children()
    asked = only(floor.fill(first, "1.10010", lots="1"), ev.ChildCancelRequested)
    assert floor.order(2).state == "routed" and [leg.cl_ord_id for leg in asked] == [second.cl_ord_id]
    assert [event.reason for event in only(floor.done(second), ev.OrderCancelled)] == [f"order {FIRST} filled"]
    assert floor.act() == [] and floor.order(2).filled == 0


@pytest.mark.parametrize("terms", [{}, {"limit_price": "1.09990", "time_in_force": TimeInForce.IOC}])
def test_what_cannot_wait_for_the_other_of_its_pair_ends(floor: Floor, terms: dict[str, Any]) -> None:
    events = floor.place("a1", Side.SELL, "1", oco_group="pair", **terms)
    assert told(events) == [("ended", SECOND, PAIRED)] and len(floor.children()) == 1


def test_nobody_joins_a_pair_of_which_one_has_dealt(floor: Floor) -> None:
    """Filled in part it works on: what came under its name now could deal besides it."""
    floor.fill(floor.children()[0], "1.10010", lots="0.4")
    (denied,) = floor.place("a1", Side.SELL, "1", limit_price="1.10200", oco_group="pair")
    assert [check.code for check in denied.verdict.reasons] == ["OCO"]
    assert names(floor.place("a1", Side.SELL, "1", limit_price="1.10200", oco_group="other")) == ["OrderAccepted"]
    changed = cmd.AmendOrder(order_id=FIRST, account_id="a1", quantity=D("0.9"))
    floor.done(floor.children()[0], filled="0.4")
    assert "OCO" not in [getattr(event, "code", "") for event in floor.do(changed)]


def test_a_name_is_free_again_once_nothing_works_under_it(floor: Floor) -> None:
    floor.fill(floor.children()[0], "1.10010")
    assert names(floor.place("a1", Side.SELL, "1", limit_price="1.10200", oco_group="pair")) == ["OrderAccepted"]


@pytest.fixture
def held() -> Floor:
    """Both of a pair wait for a dealer, and the first is passed on."""
    made = Floor()
    rule = RoutingRule(name="by hand", priority=1, book_mode=BookMode.A, conditions=Conditions(), dealer=DealerWait())
    made.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=3, rules=(rule,))))
    for side in Side:
        made.place("a1", side, "1", oco_group="pair")
    return made


def dealer(floor: Floor, kind: Any, **asked: Any) -> str:
    (first, *_) = floor.do(kind(order_id=SECOND, by="ann", **asked))
    return first.code if isinstance(first, ev.CommandRefused) else ""


def test_a_dealer_deals_nothing_while_the_other_of_the_pair_is_out(held: Floor) -> None:
    held.do(cmd.PassOrderOn(order_id=FIRST, by="ann"))
    (leg,) = held.children()
    assert dealer(held, cmd.FillByDealer) == dealer(held, cmd.PassOrderOn) == "PAIRED"
    events = held.fill(leg, "1.10010")
    assert told(events) == [("filled", "a1", "A"), ("ended", SECOND, f"order {FIRST} filled")]
    assert not held.desk.state.held


def test_a_client_takes_no_requote_while_the_other_of_his_pair_is_out(held: Floor) -> None:
    for venue in ("LP1", "LP2", "LP3"):
        held.quote(venue, "1.09980", "1.10010")
    price = {"price": D("1.09978"), "valid_ms": 30_000, "reason": "the market went away"}
    assert dealer(held, cmd.RequoteOrder, **price) == ""
    held.do(cmd.PassOrderOn(order_id=FIRST, by="ann"))
    take = cmd.AnswerRequote(order_id=SECOND, account_id="a1", accept=True)
    (refused,) = held.do(take)
    assert isinstance(refused, ev.CommandRefused) and refused.code == "PAIRED"
    while legs := held.children():
        held.done(legs[0])
    assert only(held.do(take), ev.OrderFilled)
