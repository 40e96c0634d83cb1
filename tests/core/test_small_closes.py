"""P-06: whoever is left with less than the smallest order may close it all the same, all of it and nothing else."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.orders import Side
from tests.core.floor import EURUSD, Floor, only
from tests.core.test_open_risk import refused

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def floor() -> Floor:
    """A tenth of a lot is the smallest order."""
    made = Floor(internal_cross=False)
    made.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, lot_min=D("0.1"))))
    return made


@pytest.mark.parametrize(
    ("side", "lots", "passes"),
    [(SELL, "0.05", True), (SELL, "0.04", False), (SELL, "0.06", False), (BUY, "0.05", False), (SELL, "0.1", True)],
)
def test_a_rest_below_the_smallest_order_is_closed_whole(floor: Floor, side: Side, lots: str, passes: bool) -> None:
    floor.place("b1", BUY, "0.15")
    floor.place("b1", SELL, "0.1")
    assert set(refused(floor.place("b1", side, lots))) == (set() if passes else {"P-06"})


def test_what_another_order_closes_already_is_not_closed_again(floor: Floor) -> None:
    floor.place("b1", BUY, "0.15")
    floor.place("b1", SELL, "0.1", limit_price="1.10500")
    assert set(refused(floor.place("b1", SELL, "0.05"))) == {"P-06"}, "it leaves as much as the other one closes"


def test_a_named_position_is_closed_whole_too_by_a_change_as_well(floor: Floor) -> None:
    floor.open_account("both", group="b", hedging=True)
    (opened,) = only(floor.place("both", BUY, "0.15"), ev.OrderFilled)
    floor.place("both", SELL, "0.1", position_id=opened.position_id)
    assert set(refused(floor.place("both", SELL, "0.05"))) == {"P-06"}, "it names none: it opens one"
    terms = {"limit_price": "1.10500", "position_id": opened.position_id}
    (waits,) = only(floor.place("both", SELL, "0.05", **terms), ev.OrderAccepted)
    change = cmd.AmendOrder(order_id=waits.order_id, account_id="both", quantity=D("0.04"))
    assert floor.do(change)[0].code == "P-06"
    floor.do(cmd.CancelOrder(order_id=waits.order_id, account_id="both"))
    (dealt,) = only(floor.place("both", SELL, "0.05", position_id=opened.position_id), ev.OrderFilled)
    assert dealt.quantity == D("0.05") and opened.position_id not in floor.desk.state.positions


def test_what_a_venue_filled_in_part_is_closed_by_the_house(floor: Floor) -> None:
    """An LP fills half of the smallest order: the client is not left holding what no venue takes from him."""
    floor.place("a1", BUY, "0.1", time_in_force="ioc", limit_price="1.10013")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", lots="0.05")
    floor.quote("LP1", "1.10000", "1.10020")
    floor.done(leg, filled="0.05")
    (dealt,) = only(floor.place("a1", SELL, "0.05"), ev.OrderFilled)
    assert (dealt.book, dealt.quantity) == ("B", D("0.05")) and not floor.children()
    assert "0.05 are less than a venue deals in: the house closes 0.05 of them" in floor.order(2).text
    assert floor.desk.state.exposure["EURUSD"].uncovered == D("-0.05"), "and what it keeps is its risk to cover"


def wider(floor: Floor, step: str) -> None:
    """The step of a symbol that is in use becomes wider."""
    changed = msgspec.structs.replace(EURUSD, lot_min=D(step), lot_step=D(step))
    floor.do(cmd.ConfigureInstrument(instrument=changed))


@pytest.mark.parametrize(
    ("side", "lots", "passes"),
    [(SELL, "0.15", True), (SELL, "0.14", False), (SELL, "0.16", False), (SELL, "0.1", True), (BUY, "0.15", False)],
)
def test_what_is_on_no_step_any_more_is_closed_whole(floor: Floor, side: Side, lots: str, passes: bool) -> None:
    floor.place("b1", BUY, "0.15")
    wider(floor, "0.1")
    assert set(refused(floor.place("b1", side, lots))) == (set() if passes else {"P-06"})


def test_what_is_on_no_step_any_more_is_closed_by_one_request(floor: Floor) -> None:
    floor.place("b1", BUY, "0.15")
    wider(floor, "0.1")
    (dealt,) = only(floor.do(cmd.ClosePositions(account_id="b1")), ev.OrderFilled)
    assert dealt.quantity == D("0.15") and not floor.desk.state.positions


def test_exits_of_what_is_on_no_step_any_more_are_set_and_moved(floor: Floor) -> None:
    """Their lots are the position's; other lots than it has must be on the step."""
    (opened,) = only(floor.place("b1", BUY, "0.15"), ev.OrderFilled)
    wider(floor, "0.1")
    exits = {"account_id": "b1", "position_id": opened.position_id}
    (waits,) = only(floor.do(cmd.SetExits(**exits, stop_loss=D("1.09000"))), ev.OrderAccepted)
    assert waits.terms.quantity == D("0.15")
    assert only(floor.do(cmd.SetExits(**exits, stop_loss=D("1.09100"))), ev.OrderAmended)
    change = cmd.AmendOrder(order_id=waits.order_id, account_id="b1", stop_price=D("1.09200"), quantity=D("0.14"))
    assert floor.do(change)[0].code == "P-06"


def test_an_order_on_no_step_any_more_is_moved_with_the_lots_it_has(floor: Floor) -> None:
    (waits,) = only(floor.place("b1", BUY, "0.15", limit_price="1.09600"), ev.OrderAccepted)
    wider(floor, "0.1")
    lower = cmd.AmendOrder(order_id=waits.order_id, account_id="b1", limit_price=D("1.09500"))
    assert only(floor.do(lower), ev.OrderAmended)
    assert floor.do(msgspec.structs.replace(lower, quantity=D("0.17")))[0].code == "P-06"
    assert only(floor.do(msgspec.structs.replace(lower, quantity=D("0.1"))), ev.OrderAmended)


def test_what_a_venue_left_below_a_step_is_closed_by_the_house_where_the_least_order_is_less(floor: Floor) -> None:
    floor.place("a1", BUY, "0.1", time_in_force="ioc", limit_price="1.10013")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", lots="0.05")
    floor.quote("LP1", "1.10000", "1.10020")
    floor.done(leg, filled="0.05")
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, lot_step=D("0.1"))))
    (dealt,) = only(floor.place("a1", SELL, "0.05"), ev.OrderFilled)
    assert (dealt.book, dealt.quantity) == ("B", D("0.05")) and not floor.desk.state.positions
