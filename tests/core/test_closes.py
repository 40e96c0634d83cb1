"""All that an account holds, closed by one request: each after its book, each told of, and all of it one message."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import closes
from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, TradingState
from piggy.core.answers import Answer
from piggy.core.desk import Desk
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderState, OrderTerms, Side
from piggy.core.position_commands import Which
from piggy.core.position_events import PositionClose
from piggy.core.profiles import GuaranteedStops, PriceProfile
from piggy.core.recollection import recollected
from piggy.core.routing_rules import DealerWait, RoutingPolicy, RoutingRule
from tests.core.floor import EURUSD, SECOND_US, Floor, canonical, names, only

BUY, SELL = Side.BUY, Side.SELL
GBPUSD = msgspec.structs.replace(EURUSD, symbol="GBPUSD", base="GBP")


def fresh(floor: Floor) -> None:
    floor.now_us += 61 * SECOND_US
    floor.requote()
    if "GBPUSD" in floor.desk.state.instruments:
        for venue in ("LP1", "LP2", "LP3"):
            floor.quote(venue, "1.30000", "1.30010", symbol="GBPUSD")


def limits(floor: Floor, group: str = "b", **changed: Any) -> None:
    roomy = {"window_value_max": D(10**8), "order_value_max": D(10**7)}
    floor.do(cmd.ConfigureLimits(group=group, limits=msgspec.structs.replace(HOUSE_LIMITS, **(roomy | changed))))


@pytest.fixture
def floor() -> Floor:
    """h1 is long twice, short once of EURUSD and long of GBPUSD, b1 long of both; the house kept it all."""
    made = Floor(bid_markup_points=0, ask_markup_points=0)
    made.do(cmd.ConfigureInstrument(instrument=GBPUSD))
    made.open_account("h1", group="b", hedging=True)
    limits(made)
    for account_id, side, lots in (("h1", BUY, "1"), ("h1", BUY, "0.5"), ("h1", SELL, "0.3"), ("b1", BUY, "0.2")):
        made.place(account_id, side, lots)
    for account_id in ("h1", "b1"):
        fresh(made)
        terms = OrderTerms(account_id=account_id, symbol="GBPUSD", side=BUY, quantity=D("0.1"))
        made.do(cmd.PlaceOrder(terms=terms))
    assert len(made.desk.state.positions) == 6
    fresh(made)
    return made


def close(floor: Floor, account_id: str = "h1", **asked: Any) -> list[ev.AnyEvent]:
    return floor.do(cmd.ClosePositions(account_id=account_id, **asked), command_id=asked.pop("command_id", ""))


def told(events: list[ev.AnyEvent]) -> tuple[PositionClose, ...]:
    (last,) = only(events, ev.PositionsClosed)
    return last.closes  # type: ignore[no-any-return]


def codes(close_: PositionClose) -> list[str]:
    return [check.code for check in close_.reasons]


def left(floor: Floor, account_id: str = "h1") -> list[str]:
    return sorted(floor.desk.state.positions_of.get(account_id, ()))


def folded_again(floor: Floor) -> None:
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)


@pytest.mark.parametrize("account_id", ["h1", "b1"])
def test_all_of_a_hedging_and_of_a_netting_account_is_closed(floor: Floor, account_id: str) -> None:
    held = left(floor, account_id)
    events = close(floor, account_id)
    assert left(floor, account_id) == [] and left(floor, "b1" if account_id == "h1" else "h1") != []
    assert [each.position_id for each in told(events)] == held
    for each in told(events):
        order = floor.desk.state.orders[each.order_id]
        assert (each.state, each.filled, each.average_price) == (
            OrderState.FILLED,
            each.lots,
            order.view().average_price,
        )
        assert order.source == "close_all" and order.terms.reduce_only and each.reasons == ()
    folded_again(floor)


def test_one_symbol_alone(floor: Floor) -> None:
    (only_one,) = told(close(floor, symbol="GBPUSD"))
    assert only_one.symbol == "GBPUSD" and len(left(floor)) == 3


@pytest.mark.parametrize(
    ("which", "shift", "sides"),
    [
        (Which.PROFITABLE, "0.00500", {SELL}),
        (Which.LOSING, "0.00500", {BUY}),
        (Which.PROFITABLE, "-0.00500", {BUY}),
        (Which.LOSING, "-0.00500", {SELL}),
    ],
)
def test_what_gains_or_what_loses(floor: Floor, which: Which, shift: str, sides: set[Side]) -> None:
    floor.quotes(shift)
    events = close(floor, symbol="EURUSD", which=which)
    assert {event.terms.side for event in only(events, ev.OrderAccepted)} == sides
    assert {fill.realised > 0 for fill in only(events, ev.OrderFilled)} == {which is Which.PROFITABLE}
    assert len(told(events)) == (1 if sides == {BUY} else 2)


def test_what_brings_nothing_neither_gains_nor_loses(floor: Floor) -> None:
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10010", "1.10020")
    longs = [each for each in left(floor) if floor.desk.state.positions[each].average_price == D("1.10010")]
    assert longs
    for which in (Which.PROFITABLE, Which.LOSING):
        assert not {each.position_id for each in told(close(floor, symbol="EURUSD", which=which))} & set(longs)


def test_without_a_price_nobody_can_say_whether_it_gains_and_the_gate_says_that_none_closes(floor: Floor) -> None:
    floor.desk.marks.pop("GBPUSD")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "", "", symbol="GBPUSD")
    by_symbol = {each.symbol: each for each in told(close(floor, which=Which.LOSING))}
    assert codes(by_symbol["GBPUSD"]) == ["NO_PRICE"] and by_symbol["GBPUSD"].order_id == ""
    assert by_symbol["EURUSD"].state is OrderState.FILLED
    by_symbol = {each.symbol: each for each in told(close(floor))}
    assert "P-11" in codes(by_symbol["GBPUSD"]) and by_symbol["GBPUSD"].state is OrderState.DENIED


def test_a_symbol_that_is_stopped_is_told_and_the_others_close(floor: Floor) -> None:
    floor.do(cmd.SetTradingState(scope="symbol", key="GBPUSD", state=TradingState.HALTED, reason="news", by="ann"))
    events = close(floor)
    by_symbol = {each.symbol: each for each in told(events)}
    assert codes(by_symbol["GBPUSD"]) == ["P-01"] and by_symbol["GBPUSD"].state is OrderState.DENIED
    (denied,) = only(events, ev.OrderDenied)
    assert denied.order_id == by_symbol["GBPUSD"].order_id and not denied.verdict.passed
    assert [floor.desk.state.positions[each].symbol for each in left(floor)] == ["GBPUSD"]
    folded_again(floor)


def test_p_14_the_eleventh_close_of_a_request_passes_and_the_request_is_one_message() -> None:
    floor = Floor()
    floor.open_account("h1", group="b", hedging=True)
    for _ in range(12):
        floor.place("h1", BUY, "0.1")
    fresh(floor)
    limits(floor, account_messages_per_s_max=2, executions_max=2)
    closed = told(close(floor))
    assert len(closed) == 12 and {each.state for each in closed} == {OrderState.FILLED}
    terms = OrderTerms(account_id="h1", symbol="EURUSD", side=BUY, quantity=D("0.1"))
    assert names(floor.do(cmd.PlaceOrder(terms=terms)))[0] == "OrderAccepted", (
        "one message, and no execution, came before"
    )
    denied = floor.do(cmd.PlaceOrder(terms=msgspec.structs.replace(terms, quantity=D("0.2"))))[0]
    assert isinstance(denied, ev.OrderDenied) and [check.code for check in denied.verdict.reasons] == ["P-14"]


def test_p_14_requests_that_come_too_fast_are_refused_whole_and_counted(floor: Floor) -> None:
    limits(floor, account_messages_per_s_max=1)
    floor.do(cmd.SetTradingState(scope="symbol", key="GBPUSD", state=TradingState.HALTED, reason="news", by="ann"))
    close(floor)
    for wait_us in (0, SECOND_US - 1):
        floor.now_us += wait_us
        events = close(floor)
        assert names(events) == ["CommandRefused", "PositionsClosed"], "no order that was denied for each position"
        assert events[0].code == "P-14" and [check.code for check in events[0].reasons] == ["P-14"]
    floor.now_us += SECOND_US - 1
    assert names(close(floor))[0] == "CommandRefused", "what was refused was sent all the same"
    floor.now_us += SECOND_US
    assert names(close(floor))[0] == "OrderDenied"
    folded_again(floor)


def test_p_14_a_request_of_which_no_order_comes_is_held_to_the_pace_too() -> None:
    """Nobody asked the gate of it, and what is told of each position went into the log as often as one liked."""
    floor = Floor()
    floor.place("a1", BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    fresh(floor)
    limits(floor, "a", account_messages_per_s_max=2)
    close(floor, "a1")
    assert [codes(each) for each in told(close(floor, "a1"))] == [["ON_ITS_WAY"]]
    events = close(floor, "a1")
    assert names(events) == ["CommandRefused", "PositionsClosed"] and events[0].code == "P-14"  # type: ignore[union-attr]
    assert told(events) == ()
    floor.now_us += SECOND_US
    assert [codes(each) for each in told(close(floor, "a1"))] == [["ON_ITS_WAY"]]
    folded_again(floor)


def test_p_15_a_latched_throttle_holds_requests_too(floor: Floor) -> None:
    limits(floor, executions_max=1)
    for lots in ("0.1", "0.2"):
        floor.do(cmd.PlaceOrder(terms=OrderTerms(account_id="h1", symbol="EURUSD", side=BUY, quantity=D(lots))))
    assert "h1" in floor.desk.state.throttled
    assert close(floor)[0].code == "P-15" and len(left(floor)) == 5  # type: ignore[union-attr]


def test_p_15_the_first_request_past_the_limit_latches(floor: Floor) -> None:
    limits(floor, executions_max=1)
    floor.do(cmd.PlaceOrder(terms=OrderTerms(account_id="h1", symbol="EURUSD", side=BUY, quantity=D("0.1"))))
    assert names(close(floor)) == ["CommandRefused", "PositionsClosed", "ThrottleLatched"]


def test_p_16_many_that_may_not_close_are_one_refusal_and_one_that_does_ends_the_row(floor: Floor) -> None:
    limits(floor, rejects_consecutive_max=5)
    activity = floor.desk.state.activity["h1"]
    limits(floor, order_volume_max_lots=D("0.01"))
    for number in (1, 2):
        assert {each.state for each in told(close(floor))} == {OrderState.DENIED}
        assert activity.rejects_consecutive(now_us=floor.now_us) == number, "one a request, not four"
        floor.now_us += SECOND_US
    limits(floor, order_volume_max_lots=D("0.1"))
    assert OrderState.FILLED in {each.state for each in told(close(floor))}
    assert activity.rejects_consecutive(now_us=floor.now_us) == 0


def test_p_16_a_request_of_which_nothing_is_taken_on_ends_no_row() -> None:
    """All of it is on its way out already: no order was refused, and none accepted."""
    floor = Floor()
    floor.place("a1", BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    fresh(floor)
    close(floor, "a1")
    assert names(floor.place("a1", BUY, "0.001")) == ["OrderDenied"]
    assert [codes(each) for each in told(close(floor, "a1"))] == [["ON_ITS_WAY"]]
    assert floor.desk.state.activity["a1"].rejects_consecutive(now_us=floor.now_us) == 1
    folded_again(floor)


def test_who_holds_nothing_hears_that_and_it_counts_as_a_message(floor: Floor) -> None:
    limits(floor, account_messages_per_s_max=1)
    events = close(floor, "b2")
    assert names(events) == ["PositionsClosed"] and told(events) == ()
    denied = floor.do(cmd.PlaceOrder(terms=OrderTerms(account_id="b2", symbol="EURUSD", side=BUY, quantity=D("0.1"))))
    assert names(denied) == ["OrderDenied"]


@pytest.mark.parametrize(
    ("asked", "code"), [({"account_id": "nobody"}, "ACCOUNT_UNKNOWN"), ({"symbol": "XAGUSD"}, "SYMBOL_UNKNOWN")]
)
def test_what_there_is_not_is_refused(floor: Floor, asked: dict[str, str], code: str) -> None:
    (refused,) = close(floor, **asked)
    assert isinstance(refused, ev.CommandRefused) and refused.code == code


def test_no_more_than_so_many_at_once_and_the_rest_is_told(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closes, "CLOSES_MAX", 3)
    events = close(floor)
    assert len(told(events)) == 3 and only(events, ev.PositionsClosed)[0].left == 1
    assert only(close(floor), ev.PositionsClosed)[0].left == 0 and left(floor) == []


def test_what_cannot_be_closed_keeps_nobody_from_the_others(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `after` each call would begin with the same ones again, here those that are on their way out already."""
    monkeypatch.setattr(closes, "CLOSES_MAX", 3)
    held = sorted(floor.desk.state.positions_of["h1"])
    first = told(close(floor, after=held[0]))
    assert [each.position_id for each in first] == held[1:4] and left(floor) == held[:1]
    assert told(close(floor, after=held[0])) == ()


