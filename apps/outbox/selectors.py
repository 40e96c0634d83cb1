from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import QuerySet

from apps.outbox.models import OutboxCommand
from piggy.messaging import codec


class Told(NamedTuple):
    """One change of a setting as the engine was told it: (field, before, after) of what differs from the last."""

    at: datetime
    by: str
    reason: str
    changes: list[tuple[str, Any, Any]]


def waiting_commands(*, told_before: datetime) -> QuerySet[OutboxCommand]:
    """Return commands whose event is not known to be in the log, oldest first, leaving out those just written."""
    return OutboxCommand.objects.filter(heard_at__isnull=True, superseded=False, created_at__lt=told_before).order_by(
        "id"
    )


def commands_in_log(*, command_ids: Iterable[UUID]) -> set[UUID]:
    """Return those of `command_ids` that the engine has recorded in the tenant's event log."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select command_id from event_log where command_id = any(%s) and position = 0", [list(command_ids)]
        )
        return {row[0] for row in cursor.fetchall()}


def setting_history(*, reference: str) -> list[Told]:
    """Return every change of a setting, the latest first; re-tellings, for which nobody gave a reason, are left out."""
    found: list[Told] = []
    before: dict[str, Any] = {}
    for row in OutboxCommand.objects.filter(reference=reference).order_by("id"):
        command = codec.decode_envelope(bytes(row.payload)).command
        after = dict(flat(value=msgspec.to_builtins(command, str_keys=True, order="deterministic")))
        changes = [(name, before.get(name), after.get(name)) for name in {**before, **after}]
        changed = [each for each in changes if each[1] != each[2] and not each[0].endswith("version")]
        if changed or row.reason:
            found.insert(0, Told(row.created_at, row.principal, row.reason, changed))
        before = after
    return found


def flat(*, value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path, with dots, and the value of everything in a structure; a list of words is one value."""
    is_words = isinstance(value, list | tuple) and not any(isinstance(each, Mapping | list) for each in value)
    if is_words or not isinstance(value, Mapping | list | tuple):
        yield path, ", ".join(map(str, value)) if is_words else value
        return
    for name, part in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from flat(value=part, path=f"{path}.{name}" if path else str(name))
