"""Tenants spread over engines: each decides for its own, and one is moved under flow, nothing lost or done twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apps.tenants.backend import shards
from piggy.engine import recovery, term
from piggy.engine.door import Door
from piggy.engine.journal import Journal
from piggy.engine.lease import Lease
from piggy.engine.signals import UnableToAcceptSignal
from piggy.engine.standby import Warm
from piggy.messaging import witness
from piggy.messaging.chain import Tip
from piggy.messaging.client import Client
from piggy.messaging.forgetting import forget
from tests.engine.conftest import buy, envelope, opening_commands, running_engine, until
from tests.engine.ground import Ground
from tests.engine.test_journal import credited


def move(ground: Ground, *, schema: str, source: str, target: str) -> bool:
    with ground.as_owner() as owner, owner.transaction(), owner.cursor() as cursor:
        return shards.move(cursor=cursor, schema=schema, source=source, target=target)


def drop(ground: Ground, tenant: str) -> None:
    """Waits for whoever reads there at the moment, so that it must not keep his loop waiting."""
    with ground.as_owner() as owner:
        owner.execute(f"DROP SCHEMA {tenant} CASCADE")
        owner.execute("DELETE FROM tenants_domain WHERE domain = %s", (f"{tenant}.localhost",))
        owner.execute("DELETE FROM tenants_tenant WHERE schema_name = %s", (tenant,))


async def test_a_tenant_is_moved_under_flow_there_and_back_and_nobody_else_notices(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-01, INV-02, INV-27."""
    monkeypatch.setattr(term, "TENANTS_S", 0.3)
    stays, other = ground.add_tenant(shard=shard), f"{shard}-2"
    client, answered, stopped = Client(redis_url=ground.services.redis_url), {tenant: [], stays: []}, asyncio.Event()

    async def ask(name: str, asked: Any, wait_s: float) -> Any:
        return await asyncio.to_thread(client.ask, tenant=name, envelope=asked, wait_s=wait_s)

    async def trade(name: str) -> None:
        while not stopped.is_set():
            asked = envelope(buy("0.01"))
            # Of what is asked at an engine that no longer serves it nobody hears; who stays may be slow to hear.
            while await ask(name, asked, wait_s=2 if name == tenant else 30) is None:
                assert name == tenant, "who stays is answered at the first asking"
            answered[name].append(asked.command_id)

    async with running_engine(ground, shard, holder="one") as one, running_engine(ground, other, holder="two") as two:
        for name in (tenant, stays):
            for command in opening_commands():
                assert await ask(name, envelope(command), wait_s=10)
        traders = [asyncio.create_task(trade(name)) for name in (tenant, tenant, stays)]
        token = one.status.token
        for source, target, has in ((shard, other, two), (other, shard, one)):
            await asyncio.sleep(0.3)
            assert await asyncio.to_thread(move, ground, schema=tenant, source=source, target=target)
            await until(lambda has=has: tenant in has.loop.desks)
            before = len(answered[tenant])
            await until(lambda before=before: len(answered[tenant]) > before + 3)
        stopped.set()
        await asyncio.gather(*traders)
        assert one.status.token == token, "no term ended"
        assert set(one.loop.desks) == {tenant, stays}
        assert not two.loop.desks
    for name in (tenant, stays):
        rows = ground.log_rows(tenant=name)
        ids = [row[1] for row in rows if row[2] == 0]
        assert set(answered[name]) <= set(ids)
        assert len(ids) == len(set(ids))
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))


async def test_an_engine_writes_nothing_for_a_tenant_that_was_moved_away(
    ground: Ground, shard: str, tenant: str, connect: Any
) -> None:
    """INV-27: the fence of a move is in the write, whatever the engine believes."""
    stays = ground.add_tenant(shard=shard)
    lease = Lease(connection=await connect(), shard=shard, holder="here", life_s=60)
    journal = Journal(
        connection=await connect(), context_key=ground.context_key, shard=shard, token=await lease.acquire()
    )
    journal.tips.update({tenant: Tip(), stays: Tip()})
    assert not move(ground, schema=tenant, source="elsewhere", target="b")
    assert move(ground, schema=tenant, source=shard, target=f"{shard}-2")
    rows = {name: [journal.chain(tenant=name, recorded=credited(1))] for name in (tenant, stays)}
    assert await journal.append(rows=rows) == {tenant}
    assert ground.log_rows(tenant=tenant) == []
    assert len(ground.log_rows(tenant=stays)) == 1


