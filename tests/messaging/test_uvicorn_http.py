"""The web process against who sends slowly or without end: its server alone would wait for ever.

Its limits are hours here, and a test says when one is over: a machine that pauses is no slow client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
import uvicorn
from websockets.asyncio.client import connect

from piggy.messaging import uvicorn_http
from piggy.messaging.uvicorn_http import HEAD_BYTES_MAX, BoundedHttp
from piggy.messaging.uvicorn_sockets import FrameSockets

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
AT_ONCE = HEAD.replace(b" / ", b" /at-once ")
HEAD_S, BODY_S, ENDS_S_MAX = 3_600.0, 7_200.0, 60.0


class Server(NamedTuple):
    """Where it listens, its lines in the order in which they came, and what lets it answer."""

    port: int
    lines: list[Any]
    may_answer: asyncio.Event


@pytest.fixture
async def server(monkeypatch: Any) -> AsyncIterator[Server]:
    """It answers how many bytes came, at once or when it may."""
    monkeypatch.setattr(uvicorn_http, "HEAD_S_MAX", HEAD_S)
    monkeypatch.setattr(uvicorn_http, "BODY_S_MAX", BODY_S)
    lines: list[Any] = []
    may_answer = asyncio.Event()

    class Line(BoundedHttp):
        came = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            lines.append(self)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.came += len(data)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await may_answer.wait()
            await send({"type": "websocket.send", "text": "still here"})
            return
        came, more = 0, True
        while more:
            message = await receive()
            came, more = came + len(message.get("body", b"")), message.get("more_body", False)
        if scope["path"] != "/at-once":
            await may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"%9d" % came})

    config = uvicorn.Config(
        app, port=0, http=Line, ws=FrameSockets, lifespan="off", log_level="critical", timeout_keep_alive=3_600
    )
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    while not running.started:
        await asyncio.sleep(0.01)
    yield Server(running.servers[0].sockets[0].getsockname()[1], lines, may_answer)
    may_answer.set()
    running.should_exit = True
    await task


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(ENDS_S_MAX):
        while not condition():
            await asyncio.sleep(0.001)


class Caller:
    """One connection, and the server's end of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Any) -> None:
        self.line, self._reader, self._writer, self._sent = line, reader, writer, 0

    async def say(self, part: bytes) -> None:
        """Send, and wait until the server has read it: who writes to a line that was closed loses its last words."""
        self.write(part)
        await until(lambda: self.line.came == self._sent)

    def write(self, part: bytes) -> None:
        self._writer.write(part)
        self._sent += len(part)

    async def hear(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self._reader.readuntil(end), ENDS_S_MAX)

    async def hear_out(self) -> bytes:
        """Return all that is said until the end of the line."""
        answer = await asyncio.wait_for(self._reader.read(), ENDS_S_MAX)
        self._writer.close()
        return answer

    def time_is_up(self) -> None:
        due = self.line._due
        assert due is not None and not due.cancelled(), "something is expected"
        due.cancel()
        self.line._let_go()


async def call(server: Server) -> Caller:
    known = len(server.lines)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await until(lambda: len(server.lines) > known)
    return Caller(reader, writer, server.lines[known])


async def said(server: Server, *parts: bytes) -> bytes:
    """Send the parts, of which only the last may end the line; return all that was answered."""
    caller = await call(server)
    for part in parts:
        await caller.say(part)
    return await caller.hear_out()


@pytest.mark.parametrize("part", [b"", b"POST / HT", HEAD + b"Content-Length: 9\r\n\r\na"], ids=["no", "head", "body"])
async def test_who_says_nothing_more_is_let_go_by_the_clock(server: Server, part: bytes, monkeypatch: Any) -> None:
    caller = asyncio.create_task(call(server))
    if part:
        # The line is there before time runs, so that what begins a request is not late already.
        await caller
    monkeypatch.setattr(uvicorn_http, "HEAD_S_MAX", 0.1)
    monkeypatch.setattr(uvicorn_http, "BODY_S_MAX", 0.1)
    await (await caller).say(part)
    assert await caller.result().hear_out() == (uvicorn_http.TOO_SLOW if part else b"")


