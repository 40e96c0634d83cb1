"""The lease of a shard: one engine writes, and its fencing token is checked inside every write.

A holder that stopped for a while and comes back finds a higher token in the row, so its writes insert nothing.
"""

from __future__ import annotations

from typing import Any

import psycopg

ACQUIRE = """
INSERT INTO public.engine_lease AS lease (shard, token, holder, expires_at)
VALUES (%(shard)s, 1, %(holder)s, clock_timestamp() + make_interval(secs => %(life_s)s))
ON CONFLICT (shard) DO UPDATE
   SET token = lease.token + 1, holder = excluded.holder, expires_at = excluded.expires_at
 WHERE lease.expires_at < clock_timestamp() OR lease.holder = excluded.holder
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

    def __init__(self, *, connection: psycopg.AsyncConnection[Any], shard: str, holder: str, life_s: int) -> None:
        self._connection = connection
        self._parameters: dict[str, object] = {"shard": shard, "holder": holder, "life_s": life_s}
        self.shard = shard
        self.token = 0

    async def acquire(self) -> int:
        """Take the shard and return the new fencing token. Raises UnableToHoldLease while another holds it."""
        row = await (await self._connection.execute(ACQUIRE, self._parameters)).fetchone()
        if row is None:
            raise UnableToHoldLease(f"Shard {self.shard} is held by another engine.")
        self.token = int(row[0])
        self._parameters["token"] = self.token
        return self.token

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
