"""The event log in PostgreSQL: appended in groups, one transaction a batch, fenced by the lease inside the insert."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from piggy.core.events import AnyEvent, Recorded
from piggy.engine.context import TenantContext
from piggy.engine.pen import Pen, Statement
from piggy.engine.storage import Storage
from piggy.messaging import binary_arrays, codec
from piggy.messaging.chain import EVENT_VERSION, event_hash
from piggy.messaging.chain import Row as Row
from piggy.messaging.chain import Tip as Tip

# FOR KEY SHARE holds the lease row until the commit: a take-over or a move of a tenant waits for it, or what follows
# sees what they did; renewing the lease waits for nothing (lease.py). A statement of its own, for an insert that had to
# wait would still see what was before.
HELD = b"SELECT 1 FROM public.engine_lease WHERE shard = $1 AND token = $2 FOR KEY SHARE"
# As HELD for what writes nothing: so that nobody is answered by a desk that was overtaken, or whose tenant was moved.
LOOKED = b"SELECT 1 FROM public.engine_lease WHERE shard = $1 AND token = $2"
STILL_OURS = b"SELECT 1 WHERE $1 = ANY (string_to_array(current_setting('piggy.writes_for', true), ','))"
# Whose rows the holder of this token may write, for the rest of the transaction; no insert takes a row of any other.
# Found once for all tenants of a batch: that join costs as much as five rows.
OURS = b"""
SELECT set_config('piggy.writes_for', coalesce(string_agg(tenant.schema_name, ','), ''), true)
  FROM public.engine_lease AS lease JOIN public.tenants_tenant AS tenant ON tenant.shard = lease.shard
 WHERE lease.shard = $1 AND lease.token = $2 AND tenant.schema_name = ANY ($3)
"""
# The tenant's context is set, for the transaction, before the first row is made, and so before any is checked; were it
# not, none would pass. A statement of its own costs as much as ten rows, for every tenant of a batch.
INSERT: LiteralString = """
WITH context AS MATERIALIZED (SELECT set_config('piggy.tenant', $1, true))
INSERT INTO {schema}.event_log (seq, command_id, position, type, version, principal, request_hash,
                                occurred_at, recorded_at, recorded_mono_ns, payload, prev_hash, hash)
SELECT unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8), unnest($9), unnest($10),
       unnest($11), unnest($12), unnest($13), unnest($14)
  FROM context
 WHERE {tenant} = ANY (string_to_array(current_setting('piggy.writes_for', true), ','))
"""
# text, then arrays of: bigint, uuid, smallint, text, smallint, text twice, timestamptz twice, bigint,
# bytea three times.
INSERT_TYPES = (25, 1016, 2951, 1005, 1009, 1005, 1009, 1009, 1185, 1185, 1016, 1001, 1001, 1001)
# For as long as the connection lasts, whatever is set meanwhile; what waits for a standby too is not made less.
DURABLE = """
SELECT set_config('synchronous_commit', CASE found WHEN 'off' THEN 'on' ELSE found END, false)
  FROM current_setting('synchronous_commit') AS found
"""
BEGIN, COMMIT = Statement(b"begin", b"BEGIN", ()), Statement(b"commit", b"COMMIT", ())
HOLD, LOOK = Statement(b"hold", HELD, (25, 20)), Statement(b"look", LOOKED, (25, 20))
FIND_OURS, CONFIRM = Statement(b"ours", OURS, (25, 20, 1009)), Statement(b"confirm", STILL_OURS, (25,))


class UnableToWrite(Exception):
    """Nothing of the batch is acknowledged: the lease is lost, or PostgreSQL is away. Recover from the log."""


class _Hand(NamedTuple):
    """A connection of the journal's own, the context that PostgreSQL takes on it, and what was made for it."""

    pen: Pen
    context: TenantContext
    inserts: dict[str, Statement]


