"""What closes a position for its own good, or the house's, is kept from it by no resting order and by no auction."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, TradingState
from piggy.core.auctions import AuctionPhase, AuctionRules
from piggy.core.orders import OrderState, OrderTerms, OrderType, SelfTradePrevention, Side
from tests.core.floor import CLEARED, SECOND_US, Floor, names, only

CALL = AuctionPhase.VOLATILITY_CALL


def street(floor: Floor, shift: str) -> None:
    """Every LP quotes fifty points wide from now on, so far from where it began; long after, so that it is no spike."""
    floor.now_us += 120 * SECOND_US
    bid = D("1.10000") + D(shift)
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, str(bid), str(bid + D("0.00050")), "50")


def bid_inside(floor: Floor, account_id: str, price: str, lots: str = "0.1") -> None:
    """Rest a buy between the street's prices, on the quotes that there are."""
    terms = OrderTerms(
        account_id=account_id, symbol="EURUSD", side=Side.BUY, quantity=D(lots), type=OrderType.LIMIT,
        limit_price=D(price),
    )  # fmt: skip
    assert names(floor.do(cmd.PlaceOrder(terms=terms))) == ["OrderAccepted"]


def own(floor: Floor, account_id: str, of: str, group: str = "b") -> None:
    account = Account(account_id=account_id, group=group, owner_id=of, currency="USD")
    floor.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id=account_id, amount=D(100_000), reference=account_id))


@pytest.fixture
def floor() -> Floor:
    """Clients met at 1.10005, and ten points from there is too far; poor, who has another account, is long a lot."""
    made = Floor()
    made.open_account("poor", group="b", amount=4_000)
    own(made, "other", of="poor")
    rules = AuctionRules(symbol="EURUSD", dynamic_bps=1, static_bps=1, call_s=60)
    made.do(cmd.ConfigureAuctions(rules=rules))
    made.place("b2", Side.SELL, "0.01", limit_price="1.10005")
    assert only(made.place("b1", Side.BUY, "0.01", limit_price="1.10005"), ev.OrderFilled)
    made.place("poor", Side.BUY, "1")
    return made


def told(events: list[ev.AnyEvent]) -> list[tuple[Any, ...]]:
    """Return what became of orders, and what phases began."""
    fills = [("filled", fill.account_id, fill.book) for fill in only(events, ev.OrderFilled)]
    ends = [("ended", end.order_id) for end in only(events, ev.OrderCancelled)]
    return [*fills, *ends, *(("phase", change.phase) for change in only(events, ev.PhaseChanged))]


@pytest.mark.parametrize(
    ("account_id", "more"), [("other", [("ended", "O000000004")]), ("b1", [])], ids=["his own", "another client's"]
)
def test_inv_17_no_resting_order_keeps_a_client_from_being_stopped_out(
    floor: Floor, account_id: str, more: list[tuple[Any, ...]]
) -> None:
    """His own would end the close by self-trade prevention, another's would begin a call of a minute."""
    street(floor, "-0.02400")
    bid_inside(floor, account_id, "1.07620")
    assert told(floor.act()) == [("filled", "poor", "B"), *more]


@pytest.mark.parametrize(
    ("account_id", "more"), [("other", [("ended", "O000000004")]), ("b1", [])], ids=["his own", "another client's"]
)
def test_p_25_no_resting_order_keeps_a_position_from_being_flattened(
    floor: Floor, account_id: str, more: list[tuple[Any, ...]]
) -> None:
    street(floor, "-0.00100")
    bid_inside(floor, account_id, "1.09920")
    floor.do(cmd.SetTradingState(scope="account", key="poor", state=TradingState.KILLED, reason="x", by="ann"))
    flatten = cmd.FlattenPositions(scope="account", key="poor", reason="out", by="bob")
    assert told(floor.do(flatten)) == [("filled", "poor", "B"), *more]


@pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.TRAILING_STOP, OrderType.MARKET_IF_TOUCHED])
def test_a_stop_that_comes_alive_deals_in_the_street_and_does_not_end_with_a_call(
    floor: Floor, kind: OrderType
) -> None:
    """Its client would be left with the position that it was to close."""
    price = {"stop_price": D("1.10060" if kind is OrderType.MARKET_IF_TOUCHED else "1.09950")}
    more = {"trailing_distance": D("0.00040")} if kind is OrderType.TRAILING_STOP else price
    floor.place("poor", Side.SELL, "1", type=kind, reduce_only=True, **more)
    street(floor, "0.00100" if kind is OrderType.MARKET_IF_TOUCHED else "-0.00100")
    bid_inside(floor, "b1", "1.10120" if kind is OrderType.MARKET_IF_TOUCHED else "1.09920")
    assert told(floor.act()) == [("filled", "poor", "B")]


