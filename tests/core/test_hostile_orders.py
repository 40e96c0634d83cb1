"""Orders at the edges of their own words: what may only reduce, not take, not rest, not be cut, not pass its limit."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, BookMode, Group
from piggy.core.auctions import AuctionPhase
from piggy.core.orders import OrderType, SelfTradePrevention, Side, TimeInForce
from piggy.core.positions import Position
from piggy.core.routing_rules import Situation, treatment
from piggy.core.splitting import split
from tests.core.floor import CLEARED, EURUSD, Floor, names, only

LIMITED = {"type": OrderType.STOP_LIMIT, "stop_price": D("1.10050")}


@pytest.fixture
def floor() -> Floor:
    return Floor()


def phase(floor: Floor, to: AuctionPhase) -> list[ev.AnyEvent]:
    return floor.do(cmd.ChangePhase(symbol="EURUSD", phase=to, reason="the day's plan", by="ann"))


def held(floor: Floor) -> dict[str, D]:
    return {position.account_id: position.quantity for position in floor.desk.state.positions.values()}


def twin(floor: Floor) -> None:
    """A second account of b1's owner."""
    floor.do(
        cmd.ConfigureAccount(
            account=Account(account_id="twin", group="b", owner_id="b1", currency="USD"), clearance=CLEARED
        )
    )
    floor.do(cmd.CreditAccount(account_id="twin", amount=D(100_000), reference="twin"))


@pytest.mark.parametrize("force", [TimeInForce.IOC, TimeInForce.FOK])
def test_a_stop_limit_that_may_not_rest_ends_where_the_market_jumped_over_its_limit(
    floor: Floor, force: TimeInForce
) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.10055", time_in_force=force, **LIMITED)
    floor.quotes("0.00060")
    assert names(floor.act()) == ["OrderTriggered", "OrderRerouted", "OrderCancelled"]
    floor.quotes("0.00030")
    assert floor.act() == [] and floor.order(1).filled == 0, "the price comes back, the order does not"


def test_a_stop_limit_that_is_never_to_take_ends_rather_than_take_when_it_triggers(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.10080", post_only=True, **LIMITED)
    floor.place("b2", Side.BUY, "1", limit_price="1.10055", post_only=True, **LIMITED)
    floor.quotes("0.00060")
    events = floor.act()
    assert [(e.order_id, e.reason[:9]) for e in only(events, ev.OrderCancelled)] == [("O000000001", "post only")]
    floor.quotes("0.00030")
    assert [fill.order_id for fill in only(floor.act(), ev.OrderFilled)] == ["O000000002"], "the market came to it"


@pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.MARKET_IF_TOUCHED, OrderType.MARKET])
def test_what_becomes_a_market_order_cannot_be_post_only(floor: Floor, kind: OrderType) -> None:
    """P-06."""
    stop = {} if kind is OrderType.MARKET else {"stop_price": D("1.10050")}
    (denied,) = floor.place("b1", Side.BUY, "1", type=kind, post_only=True, **stop)
    assert [check.code for check in denied.verdict.reasons] == ["P-06"]


@pytest.mark.parametrize(
    ("kind", "stop", "limit", "shift", "filled"),
    [
        (OrderType.STOP, "1.10050", "1.10055", "0.00060", "0"),
        (OrderType.STOP, "1.10050", "1.10074", "0.00060", "4"),
        (OrderType.MARKET_IF_TOUCHED, "1.09950", "1.09949", "-0.00065", "6"),
        (OrderType.MARKET_IF_TOUCHED, "1.09950", "1.09940", "-0.00065", "0"),
    ],
)
def test_no_order_that_names_a_limit_deals_beyond_it_whatever_its_type(
    floor: Floor, kind: OrderType, stop: str, limit: str, shift: str, filled: str
) -> None:
    """Six lots over three venues of two, each a point dearer; the rest of a stop ends.

    What was touched waits at its limit, and deals with the next look at the same quotes.
    """
    floor.place("b1", Side.BUY, "6", type=kind, stop_price=D(stop), limit_price=limit)
    floor.quotes(shift)
    events = floor.act()
    fills = only(events, ev.OrderFilled)
    assert sum(fill.quantity for fill in fills) == D(filled) and all(fill.price <= D(limit) for fill in fills)
    waits = kind is OrderType.MARKET_IF_TOUCHED and D(filled) < 6
    assert (floor.order(1).rests, floor.order(1).leaves) == (waits, 6 - D(filled) if waits else 0)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.MARKET])
