"""What lives on is looked at once; a connection that ended is gone without anybody looking for it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

from piggy.engine import collector
from piggy.engine.connections import Connections
from piggy.engine.http import Connection
from piggy.engine.http_messages import Response


async def test_what_is_old_is_set_aside_and_given_back_at_the_end() -> None:
    before = gc.get_threshold()
    task = asyncio.create_task(collector.keep_young())
    await asyncio.sleep(0)
    assert gc.get_freeze_count() > 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


async def test_a_connection_that_ended_leaves_no_cycle_behind() -> None:
    def answer(_request: Any, respond: Any) -> None:
        respond(Response(200, b"{}"))

    loop = asyncio.get_running_loop()
    made: list[weakref.ref[Connection]] = []

    def protocol() -> Connection:
        connection = Connection(handler=answer, connections=connections)
        made.append(weakref.ref(connection))
        return connection

    connections = Connections()
    server = await loop.create_server(protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    gc.disable()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert await reader.readuntil(b"{}")
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(20):
            while any(connection() is not None for connection in made):
                await asyncio.sleep(0.01)
        assert len(made) == 1
    finally:
        gc.enable()
        server.close()
