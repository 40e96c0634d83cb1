"""Every open connection of the fast door, so that their number, their slowness and whose they are has a limit."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import islice
from typing import Protocol

CONNECTIONS_MAX = 2_000
EVICTED_MAX = 50
# Of all connections so many may be strategies' sockets, which nobody takes away for others.
SOCKETS_MAX = 1_500


class Open(Protocol):
    """A connection, whatever it speaks; `crowd` is whose it is while it only keeps a place, '' while it is at work.

    `owner` is the tenant whose strategy has a socket, '' where it is none.
    """

    crowd: str
    owner: str

    def abort(self) -> None:
        """Drop the connection."""

    def tick(self, *, now_s: float) -> None:
        """Do what is due now and then; end what is too slow or too silent."""


class Successor(Open, Protocol):
    """What a connection is handed to after an upgrade."""

    def begin(self, *, transport: asyncio.Transport, handshake: bytes, rest: bytes) -> None:
        """Take the connection over, with the request that asked for it and what came behind that already."""


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

    def may_stay(self, *, tenant: str) -> bool:
        """Whether a tenant may have one socket more: fewer than are free, so that some are left for everybody else."""
        owners = Counter(each.owner for each in self.open if each.owner)
        return owners[tenant] < SOCKETS_MAX - owners.total()

    async def watch(self) -> None:
        """Let every connection do, once a second, what is due."""
        while True:
            now_s = time.monotonic()
            for connection in list(self.open):
                connection.tick(now_s=now_s)
            await asyncio.sleep(1)
