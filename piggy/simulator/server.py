"""A small venue on a real socket, in one asyncio loop on a thread of its own; most speak HTTP and WebSockets."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from aiohttp import WSMsgType, web

from piggy.core.money import plain
from piggy.simulator.config import LpConfig, SymbolConfig
from piggy.simulator.exchange import DepthChange, Exchange
from piggy.simulator.faults import Fault, Faults
from piggy.simulator.venue import Report

START_S_MAX = 10.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SocketServer(ABC):
    """Base of every venue's server: how it listens and speaks is a subclass's, what happens is the exchange's."""

    kind = ""

    def __init__(
        self,
        *,
        symbols: tuple[SymbolConfig, ...],
        home: Path,
        key: str = "key",
        secret: str = "secret",
        config: LpConfig | None = None,
        port: int = 0,
    ) -> None:
        self.faults = Faults()
        config = config or LpConfig(name=self.kind.upper() or "VENUE", depth=10, quotes_per_s=10)
        self.exchange = Exchange(config=config, symbols=symbols, home=home, faults=self.faults)
        self.exchange.on_reports = self._on_reports
        self.key, self.secret, self.port = key, secret, port
        self.requests: list[str] = []
        self.streams_opened = 0
        self._feeding = threading.Event()
        self._moving = asyncio.Lock()
        self._away = False
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"{self.kind}-server", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        """Listen on loopback; the port is `port`."""
        self._feeding.set()
        self._thread.start()
        assert self._started.wait(START_S_MAX), "the server did not start"
        return self

    def stop(self) -> None:
        """Close everything."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S_MAX)
        self.exchange.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def pause(self) -> None:
        """Let no book move until `resume`."""
        self._feeding.clear()

    def resume(self) -> None:
        """Let books move again."""
        self._feeding.set()

    def step(self) -> None:
        """Move every book once, paused or not, and tell."""
        asyncio.run_coroutine_threadsafe(self._feed_once(paused_too=True), self._loop).result(START_S_MAX)

    def cut(self) -> None:
        """Break every stream; they may come back at once."""
        asyncio.run_coroutine_threadsafe(self.hang_up(), self._loop).result(START_S_MAX)

    def go_away(self) -> None:
        """Break every stream and refuse everything until `come_back`."""
        self._away = True
        self.cut()

    def come_back(self) -> None:
        """End the outage."""
        self._away = False

    @abstractmethod
    async def listen(self) -> Callable[[], Awaitable[None]]:
        """Open the port and set `port`; return what closes it."""

    @abstractmethod
    async def hang_up(self) -> None:
        """Break every connection."""

    @abstractmethod
    async def show_depth(self, change: DepthChange) -> None:
        """Tell subscribers of a changed book."""

    @abstractmethod
    async def show_report(self, report: Any) -> None:
        """Tell the user stream of a report."""

    async def skip_depth(self, change: DepthChange) -> None:  # noqa: B027
        """Keep a change to itself; a venue that notices such a thing says so."""

    def noted(self, report: Report) -> Any:
        """Return what `show_report` will be given; called in the order of the facts, before anybody hears."""
        return report

    def _on_reports(self, reports: list[Report]) -> None:
        noted = [self.noted(report) for report in reports]
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._spread, noted)

    def _spread(self, reports: list[Any]) -> None:
        async def one_after_another() -> None:
            for report in reports:
                if self.faults.take(Fault.MUTE_EVENT):
                    continue
                await self.show_report(report)
                if self.faults.take(Fault.REPEAT_EVENT):
                    await self.show_report(report)

        task = self._loop.create_task(one_after_another())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _feed_once(self, *, paused_too: bool) -> None:
        # A round under way when somebody pauses ends before the step that he asks for, and none comes after it.
        async with self._moving:
            if not (paused_too or self._feeding.is_set()):
                return
            for symbol in self.exchange.symbols:
                change = self.exchange.step(symbol=symbol)
                if self.faults.take(Fault.SKIP_DEPTH):
                    await self.skip_depth(change)
                else:
                    await self.show_depth(change)
                    if self.faults.take(Fault.REPEAT_DEPTH):
                        await self.show_depth(change)

    async def _feed(self) -> None:
        while True:
            await asyncio.sleep(1 / self.exchange.config.quotes_per_s)
            await self._feed_once(paused_too=False)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        close = await self.listen()
        feed = self._loop.create_task(self._feed())
        self._started.set()
        await self._stop.wait()
        feed.cancel()
        await self.hang_up()
        await close()


class VenueServer(SocketServer):
    """A venue that speaks HTTP, WebSockets and endless lines."""

    def __init__(self, **names: Any) -> None:
        super().__init__(**names)
        self._sockets: set[Any] = set()

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Return what this venue answers."""

    async def listen(self) -> Callable[[], Awaitable[None]]:
        """Listen for HTTP."""
        app = web.Application(middlewares=[self._gate])
        app.add_routes(self.routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self.port or int(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
        return runner.cleanup

    async def hang_up(self) -> None:
        """Break every connection."""
        for socket in list(self._sockets):
            request = getattr(socket, "_req", None)
            if request is not None and request.transport is not None:
                request.transport.abort()
        self._sockets.clear()

    async def send(self, socket: Any, text: str) -> None:
        """Send one text on a socket or a line stream; one that is gone is forgotten."""
        try:
            if isinstance(socket, web.WebSocketResponse):
                await socket.send_str(text)
            else:
                await socket.write(text.encode() + b"\n")
        except (ConnectionError, RuntimeError):
            self._sockets.discard(socket)

    async def keep_socket(
        self, request: web.Request, on_text: Callable[[web.WebSocketResponse, str], Coroutine[Any, Any, None]]
    ) -> web.WebSocketResponse:
        """Accept a WebSocket and hear it until it ends."""
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        self._sockets.add(socket)
        self.streams_opened += 1
        await on_text(socket, "")
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                data = message.data
                await on_text(socket, data if isinstance(data, str) else data.decode())
        self._sockets.discard(socket)
        return socket

    async def keep_lines(self, request: web.Request) -> web.StreamResponse:
        """Begin an endless answer of lines."""
        lines = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await lines.prepare(request)
        self._sockets.add(lines)
        self.streams_opened += 1
        return lines

    def broken(self, request: web.Request) -> web.Response:
        """Break the connection under a request; the answer is never sent."""
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        if self._away or (_places(request) and self.faults.take(Fault.CUT_BEFORE)):
            return self.broken(request)
        if _places(request) and self.faults.take(Fault.SERVER_ERROR):
            return web.json_response({"msg": "Internal error; unable to process your request."}, status=503)
        answer = await handler(request)
        if _places(request) and self.faults.take(Fault.CUT_AFTER):
            return self.broken(request)
        return answer


def _places(request: web.Request) -> bool:
    return request.method == "POST" and request.path.rstrip("/").rpartition("/")[2] in ("order", "orders")


def text_of(number: Decimal) -> str:
    """Return a number as venues write it."""
    return plain(number)
