"""The event log in PostgreSQL: appended in groups, one transaction a batch, fenced by the lease inside the insert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from piggy.core.events import AnyEvent, Recorded
from piggy.engine.context import TenantContext
from piggy.messaging import binary_arrays, codec
from piggy.messaging.chain import EVENT_VERSION, event_hash
from piggy.messaging.chain import Row as Row
from piggy.messaging.chain import Tip as Tip

# FOR SHARE holds the lease row until the commit: a take-over waits for it, or it inserts nothing.
INSERT: LiteralString = """
WITH lease AS MATERIALIZED (
  SELECT 1 FROM public.engine_lease WHERE shard = %(shard)s AND token = %(token)s FOR SHARE)
INSERT INTO {schema}.event_log (seq, command_id, position, type, version, principal, request_hash,
                                occurred_at, recorded_at, recorded_mono_ns, payload, prev_hash, hash)
SELECT unnest(%(seq)b), unnest(%(command_id)b), unnest(%(position)b), unnest(%(type)b), unnest(%(version)b),
       unnest(%(principal)b), unnest(%(request_hash)b), unnest(%(occurred_at)b), unnest(%(recorded_at)b),
       unnest(%(recorded_mono_ns)b), unnest(%(payload)b), unnest(%(prev_hash)b), unnest(%(hash)b)
  FROM lease
"""
# One prepared insert a tenant, and the context's.
PREPARED_MAX = 1_000


class UnableToWrite(Exception):
    """Nothing of the batch is acknowledged: the lease is lost, or PostgreSQL is away. Recover from the log."""


class Journal:
    """One engine's pen. `tips` holds where each tenant's log ends, as of the last row read or chained."""

    def __init__(self, *, connection: psycopg.AsyncConnection[Any], context_key: bytes, shard: str, token: int) -> None:
        assert connection.autocommit, "append relies on it: a pipeline is the transaction"
        self._connection = connection
        self._context = TenantContext(connection=connection, key=context_key)
        self._fence = {"shard": shard, "token": token}
        self._inserts: dict[str, sql.Composed] = {}
        self.tips: dict[str, Tip] = {}
        connection.prepared_max = PREPARED_MAX
        binary_arrays.register(adapters=connection.adapters)

    def chain(self, *, tenant: str, recorded: Recorded) -> Row:
        """Return the row that follows the tenant's tip, and move the tip; it is true only after `append`."""
        tip = self.tips[tenant]
        assert recorded.seq == tip.seq + 1, f"{tenant}: {recorded.seq} does not follow {tip.seq}"
        payload = codec.encode(recorded.event)
        row = chained(recorded, type(recorded.event).__name__, EVENT_VERSION, payload, tip.hash)
        tip.seq, tip.hash = recorded.seq, row.hash
        return row

    async def append(self, *, rows: dict[str, list[Row]]) -> None:
        """Commit the rows of every tenant in one transaction. Raises UnableToWrite; then the tips are worth nothing."""
        try:
            # A pipeline on an autocommit connection is one transaction, from its first statement to its sync: all
            # tenants or none, the context local to it, without the two messages that BEGIN and COMMIT cost.
            async with self._connection.pipeline():
                written = [(tenant, len(batch), await self._insert(tenant, batch)) for tenant, batch in rows.items()]
        except psycopg.Error as error:
            raise UnableToWrite(f"PostgreSQL did not take the batch: {error}") from error
        for tenant, expected, cursor in written:
            if cursor.rowcount != expected:
                raise UnableToWrite(f"{tenant}: token {self._fence['token']} is old, {cursor.rowcount} rows written.")

    async def _insert(self, tenant: str, batch: Sequence[Row]) -> psycopg.AsyncCursor[Any]:
        await self._context.enter(tenant=tenant)
        insert = self._inserts.get(tenant)
        if insert is None:
            insert = self._inserts[tenant] = sql.SQL(INSERT).format(schema=sql.Identifier(tenant))
        return await self._connection.execute(insert, {**self._fence, **_columns(batch)})


def occurred_at_us(*, event: AnyEvent, recorded_at_us: int) -> int:
    """Return when the event happened: the venue's time where it has one, else ours."""
    return int(getattr(event, "occurred_at_us", recorded_at_us))


def chained(recorded: Recorded, type_name: str, version: int, payload: bytes, prev_hash: bytes) -> Row:
    """Return the row with its hash."""
    digest = event_hash(
        prev_hash=prev_hash,
        seq=recorded.seq,
        command_id=recorded.command_id,
        position=recorded.position,
        type_name=type_name,
        version=version,
        principal=recorded.principal,
        request_hash=recorded.request_hash,
        occurred_at_us=recorded.occurred_at_us,
        recorded_at_us=recorded.recorded_at_us,
        recorded_mono_ns=recorded.recorded_mono_ns,
        payload=payload,
    )
    return Row(recorded, type_name, version, payload, prev_hash, digest)


def _columns(batch: Sequence[Row]) -> dict[str, object]:
    events = [row.recorded for row in batch]
    return {
        "seq": binary_arrays.bigints([event.seq for event in events]),
        "command_id": binary_arrays.uuids([event.command_id for event in events]),
        "position": binary_arrays.smallints([event.position for event in events]),
        "type": binary_arrays.texts([row.type for row in batch]),
        "version": binary_arrays.smallints([row.version for row in batch]),
        "principal": binary_arrays.texts([event.principal for event in events]),
        "request_hash": binary_arrays.texts([event.request_hash for event in events]),
        "occurred_at": binary_arrays.timestamps([event.occurred_at_us for event in events]),
        "recorded_at": binary_arrays.timestamps([event.recorded_at_us for event in events]),
        "recorded_mono_ns": binary_arrays.bigints([event.recorded_mono_ns for event in events]),
        "payload": binary_arrays.byteas([row.payload for row in batch]),
        "prev_hash": binary_arrays.hashes([row.prev_hash for row in batch]),
        "hash": binary_arrays.hashes([row.hash for row in batch]),
    }
