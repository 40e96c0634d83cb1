"""Calls and auctions on the desk: what is collected, at which price it meets, and what ends with the call."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, TradingState
from piggy.core.auctions import AuctionPhase, AuctionRules
from piggy.core.desk import Desk
from piggy.core.money import ZERO
from piggy.core.orders import OrderState, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.core.floor import CLEARED, EURUSD, SECOND_US, Floor, canonical, names, only

OPENING, CONTINUOUS, CLOSED = AuctionPhase.OPENING_CALL, AuctionPhase.CONTINUOUS, AuctionPhase.CLOSED


@pytest.fixture
def floor() -> Floor:
    """EURUSD in its opening call; the street is where it always is."""
    made = Floor()
    assert names(phase(made, OPENING)) == ["PhaseChanged"]
    return made


def phase(floor: Floor, to: AuctionPhase, **more: Any) -> list[ev.AnyEvent]:
    asked: dict[str, Any] = {"symbol": "EURUSD", "phase": to, "reason": "the day's plan", "by": "ann"}
    return floor.do(cmd.ChangePhase(**(asked | more)))


def limit(floor: Floor, account_id: str, side: Side, lots: str, price: str, **more: Any) -> str:
    (accepted, *rest) = floor.place(account_id, side, lots, limit_price=price, **more)
    assert isinstance(accepted, ev.OrderAccepted) and rest == [], rest
    return accepted.order_id


def filled(events: list[ev.AnyEvent]) -> dict[str, D]:
    sums: dict[str, D] = {}
    for fill in only(events, ev.OrderFilled):
        sums[fill.account_id] = sums.get(fill.account_id, ZERO) + fill.quantity
    return sums


def test_a_call_collects_and_its_end_deals_all_at_one_price(floor: Floor) -> None:
    limit(floor, "b1", Side.BUY, "2", "1.10020")
    limit(floor, "mixed1", Side.BUY, "1", "1.10005")
    limit(floor, "b2", Side.SELL, "2.5", "1.10000")
    floor.quotes()
    assert only(floor.act(), ev.OrderFilled) == [], "also the street waits"
    events = phase(floor, CONTINUOUS)
    (uncrossed,) = only(events, ev.AuctionUncrossed)
    assert (uncrossed.price, uncrossed.lots, uncrossed.surplus) == (D("1.10005"), D("2.5"), D("0.5"))
    assert filled(events) == {"b1": D(2), "b2": D("2.5"), "mixed1": D("0.5")}
    assert {fill.price for fill in only(events, ev.OrderFilled)} == {D("1.10005")}
    assert {fill.book for fill in only(events, ev.OrderFilled)} == {"CROSS"}
    assert floor.order(2).leaves == D("0.5") and floor.desk.state.crossed_at["EURUSD"].static == D("1.10005")


def test_market_orders_are_collected_too_and_end_with_the_call(floor: Floor) -> None:
    assert names(floor.place("b1", Side.BUY, "3")) == ["OrderAccepted"]
    limit(floor, "b2", Side.SELL, "1", "1.10000")
    events = phase(floor, CONTINUOUS)
    assert filled(events) == {"b1": D(1), "b2": D(1)}
    assert [(e.order_id, e.leaves) for e in only(events, ev.OrderCancelled)] == [("O000000001", D(2))]


def test_nobody_meets_himself_in_an_auction(floor: Floor) -> None:
    """The later of two own orders that could meet goes."""
    limit(floor, "b1", Side.BUY, "1", "1.10010")
    limit(floor, "b1", Side.SELL, "1", "1.10000", stp=SelfTradePrevention.CANCEL_OLDEST)
    limit(floor, "b2", Side.SELL, "1", "1.10000")
    events = phase(floor, CONTINUOUS)
    assert [event.order_id for event in only(events, ev.OrderCancelled)] == ["O000000002"]
    assert filled(events) == {"b1": D(1), "b2": D(1)}


def test_whole_orders_halted_accounts_and_groups_that_do_not_cross_sit_it_out(floor: Floor) -> None:
    limit(floor, "b1", Side.BUY, "1", "1.10010", all_or_none=True)
    limit(floor, "mixed1", Side.BUY, "1", "1.10010")
    limit(floor, "b2", Side.SELL, "2", "1.10000")
    floor.do(cmd.SetTradingState(scope="account", key="mixed1", state=TradingState.HALTED, reason="x", by="ann"))
    assert names(phase(floor, CONTINUOUS)) == ["PhaseChanged"]


@pytest.mark.parametrize("way", ["halted", "all or none", "minimum", "pair"])
def test_a_market_order_that_may_take_no_part_ends_with_the_call_too(floor: Floor, way: str) -> None:
    """Else it would work for ever: nothing looks at a market order that waits but an auction."""
    more: dict[str, dict[str, Any]] = {
        "all or none": {"all_or_none": True}, "minimum": {"minimum_quantity": D("0.5")}, "pair": {"oco_group": "one"},
    }  # fmt: skip
    if way == "pair":
        phase(floor, CONTINUOUS)
        floor.place("a1", Side.BUY, "1", limit_price="1.10020", oco_group="one")
        phase(floor, OPENING)
    floor.place("a1", Side.BUY, "1", **more.get(way, {}))
    limit(floor, "b2", Side.SELL, "2", "1.10000")
    if way == "halted":
        floor.do(cmd.SetTradingState(scope="account", key="a1", state=TradingState.HALTED, reason="x", by="ann"))
    events = phase(floor, CONTINUOUS)
    ended = [(event.outcome, event.reason) for event in only(events, ev.OrderCancelled)]
    assert ended == [("cancelled", "the auction left it unfilled")] and not only(events, ev.OrderFilled)


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_cannot_wait_is_refused_in_a_call(floor: Floor, tif: TimeInForce) -> None:
    """P-05 on NEW; what can wait may be amended and cancelled."""
    (denied,) = floor.place("b1", Side.BUY, "1", time_in_force=tif)
    assert [check.code for check in denied.verdict.reasons] == ["P-05"]
    order_id = limit(floor, "b1", Side.BUY, "1", "1.10020")
    amendment = cmd.AmendOrder(order_id=order_id, account_id="b1", limit_price=D("1.10030"))
    assert names(floor.do(amendment)) == ["OrderAmended"]
    assert names(floor.do(cmd.CancelOrder(order_id=order_id, account_id="b1"))) == ["OrderCancelled"]


def test_after_the_closing_auction_nothing_is_taken(floor: Floor) -> None:
    """P-05 on NEW and REPLACE."""
    phase(floor, AuctionPhase.CLOSING_CALL, call_s=60)
    order_id = limit(floor, "b1", Side.BUY, "1", "1.09000")
    floor.now_us += 60 * SECOND_US
    changed = only(floor.act(), ev.PhaseChanged)
    assert [(event.phase, event.by) for event in changed] == [(CLOSED, "")]
    (denied,) = floor.place("b1", Side.BUY, "1")
    assert [check.code for check in denied.verdict.reasons] == ["P-05"]
    amendment = cmd.AmendOrder(order_id=order_id, account_id="b1", quantity=D("0.5"))
    assert floor.do(amendment)[0].code == "P-05"  # type: ignore[union-attr]


def test_a_call_with_a_time_ends_by_itself_with_its_auction(floor: Floor) -> None:
    phase(floor, CONTINUOUS)
    phase(floor, OPENING, call_s=10)
    limit(floor, "b1", Side.BUY, "1", "1.10010")
    limit(floor, "b2", Side.SELL, "1", "1.10000")
    floor.now_us += 6 * SECOND_US - 1
    assert only(floor.act(), ev.PhaseChanged) == []
    floor.now_us += 1
    events = floor.act()
    assert only(events, ev.PhaseChanged)[0].phase is CONTINUOUS and filled(events) == {"b1": D(1), "b2": D(1)}


def test_clients_who_would_meet_too_far_away_begin_a_volatility_call() -> None:
    """The dynamic corridor is 10 basis points around the last price that clients met at."""
    floor = Floor()
    rules = AuctionRules(symbol="EURUSD", dynamic_bps=10, static_bps=300, call_s=30)
    assert names(floor.do(cmd.ConfigureAuctions(rules=rules))) == ["AuctionsConfigured"]
    assert floor.do(cmd.ConfigureAuctions(rules=rules)) == []
    floor.place("b2", Side.SELL, "2", limit_price="1.10009")
    assert filled(floor.place("b1", Side.BUY, "1")), "the first price makes the corridor"
    for _ in range(4):
        floor.quotes("0.00500")
    floor.do(cmd.CancelOrder(order_id="O000000001", account_id="b2"))
    floor.place("mixed1", Side.SELL, "1", limit_price="1.10506")
    events = floor.place("b1", Side.BUY, "1", limit_price="1.10508")
    assert names(events) == ["OrderAccepted", "PhaseChanged"]
    assert events[1].phase is AuctionPhase.VOLATILITY_CALL and events[1].ends_at_us == floor.now_us + 30 * SECOND_US  # type: ignore[union-attr]
    assert "a call begins" in events[0].routing.text  # type: ignore[union-attr]
    floor.now_us += 30 * SECOND_US
    events = floor.act()
    assert filled(events) == {"b1": D(1), "mixed1": D(1)} and only(events, ev.PhaseChanged)[0].phase is CONTINUOUS


def test_a_market_order_that_begins_a_call_waits_for_its_auction() -> None:
    floor = Floor()
    floor.do(cmd.ConfigureAuctions(rules=AuctionRules(symbol="EURUSD", dynamic_bps=10)))
    floor.place("b2", Side.SELL, "2", limit_price="1.10009")
    floor.place("b1", Side.BUY, "2")
    for _ in range(4):
        floor.quotes("0.00500")
    floor.place("mixed1", Side.SELL, "1", limit_price="1.10506")
    events = floor.place("b1", Side.BUY, "1")
    assert names(events) == ["OrderAccepted", "PhaseChanged"] and floor.order(4).state is OrderState.WORKING


def test_stops_do_not_trigger_and_nobody_is_stopped_out_in_a_call(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", type=OrderType.MARKET_IF_TOUCHED, stop_price=D("1.09995"))
    floor.quotes("-0.00050")
    assert only(floor.act(), ev.OrderTriggered) == []
    phase(floor, CONTINUOUS)
    floor.quotes("-0.00051")
    assert only(floor.act(), ev.OrderTriggered)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOSUCH"}, "SYMBOL_UNKNOWN"),
        ({"by": ""}, "REASON_MISSING"),
        ({"reason": ""}, "REASON_MISSING"),
        ({"call_s": 0, "phase": AuctionPhase.CLOSING_CALL}, "CALL_INVALID"),
        ({"call_s": 86_401, "phase": AuctionPhase.CLOSING_CALL}, "CALL_INVALID"),
        ({"call_s": 10}, "CALL_INVALID"),
    ],
)
def test_a_change_of_phase_has_a_reason_and_a_bounded_call(floor: Floor, changes: dict[str, Any], code: str) -> None:
    asked: dict[str, Any] = {"to": CONTINUOUS} | changes
    assert phase(floor, asked.pop("to"), **asked)[0].code == code  # type: ignore[union-attr]
    assert phase(floor, OPENING) == [], "it is there already"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOSUCH"}, "SYMBOL_UNKNOWN"),
        ({"dynamic_bps": 0}, "RULES_UNUSABLE"),
        ({"static_bps": 10_000}, "RULES_UNUSABLE"),
        ({"call_s": 0}, "RULES_UNUSABLE"),
        ({"call_s": 86_401}, "RULES_UNUSABLE"),
    ],
)
def test_corridors_and_calls_are_bounded(floor: Floor, changes: dict[str, Any], code: str) -> None:
    rules = AuctionRules(**({"symbol": "EURUSD"} | changes))
    assert floor.do(cmd.ConfigureAuctions(rules=rules))[0].code == code  # type: ignore[union-attr]


def test_nobody_is_dealt_beyond_his_limit_where_the_tick_was_made_coarser(floor: Floor) -> None:
    limit(floor, "b2", Side.SELL, "1", "1.10005")
    limit(floor, "b1", Side.BUY, "1", "1.10009")
    limit(floor, "mixed1", Side.BUY, "1", "1.10014")
    coarse = msgspec.structs.replace(EURUSD, tick_size=D("0.0001"))
    floor.do(cmd.ConfigureInstrument(instrument=coarse))
    fills = only(phase(floor, CONTINUOUS), ev.OrderFilled)
    assert {(fill.account_id, fill.price) for fill in fills} == {("b2", D("1.1001")), ("mixed1", D("1.1001"))}


def test_auctions_fold_to_the_same_state(floor: Floor) -> None:
    """INV-08."""
    limit(floor, "b1", Side.BUY, "2", "1.10020", display_quantity=D("0.5"))
    limit(floor, "b2", Side.SELL, "1.2", "1.10000")
    floor.place("mixed1", Side.SELL, "1", position_id=None)
    phase(floor, CONTINUOUS)
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)


def test_two_orders_of_one_owner_on_one_side_are_no_wash(floor: Floor) -> None:
    limit(floor, "b1", Side.BUY, "1", "1.10010")
    limit(floor, "b1", Side.BUY, "1", "1.10005")
    limit(floor, "b2", Side.SELL, "2", "1.10000")
    assert filled(phase(floor, CONTINUOUS)) == {"b1": D(2), "b2": D(2)}


@pytest.mark.parametrize("with_limit", [False, True])
def test_without_any_price_the_first_limit_decides_and_market_orders_alone_do_not_meet(
    floor: Floor, with_limit: bool
) -> None:
    floor.place("b1", Side.BUY, "1")
    if with_limit:
        limit(floor, "b2", Side.SELL, "1", "1.10007")
    else:
        floor.place("b2", Side.SELL, "1")
    floor.desk.marks.clear()
    events = phase(floor, CONTINUOUS)
    assert {fill.price for fill in only(events, ev.OrderFilled)} == ({D("1.10007")} if with_limit else set())
    assert len(only(events, ev.OrderCancelled)) == (0 if with_limit else 2)


def test_a_stop_out_waits_for_the_call_to_end() -> None:
    """G18."""
    floor = Floor()
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    phase(floor, OPENING)
    for _ in range(4):
        floor.quotes("-0.02500")
    assert only(floor.act(), ev.StoppedOut) == []
    phase(floor, CONTINUOUS)
    floor.quotes("-0.02501")
    assert only(floor.act(), ev.StoppedOut)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("fills", [True, False])
def test_a_market_order_of_which_a_leg_is_still_out_ends_with_that_leg_and_not_before(fills: bool, own: bool) -> None:
    """One venue gave its lots back in the call, the other has not answered: what it deals is the order's.

    So too where it ends because an earlier order of its own owner waits.
    """
    floor = Floor()
    if own:
        twin = Account(account_id="twin", group="b", owner_id="a1", currency="USD")
        floor.do(cmd.ConfigureAccount(account=twin, clearance=CLEARED))
        floor.do(cmd.CreditAccount(account_id="twin", amount=D(100_000), reference="twin"))
        limit(floor, "twin", Side.SELL, "1", "1.10500")
    floor.place("a1", Side.BUY, "2.01")
    given_back, out = floor.children()
    phase(floor, OPENING)
    floor.reject(given_back)
    events = phase(floor, CONTINUOUS)
    assert only(events, ev.OrderCancelled) == []
    assert [asked.cl_ord_id for asked in only(events, ev.ChildCancelRequested)] == [out.cl_ord_id]
    ended = floor.fill(out, "1.10011") if fills else floor.done(out)
    (cancelled,) = only(ended, ev.OrderCancelled)
    assert cancelled.leaves == (D("2.00") if fills else D("2.01")) and floor.order(1 + own).routed == 0
    assert cancelled.reason == ("self-trade prevention" if own else "the auction left it unfilled")
    assert floor.desk.state.open_orders["a1"] == set()
