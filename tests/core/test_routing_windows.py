"""Routing rules that hold at times of the week: over midnight, and by a zone's own clock in summer and winter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core.accounts import BookMode
from piggy.core.routing_lint import lint
from piggy.core.routing_rules import WEEK_MINUTES, Conditions, RoutingPolicy, RoutingRule, Situation, policy_fault
from piggy.core.weeks import DAY_MINUTES, WeekWindow

NEW_YORK = "America/New_York"
WEEKDAYS = (0, 1, 2, 3, 4)
NEWS = WeekWindow(weekdays=WEEKDAYS, start_minute=8 * 60 + 25, end_minute=8 * 60 + 35, zone=NEW_YORK)
NIGHT = WeekWindow(weekdays=(4,), start_minute=22 * 60, end_minute=2 * 60)
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def holds(conditions: Conditions, at: datetime) -> bool:
    at_us = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return conditions.hold(
        situation=Situation(account_id="a", owner_id="a", group="g", symbol="EURUSD", lots=Decimal(1), at_us=at_us)
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "is_held"),
    [
        ("2026-03-06 13:25", True),
        ("2026-03-06 12:30", False),
        ("2026-03-09 12:24:59.999999", False),
        ("2026-03-09 12:25", True),
        ("2026-03-09 12:34:59.999999", True),
        ("2026-03-09 12:35", False),
        ("2026-03-09 13:30", False),
        ("2026-10-30 12:30", True),
        ("2026-11-02 12:30", False),
        ("2026-11-02 13:30", True),
        ("2026-11-01 13:30", False),
    ],
)
def test_a_rule_keeps_to_its_zones_clock_over_both_changes(at: str, is_held: bool) -> None:
    """New York's half past eight is 13:30 UTC in winter and 12:30 in summer, from 8 March to 1 November 2026."""
    assert holds(Conditions(windows=(NEWS,)), utc(at)) is is_held


@pytest.mark.parametrize(
    ("at", "is_held"),
    [
        ("2026-11-20 21:59:59", False),
        ("2026-11-20 22:00", True),
        ("2026-11-21 01:59:59", True),
        ("2026-11-21 02:00", False),
        ("2026-11-21 22:00", False),
        ("2026-11-20 01:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_begins_on(at: str, is_held: bool) -> None:
    assert holds(Conditions(windows=(NIGHT,)), utc(at)) is is_held
    both = Conditions(windows=(NEWS, NIGHT))
    assert holds(both, utc(at)) is is_held and holds(both, utc("2026-11-20 13:30")), "any one of them"
    friday = Conditions(windows=(NIGHT,), from_minute=4 * DAY_MINUTES, to_minute=5 * DAY_MINUTES)
    assert holds(friday, utc(at)) is (is_held and at < "2026-11-21"), "and the minutes of the week as well"


@given(
    st.sets(st.integers(0, 6)), st.integers(0, 1_440), st.integers(0, 1_440),
    st.sampled_from(["UTC", NEW_YORK, "Europe/London", "Asia/Kolkata"]), st.integers(0, 366 * 1_440),
)  # fmt: skip
def test_a_window_is_open_as_the_wall_clock_says(days: set[int], start: int, end: int, zone: str, minute: int) -> None:
    at = MONDAY + timedelta(minutes=minute)
    local = at.astimezone(ZoneInfo(zone))
    now, opened = local.weekday() * DAY_MINUTES + local.hour * 60 + local.minute, set[int]()
    for day in days:
        last = end if start < end else end + DAY_MINUTES
        opened |= {(day * DAY_MINUTES + each) % WEEK_MINUTES for each in range(start, last)}
    window = WeekWindow(weekdays=tuple(days), start_minute=start, end_minute=end, zone=zone)
    conditions = Conditions(windows=(window,))
    assert holds(conditions, at) is (now in opened)
    if zone == "UTC":
        (finding,) = lint(policy=policy(Conditions(windows=(window,)), Conditions())) or (None,)
        assert (finding is not None and finding.fault.value == "unreachable") is (not opened)


def policy(*conditions: Conditions) -> RoutingPolicy:
    """Return rules 0, 1, … to A and B in turn, asked in this order."""
    modes = (BookMode.A, BookMode.B)
    rules = [
        RoutingRule(name=str(at), priority=at, book_mode=modes[at % 2], conditions=each)
        for at, each in enumerate(conditions)
    ]
    return RoutingPolicy(version=1, rules=tuple(rules))


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (WeekWindow(weekdays=(7,), start_minute=0, end_minute=60), "a weekday is from 0, a Monday, to 6"),
        (WeekWindow(weekdays=(0,), start_minute=0, end_minute=1_441), "a window starts and ends within one day"),
        (
            WeekWindow(weekdays=(0,), start_minute=0, end_minute=60, zone="Nowhere/Land"),
            "no time zone is called Nowhere/Land",
        ),
    ],
)
def test_a_window_that_is_none_is_refused(window: WeekWindow, text: str) -> None:
    assert policy_fault(policy=policy(Conditions(windows=(NEWS, window)))) == ("windows", f"rule 0: {text}")
    assert policy_fault(policy=policy(Conditions(windows=(NEWS, NIGHT)))) is None


@pytest.mark.parametrize(
    ("first", "second", "faults"),
    [
        (Conditions(windows=(NEWS,)), Conditions(windows=(NEWS,), lots_min=Decimal(5)), ["shadowed"]),
        (
            Conditions(windows=(NEWS,), lots_max=Decimal(9)),
            Conditions(windows=(NEWS,), lots_min=Decimal(5)),
            ["overlapping"],
        ),
        (Conditions(windows=(NEWS,), lots_min=Decimal(5)), Conditions(windows=(NIGHT,)), ["overlapping"]),
        (Conditions(windows=(NEWS,)), Conditions(from_minute=0, to_minute=9), ["overlapping"]),
        (Conditions(windows=(NIGHT,)), Conditions(from_minute=0, to_minute=7_079), []),
        (Conditions(windows=(NIGHT,)), Conditions(from_minute=7_080, to_minute=7_320), ["shadowed"]),
        (Conditions(windows=(NIGHT,)), Conditions(from_minute=7_080, to_minute=7_321), []),
        (Conditions(windows=(WeekWindow(weekdays=(), start_minute=0, end_minute=60),)), Conditions(), ["unreachable"]),
        (
            Conditions(windows=(WeekWindow(weekdays=(), start_minute=0, end_minute=60, zone=NEW_YORK),)),
            Conditions(),
            ["unreachable"],
        ),
    ],
)
def test_the_linter_reads_windows(first: Conditions, second: Conditions, faults: list[str]) -> None:
    """Of another zone's clock it takes for certain only that the same windows are open together."""
    assert [finding.fault.value for finding in lint(policy=policy(first, second))] == faults
