"""uvicorn's HTTP with limits of its own: it waits for ever for a request's end, and reads a head without one.

    uvicorn --http piggy.messaging.uvicorn_http:BoundedHttp

What an application answers slowly is not bounded here, only what a client sends. Who offers HTTP/2 with a request, as
some clients do of themselves, is answered in HTTP/1.1; uvicorn would lose the request's body.
"""

from __future__ import annotations

import asyncio

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 64 * 1024
HEAD_S_MAX = 10.0
# Ten megabytes, the largest file that staff may send, over a slow line.
BODY_S_MAX = 120.0
# Who is told that a request took too long has so long to read it.
PARTING_S_MAX = 2.0
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TOO_SLOW = TOO_LARGE.replace(b"431 Request Header Fields Too Large", b"408 Request Timeout")


class BoundedHttp(HttpToolsProtocol):
    """One connection of the web process."""

    _due: asyncio.TimerHandle | None = None
    _is_head = True
    _is_begun = False
    # Whether what came last was more than a part of one head.
    _is_past_head = False
    _is_handed_over = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin as uvicorn does; who says nothing is not kept."""
        super().connection_made(transport)
        self._expect(HEAD_S_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        """End as uvicorn does."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that goes on and on ends the connection."""
        self._is_past_head = not self._is_head
        self._unset_keepalive_if_required()
        self._feed(data)
        if self._is_past_head or not self._is_head or self._is_handed_over or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            if not self._is_at_work():
                self.transport.write(TOO_LARGE)
            self.transport.close()
        elif self._due is None and not self._is_at_work():
            # An empty line between two requests begins none, and has ended uvicorn's own wait for the next.
            self._expect(HEAD_S_MAX)

    def _feed(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = self._read(rest)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _read(self, data: memoryview) -> memoryview:
        """Have data read; return what is behind a request that only offers another protocol, where reading stops."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self.parser.get_method() == b"CONNECT":
                self.send_400_response("No tunnels.")
            else:
                self._read_without_offer()
                return data[upgrade.args[0] :]
        return data[:0]

    def _read_without_offer(self) -> None:
        """Read the head of a request once more without its offer, as a proxy would send it on."""
        keeps = b"keep-alive" if self.parser.should_keep_alive() else b"close"
        left = [each for each in self.headers if each[0] not in (b"upgrade", b"connection")]
        lines = b"".join(b"%s: %s\r\n" % each for each in (*left, (b"connection", keeps)))
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, lines)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As uvicorn's own: it answers what came.
        self.parser.feed_data(head)

    def _is_offer(self) -> bool:
        return bool(self.parser.should_upgrade()) and not self._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, which has a pulse of its own."""
        self._expect(None)
        self._is_handed_over = True
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_head, self._is_begun, self._head_bytes = True, True, 0
        self._expect(HEAD_S_MAX)

    def on_headers_complete(self) -> None:
        """Have the request answered as its body comes."""
        if self._is_offer():
            return
        self._is_head = False
        self._expect(BODY_S_MAX)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next."""
        if self._is_offer():
            return
        self._is_head, self._is_past_head, self._is_begun, self._head_bytes = True, True, False, 0
        self._expect(None)
        super().on_message_complete()

    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect(self, seconds: float | None) -> None:
        """End the connection unless what is expected has come in so many seconds; None expects nothing."""
        if self._due is not None:
            self._due.cancel()
        self._due = None if seconds is None else self.loop.call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        """Close, and say why to who began a request; who does not read that is not waited for."""
        if self._is_unanswered() and not self.flow.write_paused:
            self.transport.write(TOO_SLOW)
        self._due = self.loop.call_later(PARTING_S_MAX, self.transport.abort)
        self.transport.close()

    def _is_unanswered(self) -> bool:
        """Whether what is late is of a request, and nothing that was said is to be finished first."""
        if self._is_head:
            return self._is_begun and not self._is_at_work()
        return not (self.pipeline or self.cycle.response_started)
