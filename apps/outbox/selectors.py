from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from apps.outbox.models import OutboxCommand


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