def test_a_stop_limit_that_comes_alive_begins_a_call_and_is_dealt_in_its_auction(floor: Floor) -> None:
    terms = {"stop_price": D("1.09950"), "limit_price": D("1.09900")}
    floor.place("poor", Side.SELL, "1", type=OrderType.STOP_LIMIT, **terms)
    street(floor, "-0.00100")
    bid_inside(floor, "b1", "1.09920", lots="1")
    assert told(floor.act()) == [("phase", CALL)]
    floor.now_us += 60 * SECOND_US
    fills = only(floor.act(), ev.OrderFilled)
    assert {(fill.account_id, fill.book) for fill in fills} == {("poor", "CROSS"), ("b1", "CROSS")}


def test_nothing_more_is_touched_or_triggered_in_the_step_that_begins_a_call(floor: Floor) -> None:
    terms = {"stop_price": D("1.09950"), "limit_price": D("1.09900")}
    floor.place("poor", Side.SELL, "1", type=OrderType.STOP_LIMIT, **terms)
    floor.place("b1", Side.SELL, "0.1", type=OrderType.STOP, stop_price=D("1.09940"))
    floor.place("mixed1", Side.BUY, "0.1", limit_price="1.09960")
    floor.place("b2", Side.BUY, "0.1", limit_price="1.09920")
    street(floor, "-0.00100")
    first = [event for command in floor.desk.due(now_us=floor.now_us) for event in floor.do(command)]
    assert told(first) == [("phase", CALL)] and len(only(first, ev.OrderTriggered)) == 1


def test_limits_that_a_price_comes_to_wait_behind_one_that_begins_a_call(floor: Floor) -> None:
    """While they were halted somebody came whom either would have met."""
    halted = ("b1", "mixed1")
    for account_id in halted:
        floor.place(account_id, Side.SELL, "0.1", limit_price="1.10040")
        floor.do(cmd.SetTradingState(scope="account", key=account_id, state=TradingState.HALTED, reason="x", by="ann"))
    street(floor, "0")
    bid_inside(floor, "b2", "1.10045")
    for account_id in halted:
        floor.do(cmd.SetTradingState(scope="account", key=account_id, state=TradingState.ACTIVE, reason="x", by="bob"))
    street(floor, "0.00042")
    (command,) = (each for each in floor.desk.due(now_us=floor.now_us) if isinstance(each, cmd.ActOnPrices))
    assert names(floor.do(command)) == ["OrderRerouted", "PhaseChanged"]


def test_an_exit_ends_an_own_order_that_it_meets_and_not_itself() -> None:
    floor = Floor()
    own(floor, "twin", of="b1")
    floor.place("b1", Side.BUY, "1", stop_loss=D("1.09900"))
    street(floor, "-0.00090")
    bid_inside(floor, "twin", "1.09890")
    street(floor, "-0.00115")
    assert told(floor.act()) == [("filled", "b1", "B"), ("ended", "O000000003")]


def test_an_own_order_that_is_out_at_venues_ends_there_first_and_keeps_what_they_fill() -> None:
    """Self-trade prevention cancels it; what a venue deals meanwhile is its client's still, and not the house's."""
    floor = Floor()
    own(floor, "twin", of="a1", group="a")
    floor.place("a1", Side.BUY, "8", limit_price="1.10020")
    street(floor, "0.00010")
    floor.place("twin", Side.SELL, "1", limit_price="1.10015", stp=SelfTradePrevention.CANCEL_OLDEST)
    legs = floor.children()
    assert len(legs) == 3 and all(child.cancel for child in floor.desk.state.open_children.values())
    first = only(floor.fill(legs[0], "1.10010"), ev.OrderFilled)
    assert [(fill.account_id, fill.quantity) for fill in first] == [("a1", D(2))]
    ended = [event for leg in legs[1:] for event in floor.done(leg)]
    assert told(ended) == [("ended", "O000000001")]
    assert (floor.order(1).filled, floor.order(1).state) == (D(2), OrderState.CANCELLED)


def test_an_own_order_that_went_out_to_venues_in_the_same_step_ends_there_first() -> None:
    """The price that touches it stops its owner out: what venues fill of it was nobody's, and the house's to bear."""
    floor = Floor()
    floor.open_account("poor", group="b", amount=4_000)
    own(floor, "twin", of="poor", group="a")
    floor.place("poor", Side.BUY, "1")
    street(floor, "-0.02000")
    floor.place("twin", Side.BUY, "8", limit_price="1.07700")
    floor.now_us += 120 * SECOND_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.07600", "1.07650", "2")
    assert told(floor.act()) == [("filled", "poor", "B")]
    legs = floor.children()
    assert len(legs) == 3 and all(child.cancel for child in floor.desk.state.open_children.values())
    first = only(floor.fill(legs[0], "1.07650"), ev.OrderFilled)
    assert [(fill.account_id, fill.quantity) for fill in first] == [("twin", D(2))]
    assert told([event for leg in legs[1:] for event in floor.done(leg)]) == [("ended", "O000000002")]
    assert floor.order(2).state is OrderState.CANCELLED


