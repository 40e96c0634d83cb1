"""A frame that is made once for many sockets is the one that any client takes for the text."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from piggy.messaging.text_frames import frame_of


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
def test_a_frame_is_as_a_server_writes_it(size: int) -> None:
    text = "\u20ac" * (size // 3) + "x" * (size % 3)
    assert frame_of(text=text) == Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
