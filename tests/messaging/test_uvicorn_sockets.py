"""INV-26: one screen's frames, however many and small, keep nobody else of the web process waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from piggy.local.programs import SOCKET_BYTES_MAX
from piggy.messaging.uvicorn_sockets import FRAMES_PER_S_MAX, TOO_MANY, FrameSockets

BYTES_MAX = int(SOCKET_BYTES_MAX)
MANY = FRAMES_PER_S_MAX + 50
ENDS_S_MAX = 60.0


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Of a server that says how long each message was."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": str(len(message["text"]))})

    config = uvicorn.Config(app, port=0, ws=FrameSockets, ws_max_size=BYTES_MAX, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    await task


async def pings(line: ClientConnection) -> None:
    for _ in range(MANY):
        await line.ping()


async def parts(line: ClientConnection) -> None:
    await line.send(["x"] * MANY)


async def nothing(line: ClientConnection) -> None:
    await line.send([""] * MANY)


async def messages(line: ClientConnection) -> None:
    for _ in range(MANY):
        await line.send("x")


@pytest.mark.parametrize("flood", [pings, parts, nothing, messages])
async def test_who_sends_frames_without_end_is_let_go(address: str, flood: Any) -> None:
    async with connect(address, ping_interval=None, compression=None, max_queue=None) as line:
        with pytest.raises(ConnectionClosed):
            # Without end: however slowly they come, some second has more of them than are taken.
            async with asyncio.timeout(ENDS_S_MAX):
                while True:
                    await flood(line)
                    # The server has its turn in the same loop.
                    await asyncio.sleep(0.01)
        assert line.close_code == TOO_MANY


@pytest.mark.parametrize("parts", [1, 20])
async def test_a_message_of_more_bytes_than_are_taken_ends_the_line_before_it_is_whole(
    address: str, parts: int
) -> None:
    async with connect(address, ping_interval=None, compression=None) as line:
        whole = "x" * BYTES_MAX
        await line.send(whole)
        assert await asyncio.wait_for(line.recv(), ENDS_S_MAX) == str(BYTES_MAX)
        size = BYTES_MAX // parts + 1
        with pytest.raises(ConnectionClosed):
            await line.send(["x" * size] * parts if parts > 1 else "x" * size)
            await asyncio.wait_for(line.recv(), ENDS_S_MAX)
        assert line.close_code == 1009


async def test_what_a_screen_says_passes_whole_in_whatever_frames(address: str) -> None:
    async with connect(address, ping_interval=None, compression=None) as line:
        for said in ("x" * 60_000, ["x" * 3_000] * 20, "x"):
            await line.send(said)
            assert await asyncio.wait_for(line.recv(), ENDS_S_MAX) == str(len("".join(said)))
        await asyncio.sleep(0)
        await (await line.ping())
