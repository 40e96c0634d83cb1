"""Trading states after the gate: what rests, waits for a price or comes back from a venue stops with its market."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.clearance import Permissions
from piggy.core.orders import OrderType, Side
from tests.core.floor import Floor, only

SCOPES = [("firm", ""), ("tenant", ""), ("group", "b"), ("account", "b1"), ("symbol", "EURUSD")]


@pytest.fixture
def floor() -> Floor:
    return Floor(bid_markup_points=0, ask_markup_points=0)


def state(floor: Floor, scope: str, key: str, to: TradingState, by: str = "ann") -> None:
    floor.do(cmd.SetTradingState(scope=scope, key=key, state=to, reason="drill", by=by, cancel_working=False))


@pytest.mark.parametrize(("scope", "key"), SCOPES)
@pytest.mark.parametrize("stopped", [TradingState.HALTED, TradingState.KILLED])
def test_a_stopped_market_deals_nothing_that_rests_until_it_opens(
    floor: Floor, scope: str, key: str, stopped: TradingState
) -> None:
    """P-01."""
    floor.place("b1", Side.BUY, "1", limit_price="1.09990")
    floor.place("b1", Side.BUY, "1", type=OrderType.MARKET_IF_TOUCHED, stop_price=D("1.09995"))
    state(floor, scope, key, stopped)
    floor.quotes("-0.00050")
    assert only(floor.act(), ev.OrderFilled) == [] and only(floor.act(), ev.OrderTriggered) == []
    state(floor, scope, key, TradingState.ACTIVE, by="ben")
    floor.quotes("-0.00051")
    assert {fill.order_id for fill in only(floor.act(), ev.OrderFilled)} == {"O000000001", "O000000002"}


@pytest.mark.parametrize(("scope", "key"), [("account", "b2"), ("account", "nobody"), ("symbol", "GBPUSD")])
def test_a_stop_elsewhere_changes_nothing(floor: Floor, scope: str, key: str) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09990")
    state(floor, scope, key, TradingState.HALTED)
    floor.quotes("-0.00050")
    assert only(floor.act(), ev.OrderFilled)


def test_nobody_crosses_with_a_client_who_is_stopped(floor: Floor) -> None:
    floor.place("b2", Side.SELL, "1", limit_price="1.10009")
    state(floor, "account", "b2", TradingState.HALTED)
    events = floor.place("b1", Side.BUY, "1")
    assert {fill.book for fill in only(events, ev.OrderFilled)} == {"B"} and floor.order(1).filled == 0


def test_while_a_market_only_reduces_what_waits_deals_only_if_it_does(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", limit_price="1.10030")
    floor.place("b2", Side.SELL, "1", limit_price="1.10030")
    floor.place("b1", Side.BUY, "1", limit_price="1.09990")
    state(floor, "tenant", "", TradingState.REDUCING)
    floor.quotes("0.00050")
    assert [fill.order_id for fill in only(floor.act(), ev.OrderFilled)] == ["O000000002"]
    floor.quotes("-0.00050")
    assert only(floor.act(), ev.OrderFilled) == []


def test_a_reduction_larger_than_what_is_held_does_not_pass(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1.01", limit_price="1.10030")
    state(floor, "account", "b1", TradingState.REDUCING)
    floor.quotes("0.00050")
    assert only(floor.act(), ev.OrderFilled) == []


def test_what_a_venue_gives_back_in_a_halt_is_not_sent_again(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    state(floor, "symbol", "EURUSD", TradingState.HALTED)
    events = floor.reject(leg)
    assert only(events, ev.ChildOrderCreated) == [] and floor.order(1).state.final


def test_a_stop_out_waits_for_the_market_to_open(floor: Floor) -> None:
    """G18."""
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    state(floor, "symbol", "EURUSD", TradingState.HALTED)
    for _ in range(4):
        floor.quotes("-0.02500")
    assert only(floor.act(), ev.StoppedOut) == []
    plan = floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us)
    assert plan is not None and plan.queued == ("poor:EURUSD",)
    state(floor, "symbol", "EURUSD", TradingState.ACTIVE, by="ben")
    floor.quotes("-0.02501")
    assert only(floor.act(), ev.StoppedOut)


CLEARED = Permissions.granted()
BLOCKS: list[cmd.AnyCommand] = [
    *(
        cmd.ConfigurePermissions(account_id="b1", permissions=msgspec.structs.replace(CLEARED, **changed))
        for changed in (
            {"trading_enabled": False},
            {"kyc_passed": False},
            {"sanctions_clear": False},
            {"appropriateness_passed": False},
            {"jurisdiction_blocked": True},
            {"symbols": frozenset({"GBPUSD"})},
        )
    ),
    cmd.ConfigureRestrictions(scope="firm", key="", symbols=frozenset({"EURUSD"})),
    cmd.ConfigureRestrictions(scope="tenant", key="", symbols=frozenset({"EURUSD"})),
    cmd.ConfigureRestrictions(scope="client", key="b1", symbols=frozenset({"EURUSD"})),
]


@pytest.mark.parametrize("block", BLOCKS)
def test_of_a_client_who_was_blocked_what_waits_only_reduces(floor: Floor, block: cmd.AnyCommand) -> None:
    """P-02 to P-04."""
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", limit_price="1.10030")
    floor.place("b1", Side.BUY, "1", limit_price="1.09990")
    floor.place("b1", Side.BUY, "1", type=OrderType.MARKET_IF_TOUCHED, stop_price=D("1.09995"))
    floor.do(block)
    floor.quotes("-0.00050")
    assert only(floor.act(), ev.OrderFilled) == [] and only(floor.act(), ev.OrderTriggered) == []
    floor.quotes("0.00050")
    assert [fill.order_id for fill in only(floor.act(), ev.OrderFilled)] == ["O000000002"]
    floor.quotes("0.00051")
    assert only(floor.act(), ev.OrderFilled) == []


def test_an_account_that_was_closed_opens_nothing_until_it_is_open_again(floor: Floor) -> None:
    """P-02."""
    floor.place("b1", Side.BUY, "1", limit_price="1.09990")
    account = floor.desk.state.accounts["b1"]
    floor.do(cmd.ConfigureAccount(account=msgspec.structs.replace(account, open=False)))
    floor.quotes("-0.00050")
    assert only(floor.act(), ev.OrderFilled) == []
    floor.do(cmd.ConfigureAccount(account=account))
    floor.quotes("-0.00051")
    assert [fill.order_id for fill in only(floor.act(), ev.OrderFilled)] == ["O000000001"]


def test_nobody_crosses_with_a_client_who_was_blocked(floor: Floor) -> None:
    floor.place("b2", Side.SELL, "1", limit_price="1.10009")
    floor.do(cmd.ConfigurePermissions(account_id="b2", permissions=Permissions()))
    events = floor.place("b1", Side.BUY, "1")
    assert {fill.book for fill in only(events, ev.OrderFilled)} == {"B"} and floor.order(1).filled == 0


def test_what_a_venue_gives_back_of_a_blocked_client_is_not_sent_again(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.do(cmd.ConfigurePermissions(account_id="a1", permissions=Permissions()))
    events = floor.reject(leg)
    assert only(events, ev.ChildOrderCreated) == [] and floor.order(1).state.final


@pytest.mark.parametrize("permissions", [Permissions(), CLEARED])
def test_a_client_who_was_blocked_is_stopped_out_and_flattened_as_any_other(
    floor: Floor, permissions: Permissions
) -> None:
    floor.open_account("poor", group="b", amount=4_000)
    for account_id in ("poor", "b1"):
        floor.place(account_id, Side.BUY, "1")
        floor.do(cmd.ConfigurePermissions(account_id=account_id, permissions=permissions))
    state(floor, "account", "b1", TradingState.HALTED)
    floor.do(cmd.FlattenPositions(scope="account", key="b1", reason="sanctions hit", by="cleo"))
    floor.act()
    for _ in range(4):
        floor.quotes("-0.02500")
    assert only(floor.act(), ev.StoppedOut)
    (left,) = floor.desk.state.positions.values()
    assert left.account_id == "poor" and left.quantity == D("0.81")
