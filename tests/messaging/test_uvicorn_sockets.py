"""INV-26: one screen's frames, however many and small, keep nobody else of the web process waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from piggy.messaging.uvicorn_sockets import FRAMES_PER_S_MAX, TOO_MANY, FrameSockets

MANY = FRAMES_PER_S_MAX + 50


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Of a server that says how long each message was."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": str(len(message["text"]))})

    server = uvicorn.Server(uvicorn.Config(app, port=0, ws=FrameSockets, lifespan="off", log_level="critical"))
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
    async with connect(address, ping_interval=None, compression=None) as line:
        with pytest.raises(ConnectionClosed):
            # Twice, as the second may turn while they come.
            for _ in range(2):
                await flood(line)
            while True:
                await asyncio.wait_for(line.recv(), 5)
        assert line.close_code == TOO_MANY


async def test_what_a_screen_says_passes_whole_in_whatever_frames(address: str) -> None:
    async with connect(address, ping_interval=None, compression=None) as line:
        for said in ("x" * 60_000, ["x" * 3_000] * 20, "x"):
            await line.send(said)
            assert await asyncio.wait_for(line.recv(), 5) == str(len("".join(said)))
        await asyncio.sleep(0)
        await (await line.ping())
