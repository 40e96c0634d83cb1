"""A close follows the book of its open, also while venues have not dealt yet, and where an order turns round."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, Group
from piggy.core.desk import Desk
from piggy.core.orders import Side
from piggy.core.positions import Position, ahead_in, lots_ahead
from tests.core.floor import EURUSD, Floor, canonical, only

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def floor() -> Floor:
    """Of the mixed group, 40 % is passed on; LP1 has enough of everything."""
    floor = Floor(internal_cross=False)
    floor.quote("LP1", "1.10002", "1.10009", size="50")
    return floor


def held(floor: Floor) -> tuple[Decimal, Decimal]:
    """Return the signed lots of the mixed account in the A and in the B book."""
    position = floor.desk.state.positions.get("mixed1:EURUSD")
    return (position.side.sign * position.a_lots, position.side.sign * position.b_lots) if position else (D(0), D(0))


def at_venues(floor: Floor) -> Decimal:
    return floor.desk.state.exposure["EURUSD"].venue_net


def deal(floor: Floor) -> list[ev.AnyEvent]:
    """Let venues deal all that they have."""
    return [event for leg in floor.children() for event in floor.fill(leg, "1.10005")]


def sent(events: list[ev.AnyEvent]) -> list[Decimal]:
    return [leg.quantity for leg in only(events, ev.ChildOrderCreated)]


def test_a_position_that_is_turned_round_is_in_the_books_that_dealt_it(floor: Floor) -> None:
    """INV-21: kept at once, the B part closes lots that venues are only closing: each is given back what is its own."""
    floor.place("mixed1", BUY, "1")
    deal(floor)
    assert sent(floor.place("mixed1", SELL, "3")) == [D("1.2")]
    (leg,) = floor.children()
    floor.fill(leg, "1.10002", lots="0.5")
    floor.fill(leg, "1.10002")
    assert held(floor) == (D("-0.8"), D("-1.2")) and at_venues(floor) == D("-0.8")
    floor.place("mixed1", BUY, "2")
    deal(floor)
    assert held(floor) == (0, 0) and at_venues(floor) == 0, "and what closes it leaves nothing at a venue"


def test_two_closes_at_once_send_no_venue_more_than_was_opened_there(floor: Floor) -> None:
    floor.place("mixed1", BUY, "2")
    deal(floor)
    for _ in range(2):
        assert sent(floor.place("mixed1", SELL, "1")) == [D("0.4")]
    deal(floor)
    assert held(floor) == (0, 0) and at_venues(floor) == 0


def test_a_close_beyond_what_venues_are_closing_already_turns_round_there(floor: Floor) -> None:
    """The lots that it names are A's as long as they stand, and what else may be sold is as new as ever."""
    floor.place("a1", BUY, "1")
    deal(floor)
    floor.place("a1", SELL, "1")
    group = Group(name="a", version=2, book_mode=BookMode.B, order_notional_max=D(10_000_000))
    floor.do(cmd.ConfigureGroup(group=group))
    assert sent(floor.place("a1", SELL, "1.5")) == [1]
    deal(floor)
    position = floor.desk.state.positions["a1:EURUSD"]
    assert at_venues(floor) == -position.a_lots == -1 and position.b_lots == D("0.5")


def test_what_comes_back_of_a_close_is_closed_at_the_next_venue(floor: Floor) -> None:
    """INV-21: a reject of a close makes the B book's share no larger."""
    floor.place("mixed1", BUY, "2")
    deal(floor)
    floor.place("mixed1", SELL, "1")
    (leg,) = floor.children()
    assert sent(floor.reject(leg)) == [D("0.4")]
    deal(floor)
    assert held(floor) == (D("0.4"), D("0.6")) and at_venues(floor) == D("0.4")


def test_what_venues_are_opening_is_closed_there(floor: Floor) -> None:
    """A client who is out again before the venue answered sells back what it is about to give."""
    floor.place("mixed1", BUY, "1")
    events = floor.place("mixed1", SELL, "1")
    assert sent(events) == [D("0.4")]
    assert "0.40 close what venues are dealing, and are A's" in only(events, ev.OrderAccepted)[0].routing.text
    deal(floor)
    assert held(floor) == (0, 0) and at_venues(floor) == 0


