"""HTTP/1.1 for the fast door: keep-alive and pipelining, answers in order, a limit on everything."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import cast

import httptools

from piggy.engine.connections import Connections, Successor
from piggy.engine.http_messages import Request, Response
from piggy.messaging.addresses import Proxies, crowd_of

BODY_BYTES_MAX = 256 * 1024
HEADER_BYTES_MAX = 16 * 1024
HEADER_LINES_MAX = 100
URL_BYTES_MAX = 8 * 1024
# A body in chunks of one byte each; what is beyond that is in extensions, which nobody asked for.
CHUNKED_BYTES_MAX = 8 * BODY_BYTES_MAX
# So many requests of one connection at once; then it is others' turn, whatever has come of it already.
PIPELINED_MAX = 64
PART_BYTES = 2_048
REQUEST_S_MAX = 10
# Who is told that a request took too long has so long to read it.
PARTING_S_MAX = 2
IDLE_S_MAX = 75
HEADER_NAMES_KEPT = 500
PROXIES_HERE = Proxies()

# Of two that differ each reader would take another; what is not named here is a list, and goes on.
ONCE = frozenset({
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "expect", "origin", "upgrade",
    "sec-websocket-key", "sec-websocket-version", "x-piggy-timestamp", "x-piggy-signature", "x-piggy-nonce",
})  # fmt: skip

Respond = Callable[[Response], None]
Handler = Callable[[Request, Respond], None]
# Returns who takes over a connection that asks for another protocol, or the refusal.
Upgrade = Callable[[Request], Successor | Response]


@lru_cache(maxsize=HEADER_NAMES_KEPT)
def _lower(name: bytes) -> str:
    return name.decode("ascii").lower()


def _head_of(method: bytes, url: bytes, version: str, headers: dict[str, str]) -> bytes:
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items())
    return b"%s %s HTTP/%s\r\n%s\r\n" % (method, url, version.encode(), lines)


class Connection(asyncio.Protocol):
    """One client. A request is handled when whole; its answer may come later, but never before an earlier one's."""

    owner = ""

    def __init__(
        self,
        *,
        handler: Handler,
        connections: Connections,
        upgrade: Upgrade | None = None,
        proxies: Proxies = PROXIES_HERE,
    ) -> None:
        self._deadline_s = time.monotonic() + REQUEST_S_MAX
        self._handler = handler
        self._upgrade = upgrade
        self._proxies = proxies
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._waiting: deque[list[bytes]] = deque()
        self._peer = self._address = self.crowd = ""
        self._closing = self._is_unread = self._is_paused = self._is_feeding = self._is_ended = False
        self._is_begun = False
        self._unfed: bytes | memoryview = b""
        self._turn = 0
        self._begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not descend from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._peer = (transport.get_extra_info("peername") or ("",))[0]
        self._address = self._peer
        self.crowd = crowd_of(address=self._peer)
        if not self._connections.has_room():
            self._fail(503, "TOO_MANY_CONNECTIONS")
        self._connections.open[self] = None

    def eof_received(self) -> bool:
        """Who has said all still hears the answers to it; returns whether the line stays open for that."""
        self._is_ended = True
        self._closing = self._closing or not self._unfed
        return bool(self._waiting or self._unfed)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.open.pop(self, None)
        self._transport = None
        # The parser and its connection hold each other, and nobody looks for such pairs (collector.py).
        self._parser = None

    def pause_writing(self) -> None:
        """Who does not read the answers is not read from; the deadline ends it."""
        self._is_unread = True
        self._pause()

    def resume_writing(self) -> None:
        self._is_unread = False
        self._read_on()

    def data_received(self, data: bytes) -> None:
        if self._closing or self._parser is None:
            return
        if len(data) <= PART_BYTES and not self._unfed and self._has_room():
            # What nearly all send needs no turns.
            self._is_feeding = True
            self._parse(data)
            self._is_feeding = False
            if self._unfed or self._is_paused:
                self._feed()
            return
        self._unfed = memoryview(bytes(self._unfed) + data if self._unfed else data)
        self._feed()

    def _feed(self) -> None:
        """Read what came, while there is room for answers and this turn lasts: who sends thousands of requests in one
        packet neither keeps the others waiting nor has all the answers made before he reads one.
        """
        self._turn, self._is_feeding = 0, True
        while self._unfed and self._has_room() and self._turn < PIPELINED_MAX:
            part, self._unfed = self._unfed[:PART_BYTES], self._unfed[PART_BYTES:]
            self._parse(part)
        self._is_feeding = False
        if self._closing or self._transport is None:
            self._unfed = b""
        elif self._unfed or not self._has_room():
            self._pause()
            if self._has_room():
                asyncio.get_running_loop().call_soon(self._read_on)
        elif self._is_ended:
            self._closing = True
            self._flush()
        elif self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _has_room(self) -> bool:
        return not self._closing and not self._is_unread and len(self._waiting) < PIPELINED_MAX

    def _parse(self, data: bytes | memoryview) -> None:
        if self._parser is None:
            return
        self._received += len(data)
        if self._received > (CHUNKED_BYTES_MAX if self._has_headers else HEADER_BYTES_MAX + BODY_BYTES_MAX):
            self._fail(*((413, "BODY_TOO_LARGE") if self._has_headers else (431, "HEADERS_TOO_LARGE")))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(bytes(data[upgrade.args[0] :]) + bytes(self._unfed))
        except (httptools.HttpParserError, UnicodeDecodeError):
            self._fail(400, "MALFORMED")

    def tick(self, *, now_s: float) -> None:
        """Drop who is idle, tell who sends a request too slowly why, and wait for nobody who does not read that."""
        if self._deadline_s >= now_s:
            return
        if self._is_begun and not (self._closing or self._is_unread):
            self._deadline_s = now_s + PARTING_S_MAX
            self._fail(408, "TOO_SLOW")
        else:
            self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        self._begin()
        self._is_begun = True
        self._deadline_s = time.monotonic() + REQUEST_S_MAX

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > URL_BYTES_MAX:
            self._fail(414, "ADDRESS_TOO_LONG")

    def on_header(self, name: bytes, value: bytes) -> None:
        key, value = _lower(name), value.rstrip(b" \t")
        self._header_bytes += len(name) + len(value)
        self._header_lines += 1
        if self._header_bytes > HEADER_BYTES_MAX or self._header_lines > HEADER_LINES_MAX:
            self._fail(431, "HEADERS_TOO_LARGE")
        elif self._has_headers:
            return  # A trailer. What a proxy says of the client is not to be said after the body by the client himself.
        elif key not in self._headers:
            self._headers[key] = value.decode("latin-1")
        elif key in ONCE:
            self._fail(400, "MALFORMED")
        else:
            self._headers[key] += f", {value.decode('latin-1')}"

    def on_headers_complete(self) -> None:
        self._has_headers = True
        if self._closing:
            return
        length = self._headers.get("content-length", "0")
        self._address = self._proxies.client_of(peer=self._peer, forwarded=self._headers.get("x-forwarded-for", ""))
        self.crowd = "" if self._waiting else crowd_of(address=self._address)
        if not self._is_addressed():
            self._fail(400, "MALFORMED")
        elif not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self._fail(413, "BODY_TOO_LARGE")
        elif self._is_wrapped():
            self._fail(415, "ENCODED_BODY")
        elif self._waiting:
            return  # Before the answers that come first nothing is said, not even to go on.
        elif self._headers.get("expect", "").lower() == "100-continue" and self._speaks_1_1():
            assert self._transport is not None
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _speaks_1_1(self) -> bool:
        assert self._parser is not None
        return self._parser.get_http_version() == "1.1"

    def _is_addressed(self) -> bool:
        """Whether the request says how it is meant and, as it must from HTTP/1.1 on, for which host."""
        assert self._parser is not None
        version = self._parser.get_http_version()
        return version == "1.0" or (version == "1.1" and "host" in self._headers)

    def _is_wrapped(self) -> bool:
        """Whether the body would have to be unpacked."""
        coding, transfer = self._headers.get("content-encoding"), self._headers.get("transfer-encoding")
        is_packed = coding is not None and coding.lower() != "identity"
        return is_packed or (transfer is not None and transfer.lower() != "chunked")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > BODY_BYTES_MAX:
            self._fail(413, "BODY_TOO_LARGE")

    def on_message_complete(self) -> None:
        if not self._closing and self._parser is not None and not self._parser.should_upgrade():
            self._take()

    def _take(self) -> None:
        """Have the request that is here whole answered."""
        assert self._parser is not None
        self._deadline_s = time.monotonic() + IDLE_S_MAX
        self._is_begun = False
        self.crowd = ""
        self._turn += 1
        keep_alive = bool(self._parser.should_keep_alive())
        # Who speaks HTTP/1.0 waits for the end of the line, unless told that it stays.
        connection = "" if keep_alive and self._speaks_1_1() else "keep-alive" if keep_alive else "close"
        is_head = self._parser.get_method() == b"HEAD"
        slot: list[bytes] = []
        self._waiting.append(slot)
        self._handler(self._request(), lambda response: self._answer(slot, response, connection, is_head))
        if not self._has_room():
            self._pause()

    def _request(self) -> Request:
        assert self._parser is not None
        path = self._url.partition(b"?")[0].decode("ascii")
        if not path.startswith("/") and "://" in path:
            # As to a proxy; then the host in the address counts, and not the one beside it.
            self._headers["host"], slash, path = path.partition("://")[2].partition("/")
            path = slash + path
        return Request(self._parser.get_method().decode(), path, self._headers, bytes(self._body), self._address)

    def _switch(self, rest: bytes) -> None:
        """Hand the connection over to who speaks what it asks for."""
        transport = self._transport
        if self._closing or transport is None:
            return
        if self._is_ordinary():
            # The parser reads no body behind an offer: to the next one it is said without.
            head = self._head_without_offer()
            self._parser, self._unfed = httptools.HttpRequestParser(self), memoryview(head + rest)
            return
        if self._upgrade is None or self._waiting or not self._is_handshake():
            self._fail(400, "NO_UPGRADE")
            return
        request = self._request()
        successor = self._upgrade(request)
        if isinstance(successor, Response):
            self._closing = True
            self._waiting.append([successor.encode(connection="close")])
            self._flush()
            return
        if self._is_paused:
            transport.resume_reading()
        self._connections.open.pop(self, None)
        self._transport = self._parser = None
        handshake = _head_of(request.method.encode(), request.path.encode(), "1.1", request.headers)
        successor.begin(transport=transport, handshake=handshake, rest=rest)

    def _head_without_offer(self) -> bytes:
        """Return the head that was read without what was about this connection only, as a proxy would send it on."""
        assert self._parser is not None
        left = {name: value for name, value in self._headers.items() if name not in ("upgrade", "connection", "expect")}
        left["connection"] = "keep-alive" if self._parser.should_keep_alive() else "close"
        return _head_of(self._parser.get_method(), self._url, self._parser.get_http_version(), left)

    def _is_ordinary(self) -> bool:
        """Whether it only offers another protocol that is none of ours, as clients do of HTTP/2: it is answered in this
        one.
        """
        assert self._parser is not None
        offered = self._headers.get("upgrade", "").lower()
        return self._parser.get_method() != b"CONNECT" and "websocket" not in offered

    def _is_handshake(self) -> bool:
        """Whether a WebSocket is asked for, and nothing else with it."""
        assert self._parser is not None
        is_plain = not self._headers.keys() & {"content-length", "transfer-encoding"}
        return (
            is_plain
            and self._headers.get("upgrade", "").lower() == "websocket"
            and (self._parser.get_http_version(), self._parser.get_method()) == ("1.1", b"GET")
        )

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = self._header_lines = 0
        self._body = bytearray()
        self._has_headers = False
        self._received = 0

    def _answer(self, slot: list[bytes], response: Response, connection: str, is_head: bool) -> None:
        slot.append(response.encode(connection=connection, is_head=is_head))
        if connection == "close":
            self._closing = True
        self._flush()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        was_full = len(self._waiting) >= PIPELINED_MAX
        ready = []
        while self._waiting and self._waiting[0]:
            ready.append(self._waiting.popleft()[0])
        if ready:
            transport.write(b"".join(ready))
        if not self._waiting:
            self.crowd = crowd_of(address=self._address)
        if self._closing and not self._waiting:
            transport.close()
        elif was_full:
            self._read_on()

    def _pause(self) -> None:
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if not self._is_feeding and self._transport is not None and self._has_room():
            self._feed()

    def _fail(self, status: int, code: str) -> None:
        """Answer what cannot be read on; the connection ends, for its framing is lost."""
        if self._closing:
            return
        self._closing = True
        body = f'{{"error":"{code}"}}'.encode()
        self._waiting.append([Response(status, body).encode(connection="close")])
        self._flush()
