"""When a tenant's log has grown enough, a keeper is started beside the engine: a snapshot, and a signed head."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from piggy.engine.config import EngineConfig
from piggy.engine.context import TenantContext
from piggy.engine.fold_version import fold_version
from piggy.engine.unkept import SNAPSHOT, Unkept
from piggy.messaging.chain import Tip

log = logging.getLogger(__name__)

NEWEST = "SELECT coalesce(max(seq), 0) FROM {schema}.engine_snapshot WHERE fold = %s AND part = 0"
OWN = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ")
# How long a tenant waits after a keeper that failed; twice as long after each further one.
RETRY_S_MIN, RETRY_S_MAX = 30.0, 3_600.0
# What a keeper ends with where events are missing, or not as they were signed.
NOT_WHOLE = 3


class Housekeeping:
    """At most one keeper runs at a time; the engine's own work comes first."""

    def __init__(
        self, *, config: EngineConfig, unkept: Unkept | None = None, mono_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._unkept = unkept or Unkept()
        self._mono_s = mono_s
        self._failed: dict[str, tuple[int, float]] = {}
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
            self._failed.pop(tenant, None)
            self._unkept.kept(tenant=tenant, name=SNAPSHOT)
        for tenant in tips.keys() - self._kept.keys():
            # What a term before this one failed at, another engine may have done.
            self._unkept.kept(tenant=tenant, name=SNAPSHOT)
            self._kept[tenant] = await self._newest(connection, tenant)
        looked_at = [tenant for tenant in tips if not (follows and self._kept[tenant]) and self._is_due(tenant)]
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

    def has_first(self, *, tips: Mapping[str, Tip]) -> bool:
        """Tell whether no log waits for its first snapshot of this program; one whose keeper failed waits for none.

        As of the last look.
        """
        return all(
            tip.seq < self._config.snapshot_events or self._kept.get(tenant) or tenant in self._failed
            for tenant, tip in tips.items()
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
            times = self._failed.get(tenant, (0, 0.0))[0] + 1
            self._failed[tenant] = times, self._mono_s()
            log.error("keeper failed", extra={"tenant": tenant, "exit_code": code, "times": times})
            why = "its log is not whole" if code == NOT_WHOLE else "see the engine's log"
            text = f"not written, nor the signed head, {times} times in a row; {why}"
            self._unkept.failed(tenant=tenant, name=SNAPSHOT, text=text)
        else:
            self._failed.pop(tenant, None)
            self._unkept.kept(tenant=tenant, name=SNAPSHOT)
            self._kept[tenant] = seq
        self._process = None
        return True

    def _is_due(self, tenant: str) -> bool:
        """Whether the tenant's last keeper did not fail, or that is long enough ago."""
        times, at_s = self._failed.get(tenant, (0, 0.0))
        return not times or self._mono_s() - at_s >= min(RETRY_S_MAX, RETRY_S_MIN * 2 ** min(times - 1, 16))

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
