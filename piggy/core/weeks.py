"""Weeks: times of the week by the wall clock of a zone, whatever that clock does in spring and autumn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

DAY_MINUTES = 1_440
WEEKDAYS = 7
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WeekWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A time of the week in `zone`: from `start_minute` of each weekday (0 Monday) up to `end_minute`.

    An end at or before the start is on the following day.
    """

    weekdays: tuple[int, ...]
    start_minute: int
    end_minute: int
    zone: str = "UTC"

    def covers(self, *, at_us: int) -> bool:
        """Return whether the window is open at `at_us`, by the wall clock of its zone."""
        local = (EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(self.zone))
        minute, weekday = local.hour * 60 + local.minute, local.weekday()
        if self.start_minute < self.end_minute:
            return weekday in self.weekdays and self.start_minute <= minute < self.end_minute
        if minute >= self.start_minute:
            return weekday in self.weekdays
        return (weekday - 1) % 7 in self.weekdays and minute < self.end_minute


def window_fault(*, window: WeekWindow) -> str:
    """Return what is wrong with a window, '' when nothing is."""
    if not all(0 <= weekday < WEEKDAYS for weekday in window.weekdays):
        return "a weekday is from 0, a Monday, to 6"
    if not all(0 <= minute <= DAY_MINUTES for minute in (window.start_minute, window.end_minute)):
        return "a window starts and ends within one day"
    try:
        ZoneInfo(window.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"no time zone is called {window.zone}"
    return ""
