"""F-24: a message that nobody could carry out leaves its stream when it is kept: so it is on the disk, and once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from piggy.engine.context import TenantContext
from piggy.engine.dead_letters import DeadLetters
from tests.engine.ground import Ground


async def test_f_24_a_dead_letter_is_on_the_disk_and_there_once_however_often_it_is_buried(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role is set not to wait for its disk."""
    config, waits, enter = ground.config(shard=shard), list[str](), TenantContext.enter

    async def look_and_enter(self: TenantContext, *, tenant: str) -> None:
        ((found,),) = await (await self._connection.execute("SHOW synchronous_commit")).fetchall()
        waits.append(found)
        await enter(self, tenant=tenant)

    monkeypatch.setattr(TenantContext, "enter", look_and_enter)
    letters = DeadLetters(
        config=replace(config, database_url=f"{config.database_url}?options=-csynchronous_commit%3Doff")
    )
    told: dict[str, Any] = {"stream": "s", "entry": "7-0", "payload": b"x", "reason": "never", "deliveries": 5}
    for _ in range(2):
        await letters.bury(tenant=tenant, **told)
    assert waits == ["on", "on"]
    assert ground.dead_letters(tenant=tenant) == [(b"x", "never", 5)]
