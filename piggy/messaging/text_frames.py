"""A websocket text as it lies on the line: framed once for however many sockets get it (RFC 6455, section 5.2)."""

from __future__ import annotations

import struct

# A server that takes finished frames says so under this name among the extensions of a socket's scope:
# a function of one frame that is True once it is written, and False where the line is not free for it.
WRITES_FRAMES = "piggy.frames"

FINAL_TEXT = 0x81
SHORT_MAX, MIDDLE_MAX = 125, 0xFFFF


def frame_of(*, text: str) -> bytes:
    """Return `text` as one unmasked frame, as servers send it."""
    data = text.encode()
    size = len(data)
    if size <= SHORT_MAX:
        return struct.pack("!BB", FINAL_TEXT, size) + data
    if size <= MIDDLE_MAX:
        return struct.pack("!BBH", FINAL_TEXT, 126, size) + data
    return struct.pack("!BBQ", FINAL_TEXT, 127, size) + data
