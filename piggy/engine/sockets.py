"""The fast door over WebSocket: proven once at the handshake, then one signal a message and one answer each.

A message is a signal's body; its answer has the signal's `id` and the `status` that HTTP would have given. What cannot
be read as JSON ends the connection, and so do a broker's suspension, and a secret or an address that is no longer one
of the strategy's: within a second, and before another signal counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from piggy.core.answers import Answer
from piggy.engine import signals
from piggy.engine.connections import Connections
from piggy.engine.door import Door, Pass
from piggy.engine.http_messages import Response
from piggy.engine.replies import answered, refusal
from piggy.engine.signals import UnableToAcceptSignal

MESSAGE_BYTES_MAX = 64 * 1024
UNANSWERED_MAX = 64
UNSENT_BYTES_MAX = 1024 * 1024
PING_S = 15.0
SILENT_S_MAX = 40.0
END_S_MAX = 3.0
# Pings, pongs and parts without bytes: what no rate of signals counts.
OTHER_FRAMES_PER_S_MAX = 200

NO_LONGER = "the secret, or the address, is no longer valid"
NOT_TEXT, NOT_UTF_8, UNREADABLE, NOT_VALID, SUSPENDED, SILENT, TOO_MANY = 1003, 1007, 4400, 4401, 4403, 4408, 4429


class SignalSocket(asyncio.Protocol):
    """One proven client; takes over a connection whose handshake the door let through, and keeps its place."""

    crowd = ""

    def __init__(self, *, door: Door, passed: Pass, connections: Connections) -> None:
        self._door = door
        self._pass = passed
        self.owner = passed.tenant
        self._connections = connections
        self._protocol = ServerProtocol(max_size=MESSAGE_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._unanswered = self._others = 0
        self._heard_s = self._pinged_s = time.monotonic()
        self._ended_s = 0.0
        self._is_over = False

    def begin(self, *, transport: asyncio.Transport, handshake: bytes, rest: bytes) -> None:
        """Answer the handshake that was read before this connection was ours; `rest` came behind it, too early."""
        self._transport = transport
        self._connections.open[self] = None
        transport.set_protocol(self)
        self.data_received(handshake)
        if rest:
            # Read before the answer, a frame that is none would end the protocol and leave the line open.
            self.data_received(rest)

    def tick(self, *, now_s: float) -> None:
        """Ask who is silent whether they are there; let go of who does not say so."""
        self._others = 0
        if self._protocol.state is not State.OPEN:
            # Who goes on talking after the end was said is not waited for.
            self._ended_s = self._ended_s or now_s
            if now_s - self._ended_s > END_S_MAX:
                self.abort()
        elif self._door.is_suspended(tenant=self._pass.tenant):
            self._close(SUSPENDED, "the broker is suspended")
        elif not self._is_valid():
            self._close(NOT_VALID, NO_LONGER)
        elif now_s - self._heard_s > SILENT_S_MAX:
            self._close(SILENT, "no pong")
            self.abort()
        elif now_s - max(self._pinged_s, self._heard_s) > PING_S:
            self._pinged_s = now_s
            self._protocol.send_ping(b"")
            self._flush()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.open.pop(self, None)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._heard_s = time.monotonic()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Handshake):
                self._protocol.send_response(self._protocol.accept(event))
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            self._close(NOT_TEXT, "signals are text")
        elif not (frame.fin and frame.opcode in (Opcode.TEXT, Opcode.CONT)) and self._is_flood():
            self._close(TOO_MANY, "too many frames")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT) and not self._is_over:
            # Also where its sender's end, or a broken frame, came with it and was read already: it stood before that.
            # Parts without bytes count towards no limit.
            self._parts += [bytes(frame.data)] if frame.data else []
            if frame.fin:
                body, self._parts = b"".join(self._parts), []
                self._message(body)

    def _is_valid(self) -> bool:
        """Whether it would be let in as it once was; while nobody decides for its broker, that is not known."""
        try:
            self._door.still_valid(passed=self._pass)
        except UnableToAcceptSignal as error:
            return error.status != HTTPStatus.UNAUTHORIZED
        return True

    def _is_flood(self) -> bool:
        """Count a frame that is no signal's last; whether there were too many since the last second began."""
        self._others += 1
        return self._others > OTHER_FRAMES_PER_S_MAX

    def _message(self, body: bytes) -> None:
        if self._unanswered >= UNANSWERED_MAX:
            self._close(TOO_MANY, "too many signals are under way")
            return
        signal_id = ""
        try:
            strategy = self._door.still_valid(passed=self._pass)
            self._door.admit(tenant=self._pass.tenant, strategy=strategy)
            signal = signals.parse(body=body)
            signal_id = signal.id
            self._unanswered += 1
            self._door.take(
                tenant=self._pass.tenant,
                strategy=strategy,
                signal=signal,
                request_hash=signals.request_hash(signal=signal, body=body, signed=True),
                request_id="",
                told=self._tell(signal_id),
            )
        except UnableToAcceptSignal as error:
            if signal_id:
                self._unanswered -= 1
            error.proven = error.status != HTTPStatus.UNAUTHORIZED
            self._door.refused(passed=self._pass, error=error, body=body)
            if error.status == HTTPStatus.UNAUTHORIZED:
                self._close(NOT_VALID, NO_LONGER)
            elif isinstance(error.__cause__, UnicodeDecodeError):
                self._close(NOT_UTF_8, "not UTF-8")
            elif error.code == signals.MALFORMED:
                self._close(UNREADABLE, "not strict JSON")
            else:
                self._send(signal_id or signals.id_of(body=body), refusal(error))

    def _tell(self, signal_id: str) -> Callable[[Answer | None], None]:
        def told(answer: Answer | None) -> None:
            self._unanswered -= 1
            self._send(signal_id, answered(answer))
            self._flush()

        return told

    def _send(self, signal_id: str, response: Response) -> None:
        if self._transport is None or self._protocol.state is not State.OPEN:
            return
        head = msgspec.json.encode({"id": signal_id, "status": response.status})
        self._protocol.send_text(head[:-1] + b"," + response.body[1:])

    def _close(self, code: int, reason: str) -> None:
        self._is_over = True
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        try:
            for data in self._protocol.data_to_send():
                if data:
                    transport.write(data)
        except ProtocolError:
            transport.abort()
            return
        if transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            transport.abort()  # Who does not read the answers does not get more of them.
        elif self._protocol.close_expected() or self._protocol.state is State.CLOSED:
            transport.close()
