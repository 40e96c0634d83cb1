"""Exits of an open position: set where there were none, moved, taken off; every lot has what was asked for."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.desk import Desk
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderState, OrderType, Side
from piggy.core.profiles import GuaranteedStops, PriceProfile
from tests.core.floor import SECOND_US, Floor, canonical, names, only

BUY, SELL = Side.BUY, Side.SELL
LIMIT, STOP = OrderType.LIMIT, OrderType.STOP
HELD = "b1:EURUSD"
TAKE, LOSS = D("1.10500"), D("1.09500")


@pytest.fixture
def floor() -> Floor:
    """b1 holds a lot without any exit."""
    made = Floor()
    made.place("b1", BUY, "1")
    fresh(made)
    return made


def fresh(floor: Floor) -> None:
    floor.now_us += 2 * SECOND_US
    floor.requote()


def ask(floor: Floor, position_id: str = HELD, account_id: str = "b1", **exits: Any) -> list[ev.AnyEvent]:
    return floor.do(cmd.SetExits(account_id=account_id, position_id=position_id, **exits))


def exits_of(floor: Floor) -> list[tuple[OrderType, D | None, D]]:
    """Return kind, price and lots of every exit that works, by its bond."""
    works = (order for order in floor.desk.state.orders.values() if order.source in ("exits", "bracket"))
    found = [order for order in works if not order.state.final]
    found.sort(key=lambda order: (order.terms.oco_group, order.terms.type))
    return [(each.terms.type, each.terms.limit_price or each.terms.stop_price, each.leaves) for each in found]


def refusal(events: list[ev.AnyEvent]) -> str:
    assert isinstance(events[0], ev.CommandRefused), events[0]
    return events[0].code


def folded_again(floor: Floor) -> None:
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)


def test_a_position_without_exits_gets_both_and_the_one_ends_the_other(floor: Floor) -> None:
    assert names(ask(floor, take_profit=TAKE, stop_loss=LOSS)) == ["OrderAccepted", "OrderAccepted"]
    assert exits_of(floor) == [(LIMIT, TAKE, 1), (STOP, LOSS, 1)]
    assert floor.desk.state.reserved["b1"] == 0, "what only closes binds nothing"
    folded_again(floor)
    floor.quotes("0.00510")
    (fill,) = only(floor.act(), ev.OrderFilled)
    assert fill.side is SELL and exits_of(floor) == [] and HELD not in floor.desk.state.positions
    folded_again(floor)


def test_a_part_of_one_leaves_as_much_of_the_other(floor: Floor) -> None:
    ask(floor, take_profit=D("1.10012"), stop_loss=LOSS)
    floor.place("mixed1", BUY, "0.4", limit_price="1.10012")
    assert exits_of(floor) == [(LIMIT, D("1.10012"), D("0.6")), (STOP, LOSS, D("0.6"))]
    fresh(floor)
    ask(floor, stop_loss=None)
    assert names(ask(floor, stop_loss=LOSS)) == ["OrderAccepted"], "its pair has dealt, and so had the stop"
    assert exits_of(floor)[1] == (STOP, LOSS, D("0.6"))


@pytest.mark.parametrize("account", ["netting", "hedging"])
def test_exits_are_moved_and_taken_off(account: str) -> None:
    floor = Floor()
    if account == "hedging":
        floor.open_account("h1", group="b", hedging=True)
    account_id = "h1" if account == "hedging" else "b1"
    floor.place(account_id, SELL, "1", take_profit=D("1.09500"), stop_loss=D("1.10500"))
    fresh(floor)
    held = "O000000001" if account == "hedging" else HELD
    (moved,) = ask(floor, held, account_id, take_profit=D("1.05000"))
    assert isinstance(moved, ev.OrderAmended) and moved.order_id == "O000000002"
    assert exits_of(floor) == [(LIMIT, D("1.05000"), 1), (STOP, D("1.10500"), 1)]
    assert names(ask(floor, held, account_id, take_profit=None, stop_loss=D("1.15000"))) == [
        "OrderCancelled", "OrderAmended",
    ]  # fmt: skip
    assert exits_of(floor) == [(STOP, D("1.15000"), 1)]
    folded_again(floor)


def test_every_lot_has_it_whatever_entries_it_came_by() -> None:
    """Half a lot came with both exits, half with a stop, one with none: three pairs, of two lots in all."""
    floor = Floor()
    floor.place("b1", BUY, "0.5", take_profit=TAKE, stop_loss=LOSS)
    floor.place("b1", BUY, "0.5", stop_loss=D("1.09600"))
    floor.place("b1", BUY, "1")
    floor.place("b1", SELL, "0.1", limit_price="1.10700", reduce_only=True)
    fresh(floor)
    ask(floor, take_profit=D("1.10600"))
    found = exits_of(floor)
    assert [lots for kind, price, lots in found if (kind, price) == (LIMIT, D("1.10600"))] == [D("0.5"), D("0.5"), 1]
    assert [lots for kind, _, lots in found if kind is STOP] == [D("0.5"), D("0.5")], "what was not asked for stays"
    ask(floor, stop_loss=D("1.09000"))
    assert sum(lots for kind, price, lots in exits_of(floor) if (kind, price) == (STOP, D("1.09000"))) == 2
    ask(floor, take_profit=None, stop_loss=None)
    assert exits_of(floor) == [] and floor.order(7).state is OrderState.WORKING, "what he placed himself is his"
    folded_again(floor)


def test_another_position_keeps_its_own() -> None:
    floor = Floor()
    floor.open_account("h1", group="b", hedging=True)
    for loss in ("1.09500", "1.09600"):
        floor.place("h1", BUY, "1", stop_loss=D(loss))
    fresh(floor)
    ask(floor, "O000000001", "h1", stop_loss=D("1.09000"))
    assert {(price, lots) for _, price, lots in exits_of(floor)} == {(D("1.09000"), 1), (D("1.09600"), 1)}


def test_a_pair_of_more_lots_than_are_left_is_made_whole_all_the_same() -> None:
    """Seven tenths are closed by hand; the stop that came with the lot stands for all of it, and so does its pair."""
    floor = Floor()
    floor.open_account("h1", group="b", hedging=True)
    floor.place("h1", BUY, "1", stop_loss=LOSS)
    floor.place("h1", SELL, "0.7", position_id="O000000001")
    fresh(floor)
    assert names(ask(floor, "O000000001", "h1", take_profit=TAKE)) == ["OrderAccepted"]
    more = cmd.AmendOrder(order_id="O000000004", account_id="h1", quantity=D("1.1"))
    assert refusal(floor.do(more)) == "POSITION_SIZE", "nobody makes an exit larger than what it exits from"
    floor.quotes("0.00510")
    (fill,) = only(floor.act(), ev.OrderFilled)
    assert fill.quantity == D("0.3") and exits_of(floor) == [] and floor.desk.state.positions == {}
    folded_again(floor)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "INCOMPLETE"),
        ({"stop_loss": None}, "NO_CHANGE"),
        ({"position_id": "b2:EURUSD", "stop_loss": LOSS}, "POSITION_UNKNOWN"),
        ({"account_id": "b2", "stop_loss": LOSS}, "POSITION_UNKNOWN"),
        ({"stop_loss": D("1.10001")}, "P-06"),
        ({"take_profit": D("1.10001")}, "P-06"),
        ({"take_profit": D("1.105001")}, "P-06"),
        ({"take_profit": D("NaN")}, "P-06"),
        ({"take_profit": TAKE, "stop_loss": D("Infinity")}, "P-06"),
        ({"stop_loss": D("1E+400")}, "P-06"),
        ({"stop_loss": D("-1")}, "P-06"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_of_it_is_done(floor: Floor, asked: dict[str, Any], code: str) -> None:
    assert refusal(ask(floor, **asked)) == code
    assert exits_of(floor) == []
    folded_again(floor)


def test_the_same_again_is_said_to_be_no_change(floor: Floor) -> None:
    ask(floor, take_profit=TAKE, stop_loss=LOSS)
    assert refusal(ask(floor, take_profit=TAKE, stop_loss=LOSS)) == "NO_CHANGE"


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "1E+999999"])
def test_exits_that_stand_are_moved_to_no_number_that_is_none(floor: Floor, number: str) -> None:
    ask(floor, take_profit=TAKE, stop_loss=LOSS)
    assert refusal(ask(floor, stop_loss=D(number))) == "P-06"
    assert exits_of(floor) == [(LIMIT, TAKE, 1), (STOP, LOSS, 1)]


def test_exits_are_messages_and_no_exposure(floor: Floor) -> None:
    """P-14 counts each of them; of lots and value nothing is asked (P-07, P-08, P-12), nor how far away (P-09)."""
    limits = msgspec.structs.replace(
        HOUSE_LIMITS, account_messages_per_s_max=2, order_volume_max_lots=D("0.01"), window_value_max=D(1)
    )
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    assert names(ask(floor, take_profit=D("1.20000"), stop_loss=D("1.00000"))) == ["OrderAccepted", "OrderAccepted"]
    assert refusal(ask(floor, stop_loss=LOSS)) == "P-14"
    ask(floor, take_profit=None)
    assert refusal(ask(floor, take_profit=TAKE)) == "P-14"
    fresh(floor)
    assert names(ask(floor, take_profit=TAKE)) == ["OrderAccepted"]


def test_one_out_at_a_venue_keeps_all_as_they_are() -> None:
    floor = Floor()
    floor.place("a1", BUY, "1", take_profit=TAKE, stop_loss=LOSS)
    floor.fill(floor.children()[0], "1.10010")
    floor.quotes("-0.00600")
    floor.act()
    (leg,) = floor.children()
    events = ask(floor, "a1:EURUSD", "a1", take_profit=D("1.10700"), stop_loss=D("1.09000"))
    assert refusal(events) == "ORDER_NOT_AMENDABLE" and len(events) == 1
    assert events[0].text == f"exit {leg.order_id}: the order is routed: 1 lots of it are out at a venue"  # type: ignore[union-attr]
    assert names(ask(floor, "a1:EURUSD", "a1", take_profit=D("1.10700"))) == ["OrderAmended"]


def test_in_a_halt_nothing_is_set_and_while_only_reducing_it_is(floor: Floor) -> None:
    """P-01."""
    for state, told in ((TradingState.REDUCING, "OrderAccepted"), (TradingState.HALTED, "CommandRefused")):
        floor.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=state, reason="drill", by="ann"))
        assert names(ask(floor, stop_loss=LOSS if told == "OrderAccepted" else D("1.09000")))[0] == told


def test_a_guaranteed_stop_is_moved_on_its_own_terms(floor: Floor) -> None:
    stops = GuaranteedStops(offered=True, premium_points=D(5), distance_points_min=D(10))
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(guaranteed_stops=stops)))
    ask(floor, stop_loss=LOSS)
    floor.do(cmd.AmendOrder(order_id="O000000002", account_id="b1", guaranteed_stop=True))
    assert refusal(ask(floor, stop_loss=D("1.09995"))) == "GUARANTEED_STOP"
    ask(floor, stop_loss=D("1.09600"))
    assert floor.order(2).guaranteed
    ask(floor, stop_loss=None)
    assert floor.desk.state.guaranteed == {}


def test_a_position_smaller_than_an_order_may_be_has_its_exits_too() -> None:
    """P-06: what is left of a position is closed whole, however little it is."""
    floor = Floor()
    instrument = msgspec.structs.replace(floor.desk.state.instruments["EURUSD"], lot_min=D("0.1"))
    floor.place("b1", BUY, "0.15")
    floor.place("b1", SELL, "0.1", limit_price="1.09000")
    floor.do(cmd.ConfigureInstrument(instrument=instrument))
    fresh(floor)
    assert floor.desk.state.positions[HELD].lots == D("0.05")
    assert names(ask(floor, stop_loss=LOSS)) == ["OrderAccepted"]
    assert names(ask(floor, stop_loss=D("1.09600"))) == ["OrderAmended"]
