"""Time between the two worlds: integer UTC microseconds in events, aware datetimes in tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def moment(at_us: int) -> datetime:
    """Return the aware UTC datetime of integer microseconds, exactly."""
    return EPOCH + timedelta(microseconds=at_us)


def microseconds(at: datetime) -> int:
    """Return the integer UTC microseconds of an aware datetime, exactly."""
    return (at - EPOCH) // MICROSECOND
