"""Orders that wait for a dealer: what a dealer, the client and time may do with them, and what is fair."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, TradingState
from piggy.core.dealer_commands import DealAt, RejectReason
from piggy.core.dealer_events import DealerOutcome
from piggy.core.desk import Desk
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderState, OrderType, Side
from piggy.core.routing_rules import Conditions, DealerWait, RoutingPolicy, RoutingRule
from tests.core.floor import SECOND_US, Floor, canonical, names, only

HELD = "O000000001"
ASKED = D("1.10013")  # LP1's offer of 1.10010 and three points of markup.


def rules(*, symbols: tuple[str, ...] = (), book_mode: BookMode = BookMode.B, **wait: Any) -> cmd.ConfigureRouting:
    conditions, dealer = Conditions(symbols=symbols), DealerWait(**wait)
    rule = RoutingRule(name="by hand", priority=1, book_mode=book_mode, conditions=conditions, dealer=dealer)
    return cmd.ConfigureRouting(policy=RoutingPolicy(version=3, rules=(rule,)))


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, price_age_ms_max=60_000)))
    made.do(rules())
    return made


@pytest.fixture
def waiting(floor: Floor) -> Floor:
    """b1's buy of one lot waits for a dealer."""
    floor.place("b1", Side.BUY, "1")
    return floor


def answer(floor: Floor, command: Any) -> str:
    """Return why the command is refused, '' where it is done."""
    events = floor.do(command)
    return events[0].code if isinstance(events[0], ev.CommandRefused) else ""


def fill(floor: Floor, at: DealAt = DealAt.REQUESTED, by: str = "ann") -> list[ev.AnyEvent]:
    return floor.do(cmd.FillByDealer(order_id=HELD, by=by, at=at))


def offer(floor: Floor, offered: str, **changes: Any) -> list[ev.AnyEvent]:
    asked: dict[str, Any] = {
        "order_id": HELD, "by": "ann", "price": D(offered), "valid_ms": 5_000, "reason": "the market went away",
    }  # fmt: skip
    return floor.do(cmd.RequoteOrder(**(asked | changes)))


def reject(floor: Floor, reason: RejectReason = RejectReason.RISK_LIMIT, **more: Any) -> list[ev.AnyEvent]:
    return floor.do(cmd.RejectByDealer(order_id=HELD, by="ann", reason=reason, **more))


def take(floor: Floor, accept: bool = True, account_id: str = "b1") -> list[ev.AnyEvent]:
    return floor.do(cmd.AnswerRequote(order_id=HELD, account_id=account_id, accept=accept))


def dealt(events: list[ev.AnyEvent]) -> D:
    (filled,) = only(events, ev.OrderFilled)
    assert filled.quantity == 1 and filled.book == "B"
    return filled.price


def test_an_order_that_its_rule_gives_to_a_dealer_waits_and_is_seen_to(floor: Floor) -> None:
    accepted, held = floor.place("b1", Side.BUY, "1")
    assert (accepted.routing.rule, accepted.routing.version, accepted.routing.mode) == ("rule by hand", 3, "DEALER")
    assert (held.price, held.expires_at_us) == (ASKED, floor.now_us + 30 * SECOND_US)
    assert floor.order(1).state is OrderState.WITH_DEALER and floor.order(1).view().state.value == "with_dealer"
    assert floor.act() == [] and floor.desk.state.positions == {}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("shift", "at", "better_by"),
    [
        ("0", DealAt.REQUESTED, "0"),
        ("0.00020", DealAt.REQUESTED, "0"),
        ("-0.00020", DealAt.REQUESTED, "0.00020"),
        ("0.00020", DealAt.MARKET, "-0.00020"),
        ("-0.00020", DealAt.MARKET, "0.00020"),
    ],
)
def test_a_better_market_is_the_clients_and_the_market_counts_both_ways(
    floor: Floor, side: Side, shift: str, at: DealAt, better_by: str
) -> None:
    """Slippage is symmetric, whichever way the client deals; `shift` is against the client."""
    _, held = floor.place("b1", side, "1")
    floor.quotes(str(side.sign * D(shift)))
    events = fill(floor, at)
    assert dealt(events) == held.price - side.sign * D(better_by)
    (decided,) = only(events, ev.DealerDecided)
    assert (decided.by, decided.outcome, decided.asked) == ("ann", DealerOutcome.FILLED, held.price)
    assert decided.market == held.price + side.sign * D(shift) and decided.price == dealt(events)
    assert floor.order(1).state is OrderState.FILLED and floor.desk.state.held == {}


def test_a_fill_at_the_market_slips_no_further_than_a_market_order_may(waiting: Floor) -> None:
    """50 bp of 1.10013: 1.10563 at the worst."""
    waiting.quotes("0.00551")
    assert answer(waiting, cmd.FillByDealer(order_id=HELD, by="ann", at=DealAt.MARKET)) == "MOVED_TOO_FAR"
    waiting.quotes("0.00550")
    assert dealt(fill(waiting, DealAt.MARKET)) == D("1.10563")


def test_a_limit_is_honoured_and_one_away_from_the_market_rests_as_ever(floor: Floor) -> None:
    assert names(floor.place("b1", Side.BUY, "1", limit_price="1.09000")) == ["OrderAccepted"]
    floor.do(cmd.CancelOrder(order_id=HELD, account_id="b1"))
    _, held = floor.place("b1", Side.BUY, "1", limit_price="1.10020")
    assert held.order_id == "O000000002" and held.price == ASKED
    assert len(floor.desk.state.resting["EURUSD"]) == 0, "nobody may cross with it"
    floor.quotes("0.00010")
    command = cmd.FillByDealer(order_id=held.order_id, by="ann", at=DealAt.MARKET)
    assert answer(floor, command) == "MOVED_TOO_FAR"
    assert dealt(floor.do(msgspec.structs.replace(command, at=DealAt.REQUESTED))) == ASKED


def test_off_quotes_no_fill_can_be_held_against_anything(waiting: Floor) -> None:
    waiting.now_us += 0
    for venue in ("LP1", "LP2", "LP3"):
        waiting.desk.market.withdraw(venue=venue)
    assert answer(waiting, cmd.FillByDealer(order_id=HELD, by="ann")) == "OFF_QUOTES"
    assert offer(waiting, "1.10020")[0].code == "OFF_QUOTES"  # type: ignore[union-attr]
    assert reject(waiting, RejectReason.PRICE_MOVED)[0].code == "REASON_UNTRUE"  # type: ignore[union-attr]
    (decided, cancelled) = reject(waiting, RejectReason.OFF_QUOTES)
    assert isinstance(decided, ev.DealerDecided) and decided.market is None
    assert isinstance(cancelled, ev.OrderCancelled) and cancelled.outcome == "rejected"


def test_a_requote_is_firm_and_the_client_takes_it_or_leaves_it(waiting: Floor) -> None:
    waiting.quotes("0.00020")
    (requoted,) = offer(waiting, "1.10033")
    assert isinstance(requoted, ev.OrderRequoted) and (requoted.price, requoted.market) == (D("1.10033"), D("1.10033"))
    for command in (
        cmd.FillByDealer(order_id=HELD, by="ann"),
        cmd.RejectByDealer(order_id=HELD, by="ann", reason=RejectReason.NEWS),
        cmd.ClaimOrder(order_id=HELD, by="ann"),
        cmd.PassOrderOn(order_id=HELD, by="ann"),
    ):
        assert answer(waiting, command) == "REQUOTED"
    waiting.quotes("0.00100")
    assert take(waiting, account_id="b2")[0].code == "NOT_WITH_DEALER"  # type: ignore[union-attr]
    events = take(waiting)
    assert dealt(events) == D("1.10033"), "the price was firm, whatever the market did since"
    assert only(events, ev.DealerDecided)[0].outcome is DealerOutcome.REQUOTE_ACCEPTED


def test_a_market_that_came_back_betters_the_requote(waiting: Floor) -> None:
    waiting.quotes("0.00020")
    offer(waiting, "1.10033")
    waiting.quotes("-0.00010")
    assert dealt(take(waiting)) == D("1.10003")