def test_what_venues_close_before_it_is_no_lot_to_come(floor: Floor) -> None:
    """Who adds while he sells, and in another symbol or account, is routed as his group says."""
    floor.place("mixed1", BUY, "2")
    deal(floor)
    floor.place("mixed1", SELL, "1")
    assert sent(floor.place("mixed1", BUY, "1")) == [D("0.4")]
    floor.open_account("hedged", group="mixed", hedging=True)
    floor.place("hedged", BUY, "1")
    assert sent(floor.place("hedged", SELL, "1")) == [D("0.4")], "two positions side by side"
    deal(floor)
    assert at_venues(floor) == floor.desk.state.exposure["EURUSD"].a_net


def test_a_leg_that_is_taken_back_and_dealt_anew_leaves_the_books_as_they_were(floor: Floor) -> None:
    floor.place("mixed1", BUY, "1")
    deal(floor)
    floor.place("mixed1", SELL, "3", limit_price="1.10000")
    (leg,) = floor.children()
    floor.fill(leg, "1.10002", fill_id="X1")
    assert held(floor) == (D("-0.8"), D("-1.2")) and floor.order(2).ahead == 0
    correction = cmd.RecordVenueCorrection(
        venue="LP1", cl_ord_id=leg.cl_ord_id, ref_fill_id="X1", quantity=D("1.2"), price=D("1.10001"),
        symbol="EURUSD", side=SELL, report_id="R1", text="", occurred_at_us=floor.now_us,
    )  # fmt: skip
    floor.do(correction)
    assert held(floor) == (D("-0.8"), D("-1.2")) and floor.order(2).ahead == 0


@pytest.mark.parametrize(
    ("book", "side", "quantity", "ahead"),
    [
        ("B", SELL, "0.6", "0"),
        ("B", SELL, "0.7", "0.1"),
        ("B", SELL, "3", "0.4"),
        ("B", BUY, "3", "0"),
        ("CROSS", SELL, "3", "0"),
        ("A", SELL, "1", "0"),
        ("A", SELL, "1.1", "0.1"),
        ("A", SELL, "3", "0.3"),
    ],
)
def test_a_book_is_ahead_by_what_it_closes_of_the_other(book: str, side: Side, quantity: str, ahead: str) -> None:
    position = Position(
        account_id="a", symbol="S", position_id="p", quantity=D(1), cost=D(1), a_lots=D("0.4"), b_lots=D("0.6")
    )

    def by(held: Position | None) -> Decimal:
        return lots_ahead(position=held, side=side, quantity=D(quantity), book=book, owed=D("0.3"))

    assert by(position) == D(ahead)
    assert by(None) == (D("0.3") if book == "A" else 0)
    assert ahead_in(life=None, fill_id="X") == 0


@given(
    steps=st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 300), st.integers(0, 3)), max_size=8),
    percent=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_inv_21_venues_hold_what_the_a_book_says_however_often_a_client_turns(
    steps: list[tuple[Side, int, int]], percent: int
) -> None:
    """Venues deal in parts or refuse once, whatever they like; once all is dealt, no lot is in another's book."""
    floor = Floor(internal_cross=False, a_book_percent=D(percent))
    for side, lots, answer in steps:
        for venue in ("LP1", "LP2"):
            floor.quote(venue, "1.10002", "1.10009", size="50")
        floor.place("mixed1", side, str(D(lots) / 100))
        if answer == 1 and floor.children():
            floor.reject(floor.children()[0])
        if answer == 2 and floor.children() and floor.children()[0].quantity > EURUSD.lot_step:
            floor.fill(floor.children()[0], "1.10005", lots=str(EURUSD.lot_step))
        deal(floor)
        exposure = floor.desk.state.exposure["EURUSD"]
        assert exposure.venue_net == exposure.a_net and exposure.uncovered == exposure.b_net
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)
