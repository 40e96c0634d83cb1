"""A connection to PostgreSQL that holds nobody up: a server that is stopped, or cut off, never says that it is."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.waiting import wait_async

# What the server has done already is on its way; for more than that nobody who has to go waits.
LAST_S_MAX = 0.3
LOOK_S = 0.1

T = TypeVar("T")


class Link(psycopg.AsyncConnection[Any]):
    """Ends with whoever is cancelled while waiting on it, where psycopg would ask the server to stop for ten seconds.

    An engine that lost PostgreSQL would not step down for so long (F-08).
    """

    async def wait(self, gen: PQGen[T], interval: float = LOOK_S, timeout: float | None = None) -> T:
        """Wait for what `gen` asks of the server. Raises psycopg.Error."""
        try:
            return await wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            with contextlib.suppress(psycopg.Error):
                await wait_async(gen, self.pgconn.socket, interval=interval, timeout=LAST_S_MAX)
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise
