"""What two or three features of orders do to each other: pairs, exits, cancels under way, halts, places in a queue."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, TradingState
from piggy.core.auctions import AuctionPhase
from piggy.core.orders import OrderState, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.core.floor import CLEARED, SECOND_US, Floor, names, only
from tests.core.test_busting import bust, on_record


@pytest.fixture
def floor() -> Floor:
    return Floor()


def told(events: list[ev.AnyEvent]) -> list[tuple[str, str, str]]:
    """Return who was filled in which book, and what ended and why."""
    fills = [("filled", fill.account_id, fill.book) for fill in only(events, ev.OrderFilled)]
    return fills + [("ended", each.order_id, each.reason) for each in only(events, ev.OrderCancelled)]


def queue(floor: Floor, side: Side) -> list[str]:
    return [order_id for order_id, _ in floor.desk.state.resting["EURUSD"].best_first(side=side)]


def jump(floor: Floor, shift: str) -> list[ev.AnyEvent]:
    """Let every LP quote so far from where it began, long after, so that it is no spike."""
    floor.now_us += 120 * SECOND_US
    floor.quotes(shift)
    return floor.act()


def refuse_cancels(floor: Floor) -> None:
    for leg in floor.desk.unanswered_cancels():
        named = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "occurred_at_us": floor.now_us}
        floor.do(cmd.RecordVenueCancelReject(**named, text="too late"))


def test_an_order_made_smaller_while_its_cancel_is_under_way_stands_in_the_book_once(floor: Floor) -> None:
    """It came back twice when the venues refused; what was left of it when it had gone stopped the whole desk."""
    floor.place("a1", Side.BUY, "8", limit_price="1.10020")
    floor.fill(floor.children()[0], "1.10010")
    floor.do(cmd.CancelOrder(order_id="O000000001", account_id="a1"))
    assert queue(floor, Side.BUY) == []
    assert names(bust(floor, *on_record(floor))) == ["OrderFillBusted", "OrderAmended"]
    assert queue(floor, Side.BUY) == [], "it is to end, and nobody meets it any more"
    refuse_cancels(floor)
    assert queue(floor, Side.BUY) == ["O000000001"]
    jump(floor, "0.00050")
    for leg in floor.children():
        floor.done(leg)
    floor.do(cmd.CancelOrder(order_id="O000000001", account_id="a1"))
    assert queue(floor, Side.BUY) == [] and floor.order(1).state is OrderState.CANCELLED


def test_a_stop_limit_that_was_triggered_keeps_its_place_behind_who_was_there(floor: Floor) -> None:
    """It was accepted first and came into the book last: made smaller, it would have gone in front."""
    floor.place("b1", Side.BUY, "1", type=OrderType.STOP_LIMIT, stop_price=D("1.10050"), limit_price="1.10020")
    jump(floor, "0.00030")
    floor.place("b2", Side.BUY, "1", limit_price="1.10020")
    jump(floor, "0.00060")
    assert queue(floor, Side.BUY) == ["O000000002", "O000000001"]
    floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D("0.5")))
    assert queue(floor, Side.BUY) == ["O000000002", "O000000001"]


def pair(floor: Floor) -> None:
    """Two orders of a pair, the first of them out at a venue."""
    for price in ("1.10050", "1.10008"):
        floor.place("a1", Side.BUY, "1", limit_price=price, oco_group="pair")
    assert (floor.order(1).routed, floor.order(2).routed) == (1, 0)


def test_of_a_pair_nobody_meets_the_one_while_the_other_is_out_at_a_venue(floor: Floor) -> None:
    pair(floor)
    events = floor.place("b1", Side.SELL, "1", limit_price="1.10008")
    assert told(events) == []
    floor.fill(floor.children()[0], "1.10010")
    assert floor.order(2).state is OrderState.CANCELLED and floor.order(3).filled == 0


def test_of_a_pair_the_one_is_not_amended_into_the_market_while_the_other_is_out(floor: Floor) -> None:
    pair(floor)
    changed = floor.do(cmd.AmendOrder(order_id="O000000002", account_id="a1", limit_price=D("1.10060")))
    assert names(changed) == ["OrderAmended"] and len(floor.children()) == 1
    assert told(floor.fill(floor.children()[0], "1.10010")) == [
        ("filled", "a1", "A"),
        ("ended", "O000000002", "order O000000001 filled"),
    ]


def test_an_exit_out_at_a_venue_stays_as_it_is_when_more_is_told_of_the_other_s_fill(floor: Floor) -> None:
    """F-15: the take-profit had dealt a part, the stop-loss of the rest went out, then that part was restated."""
    floor.place("a1", Side.BUY, "1", take_profit=D("1.10100"), stop_loss=D("1.09900"))
    floor.fill(floor.children()[0], "1.10010")
    jump(floor, "0.00120")
    (leg,) = floor.children()
    floor.fill(leg, "1.10121", lots="0.4", fill_id="X")
    jump(floor, "0.00010")
    floor.done(leg, filled="0.4")
    jump(floor, "-0.00120")
    (stop,) = floor.children()
    assert (stop.order_id, stop.quantity) == ("O000000003", D("0.6"))
    named = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "report_id": "R", "ref_fill_id": "X", "text": ""}
    numbers = {"quantity": D("0.5"), "price": D("1.10121"), "occurred_at_us": floor.now_us}
    events = floor.do(cmd.RecordVenueCorrection(symbol="EURUSD", side=Side.SELL, **named, **numbers))
    assert told(events) == [("filled", "a1", "A")] and floor.order(3).quantity == D("0.6")


def test_two_that_name_no_group_are_no_pair(floor: Floor) -> None:
    for _ in range(2):
        floor.place("b2", Side.BUY, "1", limit_price="1.10008", oco_group="")
    floor.place("b1", Side.SELL, "2", limit_price="1.10008")
    assert [floor.order(number).filled for number in (1, 2)] == [1, 1]


@pytest.mark.parametrize("force", [TimeInForce.GTD, TimeInForce.DAY])
def test_nobody_meets_an_order_whose_time_was_up_a_moment_ago(floor: Floor, force: TimeInForce) -> None:
    """The command that comes in the same instant may be decided before the one that ends it."""
    floor.now_us -= floor.now_us % (24 * 3_600 * SECOND_US) - 21 * 3_600 * SECOND_US
    over_us = floor.now_us + 3_600 * SECOND_US  # 17:00 in New York.
    timed = {"expires_at_us": over_us} if force is TimeInForce.GTD else {}
    floor.place("b2", Side.BUY, "1", limit_price="1.10008", time_in_force=force, **timed)
    floor.place("mixed1", Side.BUY, "1", limit_price="1.10007")
    floor.now_us = over_us - 2 * SECOND_US
    fills = only(floor.place("b1", Side.SELL, "0.5", limit_price="1.10006"), ev.OrderFilled)
    assert {fill.account_id for fill in fills} == {"b1", "mixed1"}
    assert floor.act() and floor.order(1).state is OrderState.EXPIRED


def own(floor: Floor, account_id: str, of: str) -> None:
    account = Account(account_id=account_id, group="a", owner_id=of, currency="USD")
    floor.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id=account_id, amount=D(100_000), reference=account_id))


def test_nobody_meets_an_order_that_the_same_step_has_asked_venues_to_end(floor: Floor) -> None:
    """Its owner's stop ends it by self-trade prevention; another client's stop comes in the same step."""
    own(floor, "twin", of="b1")
    floor.place("b1", Side.BUY, "1", stop_loss=D("1.09960"))
    floor.place("b2", Side.SELL, "0.5", type=OrderType.STOP, stop_price=D("1.09955"))
    floor.place("twin", Side.BUY, "8", limit_price="1.10020")
    assert floor.order(4).free == 2
    floor.now_us += 120 * SECOND_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.09900", "1.09950")
    assert told(floor.act()) == [("filled", "b1", "B"), ("filled", "b2", "B")]


@pytest.mark.parametrize(
    ("mode", "events"),
    [
        (SelfTradePrevention.CANCEL_NEWEST, [("ended", "O000000002")]),
        (SelfTradePrevention.CANCEL_BOTH, [("ended", "O000000001"), ("ended", "O000000002")]),
        (SelfTradePrevention.DECREMENT, [("ended", "O000000001"), ("filled", "b1")]),
        (SelfTradePrevention.CANCEL_OLDEST, [("ended", "O000000001"), ("filled", "b1")]),
    ],
)
@pytest.mark.parametrize("quoted", ["2", "0.001"])
def test_a_stop_limit_that_comes_to_its_owner_s_own_order_does_as_one_that_was_just_placed(
    floor: Floor, mode: SelfTradePrevention, events: list[tuple[str, str]], quoted: str
) -> None:
    """It stayed across from the other one, and never dealt with the street at whatever price."""
    stop = {"type": OrderType.STOP_LIMIT, "stop_price": D("1.09950"), "limit_price": "1.09900"}
    floor.place("b1", Side.BUY, "1", limit_price="1.09945")
    floor.place("b1", Side.SELL, "1.5", stp=mode, **stop)
    floor.now_us += 120 * SECOND_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.09940", "1.09955", quoted)
    street = quoted == "2"
    made = [each[:2] for each in told(floor.act())]
    assert sorted(made) == [each for each in events if street or each[0] == "ended"]


def test_an_order_whose_cancel_is_under_way_takes_no_part_in_an_auction(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "8", limit_price="1.10020")
    floor.do(cmd.CancelOrder(order_id="O000000001", account_id="a1"))
    call = {"symbol": "EURUSD", "reason": "drill", "by": "ann"}
    floor.do(cmd.ChangePhase(phase=AuctionPhase.OPENING_CALL, **call))
    floor.place("b1", Side.SELL, "1", limit_price="1.10000")
    assert names(floor.do(cmd.ChangePhase(phase=AuctionPhase.CONTINUOUS, **call))) == ["PhaseChanged"]


def test_what_may_only_reduce_leaves_the_position_to_a_keener_order_of_its_client_in_an_auction(floor: Floor) -> None:
    """The auction dealt both: a position that was to be closed was turned round."""
    floor.place("b1", Side.BUY, "1")
    call = {"symbol": "EURUSD", "reason": "drill", "by": "ann"}
    floor.do(cmd.ChangePhase(phase=AuctionPhase.OPENING_CALL, **call))
    floor.place("b1", Side.SELL, "1", limit_price="1.10006", reduce_only=True)
    floor.place("b1", Side.SELL, "0.4", limit_price="1.10004")
    floor.place("b2", Side.BUY, "3", limit_price="1.10008")
    events = floor.do(cmd.ChangePhase(phase=AuctionPhase.CONTINUOUS, **call))
    sold = {fill.order_id: fill.quantity for fill in only(events, ev.OrderFilled) if fill.account_id == "b1"}
    assert sold == {"O000000003": D("0.4"), "O000000002": D("0.6")}
    assert not [each for each in floor.desk.state.positions.values() if each.account_id == "b1"]


@pytest.mark.parametrize("first", [0, 1])
def test_what_may_only_reduce_and_comes_back_from_a_venue_to_nothing_ends(floor: Floor, first: int) -> None:
    """Another order closed the position meanwhile: resting on, it would have closed what its client buys next."""
    floor.place("a1", Side.BUY, "3")
    for leg in floor.children():
        floor.fill(leg, "1.10010")
    floor.place("a1", Side.SELL, "3", limit_price="1.09950", reduce_only=True)
    exits = floor.children()
    floor.place("a1", Side.SELL, "3")
    for leg in floor.children():
        if leg not in exits:
            floor.fill(leg, "1.10000")
    assert not floor.desk.state.positions and len(exits) == 2
    back, dealt = exits[first], exits[1 - first]
    if first:
        floor.fill(dealt, "1.10000")
        events = floor.done(back)
    else:
        floor.done(back)
        events = floor.fill(dealt, "1.10000")
    assert ("ended", "O000000002", "nothing left to reduce") in told(events)
    assert floor.order(2).state is OrderState.CANCELLED


@pytest.mark.parametrize("by", ["state", "phase"])
def test_a_stop_that_was_reached_in_a_halt_comes_alive_when_it_is_over_and_not_with_another_price(
    floor: Floor, by: str
) -> None:
    floor.place("b1", Side.BUY, "1", type=OrderType.STOP, stop_price=D("1.10050"))
    floor.place("b2", Side.SELL, "1", limit_price="1.10060")

    def change(who: str, *, opens: bool) -> None:
        if by == "state":
            state = TradingState.ACTIVE if opens else TradingState.HALTED
            floor.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=state, reason="x", by=who))
        else:
            phase = AuctionPhase.CONTINUOUS if opens else AuctionPhase.CLOSED
            floor.do(cmd.ChangePhase(symbol="EURUSD", phase=phase, reason="x", by=who))

    change("ann", opens=False)
    assert jump(floor, "0.00100") == []
    change("bob", opens=True)
    events = floor.act()
    assert names(events).count("OrderTriggered") == 1
    assert {fill.account_id for fill in only(events, ev.OrderFilled)} == {"b1", "b2"}
