"""The lease of a shard: one engine writes, and its fencing token is checked inside every write.

A holder that stopped for a while and comes back finds a higher token in the row, so its writes insert nothing.
A write holds the row FOR KEY SHARE (journal.py): it keeps out whoever takes over, and never whoever renews, who would
else wait for ever where one commit begins before the one before it is through.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

LOOK = """
SELECT token, expires_at, holder, expires_at < clock_timestamp() FROM public.engine_lease WHERE shard = %(shard)s
"""
# Waits for what is being written; a take-over that did not would begin from a log that still grows.
LOCK = "SELECT 1 FROM public.engine_lease WHERE shard = %(shard)s FOR UPDATE"
ACQUIRE = """
INSERT INTO public.engine_lease AS lease (shard, token, holder, expires_at)
VALUES (%(shard)s, 1, %(holder)s, clock_timestamp() + make_interval(secs => %(life_s)s))
ON CONFLICT (shard) DO UPDATE
   SET token = lease.token + 1, holder = excluded.holder, expires_at = excluded.expires_at
 WHERE lease.expires_at < clock_timestamp() OR lease.holder = excluded.holder
    OR (lease.token = %(dead_token)s AND lease.expires_at = %(dead_until)s)
RETURNING token
"""
RENEW = """
UPDATE public.engine_lease SET expires_at = clock_timestamp() + make_interval(secs => %(life_s)s)
 WHERE shard = %(shard)s AND token = %(token)s
"""
RELEASE = "UPDATE public.engine_lease SET expires_at = clock_timestamp() WHERE shard = %(shard)s AND token = %(token)s"


TRANSACTION_TIMEOUT_SINCE = 170_000


class UnableToHoldLease(Exception):
    """Another engine holds the shard."""


class Lease:
    """One engine's claim on one shard; `token` grows with every acquire and never falls."""

    def __init__(
        self,
        *,
        connection: psycopg.AsyncConnection[Any],
        shard: str,
        holder: str,
        life_s: int,
        mono_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._parameters: dict[str, object] = {"shard": shard, "holder": holder, "life_s": life_s}
        self._life_s = life_s
        self._mono_s = mono_s
        self._seen: tuple[Any, ...] = ()
        self._seen_at_s = 0.0
        self.shard = shard
        self.token = 0

    async def acquire(self) -> int:
        """Take the shard and return the new fencing token. Raises UnableToHoldLease while another holds it."""
        found = await (await self._connection.execute(LOOK, self._parameters)).fetchone()
        dead: tuple[Any, ...] = (None, None)
        if found is not None:
            token, expires_at, holder, is_over = found
            if self._is_dead(token, expires_at):
                dead = token, expires_at
            elif not is_over and holder != self._parameters["holder"]:
                raise UnableToHoldLease(f"Shard {self.shard} is held by another engine.")
        asked = self._parameters | {"dead_token": dead[0], "dead_until": dead[1]}
        async with self._connection.transaction():
            await self._connection.execute(LOCK, self._parameters)
            row = await (await self._connection.execute(ACQUIRE, asked)).fetchone()
        if row is None:
            raise UnableToHoldLease(f"Shard {self.shard} is held by another engine.")
        self.token = int(row[0])
        self._parameters["token"] = self.token
        return self.token

    def _is_dead(self, *seen: Any) -> bool:
        """Whether nobody renewed it for a whole life by our own clock: PostgreSQL's may have been put back (INV-20)."""
        if seen != self._seen:
            self._seen, self._seen_at_s = seen, self._mono_s()
        return self._mono_s() - self._seen_at_s > self._life_s

    async def renew(self) -> None:
        """Prolong the lease. Raises UnableToHoldLease where a higher token exists."""
        if (await self._connection.execute(RENEW, self._parameters)).rowcount != 1:
            raise UnableToHoldLease(f"Shard {self.shard} was taken over; token {self.token} is old.")

    async def release(self) -> None:
        """Let the next engine take over at once; the token stays used."""
        await self._connection.execute(RELEASE, self._parameters)


async def bound_writer(*, connection: psycopg.AsyncConnection[Any], life_s: int) -> None:
    """Let PostgreSQL (from 17) end a transaction of this connection that lasts longer than a lease.

    A write keeps the lease's row locked until its commit. A holder that is stopped in the midst of one would keep it
    locked, and every successor waiting, for as long as it sleeps (F-29).
    """
    if connection.info.server_version >= TRANSACTION_TIMEOUT_SINCE:
        await connection.execute("SELECT set_config('transaction_timeout', %s, false)", (f"{life_s * 1_000}",))
