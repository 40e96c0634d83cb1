"""Overload is refused and never dropped in silence, and a kill comes through it (INV-26)."""

from __future__ import annotations

import asyncio
import os
import time
import uuid

import pytest

from piggy.bench.callers import offer, requests
from piggy.core import commands as cmd
from piggy.core.accounts import Account, Strategy, TradingState
from piggy.core.clearance import Permissions
from piggy.messaging.client import Client
from tests.engine.conftest import envelope, opening_commands
from tests.engine.ground import Ground
from tests.engine.test_edge import Door

# A nightly run asks for more of both; these end within seconds on any machine.
SECONDS = float(os.environ.get("PIGGY_OVERLOAD_S", "2"))
STRATEGIES = 20
KILL_MS_MAX = 500


@pytest.fixture
def door(ground: Ground) -> Door:
    shard = f"shard-{uuid.uuid4().hex[:8]}"
    return Door(ground, ground.add_tenant(shard=shard), shard)


async def test_inv_26_every_request_is_answered_and_a_kill_does_not_queue(ground: Ground, door: Door) -> None:
    await asyncio.to_thread(
        door.start,
        PIGGY_SIGNALS_WAITING_MAX="20",
        PIGGY_STRATEGY_SIGNALS_PER_S_MAX="0",
        PIGGY_TENANT_SIGNALS_PER_S_MAX="0",
    )
    client = Client(redis_url=ground.services.redis_url)
    try:
        commands: list[cmd.AnyCommand] = [*opening_commands()]
        for number in range(STRATEGIES):
            account = Account(account_id=f"c{number}", group="retail", owner_id=f"c{number}", currency="USD")
            commands.append(cmd.ConfigureAccount(account=account, clearance=Permissions.granted()))
            strategy = Strategy(strategy_id=f"s{number}", account_id=f"c{number}")
            commands.append(cmd.ConfigureStrategy(strategy=strategy))
        for command in commands:
            assert await asyncio.to_thread(client.ask, tenant=door.tenant, envelope=envelope(command), wait_s=10)
        batch = requests(
            key=ground.signal_key,
            tenant=door.tenant,
            host=f"{door.tenant}.localhost",
            strategies=STRATEGIES,
            label="storm",
            count=int(20_000 * SECONDS),
        )
        storm = asyncio.create_task(
            offer(port=door.port, connections=16, depth=32, batch=batch, per_s=0, seconds=SECONDS)
        )
        await asyncio.sleep(SECONDS / 2)
        took_ms = []
        for _ in range(5):
            kill = cmd.SetTradingState(scope="tenant", key="", state=TradingState.KILLED, reason="storm", by="tess")
            began = time.monotonic()
            assert await asyncio.to_thread(client.ask, tenant=door.tenant, envelope=envelope(kill), wait_s=30)
            took_ms.append((time.monotonic() - began) * 1_000)
        tally = await storm
    finally:
        await asyncio.to_thread(door.stop)
    answered = sum(tally.statuses.values())
    assert set(tally.statuses) == {b"422", b"503"}, "decided (there is no price, so denied) or told to come again"
    assert len(tally.latencies_ms) + tally.errors == answered, "nobody waits for ever"
    # Who queues does so each time; a machine busy with other tests holds one up now and then.
    assert sorted(took_ms)[1] <= KILL_MS_MAX, took_ms
