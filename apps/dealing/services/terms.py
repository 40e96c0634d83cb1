"""Other terms for a while: routing, spread and limits of a group, put back by themselves when the time is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.accounts import selectors as accounts
from apps.accounts import services as groups
from apps.common.times import microseconds, moment
from apps.dealing.models import DeskAction, TimedChange
from apps.dealing.services.acting import Outcome, UnableToAct, Wish, perform
from apps.risk import selectors as risk
from apps.risk import services as limits
from piggy.core.accounts import BookMode
from piggy.core.rollover import next_rollover_at_us

ROUTING, SPREAD, LIMITS = "change-routing", "widen-spread", "change-limits"
# With a space, as nobody's login: who had its name would end limits in silence, and use up its keys.
CLOCK = "the clock"
REASON_MAX = 500

log = structlog.get_logger(__name__)


def change_routing(*, wish: Wish, group: str, book_mode: BookMode, a_book_percent: Decimal, minutes: int) -> Outcome:
    """Send a group's flow another way for some minutes. Raises UnableToAct."""
    after = {"book_mode": book_mode.value, "a_book_percent": str(a_book_percent)}
    return _for_a_while(wish=wish, kind=ROUTING, group=group, after=lambda _: after, minutes=minutes)


def widen_spread(*, wish: Wish, group: str, bid_points: int, ask_points: int, minutes: int) -> Outcome:
    """Add points to a group's markup on both sides for some minutes. Raises UnableToAct."""
    points = {"bid_markup_points": bid_points, "ask_markup_points": ask_points}

    def wider(known: Any) -> dict[str, Any]:
        return {field: getattr(known, field) + more for field, more in points.items()}

    return _for_a_while(wish=wish, kind=SPREAD, group=group, after=wider, minutes=minutes)


def change_limits(*, wish: Wish, group: str, changes: Mapping[str, str], minutes: int) -> Outcome:
    """Ask for other limits of a group for some minutes; another person lets them in (P-28). Raises UnableToAct."""
    if not changes or not set(changes) <= set(risk.CHANGEABLE):
        raise UnableToAct(f"Name limits among {', '.join(risk.CHANGEABLE)}.", code="LIMIT_UNKNOWN", field="changes")

    def ask(action: DeskAction) -> None:
        with _said():
            limits.check_change(group=group, changes=changes)
        _write(action=action, kind=LIMITS, group=group, after=dict(changes), minutes=minutes, wish=wish)

    return perform(wish=wish, subject=f"group:{group}", effect=ask)


def approve_change(*, wish: Wish, change_id: int, approves: bool) -> Outcome:
    """Let another's change of limits in, or refuse it, as its second person. Raises UnableToAct."""

    def decide(action: DeskAction) -> None:
        change = _locked(change_id, TimedChange.State.ASKED)
        if change.asked_by == wish.by:
            raise UnableToAct("A change of limits needs a second pair of eyes.", code="FOUR_EYES", field="change")
        change.approved_by = wish.by
        if approves:
            _begin(change=change, tenant=wish.tenant, by=wish.by, now=wish.now)
        else:
            change.state, change.ended_by, change.ended_at = TimedChange.State.REJECTED, wish.by, wish.now
        change.note = wish.reason
        change.save()

    return perform(wish=wish, subject=_subject(change_id), effect=decide)


def end_change(*, wish: Wish, change_id: int) -> Outcome:
    """Put back what a change changed before its time is over, or take a wish back. Raises UnableToAct."""

    def end(action: DeskAction) -> None:
        change = _locked(change_id, TimedChange.State.LIVE, TimedChange.State.ASKED)
        _end(change=change, tenant=wish.tenant, by=wish.by, now=wish.now)

    return perform(wish=wish, subject=_subject(change_id), effect=end)


def revert_due(*, tenant: str, now: datetime) -> int:
    """Put back every change whose time is over, each with an entry of its own; return how many.

    One that cannot be, as where somebody ends it at this moment, holds none of the others up.
    """
    due = TimedChange.objects.filter(state=TimedChange.State.LIVE, reverts_at__lte=now).values_list("pk", flat=True)
    done = 0
    for change_id in list(due):
        wish = Wish(
            tenant=tenant,
            by=CLOCK,
            kind="end-change",
            key=f"end:{change_id}",
            reason="its time is over",
            body={},
            now=now,
        )
        try:
            end_change(wish=wish, change_id=change_id)
        except UnableToAct as error:
            log.warning("change_not_put_back", tenant=tenant, change=change_id, code=error.code, error=str(error))
        else:
            done += 1
    return done


