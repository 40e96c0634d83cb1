"""A limit that rests is not ended by its venues: it waits, longer each time, and says why."""

from __future__ import annotations

import pytest

from piggy.core import events as ev
from piggy.core.orders import OrderState, Side, TimeInForce
from piggy.core.retrying import ATTEMPTS_MAX, PAUSE_US_MAX, pause_us
from tests.core.floor import SECOND_US, Floor, only


@pytest.fixture
def floor() -> Floor:
    return Floor(internal_cross=False)


def tick(floor: Floor, seconds: int = 0) -> list[ev.AnyEvent]:
    """Let time pass, and a price come that is no other."""
    floor.now_us += seconds * SECOND_US
    floor.requote()
    return floor.act()


def refused_by_all(floor: Floor, events: list[ev.AnyEvent]) -> int:
    """Let every venue that is asked refuse; return how many were."""
    asked = 0
    while legs := only(events, ev.ChildOrderCreated):
        events = [event for leg in legs for event in floor.reject(leg)]
        asked += len(legs)
    return asked


def test_a_limit_is_filled_in_as_many_parts_as_it_takes(floor: Floor) -> None:
    """Each of its venues deals a little at a time: that is no reason to end it."""
    floor.place("a1", Side.BUY, "6", limit_price="1.10013")
    for _ in range(3 * ATTEMPTS_MAX):
        for leg in floor.children():
            floor.fill(leg, "1.10010", lots="0.1")
            floor.done(leg, filled="0.1")
        tick(floor, 1)
    order = floor.order(1)
    assert (order.state, order.attempts) == (OrderState.FILLED, 60) and order.attempts > ATTEMPTS_MAX


def test_refused_everywhere_it_rests_and_says_so_and_is_asked_again_after_its_pause(floor: Floor) -> None:
    assert refused_by_all(floor, floor.place("a1", Side.BUY, "1", limit_price="1.10020")) == 3
    order = floor.order(1)
    assert order.text == "refused by LP1, LP2, LP3, 3 times in a row: it rests, and venues are asked again after 8 s"
    assert not order.state.final and not tick(floor, 7), "nobody is asked within the pause"
    (leg,) = only(tick(floor, 1), ev.ChildOrderCreated)
    floor.reject(leg)
    assert "4 times in a row" in order.text and not tick(floor, 15)
    (leg,) = only(tick(floor, 1), ev.ChildOrderCreated)
    floor.fill(leg, "1.10013")
    assert order.state is OrderState.FILLED


def test_refused_for_days_it_neither_ends_nor_hammers(floor: Floor) -> None:
    asked = refused_by_all(floor, floor.place("a1", Side.BUY, "1", limit_price="1.10020"))
    lines = len(floor.log)
    for _ in range(2 * 24 * 60 // 5):
        asked += refused_by_all(floor, tick(floor, 300))
    order = floor.order(1)
    assert not order.state.final and ATTEMPTS_MAX < asked < 2 * 24 + 20, asked
    assert len(floor.log) - lines < 6 * asked, "and no line is written in between"


def test_venues_that_never_have_what_they_quote_are_asked_so_often_at_once_and_no_more(floor: Floor) -> None:
    events, asked = floor.place("a1", Side.BUY, "1", limit_price="1.10020"), 0
    while legs := only(events, ev.ChildOrderCreated):
        asked += len(legs)
        events = [event for leg in legs for event in floor.done(leg)]
    assert asked == ATTEMPTS_MAX and not tick(floor, 1)
    assert floor.order(1).text.startswith(f"venues had nothing left of it, {ATTEMPTS_MAX} times in a row: it rests")
    assert len(only(tick(floor, 256), ev.ChildOrderCreated)) == 1


def test_a_fill_ends_the_misses_and_who_refused_before_is_asked_again_after_the_shortest_pause(floor: Floor) -> None:
    """What LP2 dealt is no reason for LP1 to take what it refused a moment ago."""
    (leg,) = only(floor.place("a1", Side.BUY, "1", limit_price="1.10020"), ev.ChildOrderCreated)
    (next_leg,) = only(floor.reject(leg), ev.ChildOrderCreated)
    assert (leg.venue, next_leg.venue, floor.order(1).misses) == ("LP1", "LP2", 1)
    floor.fill(next_leg, "1.10011", lots="0.4")
    assert not floor.order(1).misses
    floor.now_us += pause_us(misses=1) - 1
    floor.requote()
    (third,) = only(floor.done(next_leg, filled="0.4"), ev.ChildOrderCreated)
    assert third.venue == "LP2"
    floor.fill(third, "1.10011", lots="0.4")
    floor.now_us += 1
    floor.requote()
    (fourth,) = only(floor.done(third, filled="0.4"), ev.ChildOrderCreated)
    assert fourth.venue == "LP1"


@pytest.mark.parametrize("force", [TimeInForce.IOC, None])
def test_what_may_not_rest_ends_once_all_have_refused_it(floor: Floor, force: TimeInForce | None) -> None:
    terms = {} if force is None else {"limit_price": "1.10020", "time_in_force": force}
    assert refused_by_all(floor, floor.place("a1", Side.BUY, "1", **terms)) == 3
    assert floor.order(1).state is OrderState.REJECTED and floor.order(1).text == "refused by LP1, LP2, LP3"


def test_pauses_double_up_to_an_hour() -> None:
    assert [pause_us(misses=misses) // SECOND_US for misses in (1, 2, 8, 11)] == [2, 4, 256, 2048]
    assert pause_us(misses=12) == pause_us(misses=1_000_000) == PAUSE_US_MAX
