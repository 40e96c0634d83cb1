"""Of a long log PostgreSQL reads what was asked for: no question of the engine's reads or sorts all of it."""

from __future__ import annotations

import uuid
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from piggy.bench.long_log import FILL
from piggy.engine import keeper, recall, recovery, snapshot_store, witness
from piggy.engine.context import TenantContext
from piggy.messaging import log_pages
from tests.engine.ground import Ground

EVENTS = 2_000
ASKED: dict[str, tuple[LiteralString, dict[str, Any]]] = {
    "events of commands": (recall.EVENTS, {"ids": [uuid.uuid4().hex]}),
    "single events": (recall.AT, {"seqs": [3, 5, 1_990]}),
    "a page": (log_pages.PAGE, {"after": 300, "until": recovery.NO_END, "rows": 64}),
    "sheets": (log_pages.SHEETS, {"after": 300, "until": recovery.NO_END, "rows": 64}),
    "hashes": (keeper.HASHES, {"after": 300, "until": 364}),
    "the newest snapshot": (snapshot_store.LIVE, {"fold": "1", "until": recovery.NO_END}),
    "what was promised": (witness.PROMISED, {}),
    "a hash": (witness.HASH_AT, {"seq": 1_000}),
    "the end": (recovery.LAST, {}),
}


@pytest.mark.parametrize("what", ASKED)
async def test_no_question_reads_all_of_a_log(ground: Ground, connect: Any, tenant: str, what: str) -> None:
    """A plan that sorts the log for a command that is not there kept orders waiting for seconds at a million events."""
    table = sql.Identifier(tenant, "event_log")
    with psycopg.connect(ground.services.postgres.url(role="postgres"), autocommit=True) as everything:
        everything.execute(sql.SQL(FILL).format(table), {"events": EVENTS, "bytes": 700})
        everything.execute(sql.SQL("ANALYZE {}").format(table))
    query, asked = ASKED[what]
    names = {"schema": sql.Identifier(tenant), "columns": sql.SQL(recall.COLUMNS)}
    connection = await connect()
    async with connection.transaction():
        await TenantContext(connection=connection, key=ground.context_key).enter(tenant=tenant)
        found = await (await connection.execute(sql.SQL("EXPLAIN " + query).format(**names), asked)).fetchall()
    plan = "\n".join(line for (line,) in found)
    assert "on event_log" in plan
    assert "Seq Scan on event_log" not in plan, plan
