"""Clearance: who may trade what and when, as values: permissions, restricted lists, sessions, overrides."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

MINUTES_OF_WEEK = 7 * 24 * 60


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What compliance says of the account's owner; nothing is granted by default. `symbols` None permits all."""

    trading_enabled: bool = False
    kyc_passed: bool = False
    sanctions_clear: bool = False
    appropriateness_passed: bool = False
    jurisdiction_blocked: bool = True
    symbols: frozenset[str] | None = frozenset()

    @classmethod
    def granted(cls) -> Permissions:
        """Return everything granted: for a client whom the back office has cleared altogether."""
        return cls(
            trading_enabled=True,
            kyc_passed=True,
            sanctions_clear=True,
            appropriateness_passed=True,
            jurisdiction_blocked=False,
            symbols=None,
        )

    @property
    def cleared(self) -> bool:
        """Whether the owner may trade at all (P-02)."""
        return self.trading_enabled and self.kyc_passed and self.sanctions_clear

    def permits(self, *, symbol: str) -> bool:
        """Return whether this product is for this client, where the client lives (P-03)."""
        listed = self.symbols is None or symbol in self.symbols
        return listed and self.appropriateness_passed and not self.jurisdiction_blocked


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """P-26: one order let through named controls by a second person for at most half an hour."""

    order_id: str
    codes: frozenset[str]
    reason: str
    requested_by: str
    authorised_by: str
    granted_at_us: int
    expires_at_us: int


class Locate(msgspec.Struct, frozen=True, kw_only=True):
    """P-23: lots that a lender holds ready for one account's short sale, until `until_us`."""

    reference: str
    lots: Decimal
    until_us: int


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Open from `opens` to `closes`, minutes since Monday 00:00 of the calendar's own time, the end excluded."""

    opens: int
    closes: int


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """When a symbol trades; on `holidays` (local dates) never. `timezone` is an IANA name.

    With calls, each session begins with an opening call of so many minutes and ends with a closing one.
    """

    symbol: str
    sessions: tuple[Session, ...]
    timezone: str = "UTC"
    holidays: frozenset[date] = frozenset()
    opening_call_minutes: int = 0
    closing_call_minutes: int = 0

    @property
    def has_calls(self) -> bool:
        """Do its sessions begin or end with a call?"""
        return self.opening_call_minutes > 0 or self.closing_call_minutes > 0

    def is_open(self, *, at_us: int) -> bool:
        """Return whether the symbol is in session."""
        day, minute = self.local(at_us=at_us)
        return day not in self.holidays and any(each.opens <= minute < each.closes for each in self.sessions)

    def local(self, *, at_us: int) -> tuple[date, int]:
        """Return the local date, and the minutes since Monday 00:00."""
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).astimezone(ZoneInfo(self.timezone))
        return local.date(), (local.weekday() * 24 + local.hour) * 60 + local.minute


def calendar_fault(*, calendar: Calendar) -> str | None:
    """Return what is wrong with a calendar, None for one that can be used."""
    try:
        ZoneInfo(calendar.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return f"timezone: no time zone is called {calendar.timezone}"
    if not all(0 <= session.opens < session.closes <= MINUTES_OF_WEEK for session in calendar.sessions):
        return "sessions: a session begins before it ends, within one week"
    calls = (calendar.opening_call_minutes, calendar.closing_call_minutes)
    shortest = min((session.closes - session.opens for session in calendar.sessions), default=MINUTES_OF_WEEK)
    if min(calls) < 0 or sum(calls) >= shortest:
        return f"opening_call_minutes: both calls are shorter than the shortest session's {shortest} minutes"
    return None
