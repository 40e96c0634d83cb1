"""Orders bound to one position: what only reduces, and on a hedging account whatever names its position.

They are taken while there is anything to reduce, whatever else works, deal no more than there is, end with it and never
turn it round. To name more lots than a position has is refused.
"""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.auctions import AuctionPhase
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side
from tests.core.floor import SECOND_US, Floor, only
from tests.core.test_busting import bust, on_record

MINE = "O000000001"
AWAY = "1.10500"


@pytest.fixture
def floor() -> Floor:
    """The hedging account h1 is long one lot, and so are the netting accounts b1, and a1 in the A book."""
    made = Floor()
    made.open_account("h1", group="b", hedging=True)
    made.place("h1", Side.BUY, "1")
    made.place("b1", Side.BUY, "1")
    made.place("a1", Side.BUY, "1")
    made.fill(made.children()[0], "1.10010")
    return made


def checks(events: list[ev.AnyEvent]) -> list[tuple[str, str, str]]:
    """Return code, value and limit of every reason that an order was refused for."""
    refused = only(events, ev.OrderDenied) + only(events, ev.AmendmentDenied)
    return [(each.code, each.value, each.limit) for denied in refused for each in denied.verdict.reasons]


def held(floor: Floor, account_id: str) -> D:
    state = floor.desk.state
    return sum((state.positions[each].quantity for each in state.positions_of.get(account_id, ())), D(0))


def sold(events: list[ev.AnyEvent]) -> D:
    return sum((fill.quantity for fill in only(events, ev.OrderFilled) if fill.side is Side.SELL), D(0))


def reasons(events: list[ev.AnyEvent]) -> list[str]:
    return [ended.reason for ended in only(events, ev.OrderCancelled)]


def amend(floor: Floor, number: int, account_id: str, **changes: Any) -> list[ev.AnyEvent]:
    floor.now_us += 2 * SECOND_US
    floor.requote()
    values = {name: D(value) for name, value in changes.items()}
    return floor.do(cmd.AmendOrder(order_id=f"O{number:09d}", account_id=account_id, **values))


@pytest.mark.parametrize("reduce_only", [False, True])
def test_a_hedging_account_closes_no_more_lots_than_the_position_that_it_names_has(
    floor: Floor, reduce_only: bool
) -> None:
    """MetaTrader: the close volume exceeds the position's; the answer says which limit."""
    named = {"position_id": MINE, "reduce_only": reduce_only}
    events = floor.place("h1", Side.SELL, "1.01", **named)
    assert checks(events) == [("POSITION_SIZE", "1.01", "1")]
    assert "1 lots of the position" in events[0].verdict.reasons[0].text
    assert sold(floor.place("h1", Side.SELL, "1", **named)) == 1 and held(floor, "h1") == 0


def test_a_close_is_amended_up_to_what_the_position_has(floor: Floor) -> None:
    floor.place("h1", Side.SELL, "0.5", limit_price=AWAY, position_id=MINE)
    assert checks(amend(floor, 4, "h1", quantity="1.01")) == [("POSITION_SIZE", "1.01", "1")]
    assert only(amend(floor, 4, "h1", quantity="1"), ev.OrderAmended)


def test_an_exit_is_moved_though_its_position_became_smaller(floor: Floor) -> None:
    floor.place("h1", Side.SELL, "1", limit_price=AWAY, position_id=MINE)
    floor.place("h1", Side.SELL, "0.4", position_id=MINE)
    assert only(amend(floor, 4, "h1", limit_price="1.10400"), ev.OrderAmended)
    assert only(amend(floor, 4, "h1", quantity="0.8"), ev.OrderAmended), "less than it was, more than there is"
    assert sold(amend(floor, 4, "h1", limit_price="1.09990")) == D("0.6")
    assert held(floor, "h1") == 0 and floor.order(4).state is OrderState.CANCELLED


def test_of_two_closes_of_a_hedging_position_the_second_ends_with_it(floor: Floor) -> None:
    """It would have opened a position the other way under the old one's name."""
    for price in (AWAY, "1.10400"):
        floor.place("h1", Side.SELL, "1", limit_price=price, position_id=MINE)
    events = amend(floor, 5, "h1", limit_price="1.09990")
    assert sold(events) == 1 and reasons(events) == ["the position that it names is gone"]
    assert not floor.desk.state.positions_of["h1"] and not floor.desk.state.open_orders["h1"]


