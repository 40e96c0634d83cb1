"""uvicorn's websockets, which also take a finished frame: what a desk tells two hundred screens is framed once.

    uvicorn --ws piggy.messaging.uvicorn_sockets:FrameSockets --ws-per-message-deflate false --ws-max-size 65536

A frame is written at once where the line is free. Sending a text through the application's layers costs each socket a
task's turn and two copies of the text; on any other server, or where lines are packed, that is what happens.

Frames are counted: a message in hundreds of thousands of parts, or as many pings, would keep every broker of the
process waiting for seconds, and no limit on messages knows of them.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

from piggy.messaging.text_frames import WRITES_FRAMES

# A screen says a few things a second, each in one frame, and answers pings.
FRAMES_PER_S_MAX = 200
# What is read of one packet before it is counted; an empty frame of a client's has six bytes.
PART_BYTES = 2_048
TOO_MANY = 4429


class FrameSockets(WebSocketsSansIOProtocol):
    """One socket of the web process."""

    _second = 0
    _frames = 0

    def data_received(self, data: bytes) -> None:
        """Read on part by part, till the line is to be closed."""
        for at in range(0, len(data), PART_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[at : at + PART_BYTES])

    def handle_events(self) -> None:
        """Pass on what was read; who sends frames without end is let go with 4429."""
        if not self._is_flood(len(self.conn.events)):
            super().handle_events()
        elif self.conn.state is State.OPEN:
            self.conn.events_received()
            self.conn.send_close(TOO_MANY, "too many frames")
            self.handle_parser_exception()
        else:
            # He was told already, or has not been let in yet.
            self.transport.close()

    def _is_flood(self, frames: int) -> bool:
        second = int(self.loop.time())
        self._frames = frames + (self._frames if second == self._second else 0)
        self._second = second
        return self._frames > FRAMES_PER_S_MAX

    def handle_connect(self, event: Request) -> None:
        """Begin as uvicorn does; the application starts with the next turn of the loop and finds the extension."""
        super().handle_connect(event)
        if not self.config.ws_per_message_deflate and hasattr(self, "scope"):
            self.scope["extensions"][WRITES_FRAMES] = self.write_frame  # type: ignore[assignment]

    def write_frame(self, frame: bytes) -> bool:
        """Write a whole frame; False where the line is not open or has not taken yet what was written before."""
        is_open = self.conn.state is State.OPEN and not (self.disconnected or self.close_sent)
        if not is_open or not self.writable.is_set() or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True
