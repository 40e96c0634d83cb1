"""When a tenant's log has grown enough, a keeper is started beside the engine: a snapshot, and a signed head."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from piggy.engine.config import EngineConfig
from piggy.engine.context import TenantContext
from piggy.engine.fold_version import fold_version
from piggy.messaging.chain import Tip

log = logging.getLogger(__name__)

NEWEST = "SELECT coalesce(max(seq), 0) FROM {schema}.engine_snapshot WHERE fold = %s AND part = 0"
OWN = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ")
# After a keeper that failed, its tenant waits for this many more events.
RETRY_EVENTS = 10_000


class Housekeeping:
    """At most one keeper runs at a time; the engine's own work comes first."""

    def __init__(self, *, config: EngineConfig) -> None:
        self._config = config
        self._kept: dict[str, int] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._running = ("", 0)

    async def look(
        self, *, connection: psycopg.AsyncConnection[Any], tips: Mapping[str, Tip], follows: bool = False
    ) -> None:
        """Start a keeper for the tenant whose log has grown most since its last snapshot, if it is due.

        Who only `follows` starts one where its program has no snapshot at all, as while it is deployed: the engines
        that come after it would read the log from its first event.
        """
        if not self._is_free():
            return
        for tenant in self._kept.keys() - tips.keys():
            del self._kept[tenant]
        for tenant in tips.keys() - self._kept.keys():
            self._kept[tenant] = await self._newest(connection, tenant)
        looked_at = [tenant for tenant in tips if not (follows and self._kept[tenant])]
        grown = {tenant: tips[tenant].seq - self._kept[tenant] for tenant in looked_at}
        tenant = max(grown, key=lambda each: grown[each], default="")
        if tenant and grown[tenant] >= self._config.snapshot_events:
            if follows and (kept := await self._newest(connection, tenant)):
                self._kept[tenant] = kept
                return
            self._running = tenant, tips[tenant].seq
            # In a session of its own, or it would share the engine's part of the processors (priority.py).
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "piggy.engine.keeper", tenant, env=self._environment(), start_new_session=True
            )

    async def stop(self) -> None:
        """End a keeper that runs; what it did not commit never was."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    def _is_free(self) -> bool:
        if self._process is None:
            return True
        code = self._process.returncode
        if code is None:
            return False
        tenant, seq = self._running
        if code:
            log.error("keeper failed", extra={"tenant": tenant, "exit_code": code})
            seq += RETRY_EVENTS - self._config.snapshot_events
        self._kept[tenant] = seq
        self._process = None
        return True

    async def _newest(self, connection: psycopg.AsyncConnection[Any], tenant: str) -> int:
        query = sql.SQL(NEWEST).format(schema=sql.Identifier(tenant))
        async with connection.transaction():
            await TenantContext(connection=connection, key=self._config.context_key).enter(tenant=tenant)
            row = await (await connection.execute(query, (fold_version(),))).fetchone()
        return int(row[0]) if row else 0

    def _environment(self) -> dict[str, str]:
        return {name: os.environ[name] for name in OWN if name in os.environ} | {
            "DATABASE_URL": self._config.database_url,
            "PIGGY_CONTEXT_KEY": self._config.context_key.hex(),
            "PIGGY_HOME": str(self._config.home),
            # It reckons no curve: the threads that numpy would start for it are a third of its start.
            "OPENBLAS_NUM_THREADS": "1",
        }
