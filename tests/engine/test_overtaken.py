"""INV-27: an engine that was overtaken, or whose tenant was moved, writes nothing and answers nobody either.

What changes nothing is acknowledged too, and so is a repeat. Said out of a desk that is no longer the one, that would
lose a command: its successor's desk might have had something to do.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import redis

from piggy.core import commands as cmd
from piggy.engine import term
from piggy.engine.door import Door
from piggy.engine.journal import UnableToWrite
from piggy.engine.signals import UnableToAcceptSignal
from piggy.engine.standby import Warm
from piggy.engine.storage import Storage
from piggy.engine.witness import Witness
from piggy.messaging import lanes
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, running_engine, until
from tests.engine.ground import Ground
from tests.engine.test_engine import ask, open_desk
from tests.engine.test_journal import credited, pen
from tests.engine.test_shards import move


async def test_inv_27_who_was_overtaken_may_not_even_say_that_nothing_changes(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    old = await pen(ground, connect, shard, tenant)
    assert await old.append(rows={tenant: []}) == set()
    await pen(ground, connect, shard, tenant)
    with pytest.raises(UnableToWrite, match="old"):
        await old.append(rows={tenant: []})


async def test_inv_27_of_a_tenant_that_was_moved_nothing_is_confirmed(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    """Neither beside another's rows, on the second pen, nor by itself; and looking does not mean that there is room."""
    stays = ground.add_tenant(shard=shard)
    journal = await pen(ground, connect, shard, tenant, stays, second=await connect())
    journal._storage = storage = Storage()
    assert move(ground, schema=tenant, source=shard, target=f"{shard}-2")
    rows = [journal.chain(tenant=stays, recorded=credited(seq)) for seq in (1, 2)]
    both = (journal.append(rows={stays: [rows[0]], tenant: []}), journal.append(rows={tenant: [], stays: [rows[1]]}))
    assert await asyncio.gather(*both) == [{tenant}, {tenant}]
    storage.is_full = True
    assert await journal.append(rows={tenant: [], stays: []}) == {tenant}
    assert storage.is_full
    assert [row[0] for row in ground.log_rows(tenant=stays)] == [1, 2]


async def test_what_a_moved_tenants_old_engine_reads_is_left_for_the_new_one(
    ground: Ground, connect: Any, shard: str, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one has not noticed yet. An answered order, asked again, and what would change nothing: both wait."""
    client, wire = Client(redis_url=ground.services.redis_url), redis.Redis.from_url(ground.services.redis_url)
    known, idle = envelope(buy()), envelope(cmd.ReportConnection(account_id="anna", connected=True))

    def waiting() -> int:
        return sum(int(wire.xlen(key)) for key in lanes.keys(tenant=tenant))

    with monkeypatch.context() as patch:
        patch.setattr(term, "TENANTS_S", 60)
        async with running_engine(ground, shard) as running:
            await open_desk(client, tenant)
            assert (await ask(client, tenant, known)).order is not None
            assert not (await ask(client, tenant, idle)).refused
            assert await asyncio.to_thread(move, ground, schema=tenant, source=shard, target=f"{shard}-2")
            client.tell_all(tenant=tenant, envelopes=[known, idle])
            await asyncio.sleep(0.3)
            assert waiting() == 2
            # Whoever still comes to the old door, before it has noticed or after, comes again.
            door = Door(term=running, config=ground.config(shard=shard))
            assert door.tenant_of(host=f"{tenant}.localhost:8010") == tenant
            warm = Warm(config=ground.config(shard=shard), status=running.status, witness=Witness(home=tmp_path))
            assert await warm.tenants(connection=await connect()) == set()
            with pytest.raises(UnableToAcceptSignal, match="Another door") as caught:
                door.tenant_of(host=f"{tenant}.localhost:8010")
            assert caught.value.status == 503
            with pytest.raises(UnableToAcceptSignal, match="No such") as caught:
                door.tenant_of(host="nobody.localhost")
            assert caught.value.status == 404
    async with running_engine(ground, f"{shard}-2"):
        assert (await ask(client, tenant, known)).duplicate
        await until(lambda: waiting() == 0)
