"""The sockets of bench desk: two hundred dealers' lines in one process, cheap enough not to be what is measured.

A socket has a frame when the last byte of it is here. The same bytes come to many sockets, and are read once.
"""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import Sequence
from typing import cast

import msgspec

HEAD = re.compile(rb'\{"panel":"(\w+)","seq":\d+,"snapshot":(\w+),"at_us":(\d+),')
# A longer text is a whole market or a snapshot: of it only the head is read.
NEWS_BYTES_MAX = 64 * 1024
TOLD_KEPT = 64
PONG = b'{"action":"pong","at_us":0}'
TEXT, CLOSE, PING, PONGED = 0x1, 0x8, 0x9, 0xA


class UnableToListen(Exception):
    """The web process refused a socket, or closed one; the message is what it said."""


class _Order(msgspec.Struct):
    at: int
    state: str


class _Frame(msgspec.Struct):
    """What the bench reads of a frame: of orders all, of other panels only when it was made."""

    panel: str = ""
    snapshot: bool = False
    at_us: int = 0
    rows: msgspec.Raw = msgspec.Raw(b"{}")


class Told(msgspec.Struct, frozen=True):
    """What a text tells: orders filled, each with the ms since 1970 of its stamp, and when its prices were drawn."""

    fills: tuple[tuple[str, float], ...] = ()
    market_ms: float | None = None
    wants_answer: bool = False


_frames_of = msgspec.json.Decoder(_Frame | list[_Frame]).decode
_orders_of = msgspec.json.Decoder(dict[str, _Order | None]).decode


def told_by(*, text: bytes) -> Told:
    """Read a text."""
    if len(text) > NEWS_BYTES_MAX and (head := HEAD.match(text)):
        panel, snapshot, at_us = head.groups()
        return Told(market_ms=int(at_us) / 1_000 if (panel, snapshot) == (b"quotes", b"false") else None)
    found = _frames_of(text)
    fills: list[tuple[str, float]] = []
    market_ms = None
    frames = found if isinstance(found, list) else [found]
    for frame in frames:
        if frame.panel == "orders" and not frame.snapshot:
            rows = _orders_of(frame.rows).items()
            fills += [(key, row.at / 1_000) for key, row in rows if row is not None and row.state == "filled"]
        elif frame.panel == "quotes" and not frame.snapshot:
            market_ms = frame.at_us / 1_000
    return Told(fills=tuple(fills), market_ms=market_ms, wants_answer=not frames[0].panel)


class Waits:
    """Waits in ms over all sockets: of fills since their command's stamp, of market frames since they were drawn."""

    def __init__(self) -> None:
        self.on = False
        self.fills: list[float] = []
        self.market: list[float] = []
        self.texts = self.bytes = 0
        self._told: dict[bytes, Told] = {}

    def take(self, *, text: bytes, seen: set[str]) -> bool:
        """Note a text of one socket, which has had `seen`; tell whether it wants an answer."""
        told = self._told.get(text)
        if told is None:
            told = self._told[text] = told_by(text=text)
            if len(self._told) > TOLD_KEPT:
                del self._told[next(iter(self._told))]
        now_ms = time.time_ns() / 1_000_000
        for order_id, at_ms in told.fills:
            if order_id not in seen:
                seen.add(order_id)
                if self.on:
                    self.fills.append(now_ms - at_ms)
        if self.on:
            self.texts, self.bytes = self.texts + 1, self.bytes + len(text)
            if told.market_ms is not None:
                self.market.append(now_ms - told.market_ms)
        return told.wants_answer


class Line(asyncio.Protocol):
    """One dealer's socket; `opened` is done once the server has let it in, `closed` when it is lost."""

    def __init__(self, *, host: str, port: int, session_key: str, waits: Waits, in_sight: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed = ""
        self._host, self._key, self._waits = f"{host}:{port}", session_key, waits
        self._look = msgspec.json.encode({"action": "look", "panels": dict.fromkeys(("exposure", "quotes"), in_sight)})
        self._seen: set[str] = set()
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in, as a page of this host does."""
        self._transport = cast("asyncio.Transport", transport)
        lines = [
            "GET /ws/desk/ HTTP/1.1",
            f"Host: {self._host}",
            f"Origin: http://{self._host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {b64encode(bytes(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            f"Cookie: sessionid={self._key}",
        ]
        self._transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        """Take every whole frame."""
        self._data += data
        if not self.opened.done():
            head, blank, rest = bytes(self._data).partition(b"\r\n\r\n")
            if not blank:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.opened.set_exception(UnableToListen(head.decode(errors="replace")))
                self._transport.close()
                return
            self._data = bytearray(rest)
            self.opened.set_result(None)
            self._say(TEXT, self._look)
        at = 0
        while frame := _frame_at(self._data, at):
            kind, begins, at = frame
            self._take(kind, bytes(self._data[begins:at]))
        del self._data[:at]

    def connection_lost(self, error: Exception | None) -> None:
        """Remember that it is gone."""
        self.closed = self.closed or str(error or "the other end closed it")
        if not self.opened.done():
            self.opened.set_exception(UnableToListen(self.closed))

    def close(self) -> None:
        """Go away without a word."""
        self._transport.abort()

    def _take(self, kind: int, data: bytes) -> None:
        if kind == TEXT and self._waits.take(text=data, seen=self._seen):
            self._say(TEXT, PONG)
        elif kind == PING:
            self._say(PONGED, data)
        elif kind == CLOSE:
            self.closed = f"closed with {int.from_bytes(data[:2], 'big')}"

    def _say(self, kind: int, data: bytes) -> None:
        # A client's frame is masked; a mask of zeros leaves what it covers.
        size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        self._transport.write(bytes((0x80 | kind,)) + size + bytes(4) + data)


def _frame_at(data: bytearray, at: int) -> tuple[int, int, int] | None:
    """Return kind, begin and end of the payload of the frame at `at`; None while it is not whole."""
    if len(data) < at + 2:
        return None
    size, begins = data[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        begins += width
        if len(data) < begins:
            return None
        size = int.from_bytes(data[begins - width : begins], "big")
    return (data[at] & 0x0F, begins, begins + size) if len(data) >= begins + size else None
