"""INV-11, INV-13: what an engine took and never acknowledged comes back whole, however much it is."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
import redis.asyncio

from piggy.engine import intake
from piggy.engine.clock import Clock
from piggy.engine.intake import Intake
from piggy.engine.loop import Item
from piggy.engine.storage import Storage
from piggy.messaging import streams
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
            ).claim_pending()
        )
        await asyncio.sleep(intake.PENDING_IDLE_MS / 1_000 / 4)
        claims.cancel()
    assert [item.envelope.command_id for item in loop.items] == [each.command_id for each in sent[:taken]]
