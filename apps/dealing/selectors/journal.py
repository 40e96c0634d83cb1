"""What was done at the desk, what ends by itself, and all that is known of one order."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import Q

from apps.dealing.models import DeskAction, TimedChange
from apps.trading import selectors as trading

ACTIONS_MAX = 200
CHANGES_MAX = 30
OUTCOMES = "select command_id, type from event_log where command_id = any(%s) and position = 0"
REFUSED = ("CommandRefused", "OrderDenied")


def actions_done(*, subject: str = "") -> list[dict[str, Any]]:
    """Return the latest actions, newest first, each with what the log says became of it."""
    chosen = DeskAction.objects.filter(subject=subject) if subject else DeskAction.objects.all()
    rows = list(chosen.order_by("-id")[:ACTIONS_MAX])
    with connection.cursor() as cursor:
        cursor.execute(OUTCOMES, [[row.command_id for row in rows if row.command_id]])
        heard = dict(cursor.fetchall())
    return [
        {
            "key": str(row.pk),
            "at": _us(row.at),
            "by": row.by,
            "kind": row.kind,
            "subject": row.subject,
            "reason": row.reason,
            "outcome": _outcome(row, heard),
            "body": row.body,
        }
        for row in rows
    ]


def changes() -> list[dict[str, Any]]:
    """Return changes for a while: those asked and live first, then the latest that are over."""
    is_open = Q(state__in=[TimedChange.State.ASKED, TimedChange.State.LIVE])
    rows = [
        *TimedChange.objects.filter(is_open).order_by("id"),
        *TimedChange.objects.exclude(is_open).order_by("-id")[:CHANGES_MAX],
    ]
    return [
        {
            "key": str(row.pk),
            "id": row.pk,
            "kind": row.kind,
            "group": row.group,
            "state": row.state,
            "before": row.before,
            "after": row.after,
            "asked_by": row.asked_by,
            "approved_by": row.approved_by,
            "minutes": row.minutes,
            "reverts_at": _us(row.reverts_at) if row.reverts_at else None,
            "ended_by": row.ended_by,
            "note": row.note,
        }
        for row in rows
    ]


def order_file(*, order_id: str) -> dict[str, Any] | None:
    """Return all that is known of an order: terms, every check, every venue weighed, legs, fills, dealers' actions."""
    found = trading.order_file(order_id=order_id)
    return None if found is None else found | {"actions": actions_done(subject=f"order:{order_id}")}


def _outcome(row: DeskAction, heard: dict[Any, str]) -> str:
    if row.command_id is None:
        return "done"
    return "unheard" if row.command_id not in heard else "refused" if heard[row.command_id] in REFUSED else "done"


def _us(at: Any) -> int:
    return int(at.timestamp() * 1_000) * 1_000