def _for_a_while(*, wish: Wish, kind: str, group: str, after: Callable[[Any], dict[str, Any]], minutes: int) -> Outcome:
    def begin(action: DeskAction) -> None:
        values = after(_group(group))
        change = _write(action=action, kind=kind, group=group, after=values, minutes=minutes, wish=wish)
        _begin(change=change, tenant=wish.tenant, by=wish.by, now=wish.now)
        change.save()

    return perform(wish=wish, subject=f"group:{group}", effect=begin)


def _write(
    *, action: DeskAction, kind: str, group: str, after: dict[str, Any], minutes: int, wish: Wish
) -> TimedChange:
    try:
        with transaction.atomic():
            return TimedChange.objects.create(
                action=action,
                kind=kind,
                group=group,
                after=after,
                minutes=minutes,
                state=TimedChange.State.ASKED,
                asked_by=wish.by,
            )
    except IntegrityError as error:
        text = f"A {kind.replace('-', ' ')} of {group} is asked or runs already; end it first."
        raise UnableToAct(text, code="CHANGE_RUNS", field="group") from error


def _begin(*, change: TimedChange, tenant: str, by: str, now: datetime) -> None:
    change.state, change.live_at = TimedChange.State.LIVE, now
    change.reverts_at = now + timedelta(minutes=change.minutes)
    if change.kind == LIMITS:
        # Limits of the day end with the trading day (P-28).
        change.reverts_at = min(change.reverts_at, moment(next_rollover_at_us(at_us=microseconds(now))))
    change.before = _apply(change=change, values=change.after, tenant=tenant, by=by)


def _end(*, change: TimedChange, tenant: str, by: str, now: datetime) -> None:
    """Put back the fields that are still as the change left them; what somebody changed since stays."""
    if change.state == TimedChange.State.LIVE and change.kind == LIMITS:
        # The engine went back by itself at `reverts_at`; before that it is told to.
        if by != CLOCK:
            limits.revert_limits(tenant=tenant, group=change.group, by=by, reason="ended early", mark=_mark(change))
    elif change.state == TimedChange.State.LIVE:
        now_is = _current(change)
        ours = {field: change.before[field] for field, value in change.after.items() if _same(now_is[field], value)}
        kept = sorted(set(change.after) - set(ours))
        if ours:
            _apply(change=change, values=ours, tenant=tenant, by=by)
        change.note = f"left as changed since: {', '.join(kept)}" if kept else change.note
    change.state, change.ended_by, change.ended_at = TimedChange.State.ENDED, by, now
    change.save()


def _apply(*, change: TimedChange, values: Mapping[str, Any], tenant: str, by: str) -> dict[str, Any]:
    with _said():
        if change.kind == LIMITS:
            assert change.reverts_at is not None, "it has just begun"
            before = limits.change_limits(
                tenant=tenant,
                group=change.group,
                changes=values,
                reason=change.action.reason,
                asked_by=change.asked_by,
                approved_by=by,
                reverts_at=change.reverts_at,
                mark=_mark(change),
            )
        else:
            reason = f"{change.kind}: {change.action.reason}"[:REASON_MAX]
            before = groups.change_group(tenant=tenant, name=change.group, changes=values, by=by, reason=reason)
    return {field: value if isinstance(value, int) else str(value) for field, value in before.items()}


@contextmanager
def _said() -> Iterator[None]:
    """Say to the dealer what a group could not be given. Raises UnableToAct."""
    try:
        yield
    except (limits.UnableToChangeLimits, groups.UnableToChangeGroup) as error:
        raise UnableToAct(str(error), code="TARGET_UNKNOWN", field="group") from error
    except ValidationError as error:
        field, texts = next(iter(error.message_dict.items()))
        raise UnableToAct(texts[0], code="VALUE_UNUSABLE", field=field) from error


def _current(change: TimedChange) -> dict[str, Any]:
    row = _group(change.group)
    return {field: getattr(row, field) for field in change.after}


def _group(name: str) -> Any:
    """Return a group, locked: what somebody else changes meanwhile is neither written over nor counted twice."""
    found = accounts.all_groups().select_for_update().filter(name=name).first()
    if found is None:
        raise UnableToAct(f"There is no group {name}.", code="TARGET_UNKNOWN", field="group")
    return found


def _mark(change: TimedChange) -> str:
    return f"change {change.pk}"


def _same(value: Any, text: Any) -> bool:
    return value == Decimal(str(text)) if isinstance(value, Decimal | int) else str(value) == str(text)


def _locked(change_id: int, *states: TimedChange.State) -> TimedChange:
    change = TimedChange.objects.select_for_update().filter(pk=change_id, state__in=states).first()
    if change is None:
        raise UnableToAct("There is no such change, or it is over.", code="CHANGE_UNKNOWN", field="change")
    return change


def _subject(change_id: int) -> str:
    group = TimedChange.objects.filter(pk=change_id).values_list("group", flat=True).first()
    return f"group:{group}" if group else f"change:{change_id}"
