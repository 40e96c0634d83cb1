"""Strategies: rotation within a day, limits of their own, the position that a signal expects, and dealing in shadow."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import strategies
from piggy.core.accounts import Strategy, TradingState
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side
from tests.core.floor import EURUSD, SECOND_US, Floor, names

DAY_US = 24 * 3_600 * SECOND_US


@pytest.fixture
def floor() -> Floor:
    return Floor()


def configure(floor: Floor, **changes: Any) -> Strategy:
    strategy = Strategy(**({"strategy_id": "mean", "account_id": "b1"} | changes))
    floor.do(cmd.ConfigureStrategy(strategy=strategy))
    return floor.desk.state.strategies["mean"]


def terms(side: Side = Side.BUY, lots: str = "1", **more: Any) -> OrderTerms:
    asked = {"account_id": "b1", "symbol": "EURUSD", "side": side, "quantity": Decimal(lots)} | more
    return OrderTerms(**asked)


def refusal(floor: Floor, strategy: Strategy, wanted: OrderTerms, before: str = "") -> str:
    refused = strategies.refusal(
        state=floor.desk.state, strategy=strategy, terms=wanted, before=before, now_us=floor.now_us
    )
    return refused.code if refused else ""


def test_the_previous_secret_is_valid_for_a_day_after_a_rotation_and_no_longer(floor: Floor) -> None:
    configure(floor)
    strategy = configure(floor, key_version=2, previous_key_valid=True)
    rotated_us = floor.now_us
    assert strategies.key_versions(strategy=strategy, now_us=rotated_us) == (2, 1)
    floor.now_us += DAY_US // 2
    retold = configure(floor, key_version=2, previous_key_valid=True, quantity_max=Decimal(3))
    assert strategies.key_versions(strategy=retold, now_us=rotated_us + DAY_US - 1) == (2, 1)
    assert strategies.key_versions(strategy=retold, now_us=rotated_us + DAY_US) == (2,)


def test_without_leave_the_previous_secret_ends_at_once(floor: Floor) -> None:
    configure(floor)
    assert strategies.key_versions(strategy=configure(floor, key_version=2), now_us=floor.now_us) == (2,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity_max", Decimal(0)),
        ("position_lots_max", Decimal("NaN")),
        ("loss_day_max", Decimal(-1)),
        ("wait_ms_max", 2_001),
        ("sources", ("52.89.214.300",)),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_their_field(floor: Floor, field: str, value: Any) -> None:
    strategy = Strategy(strategy_id="mean", account_id="b1", **{field: value})
    (refused,) = floor.do(cmd.ConfigureStrategy(strategy=strategy))
    assert isinstance(refused, ev.CommandRefused)
    assert (refused.code, refused.field) == ("STRATEGY_UNUSABLE", field)


def test_a_position_grows_to_its_limit_with_what_still_works_counted(floor: Floor) -> None:
    strategy = configure(floor, position_lots_max=Decimal(2))
    floor.place("b1", Side.BUY, "1")
    floor.do(cmd.PlaceOrder(terms=terms(type=OrderType.LIMIT, limit_price=Decimal("1.09900"), lots="0.5")))
    assert refusal(floor, strategy, terms(lots="0.5")) == ""
    assert refusal(floor, strategy, terms(lots="0.6")) == "POSITION_MAX"
    assert refusal(floor, strategy, terms(Side.SELL, "1")) == "", "it only reduces"
    assert refusal(floor, strategy, terms(Side.SELL, "3.5")) == "POSITION_MAX", "it would be short of more"


def test_one_signal_opens_so_many_lots_and_closes_all_there_are(floor: Floor) -> None:
    strategy = configure(floor, quantity_max=Decimal(1))
    assert refusal(floor, strategy, terms(lots="1")) == ""
    assert refusal(floor, strategy, terms(lots="1.01")) == "QUANTITY_MAX"
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.BUY, "2")
    assert refusal(floor, strategy, terms(Side.SELL, "3")) == "", "a close is never too large"
    assert refusal(floor, strategy, terms(Side.SELL, "4")) == "", "as much is opened as may be"
    assert refusal(floor, strategy, terms(Side.SELL, "4.01")) == "QUANTITY_MAX"
    limit = terms(Side.SELL, type=OrderType.LIMIT, limit_price=Decimal("1.10100"), lots="1")
    floor.do(cmd.PlaceOrder(terms=limit))
    assert refusal(floor, strategy, terms(Side.SELL, "3")) == "", "one lot may be opened, as the other sale closes it"
    assert refusal(floor, strategy, terms(Side.SELL, "3.01")) == "QUANTITY_MAX"


def test_who_lost_enough_today_may_only_reduce(floor: Floor) -> None:
    strategy = configure(floor, loss_day_max=Decimal(100))
    floor.place("b1", Side.BUY, "1")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.09000", "1.09010")
    floor.place("b1", Side.SELL, "0.5")
    assert refusal(floor, strategy, terms()) == "LOSS_DAY_MAX"
    assert refusal(floor, strategy, terms(Side.SELL, "0.5")) == ""
    floor.now_us += DAY_US
    assert refusal(floor, strategy, terms()) == "", "a new day"


def test_a_killed_strategy_only_reduces_and_its_working_orders_are_gone(floor: Floor) -> None:
    strategy = configure(floor)
    floor.place("b1", Side.BUY, "1")
    for source, price in (("signal:mean", "1.09900"), ("api", "1.09890")):
        limit = terms(type=OrderType.LIMIT, limit_price=Decimal(price))
        floor.do(cmd.PlaceOrder(terms=limit, source=source))
    kill = cmd.SetTradingState(scope="strategy", key="mean", state=TradingState.KILLED, reason="mad", by="tess")
    assert names(floor.do(kill)) == ["TradingStateChanged", "OrderCancelled"]
    assert floor.order(2).state is OrderState.CANCELLED
    assert floor.order(3).state is OrderState.WORKING
    assert refusal(floor, strategy, terms()) == "STRATEGY_STOPPED"
    assert refusal(floor, strategy, terms(Side.SELL)) == ""


def test_in_a_hedging_account_an_order_the_other_way_opens_and_a_killed_strategy_sends_none(floor: Floor) -> None:
    floor.open_account("h1", group="b", hedging=True)
    strategy = configure(floor, account_id="h1", quantity_max=Decimal(1), position_lots_max=Decimal(2))
    floor.place("h1", Side.BUY, "1")
    floor.place("h1", Side.BUY, "1")
    other_way = terms(Side.SELL, "2", account_id="h1")
    assert refusal(floor, strategy, other_way) == "QUANTITY_MAX"
    one = {side: terms(side, account_id="h1") for side in Side}
    assert [refusal(floor, strategy, one[side]) for side in Side] == ["POSITION_MAX", ""], "two are held of one side"
    assert refusal(floor, strategy, terms(account_id="h1", symbol="GBPUSD")) == "", "and none of another symbol"
    kill = cmd.SetTradingState(scope="strategy", key="mean", state=TradingState.KILLED, reason="mad", by="tess")
    floor.do(kill)
    assert refusal(floor, strategy, other_way) == "STRATEGY_STOPPED"
    floor.place("h1", Side.SELL, "1")
    assert len(floor.desk.state.positions_of["h1"]) == 3, "as an order of anybody's does"


def test_a_signal_that_expects_another_position_is_refused(floor: Floor) -> None:
    strategy = configure(floor)
    assert refusal(floor, strategy, terms(Side.SELL), before="long") == "POSITION_UNEXPECTED"
    assert refusal(floor, strategy, terms(), before="flat") == ""
    floor.place("b1", Side.BUY, "1")
    assert refusal(floor, strategy, terms(Side.SELL), before="long") == ""
    assert refusal(floor, strategy, terms(), before="flat") == "POSITION_UNEXPECTED"
    floor.place("b1", Side.SELL, "2")
    assert refusal(floor, strategy, terms(), before="short") == ""


def passed_on(floor: Floor, side: Side, lots: str, **more: Any) -> ev.ChildOrderCreated:
    """Place an order that a venue has, and has not yet answered."""
    floor.place("a1", side, lots, **more)
    return floor.children()[-1]


def test_what_is_under_way_at_a_venue_is_not_reduced_a_second_time(floor: Floor) -> None:
    """INV-16: a stopped strategy that closes twice before the first is filled would be short of what it was long."""
    strategy = configure(floor, account_id="a1")
    floor.fill(passed_on(floor, Side.BUY, "1"), "1.10013")
    floor.do(cmd.SetTradingState(scope="strategy", key="mean", state=TradingState.KILLED, reason="mad", by="tess"))
    close = msgspec.structs.replace(terms(Side.SELL), account_id="a1")
    rest = msgspec.structs.replace(close, quantity=Decimal("0.4"))
    floor.place("a1", Side.SELL, "1", limit_price="1.11000", reduce_only=True)
    assert refusal(floor, strategy, close) == "", "an exit that waits takes nothing of it"
    passed_on(floor, Side.SELL, "0.6")
    assert refusal(floor, strategy, rest) == ""
    assert refusal(floor, strategy, close) == "STRATEGY_STOPPED"


def test_a_position_that_is_expected_must_be_so_whatever_becomes_of_what_is_under_way(floor: Floor) -> None:
    """F-25: the same alert under another id, while the first is at the LP, would else be right as well."""
    strategy = configure(floor, account_id="a1")

    def expected() -> set[str]:
        state = floor.desk.state
        moving = any(order.terms.type is OrderType.MARKET for order in state.orders.values() if order.leaves)
        assert strategies.is_moving(state=state, account_id="a1", symbol="EURUSD") is moving
        return {
            way
            for way in ("flat", "long", "short")
            if strategies.expects(state=state, strategy=strategy, symbol="EURUSD", before=way)
        }

    floor.place("a1", Side.BUY, "1", limit_price="1.09000")
    assert expected() == {"flat"}, "what waits for its price is not under way"
    bought = passed_on(floor, Side.BUY, "1")
    assert expected() == set()
    again = msgspec.structs.replace(terms(), account_id="a1")
    refused = strategies.refusal(
        state=floor.desk.state, strategy=strategy, terms=again, before="flat", now_us=floor.now_us
    )
    assert refused is not None and "under way may change that" in refused.text
    floor.fill(bought, "1.10013")
    assert expected() == {"long"}
    passed_on(floor, Side.SELL, "0.4")
    assert expected() == {"long"}
    passed_on(floor, Side.SELL, "0.6")
    assert expected() == set()


def test_what_is_decided_in_shadow_is_recorded_and_changes_nothing(floor: Floor) -> None:
    before = floor.desk.state.order_count, dict(floor.desk.state.positions)
    (shadowed,) = floor.do(cmd.PlaceOrder(terms=terms(), source="signal:mean", shadow=True), command_id="shadow")
    assert isinstance(shadowed, ev.OrderShadowed)
    assert shadowed.verdict.passed
    assert (shadowed.filled, shadowed.average_price) == (Decimal(1), Decimal("1.10013"))
    assert shadowed.routing is not None
    assert shadowed.routing.mode == "B"
    assert (floor.desk.state.order_count, dict(floor.desk.state.positions)) == before
    answer = floor.desk.answer(command_id="shadow", request_hash="")
    assert answer is not None
    assert answer.shadow == shadowed
    (denied,) = floor.do(cmd.PlaceOrder(terms=terms(lots="9999"), shadow=True))
    assert isinstance(denied, ev.OrderShadowed)
    assert not denied.verdict.passed
    assert denied.routing is None


def test_what_a_signal_expects_is_held_against_its_own_symbol_alone(floor: Floor) -> None:
    gbpusd = msgspec.structs.replace(EURUSD, symbol="GBPUSD", base="GBP")
    floor.do(cmd.ConfigureInstrument(instrument=gbpusd))
    floor.quote("LP1", "1.25000", "1.25010", symbol="GBPUSD")
    floor.do(cmd.PlaceOrder(terms=msgspec.structs.replace(terms(Side.SELL), symbol="GBPUSD")))
    floor.place("b1", Side.BUY, "1")
    strategy, state = configure(floor), floor.desk.state
    assert strategies.net_lots(state=state, account_id="b1", symbol="EURUSD") == 1
    assert strategies.net_lots(state=state, account_id="b1", symbol="GBPUSD") == -1
    assert strategies.expects(state=state, strategy=strategy, symbol="EURUSD", before="long")
    assert strategies.expects(state=state, strategy=strategy, symbol="GBPUSD", before="short")
    assert strategies.expects(state=state, strategy=strategy, symbol="XAUUSD", before="flat")
    assert not strategies.expects(state=state, strategy=strategy, symbol="EURUSD", before="flat")
    assert strategies.expects(state=state, strategy=strategy, symbol="EURUSD", before="")


def test_what_only_reduces_is_let_through_beside_other_orders_that_close(floor: Floor) -> None:
    """It opens nothing, whatever else works; the gate looks whether there is anything to reduce."""
    strategy = configure(floor, account_id="a1")
    floor.fill(passed_on(floor, Side.BUY, "1"), "1.10013")
    floor.do(cmd.SetTradingState(scope="strategy", key="mean", state=TradingState.KILLED, reason="mad", by="tess"))
    floor.place("a1", Side.SELL, "1", limit_price="1.11000")
    close = msgspec.structs.replace(terms(Side.SELL), account_id="a1")
    assert refusal(floor, strategy, close) == "STRATEGY_STOPPED"
    assert refusal(floor, strategy, msgspec.structs.replace(close, reduce_only=True)) == ""
