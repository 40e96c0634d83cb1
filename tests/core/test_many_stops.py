"""Stops in great number: whichever the market reaches comes alive, however many older ones wait elsewhere."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import touching
from piggy.core.accounts import BookMode, Group, TradingState
from piggy.core.orders import OrderType, Side
from tests.core.floor import SECOND_US, Floor, only

D = Decimal
SILENCE_US = 120 * SECOND_US
STOP, TOUCHED, TRAILING = OrderType.STOP, OrderType.MARKET_IF_TOUCHED, OrderType.TRAILING_STOP


def jump(floor: Floor, shift: str) -> list[ev.AnyEvent]:
    """Let every LP quote `shift` away from where it began after a silence, so that it is no spike; the desk acts."""
    floor.now_us += SILENCE_US
    floor.quotes(shift)
    return floor.act()


def stops(floor: Floor, *prices: str) -> None:
    for price in prices:
        floor.place("b1", Side.BUY, "0.1", type=STOP, stop_price=D(price))
        floor.now_us += SECOND_US


@pytest.fixture
def two_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("ORDERS_PER_STEP_MAX", "FOLLOWED_PER_STEP_MAX"):
        monkeypatch.setattr(touching, bound, 2)


@pytest.mark.usefixtures("two_a_step")
def test_a_stop_is_reached_however_many_older_ones_wait_away_from_the_market() -> None:
    floor = Floor()
    stops(floor, "1.10900", "1.10910", "1.10920", "1.10200")
    (triggered,) = only(jump(floor, "0.003"), ev.OrderTriggered)
    assert triggered.order_id == "O000000004"


@pytest.mark.usefixtures("two_a_step")
def test_those_that_one_step_leaves_come_in_the_next_without_another_price() -> None:
    floor = Floor()
    stops(floor, "1.10200", "1.10210", "1.10220", "1.10230", "1.10240")
    floor.now_us += SILENCE_US
    floor.quotes("0.003")
    steps = []
    while due := floor.desk.due(now_us=floor.now_us):
        made = [event for command in due for event in floor.do(command)]
        steps.append(len(only(made, ev.OrderTriggered)))
    assert steps[:3] == [2, 2, 1] and sum(steps) == 5


@pytest.mark.usefixtures("two_a_step")
def test_trailing_stops_that_move_keep_no_other_from_being_reached() -> None:
    floor = Floor()
    for _ in range(3):
        floor.place("b1", Side.SELL, "0.1", type=TRAILING, trailing_distance=D("0.00500"))
        floor.now_us += SECOND_US
    stops(floor, "1.10200")
    floor.now_us += SILENCE_US
    floor.quotes("0.003")
    due = floor.desk.due(now_us=floor.now_us)
    first = [event for command in due for event in floor.do(command)]
    assert len(only(first, ev.OrderAmended)) == 2 and len(only(first, ev.OrderTriggered)) == 1
    assert len(only(floor.act(), ev.OrderAmended)) == 1, "the third moves in the next step"


@pytest.mark.usefixtures("two_a_step")
def test_in_a_run_that_is_faster_than_its_steps_every_trailing_stop_follows() -> None:
    """Not the oldest with every tick and the others never: the furthest behind comes first."""
    floor = Floor()
    for _ in range(5):
        floor.place("b1", Side.SELL, "0.1", type=TRAILING, trailing_distance=D("0.00500"))
        floor.now_us += SECOND_US
    moved = []
    for tick in range(1, 7):
        floor.now_us += SILENCE_US
        floor.quotes(str(tick * D("0.00001")))
        due = floor.desk.due(now_us=floor.now_us)
        moved.append([event.order_id[-1] for each in due for event in only(floor.do(each), ev.OrderAmended)])
    assert moved == [["1", "2"], ["3", "4"], ["5", "1"], ["2", "3"], ["4", "1"], ["5", "2"]]


@pytest.mark.usefixtures("two_a_step")
def test_trailing_stops_of_who_is_halted_stay_behind_and_keep_no_others_there() -> None:
    floor = Floor()
    for account_id in ("b1", "b1", "b2"):
        floor.place(account_id, Side.SELL, "0.1", type=TRAILING, trailing_distance=D("0.00500"))
        floor.now_us += SECOND_US
    floor.do(cmd.SetTradingState(scope="account", key="b1", state=TradingState.HALTED, reason="drill", by="ann"))
    assert [event.order_id for event in only(jump(floor, "0.001"), ev.OrderAmended)] == ["O000000003"]


def test_two_that_become_limits_at_one_price_meet_each_other() -> None:
    """Neither is in the book before the step that triggers it is over."""
    floor = Floor()
    rise = {"type": OrderType.STOP_LIMIT, "stop_price": D("1.10060"), "limit_price": D("1.10050")}
    fall = {"type": TOUCHED, "stop_price": D("1.10030"), "limit_price": D("1.10045")}
    floor.place("b1", Side.BUY, "1", **rise)
    floor.place("b2", Side.SELL, "0.4", **fall)
    floor.place("mixed1", Side.SELL, "0.4", **fall)
    floor.now_us += SILENCE_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10035", "1.10100")
    fills = only(floor.act(), ev.OrderFilled)
    assert {(fill.book, fill.price) for fill in fills} == {("CROSS", D("1.10050"))}
    assert [fill.account_id for fill in fills if fill.side is Side.SELL] == ["b2", "mixed1"]
    assert floor.order(1).leaves == D("0.2")


def with_dear_group() -> Floor:
    """A floor with a second group, whose clients pay nine points a side."""
    floor = Floor()
    dear = Group(name="dear", book_mode=BookMode.B, bid_markup_points=D(9), ask_markup_points=D(9))
    floor.do(cmd.ConfigureGroup(group=dear))
    floor.do(cmd.ConfigureLimits(group="dear", limits=floor.desk.state.effective_limits["b"]))
    floor.open_account("dear1", group="dear")
    return floor


def test_each_group_reaches_its_stops_at_its_own_price() -> None:
    floor = with_dear_group()
    for account_id in ("b1", "dear1"):
        floor.place(account_id, Side.BUY, "0.1", type=STOP, stop_price=D("1.10217"))
    (triggered,) = only(jump(floor, "0.002"), ev.OrderTriggered)
    assert triggered.order_id == "O000000002", "1.10210 and nine points reach it, 1.10210 and three do not"


WAITING = st.tuples(
    st.sampled_from(["b1", "dear1"]),
    st.sampled_from(list(Side)),
    st.sampled_from([STOP, TOUCHED]),
    st.integers(1, 60),
    st.sampled_from(["0.1", "0.2"]),
)


@settings(max_examples=30)
@given(waiting=st.lists(WAITING, max_size=12), shift=st.integers(-60, 60))
def test_what_is_reached_is_what_each_client_would_deal_at(
    waiting: list[tuple[str, Side, OrderType, int, str]], shift: int
) -> None:
    """A naive twin: the street's price with the markup of the client's own group, one order at a time."""
    floor = with_dear_group()
    for account_id, side, kind, away, lots in waiting:
        up = side.sign if kind is STOP else -side.sign
        floor.place(account_id, side, lots, type=kind, stop_price=D("1.10005") + D(up * (15 + away)) / 100_000)
        floor.now_us += SECOND_US
    placed = dict(floor.desk.state.orders)
    events = jump(floor, str(D(shift) / 100_000))
    reached = set()
    for order_id, order in placed.items():
        terms, group = order.terms, floor.desk.state.groups[order.group]
        best = floor.desk.market.best(symbol="EURUSD", now_us=floor.now_us)
        assert best is not None and best.bid is not None and best.ask is not None
        point = D("0.00001")
        ask, bid = best.ask.price + group.ask_markup_points * point, best.bid.price - group.bid_markup_points * point
        assert terms.stop_price is not None
        price = ask if terms.side is Side.BUY else bid
        rising = (terms.side is Side.BUY) == (terms.type is STOP)
        if price >= terms.stop_price if rising else price <= terms.stop_price:
            reached.add(order_id)
    assert {event.order_id for event in only(events, ev.OrderTriggered)} == reached
