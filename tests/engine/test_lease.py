"""The lease of a shard: renewed beside any load, taken over only between writes, and by no clock but time itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from piggy.engine.config import EngineConfig
from piggy.engine.journal import Journal, UnableToWrite
from piggy.engine.lease import ACQUIRE, Lease, UnableToHoldLease
from piggy.messaging.chain import Tip
from tests.engine.conftest import until
from tests.engine.ground import Ground
from tests.engine.test_journal import TAKEN, credited

LIFE_S = 60


async def held(connect: Any, shard: str, holder: str = "first", **more: Any) -> Lease:
    return Lease(connection=await connect(), shard=shard, holder=holder, life_s=LIFE_S, **more)


@asynccontextmanager
async def being_written(ground: Ground, connect: Any, shard: str, tenant: str, token: int) -> AsyncIterator[None]:
    """A batch on its way, which cannot be committed before the block ends."""
    journal = Journal(connection=await connect(), context_key=ground.context_key, shard=shard, token=token)
    journal.tips[tenant] = Tip()
    row = journal.chain(tenant=tenant, recorded=credited(1))
    with psycopg.connect(ground.services.postgres.url(role="postgres")) as everything:
        everything.execute(TAKEN.format(tenant), {"command_id": row.recorded.command_id})
        running = asyncio.create_task(journal.append(rows={tenant: [row]}))
        await held_up(ground, journal)
        assert not running.done()
        try:
            yield
        finally:
            everything.rollback()
    await running


async def held_up(ground: Ground, journal: Journal) -> None:
    """Return once PostgreSQL has the journal's batch and keeps it waiting for somebody else."""
    (pid,) = (hand.context._connection.info.backend_pid for hand in journal._hands)
    with psycopg.connect(ground.services.postgres.url(role="postgres"), autocommit=True) as everything:
        asks = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        await until(lambda: everything.execute(asks, (pid,)).fetchone() == (True,))


def put(ground: Ground, shard: str, expires: str) -> None:
    with ground.as_owner() as owner:
        owner.execute("SET lock_timeout = '20s'")
        owner.execute(
            f"UPDATE engine_lease SET expires_at = clock_timestamp() + interval '{expires}' WHERE shard = %s", (shard,)
        )


async def test_inv_26_the_lease_is_renewed_while_batches_are_written(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    """Under full load one commit begins before the one before it is through: a renewal that waits waits for ever."""
    lease = await held(connect, shard)
    async with being_written(ground, connect, shard, tenant, await lease.acquire()), asyncio.timeout(20):
        await lease.renew()
    assert len(ground.log_rows(tenant=tenant)) == 1


async def test_inv_27_a_successor_waits_for_what_is_being_written(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    """Else it would begin from a log that still grows."""
    lease, successor = await held(connect, shard), await held(connect, shard, "second")
    async with being_written(ground, connect, shard, tenant, await lease.acquire()):
        # Who waits for a lease that lives waits for no write, and holds up none.
        async with asyncio.timeout(20):
            with pytest.raises(UnableToHoldLease):
                await successor.acquire()
        put(ground, shard, "-1 s")
        taking = asyncio.create_task(successor.acquire())
        await asyncio.wait([taking], timeout=0.3)
        assert not taking.done()
    assert await taking == 2
    assert len(ground.log_rows(tenant=tenant)) == 1


async def test_inv_27_a_successor_of_before_that_waits_for_nothing_costs_a_term_and_no_event(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    """While a deploy mixes versions: it begins from a log that still grows, and its first write finds no place."""
    lease, late = await held(connect, shard), await connect()
    token = await lease.acquire()
    asked = {"shard": shard, "holder": "second", "life_s": LIFE_S, "dead_token": None, "dead_until": None}
    async with being_written(ground, connect, shard, tenant, token):
        put(ground, shard, "-1 s")
        async with asyncio.timeout(20):
            ((taken,),) = await (await late.execute(ACQUIRE, asked)).fetchall()
        assert taken == token + 1
        journal = Journal(connection=await connect(), context_key=ground.context_key, shard=shard, token=taken)
        journal.tips[tenant] = Tip()
        row = journal.chain(tenant=tenant, recorded=credited(1))
        writing = asyncio.create_task(journal.append(rows={tenant: [row]}))
        await held_up(ground, journal)
        assert not writing.done()
    with pytest.raises(UnableToWrite):
        await writing
    (written,) = ground.log_rows(tenant=tenant)
    assert written[1] != row.recorded.command_id


async def test_inv_27_who_was_taken_over_gives_back_no_lease_but_his_own(
    ground: Ground, connect: Any, shard: str
) -> None:
    """F-29: it slept while its shard was taken, and on waking it ends; its successor's lease is not its to end."""
    lease, successor, third = [await held(connect, shard, name) for name in ("first", "second", "third")]
    await lease.acquire()
    put(ground, shard, "-1 s")
    token = await successor.acquire()
    await lease.release()
    with pytest.raises(UnableToHoldLease):
        await third.acquire()
    await successor.renew()
    await successor.release()
    assert await third.acquire() == token + 1


async def test_inv_20_a_clock_put_back_keeps_no_shard_from_its_successor(
    ground: Ground, connect: Any, shard: str
) -> None:
    """PostgreSQL's clock goes back by an hour, or a copy of it takes over whose clock does, and the holder is dead."""
    now_s = [0.0]
    lease, successor = await held(connect, shard), await held(connect, shard, "second", mono_s=lambda: now_s[0])
    await lease.acquire()
    put(ground, shard, "1 h")
    for at_s in (0, LIFE_S):
        now_s[0] = at_s
        with pytest.raises(UnableToHoldLease):
            await successor.acquire()
    await lease.renew()
    for at_s in (LIFE_S + 1, 2 * LIFE_S):
        now_s[0] = at_s
        with pytest.raises(UnableToHoldLease):
            await successor.acquire()
    now_s[0] = 2 * LIFE_S + 2
    assert await successor.acquire() == 2
    with pytest.raises(UnableToHoldLease):
        await lease.renew()


async def test_inv_20_who_renewed_in_the_last_moment_is_not_taken_for_dead(
    ground: Ground, connect: Any, shard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await held(connect, shard)
    await lease.acquire()
    put(ground, shard, "1 h")
    successor = await held(connect, shard, "second")

    def is_dead(*seen: Any) -> bool:
        # After the look, before the row is locked.
        put(ground, shard, "1 h")
        return True

    monkeypatch.setattr(successor, "_is_dead", is_dead)
    with pytest.raises(UnableToHoldLease):
        await successor.acquire()
    await lease.renew()


def test_inv_27_two_containers_of_one_name_are_two_holders() -> None:
    """On a host's network each is process 1 of one host name: taken for one, they would take the shard in turns."""
    env = {"DATABASE_URL": "x", "REDIS_URL": "x", "PIGGY_CONTEXT_KEY": "00" * 32, "PIGGY_SIGNAL_KEY": "00" * 32}
    assert EngineConfig.from_env(env).holder != EngineConfig.from_env(env).holder
