"""A child order whose stream entry is gone is put again, as old as it is: a worker refuses what waited too long."""

from __future__ import annotations

import asyncio

import redis.asyncio

from piggy.core.commands import CancelOrder
from piggy.core.orders import Side
from piggy.engine.dispatch import Dispatch
from piggy.messaging.codec import CancelChild
from piggy.messaging.subscriber import Delivery, VenueOrders
from tests.core.floor import SECOND_US, Floor
from tests.engine.conftest import until
from tests.engine.ground import Ground


async def nothing_is_on_its_way() -> None:
    """All is committed."""


async def test_an_order_that_is_put_again_says_when_it_was_made(ground: Ground, tenant: str) -> None:
    """F-05, INV-13: after an hour without Redis, or without an engine, it would be sent at prices of an hour ago."""
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    made_at_us = floor.now_us
    floor.now_us += 3_600 * SECOND_US
    floor.do(CancelOrder(order_id=leg.order_id, account_id="a1", reason="client"))
    url = ground.services.redis_url
    wire, orders = (
        redis.asyncio.Redis.from_url(url),
        VenueOrders(redis_url=url, tenant=tenant, venue=leg.venue, consumer="w"),
    )
    found: list[Delivery] = []

    def are_there() -> bool:
        found.extend(orders.read(block_ms=1))
        return len(found) == 2

    task = asyncio.create_task(
        Dispatch(connection=wire, desks={tenant: floor.desk}, settled=nothing_is_on_its_way).put_again()
    )
    try:
        await until(are_there)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await wire.aclose()
    order, cancel = found
    assert (order.order, order.asked_at_us) == (leg, made_at_us)
    assert isinstance(cancel.order, CancelChild)
