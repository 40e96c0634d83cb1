"""F-08, F-29: a PostgreSQL that is stopped or cut off says nothing; an engine behind it steps down, and says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from piggy.core.answers import Answer
from piggy.engine import tape
from piggy.engine.lease import Lease
from piggy.engine.link import LAST_S_MAX, Link
from piggy.engine.loop import Item
from piggy.engine.term import RELEASE_S_MAX, _release
from tests.engine.conftest import buy, envelope, running, until
from tests.engine.ground import Ground

# As long as psycopg waits by itself for a server that is asked to stop, less what a busy machine may take.
AT_ONCE_S_MAX = 8
assert 2 + RELEASE_S_MAX + 2 * LAST_S_MAX < AT_ONCE_S_MAX / 2


class Relay:
    """Stands before a server; frozen, it takes what is sent and passes nothing on, as the kernel of a stopped one."""

    def __init__(self, *, url: str) -> None:
        self._to = urlsplit(url)
        self._goes = asyncio.Event()
        self._goes.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        user = self._to.netloc.rpartition("@")[0]
        self.url = urlunsplit(self._to._replace(netloc=f"{user}@127.0.0.1:{port}"))
        yield
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        self._goes.clear()

    def thaw(self) -> None:
        self._goes.set()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection(self._to.hostname, self._to.port)
        for source, target in ((reader, onward[1]), (onward[0], writer)):
            task = asyncio.create_task(self._pass_on(source, target))
            self._tasks.add(task)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self._goes.wait()
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


@pytest.fixture
async def relay(ground: Ground) -> AsyncIterator[Relay]:
    made = Relay(url=ground.services.database_url)
    async with made.standing():
        yield made


async def test_f_08_without_a_word_from_postgresql_an_engine_steps_down_within_its_lease(
    ground: Ground, shard: str, tenant: str, relay: Relay
) -> None:
    config = replace(ground.config(shard=shard), database_url=relay.url, lease_life_s=2)
    heard: list[Any] = []

    def ask(loop: Any) -> None:
        loop.submit(item=Item(tenant, envelope(buy()), heard.append))

    async with running(config) as term:
        loop = term.loop
        ask(loop)
        await until(lambda: heard)
        assert isinstance(heard.pop(), Answer)
        # Until the tape has nothing under way; what it still has to write must hold nobody up either.
        await asyncio.sleep(2 * tape.LOOK_S)
        relay.freeze()
        began_s = time.monotonic()
        ask(loop)
        await until(lambda: heard)
        assert heard.pop() is None, "nobody knows"
        # The term is not over yet, and its loop never goes on: who comes now hears the same, and at once (INV-26).
        ask(loop)
        assert heard.pop() is None
        await until(lambda: term.loop is None)
        assert time.monotonic() - began_s < AT_ONCE_S_MAX
        relay.thaw()
        await until(lambda: term.status.state == "ACTIVE")
        ask(term.loop)
        await until(lambda: heard)
        assert isinstance(heard.pop(), Answer)


async def test_who_is_cancelled_waits_for_what_is_done_and_keeps_the_line(relay: Relay) -> None:
    async with await Link.connect(relay.url, autocommit=True) as link:
        asked = asyncio.create_task(link.execute("SELECT pg_sleep(0.1)"))
        await asyncio.sleep(0.05)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await (await link.execute("SELECT 7")).fetchone() == (7,)


async def test_who_is_cancelled_leaves_a_line_that_says_nothing(relay: Relay) -> None:
    async with await Link.connect(relay.url, autocommit=True) as link:
        relay.freeze()
        began_s = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await link.execute("SELECT 7")
        assert time.monotonic() - began_s < AT_ONCE_S_MAX
        assert link.closed


async def test_a_lease_that_cannot_be_given_back_is_left_to_run_out(relay: Relay, shard: str) -> None:
    async with await Link.connect(relay.url, autocommit=True) as link:
        lease = Lease(connection=link, shard=shard, holder="here", life_s=3)
        await lease.acquire()
        relay.freeze()
        began_s = time.monotonic()
        await _release(lease)
        assert time.monotonic() - began_s < AT_ONCE_S_MAX
