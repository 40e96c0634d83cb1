"""A screen that is gone when its line is to be closed (F-23)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apps.dealing.consumers import hub as hubs
from apps.dealing.consumers.socket import DeskConsumer


async def test_who_is_gone_already_leaves_the_others_their_lines(monkeypatch: Any) -> None:
    """One error here would end the hub's look at everybody's sessions, and with it every dealer's line."""
    left: list[Any] = []

    async def close(code: int) -> None:
        raise ConnectionResetError("the other end is gone")

    async def leave(*, hub: Any, member: Any) -> None:
        left.append((hub, member))

    monkeypatch.setattr(hubs, "leave", leave)
    consumer = DeskConsumer()
    consumer.tenant, consumer.writer, consumer.hub = "acorn", None, "the hub"
    monkeypatch.setattr(consumer, "close", close)
    await consumer.hang_up(hubs.CODE_SLOW)
    assert left == [("the hub", consumer)]


@pytest.mark.parametrize("of_the_hub", [True, False])
async def test_the_last_line_that_is_hung_up_ends_its_hub_whoever_does_it(
    monkeypatch: pytest.MonkeyPatch, of_the_hub: bool
) -> None:
    """The hub's own look at its lines ends it as the last reader does: else its line to Redis stays, read by nobody."""
    closed, asked = asyncio.Event(), asyncio.Event()

    class Feed:
        def __init__(self, **_: Any) -> None:
            self.frames = self._frames

        async def _frames(self) -> Any:
            yield None
            await asyncio.Event().wait()

        async def snapshot(self, **_: Any) -> None:
            return None

        async def close(self) -> None:
            closed.set()

    async def nobody(tenant: str, keys: set[str]) -> set[str]:
        asked.set()
        return set()

    async def close(code: int) -> None:
        return None

    monkeypatch.setattr(hubs, "DeskFeed", Feed)
    monkeypatch.setattr(hubs, "seated_sessions", nobody)
    monkeypatch.setattr(hubs, "RECHECK_S", 0.05 if of_the_hub else 60)
    consumer = DeskConsumer()
    consumer.tenant, consumer.writer, consumer.session_key = "acorn", None, "gone"
    monkeypatch.setattr(consumer, "close", close)
    consumer.hub, _ = await hubs.join(tenant="acorn", member=consumer)
    tasks = consumer.hub._tasks
    if not of_the_hub:
        await consumer.hang_up(hubs.CODE_SLOW)
    await asyncio.wait_for(closed.wait(), 60)
    assert asked.is_set() is of_the_hub
    assert all(task.done() for task in tasks)


async def test_a_broker_has_one_hub_from_the_first_screen_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would hear and fold every frame; and who leaves late ends no hub but the one that he was of."""
    told: list[str] = []

    class Hub:
        def __init__(self, *, tenant: str) -> None:
            self.tenant, self.name = tenant, f"{tenant} {len(told)}"
            self.groups: list[Any] = []
            self.members: set[Any] = set()
            told.append(f"{self.name} begins")

        def seat(self, member: Any) -> None:
            self.members.add(member)
            self.groups = [self]

        async def ready(self) -> None:
            return None

        async def stop(self) -> None:
            told.append(f"{self.name} ends")

    monkeypatch.setattr(hubs, "Hub", Hub)
    one, two, late = object(), object(), object()
    first, _ = await hubs.join(tenant="acorn", member=one)
    assert (await hubs.join(tenant="acorn", member=two))[0] is first
    assert (await hubs.join(tenant="birch", member=late))[0] is not first
    await hubs.leave(hub=first, member=one)
    assert told == ["acorn 0 begins", "birch 1 begins"]
    await hubs.leave(hub=first, member=two)
    second, _ = await hubs.join(tenant="acorn", member=one)
    assert told[2:] == ["acorn 0 ends", "acorn 3 begins"]
    await hubs.leave(hub=first, member=two)
    assert (await hubs.join(tenant="acorn", member=two))[0] is second
    for member in (one, two):
        await hubs.leave(hub=second, member=member)
    assert told[4:] == ["acorn 3 ends"]