def test_a_declined_requote_ends_the_order(waiting: Floor) -> None:
    waiting.quotes("0.00020")
    offer(waiting, "1.10033")
    (decided, cancelled) = take(waiting, accept=False)
    assert isinstance(decided, ev.DealerDecided) and decided.outcome is DealerOutcome.REQUOTE_DECLINED
    assert isinstance(cancelled, ev.OrderCancelled) and waiting.order(1).state is OrderState.REJECTED
    assert waiting.desk.state.reserved["b1"] == 0


def test_a_requote_not_answered_in_time_ends_the_order(waiting: Floor) -> None:
    waiting.quotes("0.00020")
    offer(waiting, "1.10033")
    waiting.now_us += 5 * SECOND_US - 1
    assert only(waiting.act(), ev.DealerDecided) == []
    waiting.now_us += 1
    assert take(waiting)[0].code == "REQUOTE_OVER"  # type: ignore[union-attr]
    assert [event.outcome for event in only(waiting.act(), ev.DealerDecided)] == [DealerOutcome.REQUOTE_EXPIRED]
    assert take(waiting)[0].code == "NOT_WITH_DEALER"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"price": D("1.10020")}, ""),
        ({"price": D("1.10034")}, "REQUOTE_UNFAIR"),
        ({"price": D("1.100335")}, "PRICE_INVALID"),
        ({"price": D("NaN")}, "PRICE_INVALID"),
        ({"price": D("1E+40")}, "PRICE_INVALID"),
        ({"price": D(0)}, "PRICE_INVALID"),
        ({"reason": ""}, "REASON_MISSING"),
        ({"valid_ms": 999}, "VALID_INVALID"),
        ({"valid_ms": 1_000}, ""),
        ({"valid_ms": 30_000}, ""),
        ({"valid_ms": 30_001}, "VALID_INVALID"),
        ({"by": ""}, "DEALER_UNKNOWN"),
        ({"order_id": "O000000009"}, "NOT_WITH_DEALER"),
    ],
)
def test_a_requote_is_never_worse_than_the_market(waiting: Floor, changes: dict[str, Any], code: str) -> None:
    waiting.quotes("0.00020")
    event = offer(waiting, "1.10033", **changes)[0]
    assert (event.code if isinstance(event, ev.CommandRefused) else "") == code


@pytest.mark.parametrize("shift", ["0", "-0.00020"])
def test_where_the_market_gives_what_was_asked_there_is_nothing_to_requote(waiting: Floor, shift: str) -> None:
    waiting.quotes(shift)
    assert offer(waiting, "1.10013")[0].code == "REQUOTE_UNFAIR"  # type: ignore[union-attr]


