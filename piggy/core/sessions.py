"""Sessions: the calls that a symbol's calendar begins and ends its sessions with, as phases of its day.

The calendar acts at its own moments and leaves alone what somebody, or the market, changed after the last of them.
Phases change on whole minutes; in the hour around a change of the clocks a moment may be taken an hour off.
"""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from piggy.core.auctions import AuctionPhase, SymbolPhase
from piggy.core.clearance import MINUTES_OF_WEEK, Calendar
from piggy.core.state import State

MINUTE_US = 60_000_000
MINUTES_OF_DAY = 24 * 60
ALWAYS = SymbolPhase(phase=AuctionPhase.CONTINUOUS)


class Planned(msgspec.Struct, frozen=True):
    """The phase that a calendar has for a symbol now, since when, and until when where it is a call."""

    symbol: str
    phase: AuctionPhase
    since_us: int
    ends_at_us: int | None = None


def phases_due(*, state: State, now_us: int) -> list[Planned]:
    """Return what calendars change now, by symbol."""
    plans = (planned(calendar=each, now_us=now_us) for each in state.calendars.values() if each.has_calls)
    due = [plan for plan in plans if _is_due(plan, state.phases.get(plan.symbol, ALWAYS))]
    return sorted(due, key=lambda plan: plan.symbol)


def planned(*, calendar: Calendar, now_us: int) -> Planned:
    """Return the phase that the calendar has now."""
    day, minute = calendar.local(at_us=now_us)
    begun_us = now_us - now_us % MINUTE_US

    def at(phase: AuctionPhase, since: int, until: int | None = None) -> Planned:
        since = max(since, _after_holidays(calendar, day, minute))
        ends_at_us = None if until is None else begun_us + (until - minute) * MINUTE_US
        return Planned(calendar.symbol, phase, begun_us - (minute - since) * MINUTE_US, ends_at_us)

    if day in calendar.holidays:
        return at(AuctionPhase.CLOSED, minute - minute % MINUTES_OF_DAY)
    session = next((each for each in calendar.sessions if each.opens <= minute < each.closes), None)
    if session is None:
        ends = [each.closes - (MINUTES_OF_WEEK if each.closes > minute else 0) for each in calendar.sessions]
        return at(AuctionPhase.CLOSED, max(ends, default=minute - MINUTES_OF_WEEK))
    opened = session.opens + calendar.opening_call_minutes
    closing = session.closes - calendar.closing_call_minutes
    if minute < opened:
        return at(AuctionPhase.OPENING_CALL, session.opens, opened)
    if minute >= closing:
        return at(AuctionPhase.CLOSING_CALL, closing, session.closes)
    return at(AuctionPhase.CONTINUOUS, opened)


def _is_due(plan: Planned, now: SymbolPhase) -> bool:
    if now.phase is plan.phase or now.since_us >= plan.since_us:
        return False
    if plan.phase is AuctionPhase.CLOSING_CALL:
        # What somebody closed before has nothing to call.
        return now.phase is not AuctionPhase.CLOSED
    return not (plan.phase is AuctionPhase.CONTINUOUS and now.phase is AuctionPhase.VOLATILITY_CALL)


def _after_holidays(calendar: Calendar, day: date, minute: int) -> int:
    """Return the local minute at which the last holiday of the week before today ended."""
    midnight = minute - minute % MINUTES_OF_DAY
    past = (back for back in range(7) if day - timedelta(days=back + 1) in calendar.holidays)
    return midnight - next(past, 7) * MINUTES_OF_DAY
