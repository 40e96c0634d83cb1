"""A rule's limit of the B book holds for all that an order, and the step it is dealt in, does to the book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode
from piggy.core.execution import Execution
from piggy.core.orders import OrderType, Side, TimeInForce
from piggy.core.routing_rules import RoutingPolicy, RoutingRule
from piggy.core.touching import trigger_stops
from tests.core.floor import SECOND_US, Floor, only
from tests.core.test_crosses import Desked

D = Decimal


def floor_of(*, most: str, **rule: Any) -> Floor:
    """A floor whose rule keeps everything, up to `most` lots net."""
    floor = Floor()
    kept = RoutingRule(**({"name": "kept", "priority": 1, "book_mode": BookMode.B, "b_net_max_lots": D(most)} | rule))
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(kept,))))
    return floor


def kept(floor: Floor) -> Decimal:
    return floor.desk.state.exposure["EURUSD"].b_net


def passed(floor: Floor) -> Decimal:
    return sum((leg.quantity for leg in floor.children()), D(0))


def test_what_a_reversal_closes_in_the_b_book_is_no_room_for_what_it_opens() -> None:
    """It sells five, one of which closes: of four new ones the book may hold one short."""
    floor = floor_of(most="1", internal_cross=False)
    floor.place("b1", Side.BUY, "1")
    events = floor.place("b1", Side.SELL, "5")
    assert (kept(floor), passed(floor)) == (D(-1), D(3))
    assert "3.00 overflow to A" in only(events, ev.OrderAccepted)[0].routing.text


def test_a_whole_reversal_is_kept_only_while_what_it_leaves_fits() -> None:
    whole: dict[str, Any] = {"time_in_force": TimeInForce.FOK}
    for most, book in (("0.5", "A"), ("1", "B")):
        floor = floor_of(most=most, internal_cross=False, book_mode=BookMode.MIXED, a_book_percent=D(40))
        floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=2)))
        floor.place("b1", Side.BUY, "0.5")
        rule = RoutingRule(name="mixed", priority=1, book_mode=BookMode.MIXED, a_book_percent=D(40),
                           b_net_max_lots=D(most), internal_cross=False)  # fmt: skip
        floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=3, rules=(rule,))))
        floor.place("b1", Side.SELL, "1.5", **whole)
        assert (abs(kept(floor)), passed(floor)) == ((D(1), D(0)) if book == "B" else (D("0.5"), D("1.5")))


def test_orders_that_come_alive_in_one_step_see_what_those_before_them_kept() -> None:
    floor = floor_of(most="1", internal_cross=False)
    for account in ("b1", "b2", "mixed1"):
        floor.place(account, Side.BUY, "0.6", type=OrderType.STOP, stop_price=D("1.10050"))
    floor.now_us += SECOND_US
    floor.quotes(shift="0.00050")
    floor.act()
    assert (kept(floor), passed(floor)) == (D(1), D("0.8"))


def test_no_order_of_a_step_looks_at_all_that_those_before_it_dealt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five hundred stops in one step took five times as long."""
    floor = floor_of(most="1", internal_cross=False)
    floor.place("b2", Side.SELL, "0.5")
    for account in ("b1", "b2", "mixed1"):
        floor.place(account, Side.BUY, "0.6", type=OrderType.STOP, stop_price=D("1.10050"))
    floor.now_us += SECOND_US
    floor.quotes(shift="0.00050")
    execution, before = Execution(moment=floor.desk.moment(now_us=floor.now_us)), kept(floor)
    monkeypatch.setattr(execution, "fills", None)
    trigger_stops(symbol="EURUSD", execution=execution)
    floor.act()
    assert before == D("-0.5") and execution.kept == {"EURUSD": kept(floor) - before}


@pytest.mark.parametrize(("mode", "left", "sent"), [(BookMode.B, "-1", "1"), (BookMode.A, "0", "2")])
def test_what_other_clients_took_of_a_position_is_not_closed_once_more(mode: BookMode, left: str, sent: str) -> None:
    """One of three lots sold meets a client who bids, and closes the position: the others are new flow."""
    floor = floor_of(most="1")
    floor.place("b1", Side.BUY, "1")
    floor.place("b2", Side.BUY, "1", limit_price="1.10005")
    rule = RoutingRule(name="now", priority=1, book_mode=mode, b_net_max_lots=D(1))
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=2, rules=(rule,))))
    events = floor.place("b1", Side.SELL, "3")
    assert {fill.book for fill in only(events, ev.OrderFilled)} == {"CROSS"} | ({"B"} if mode is BookMode.B else set())
    assert (kept(floor), passed(floor)) == (D(left), D(sent))


def test_a_reversal_of_a_cross_leaves_no_more_than_the_limit_too() -> None:
    floor = Desked()
    floor.deal("b1", "1")
    rule = RoutingRule(name="small", priority=1, book_mode=BookMode.B, b_net_max_lots=D("0.3"))
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    floor.deal("b1", "2", Side.SELL)
    assert floor.desk.state.exposure["EURJPY"].b_net == D("-0.3")