async def test_inv_27_a_desk_that_another_engine_wrote_for_between_two_looks_is_made_anew(
    ground: Ground, shard: str, tenant: str, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There and back before the first engine has looked: what it holds is no longer what the log says."""
    monkeypatch.setattr(term, "TENANTS_S", 0.1)
    client, other = Client(redis_url=ground.services.redis_url), f"{shard}-2"
    looks, tenants = asyncio.Lock(), Warm.tenants

    async def look(self: Warm, *, connection: Any) -> set[str]:
        async with looks:
            return await tenants(self, connection=connection)

    monkeypatch.setattr(Warm, "tenants", look)
    lease = Lease(connection=await connect(), shard=other, holder="there", life_s=60)
    async with running_engine(ground, shard) as running:
        for command in opening_commands():
            assert await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(command), wait_s=10)
        link = await connect()
        journal = Journal(connection=link, context_key=ground.context_key, shard=other, token=await lease.acquire())
        _, journal.tips[tenant] = await recovery.recover(
            connection=await connect(), context_key=ground.context_key, tenant=tenant
        )
        before, token = running.loop.desks[tenant], running.status.token
        async with looks:
            assert move(ground, schema=tenant, source=shard, target=other)
            row = journal.chain(tenant=tenant, recorded=credited(journal.tips[tenant].seq + 1))
            assert await journal.append(rows={tenant: [row]}) == set()
            assert move(ground, schema=tenant, source=other, target=shard)
            assert running.loop.desks[tenant] is before
        await until(lambda: running.loop.desks.get(tenant) not in (before, None))
        await running._witness.catch_up()
        seen = witness.seen(home=ground.home, tenant=tenant)
        assert seen is not None and seen.seq == row.recorded.seq, "also what another engine was acknowledged"
        answer = await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(buy("0.01")), wait_s=10)
        assert answer is not None
        assert running.status.token == token, "no term ended"
    assert [each[0] for each in ground.log_rows(tenant=tenant)] == list(range(1, row.recorded.seq + 1 + 1))


async def test_t_22_a_broker_that_is_removed_under_flow_is_let_go_of_and_nobody_else_notices(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(term, "TENANTS_S", 0.3)
    stays = ground.add_tenant(shard=shard)
    client, answered, stopped = Client(redis_url=ground.services.redis_url), {tenant: [], stays: []}, asyncio.Event()

    async def trade(name: str) -> None:
        while not stopped.is_set():
            asked = envelope(buy("0.01"))
            wait_s = 1 if name == tenant else 30
            answer = await asyncio.to_thread(client.ask, tenant=name, envelope=asked, wait_s=wait_s)
            assert answer is not None or name == tenant
            answered[name] += [asked.command_id] if answer is not None else []

    async with running_engine(ground, shard) as running:
        door = Door(term=running, config=ground.config(shard=shard))
        for name in (tenant, stays):
            for command in opening_commands():
                assert await asyncio.to_thread(client.ask, tenant=name, envelope=envelope(command), wait_s=10)
        token, traders = running.status.token, [asyncio.create_task(trade(name)) for name in (tenant, stays)]
        await asyncio.sleep(0.3)
        await running._witness.catch_up()
        assert await asyncio.to_thread(move, ground, schema=tenant, source=shard, target=shards.NOBODYS)
        with ground.as_owner() as owner:
            owner.execute("UPDATE tenants_tenant SET is_active = false WHERE schema_name = %s", (tenant,))
        rows = ground.log_rows(tenant=tenant)
        await until(lambda: tenant not in running.loop.desks and f"{tenant}.localhost" not in running.status.domains)
        with pytest.raises(UnableToAcceptSignal, match="No such") as caught:
            door.tenant_of(host=f"{tenant}.localhost")
        assert caught.value.status == 404
        await asyncio.sleep(0.3)
        assert ground.log_rows(tenant=tenant) == rows, "from its last step on nothing is written"
        assert set(answered[tenant]) <= {row[1] for row in rows}
        await asyncio.to_thread(drop, ground, tenant)
        before = len(answered[stays])
        await until(lambda: len(answered[stays]) > before + 20)
        stopped.set()
        await asyncio.gather(*traders)
        # Whoever comes later under its name is another broker, of which nothing was ever acknowledged.
        forget(redis_url=ground.services.redis_url, tenant=tenant)
        witness.forget(home=ground.home, tenant=tenant)
        assert ground.add_tenant(shard=shard, name=tenant) == tenant
        await until(lambda: tenant in running.loop.desks)
        await running._witness.catch_up()
        first = envelope(opening_commands()[0])
        assert await asyncio.to_thread(client.ask, tenant=tenant, envelope=first, wait_s=10)
        assert [row[:2] for row in ground.log_rows(tenant=tenant)] == [(1, first.command_id)]
        await running._witness.catch_up()
        seen = witness.seen(home=ground.home, tenant=tenant)
        assert seen is not None
        assert seen.seq == 1
        assert running.status.token == token, "no term ended"
