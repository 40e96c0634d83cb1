"""Frames against who means ill (RFC 6455): broken, endless or too many, byte by byte; each has its code and its end."""

from __future__ import annotations

import struct
import time
from types import SimpleNamespace
from typing import Any

import pytest

from piggy.engine.connections import Connections
from piggy.engine.http import Connection
from piggy.engine.signals import UnableToAcceptSignal
from piggy.engine.sockets import (
    END_S_MAX,
    MESSAGE_BYTES_MAX,
    OTHER_FRAMES_PER_S_MAX,
    PING_S,
    SILENT_S_MAX,
    UNANSWERED_MAX,
    UNSENT_BYTES_MAX,
    SignalSocket,
)
from tests.engine.test_http import Wire

HANDSHAKE = (
    b"GET /signals/mean HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SIGNAL = b'{"id":"1","symbol":"EURUSD","action":"buy","quantity":"0.1"}'
CONT, TEXT, CLOSE, PING = 0, 1, 8, 9


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, masked: bool = True, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    mark = 0x80 if masked else 0
    told = struct.pack("!B", mark | size) if size < 126 else struct.pack("!BQ", mark | 127, size)
    # A mask of zeros leaves the data as they are.
    return struct.pack("!B", fin << 7 | opcode) + told + (b"\0" * 4 if masked else b"") + data


class SocketWire(Wire):
    """A transport that is handed over."""

    protocol: Any = None
    unsent = 0

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_write_buffer_size(self) -> int:
        return self.unsent


class Strategist:
    """A proven strategy; the door behind it takes every signal and answers at once that nobody decided.

    Not at once where it is `slow`; `refusal` is what it refuses each with, `doubt` what it says of the proof itself.
    """

    slow = False
    refusal: UnableToAcceptSignal | None = None
    doubt: UnableToAcceptSignal | None = None

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.suspended = False
        door: Any = SimpleNamespace(
            still_valid=self._still_valid,
            refused=lambda **_: None,
            is_suspended=lambda **_: self.suspended,
            admit=lambda **_: None,
            take=self._take,
        )
        passed: Any = SimpleNamespace(tenant="acorn", strategy_id="mean", key_version=1)
        connections = Connections()
        line = Connection(
            handler=lambda *_: None,
            connections=connections,
            upgrade=lambda _: SignalSocket(door=door, passed=passed, connections=connections),
        )
        self.wire = SocketWire()
        line.connection_made(self.wire)  # type: ignore[arg-type]
        line.data_received(HANDSHAKE)
        assert self.wire.said.startswith(b"HTTP/1.1 101 ")
        self.wire.said = b""

    def says(self, *data: bytes) -> bytes:
        for part in data:
            self.wire.protocol.data_received(part)
        return self.wire.said

    def code(self) -> int:
        at = self.wire.said.find(b"\x88")
        return int(struct.unpack("!H", self.wire.said[at + 2 : at + 4])[0])

    def _still_valid(self, **_: Any) -> Any:
        if self.doubt is not None:
            raise self.doubt
        return SimpleNamespace(strategy_id="mean")

    def _take(self, *, signal: Any, told: Any, **_: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.taken.append(signal.id)
        if not self.slow:
            told(None)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(TEXT, SIGNAL, masked=False)], 1002),
        ([frame(TEXT | 0x40, SIGNAL)], 1002),
        ([frame(3, b"x")], 1002),
        ([frame(CONT, SIGNAL)], 1002),
        ([frame(TEXT, SIGNAL[:9], fin=False), frame(TEXT, SIGNAL)], 1002),
        ([frame(PING, b"x", fin=False)], 1002),
        ([frame(PING, b"x" * 126)], 1002),
        ([frame(CLOSE, b"x")], 1002),
        ([frame(TEXT, length=2**63 - 1)], 1009),
        ([frame(TEXT, b"x" * MESSAGE_BYTES_MAX, fin=False), frame(CONT, b"x")], 1009),
        ([frame(TEXT, b"\xff\xfe")], 1007),
        ([frame(TEXT, b"")], 4400),
        ([frame(PING, b"x") * (OTHER_FRAMES_PER_S_MAX + 1)], 4429),
        ([frame(TEXT, b"", fin=False), frame(CONT, b"", fin=False) * OTHER_FRAMES_PER_S_MAX], 4429),
    ],
    ids=[
        "unmasked", "reserved", "opcode", "no-beginning", "two-beginnings", "ping-in-parts", "long-ping", "close",
        "endless", "endless-parts", "no-text", "empty", "pings", "empty-parts",
    ],
)  # fmt: skip
def test_what_breaks_the_rules_ends_the_line_with_its_code(frames: list[bytes], code: int) -> None:
    one = Strategist()
    one.says(*frames)
    assert one.code() == code
    assert one.taken == []
    one.wire.protocol.tick(now_s=time.monotonic())
    one.wire.protocol.tick(now_s=time.monotonic() + END_S_MAX + 1)
    assert one.wire.closed or one.wire.aborted, "also where the other side does not hear of it"


