"""An engine behind the Redis of another installation takes none of its orders."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis

from piggy.engine.clock import Clock
from piggy.engine.status import Status
from piggy.engine.term import Term, serve
from piggy.messaging import installation
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, running_engine, until
from tests.engine.ground import Ground
from tests.engine.test_engine import open_desk


@pytest.fixture
def server(ground: Ground) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(ground.services.redis_url) as client:
        client.delete(installation.KEY)
        yield client
        client.delete(installation.KEY)


async def test_what_is_on_anothers_streams_stays_there(
    ground: Ground, shard: str, tenant: str, server: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    server.set(installation.KEY, "another")
    client = Client(redis_url=ground.services.redis_url)
    client.tell(tenant=tenant, envelope=envelope(buy("0.01")))
    term = Term(config=ground.config(shard=shard), clock=Clock(), status=Status())
    serving = asyncio.create_task(serve(term=term))
    await until(lambda: any(record.msg == "term ended" for record in caplog.records), task=serving)
    assert term.loop is None
    assert term.status.token == 0, "who must not serve keeps no other from it"
    assert server.xinfo_groups(f"{{{tenant}}}:commands") == []
    # Emptied, it is another's all the same: who began with it comes first.
    server.flushall()
    await asyncio.sleep(1)
    assert term.loop is None and server.get(installation.KEY) is None
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_an_engine_that_serves_lets_go_of_a_redis_that_became_anothers_and_comes_back(
    ground: Ground, shard: str, tenant: str, server: redis.Redis
) -> None:
    client = Client(redis_url=ground.services.redis_url)
    async with running_engine(ground, shard) as term:
        await open_desk(client, tenant)
        ours = server.get(installation.KEY)
        assert isinstance(ours, bytes)
        server.set(installation.KEY, "another")
        await until(lambda: term.loop is None)
        assert term.status.state != "ACTIVE"
        server.set(installation.KEY, ours)
        await until(lambda: term.status.state == "ACTIVE")
        server.flushall()
        await until(lambda: server.get(installation.KEY) == ours)
        assert term.status.state == "ACTIVE"
