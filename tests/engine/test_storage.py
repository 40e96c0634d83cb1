"""F-21: without room to write, orders are kept out and said so; cancels are tried, and room is noticed by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
import redis
from psycopg import errors, sql

from piggy.core import commands as cmd
from piggy.core.accounts import TradingState
from piggy.core.answers import STORAGE_FULL
from piggy.engine import intake, storage, term
from piggy.engine.edge import Edge
from piggy.engine.http_messages import Request, Response
from piggy.engine.storage import TRY_S, Storage
from piggy.messaging import lanes
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, running, until
from tests.engine.ground import Ground
from tests.engine.test_engine import ask, open_desk

FULL: Any = """
CREATE FUNCTION {schema}.no_room() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON {schema}.event_log FOR EACH STATEMENT EXECUTE FUNCTION {schema}.no_room();
"""
ROOM: Any = "DROP TRIGGER no_room ON {schema}.event_log; DROP FUNCTION {schema}.no_room()"


@pytest.mark.parametrize(
    "error",
    [
        errors.DiskFull("could not extend file"),
        errors.DiskFull("kein Platz"),
        errors.InternalError_('could not extend file "base/5/1": File too large'),
        errors.InternalError_("Disk quota exceeded"),
    ],
)
def test_a_full_disk_keeps_orders_out_but_for_one_now_and_then_until_something_is_written(error: psycopg.Error) -> None:
    now_s = [100.0]
    room = Storage(now_s=lambda: now_s[0])
    assert not room.keeps_out()
    room.refused(error)
    assert room.is_full and room.keeps_out()
    now_s[0] += TRY_S
    assert [room.keeps_out() for _ in range(3)] == [False, True, True], "one tries for all"
    room.wrote()
    assert not room.is_full and not room.keeps_out()


def test_what_fails_for_another_reason_is_no_full_disk() -> None:
    room = Storage()
    for error in (errors.UniqueViolation("duplicate key"), psycopg.OperationalError("the connection is lost")):
        room.refused(error)
    assert not room.is_full


@pytest.mark.timeout(600)
async def test_f_21_orders_are_refused_cancels_wait_and_all_goes_on_once_there_is_room(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses every row as a full disk does; longer than a command may be delivered in vain."""
    monkeypatch.setattr(term, "BACK_OFF_S", 0.05)
    # Every order is let through as a try, as where a term takes long to begin; what it ends does not try it again.
    monkeypatch.setattr(storage, "TRY_S", 0.0)
    client = Client(redis_url=ground.services.redis_url)
    config = ground.config(shard=shard)
    async with running(config) as engine:
        await open_desk(client, tenant)
        before = len(ground.log_rows(tenant=tenant))
        await asyncio.to_thread(change, ground, tenant, FULL)
        first = envelope(buy())
        halt = cmd.SetTradingState(scope="account", key="anna", state=TradingState.HALTED, reason="x", by="tess")
        halted = asyncio.create_task(ask(client, tenant, envelope(halt), wait_s=300))
        await until(lambda: engine.status.storage.is_full, seconds=60)
        terms = engine.status.token
        answer = await ask(client, tenant, first, wait_s=60)
        assert answer.refused is not None and answer.refused.code == STORAGE_FULL
        assert STORAGE_FULL.encode() in said(Edge(term=engine, config=config), tenant).body
        await until(lambda: engine.status.token > terms + intake.DELIVERIES_MAX, seconds=120)
        assert not halted.done() and len(ground.log_rows(tenant=tenant)) == before
        await asyncio.to_thread(change, ground, tenant, ROOM)
        assert (await halted).refused is None, "it was tried until it could be written"
        assert not engine.status.storage.is_full
        answer = await ask(client, tenant, first, wait_s=60)
        assert answer.order is not None and not answer.duplicate, "the same id, asked again, is decided now"
        wire = redis.Redis.from_url(ground.services.redis_url)
        await until(lambda: sum(wire.xlen(key) for key in lanes.keys(tenant=tenant)) == 0)
    assert ground.dead_letters(tenant=tenant) == []


def said(edge: Edge, tenant: str) -> Response:
    """What the fast door answers to whatever comes while no term serves."""
    heard: list[Response] = []
    loop, edge._term.loop = edge._term.loop, None
    edge.handle(Request("POST", "/hooks/tradingview/mean", {"host": f"{tenant}.localhost"}, b"{}", "1"), heard.append)
    edge._term.loop = loop
    return heard[0]


def change(ground: Ground, tenant: str, script: Any) -> None:
    """Waits for whoever writes at the moment, so that it must not keep his loop waiting."""
    with psycopg.connect(ground.services.postgres.url(role="postgres"), autocommit=True) as everything:
        everything.execute(sql.SQL(script).format(schema=sql.Identifier(tenant)))
