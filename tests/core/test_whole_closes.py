"""All or nothing, of a position of both books: each part is closed in the book of its open, and still all or none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.orders import OrderState, Side, TimeInForce
from tests.core.floor import Floor, only

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
FOK: dict[str, Any] = {"time_in_force": TimeInForce.FOK}
AON: dict[str, Any] = {"all_or_none": True, "limit_price": "1.09900"}


def floor_of(lots: str = "1", **group: Any) -> Floor:
    """A client has bought so many lots, of which venues have 40 % and the house the rest."""
    floor = Floor(**group)
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10002", "1.10009", size="50")
    floor.place("mixed1", BUY, lots)
    floor.fill(floor.children()[0], "1.10009")
    return floor


def books(floor: Floor) -> tuple[D, D, D]:
    """Return the client's lots in A and B, and what venues hold."""
    exposure = floor.desk.state.exposure["EURUSD"]
    return exposure.a_net, exposure.b_net, exposure.venue_net


def legs(events: list[ev.AnyEvent]) -> list[tuple[str, D, str]]:
    return [(leg.venue, leg.quantity, leg.time_in_force) for leg in only(events, ev.ChildOrderCreated)]


@pytest.mark.parametrize("terms", [FOK, AON])
def test_the_house_deals_its_part_once_the_venue_has_dealt_the_other(terms: dict[str, Any]) -> None:
    floor = floor_of()
    events = floor.place("mixed1", SELL, "1", **terms)
    assert legs(events) == [("LP1", D("0.4"), "fok")] and not only(events, ev.OrderFilled)
    assert "the house deals its 0.60 once a venue has dealt 0.40" in floor.order(2).text
    events = floor.fill(floor.children()[0], "1.10003")
    parts = [(fill.book, fill.quantity, fill.price, fill.raw_price) for fill in only(events, ev.OrderFilled)]
    assert parts == [(book, D(lots), D("1.10001"), D("1.10003")) for book, lots in (("A", "0.4"), ("B", "0.6"))]
    assert floor.order(2).state is OrderState.FILLED and books(floor) == (0, 0, 0)


def test_a_venue_that_deals_in_parts_is_waited_for() -> None:
    floor = floor_of()
    floor.place("mixed1", SELL, "1", **FOK)
    (leg,) = floor.children()
    assert [fill.book for fill in only(floor.fill(leg, "1.10002", lots="0.1"), ev.OrderFilled)] == ["A"]
    last, houses = only(floor.fill(leg, "1.10003"), ev.OrderFilled)
    assert (last.quantity, houses.quantity, houses.price) == (D("0.3"), D("0.6"), D("1.10001"))
    assert books(floor) == (0, 0, 0)


def test_refused_by_all_nothing_is_dealt_and_the_next_venue_gets_as_much() -> None:
    floor = floor_of()
    floor.place("mixed1", SELL, "1", **FOK)
    for venue in ("LP2", "LP3"):
        assert legs(floor.reject(floor.children()[0])) == [(venue, D("0.4"), "fok")]
    assert not only(floor.reject(floor.children()[0]), ev.OrderFilled)
    assert floor.order(2).state is OrderState.REJECTED and books(floor) == (D("0.4"), D("0.6"), D("0.4"))


@pytest.mark.parametrize(("size", "is_sent"), [("0.6", True), ("0.59", False)])
def test_nothing_is_sent_where_the_house_could_not_deal_its_part(size: str, is_sent: bool) -> None:
    floor = floor_of()
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10002" if venue == "LP1" else "1.09000", "1.10009", size=size)
    assert bool(legs(floor.place("mixed1", SELL, "1", limit_price="1.10000", **FOK))) is is_sent


def test_nobody_is_met_before_a_venue_has_answered() -> None:
    """Another client bids for a part of it, which could not be taken back."""
    floor = floor_of()
    floor.place("b2", BUY, "0.3", limit_price="1.10008")
    events = floor.place("mixed1", SELL, "1", **FOK)
    assert legs(events) == [("LP1", D("0.4"), "fok")] and not only(events, ev.OrderFilled)


