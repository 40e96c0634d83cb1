"""What must reach a venue is put on its stream again, whatever waits for another venue in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
import redis.asyncio

from piggy.core.orders import Side
from piggy.core.state import State
from piggy.engine import dispatch
from piggy.engine.dispatch import Dispatch
from piggy.messaging import codec, streams
from tests.engine.ground import Ground


class Asked:
    """A desk as far as it is asked here: cancels that no venue has answered, oldest first."""

    def __init__(self, *, cancels: Sequence[codec.CancelChild]) -> None:
        self.cancels = cancels
        self.state = State(tenant="asked")

    def unsent_children(self) -> tuple[Any, ...]:
        return ()

    def unanswered_cancels(self) -> Sequence[codec.CancelChild]:
        return self.cancels


def cancel(venue: str, number: int) -> codec.CancelChild:
    return codec.CancelChild(
        order_id=f"O{number}",
        cl_ord_id=f"O{number}-{venue}-1",
        venue=venue,
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(1),
    )


async def nothing() -> None:
    """All that was decided is committed."""


async def test_inv_13_a_venue_that_is_away_keeps_no_others_orders_from_being_put_again(
    ground: Ground, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was emptied after a kill: more cancels than one round takes are for a venue that will answer none."""
    monkeypatch.setattr(dispatch, "PUT_AGAIN_S", 0.01)
    monkeypatch.setattr(dispatch, "PUT_AGAIN_MAX", 20)
    wire = redis.asyncio.Redis.from_url(ground.services.redis_url)
    cancels = [*(cancel("LP1", number) for number in range(50)), cancel("LP2", 50)]
    desks: Any = {tenant: Asked(cancels=cancels)}
    sender = Dispatch(connection=wire, desks=desks, settled=nothing)
    running = asyncio.create_task(sender.put_again())
    keys = [streams.venue_key(tenant=tenant, venue=venue) for venue in ("LP1", "LP2")]
    try:
        async with asyncio.timeout(5):
            while [await wire.xlen(key) for key in keys] != [50, 1]:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert [await wire.xlen(key) for key in keys] == [50, 1], "once each"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await wire.aclose()
