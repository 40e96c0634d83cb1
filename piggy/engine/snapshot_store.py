"""Where snapshots lie: a table of the tenant's own, each snapshot tied to the log by the hash of its last event.

The live part carries a MAC, and names its segments with their hashes: whoever can write the table, as an injected
statement could, still cannot write balances.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from piggy.core.desk import Desk
from piggy.engine.context import TenantContext
from piggy.engine.fold_version import fold_version
from piggy.engine.snapshot import Held, Live, UnableToRestore, live_of, parts_of, restored
from piggy.messaging.chain import Tip
from piggy.messaging.signing import same, snapshot_mac

log = logging.getLogger(__name__)

LIVE_KEPT = 2
LIVE: LiteralString = """
SELECT snapshot.seq, snapshot.body, snapshot.mac, event.hash FROM {schema}.engine_snapshot AS snapshot
  JOIN {schema}.event_log AS event USING (seq)
 WHERE snapshot.part = 0 AND snapshot.fold = %(fold)s AND snapshot.seq <= %(until)s ORDER BY seq DESC
"""
SEGMENTS: LiteralString = """
SELECT seq, part, body FROM {schema}.engine_snapshot
 WHERE part > 0 AND fold = %(fold)s AND seq <= %(until)s ORDER BY seq, part
"""
INSERT: LiteralString = """
INSERT INTO {schema}.engine_snapshot (fold, seq, part, body, mac, created_at)
VALUES (%(fold)s, %(seq)s, %(part)s, %(body)s, %(mac)s, clock_timestamp()) ON CONFLICT DO NOTHING
"""
# Segments that a kept live part may stand on stay; those that neither names go. Those of another fold stay for a day:
# while a deploy is under way engines of two programs serve, and it may be taken back.
PRUNE: LiteralString = """
DELETE FROM {schema}.engine_snapshot
 WHERE CASE WHEN fold <> %(fold)s THEN created_at < clock_timestamp() - interval '1 day' ELSE
       (part > 0 AND seq < %(seq)s AND NOT EXISTS (
         SELECT FROM unnest(%(seqs)s::bigint[], %(parts)s::int[]) AS named (its_seq, its_part)
          WHERE its_seq = seq AND its_part = part))
    OR (part = 0 AND seq < (SELECT min(seq) FROM (SELECT seq FROM {schema}.engine_snapshot
         WHERE part = 0 AND fold = %(fold)s ORDER BY seq DESC LIMIT %(kept)s) AS latest)) END
"""


class Found(NamedTuple):
    """A desk out of a snapshot, where the log stood, and what its segments hold."""

    desk: Desk
    tip: Tip
    held: Held


async def newest(
    *, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str, until: int = 2**63 - 1
) -> Found | None:
    """Return the newest snapshot at or before `until` that holds good, or None; a bad one is said and passed over."""
    names = sql.Identifier(tenant)
    context = TenantContext(connection=connection, key=context_key)
    asked = {"fold": fold_version(), "until": until}
    async with connection.transaction():
        await context.enter(tenant=tenant)
        try:
            async with connection.transaction():
                lives = await (await connection.execute(sql.SQL(LIVE).format(schema=names), asked)).fetchall()
        except psycopg.errors.UndefinedTable:
            return None
        for seq, body, mac, log_hash in lives:
            try:
                tip = Tip(seq, bytes(log_hash))
                live = proven(key=context_key, tenant=tenant, tip=tip, body=bytes(body), mac=bytes(mac))
                segments = await _segments(connection, names, asked | {"until": seq}, live)
                desk, held = restored(live=live, segments=segments)
            except UnableToRestore as error:
                log.error("snapshot passed over", extra={"tenant": tenant, "seq": seq, "error": str(error)})
            else:
                return Found(desk, tip, held)
    return None


async def write(
    *, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str, desk: Desk, tip: Tip, held: Held
) -> int:
    """Write the desk as it is at `tip` and drop what is older than it needs; returns the bytes written."""
    parts = parts_of(desk=desk, held=held, seq=tip.seq)
    names, fold = sql.Identifier(tenant), fold_version()
    async with connection.transaction():
        await TenantContext(connection=connection, key=context_key).enter(tenant=tenant)
        insert = sql.SQL(INSERT).format(schema=names)
        for part, body in enumerate([parts.live, *parts.segments]):
            mac = b"" if part else mac_of(key=context_key, tenant=tenant, tip=tip, body=body)
            await connection.execute(
                insert, {"fold": fold, "seq": tip.seq, "part": part, "body": body, "mac": mac}, binary=True
            )
        stood_on = {"seqs": [name.seq for name in held.earlier], "parts": [name.part for name in held.earlier]}
        asked = {"fold": fold, "kept": LIVE_KEPT, "seq": tip.seq, **stood_on}
        await connection.execute(sql.SQL(PRUNE).format(schema=names), asked)
    return len(parts.live) + sum(map(len, parts.segments))


async def _segments(
    connection: psycopg.AsyncConnection[Any], names: sql.Identifier, asked: dict[str, Any], live: Live
) -> list[bytes]:
    cursor = await connection.execute(sql.SQL(SEGMENTS).format(schema=names), asked, binary=True)
    return named(live=live, bodies={(seq, part): bytes(body) for seq, part, body in await cursor.fetchall()})


def named(*, live: Live, bodies: Mapping[tuple[int, int], bytes]) -> list[bytes]:
    """Return the segments that a live part names, by seq and part, in its order. Raises UnableToRestore."""
    wanted = []
    for name in live.segments:
        body = bodies.get((name.seq, name.part))
        if body is None or hashlib.sha256(body).digest() != name.digest:
            raise UnableToRestore(f"Segment {name.seq}/{name.part} is missing or not what was written.")
        wanted.append(body)
    return wanted


def proven(*, key: bytes, tenant: str, tip: Tip, body: bytes, mac: bytes) -> Live:
    """Return a live part that we made of the log as it was at `tip`. Raises UnableToRestore."""
    if not same(mac.hex(), mac_of(key=key, tenant=tenant, tip=tip, body=body).hex()):
        raise UnableToRestore("It was not made by us of the log as it is now.")
    return live_of(body=body)


def mac_of(*, key: bytes, tenant: str, tip: Tip, body: bytes) -> bytes:
    """Return what ties a live part to the log as it was at `tip`."""
    return snapshot_mac(key=key, tenant=tenant, fold=fold_version(), seq=tip.seq, log_hash=tip.hash, body=body)
