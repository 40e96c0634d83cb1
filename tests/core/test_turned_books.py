"""A close follows the book of its open, also while venues have not dealt yet, and where an order turns round."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, Group
from piggy.core.correction_events import OrderFillBusted
from piggy.core.desk import Desk
from piggy.core.orders import Side
from piggy.core.position_commands import ClosePositions, Which
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


def dealt(floor: Floor) -> dict[str, Decimal]:
    """Return the signed lots that each book has dealt, straight out of the log."""
    sums = {"A": D(0), "B": D(0)}
    for event in (recorded.event for recorded in floor.log):
        if isinstance(event, ev.OrderFilled | OrderFillBusted):
            signed = event.side.sign * event.quantity
            sums[event.book] += signed if isinstance(event, ev.OrderFilled) else -signed
    return sums


def is_told_in_full(floor: Floor) -> bool:
    """Whether what venues hold, and what the house has open, are what each book has dealt."""
    exposure, sums = floor.desk.state.exposure["EURUSD"], dealt(floor)
    parts = exposure.a_net + exposure.b_net
    return (exposure.venue_net, exposure.uncovered, parts) == (sums["A"], sums["B"], exposure.client_net)


def flatten(floor: Floor) -> Decimal:
    """Let a dealer cover what is open, and return what is open then."""
    asked = cmd.CoverByHand(symbol="EURUSD", side=None, quantity=None, by="dora", reason="left over")
    floor.do(asked)
    deal(floor)
    return floor.desk.state.exposure["EURUSD"].uncovered


@pytest.mark.parametrize("first", [0, 1])
def test_what_two_orders_that_overlap_leave_with_the_house_is_seen_and_can_be_covered(floor: Floor, first: int) -> None:
    """The book of a lot may then be another's by name; what venues hold for nobody is open, and a dealer covers it."""
    floor.place("mixed1", BUY, "1")
    floor.place("mixed1", SELL, "2")
    legs = floor.children()
    for leg in (legs[first], legs[1 - first]):
        floor.fill(leg, "1.10005")
        assert is_told_in_full(floor)
    assert at_venues(floor) == D("-0.4") and dealt(floor)["B"] == D("-0.6")
    floor.place("mixed1", BUY, "1")
    deal(floor)
    assert held(floor) == (0, 0) and is_told_in_full(floor), "flat, and still nothing that venues hold is hidden"
    assert floor.desk.state.exposure["EURUSD"].uncovered == -at_venues(floor)
    assert flatten(floor) == 0 == at_venues(floor)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_overlaps_the_houses_risk_is_what_the_house_dealt(seed: int, floor: Floor) -> None:
    """Orders, closes of all, fills in parts, refusals, busts and corrections in any order, netting and hedging: so
    hedging, which goes by what is open, covers neither too much nor too little, whatever the books are called."""
    chance, stands = random.Random(seed), list[tuple[ev.ChildOrderCreated, str, Decimal]]()
    floor.open_account("hedged", group="mixed", hedging=True, amount=1_000_000)
    floor.do(cmd.CreditAccount(account_id="mixed1", amount=D(1_000_000), reference="more"))
    for number in range(14):
        floor.requote()
        what, legs = chance.randrange(10), floor.children()
        if what < 4:
            floor.place(
                chance.choice(("mixed1", "hedged")), chance.choice((BUY, SELL)), str(D(chance.randint(1, 300)) / 100)
            )
        elif what == 4:
            floor.now_us += 2_000_000
            account_id = chance.choice(("mixed1", "hedged"))
            floor.do(ClosePositions(account_id=account_id, symbol="", which=Which.ALL, by="dora", reason="asked"))
        elif what < 8 and legs:
            leg = chance.choice(legs)
            lots = min(floor.desk.state.children[leg.cl_ord_id].leaves, D(chance.randint(1, 120)) / 100)
            floor.fill(leg, "1.10005", lots=str(lots), fill_id=f"X{number}")
            stands.append((leg, f"X{number}", lots))
        elif what == 8 and legs and not floor.desk.state.children[legs[0].cl_ord_id].filled:
            floor.reject(legs[0])
        elif what == 9 and stands:
            leg, fill_id, lots = stands.pop(chance.randrange(len(stands)))
            floor.do(taken_back(floor, leg, fill_id, lots, f"R{number}", corrected=chance.random() < 0.5))
        assert is_told_in_full(floor)
    for _ in range(4):  # What a venue gives back goes to the next.
        deal(floor)
    assert not floor.children() and is_told_in_full(floor) and flatten(floor) == 0


def taken_back(
    floor: Floor, leg: ev.ChildOrderCreated, fill_id: str, lots: Decimal, report_id: str, *, corrected: bool
) -> cmd.AnyCommand:
    """Return a venue's word that an execution never was, or was at another price."""
    said = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "ref_fill_id": fill_id, "report_id": report_id, "text": ""}
    if not corrected:
        return cmd.RecordVenueBust(**said, occurred_at_us=floor.now_us)
    dealt_at = {"symbol": leg.symbol, "side": leg.side, "quantity": lots, "price": D("1.10001")}
    return cmd.RecordVenueCorrection(**said, **dealt_at, occurred_at_us=floor.now_us)
