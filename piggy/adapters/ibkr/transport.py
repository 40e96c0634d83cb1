"""Our end of a gateway's socket: ib_async connects and writes, we keep what comes as text, its numbers unrounded."""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from ib_async.client import Client

from piggy.adapters.ibkr.asks import ASKS, Arguments, Ask
from piggy.adapters.ibkr.config import (
    ADDRESS,
    LAYOUTS,
    OPEN_S_MAX,
    ORDER_S_MAX,
    QUESTION_S_MAX,
    QUESTIONS,
    STREAMED,
    VERSION,
    In,
    Meaning,
    meaning_of,
)
from piggy.adapters.ibkr.inbound import SEPARATOR, fields_of
from piggy.adapters.interface import Request, Response, Stream, UnableToReadReport, VenueConfig
from piggy.adapters.reading import whole_of
from piggy.adapters.transport import Channel, StreamEnded

STREAMED_MAX = 100_000

log = logging.getLogger(__name__)


def _code(fields: dict[str, str]) -> int:
    return whole_of(fields["code"], what="TWS message ERROR", field="code")


class _Waiting:
    """One question under way; `done` is given its answer."""

    def __init__(self, *, ask: Ask, number: int, done: asyncio.Future[Response]) -> None:
        self.ask, self.number, self.done = ask, number, done
        self._rows: list[str] = []

    def take(self, kind: str, text: str) -> bool:
        """Take a message; return whether it is meant for this question and nobody else."""
        if self.done.done():
            return False
        fields = fields_of(text=text)
        about_order = self.ask.waits is not None
        listed = self._is_listing and kind != In.ERROR
        if fields.get("number", str(self.number)) != str(self.number) and not listed:
            return False
        if kind == In.ERROR:
            self._refused(fields, text, about_order)
            return not about_order
        if kind in self.ask.rows:
            self._rows.append(text)
            if about_order and self._settles(fields):
                self.finish()
            return kind not in (In.ORDER_STATUS, In.OPEN_ORDER)
        if kind == self.ask.end:
            self.finish()
            return True
        return False

    @property
    def _is_listing(self) -> bool:
        """Whether the rows' numbers are those of orders, not of the question."""
        return In.OPEN_ORDER in self.ask.rows and bool(self.ask.end)

    def _settles(self, fields: dict[str, str]) -> bool:
        status = fields.get("status", "")
        if self.ask is ASKS["cancel"]:
            return status in (self.ask.waits or ())
        return bool(status) and status not in (self.ask.waits or ())

    def _refused(self, fields: dict[str, str], text: str, about_order: bool) -> None:
        if meaning_of(code=_code(fields)) is Meaning.NOTICE:
            return
        if about_order:
            self._rows.append(text)
            self.finish()
        else:
            refusal = {"code": fields["code"], "msg": fields["text"]}
            self.done.set_result(Response(status=400, text=msgspec.json.encode(refusal).decode()))

    def finish(self) -> None:
        self.done.set_result(Response(status=200, text=msgspec.json.encode(self._rows).decode()))

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_result(Response(status=0, text=why))


class Line:
    """One connection, as ib_async's client sees its decoder and its wrapper; lives on the transport's loop."""

    serverVersion = 0

    def __init__(self) -> None:
        self.heard: queue.Queue[str | None] = queue.Queue(maxsize=STREAMED_MAX)
        self.greeting: list[str] = []
        self.waiting: list[_Waiting] = []
        self.why = "the gateway closed the socket"
        self.connecting: asyncio.Task[None] | None = None
        # The end of a list does not say whose question it answers, so the same list is asked for once at a time.
        self.listing: dict[str, asyncio.Lock] = {}

    def interpret(self, fields: list[str]) -> None:
        """Take one message: to the question that waits for it, and to whoever listens."""
        kind, text = fields[0], SEPARATOR.join(fields)
        try:
            self._interpret(kind, fields, text)
        except UnableToReadReport:
            # Whoever listens says what cannot be read of it; raised here it would end in ib_async's own log.
            self._tell(text)

    def _interpret(self, kind: str, fields: list[str], text: str) -> None:
        if kind in (In.NEXT_ID, In.ACCOUNTS):
            self.greeting.append(text)
        if kind == In.ERROR and meaning_of(code=_code(fields_of(text=text))) is Meaning.DOWN:
            self.why = " ".join(fields[3:5])
        if kind not in LAYOUTS and not any(kind == one.ask.end for one in self.waiting):
            return
        taken = [one.take(kind, text) for one in self.waiting]
        if kind in STREAMED and not any(taken):
            self._tell(text)

    def connectAck(self) -> None:
        """The handshake is done."""

    def connectionClosed(self) -> None:
        """The session is over."""

    def setEventsDone(self) -> None:
        """The socket is gone: nothing is answered any more."""
        for one in self.waiting:
            one.fail(self.why)
        if self.connecting is not None:
            self.connecting.cancel()
        self._tell(None)

    def _tell(self, text: str | None) -> None:
        try:
            self.heard.put_nowait(text)
        except queue.Full:
            # Nobody reads: what is lost would go unnoticed, so the session ends.
            self.why = "messages are read too slowly"
            self.heard.queue.clear()
            self.heard.put_nowait(None)


