"""INV-12, INV-13: Redis is emptied, loses its file, comes back as another server; and groups that stall lose nothing.

REDIS_LOSSES says how often it is lost under load (the contract's size is 100), STALLED how many messages wait for a
group that stands still (the contract's are 300,000).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from piggy.core import commands as cmd
from piggy.engine import intake
from piggy.local.valkey import Valkey
from piggy.messaging import lanes, streams
from piggy.messaging.client import Client, UnableToTell
from tests.engine.conftest import buy, envelope, running_engine, until
from tests.engine.ground import Ground
from tests.engine.test_engine import open_desk

LOSSES = int(os.environ.get("REDIS_LOSSES", "3"))
STALLED = int(os.environ.get("STALLED", "500"))
ASKERS, AWAY_S, RECOVERED_S_MAX = 10, 0.3, 60.0


async def empty(valkey: Valkey) -> None:
    await asyncio.to_thread(redis.Redis.from_url(valkey.url).flushall)


async def lose_the_file(valkey: Valkey) -> None:
    """Killed, and what it had appended is gone."""
    assert valkey.child is not None
    valkey.child.kill()
    valkey.child.wait()
    shutil.rmtree(valkey.data / "appendonlydir", ignore_errors=True)
    await asyncio.sleep(AWAY_S)
    # Not on another thread: the server ends with the thread that began it.
    valkey.start()


async def replace(valkey: Valkey) -> None:
    """Another server in its place, which never heard of anything."""
    await asyncio.to_thread(valkey.stop)
    shutil.rmtree(valkey.data)
    await asyncio.sleep(AWAY_S)
    valkey.start()


WAYS: tuple[Callable[[Valkey], Awaitable[None]], ...] = (empty, lose_the_file, replace)


async def test_inv_13_a_redis_that_is_lost_under_load_loses_and_doubles_no_order(
    ground: Ground, shard: str, tenant: str
) -> None:
    """Every asker asks again under its own id until it is answered, as a client does that hears 503 or nothing."""
    url, valkey = ground.services.redis_url, ground.services.valkey
    answered: list[str] = []
    slowest_s = 0.0
    stopped = asyncio.Event()

    async def keep_asking() -> None:
        nonlocal slowest_s
        client = Client(redis_url=url)
        while not stopped.is_set():
            asked, began_s = envelope(buy()), time.monotonic()
            answer = None
            while answer is None:
                assert time.monotonic() - began_s <= RECOVERED_S_MAX, "nobody answers any more"
                try:
                    answer = await asyncio.to_thread(client.ask, tenant=tenant, envelope=asked, wait_s=0.5)
                except UnableToTell:
                    await asyncio.sleep(0.05)
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            answered.append(asked.command_id)
        client.close()

    async with running_engine(ground, shard) as term:
        await open_desk(Client(redis_url=url), tenant)
        askers = [asyncio.create_task(keep_asking()) for _ in range(ASKERS)]
        for way in itertools.islice(itertools.cycle(WAYS), LOSSES):
            before = len(answered)
            await until(lambda before=before: len(answered) >= before + 2 * ASKERS)
            await way(valkey)
        last = len(answered)
        await until(lambda: len(answered) >= last + 2 * ASKERS, seconds=RECOVERED_S_MAX)
        stopped.set()
        await asyncio.gather(*askers)
        assert term.status.state == "ACTIVE"
    firsts = [row[1] for row in ground.log_rows(tenant=tenant) if row[2] == 0]
    assert set(answered) <= set(firsts), "lost"
    assert len(firsts) == len(set(firsts)), "doubled"
    assert slowest_s <= RECOVERED_S_MAX


def deleted_of(wire: Any, key: str) -> set[bytes]:
    """Return what is deleted though nobody has acknowledged it, both looked at in one transaction."""
    looked = wire.pipeline(transaction=True)
    looked.xpending_range(key, streams.ENGINE_GROUP, "-", "+", STALLED * 2)
    looked.xrange(key)
    pending, there = looked.execute()
    return {each["message_id"] for each in pending} - {entry_id for entry_id, _ in there}


async def test_inv_12_what_a_stalled_group_has_read_or_not_read_is_never_deleted_and_all_done_once(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half is read by an engine that then stands still, half waits unread, until another takes both over.

    Entries are deleted only behind an acknowledgement, which is all the trimming there is.
    """
    monkeypatch.setattr(intake, "PENDING_IDLE_MS", 300)
    client, wire = Client(redis_url=ground.services.redis_url), redis.Redis.from_url(ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        for _ in range(20):
            client.tell(tenant=tenant, envelope=envelope(buy()))
    asked = [envelope(cmd.PlaceOrder(terms=buy().terms)) for _ in range(STALLED)]
    key = lanes.key_of(tenant=tenant, command=asked[0].command)
    client.tell_all(tenant=tenant, envelopes=asked)
    wire.xreadgroup(streams.ENGINE_GROUP, "stalled", {key: ">"}, count=STALLED // 2)
    assert deleted_of(wire, key) == set()
    assert wire.xpending(key, streams.ENGINE_GROUP)["pending"] >= STALLED // 2
    async with running_engine(ground, shard, holder="next"):
        seen = 0
        while wire.xlen(key):
            began_s = time.monotonic()
            # On another thread: a look at very many takes longer than a lease lasts.
            assert await asyncio.to_thread(deleted_of, wire, key) == set()
            seen += 1
            await asyncio.sleep(max(0.1, 3 * (time.monotonic() - began_s)))
    assert seen > 0
    claimed = wire.xautoclaim(key, streams.ENGINE_GROUP, "auditor", min_idle_time=0)
    assert claimed[2] == [], "entries were deleted that nobody had acknowledged"
    firsts = [row[1] for row in ground.log_rows(tenant=tenant) if row[2] == 0]
    assert {each.command_id for each in asked} <= set(firsts) and len(firsts) == len(set(firsts))


async def test_inv_13_a_redis_put_back_to_how_it_was_brings_every_command_again_and_none_is_done_twice(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of its own dump: of what was long answered half had been read then, and half had not."""
    monkeypatch.setattr(intake, "PENDING_IDLE_MS", 200)
    client, wire = Client(redis_url=ground.services.redis_url), redis.Redis.from_url(ground.services.redis_url)
    asked = [envelope(buy()) for _ in range(20)]
    key = lanes.key_of(tenant=tenant, command=asked[0].command)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
    client.tell_all(tenant=tenant, envelopes=asked)
    wire.xreadgroup(streams.ENGINE_GROUP, shard, {key: ">"}, count=len(asked) // 2)
    copies = {name: wire.dump(name) for name in wire.keys(f"{{{tenant}}}:*") if wire.type(name) == b"stream"}
    async with running_engine(ground, shard, holder="next") as term:
        await until(lambda: wire.xlen(key) == 0)
        firsts = [row[1] for row in ground.log_rows(tenant=tenant) if row[2] == 0]
        assert {each.command_id for each in asked} <= set(firsts)
        for name, body in copies.items():
            wire.restore(name, 0, body, replace=True)
        assert wire.xlen(key) == len(asked)
        later = envelope(buy())
        assert await asyncio.to_thread(client.ask, tenant=tenant, envelope=later, wait_s=10) is not None
        await until(lambda: wire.xlen(key) == 0)
        assert term.status.state == "ACTIVE"
    again = [row[1] for row in ground.log_rows(tenant=tenant) if row[2] == 0]
    assert len(again) == len(set(again)) and set(again) >= {*firsts, later.command_id}
    assert ground.dead_letters(tenant=tenant) == []