class Journal:
    """One engine's pen. `tips` holds where each tenant's log ends, as of the last row read or chained; `committed` the
    seq and hash of the last that is true.

    With a second connection `pens` is two: one batch is written while the one before it is being made durable, and is
    committed only when that is.
    """

    pens = 1

    def __init__(
        self,
        *,
        connection: psycopg.AsyncConnection[Any],
        context_key: bytes,
        shard: str,
        token: int,
        second: psycopg.AsyncConnection[Any] | None = None,
        storage: Storage | None = None,
    ) -> None:
        self._storage = storage or Storage()
        links = [connection, second] if second is not None else [connection]
        self.pens = len(links)
        self._hands = deque(
            _Hand(Pen(connection=link), TenantContext(connection=link, key=context_key), {}) for link in links
        )
        self._before: asyncio.Future[bool] | None = None
        self._token = token
        self._fence = (shard.encode(), token.to_bytes(8, "big"))
        self.tips: dict[str, Tip] = {}
        self.committed: dict[str, tuple[int, bytes]] = {}

    def chain(self, *, tenant: str, recorded: Recorded) -> Row:
        """Return the row that follows the tenant's tip, and move the tip; it is true only after `append`."""
        tip = self.tips[tenant]
        assert recorded.seq == tip.seq + 1, f"{tenant}: {recorded.seq} does not follow {tip.seq}"
        payload = codec.encode(recorded.event)
        row = chained(recorded, type(recorded.event).__name__, EVENT_VERSION, payload, tip.hash)
        tip.seq, tip.hash = recorded.seq, row.hash
        return row

    async def append(self, *, rows: dict[str, list[Row]]) -> set[str]:
        """Commit the rows of every tenant in one transaction; return those tenants that were moved to another shard.

        Of them nothing was written. Raises UnableToWrite; then the tips are worth nothing. A tenant without rows is
        only looked up: what is answered out of a desk must come out of the one that its log makes now.

        At most `pens` at a time, called in the order in which they were chained; they become true in that order.
        """
        before, mine = self._before, asyncio.get_running_loop().create_future()
        self._before = mine
        self._hands.rotate()
        try:
            moved = await self._write(self._hands[0], rows, before)
        except psycopg.Error as error:
            self._storage.refused(error)
            raise UnableToWrite(f"PostgreSQL did not take the batch: {error}") from error
        else:
            mine.set_result(True)
            if any(rows.values()):
                self._storage.wrote()
            self.committed |= {
                tenant: (batch[-1].recorded.seq, batch[-1].hash)
                for tenant, batch in rows.items()
                if batch and tenant not in moved
            }
            return moved
        finally:
            if not mine.done():
                mine.set_result(False)

    async def _write(self, hand: _Hand, rows: dict[str, list[Row]], before: asyncio.Future[bool] | None) -> set[str]:
        names = binary_arrays.texts([*rows]).data
        fence = HOLD if any(rows.values()) else LOOK
        asked: list[tuple[Statement, Sequence[bytes]]] = [(fence, self._fence), (FIND_OURS, (*self._fence, names))]
        asked += [self._asked(hand, tenant, batch) for tenant, batch in rows.items()]
        if before is None or before.done():
            _follow(before)
            return self._moved(rows, await hand.pen.write(asked))
        moved = self._moved(rows, (await hand.pen.write([(BEGIN, ()), *asked]))[1:])
        # Without the rows before them these would leave a gap; whatever happens to those is known first.
        await asyncio.wait([before])
        _follow(before)
        await hand.pen.write([(COMMIT, ())])
        return moved

    def _moved(self, rows: dict[str, list[Row]], counts: Sequence[int]) -> set[str]:
        """Return who was moved, of the counts of HOLD or LOOK, of FIND_OURS and of each tenant's insert or CONFIRM."""
        held, _, *written = counts
        if not held:
            raise UnableToWrite(f"Token {self._token} is old, nothing was written.")
        moved = set()
        for (tenant, batch), count in zip(rows.items(), written, strict=True):
            assert count in (0, len(batch) or 1), "a batch is written whole or not at all"
            if not count:
                moved.add(tenant)
        return moved

    def _asked(self, hand: _Hand, tenant: str, batch: Sequence[Row]) -> tuple[Statement, Sequence[bytes]]:
        """Return what writes a tenant's rows under its context, or without any asks whether they would be taken."""
        if not batch:
            return CONFIRM, (tenant.encode(),)
        insert = hand.inserts.get(tenant)
        if insert is None:
            names = {"schema": sql.Identifier(tenant), "tenant": sql.Literal(tenant)}
            text = sql.SQL(INSERT).format(**names).as_bytes(None)
            insert = hand.inserts[tenant] = Statement(f"append {tenant}".encode(), text, INSERT_TYPES)
        return insert, (hand.context.signed(tenant=tenant).encode(), *_columns(batch))


async def make_durable(*, connection: psycopg.AsyncConnection[Any]) -> None:
    """Have a commit of this connection mean that it is on the disk, whatever the server or the role is set to."""
    await connection.execute(DURABLE)


def _follow(before: asyncio.Future[bool] | None) -> None:
    if before is not None and not before.result():
        raise UnableToWrite("The batch before was not written.")


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


def _columns(batch: Sequence[Row]) -> tuple[bytes, ...]:
    events = [row.recorded for row in batch]
    arrays = (
        binary_arrays.bigints([event.seq for event in events]),
        binary_arrays.uuids([event.command_id for event in events]),
        binary_arrays.smallints([event.position for event in events]),
        binary_arrays.texts([row.type for row in batch]),
        binary_arrays.smallints([row.version for row in batch]),
        binary_arrays.texts([event.principal for event in events]),
        binary_arrays.texts([event.request_hash for event in events]),
        binary_arrays.timestamps([event.occurred_at_us for event in events]),
        binary_arrays.timestamps([event.recorded_at_us for event in events]),
        binary_arrays.bigints([event.recorded_mono_ns for event in events]),
        binary_arrays.byteas([row.payload for row in batch]),
        binary_arrays.hashes([row.prev_hash for row in batch]),
        binary_arrays.hashes([row.hash for row in batch]),
    )
    return tuple(array.data for array in arrays)
