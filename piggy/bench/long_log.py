"""A log that was long before a bench begins: rows as large and as many as real ones, which nobody reads.

Engine and projector go on behind them: from a snapshot of a desk that knows as many commands again as the log has, and
from cursors that stand at its end.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import LiteralString

import psycopg
from psycopg import sql

from piggy.bench.broker import Broker, connect
from piggy.core.answers import Memory
from piggy.core.desk import Desk
from piggy.core.forgotten import Forgotten
from piggy.core.state import State
from piggy.engine import keeper, snapshot_store
from piggy.engine.snapshot import Held
from piggy.messaging.chain import Tip

EVENTS_OF_COMMAND = 2
FILL_BYTES = 700
FILL: LiteralString = """
INSERT INTO {} (seq, command_id, position, type, version, principal, request_hash, occurred_at, recorded_at,
                recorded_mono_ns, payload, prev_hash, hash)
SELECT seq, gen_random_uuid(), seq %% 2, 'OrderAccepted', 2, 'strategy:s0', repeat('0', 64), now(), now(), seq,
       decode(repeat('2a', %(bytes)s), 'hex'), sha256(int8send(seq - 1)), sha256(int8send(seq))
  FROM generate_series(1, %(events)s) AS seq
"""
CURSORS: LiteralString = "INSERT INTO {} (name, seq) SELECT unnest(%s::text[]), %s"


def fill(*, broker: Broker, tenant: str, events: int) -> None:
    """Put so many rows in the tenant's log, which is empty."""
    if not events:
        return
    with psycopg.connect(broker.services.postgres.url(role="postgres"), autocommit=True) as everything:
        table = sql.Identifier(tenant, "event_log")
        everything.execute(sql.SQL(FILL).format(table), {"events": events, "bytes": FILL_BYTES})
        everything.execute(sql.SQL("ANALYZE {}").format(table))
        # What filling left to be written is not what appending costs.
        everything.execute("CHECKPOINT")


def tip_of(*, broker: Broker, tenant: str) -> Tip:
    """Return where the tenant's log ends."""
    with psycopg.connect(broker.services.postgres.url(role="postgres")) as everything:
        query = sql.SQL("SELECT seq, hash FROM {} ORDER BY seq DESC LIMIT 1").format(
            sql.Identifier(tenant, "event_log")
        )
        row = everything.execute(query).fetchone()
    return Tip(seq=row[0], hash=row[1]) if row else Tip()


def go_on_behind(*, broker: Broker, tenant: str) -> None:
    """Let an engine and a projector that begin now begin at the log's end."""
    from piggy import projector

    tip = tip_of(broker=broker, tenant=tenant)
    if not tip.seq:
        return
    asyncio.run(_snapshot(broker, tenant, tip))
    with psycopg.connect(broker.services.postgres.url(role="postgres"), autocommit=True) as everything:
        table = sql.Identifier(tenant, "projection_cursor")
        everything.execute(sql.SQL(CURSORS).format(table), (list(projector.projections()), tip.seq))


async def _snapshot(broker: Broker, tenant: str, tip: Tip) -> None:
    config = broker.config()
    known = Forgotten()
    for _ in range(tip.seq // EVENTS_OF_COMMAND):
        known.add(command_id=uuid.uuid4().hex)
    memory = Memory(answers=[], filters=known.dump(), forgotten=known.count)
    desk = Desk.resumed(state=State(tenant=tenant, seq=tip.seq), memory=memory)
    async with await connect(config=config) as connection:
        await snapshot_store.write(
            connection=connection, context_key=config.context_key, tenant=tenant, desk=desk, tip=tip, held=Held()
        )
        # Else the engine's first keeper would read the hash of every row while orders are measured.
        await keeper.sign_head(
            connection=connection, context_key=config.context_key, tenant=tenant, home=config.home, tip=tip
        )
