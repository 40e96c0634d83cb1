"""python -m piggy.engine.keeper TENANT: read what is new in a tenant's log, write a snapshot, sign the log's head.

A process of its own, short and with low priority, so that an engine that trades does neither. It folds the log itself,
from the last snapshot, and checks every hash on the way: what an engine holds in memory has no part in it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from piggy.core.desk import Desk
from piggy.engine import recovery, snapshot_store
from piggy.engine.context import TenantContext
from piggy.engine.priority import give_way
from piggy.engine.snapshot import Held
from piggy.messaging import tree_heads
from piggy.messaging.chain import Tip
from piggy.messaging.merkle import HASH_BYTES, Tree

NICE = 10
# Few at a time, for whoever commits waits for a processor meanwhile.
HASHES_EACH = 5_000
LAST_HEAD: LiteralString = """
SELECT seq, root, frontier, (extract(epoch from signed_at) * 1000000)::bigint, key_id, signature
  FROM {schema}.log_checkpoint ORDER BY seq DESC LIMIT 1
"""
HASHES: LiteralString = """
SELECT string_agg(hash, ''::bytea ORDER BY seq) FROM {schema}.event_log WHERE seq > %(after)s AND seq <= %(until)s
"""
PUT_HEAD: LiteralString = """
INSERT INTO {schema}.log_checkpoint (seq, root, frontier, signed_at, key_id, signature)
VALUES (%(seq)s, %(root)s, %(frontier)s, to_timestamp(%(signed_at_us)s::numeric / 1000000), %(key_id)s, %(signature)s)
ON CONFLICT DO NOTHING
"""


class Kept(NamedTuple):
    """What one round did: the last event, and the bytes of its snapshot."""

    seq: int
    snapshot_bytes: int


async def keep(*, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str, home: Path) -> Kept:
    """Write a snapshot and a signed head of all that the log holds now. Raises recovery.UnableToRead, psycopg.Error."""
    found = await snapshot_store.newest(connection=connection, context_key=context_key, tenant=tenant)
    desk, tip, held = found or (Desk(tenant=tenant), Tip(), Held())
    await recovery.catch_up(desk=desk, tip=tip, connection=connection, context_key=context_key, tenant=tenant)
    written = await snapshot_store.write(
        connection=connection, context_key=context_key, tenant=tenant, desk=desk, tip=tip, held=held
    )
    await sign_head(connection=connection, context_key=context_key, tenant=tenant, home=home, tip=tip)
    return Kept(tip.seq, written)


async def sign_head(
    *, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str, home: Path, tip: Tip
) -> tree_heads.Head:
    """Grow the tree from the last head to `tip`, sign the new head and store it."""
    names = sql.Identifier(tenant)
    context = TenantContext(connection=connection, key=context_key)
    key = tree_heads.signing_key(home=home)
    async with connection.transaction():
        await context.enter(tenant=tenant)
        row = await (await connection.execute(sql.SQL(LAST_HEAD).format(schema=names), binary=True)).fetchone()
        tree = _grown(tenant, row, tree_heads.public_key(key=key)) if row else Tree()
        while tree.size < tip.seq:
            asked = {"after": tree.size, "until": min(tip.seq, tree.size + HASHES_EACH)}
            found = await (
                await connection.execute(sql.SQL(HASHES).format(schema=names), asked, binary=True)
            ).fetchone()
            hashes = found[0] if found and found[0] else b""
            if len(hashes) != (asked["until"] - asked["after"]) * HASH_BYTES:
                raise recovery.UnableToRead(f"{tenant}: events after {tree.size} are missing.", seq=tree.size + 1)
            for at in range(0, len(hashes), HASH_BYTES):
                tree.add(entry=hashes[at : at + HASH_BYTES])
        head = tree_heads.sign(
            head=tree_heads.Head(
                tenant=tenant,
                seq=tree.size,
                root=tree.root(),
                signed_at_us=time.time_ns() // 1_000,
                key_id=tree_heads.public_key(key=key),
            ),
            key=key,
        )
        columns = {
            "seq": head.seq,
            "root": head.root,
            "frontier": tree.frontier,
            "signed_at_us": head.signed_at_us,
            "key_id": head.key_id,
            "signature": head.signature,
        }
        await connection.execute(sql.SQL(PUT_HEAD).format(schema=names), columns)
    return head


def _grown(tenant: str, row: Sequence[Any], trusted: str) -> Tree:
    """Return the tree of the last head, or an empty one where the row is not what we signed: from the log itself then.

    Else whoever can write the table has us sign what no log is.
    """
    seq, root, frontier, signed_at_us, key_id, signature = row
    head = tree_heads.Head(
        tenant=tenant, seq=seq, root=root, signed_at_us=signed_at_us, key_id=key_id, signature=signature
    )
    is_ours = tree_heads.is_signed(head=head, trusted=trusted) and len(frontier) == seq.bit_count() * HASH_BYTES
    if is_ours and (tree := Tree(size=seq, frontier=frontier)).root() == root:
        return tree
    sys.stderr.write(f"{tenant}: the head of {seq} events is not as it was signed; the tree is made anew of the log\n")
    return Tree()


async def _run(tenant: str) -> None:
    async with await psycopg.AsyncConnection.connect(
        os.environ["DATABASE_URL"], autocommit=True, application_name=f"piggy-keeper-{tenant}"
    ) as connection:
        kept = await keep(
            connection=connection,
            context_key=bytes.fromhex(os.environ["PIGGY_CONTEXT_KEY"]),
            tenant=tenant,
            home=Path(os.environ["PIGGY_HOME"]),
        )
    print(f"{tenant}: snapshot and signed head at event {kept.seq}, {kept.snapshot_bytes} bytes")


def main() -> int:
    """Keep one tenant's log once; returns 3 where the log is not whole."""
    give_way(nice=NICE)
    try:
        asyncio.run(_run(sys.argv[1]))
    except recovery.UnableToRead as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    # A short life: to look for garbage, and at the end to give back order after order, would be a seventh of its work.
    gc.disable()
    code = main()
    sys.stdout.flush()
    os._exit(code)
