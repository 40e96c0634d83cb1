"""INV-28: an engine is ACTIVE only after its venues are reconciled; one that is down holds nobody back for ever."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from msgspec import structs

from piggy.core.market import VenueStatus
from piggy.core.orders import OrderState
from piggy.engine.clock import Clock
from piggy.engine.edge import Edge
from piggy.engine.http_messages import Request
from piggy.engine.status import Status
from piggy.engine.term import Term, serve
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, opening_commands, running_engine, until
from tests.engine.ground import Ground
from tests.engine.market import quotes


def said(unreconciled: int) -> list[Any]:
    return [
        structs.replace(each, unreconciled=unreconciled) if isinstance(each, VenueStatus) else each for each in quotes()
    ]


async def test_new_risk_waits_until_the_worker_knows_what_became_of_its_orders(
    ground: Ground, shard: str, tenant: str
) -> None:
    client = Client(redis_url=ground.services.redis_url)

    async def ask(command: Any, wait_s: float = 10) -> Any:
        return await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(command), wait_s=wait_s)

    async def hear(unreconciled: int) -> None:
        await asyncio.to_thread(client.publish_market_data, tenant=tenant, batch=said(unreconciled))

    async with running_engine(ground, shard):
        for command in opening_commands():
            assert await ask(command)
    term = Term(
        config=replace(ground.config(shard=shard, holder="next"), reconcile_ms_max=20_000),
        clock=Clock(),
        status=Status(),
    )
    task = asyncio.create_task(serve(term=term))
    try:
        await until(lambda: term.status.venues == 1, task=task)
        order = asyncio.create_task(ask(buy("0.10")))
        await hear(1)
        assert await ask(opening_commands()[-1]), "what brings no risk is done"
        assert (term.status.state, term.status.unreconciled) == ("RECOVERING", [f"{tenant}/LP1"])
        page = told(term, ground, shard)
        assert page["venues"] == {"reconciled": 0, "of": 1, "closed_for_entry": [f"{tenant}/LP1"]}
        assert not order.done()
        # The first status may have come before the engine listened.
        await until_active(term, hear)
        assert (await order).order is not None
        assert told(term, ground, shard)["venues"]["reconciled"] == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_venue_that_is_silent_stays_closed_while_all_else_goes_on(
    ground: Ground, shard: str, tenant: str
) -> None:
    client = Client(redis_url=ground.services.redis_url)

    async def ask(command: Any) -> Any:
        return await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(command), wait_s=10)

    async with running_engine(ground, shard):
        for command in opening_commands():
            assert await ask(command)
    async with running_engine(ground, shard, holder="next") as term:
        assert term.status.unreconciled == [f"{tenant}/LP1"]
        answer = await ask(buy("0.10"))
        assert answer.order.state is OrderState.DENIED, "decided, though nobody quotes"
        for _ in range(100):
            await asyncio.to_thread(client.publish_market_data, tenant=tenant, batch=said(0))
            if not term.loop.desks[tenant].entry.closed:
                break
            await asyncio.sleep(0.05)
        await until(lambda: term.status.unreconciled == [])


async def until_active(term: Term, hear: Any) -> None:
    for _ in range(200):
        await hear(0)
        if term.status.state == "ACTIVE":
            return
        await asyncio.sleep(0.05)
    raise AssertionError(term.status.state)


def told(term: Term, ground: Ground, shard: str) -> Any:
    """What /readyz says."""
    heard: list[Any] = []
    edge = Edge(term=term, config=ground.config(shard=shard))
    request = Request(method="GET", path="/readyz", headers={}, body=b"", address="127.0.0.1")
    edge.handle(request, heard.append)
    return json.loads(heard[0].body)