@pytest.mark.parametrize(
    ("begun", "part", "limit_s"),
    [(HEAD, b"X: y\r\n", HEAD_S), (HEAD + b"Content-Length: 99\r\n\r\n", b"a", BODY_S)],
    ids=["head", "body"],
)
async def test_who_sends_too_slowly_hears_408_and_is_let_go(
    server: Server, begun: bytes, part: bytes, limit_s: float
) -> None:
    caller, loop = await call(server), asyncio.get_running_loop()
    began_s = loop.time()
    await caller.say(begun)
    due = caller.line._due
    assert began_s <= due.when() - limit_s <= loop.time()
    for _ in range(20):
        await caller.say(part)
        assert caller.line._due is due, "what comes drop by drop has no more time"
    caller.time_is_up()
    assert await caller.hear_out() == uvicorn_http.TOO_SLOW


async def test_of_a_request_that_is_too_slow_nothing_is_said_in_the_midst_of_an_answer(server: Server) -> None:
    caller = await call(server)
    await caller.say(HEAD + b"Content-Length: 0\r\n\r\n")
    await caller.say(b"POST / HT")
    caller.time_is_up()
    assert await caller.hear_out() == b""


async def test_a_head_without_end_is_refused(server: Server) -> None:
    begun = HEAD + b"X: "
    answer = await said(server, begun, b"a" * (HEAD_BYTES_MAX - len(begun)), b"a")
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_what_is_answered_slowly_is_waited_for_and_a_long_body_is_no_head(server: Server) -> None:
    body = b"a" * (3 * HEAD_BYTES_MAX)
    caller = await call(server)
    await caller.say(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert caller.line._due is None, "nothing is expected of who waits for his answer"
    # It may be read only after the answer to the first.
    caller.write(HEAD + b"Connection: close\r\n\r\n")
    server.may_answer.set()
    answer = await caller.hear_out()
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and answer.endswith(b"\r\n\r\n        0")
    assert b"%9d" % len(body) in answer


async def test_a_whole_request_that_comes_in_one_part_is_no_head(server: Server, monkeypatch: Any) -> None:
    """However large it is: a busy process reads a hundred kilobytes and more at once."""
    monkeypatch.setattr(uvicorn_http, "HEAD_BYTES_MAX", 500)
    answer = await said(server, AT_ONCE + b"Connection: close\r\nContent-Length: 999\r\n\r\n" + b"a" * 999)
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"      999")


async def test_offers_one_behind_the_other_are_all_answered(server: Server) -> None:
    many = (AT_ONCE + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n") * 600
    answer = await said(server, many + AT_ONCE + b"Connection: close\r\n\r\n")
    assert answer.count(b"200 OK") == 601


@pytest.mark.parametrize("parts", [1, 1_000])
async def test_who_offers_another_protocol_besides_loses_no_body(server: Server, parts: int) -> None:
    offer = AT_ONCE + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    whole = offer + b"Content-Length: 5\r\n\r\nabcde" + AT_ONCE + b"Connection: close\r\n\r\n"
    size = -(-len(whole) // parts)
    answer = await said(server, *(whole[at : at + size] for at in range(0, len(whole), size)))
    assert answer.count(b"200 OK") == 2 and b"\r\n\r\n        5HTTP" in answer and answer.endswith(b"        0")


async def test_a_socket_is_handed_over_and_not_let_go(server: Server) -> None:
    async with connect(f"ws://127.0.0.1:{server.port}/") as socket:
        assert server.lines[0]._is_handed_over and server.lines[0]._due is None
        server.may_answer.set()
        assert await socket.recv() == "still here"


async def test_a_tunnel_and_what_is_no_http_are_refused(server: Server) -> None:
    for wrong in (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HEAD + b"X : y\r\n\r\n"):
        answer = await said(server, wrong)
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1


async def test_an_empty_line_after_an_answer_keeps_no_place(server: Server) -> None:
    """The server's own wait for the next request ends with it."""
    caller = await call(server)
    await caller.say(AT_ONCE + b"\r\n")
    assert (await caller.hear(b"\r\n\r\n        0")).count(b"200 OK") == 1
    assert caller.line._due is None
    await caller.say(b"\r\n")
    caller.time_is_up()
    assert await caller.hear_out() == b""