def test_venues_are_asked_once_for_an_order_that_two_closes_of_one_command_meet() -> None:
    floor = Floor()
    floor.open_account("poor", group="a", hedging=True)
    own(floor, "twin", of="poor", group="a")
    for _ in range(2):
        floor.place("poor", Side.BUY, "0.1")
        floor.fill(floor.children()[0], "1.10010")
    floor.place("twin", Side.BUY, "8", limit_price="1.10020")
    street(floor, "0.00010")
    floor.do(cmd.SetTradingState(scope="account", key="poor", state=TradingState.KILLED, reason="x", by="ann"))
    flatten = cmd.FlattenPositions(scope="account", key="poor", reason="out", by="bob")
    events = floor.do(flatten)
    asked = [event.cl_ord_id for event in only(events, ev.ChildCancelRequested)]
    assert len(only(events, ev.OrderAccepted)) == 2 and len(asked) == len(set(asked)) == 3


def test_inv_17_an_own_order_in_the_way_is_no_taker() -> None:
    """With every venue off a stop-out would end that order, close nothing, and tell its client that it had."""
    floor = Floor()
    floor.open_account("poor", group="a", amount=4_000)
    own(floor, "twin", of="poor")
    floor.place("poor", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    for venue in ("LP1", "LP2", "LP3"):
        floor.do(cmd.SetTradingState(scope="venue", key=venue, state=TradingState.HALTED, reason="x", by="ann"))
    street(floor, "-0.02400")
    bid_inside(floor, "twin", "1.07620")
    assert names(floor.act()) == ["MarginCalled"]
    bid_inside(floor, "b1", "1.07625", lots="0.4")
    assert told(floor.act())[0] == ("filled", "poor", "CROSS")


def test_what_may_only_reduce_and_went_out_in_the_same_step_does_not_end_before_its_leg() -> None:
    """Another order turns the position in that step; what the venue deals of the first is its client's still."""
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("a1", Side.SELL, "1", type=OrderType.STOP, stop_price=D("1.09950"), reduce_only=True)
    floor.place("a1", Side.SELL, "2", type=OrderType.STOP, stop_price=D("1.09940"))
    street(floor, "-0.00100")
    terms = OrderTerms(
        account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D(2), type=OrderType.LIMIT,
        limit_price=D("1.09920"), all_or_none=True,
    )  # fmt: skip
    floor.do(cmd.PlaceOrder(terms=terms))
    assert told(floor.act()) == [("filled", "a1", "CROSS"), ("filled", "b1", "CROSS")]
    (leg,) = floor.children()
    assert told(floor.fill(leg, "1.09900")) == [("filled", "a1", "A")]


def test_what_may_only_reduce_ends_with_the_fill_of_a_venue_that_leaves_nothing_to_reduce() -> None:
    """It was for more lots than there were left: what rested of it would have closed what its client buys next."""
    floor = Floor()
    floor.place("a1", Side.BUY, "2")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("a1", Side.SELL, "2", limit_price="1.10050", reduce_only=True)
    floor.place("a1", Side.SELL, "1")
    floor.fill(floor.children()[0], "1.10000")
    street(floor, "0.00100")
    floor.act()
    (leg,) = floor.children()
    assert leg.quantity == 1 and told(floor.fill(leg, "1.10100")) == [("filled", "a1", "A"), ("ended", "O000000002")]


def test_an_own_order_that_venues_are_asked_to_end_is_sent_nowhere_else_in_the_same_step() -> None:
    floor = Floor()
    own(floor, "twin", of="b1", group="a")
    floor.place("b1", Side.BUY, "1", stop_loss=D("1.09960"))
    floor.place("twin", Side.BUY, "8", limit_price="1.10020")
    assert (floor.order(3).routed, len(floor.children())) == (6, 3)
    floor.now_us += 2 * SECOND_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.09900", "1.09950")
    assert told(floor.act()) == [("filled", "b1", "B")]
    assert (floor.order(3).routed, len(floor.children())) == (6, 3)
    ended = [event for leg in floor.children() for event in floor.done(leg)]
    assert told(ended) == [("ended", "O000000003")]
