"""After a start nothing new goes to a venue before what was under way there is known; closes pass (INV-28, F-01)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.desk import Desk
from piggy.core.hedging import HedgePolicy
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import Side
from tests.core.floor import Floor, only

LPS = ("LP1", "LP2", "LP3")


@pytest.fixture
def floor() -> Floor:
    return Floor()


def restarted(floor: Floor) -> Floor:
    """The same floor on a desk out of its log, quotes there, no worker heard."""
    floor.desk = Desk(tenant="acorn")
    for recorded in floor.log:
        floor.desk.apply(recorded=recorded)
    floor.desk.entry.close(state=floor.desk.state)
    floor.quotes()
    return floor


def says(floor: Floor, venue: str, *, unreconciled: int = 0, state: VenueState = VenueState.READY) -> None:
    status = VenueStatus(venue=venue, state=state, text="", at_us=floor.now_us, unreconciled=unreconciled)
    floor.desk.status(status=status)


def venues_of(events: list[ev.AnyEvent]) -> set[str]:
    return {leg.venue for leg in only(events, ev.ChildOrderCreated)}


def test_new_risk_goes_only_where_all_is_known_again(floor: Floor) -> None:
    again = restarted(floor)
    assert venues_of(again.place("a1", Side.BUY, "1")) == set()
    says(again, "LP1", state=VenueState.CONNECTING)
    says(again, "LP2", unreconciled=1)
    says(again, "LP3")
    again.quotes()
    assert again.desk.entry.closed == {"LP1", "LP2"}
    events = again.place("a1", Side.BUY, "1")
    assert venues_of(events) == {"LP3"}
    (accepted,) = only(events, ev.OrderAccepted)
    told = {seen.venue: seen.text for seen in accepted.routing.considered}
    assert told["LP1"] == told["LP2"] == "not reconciled since the engine began"
    says(again, "LP2")
    assert venues_of(again.place("a1", Side.BUY, "1")) == {"LP2"}


def test_what_closes_a_position_passes_at_any_venue(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    again = restarted(floor)
    assert venues_of(again.place("a1", Side.SELL, "2")) == set(), "more than is open would open anew"
    assert venues_of(again.place("a1", Side.SELL, "1")) == {"LP2"}


def test_a_leg_in_doubt_keeps_its_venue_closed_whatever_the_worker_says(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    again = restarted(floor)
    says(again, leg.venue)
    assert leg.venue in again.desk.entry.closed, "nobody ever answered for the leg"
    again.do(cmd.RecordVenueDoubt(venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="lost", occurred_at_us=again.now_us))
    says(again, leg.venue)
    assert leg.venue in again.desk.entry.closed
    again.done(leg)
    says(again, leg.venue)
    assert leg.venue not in again.desk.entry.closed


def test_the_house_hedges_nothing_at_a_closed_venue(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    again = restarted(floor)
    again.do(
        cmd.ConfigureHedging(policy=HedgePolicy(key="EURUSD", symbol="EURUSD", threshold=Decimal("0.5"), version=1))
    )
    assert again.act() == []
    says(again, "LP2")
    assert venues_of(again.act()) == {"LP2"}


def test_venues_that_nobody_deals_at_are_not_waited_for(floor: Floor) -> None:
    off = floor.desk.state.venues["LP1"]
    floor.do(cmd.ConfigureVenue(venue=type(off)(name="LP1", enabled=False)))
    floor.do(cmd.ConfigureVenue(venue=type(off)(name="LP2", shadow=True)))
    assert restarted(floor).desk.entry.closed == {"LP3"}