def test_no_venue_deals_a_client_beyond_the_limit_he_named(floor: Floor, kind: OrderType, side: Side) -> None:
    limit = "1.10030" if side is Side.BUY else "1.09980"
    floor.place("a1", side, "1", type=kind, limit_price=limit)
    (leg,) = floor.children()
    worse = leg.limit_price + side.sign * D("0.00001")
    (fill,) = only(floor.fill(leg, str(worse), lots="0.5"), ev.OrderFilled)
    assert (fill.price, fill.raw_price) == (D(limit), worse)
    (fill,) = only(floor.fill(leg, str(leg.limit_price)), ev.OrderFilled)
    assert fill.price == D(limit)


def test_a_limit_of_a_stop_bounds_what_it_crosses_too(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", type=OrderType.STOP, stop_price=D("1.10050"), limit_price="1.10055")
    floor.place("b2", Side.SELL, "1", limit_price="1.10060")
    floor.quotes("0.00060")
    assert only(floor.act(), ev.OrderFilled) == []


@pytest.mark.parametrize("sizes", [("0.333", "0.333", "5"), ("0.009", "0.339", "5"), ("2.005", "2.005", "2.005")])
def test_the_house_fills_whole_steps_of_a_size_that_is_none(floor: Floor, sizes: tuple[str, ...]) -> None:
    """What a client holds he can close: no quoted size leaves him a part of a step."""
    for venue, size in zip(("LP1", "LP2", "LP3"), sizes, strict=True):
        floor.quote(venue, "1.10000", "1.10010", size=size)
    fills = only(floor.place("b1", Side.BUY, "6"), ev.OrderFilled)
    assert all(fill.quantity % EURUSD.lot_step == 0 and fill.quantity > 0 for fill in fills)
    quoted = sum(D(size) // EURUSD.lot_step * EURUSD.lot_step for size in sizes)
    assert held(floor) == {"b1": min(D(6), quoted)}


def test_what_a_venue_left_of_a_step_can_be_dealt_to_its_end(floor: Floor) -> None:
    floor.place("mixed1", Side.BUY, "5", limit_price="1.10050")
    for leg in floor.children():
        floor.fill(leg, "1.10010", lots=str(leg.quantity - D("0.004")))
        floor.done(leg, filled=str(leg.quantity - D("0.004")))
    floor.act()
    assert floor.order(1).state == "filled" and held(floor) == {"mixed1": D(5)}


@pytest.mark.parametrize(
    ("terms", "force"),
    [
        ({"time_in_force": TimeInForce.FOK}, "fok"),
        ({"all_or_none": True}, "fok"),
        ({"time_in_force": TimeInForce.IOC}, "ioc"),
        ({}, "ioc"),
    ],
)
def test_what_must_be_filled_whole_is_asked_of_its_venue_whole(floor: Floor, terms: dict[str, Any], force: str) -> None:
    floor.place("a1", Side.BUY, "1", **terms)
    assert [leg.time_in_force for leg in floor.children()] == [force]


@pytest.mark.parametrize("in_a_call", [False, True])
@pytest.mark.parametrize("prices", [("1.10008", "1.10009"), ("1.10008", "1.10008")])
def test_two_orders_that_may_only_reduce_never_turn_the_position_over(
    floor: Floor, in_a_call: bool, prices: tuple[str, str]
) -> None:
    """Both rest, each as large as what is held; whoever buys two lots gets one of them."""
    floor.place("b1", Side.BUY, "1")
    for price in prices:
        floor.place("b1", Side.SELL, "1", limit_price=price, reduce_only=True)
    if in_a_call:
        phase(floor, AuctionPhase.OPENING_CALL)
    events = floor.place("b2", Side.BUY, "2", limit_price="1.10009")
    if in_a_call:
        events = phase(floor, AuctionPhase.CONTINUOUS)
    assert held(floor) == {"b2": D(1)}
    assert [fill.order_id for fill in only(events, ev.OrderFilled) if fill.account_id == "b1"] == ["O000000002"]
    assert [e.order_id for e in only(events, ev.OrderCancelled)] == ["O000000003"]


def test_what_may_only_reduce_offers_no_more_than_is_left_of_the_position(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", limit_price="1.10012", reduce_only=True)
    floor.place("b1", Side.SELL, "0.5", time_in_force=TimeInForce.IOC)
    assert held(floor) == {"b1": D("0.5")}
    floor.place("b2", Side.BUY, "1", limit_price="1.10012")
    assert held(floor) == {"b2": D("0.5")} and floor.order(4).leaves == D("0.5")


def test_what_may_only_reduce_all_of_it_is_passed_over_once_less_is_held(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", limit_price="1.10008", reduce_only=True, all_or_none=True)
    floor.place("b1", Side.SELL, "0.5", time_in_force=TimeInForce.IOC)
    assert only(floor.place("b2", Side.BUY, "0.6", limit_price="1.10008"), ev.OrderFilled) == []
    assert held(floor) == {"b1": D("0.5")}


def test_of_a_pair_only_one_deals_in_an_auction(floor: Floor) -> None:
    phase(floor, AuctionPhase.OPENING_CALL)
    for price in ("1.10020", "1.10030"):
        floor.place("b1", Side.BUY, "1", limit_price=price, oco_group="pair")
    floor.place("b2", Side.SELL, "2", limit_price="1.10010")
    events = phase(floor, AuctionPhase.CONTINUOUS)
    assert held(floor) == {"b1": D(1), "b2": D(-1)}
    assert [event.order_id for event in only(events, ev.OrderCancelled)] == ["O000000002"]


def test_an_exit_whose_other_half_is_out_at_a_venue_sits_the_auction_out(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1", limit_price="1.10050", oco_group="pair")
    phase(floor, AuctionPhase.OPENING_CALL)
    floor.place("a1", Side.BUY, "1", limit_price="1.10050", oco_group="pair")
    floor.place("b2", Side.SELL, "2", limit_price="1.10010")
    assert only(phase(floor, AuctionPhase.CONTINUOUS), ev.OrderFilled) == []


def test_an_order_that_prevention_made_smaller_than_its_minimum_deals_whole(floor: Floor) -> None:
    """Own lots are taken off both; what is left of the resting one is all that can be its minimum."""
    twin(floor)
    floor.place("twin", Side.SELL, "1", limit_price="1.10008", minimum_quantity=D("0.8"))
    floor.place("b1", Side.BUY, "0.9", limit_price="1.10008", stp=SelfTradePrevention.DECREMENT)
    assert floor.order(1).leaves == D("0.1")
    assert only(floor.place("b2", Side.BUY, "0.05", limit_price="1.10008"), ev.OrderFilled) == []
    floor.place("mixed1", Side.BUY, "0.1", limit_price="1.10008", time_in_force=TimeInForce.IOC)
    assert floor.order(1).state == "filled"


def test_an_order_smaller_than_its_minimum_deals_with_the_street_too(floor: Floor) -> None:
    twin(floor)
    floor.place("twin", Side.SELL, "1", limit_price="1.10009", minimum_quantity=D("0.8"))
    floor.place("b1", Side.BUY, "0.9", limit_price="1.10009", stp=SelfTradePrevention.DECREMENT)
    floor.quotes("0.00020")
    assert [fill.quantity for fill in only(floor.act(), ev.OrderFilled)] == [D("0.1")]


MIXED = Group(name="mixed", book_mode=BookMode.MIXED)
HERE = Situation(account_id="", owner_id="", group="", symbol="", lots=D(0), at_us=0)


@given(steps=st.integers(1, 10**9), basis_points=st.integers(0, 10_000), a=st.integers(0, 99), b=st.integers(0, 99))
def test_inv_21_each_part_of_a_split_is_its_exact_share_but_for_the_step_left_over(
    steps: int, basis_points: int, a: int, b: int
) -> None:
    """INV-21: by the largest remainder: no share is off by more than half a step, and the parts are the whole."""
    percent, step = D(basis_points) / 100, EURUSD.lot_step
    treated = msgspec.structs.replace(treatment(policy=None, group=MIXED, situation=HERE), a_percent=percent)
    quantity = steps * step
    to_a, to_b, _ = split(treatment=treated, instrument=EURUSD, quantity=quantity, side=Side.BUY, position=None)
    assert to_a + to_b == quantity and to_a % step == 0 and min(to_a, to_b) >= 0
    assert abs(to_a - quantity * percent / 100) * 2 <= step
    if not a + b:
        return
    position = Position(
        account_id="a", symbol="EURUSD", position_id="p", quantity=(a + b) * step, cost=D(1), a_lots=a * step,
        b_lots=b * step,
    )  # fmt: skip
    close = min(quantity, position.lots)
    to_a, to_b, _ = split(treatment=treated, instrument=EURUSD, quantity=close, side=Side.SELL, position=position)
    assert to_a + to_b == close and to_a <= position.a_lots and to_b <= position.b_lots
    assert abs(to_a - close * a / (a + b)) * 2 <= step