def test_a_signal_in_parts_with_a_ping_between_and_in_single_bytes_is_the_same_signal() -> None:
    one = Strategist()
    whole = frame(TEXT, SIGNAL[:9], fin=False) + frame(PING, b"hi") + frame(CONT, SIGNAL[9:])
    said = one.says(*(whole[at : at + 1] for at in range(len(whole))))
    assert said.startswith(b"\x8a\x02hi"), "the ping is answered before the signal is whole"
    assert one.taken == ["1"] and b'"UNDECIDED"' in said


@pytest.mark.parametrize("end", [frame(CLOSE, b"\x03\xe8"), frame(3, b"x")], ids=["close", "broken"])
def test_inv_01_a_signal_counts_though_its_senders_end_came_in_the_same_packet(end: bytes) -> None:
    """How a network cuts what is sent decides nothing; what comes after the end is no signal."""
    for whole in (frame(TEXT, SIGNAL) + end, frame(TEXT, SIGNAL) + end + frame(TEXT, SIGNAL.replace(b"1", b"2", 1))):
        one, cut = Strategist(), Strategist()
        one.says(whole)
        cut.says(*(whole[at : at + 1] for at in range(len(whole))))
        assert one.taken == cut.taken == ["1"]
        assert one.wire.closed and cut.wire.closed


def test_what_follows_a_message_that_ended_the_line_is_no_signal_any_more() -> None:
    one = Strategist()
    one.says(frame(TEXT, b"{") + frame(TEXT, SIGNAL))
    assert (one.code(), one.taken) == (4400, [])


def test_pings_at_a_bearable_rate_go_on_for_ever() -> None:
    one = Strategist()
    for second in range(3):
        one.says(frame(PING, b"x") * OTHER_FRAMES_PER_S_MAX)
        one.wire.protocol.tick(now_s=time.monotonic() + second)
    assert b"\x88" not in one.wire.said


def test_f_33_a_suspended_broker_has_no_line_left_even_of_who_goes_on_talking() -> None:
    one = Strategist()
    now_s = time.monotonic()
    one.wire.protocol.tick(now_s=now_s)
    assert one.wire.said == b""
    one.suspended = True
    one.wire.protocol.tick(now_s=now_s)
    assert one.code() == 4403
    one.says(frame(TEXT, SIGNAL), frame(PING, b"x"))
    assert one.taken == []
    for later_s in (1, END_S_MAX + 2):
        one.wire.protocol.tick(now_s=now_s + later_s)
    assert one.wire.aborted


def test_f_32_whose_proof_holds_no_more_has_no_line_left_though_they_say_nothing() -> None:
    """Where nobody can tell, as while an engine recovers, the line stays."""
    one = Strategist()
    one.doubt = UnableToAcceptSignal(503, "ENGINE_RECOVERING", "Try again.")
    one.wire.protocol.tick(now_s=time.monotonic())
    assert one.wire.said == b""
    one.doubt = UnableToAcceptSignal(401, "UNAUTHORISED", "No.")
    one.wire.protocol.tick(now_s=time.monotonic())
    one.says(frame(TEXT, SIGNAL))
    assert (one.code(), one.taken, one.wire.closed) == (4401, [], True)


def test_inv_26_who_has_too_many_signals_under_way_is_hung_up_on() -> None:
    one = Strategist()
    one.slow = True
    one.says(*[frame(TEXT, SIGNAL)] * UNANSWERED_MAX)
    assert b"\x88" not in one.wire.said
    one.says(frame(TEXT, SIGNAL))
    assert (one.code(), len(one.taken)) == (4429, UNANSWERED_MAX)


@pytest.mark.parametrize("status", [422, 429, 503])
def test_inv_26_what_was_refused_is_under_way_no_more(status: int) -> None:
    one = Strategist()
    one.refusal = UnableToAcceptSignal(status, "NOT_NOW", "Try again.")
    one.says(*[frame(TEXT, SIGNAL)] * (2 * UNANSWERED_MAX))
    assert one.wire.said.count(b'"NOT_NOW"') == 2 * UNANSWERED_MAX
    one.refusal = None
    one.says(frame(TEXT, SIGNAL))
    assert one.taken == ["1"]


def test_f_23_who_does_not_read_the_answers_gets_no_more_of_them() -> None:
    one = Strategist()
    one.wire.unsent = UNSENT_BYTES_MAX
    one.says(frame(TEXT, SIGNAL))
    assert not one.wire.aborted
    one.wire.unsent += 1
    one.says(frame(TEXT, SIGNAL))
    assert one.wire.aborted


def test_f_07_who_is_silent_is_asked_and_then_let_go() -> None:
    now_s, one = time.monotonic(), Strategist()
    one.wire.protocol.tick(now_s=now_s + PING_S - 1)
    assert one.wire.said == b""
    one.wire.protocol.tick(now_s=(asked_s := time.monotonic()) + PING_S + 1)
    assert one.wire.said[:1] == b"\x89" and not one.wire.aborted
    one.says(frame(0xA))
    one.wire.protocol.tick(now_s=asked_s + SILENT_S_MAX - 1)
    assert not one.wire.aborted, "a pong counts"
    one.wire.said = b""
    one.wire.protocol.tick(now_s=time.monotonic() + SILENT_S_MAX + 1)
    assert one.wire.aborted and one.code() == 4408