def test_a_requote_stays_inside_the_clients_limit(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.10020")
    floor.quotes("0.00020")
    assert offer(floor, "1.10033")[0].code == "REQUOTE_UNFAIR"  # type: ignore[union-attr]
    assert names(offer(floor, "1.10020")) == ["OrderRequoted"]


def test_an_order_is_requoted_three_times_at_most(waiting: Floor) -> None:
    waiting.quotes("0.00020")
    waiting.desk.state.held[HELD].requotes = 3
    assert offer(waiting, "1.10033")[0].code == "REQUOTES_USED_UP"  # type: ignore[union-attr]
    waiting.desk.state.held[HELD].requotes = 2
    offer(waiting, "1.10033")
    assert waiting.desk.state.held[HELD].requotes == 3


def test_a_reject_has_a_reason_and_a_checkable_one_is_true(waiting: Floor) -> None:
    assert reject(waiting, RejectReason.PRICE_MOVED)[0].code == "REASON_UNTRUE"  # type: ignore[union-attr]
    assert reject(waiting, RejectReason.OFF_QUOTES)[0].code == "REASON_UNTRUE"  # type: ignore[union-attr]
    waiting.quotes("-0.00020")
    assert reject(waiting, RejectReason.PRICE_MOVED)[0].code == "REASON_UNTRUE", "it moved for the client"  # type: ignore[union-attr]
    waiting.quotes("0.00001")
    (decided, cancelled) = reject(waiting, RejectReason.PRICE_MOVED, text="gone")
    assert isinstance(decided, ev.DealerDecided) and decided.reason == "price_moved: gone" and decided.by == "ann"
    assert isinstance(cancelled, ev.OrderCancelled) and cancelled.outcome == "rejected"


def test_whoever_has_an_order_in_hand_answers_it_alone_for_half_a_minute(floor: Floor) -> None:
    floor.do(rules(timeout_s=120))
    floor.place("b1", Side.BUY, "1")
    assert names(floor.do(cmd.ClaimOrder(order_id=HELD, by="ann"))) == ["OrderClaimed"]
    floor.now_us += 30 * SECOND_US - 1
    floor.requote()
    assert answer(floor, cmd.ClaimOrder(order_id=HELD, by="ben")) == "CLAIMED"
    assert answer(floor, cmd.FillByDealer(order_id=HELD, by="ben")) == "CLAIMED"
    floor.now_us += 1
    assert answer(floor, cmd.ClaimOrder(order_id=HELD, by="ben")) == ""
    assert answer(floor, cmd.FillByDealer(order_id=HELD, by="ann")) == "CLAIMED"
    assert dealt(fill(floor, by="ben")) == ASKED
    assert answer(floor, cmd.ClaimOrder(order_id=HELD, by="ben")) == "NOT_WITH_DEALER"


@pytest.mark.parametrize("passes_on", [False, True])
def test_time_answers_when_nobody_does(floor: Floor, passes_on: bool) -> None:
    floor.do(rules(timeout_s=10, passes_on=passes_on, book_mode=BookMode.A))
    floor.place("b1", Side.BUY, "1")
    floor.now_us += 10 * SECOND_US - 1
    floor.requote()
    assert only(floor.act(), ev.DealerDecided) == []
    floor.now_us += 1
    assert answer(floor, cmd.FillByDealer(order_id=HELD, by="ann")) == "TIME_IS_UP"
    events = [event for event in floor.act() if not isinstance(event, ev.LimitUseChanged)]
    follows = ["OrderRerouted", "ChildOrderCreated"] if passes_on else ["OrderCancelled"]
    assert (
        names(events) == ["DealerDecided", *follows]
        and only(events, ev.DealerDecided)[0].outcome is DealerOutcome.TIMED_OUT
    )
    assert floor.act() == []


def test_an_order_passed_on_goes_as_its_rule_says(floor: Floor) -> None:
    floor.do(rules(book_mode=BookMode.A))
    floor.place("b1", Side.BUY, "1", limit_price="1.10020")
    decided, rerouted, child = floor.do(cmd.PassOrderOn(order_id=HELD, by="ann"))
    assert isinstance(decided, ev.DealerDecided) and decided.outcome is DealerOutcome.PASSED_ON
    assert isinstance(rerouted, ev.OrderRerouted) and rerouted.routing.rule == "rule by hand"
    assert isinstance(child, ev.ChildOrderCreated) and floor.order(1).state is OrderState.ROUTED
    assert len(floor.desk.state.resting["EURUSD"]) == 1
    floor.fill(child, "1.10010")
    assert floor.order(1).state is OrderState.FILLED


@pytest.mark.parametrize("stopped", [TradingState.HALTED, TradingState.KILLED])
def test_nothing_is_dealt_where_trading_is_stopped_but_it_may_be_refused(waiting: Floor, stopped: TradingState) -> None:
    state = cmd.SetTradingState(
        scope="symbol", key="EURUSD", state=stopped, reason="news", by="ann", cancel_working=False
    )
    waiting.do(state)
    assert answer(waiting, cmd.FillByDealer(order_id=HELD, by="ann")) == "HALTED"
    assert answer(waiting, cmd.PassOrderOn(order_id=HELD, by="ann")) == "HALTED"
    assert answer(waiting, cmd.RejectByDealer(order_id=HELD, by="ann", reason=RejectReason.NEWS)) == ""


def test_a_requote_is_not_dealt_in_a_halt_nor_is_an_order_passed_on_by_time(floor: Floor) -> None:
    floor.do(rules(passes_on=True))
    floor.place("b1", Side.BUY, "1")
    floor.quotes("0.00020")
    offer(floor, "1.10033")
    floor.do(cmd.SetTradingState(scope="firm", key="", state=TradingState.HALTED, reason="news", by="ann"))
    assert take(floor)[0].code == "HALTED"  # type: ignore[union-attr]
    floor.now_us += 30 * SECOND_US
    assert names(only(floor.act(), ev.OrderCancelled)) == ["OrderCancelled"]


def test_a_kill_cancels_what_waits(waiting: Floor) -> None:
    waiting.do(cmd.SetTradingState(scope="firm", key="", state=TradingState.KILLED, reason="drill", by="ann"))
    assert waiting.desk.state.held == {} and waiting.order(1).state is OrderState.CANCELLED


def test_the_client_may_cancel_what_waits_but_not_amend_it(waiting: Floor) -> None:
    amendment = cmd.AmendOrder(order_id=HELD, account_id="b1", quantity=D("0.5"))
    assert answer(waiting, amendment) == "ORDER_NOT_AMENDABLE"
    assert names(waiting.do(cmd.CancelOrder(order_id=HELD, account_id="b1"))) == ["OrderCancelled"]
    assert waiting.desk.state.held == {} and waiting.act() == []


@pytest.mark.parametrize(
    "terms", [{"type": OrderType.STOP, "stop_price": D("1.10500")}, {"limit_price": "1.10050", "post_only": True}]
)
def test_stops_and_post_only_orders_do_not_wait(floor: Floor, terms: dict[str, Any]) -> None:
    assert only(floor.place("b1", Side.BUY, "1", **terms), ev.OrderHeld) == []


def test_a_close_of_what_venues_cover_is_not_held_and_one_of_the_houses_own_is(floor: Floor) -> None:
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1)))
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("b1", Side.BUY, "1")
    floor.do(rules())
    assert only(floor.place("a1", Side.SELL, "1"), ev.ChildOrderCreated)
    assert only(floor.place("b1", Side.SELL, "0.5"), ev.OrderHeld)
    assert only(floor.place("a1", Side.BUY, "1"), ev.OrderHeld), "what adds to a position is new flow"


