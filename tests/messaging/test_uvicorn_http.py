"""The web process against who sends slowly or without end: its server alone would wait for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect

from piggy.messaging import uvicorn_http
from piggy.messaging.uvicorn_http import HEAD_BYTES_MAX, BoundedHttp
from piggy.messaging.uvicorn_sockets import FrameSockets

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
AT_ONCE = HEAD.replace(b" / ", b" /at-once ")


@pytest.fixture
async def port(monkeypatch: Any) -> AsyncIterator[int]:
    """A server that answers how many bytes came, a while after the last; it waits less long than in earnest."""
    monkeypatch.setattr(uvicorn_http, "HEAD_S_MAX", 1.0)
    monkeypatch.setattr(uvicorn_http, "BODY_S_MAX", 1.5)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await asyncio.sleep(2)
            await send({"type": "websocket.send", "text": "still here"})
            return
        came, more = 0, True
        while more:
            message = await receive()
            came, more = came + len(message.get("body", b"")), message.get("more_body", False)
        await asyncio.sleep(0 if scope["path"] == "/at-once" else 2)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"%9d" % came})

    config = uvicorn.Config(app, port=0, http=BoundedHttp, ws=FrameSockets, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def said(port: int, *parts: bytes, every_s: float = 0.0) -> tuple[bytes, float]:
    """Send the parts; return all that was answered until the end of the line, and after how many seconds it came."""
    began_s = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(every_s)

    sending = asyncio.create_task(send())
    try:
        answer = await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        answer = b""
    sending.cancel()
    writer.close()
    return answer, time.monotonic() - began_s


@pytest.mark.parametrize(
    "parts",
    [[], [b"POST / HT"], [HEAD, *[b"X: y\r\n"] * 99], [HEAD + b"Content-Length: 99\r\n\r\n", *[b"a"] * 90]],
    ids=["nothing", "half", "head", "body"],
)
async def test_who_sends_too_slowly_hears_408_and_is_let_go(port: int, parts: list[bytes]) -> None:
    answer, took_s = await said(port, *parts, every_s=0.05)
    assert answer == (uvicorn_http.TOO_SLOW if parts else b"") and took_s < 4


async def test_of_a_request_that_is_too_slow_nothing_is_said_in_the_midst_of_an_answer(port: int) -> None:
    answer, _ = await said(port, HEAD + b"Content-Length: 0\r\n\r\n", b"POST / HT", every_s=0.1)
    assert answer == b""


async def test_a_head_without_end_is_refused(port: int) -> None:
    endless = [b"a" * 8_192] * (HEAD_BYTES_MAX // 8_192 + 1)
    answer, _ = await said(port, HEAD + b"X: ", *endless, every_s=0.001)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_what_is_answered_slowly_is_waited_for_and_a_long_body_is_no_head(port: int) -> None:
    body = b"a" * (3 * HEAD_BYTES_MAX)
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    answer, took_s = await said(port, whole + HEAD + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and answer.endswith(b"\r\n\r\n        0")
    assert b"%9d" % len(body) in answer and took_s >= 3.5


async def test_a_whole_request_that_comes_in_one_part_is_no_head(port: int, monkeypatch: Any) -> None:
    """However large it is: a busy process reads a hundred kilobytes and more at once."""
    monkeypatch.setattr(uvicorn_http, "HEAD_BYTES_MAX", 500)
    answer, _ = await said(port, AT_ONCE + b"Connection: close\r\nContent-Length: 999\r\n\r\n" + b"a" * 999)
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"      999")


async def test_offers_one_behind_the_other_are_all_answered(port: int) -> None:
    many = (AT_ONCE + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n") * 600
    answer, _ = await said(port, many + AT_ONCE + b"Connection: close\r\n\r\n")
    assert answer.count(b"200 OK") == 601


@pytest.mark.parametrize("parts", [1, 1_000])
async def test_who_offers_another_protocol_besides_loses_no_body(port: int, parts: int) -> None:
    offer = AT_ONCE + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    whole = offer + b"Content-Length: 5\r\n\r\nabcde" + AT_ONCE + b"Connection: close\r\n\r\n"
    size = -(-len(whole) // parts)
    answer, _ = await said(port, *(whole[at : at + size] for at in range(0, len(whole), size)))
    assert answer.count(b"200 OK") == 2 and b"\r\n\r\n        5HTTP" in answer and answer.endswith(b"        0")


async def test_a_socket_is_handed_over_and_not_let_go(port: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}/") as socket:
        assert await socket.recv() == "still here"


async def test_a_tunnel_and_what_is_no_http_are_refused(port: int) -> None:
    for wrong in (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HEAD + b"X : y\r\n\r\n"):
        answer, _ = await said(port, wrong)
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1


async def test_an_empty_line_after_an_answer_keeps_no_place(port: int) -> None:
    """The server's own wait for the next request ends with it."""
    answer, took_s = await said(port, AT_ONCE + b"\r\n", b"\r\n", every_s=0.5)
    assert answer.count(b"200 OK") == 1 and took_s < 4
