"""P-17: working orders bind what they would open with what is held now, also after that has changed."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.correction_events import OrderFillBusted
from piggy.core.desk import Desk
from piggy.core.margin import MarginSettings, MarginTier
from piggy.core.orders import OrderTerms, OrderType, Side
from tests.core.floor import Floor, canonical, only
from tests.core.test_desk_margin import trade_option, with_option

BUY, SELL = Side.BUY, Side.SELL
LOT = D("3679.65")  # 3.33 % of a lot at 1.10500.


def floor_of() -> Floor:
    return Floor(internal_cross=False, bid_markup_points=0, ask_markup_points=0)


@pytest.fixture
def floor() -> Floor:
    return floor_of()


def reserved(floor: Floor, account_id: str = "b1") -> D:
    return floor.desk.state.reserved[account_id]


def test_an_order_that_would_have_closed_binds_once_there_is_nothing_to_close(floor: Floor) -> None:
    floor.place("b1", BUY, "1")
    floor.place("b1", SELL, "1", limit_price="1.10500")
    assert reserved(floor) == 0
    floor.place("b1", SELL, "0.4")
    assert reserved(floor) == 0, "short 0.4 binds less than long 0.6"
    floor.place("b1", SELL, "0.6")
    assert reserved(floor) == LOT and floor.desk.state.used_margin["b1"] == 0
    floor.do(cmd.CancelOrder(order_id="O000000002", account_id="b1"))
    assert reserved(floor) == 0


def test_what_an_order_came_to_bind_is_given_back_with_it_and_no_more(floor: Floor) -> None:
    floor.place("b1", BUY, "1")
    for lots in ("0.6", "0.4"):
        floor.place("b1", SELL, lots, limit_price="1.10500")
    floor.place("b1", SELL, "1")
    assert reserved(floor) == LOT
    floor.do(cmd.CancelOrder(order_id="O000000002", account_id="b1"))
    assert reserved(floor) == LOT * D("0.4")


def test_orders_at_several_prices_bind_by_what_they_come_to_together(floor: Floor) -> None:
    """221,500 in all: 3.33 % of 200,000 and 10 % of what is above, each order by its share of the whole."""
    tiers = (MarginTier(above=D(200_000), percent=D(10)),)
    floor.do(cmd.ConfigureMargin(group="b", symbol="EURUSD", settings=MarginSettings(tiers=tiers)))
    floor.place("b1", BUY, "2")
    for price in ("1.10500", "1.11000"):
        floor.place("b1", SELL, "1", limit_price=price)
    floor.place("b1", SELL, "2")
    assert abs(reserved(floor) - 8_810) < D("0.01")
    floor.do(cmd.CancelOrder(order_id="O000000003", account_id="b1"))
    assert abs(reserved(floor) - 8_810 * D(110_500) / D(221_500)) < D("0.01")


def test_money_that_an_order_needs_is_not_lent_again(floor: Floor) -> None:
    """4,000 carry one lot: the offer left over when the long one was closed, and no second one beside it."""
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", BUY, "1")
    floor.place("poor", SELL, "1", limit_price="1.10500")
    floor.place("poor", SELL, "1")
    (denied,) = floor.place("poor", SELL, "0.5", limit_price="1.10600")
    assert [check.code for check in denied.verdict.reasons] == ["P-17"]


def test_what_is_left_of_an_order_that_turns_a_position_binds_all_it_opens(floor: Floor) -> None:
    """Long one, three are sold: what closed bound nothing, so the two lots left bind more than two thirds of it."""
    floor.place("a1", BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("a1", SELL, "3", limit_price="1.10000")
    first, *_ = floor.children()
    floor.fill(first, "1.10000", lots="1")
    assert reserved(floor, "a1") == 2 * D("3663")


def test_a_market_order_without_a_price_is_valued_at_the_deal(floor: Floor) -> None:
    floor.place("a1", BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("a1", SELL, "2")
    floor.fill(floor.children()[0], "1.10000", lots="1")
    assert reserved(floor, "a1") == D("3663")


def test_a_bust_of_what_an_order_would_have_closed_lets_it_bind(floor: Floor) -> None:
    floor.place("a1", BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", fill_id="X1")
    floor.place("a1", SELL, "1", limit_price="1.10500")
    assert reserved(floor, "a1") == 0
    bust = cmd.RecordVenueBust(
        venue=leg.venue, cl_ord_id=leg.cl_ord_id, ref_fill_id="X1", report_id="B1", text="", occurred_at_us=floor.now_us
    )
    assert only(floor.do(bust), OrderFillBusted)
    assert reserved(floor, "a1") == LOT


def test_exits_named_positions_and_other_symbols_bind_no_more(floor: Floor) -> None:
    floor.open_account("h1", group="b", hedging=True)
    floor.place("h1", BUY, "1")
    floor.place("h1", BUY, "1.5")
    named = {"limit_price": "1.10500", "position_id": "O000000001"}
    floor.place("h1", SELL, "0.5", **named)
    floor.place("h1", SELL, "0.5", reduce_only=True, **named)
    before = reserved(floor, "h1")
    floor.place("h1", SELL, "1.5", position_id="O000000002")
    assert reserved(floor, "h1") == before == 0
    assert only([each.event for each in floor.log], ev.OrderDenied) == []


def test_an_option_binds_by_its_stress_whatever_is_closed_of_it(floor: Floor) -> None:
    with_option(floor)
    trade_option(floor, "b1", BUY, "1")
    offer = OrderTerms(
        account_id="b1", symbol="EURUSD-C", side=SELL, quantity=D(1), type=OrderType.LIMIT, limit_price=D("0.02300")
    )
    (accepted,) = floor.do(cmd.PlaceOrder(terms=offer))
    assert only(trade_option(floor, "b1", SELL, "1"), ev.OrderFilled)
    assert reserved(floor) == accepted.margin_reserved


@given(
    steps=st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 30), st.booleans()), min_size=2, max_size=8)
)
@settings(max_examples=25, deadline=None)
def test_each_side_that_works_is_covered_and_a_replay_agrees(steps: list[tuple[Side, int, bool]]) -> None:
    """With all orders of either side filled, the symbol binds no more than what is used and reserved."""
    floor = floor_of()
    for side, tenths, waits in steps:
        away = {"limit_price": "1.09500" if side is BUY else "1.10500"} if waits else {}
        floor.place("b1", side, str(D(tenths) / 10), **away)
    state = floor.desk.state
    position = state.positions.get("b1:EURUSD")
    net = position.quantity if position else D(0)
    for side, price in ((BUY, D("1.09500")), (SELL, D("1.10500"))):
        orders = (state.orders[name] for name in state.open_orders.get("b1", ()))
        lots = sum((order.leaves for order in orders if order.terms.side is side), D(0))
        opens = abs(net + side.sign * lots) - abs(net) if lots else D(0)
        assert opens * price * 3330 <= state.reserved.get("b1", D(0)) + D("0.03")
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(state) == canonical(again.state)