def test_what_adds_to_a_position_ends_with_it(floor: Floor) -> None:
    floor.place("h1", Side.BUY, "1", limit_price="1.09500", position_id=MINE)
    floor.place("h1", Side.BUY, "0.5", position_id=MINE)
    assert held(floor, "h1") == D("1.5"), "while it is there it is added to"
    events = floor.place("h1", Side.SELL, "1.5", position_id=MINE)
    assert reasons(events) == ["the position that it names is gone"]
    assert not floor.desk.state.open_orders["h1"]


def test_orders_end_whose_position_a_bust_turned_round(floor: Floor) -> None:
    """INV-23: a close would add to what it became, and what was to add would close it; what only reduces still does."""
    floor.place("h1", Side.BUY, "1", position_id=MINE)
    floor.place("h1", Side.SELL, "1.5", position_id=MINE)
    for side, price, reduce_only in ((Side.SELL, AWAY, False), (Side.BUY, "1.09500", False), (Side.SELL, AWAY, True)):
        floor.place("h1", side, "0.5", limit_price=price, position_id=MINE, reduce_only=reduce_only)
    (second,) = [fill for fill in on_record(floor) if fill.order_id == "O000000004"]
    events = bust(floor, second)
    assert held(floor, "h1") == D("-0.5") and not floor.desk.state.open_orders["h1"]
    assert reasons(events) == ["the position that it names is gone"] * 2 + ["nothing left to reduce"]


def test_an_order_of_a_hedging_account_that_names_nothing_opens_beside(floor: Floor) -> None:
    floor.place("h1", Side.SELL, "3")
    assert sorted(each.quantity for each in floor.desk.state.positions.values() if each.account_id == "h1") == [-3, 1]


def test_what_only_reduces_says_why_it_may_not(floor: Floor) -> None:
    texts = [
        floor.place(account_id, side, "1", reduce_only=True)[0].verdict.reasons[-1].text
        for account_id, side in (("b2", Side.SELL), ("b1", Side.BUY), ("h1", Side.SELL))
    ]
    assert texts == ["there is no position to reduce"] * 2 + ["name the position to reduce"]
    assert checks(floor.place("h1", Side.BUY, "1", reduce_only=True, position_id=MINE)) == [("REDUCE_ONLY", "", "")]


@pytest.mark.parametrize(("account_id", "named"), [("b1", None), ("h1", MINE)])
def test_what_only_reduces_is_taken_beside_orders_that_cover_the_position(
    floor: Floor, account_id: str, named: str | None
) -> None:
    """Also to move its price; then it closes what there is, and ends what else would."""
    bound = {"reduce_only": True, "position_id": named}
    floor.place(account_id, Side.SELL, "1", limit_price=AWAY, **bound)
    floor.place(account_id, Side.SELL, "1", limit_price="1.10600", position_id=named)
    events = floor.place(account_id, Side.SELL, "1", type=OrderType.STOP, stop_price=D("1.09000"), **bound)
    assert only(events, ev.OrderAccepted) and floor.desk.state.reserved.get(account_id, 0) == 0
    assert only(amend(floor, 4, account_id, limit_price="1.10400"), ev.OrderAmended)
    events = floor.place(account_id, Side.SELL, "0.7", **bound)
    assert sold(events) == D("0.7") and not reasons(events)
    events = floor.place(account_id, Side.SELL, "0.2", **bound)
    assert held(floor, account_id) == D("0.1")
    events = amend(floor, 4, account_id, limit_price="1.09990")
    assert sold(events) == D("0.1") and held(floor, account_id) == 0
    assert set(reasons(events)) <= {"nothing left to reduce", "the position that it names is gone"}
    left = [floor.desk.state.orders[each] for each in floor.desk.state.open_orders[account_id]]
    assert [each.terms.reduce_only for each in left] == ([] if named else [False])


def test_what_only_reduces_may_name_more_lots_than_a_netted_position_has(floor: Floor) -> None:
    """It is dealt what there is, the rest is cancelled, and it binds nothing (P-17) however small the margin."""
    asked = {"account_id": "b1", "symbol": "EURUSD", "side": Side.SELL, "quantity": D(30)}
    judged = floor.desk.what_if(terms=OrderTerms(**asked, reduce_only=True), now_us=floor.now_us)
    assert judged.required == 0
    events = floor.place("b1", Side.SELL, "3", reduce_only=True)
    assert sold(events) == 1 and held(floor, "b1") == 0
    (ended,) = only(events, ev.OrderCancelled)
    assert (ended.leaves, ended.reason) == (2, "nothing left to reduce")


