"""INV-11, INV-13: what an engine took and never acknowledged comes back whole, however much it is."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
import redis.asyncio
import redis.exceptions

from piggy.core import commands as cmd
from piggy.core.accounts import TradingState
from piggy.core.limits import HOUSE_LIMITS
from piggy.engine import intake
from piggy.engine.clock import Clock
from piggy.engine.intake import Intake
from piggy.engine.loop import Item
from piggy.engine.storage import Storage
from piggy.messaging import lanes, streams
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope
from tests.engine.ground import Ground


class Takes:
    """A loop that takes everything and does nothing of it; full from so many on."""

    def __init__(self, tenant: str, places: int) -> None:
        self.desks = {tenant: None}
        self.items: list[Item] = []
        self.is_holding = False
        self.storage = Storage()
        self.blameless: set[tuple[str, bytes]] = set()
        self._places = places

    def is_full(self, *, tenant: str, places: int) -> bool:
        return len(self.items) >= self._places

    def submit(self, *, item: Item) -> None:
        self.items.append(item)


def halted(name: str) -> cmd.Command:
    state = TradingState.ACTIVE if name == "older" else TradingState.HALTED
    return cmd.SetTradingState(scope="tenant", key="", state=state, reason=name, by="tess")


def limited(name: str) -> cmd.Command:
    return cmd.ConfigureLimits(group=name, limits=HOUSE_LIMITS)


@pytest.mark.parametrize(("places", "taken"), [(1_000, 7), (4, 4)])
async def test_inv_11_all_that_was_taken_and_not_acknowledged_comes_back_in_one_round_where_there_is_room(
    ground: Ground, tenant: str, monkeypatch: pytest.MonkeyPatch, places: int, taken: int
) -> None:
    """In its order, and before an asker gives up: pages of two, of which only the first once came each two seconds."""
    monkeypatch.setattr(intake, "READ_MAX", 2)
    client, key = Client(redis_url=ground.services.redis_url), streams.commands_key(tenant=tenant)
    sent = [envelope(buy()) for _ in range(7)]
    client.tell_all(tenant=tenant, envelopes=sent)
    async with redis.asyncio.Redis.from_url(ground.services.redis_url) as wire:
        await wire.xgroup_create(key, streams.ENGINE_GROUP, id="0", mkstream=True)
        await wire.xreadgroup(streams.ENGINE_GROUP, "before", {key: ">"})
        loop = Takes(tenant, places)
        claims = asyncio.create_task(
            Intake(
                connection=wire, loop=cast("Any", loop), clock=Clock(), shard="s", letters=cast("Any", None)
            ).read_commands()
        )
        await asyncio.sleep(intake.PENDING_IDLE_MS / 1_000 / 4)
        claims.cancel()
    assert [item.envelope.command_id for item in loop.items] == [each.command_id for each in sent[:taken]]


async def test_inv_11_what_one_before_took_is_decided_before_what_came_after_it(ground: Ground, tenant: str) -> None:
    """Else the older of two settings, or the end of a halt that came before it, would be the last word."""
    client, wanted = Client(redis_url=ground.services.redis_url), {}
    async with redis.asyncio.Redis.from_url(ground.services.redis_url) as wire:
        for kind in (halted, limited):
            before, after = envelope(kind("older")), envelope(kind("newer"))
            client.tell(tenant=tenant, envelope=before)
            key = lanes.key_of(tenant=tenant, command=before.command)
            await wire.xgroup_create(key, streams.ENGINE_GROUP, id="0", mkstream=True)
            await wire.xreadgroup(streams.ENGINE_GROUP, "s", {key: ">"})
            client.tell(tenant=tenant, envelope=after)
            wanted[type(after.command)] = [before.command_id, after.command_id]
        loop = Takes(tenant, 1_000)
        intake_of = Intake(connection=wire, loop=cast("Any", loop), clock=Clock(), shard="s", letters=cast("Any", None))
        work = [asyncio.create_task(intake_of.read_commands()), asyncio.create_task(intake_of.claim_pending())]
        async with asyncio.timeout(5):
            while len(loop.items) < 2 * len(wanted):
                await asyncio.sleep(0.01)
        for task in work:
            task.cancel()
    for kind, ids in wanted.items():
        assert [each.envelope.command_id for each in loop.items if type(each.envelope.command) is kind] == ids


async def test_inv_11_what_redis_counted_and_did_not_bring_was_not_delivered(
    ground: Ground, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim of which the answer is lost, again and again: nobody has tried the command, so it is no dead letter."""
    monkeypatch.setattr(intake, "RECONNECT_S", 0)
    client, key = Client(redis_url=ground.services.redis_url), streams.commands_key(tenant=tenant)
    client.tell(tenant=tenant, envelope=envelope(buy()))
    async with redis.asyncio.Redis.from_url(ground.services.redis_url) as wire:
        await wire.xgroup_create(key, streams.ENGINE_GROUP, id="0", mkstream=True)
        await wire.xreadgroup(streams.ENGINE_GROUP, "s", {key: ">"})
        claim, lost = wire.xclaim, []

        async def loses(*args: Any, **more: Any) -> Any:
            found = await claim(*args, **more)
            if len(lost) < 2 * intake.DELIVERIES_MAX:
                lost.append(more["retrycount"])
                raise redis.exceptions.ConnectionError("the answer was lost")
            return found

        monkeypatch.setattr(wire, "xclaim", loses)
        loop = Takes(tenant, 1_000)
        reads = asyncio.create_task(
            Intake(
                connection=wire, loop=cast("Any", loop), clock=Clock(), shard="s", letters=cast("Any", None)
            ).read_commands()
        )
        async with asyncio.timeout(5):
            while not loop.items:
                await asyncio.sleep(0.01)
        reads.cancel()
    assert lost == [2] * 2 * intake.DELIVERIES_MAX
    assert not loop.blameless
