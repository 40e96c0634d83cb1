"""Shadow, canary, live; and a reject storm that takes a venue off the road until a person puts it back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState, Venue
from piggy.core.orders import Side
from piggy.core.staging import proven, venues_for
from piggy.core.storms import WINDOW_US, storm
from tests.core.floor import Floor, canonical, only

LP1 = Venue(name="LP1", priority=1, quote_age_ms_max=600_000)


def first_venue(floor: Floor) -> str:
    floor.place("a1", Side.BUY, "0.01")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010")
    return leg.venue


def staged(floor: Floor, **terms: object) -> None:
    floor.do(cmd.ConfigureVenue(venue=Venue(name="LP1", priority=1, quote_age_ms_max=600_000, **terms)))  # type: ignore[arg-type]


def test_a_shadow_is_recorded_and_never_asked_a_canary_by_its_share_a_live_venue_always() -> None:
    floor = Floor()
    staged(floor, shadow=True)
    assert {first_venue(floor) for _ in range(20)} == {"LP2"}
    staged(floor, canary_percent=Decimal(30))
    share = sum(first_venue(floor) == "LP1" for _ in range(200))
    assert 35 <= share <= 85
    staged(floor)
    assert {first_venue(floor) for _ in range(20)} == {"LP1"}


def test_an_order_that_a_canary_does_not_get_still_says_what_it_would_have_cost() -> None:
    floor = Floor()
    staged(floor, canary_percent=Decimal(0))
    (accepted,) = only(floor.place("a1", Side.BUY, "0.01"), ev.OrderAccepted)
    seen = {each.venue: each for each in accepted.routing.considered}
    assert seen["LP1"].rank == 0
    assert seen["LP1"].text == "shadow: would be choice 1"
    assert seen["LP1"].price == Decimal("1.10010")
    assert seen["LP1"].cost is not None


def test_whose_turn_it_is_follows_from_the_orders_id_and_hedges_use_no_venue_on_trial() -> None:
    trial = {"LP1": Venue(name="LP1", canary_percent=Decimal(50)), "LP2": Venue(name="LP2")}
    turns = [venues_for(order_id=f"O{n}", venues=trial)["LP1"].shadow for n in range(100)]
    assert turns == [venues_for(order_id=f"O{n}", venues=trial)["LP1"].shadow for n in range(100)]
    assert 20 < sum(turns) < 80
    assert proven(venues=trial)["LP1"].shadow
    everybody = {"LP2": trial["LP2"]}
    assert venues_for(order_id="O1", venues=everybody) is everybody, "no copy where nobody is on trial"


def rejected(floor: Floor, count: int, *, apart_us: int = 0) -> list[ev.TradingStateChanged]:
    """Have LP1 reject so many orders; every one is then done by the next LP."""
    found = []
    for _ in range(count):
        floor.place("a1", Side.BUY, "0.01")
        for leg in floor.children():
            if leg.venue == "LP1":
                found += only(floor.reject(leg), ev.TradingStateChanged)
        for leg in floor.children():
            floor.fill(leg, "1.10011")
        floor.now_us += apart_us
    return found


def test_twenty_rejects_in_a_row_disable_the_route_and_only_a_person_opens_it() -> None:
    """F-17: however slowly they come."""
    floor = Floor()
    assert rejected(floor, 19, apart_us=60_000_000) == []
    (halted,) = rejected(floor, 1)
    assert (halted.scope, halted.key, halted.state, halted.by) == ("venue", "LP1", TradingState.HALTED, "desk")
    assert "20 rejects in a row" in halted.reason
    assert first_venue(floor) == "LP2", "the next order goes elsewhere"
    floor.now_us += 10 * WINDOW_US
    assert first_venue(floor) == "LP2", "time heals nothing"
    floor.do(
        cmd.SetTradingState(scope="venue", key="LP1", state=TradingState.ACTIVE, reason="LP fixed it", by="dealer")
    )
    assert first_venue(floor) == "LP1"
    assert rejected(floor, 19) == [], "what it refused before is forgiven"


def test_more_than_half_of_twenty_rejected_within_half_a_minute_disables_the_route() -> None:
    """F-17, the other half; the same share over a longer time does not."""
    mixed = [(number, number % 2 == 0 or number == 1) for number in range(20)]
    assert "11 of 20" in storm(streak=1, answers=mixed, now_us=20)
    assert storm(streak=1, answers=mixed[:19], now_us=20) == ""
    assert storm(streak=1, answers=mixed, now_us=WINDOW_US + 15) == ""
    half = [(number, number % 2 == 0) for number in range(40)]
    assert storm(streak=1, answers=half, now_us=40) == ""


def test_an_order_that_we_never_sent_is_no_reject_of_the_venue() -> None:
    floor = Floor()
    for _ in range(25):
        floor.place("a1", Side.BUY, "0.01")
        for leg in floor.children():
            command = cmd.RecordVenueReject(
                venue=leg.venue, cl_ord_id=leg.cl_ord_id, code="NOT_SENT", text="down", occurred_at_us=floor.now_us
            )
            assert only(floor.do(command), ev.TradingStateChanged) == []
        for leg in floor.children():
            floor.done(leg)


@pytest.mark.parametrize("count", [5, 21])
def test_a_replay_knows_the_same_answers(count: int) -> None:
    floor = Floor()
    rejected(floor, count)
    again = Floor()
    again.desk = type(floor.desk)(tenant="acorn")
    for recorded in floor.log:
        again.desk.apply(recorded=recorded)
    assert canonical(again.desk.state) == canonical(floor.desk.state)