def test_each_close_follows_its_positions_book_and_lots_on_their_way_out_are_not_closed_twice() -> None:
    floor = Floor()
    floor.place("a1", BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    fresh(floor)
    events = close(floor, "a1")
    assert len(only(events, ev.ChildOrderCreated)) == 1 and not only(events, ev.OrderFilled)
    assert [(each.state, each.filled) for each in told(events)] == [(OrderState.ROUTED, 0)]
    again = told(close(floor, "a1"))
    assert [codes(each) for each in again] == [["ON_ITS_WAY"]] and again[0].order_id == ""
    floor.fill(floor.children()[0], "1.10000")
    assert left(floor, "a1") == []
    folded_again(floor)


def test_of_both_books_each_part_goes_its_way() -> None:
    floor = Floor()
    floor.place("mixed1", BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    fresh(floor)
    (only_one,) = told(close(floor, "mixed1"))
    assert (only_one.lots, only_one.filled, only_one.state) == (1, D("0.6"), OrderState.ROUTED)
    assert floor.children()[0].quantity == D("0.4")


def test_what_nobody_deals_ends_and_says_why(floor: Floor) -> None:
    floor.place("a1", BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    fresh(floor)
    for venue in ("LP1", "LP2", "LP3"):
        state = cmd.SetTradingState(scope="venue", key=venue, state=TradingState.HALTED, reason="drill", by="ann")
        floor.do(state)
    (only_one,) = told(close(floor, "a1"))
    assert (only_one.state, codes(only_one)) == (OrderState.CANCELLED, ["CANCELLED"])
    assert only_one.reasons[0].text


def test_part_of_a_book_too_thin_is_filled_and_the_rest_ends() -> None:
    floor = Floor()
    floor.place("b1", BUY, "2")
    fresh(floor)
    for venue, size in (("LP1", "0.5"), ("LP2", "0.5"), ("LP3", "0.5")):
        floor.quote(venue, "1.10000", "1.10010", size)
    (only_one,) = told(close(floor, "b1"))
    assert (only_one.state, only_one.filled) == (OrderState.CANCELLED, D("1.5")) and only_one.reasons


def test_what_its_rule_gives_to_a_dealer_waits_for_one(floor: Floor) -> None:
    rule = RoutingRule(name="by hand", priority=1, book_mode=BookMode.B, dealer=DealerWait())
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    closed = told(close(floor))
    assert {each.state for each in closed} == {OrderState.WITH_DEALER} and len(left(floor)) == 4


def test_inv_02_the_same_request_twice_closes_once_and_hears_the_same(floor: Floor) -> None:
    command = cmd.ClosePositions(account_id="h1")
    events = floor.do(command, command_id="k1", request_hash="r")
    kept = floor.desk.answer(command_id="k1", request_hash="r")
    assert isinstance(kept, Answer) and kept.duplicate and kept.order is None
    assert kept.closed == only(events, ev.PositionsClosed)[0]
    mine = [each for each in floor.log if each.command_id == "k1"]
    assert recollected(recorded=mine, request_hash="r", state=floor.desk.state) == kept
    other = floor.desk.answer(command_id="k1", request_hash="other")
    assert other is not None and other.conflict
    limits(floor, account_messages_per_s_max=1)
    floor.do(cmd.ClosePositions(account_id="h1"), command_id="k2")
    refused = floor.desk.answer(command_id="k2", request_hash="")
    (recorded, *_) = mine = [each for each in floor.log if each.command_id == "k2"]
    assert recollected(recorded=mine, request_hash=recorded.request_hash, state=floor.desk.state) == refused


def test_an_own_order_that_rests_in_its_way_ends_and_exits_go_with_their_positions(floor: Floor) -> None:
    held = next(each for each in left(floor) if floor.desk.state.positions[each].quantity == 1)
    floor.do(cmd.SetExits(account_id="h1", position_id=held, take_profit=D("1.20000"), stop_loss=D("1.05000")))
    assert len(floor.desk.state.open_orders["h1"]) == 2
    fresh(floor)
    assert len(only(close(floor), ev.OrderCancelled)) == 2 and not floor.desk.state.open_orders["h1"]


def test_a_guaranteed_stop_that_is_reached_gets_its_price_first(floor: Floor) -> None:
    terms = GuaranteedStops(premium_points=D(1), distance_points_min=D(10))
    profile = PriceProfile(guaranteed_stops=terms)
    floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=profile))
    floor.place("b2", BUY, "1", stop_loss=D("1.09500"), guaranteed_stop=True)
    floor.quotes("-0.02000")
    events = close(floor, "b2")
    (fill,) = only(events, ev.OrderFilled)
    assert fill.price == D("1.09500") and left(floor, "b2") == []
    assert [codes(each) for each in told(events)] == [["ON_ITS_WAY"]]
