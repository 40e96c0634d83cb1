"""uvicorn's websockets, which also take a finished frame: what a desk tells two hundred screens is framed once.

    uvicorn --ws piggy.messaging.uvicorn_sockets:FrameSockets --ws-per-message-deflate false

A frame is written at once where the line is free. Sending a text through the application's layers costs each socket a
task's turn and two copies of the text; on any other server, or where lines are packed, that is what happens.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

from piggy.messaging.text_frames import WRITES_FRAMES


class FrameSockets(WebSocketsSansIOProtocol):
    """One socket of the web process."""

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
