"""Calls that a calendar begins and ends: each session opens and closes with an auction, and people are left alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.auctions import AuctionPhase
from piggy.core.clearance import Calendar, Session, calendar_fault
from piggy.core.desk import Desk
from piggy.core.orders import Side
from piggy.core.sessions import planned
from piggy.core.standing import phase_of
from tests.core.floor import Floor, only

OPENING, CONTINUOUS = AuctionPhase.OPENING_CALL, AuctionPhase.CONTINUOUS
CLOSING, CLOSED, VOLATILITY = AuctionPhase.CLOSING_CALL, AuctionPhase.CLOSED, AuctionPhase.VOLATILITY_CALL
DAY = 24 * 60
# Nine to half past five in Berlin, Monday to Friday, with Friday the 17th of November 2023 a holiday.
CALENDAR = Calendar(
    symbol="EURUSD",
    sessions=tuple(Session(opens=day * DAY + 540, closes=day * DAY + 1_050) for day in range(5)),
    timezone="Europe/Berlin",
    holidays=frozenset({date(2023, 11, 17)}),
    opening_call_minutes=10,
    closing_call_minutes=5,
)


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> int:
    """UTC microseconds of a time in Berlin in November 2023; the 13th is a Monday."""
    local = datetime(2023, 11, day, hour, minute, second, tzinfo=UTC) - timedelta(hours=1)
    return int(local.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("now", "phase", "since", "ends"),
    [
        (at(15, 8, 59, 59), CLOSED, at(14, 17, 30), None),
        (at(15, 9), OPENING, at(15, 9), at(15, 9, 10)),
        (at(15, 9, 9, 59), OPENING, at(15, 9), at(15, 9, 10)),
        (at(15, 9, 10), CONTINUOUS, at(15, 9, 10), None),
        (at(15, 17, 25), CLOSING, at(15, 17, 25), at(15, 17, 30)),
        (at(15, 17, 30), CLOSED, at(15, 17, 30), None),
        (at(17, 12), CLOSED, at(17, 0), None),
        (at(19, 12), CLOSED, at(18, 0), None),
        (at(20, 8), CLOSED, at(18, 0), None),
        (at(20, 12), CONTINUOUS, at(20, 9, 10), None),
        (at(13, 3), CLOSED, at(10, 17, 30), None),
    ],
)
def test_the_calendar_says_the_phase_of_each_minute(
    now: int, phase: AuctionPhase, since: int, ends: int | None
) -> None:
    plan = planned(calendar=CALENDAR, now_us=now)
    assert (plan.phase, plan.since_us, plan.ends_at_us) == (phase, since, ends)


@given(st.integers(min_value=at(6, 0), max_value=at(28, 0)))
def test_a_plan_is_no_younger_than_now_and_open_exactly_in_session(now_us: int) -> None:
    plan = planned(calendar=CALENDAR, now_us=now_us)
    assert plan.since_us <= now_us and (plan.ends_at_us is None or plan.ends_at_us > now_us)
    assert (plan.phase is not CLOSED) == CALENDAR.is_open(at_us=now_us)


@pytest.mark.parametrize("calls", [(-1, 0), (0, -1), (300, 210), (600, 0)])
def test_calls_that_do_not_fit_a_session_are_refused(calls: tuple[int, int]) -> None:
    sessions = (Session(opens=540, closes=1_050),)
    opening, closing = calls
    made = Calendar(symbol="X", sessions=sessions, opening_call_minutes=opening, closing_call_minutes=closing)
    assert "shortest session's 510" in (calendar_fault(calendar=made) or "")


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.now_us = at(15, 12)
    made.quotes()
    assert [type(event) for event in made.do(cmd.ConfigureCalendar(calendar=CALENDAR))] == [ev.CalendarConfigured]
    return made


def go(floor: Floor, now_us: int) -> AuctionPhase:
    floor.now_us = now_us
    floor.quotes()
    floor.act()
    assert floor.act() == [], "once is enough"
    return phase_of(state=floor.desk.state, symbol="EURUSD")


def test_a_session_closes_and_opens_with_an_auction(floor: Floor) -> None:
    assert go(floor, at(15, 17)) is CONTINUOUS
    assert go(floor, at(15, 17, 25)) is CLOSING
    floor.place("b1", Side.BUY, "2", limit_price="1.10020")
    floor.place("b2", Side.SELL, "2", limit_price="1.10000")
    floor.now_us = at(15, 17, 30)
    floor.quotes()
    events = floor.act()
    assert len(only(events, ev.AuctionUncrossed)) == 1
    assert {fill.quantity for fill in only(events, ev.OrderFilled)} == {D(2)}
    assert [go(floor, when) for when in (at(15, 18), at(16, 9), at(16, 9, 10))] == [CLOSED, OPENING, CONTINUOUS]


def test_an_engine_that_slept_through_a_call_takes_up_where_the_day_is(floor: Floor) -> None:
    assert go(floor, at(15, 18)) is CLOSED
    assert go(floor, at(16, 15)) is CONTINUOUS
    assert go(floor, at(17, 15)) is CLOSED, "a holiday"


def ask(floor: Floor, phase: AuctionPhase) -> None:
    floor.do(cmd.ChangePhase(symbol="EURUSD", phase=phase, reason="news", by="ann"))


def test_what_a_person_changed_stays_until_the_calendars_next_moment(floor: Floor) -> None:
    ask(floor, CLOSED)
    assert go(floor, at(15, 15)) is CLOSED
    assert go(floor, at(15, 17, 26)) is CLOSED, "there is nothing to call"
    assert go(floor, at(16, 9)) is OPENING
    ask(floor, CONTINUOUS)
    assert go(floor, at(16, 9, 5)) is CONTINUOUS
    ask(floor, VOLATILITY)
    assert go(floor, at(16, 10)) is VOLATILITY, "an interruption ends by itself"
    assert go(floor, at(16, 17, 25)) is CLOSING


def test_a_calendar_without_calls_opens_what_they_closed(floor: Floor) -> None:
    assert go(floor, at(15, 18)) is CLOSED
    plain = Calendar(symbol="EURUSD", sessions=CALENDAR.sessions, timezone=CALENDAR.timezone)
    floor.do(cmd.ConfigureCalendar(calendar=plain))
    assert phase_of(state=floor.desk.state, symbol="EURUSD") is CONTINUOUS
    assert go(floor, at(16, 9)) is CONTINUOUS


def test_the_phase_outlives_a_desk_that_is_taken_up_again(floor: Floor) -> None:
    go(floor, at(15, 18))
    again = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=10))
    assert cmd.ActOnTime() not in again.due(now_us=at(15, 19))
    assert cmd.ActOnTime() in again.due(now_us=at(16, 9))
