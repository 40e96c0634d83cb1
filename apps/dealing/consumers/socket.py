"""The dealer's socket: who may open it, what it may say, and how it is closed.

Close codes: 1003 binary, 1009 too long, 4400 not understood, 4401 signed out or role withdrawn, 4408 too slow or
silent, 4429 too many messages. A handshake without the right origin, session or role is refused with 403.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Annotated, Any, Literal

import msgspec
from channels.generic.websocket import AsyncWebsocketConsumer

from apps.common.sockets import tenant_call
from apps.dealing import selectors
from apps.dealing.consumers import hub as hubs
from apps.dealing.consumers.outbox import Outbox
from piggy.messaging.streams import PANELS
from piggy.messaging.text_frames import WRITES_FRAMES

log = logging.getLogger(__name__)
seat_of_session = tenant_call(selectors.seat_of_session)

MESSAGE_BYTES_MAX = 64 * 1024
MESSAGES_PER_S_MAX = 20
HANG_UP_S_MAX = 2.0
NAMES_MAX = 8
KEYS_MAX = 100
Name = Annotated[str, msgspec.Meta(pattern=r"^(depth|stopout):[A-Za-z0-9._:-]{1,60}\Z")]
Key = Annotated[str, msgspec.Meta(max_length=60)]


class Resync(msgspec.Struct, tag_field="action", tag="resync"):
    """The page met a gap and wants a panel whole."""

    panel: str


class Pong(msgspec.Struct, tag_field="action", tag="pong"):
    """The page is alive; it echoes the ping's time."""

    at_us: int


class Watch(msgspec.Struct, tag_field="action", tag="watch"):
    """The dealer looks closely at these for the next seconds: depth:EURUSD, stopout:A1001."""

    names: Annotated[list[Name], msgspec.Meta(max_length=NAMES_MAX)]


class Look(msgspec.Struct, tag_field="action", tag="look"):
    """The page has these rows of the market's panels in sight."""

    panels: dict[Literal["exposure", "quotes"], Annotated[list[Key], msgspec.Meta(max_length=KEYS_MAX)]]


_decode = msgspec.json.Decoder(Resync | Pong | Watch | Look).decode


class DeskConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One dealer's line to the desk of the tenant whose domain it came to."""

    async def connect(self) -> None:
        """Admit staff with a dealer's role and a verified second factor of this tenant."""
        self.hub: hubs.Hub | None = None
        self.writer: asyncio.Task[None] | None = None
        self.tenant = str(self.scope["tenant"])
        self.session_key = str(self.scope["session_key"])
        self.heard_at_s = time.monotonic()
        self.watched: list[str] = []
        self.sight: dict[str, tuple[str, ...]] = {}
        self.said_at_s: deque[float] = deque(maxlen=MESSAGES_PER_S_MAX + 1)
        seat = await seat_of_session(self.tenant, self.session_key)
        if seat is None:
            log.info("desk refused", extra={"tenant": self.tenant})
            await self.close()
            return
        await self.accept()
        write = self.scope.get("extensions", {}).get(WRITES_FRAMES)
        self.outbox = Outbox(snapshot_of=self._snapshot_text, now_s=time.monotonic, panels=PANELS, write=write)
        self.hub, self.group = await hubs.join(tenant=self.tenant, member=self)
        await self.send(text_data=_hello(tenant=self.tenant, user=seat))
        self.outbox.resync(panels=PANELS)
        self.writer = asyncio.create_task(self._write())

    async def disconnect(self, code: int) -> None:
        """Leave the hub whatever ended the line."""
        if self.writer:
            self.writer.cancel()
        if self.hub:
            await hubs.leave(hub=self.hub, member=self)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take a pong or a wish for a snapshot; anything else ends the line."""
        self.heard_at_s = time.monotonic()
        code = self._fault(text_data)
        if code:
            await self.hang_up(code)
        elif self.watched and self.hub:
            names, self.watched = self.watched, []
            await self.hub.look_at(names)

    def _fault(self, text: str | None) -> int | None:
        """Return the close code that a message deserves; None where it was understood and done."""
        if text is None:
            return 1003
        if len(text) > MESSAGE_BYTES_MAX:
            return 1009
        self.said_at_s.append(self.heard_at_s)
        if len(self.said_at_s) > MESSAGES_PER_S_MAX and self.heard_at_s - self.said_at_s[0] < 1.0:
            return 4429
        try:
            message = _decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return 4400
        if isinstance(message, Resync):
            if message.panel not in PANELS:
                return 4400
            self.outbox.resync(panels=[message.panel])
        if isinstance(message, Watch):
            self.watched = message.names
        if isinstance(message, Look):
            self.sight = {panel: tuple(keys) for panel, keys in message.panels.items()}
        return None

    async def hang_up(self, code: int) -> None:
        """Close with `code`; a reader that does not read cannot hold this up, nor one who is gone end anybody else."""
        if self.writer:
            self.writer.cancel()
        try:
            await asyncio.wait_for(self.close(code=code), HANG_UP_S_MAX)
        except (OSError, RuntimeError) as error:
            log.info("desk line closed late", extra={"tenant": self.tenant, "code": code, "error": str(error)})
        if self.hub:
            await hubs.leave(hub=self.hub, member=self)

    def _snapshot_text(self, panel: str) -> str:
        return self.group.snapshot_text(panel)

    async def _write(self) -> None:
        while True:
            await self.send(text_data=await self.outbox.next())


def _hello(*, tenant: str, user: str) -> str:
    said: dict[str, Any] = {"type": "hello", "tenant": tenant, "user": user, "at_us": time.time_ns() // 1_000}
    return msgspec.json.encode(said).decode()
