"""A screen that is gone when its line is to be closed (F-23)."""

from __future__ import annotations

from typing import Any

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
