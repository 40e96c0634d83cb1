"""Reading the log, checked row by row, and rebuilding a desk from it: one path for start, crash and replay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg import sql

from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.engine.context import TenantContext
from piggy.engine.journal import Row, Tip
from piggy.messaging import codec
from piggy.messaging.chain import EVENT_VERSION, event_hash

READ_ROWS = 5_000
SELECT: LiteralString = """
SELECT seq, command_id::text, position, type, version, principal, request_hash,
       (extract(epoch from occurred_at) * 1000000)::bigint, (extract(epoch from recorded_at) * 1000000)::bigint,
       recorded_mono_ns, payload, prev_hash, hash
  FROM {schema}.event_log WHERE seq > %(after)s ORDER BY seq
"""


class UnableToRead(Exception):
    """The log has a gap, a changed row or an event of a newer form; `seq` is the first bad one."""

    def __init__(self, message: str, *, seq: int) -> None:
        super().__init__(message)
        self.seq = seq


async def recover(
    *,
    connection: psycopg.AsyncConnection[Any],
    context_key: bytes,
    tenant: str,
    progress: Callable[[int], None] | None = None,
) -> tuple[Desk, Tip]:
    """Return the tenant's desk as its log makes it, and where the log ends; `progress` hears the seq now and then.

    Raises UnableToRead, or psycopg.Error where PostgreSQL is away.
    """
    desk, tip = Desk(tenant=tenant), Tip()
    async for row in read(connection=connection, context_key=context_key, tenant=tenant, tip=tip):
        desk.apply(recorded=row.recorded)
        if progress is not None and row.recorded.seq % READ_ROWS == 0:
            progress(row.recorded.seq)
    return desk, tip


async def read(
    *, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str, tip: Tip
) -> AsyncIterator[Row]:
    """Yield the log after `tip`, moving it, in order and with every hash checked. Raises UnableToRead."""
    query = sql.SQL(SELECT).format(schema=sql.Identifier(tenant))
    context = TenantContext(connection=connection, key=context_key)
    async with connection.transaction():
        await context.enter(tenant=tenant)
        async with connection.cursor(name="log", binary=True) as cursor:
            cursor.itersize = READ_ROWS
            await cursor.execute(query, {"after": tip.seq})
            async for columns in cursor:
                row = _checked(tenant, tip, columns)
                tip.seq, tip.hash = row.recorded.seq, row.hash
                yield row


def _checked(tenant: str, tip: Tip, columns: tuple[Any, ...]) -> Row:
    seq, command_id, position, type_name, version, principal, request_hash, *times, payload, prev_hash, digest = columns
    occurred_at_us, recorded_at_us, recorded_mono_ns = times
    if seq != tip.seq + 1:
        raise UnableToRead(f"{tenant}: event {tip.seq + 1} is missing, the log goes on at {seq}.", seq=tip.seq + 1)
    expected = event_hash(
        prev_hash=tip.hash,
        seq=seq,
        command_id=command_id,
        position=position,
        type_name=type_name,
        version=version,
        principal=principal,
        request_hash=request_hash,
        occurred_at_us=occurred_at_us,
        recorded_at_us=recorded_at_us,
        recorded_mono_ns=recorded_mono_ns,
        payload=payload,
    )
    if digest != expected or prev_hash != tip.hash:
        raise UnableToRead(f"{tenant}: event {seq} is not what was written.", seq=seq)
    if version > EVENT_VERSION:
        raise UnableToRead(f"{tenant}: event {seq} has version {version}, newer than this engine.", seq=seq)
    try:
        event = codec.decode_event(payload)
    except msgspec.DecodeError as error:
        raise UnableToRead(f"{tenant}: event {seq} cannot be decoded: {error}", seq=seq) from error
    recorded = Recorded(
        seq=seq,
        command_id=command_id,
        position=position,
        principal=principal,
        request_hash=request_hash,
        occurred_at_us=occurred_at_us,
        recorded_at_us=recorded_at_us,
        recorded_mono_ns=recorded_mono_ns,
        event=event,
    )
    return Row(recorded, type_name, version, payload, prev_hash, digest)
