"""Rollover: the trading day ends at 17:00 New York, whatever the clocks of anybody else do.

A business date is the day whose 17:00 ends it; what happens at or after 17:00 belongs to the next. Every function works
from an instant (UTC microseconds) or a date that is handed in.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
ROLLOVER_HOUR = 17
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


def business_date(*, at_us: int) -> date:
    """Return the business date that the instant belongs to."""
    return _date_of_hour(at_us // HOUR_US)


@lru_cache(maxsize=4_096)
def rollover_at_us(*, business_date: date) -> int:
    """Return the instant that ends the business date."""
    local = datetime(business_date.year, business_date.month, business_date.day, ROLLOVER_HOUR, tzinfo=NEW_YORK)
    return (local - EPOCH) // timedelta(microseconds=1)


def next_rollover_at_us(*, at_us: int) -> int:
    """Return the first rollover after the instant; one at a rollover itself belongs to the next."""
    return rollover_at_us(business_date=business_date(at_us=at_us))


def day_number(*, at_us: int) -> int:
    """Return the business date of the instant as a count of days: one that is larger is later."""
    return _date_of_hour(at_us // HOUR_US).toordinal()


def month_of(*, at_us: int) -> int:
    """Return the calendar month (UTC) as a count, 12 a year."""
    return _month_of_day(at_us // DAY_US)


def is_counted(*, place_at_us: int, at_us: int) -> bool:
    """Return whether a fill counts for the month of `at_us`: not one dealt anew in the place of an earlier month's."""
    return not place_at_us or month_of(at_us=place_at_us) == month_of(at_us=at_us)


@lru_cache(maxsize=4_096)
def _date_of_hour(hour: int) -> date:
    """New York is whole hours away from UTC, so all of an hour belongs to one business date."""
    local = (EPOCH + timedelta(hours=hour)).astimezone(NEW_YORK)
    return local.date() + ONE_DAY if local.hour >= ROLLOVER_HOUR else local.date()


@lru_cache(maxsize=4_096)
def _month_of_day(day: int) -> int:
    moment = EPOCH + timedelta(days=day)
    return moment.year * 12 + moment.month
