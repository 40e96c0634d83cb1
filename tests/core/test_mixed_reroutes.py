"""What venues give back of mixed flow stays the A book's: no reject makes the house keep more than its share."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode
from piggy.core.desk import Desk
from piggy.core.orders import Side
from piggy.core.routing_rules import Treatment
from piggy.core.splitting import split
from tests.core.floor import EURUSD, Floor, canonical, only

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def floor() -> Floor:
    return Floor(internal_cross=False)


def held(floor: Floor) -> tuple[Decimal, Decimal]:
    """Return the A and the B lots of the mixed account."""
    position = floor.desk.state.positions["mixed1:EURUSD"]
    return position.a_lots, position.b_lots


def legs(events: list[ev.AnyEvent]) -> list[tuple[str, Decimal]]:
    return [(leg.venue, leg.quantity) for leg in only(events, ev.ChildOrderCreated)]


def test_a_last_look_reject_goes_to_the_next_venue_whole(floor: Floor) -> None:
    """40 % of a lot is passed on; refused twice, all of it is dealt by the third venue."""
    assert legs(floor.place("mixed1", BUY, "1")) == [("LP1", D("0.40"))]
    for venue in ("LP2", "LP3"):
        events = floor.reject(floor.children()[0])
        assert legs(events) == [(venue, D("0.40"))] and not only(events, ev.OrderFilled)
        (again,) = only(events, ev.OrderRerouted)
        assert "0.40 came back from venues and stay A's" in again.routing.text
    floor.fill(floor.children()[0], "1.10012")
    assert held(floor) == (D("0.40"), D("0.60")) and floor.order(1).came_back == 0


def test_what_no_venue_takes_is_not_kept_instead(floor: Floor) -> None:
    floor.place("mixed1", BUY, "1")
    for _ in range(3):
        events = floor.reject(floor.children()[0])
    assert only(events, ev.OrderCancelled)[0].leaves == D("0.40")
    assert held(floor) == (0, D("0.60"))


def test_what_rests_with_lots_that_came_back_passes_those_on_when_a_price_comes(floor: Floor) -> None:
    """Of a limit for 5 lots, 2 are A's; venues give 1.2 of them back, and later prices find them still A's."""
    floor.place("mixed1", BUY, "5", limit_price="1.10050")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", lots="0.8")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10000", "1.10090")
    floor.done(leg, filled="0.8")
    assert floor.order(1).free == floor.order(1).came_back == D("1.20")
    floor.quotes()
    assert legs(floor.act()) == [("LP1", D("1.20"))]
    floor.fill(floor.children()[0], "1.10010")
    assert held(floor) == (2, 3)


@pytest.mark.parametrize("closed", [True, False])
def test_what_a_venue_takes_back_is_passed_on_again(floor: Floor, closed: bool) -> None:
    """A bust of 0.3 of an order that still works: the leg that ended gives them back, the one that lives has them."""
    floor.quote("LP1", "1.10000", "1.10010", size="0.5")
    floor.place("mixed1", BUY, "2", limit_price="1.10050")
    first, _ = floor.children()
    floor.fill(first, "1.10010", lots="0.3", fill_id="X1")
    if closed:
        floor.fill(first, "1.10010", lots="0.2", fill_id="X2")
    bust = cmd.RecordVenueBust(
        venue="LP1", cl_ord_id=first.cl_ord_id, ref_fill_id="X1", report_id="B1", text="", occurred_at_us=floor.now_us
    )
    events = floor.do(bust)
    assert sum(lots for _, lots in legs(events)) == (D("0.3") if closed else 0)
    assert floor.order(1).came_back == 0
    for leg in floor.children():
        floor.fill(leg, "1.10010")
    assert held(floor) == (D("0.8"), D("1.2"))


def test_a_corrected_execution_of_an_ended_leg_gives_nothing_back(floor: Floor) -> None:
    floor.place("mixed1", BUY, "1", limit_price="1.10050")
    (leg,) = floor.children()
    floor.quote("LP1", "1.10000", "1.10090")
    floor.fill(leg, "1.10010", lots="0.1", fill_id="X1")
    floor.done(leg, filled="0.1")
    assert [lots for _, lots in legs([each.event for each in floor.log])] == [D("0.40"), D("0.30")]
    floor.do(
        cmd.RecordVenueCorrection(
            venue="LP1", cl_ord_id=leg.cl_ord_id, ref_fill_id="X1", report_id="C1", quantity=D("0.1"),
            price=D("1.10008"), symbol="EURUSD", side=BUY, text="", occurred_at_us=floor.now_us,
        )
    )  # fmt: skip
    assert floor.order(1).came_back == 0
    floor.fill(floor.children()[0], "1.10011")
    assert held(floor) == (D("0.4"), D("0.6"))


def test_only_whole_steps_of_new_flow_can_be_passed_on_again() -> None:
    """What came back and closes, or is less than a step, follows the rules of its own."""
    kept = Treatment(rule="r", version=1, book_mode=BookMode.MIXED, a_percent=D(50), internal_cross=True)

    def a_lots(quantity: str, came_back: str) -> Decimal:
        asked = {"treatment": kept, "instrument": EURUSD, "side": BUY, "position": None}
        return split(quantity=D(quantity), came_back=D(came_back), **asked)[0]

    assert (a_lots("1", "0"), a_lots("1", "0.4"), a_lots("1", "1"), a_lots("1", "3")) == (D("0.5"), D("0.7"), 1, 1)
    assert a_lots("0.004", "0.004") == 0


@given(
    lots=st.integers(1, 500), percent=st.integers(0, 100), answers=st.lists(st.integers(0, 3), min_size=1, max_size=12)
)
@settings(max_examples=25, deadline=None)
def test_inv_21_no_answers_of_venues_move_lots_from_a_to_b(lots: int, percent: int, answers: list[int]) -> None:
    """Whatever venues refuse or fill in part, B has its share and A no more than its own; a replay agrees."""
    floor = Floor(internal_cross=False, a_book_percent=D(percent))
    floor.place("mixed1", BUY, str(D(lots) / 100), limit_price="1.10050")
    b_lots = floor.desk.state.exposure["EURUSD"].b_net
    for answer in answers:
        if not floor.children():
            break
        leg = floor.children()[0]
        part = leg.quantity * answer / 3 // EURUSD.lot_step * EURUSD.lot_step
        if part == leg.quantity:
            floor.fill(leg, "1.10012")
        elif part:
            floor.fill(leg, "1.10012", lots=str(part))
            floor.done(leg, filled=str(part))
        else:
            floor.reject(leg)
        floor.act()
    exposure = floor.desk.state.exposure["EURUSD"]
    assert exposure.b_net == b_lots and exposure.a_net <= D(lots) / 100 - b_lots
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(floor.desk.state) == canonical(again.state)
