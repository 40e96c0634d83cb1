"""Sequence numbers of a session, kept where neither a crash nor a lost machine loses them.

The number expected next may be kept late: what came since is sent again and counts once. The number used next may never
be kept late, for an LP takes a number used twice as a fault; so some are set aside before they are used. A session that
ended without saying so begins after those: the LP asks for the hole and is answered with a gap fill.

Many LPs begin anew each day or week, at an hour that was agreed: the session of before ends and one begins at 1.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

SET_ASIDE = 200
# "17:00 America/New_York" is every day, "Sun 17:00 America/New_York" every week.
_AGREED = re.compile(r"(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([01]\d|2[0-3]):([0-5]\d) ([A-Za-z0-9_+/-]+)", re.ASCII)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ONE_DAY, _WEEK_DAYS = timedelta(days=1), 7


class Next(NamedTuple):
    """The sequence numbers expected next from the LP and used next by us."""

    incoming: int = 1
    outgoing: int = 1


class Numbers(Protocol):
    """Where a session's numbers are kept. Both return only once the answer is durable."""

    def begin(self) -> Next: ...

    def set_aside(self, *, below: int) -> None:
        """No later session may begin to send below this number."""


class UnableToReadHour(Exception):
    """The hour at which numbers begin anew is not written as it should be; the message may be shown to staff."""


def begun_by(*, agreed: str, now: datetime) -> datetime:
    """Return since when the numbers of now count where they begin anew at the hour that was `agreed`, in UTC.

    The hour is its own place's, through the changes of its clock. Raises UnableToReadHour.
    """
    found = _AGREED.fullmatch(agreed)
    try:
        zone = ZoneInfo(found[4] if found else "")
    except (KeyError, ValueError, OSError) as error:
        raise UnableToReadHour("an hour and where, as 17:00 America/New_York or Sun 17:00 America/New_York") from error
    assert found is not None, "no zone is without a name"
    weekday, at = found[1], time(int(found[2]), int(found[3]))
    today = now.astimezone(zone).date()
    days = [today - _ONE_DAY * number for number in range(_WEEK_DAYS + 1)]
    hours = [
        datetime.combine(day, at, tzinfo=zone).astimezone(UTC)
        for day in days
        if not weekday or day.weekday() == _WEEKDAYS.index(weekday)
    ]
    return max(each for each in hours if each <= now)


def of_file_store(*, home: Path) -> Next:
    """Return the numbers that an earlier version left in QuickFIX's own store, else the first ones."""
    for path in sorted((home / "store").glob("*.seqnums")):
        outgoing, _, incoming = path.read_text().partition(":")
        if outgoing.strip().isdigit() and incoming.strip().isdigit():
            return Next(int(incoming), int(outgoing))
    return Next()