def test_what_is_not_sent_yet_of_a_whole_is_not_for_others_to_take() -> None:
    """0.4 are out at LP1; who wants 0.6 does not get them, for LP1 may refuse."""
    floor = floor_of()
    floor.place("mixed1", SELL, "1", **AON)
    events = floor.place("b2", BUY, "0.6", limit_price="1.09950")
    assert not only(events, ev.OrderFilled) and not floor.order(2).filled
    floor.fill(floor.children()[0], "1.10002")
    assert floor.order(2).state is OrderState.FILLED


def test_a_leg_that_breaks_its_word_is_made_good_with_the_houses_part() -> None:
    floor = floor_of()
    floor.place("mixed1", SELL, "1", **FOK)
    (leg,) = floor.children()
    floor.fill(leg, "1.10003", lots="0.1")
    events = floor.done(leg, filled="0.1")
    (rest,) = only(events, ev.OrderFilled)
    assert (rest.quantity, rest.book) == (D("0.9"), "B") and floor.order(2).state is OrderState.FILLED
    (told,) = only(events, ev.VenueReportSuspended)
    assert "dealt 0.1 of 0.40 lots" in told.text, "of what it was sent, not of what the house deals"


def test_a_correction_that_completes_the_leg_is_no_broken_word() -> None:
    """The house deals its part then, as after a fill, and nobody is told that the venue left some."""
    floor = floor_of()
    floor.place("mixed1", SELL, "1", **FOK)
    (leg,) = floor.children()
    floor.fill(leg, "1.10003", lots="0.1", fill_id="F1")
    corrected = cmd.RecordVenueCorrection(
        venue=leg.venue, cl_ord_id=leg.cl_ord_id, report_id="C1", ref_fill_id="F1", symbol=leg.symbol, side=leg.side,
        quantity=leg.quantity, price=D("1.10003"), text="all of it", occurred_at_us=floor.now_us,
    )  # fmt: skip
    events = floor.do(corrected)
    assert [(fill.book, fill.quantity) for fill in only(events, ev.OrderFilled)] == [("A", D("0.4")), ("B", D("0.6"))]
    assert not only(events, ev.VenueReportSuspended) and books(floor) == (0, 0, 0)
    assert floor.order(2).state is OrderState.FILLED


def test_of_a_position_of_one_book_and_of_what_is_turned_round_nothing_waits() -> None:
    floor = floor_of()
    assert legs(floor.place("mixed1", SELL, "3", **FOK)) == [], "larger: kept whole, as new flow is"
    floor.place("a1", BUY, "1")
    floor.fill(floor.children()[0], "1.10009")
    assert legs(floor.place("a1", SELL, "1", **FOK)) == [("LP1", D(1), "fok")]


@given(
    steps=st.lists(st.tuples(st.integers(1, 100), st.integers(0, 2), st.booleans()), min_size=1, max_size=6),
    percent=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_whole_closes_leave_at_venues_what_the_a_book_says(steps: list[tuple[int, int, bool]], percent: int) -> None:
    """INV-21: whatever venues answer that keep their word."""
    floor = Floor(internal_cross=False, a_book_percent=D(percent))
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10002", "1.10009", size="50")
    floor.place("mixed1", BUY, "2")
    for leg in floor.children():
        floor.fill(leg, "1.10009")
    for lots, refusals, is_fok in steps:
        held = floor.desk.state.positions.get("mixed1:EURUSD")
        if held is None:
            break
        asked = min(held.lots, D(lots) / 100)
        floor.place("mixed1", SELL, str(asked), **(FOK if is_fok else AON))
        number = max(floor.desk.state.orders)
        for place in range(4):
            for leg in floor.children():
                if place < refusals:
                    floor.reject(leg)
                else:
                    floor.fill(leg, "1.10002")
        assert floor.desk.state.orders[number].filled in (0, asked)
        a_lots, b_lots, at_venues = books(floor)
        assert a_lots == at_venues and min(a_lots, b_lots) >= 0