class TwsTransport:
    """One socket to one gateway, on a thread of its own; a new connection takes the place of the old."""

    def __init__(self, *, config: VenueConfig) -> None:
        there = urlsplit(config.stream_url or ADDRESS)
        self._host, self._port = there.hostname or "127.0.0.1", there.port or 4001
        self._loop = asyncio.new_event_loop()
        self._numbers = itertools.count(QUESTIONS)
        self._client: Client | None = None
        self._line = Line()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"tws-{config.venue}", daemon=True)
        self._thread.start()

    def call(self, *, request: Request) -> Response:
        """Ask; an answer that never comes leaves everything open."""
        args: Arguments = msgspec.json.decode(request.body)
        if not self._thread.is_alive():
            return Response(status=0, text="the session was stopped", left=False)
        asking = self._start(args) if request.url == "start" else self._ask(ASKS[request.url], args)
        answering = asyncio.run_coroutine_threadsafe(asking, self._loop)
        try:
            return answering.result(OPEN_S_MAX + QUESTION_S_MAX)
        except TimeoutError:
            answering.cancel()
            return Response(status=0, text="the session was stopped under way")

    def open(self, *, stream: Stream) -> Channel:
        """Return what comes over the socket that is open. Raises StreamEnded."""
        if self._client is None:
            raise StreamEnded("the gateway is not connected")
        return _LineChannel(line=self._line, close=self._hang_up)

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._hang_up()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _start(self, args: Arguments) -> Response:
        self._disconnect()
        line = self._line = Line()
        client = Client(line)
        # How often we may ask is the driver's budget; a second one would let orders wait unseen.
        client.MaxRequests = 0
        # Past its pace a gateway then holds messages up instead of hanging up.
        client.setConnectOptions("+PACEAPI")
        client.MinClientVersion = client.MaxClientVersion = VERSION
        client.decoder = line
        connect = client.connectAsync(self._host, self._port, int(args["client_id"]), OPEN_S_MAX)
        line.connecting = self._loop.create_task(connect)
        try:
            await line.connecting
        except (TimeoutError, OSError, asyncio.CancelledError) as error:
            return Response(status=0, text=f"{type(error).__name__} {error} {line.why}", left=False)
        self._client = client
        return Response(status=200, text=msgspec.json.encode(line.greeting).decode())

    async def _ask(self, ask: Ask, args: Arguments) -> Response:
        client, line = self._client, self._line
        if client is None or not client.isReady():
            return Response(status=0, text="the gateway is not connected", left=False)
        number = int(args.get("number") or next(self._numbers))
        if not ask.end or ask.takes_number:
            return await self._answer(client, line, ask, number, args)
        async with line.listing.setdefault(ask.end, asyncio.Lock()):
            found = await self._answer(client, line, ask, number, args)
            if found.status == 0 and line is self._line:
                # Its end may come yet, and would end the next question early: a list cut short hides what works.
                self._disconnect()
            return found

    async def _answer(self, client: Client, line: Line, ask: Ask, number: int, args: Arguments) -> Response:
        one = _Waiting(ask=ask, number=number, done=self._loop.create_future())
        line.waiting.append(one)
        try:
            ask.say(client, number, args)
            if not ask.rows:
                one.finish()
            return await asyncio.wait_for(one.done, QUESTION_S_MAX if ask.waits is None else ORDER_S_MAX)
        except TimeoutError:
            return Response(status=0, text="the gateway did not answer")
        except ConnectionError as error:
            return Response(status=0, text=str(error))
        finally:
            line.waiting.remove(one)
            if ask.after is not None and client.isConnected():
                ask.after(client, number)

    def _hang_up(self) -> None:
        if not self._thread.is_alive():
            return

        async def now() -> None:
            self._disconnect()

        try:
            asyncio.run_coroutine_threadsafe(now(), self._loop).result(OPEN_S_MAX)
        except TimeoutError:
            log.warning("the gateway's socket closes late", extra={"host": self._host})

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None and client.isConnected():
            client.disconnect()


class _LineChannel:
    """What one connection streams."""

    def __init__(self, *, line: Line, close: Callable[[], None]) -> None:
        self._line, self._close = line, close

    def receive(self, *, timeout_s: float) -> str | None:
        """Return the next message, None past the time. Raises StreamEnded."""
        try:
            text = self._line.heard.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if text is None:
            raise StreamEnded(self._line.why)
        return text

    def say(self, *, text: str) -> None:
        """Raises StreamEnded: everything is said by questions."""
        raise StreamEnded("nothing is said on this stream")

    def close(self) -> None:
        """Disconnect."""
        self._close()
