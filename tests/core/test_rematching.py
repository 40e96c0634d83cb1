"""Orders that rest across from each other: they meet once nothing keeps them apart any more."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import rematching
from piggy.core.accounts import BookMode, TradingState
from piggy.core.auctions import AuctionPhase, AuctionRules
from piggy.core.orders import Side
from piggy.core.routing_rules import RoutingPolicy, RoutingRule
from tests.core.floor import Floor, only
from tests.core.test_combined_orders import own

Met = list[tuple[str, D, D, bool]]


@pytest.fixture
def floor() -> Floor:
    return Floor()


def met(events: list[ev.AnyEvent]) -> Met:
    """Return who met whom: account, lots, price, and whether he had been there."""
    return [(fill.account_id, fill.quantity, fill.price, fill.maker) for fill in only(events, ev.OrderFilled)]


def halt(floor: Floor, account_id: str, state: TradingState, by: str) -> None:
    floor.do(cmd.SetTradingState(scope="account", key=account_id, state=state, reason="drill", by=by))


def apart(floor: Floor, **later: Any) -> None:
    """A sell whose client is halted, and a buy that would have met it; then the client may deal again."""
    floor.place("b1", Side.SELL, "1", limit_price="1.10005")
    halt(floor, "b1", TradingState.HALTED, "ann")
    floor.place("b2", Side.BUY, "1", limit_price="1.10008", **later)
    assert floor.act() == []
    halt(floor, "b1", TradingState.ACTIVE, "bob")


@pytest.mark.parametrize("insists", [{"all_or_none": True}, {"minimum_quantity": D(1)}])
def test_what_insists_on_more_than_one_has_deals_once_several_have_it(floor: Floor, insists: dict[str, Any]) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.10006", **insists)
    floor.place("b2", Side.SELL, "0.4", limit_price="1.10004")
    floor.place("b2", Side.SELL, "0.5", limit_price="1.10005")
    assert floor.act() == [] and floor.order(1).filled == 0
    floor.place("mixed1", Side.SELL, "0.3", limit_price="1.10006")
    fills = met(floor.act())
    assert [fill for fill in fills if fill[0] == "b1"] == [
        ("b1", D("0.4"), D("1.10004"), False),
        ("b1", D("0.5"), D("1.10005"), False),
        ("b1", D("0.1"), D("1.10006"), False),
    ]
    assert floor.order(1).state == "filled" and floor.order(4).leaves == D("0.2") and floor.act() == []


def test_lots_beyond_its_limit_or_of_its_own_owner_are_none_for_all_or_none(floor: Floor) -> None:
    own(floor, "twin", of="b1")
    floor.place("b1", Side.BUY, "1", limit_price="1.10005", all_or_none=True)
    floor.place("b2", Side.SELL, "0.5", limit_price="1.10005")
    floor.place("b2", Side.SELL, "0.5", limit_price="1.10006")
    floor.place("twin", Side.SELL, "0.5", limit_price="1.10005")
    assert floor.act() == [] and [floor.order(number).filled for number in (1, 2, 3, 4)] == [0, 0, 0, 0]


def test_two_whom_a_halt_kept_apart_meet_when_it_is_over_at_the_price_of_who_was_there(floor: Floor) -> None:
    apart(floor)
    price = D("1.10005")
    assert met(floor.act()) == [("b2", D(1), price, False), ("b1", D(1), price, True)]


def test_who_never_takes_is_taken_by_who_was_there_before(floor: Floor) -> None:
    apart(floor, post_only=True)
    price = D("1.10008")
    assert met(floor.act()) == [("b1", D(1), price, False), ("b2", D(1), price, True)]


def test_whom_a_rule_or_the_group_keeps_apart_stay_apart_and_the_desk_comes_to_rest(floor: Floor) -> None:
    rule = RoutingRule(name="alone", priority=1, book_mode=BookMode.B, internal_cross=False)
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    apart(floor)
    assert floor.act() == []
    alone = Floor(internal_cross=False)
    apart(alone)
    assert alone.act() == []


def test_those_that_are_too_far_from_the_last_price_begin_a_call_and_nobody_else_meets(floor: Floor) -> None:
    floor.place("b2", Side.SELL, "0.1", limit_price="1.10000")
    floor.place("b1", Side.BUY, "0.1", limit_price="1.10000")
    floor.do(cmd.ConfigureAuctions(rules=AuctionRules(symbol="EURUSD", dynamic_bps=1, static_bps=1, call_s=60)))
    floor.desk.market.withdraw(venue="LP1")
    for venue in ("LP2", "LP3"):
        floor.quote(venue, "1.09900", "1.10100")
    for account_id in ("b1", "mixed1"):
        floor.place(account_id, Side.SELL, "0.1", limit_price="1.10040")
        halt(floor, account_id, TradingState.HALTED, "ann")
    floor.place("b2", Side.BUY, "0.2", limit_price="1.10045")
    for account_id in ("b1", "mixed1"):
        halt(floor, account_id, TradingState.ACTIVE, "bob")
    events = floor.act()
    assert [event.phase for event in only(events, ev.PhaseChanged)] == [AuctionPhase.VOLATILITY_CALL]
    assert not only(events, ev.OrderFilled)


def test_one_step_tries_so_many_and_the_next_the_others(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rematching, "TRIED_MAX", 1)
    for lots in ("0.6", "0.7"):
        floor.place("b1", Side.BUY, lots, limit_price="1.10006", all_or_none=True)
    halt(floor, "b1", TradingState.HALTED, "ann")
    floor.place("b2", Side.SELL, "0.7", limit_price="1.10006")
    floor.place("mixed1", Side.SELL, "0.6", limit_price="1.10006")
    halt(floor, "b1", TradingState.ACTIVE, "bob")
    steps = []
    while due := floor.desk.due(now_us=floor.now_us):
        steps.append(len(met([event for command in due for event in floor.do(command)])))
    assert steps[:2] == [2, 2] and not floor.desk.state.open_orders["b1"]