def test_a_resting_order_that_only_reduces_meets_no_more_than_there_is(floor: Floor) -> None:
    floor.place("b1", Side.SELL, "3", limit_price="1.10008", reduce_only=True)
    floor.place("b2", Side.BUY, "2", limit_price="1.10008")
    assert held(floor, "b1") == 0 and floor.order(4).state is OrderState.CANCELLED


@pytest.mark.parametrize("in_auction", [False, True])
def test_closes_of_a_hedging_account_share_its_position_in_book_and_auction(floor: Floor, in_auction: bool) -> None:
    """Two that name it could sell twice what there is, each being no larger than it."""
    call = {"symbol": "EURUSD", "reason": "drill", "by": "ann"}
    if in_auction:
        floor.do(cmd.ChangePhase(phase=AuctionPhase.OPENING_CALL, **call))
    for _ in range(2):
        floor.place("h1", Side.SELL, "0.8", limit_price="1.10006", position_id=MINE)
    floor.place("b2", Side.BUY, "3", limit_price="1.10008")
    if in_auction:
        floor.do(cmd.ChangePhase(phase=AuctionPhase.CONTINUOUS, **call))
    assert held(floor, "h1") == 0 and not floor.desk.state.positions_of["h1"]
    assert not floor.desk.state.open_orders["h1"]


def test_lots_out_at_a_venue_are_not_closed_twice(floor: Floor) -> None:
    """INV-17: while the venue has the position, a second close ends, and says why; one that rests waits."""
    floor.place("a1", Side.SELL, "1", reduce_only=True)
    (leg,) = floor.children()
    events = floor.place("a1", Side.SELL, "1", reduce_only=True)
    assert reasons(events) == ["nothing left to reduce: other orders have the position on its way out"]
    floor.place("a1", Side.SELL, "1", limit_price="1.09950", reduce_only=True)
    assert floor.children() == [leg] and floor.order(6).state is OrderState.WORKING
    floor.fill(leg, "1.10000")
    assert held(floor, "a1") == 0 and floor.order(6).state is OrderState.CANCELLED


def test_a_close_on_its_way_out_leaves_an_order_beyond_it_to_pay_for_all_that_it_opens(floor: Floor) -> None:
    """P-17: one lot is out already, so of two more both open, where one is bound."""
    floor.place("a1", Side.SELL, "1", reduce_only=True)
    asked = OrderTerms(account_id="a1", symbol="EURUSD", side=Side.SELL, quantity=D(2))
    per_lot = D("0.0333") * 109_999
    required = floor.desk.what_if(terms=asked, now_us=floor.now_us).required
    assert required is not None and abs(required - per_lot) < 3


def test_while_a_scope_only_reduces_what_says_so_deals_what_there_is(floor: Floor) -> None:
    """P-01: the position became smaller than the order since; what names no position might open, and waits."""
    for account_id, named in (("b1", None), ("h1", MINE)):
        floor.place(account_id, Side.SELL, "1", limit_price="1.10400", reduce_only=True, position_id=named)
        floor.place(account_id, Side.SELL, "0.4", position_id=named)
    floor.place("b1", Side.SELL, "1", limit_price="1.10400")
    reducing = cmd.SetTradingState(scope="firm", key="", state=TradingState.REDUCING, reason="drill", by="ann")
    floor.do(reducing)
    floor.quotes("0.00500")
    events = floor.act()
    assert sold(events) == D("1.2") and held(floor, "b1") == held(floor, "h1") == 0
    assert [floor.order(number).filled for number in (4, 6, 8)] == [D("0.6"), D("0.6"), 0]


def test_shares_are_located_for_what_could_be_short_only(floor: Floor) -> None:
    """P-23: beside sales that wait, what only reduces sells none that are not held."""
    located = frozenset({floor.desk.state.instruments["EURUSD"].asset_class})
    limits = msgspec.structs.replace(HOUSE_LIMITS, locate_required=located)
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.place("b1", Side.SELL, "1", limit_price=AWAY)
    assert checks(floor.place("b1", Side.SELL, "0.5", limit_price="1.10600"))[0][0] == "P-23"
    assert checks(floor.place("b1", Side.SELL, "0.5", limit_price="1.10600", reduce_only=True)) == []