def test_an_order_that_may_only_reduce_fills_what_is_left_to_reduce(floor: Floor) -> None:
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1)))
    floor.place("b1", Side.BUY, "1")
    floor.do(rules())
    floor.place("b1", Side.SELL, "1", reduce_only=True)
    floor.place("b1", Side.SELL, "0.4")
    floor.do(cmd.FillByDealer(order_id="O000000003", by="ann"))
    events = floor.do(cmd.FillByDealer(order_id="O000000002", by="ann"))
    assert [fill.quantity for fill in only(events, ev.OrderFilled)] == [D("0.6")]
    assert floor.desk.state.positions == {} and floor.order(2).state is OrderState.CANCELLED


def test_a_rule_for_other_symbols_holds_nothing(floor: Floor) -> None:
    floor.do(rules(symbols=("GBPUSD",)))
    assert only(floor.place("b1", Side.BUY, "1"), ev.OrderHeld) == []


@pytest.mark.parametrize(("timeout_s", "refused"), [(0, True), (1, False), (600, False), (601, True)])
def test_a_dealer_has_a_bounded_time(floor: Floor, timeout_s: int, refused: bool) -> None:
    assert isinstance(floor.do(rules(timeout_s=timeout_s))[0], ev.CommandRefused) is refused


def test_orders_with_a_dealer_fold_to_the_same_state(floor: Floor) -> None:
    """INV-08: every way in which a wait begins, goes on and ends."""
    for _ in range(3):
        floor.place("b1", Side.BUY, "1", limit_price="1.10050")
    floor.quotes("0.00020")
    floor.do(cmd.ClaimOrder(order_id="O000000001", by="ann"))
    offer(floor, "1.10033")
    fill(floor)
    take(floor)
    floor.do(cmd.PassOrderOn(order_id="O000000002", by="ann"))
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)
    assert set(floor.desk.state.held) == {"O000000003"}
