"""Telling the engine: the command is committed with the row it is about, so neither is ever without the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.db import transaction

from apps.outbox import selectors
from apps.outbox.models import OutboxCommand
from apps.tenants.selectors import database_identity
from piggy.core.commands import AnyCommand, Envelope
from piggy.messaging import codec
from piggy.messaging.client import Client, UnableToTell, command_id_of

SWEEP_ROWS_MAX = 1_000
RETELL_AFTER_S = 5
RETELL_DOUBLINGS_MAX = 10
ANSWER_WAIT_S = 1.0
# Why a record is there that no draft made.
SET_UP = "set-up"

log = structlog.get_logger(__name__)


def tell_engine(
    *, tenant: str, command: AnyCommand, reference: str, version: str, by: str, command_id: str = "", reason: str = ""
) -> OutboxCommand:
    """Write `command` to the outbox in the caller's transaction and tell the engine when that commits.

    The command id, unless given, follows from (tenant, reference, version): telling again, however often, has one
    effect.
    """
    assert transaction.get_connection().in_atomic_block, "the command must commit with the row that it is about"
    command_id = command_id or command_id_of("outbox", tenant, reference, version)
    OutboxCommand.objects.filter(reference=reference, heard_at__isnull=True).update(superseded=True)
    row = OutboxCommand.objects.create(
        command_id=command_id,
        reference=reference,
        kind=type(command).__name__,
        principal=by,
        reason=reason,
        payload=codec.encode(Envelope(command_id=command_id, command=command, principal=by)),
    )
    transaction.on_commit(partial(_tell_soon, tenant=tenant, rows=[row]))
    return row


class Setting(Protocol):
    """A row that the engine holds a copy of: `version` grows with every change, `reference` names it in the outbox."""

    version: Any

    @property
    def reference(self) -> str: ...

    def to_command(self) -> AnyCommand: ...


def save_setting(*, tenant: str, row: Any, by: str, reason: str = "") -> None:
    """Write a new or changed row (a model that is a Setting) and tell the engine, in one transaction.

    Raises django's ValidationError, whose messages name the field and its limit.
    """
    with transaction.atomic():
        current = type(row)._default_manager.select_for_update().filter(pk=row.pk).first()
        row.version = (current.version if current else 0) + 1
        row.full_clean()
        row.save()
        tell_setting(tenant=tenant, row=row, by=by, reason=reason)


def tell_setting(*, tenant: str, row: Setting, by: str, mark: str = "", reason: str = "") -> None:
    """Tell the engine a row as it stands; `mark` makes this re-telling distinct from earlier ones."""
    version, command = f"{row.version}{mark}", row.to_command()
    tell_engine(tenant=tenant, command=command, reference=row.reference, version=version, by=by, reason=reason)


def retell_settings(*, tenant: str, rows: Sequence[Setting], by: str, mark: str) -> int:
    """Tell the engine these rows anew, in their order; return how many."""
    with transaction.atomic():
        for row in rows:
            tell_setting(tenant=tenant, row=row, by=by, mark=mark)
    return len(rows)


def sweep(*, tenant: str, now: datetime) -> int:
    """Tell again what the engine has not recorded, note what it has; return how many were told again.

    An answer is given after commit, also where nothing changed and so nothing was recorded: answered is heard.
    """
    rows = list(selectors.waiting_commands(told_before=now - timedelta(seconds=RETELL_AFTER_S))[:SWEEP_ROWS_MAX])
    recorded = selectors.commands_in_log(command_ids=[row.command_id for row in rows])
    OutboxCommand.objects.filter(command_id__in=recorded).update(heard_at=now)
    missing = [row for row in rows if row.command_id not in recorded and _is_due(row, now)]
    if missing:
        log.warning("outbox_told_again", tenant=tenant, commands=len(missing), oldest=missing[0].reference)
        return _ask_in_turn(tenant=tenant, rows=missing, now=now)
    return 0


def _ask_in_turn(*, tenant: str, rows: Sequence[OutboxCommand], now: datetime) -> int:
    """Tell the rows again one by one; the first without an answer ends it, for the rest would wait behind it."""
    told = 0
    for row in rows:
        # Held until it is on the stream: one that a newer row superseded since would be the last word there.
        with transaction.atomic():
            if not OutboxCommand.objects.select_for_update().filter(pk=row.pk, superseded=False).exists():
                continue
            envelope = codec.decode_envelope(bytes(row.payload))
            answer = _client().ask(tenant=tenant, envelope=envelope, wait_s=ANSWER_WAIT_S)
            row.told_count += 1
            row.heard_at = now if answer is not None else None
            row.save(update_fields=["told_count", "heard_at"])
        told += 1
        if answer is None:
            break
    return told


def _is_due(row: OutboxCommand, now: datetime) -> bool:
    # An engine that is away for long is not buried under copies of the same command.
    wait_s = RETELL_AFTER_S * 2 ** min(row.told_count, RETELL_DOUBLINGS_MAX)
    return now - row.created_at >= timedelta(seconds=wait_s)


def _tell_soon(*, tenant: str, rows: Sequence[OutboxCommand]) -> None:
    try:
        _tell(tenant=tenant, rows=rows)
    except UnableToTell as error:
        # The row is committed; the sweep tells it when Redis is back.
        log.warning("outbox_waits_for_redis", tenant=tenant, error=str(error))


def _tell(*, tenant: str, rows: Sequence[OutboxCommand]) -> None:
    for row in rows:
        _client().tell(tenant=tenant, envelope=codec.decode_envelope(bytes(row.payload)))


@cache
def _client() -> Client:
    return Client(redis_url=settings.REDIS_URL, identity=database_identity)
