"""The tenant context of one connection, signed anew well before it expires."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from piggy.messaging.context import signed_context

CONTEXT_LIFE_S = 300
# Local to the transaction: a connection that goes on to another tenant carries nothing over.
SET_CONTEXT = "SELECT set_config('piggy.tenant', %s, true)"


class TenantContext:
    """Signs for one backend; a context is of no use on any other connection."""

    def __init__(self, *, connection: psycopg.AsyncConnection[Any], key: bytes) -> None:
        self._connection = connection
        self._key = key
        self._signed: dict[str, tuple[str, int]] = {}

    async def enter(self, *, tenant: str) -> None:
        """Open the tenant's rows to the rest of the running transaction."""
        await self._connection.execute(SET_CONTEXT, (self.signed(tenant=tenant),))

    def signed(self, *, tenant: str) -> str:
        """Return the context that opens the tenant's rows on this connection, good for some minutes."""
        context, expires_at_s = self._signed.get(tenant, ("", 0))
        now_s = int(time.time())
        if expires_at_s - now_s < CONTEXT_LIFE_S // 2:
            expires_at_s = now_s + CONTEXT_LIFE_S
            backend_pid = self._connection.info.backend_pid
            context = signed_context(key=self._key, tenant=tenant, backend_pid=backend_pid, expires_at_s=expires_at_s)
            self._signed[tenant] = context, expires_at_s
        return context
