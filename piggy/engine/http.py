"""HTTP/1.1 for the fast door: keep-alive and pipelining, answers in order, a limit on everything."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import islice
from typing import NamedTuple, Protocol, cast

import httptools

from piggy.messaging.addresses import Proxies, crowd_of

BODY_BYTES_MAX = 256 * 1024
HEADER_BYTES_MAX = 16 * 1024
HEADER_LINES_MAX = 100
URL_BYTES_MAX = 8 * 1024
# A body in chunks of one byte each; what is beyond that is in extensions, which nobody asked for.
CHUNKED_BYTES_MAX = 8 * BODY_BYTES_MAX
CONNECTIONS_MAX = 2_000
EVICTED_MAX = 50
PIPELINED_MAX = 64
REQUEST_S_MAX = 10
IDLE_S_MAX = 75
HEADER_NAMES_KEPT = 500
PROXIES_HERE = Proxies()

REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
    422: "Unprocessable Content", 426: "Upgrade Required", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip

# What a status without which the other side does not know how to go on says besides (RFC 9110).
SAID_WITH = {
    401: "WWW-Authenticate: Piggy-Signature\r\n",
    415: "Accept: application/json, text/plain\r\nAccept-Encoding: identity\r\n",
    426: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
}
# Of two that differ each reader would take another; what is not named here is a list, and goes on.
ONCE = frozenset({
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "expect", "origin", "upgrade",
    "sec-websocket-key", "sec-websocket-version", "x-piggy-timestamp", "x-piggy-signature",
})  # fmt: skip


class Request(NamedTuple):
    """One whole request; header names are lower case, `address` is the peer or whom a proxy of ours names."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    address: str


class Response(NamedTuple):
    """A status with its body; `retry_after_s` is for who should come again, `allow` the method of a 405."""

    status: int
    body: bytes
    content_type: str = "application/json"
    retry_after_s: int = 0
    allow: str = ""

    def encode(self, *, keep_alive: bool) -> bytes:
        """Return the bytes to send."""
        return b"%sContent-Length: %d\r\n\r\n%s" % (
            _head(self.status, self.content_type, self.retry_after_s, self.allow, keep_alive),
            len(self.body),
            self.body,
        )


@cache
def _head(status: int, content_type: str, retry_after_s: int, allow: str, keep_alive: bool) -> bytes:
    more = SAID_WITH.get(status, "") if keep_alive else f"{SAID_WITH.get(status, '')}Connection: close\r\n"
    if allow:
        more += f"Allow: {allow}\r\n"
    if retry_after_s:
        more += f"Retry-After: {retry_after_s}\r\n"
    return f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {content_type}\r\n{more}".encode()


Respond = Callable[[Response], None]
Handler = Callable[[Request, Respond], None]


class Open(Protocol):
    """A connection, whatever it speaks; `crowd` is whose it is while it only keeps a place, '' while it is at work."""

    crowd: str

    def abort(self) -> None:
        """Drop the connection."""

    def tick(self, *, now_s: float) -> None:
        """Do what is due now and then; end what is too slow or too silent."""


class Successor(Open, Protocol):
    """What a connection is handed to after an upgrade."""

    def begin(self, *, transport: asyncio.Transport, handshake: bytes, rest: bytes) -> None:
        """Take the connection over, with the request that asked for it and what came behind that already."""


# Returns who takes over a connection that asks for another protocol, or the refusal.
Upgrade = Callable[[Request], "Successor | Response"]


@lru_cache(maxsize=HEADER_NAMES_KEPT)
def _lower(name: bytes) -> str:
    return name.decode("ascii").lower()


class Connections:
    """Every open connection, the oldest first, so that their number and their slowness have a limit."""

    def __init__(self) -> None:
        self.open: dict[Open, None] = {}

    def has_room(self) -> bool:
        """Whether one more may stay; where all places are taken, the crowd that keeps most for nothing loses some."""
        if len(self.open) < CONNECTIONS_MAX:
            return True
        crowds = Counter(each.crowd for each in self.open if each.crowd)
        if not crowds:
            return False
        [(largest, _)] = crowds.most_common(1)
        # Many at once: counting them all again for each that comes would be an attack of its own.
        for each in list(islice((each for each in self.open if each.crowd == largest), EVICTED_MAX)):
            del self.open[each]
            each.abort()
        return True

    async def watch(self) -> None:
        """Let every connection do, once a second, what is due."""
        while True:
            now_s = time.monotonic()
            for connection in list(self.open):
                connection.tick(now_s=now_s)
            await asyncio.sleep(1)


class Connection(asyncio.Protocol):
    """One client. A request is handled when whole; its answer may come later, but never before an earlier one's."""

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
        self._closing = self._is_unread = False
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
        self._closing = True
        return bool(self._waiting)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.open.pop(self, None)
        self._transport = None
        # The parser and its connection hold each other, and nobody looks for such pairs (collector.py).
        self._parser = None

    def pause_writing(self) -> None:
        """Who does not read the answers is not read from; the deadline ends it."""
        self._is_unread = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_unread = False
        self._read_on()

    def data_received(self, data: bytes) -> None:
        if self._closing or self._parser is None:
            return
        self._received += len(data)
        if self._received > (CHUNKED_BYTES_MAX if self._has_headers else HEADER_BYTES_MAX + BODY_BYTES_MAX):
            self._fail(*((413, "BODY_TOO_LARGE") if self._has_headers else (431, "HEADERS_TOO_LARGE")))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(data[upgrade.args[0] :])
        except (httptools.HttpParserError, UnicodeDecodeError):
            self._fail(400, "MALFORMED")

    def tick(self, *, now_s: float) -> None:
        """Drop who is idle or sends a request too slowly."""
        if self._deadline_s < now_s:
            self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        self._begin()
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
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

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
        if self._closing or self._parser is None:
            return
        if self._parser.should_upgrade():
            return
        self._deadline_s = time.monotonic() + IDLE_S_MAX
        self.crowd = ""
        slot: list[bytes] = []
        # No answer to HEAD may have a body, and ours have: whoever reads none takes it for the next answer's beginning.
        keep_alive = bool(self._parser.should_keep_alive()) and self._parser.get_method() != b"HEAD"
        self._waiting.append(slot)
        if len(self._waiting) >= PIPELINED_MAX and self._transport is not None:
            self._transport.pause_reading()
        self._handler(self._request(), lambda response: self._answer(slot, response, keep_alive))

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
        if self._upgrade is None or self._waiting or not self._is_handshake():
            self._fail(400, "NO_UPGRADE")
            return
        request = self._request()
        successor = self._upgrade(request)
        if isinstance(successor, Response):
            self._closing = True
            self._waiting.append([successor.encode(keep_alive=False)])
            self._flush()
            return
        self._connections.open.pop(self, None)
        self._transport = self._parser = None
        head = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in request.headers.items())
        handshake = b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method.encode(), request.path.encode(), head)
        successor.begin(transport=transport, handshake=handshake, rest=rest)

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

    def _answer(self, slot: list[bytes], response: Response, keep_alive: bool) -> None:
        slot.append(response.encode(keep_alive=keep_alive))
        if not keep_alive:
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

    def _read_on(self) -> None:
        if self._transport is not None and not self._is_unread and len(self._waiting) < PIPELINED_MAX:
            self._transport.resume_reading()

    def _fail(self, status: int, code: str) -> None:
        """Answer what cannot be read on; the connection ends, for its framing is lost."""
        if self._closing:
            return
        self._closing = True
        body = f'{{"error":"{code}"}}'.encode()
        self._waiting.append([Response(status, body).encode(keep_alive=False)])
        self._flush()
