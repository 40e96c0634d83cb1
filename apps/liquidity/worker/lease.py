"""One process per FIX session: a PostgreSQL advisory lock, which ends with the process that holds it."""

from __future__ import annotations

import threading

import structlog
from django.db import connections
from django.db.utils import Error

from apps.liquidity import services

log = structlog.get_logger(__name__)


class Leases:
    """Locks of this process, all on one connection of their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = connections.create_connection("default")
        self._connection.inc_thread_sharing()
        self._held: set[str] = set()

    def take(self, name: str) -> bool:
        """Return whether this process now holds `name`; False while another does, or PostgreSQL is away."""
        with self._lock:
            if name in self._held:
                return True
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute("select pg_try_advisory_lock(%s)", [services.session_lock(name=name)])
                    taken = bool(cursor.fetchone()[0])
            except Error as error:
                log.warning("lease_not_reachable", lease=name, error=str(error))
                self._connection.close()
                return False
            if taken:
                self._held.add(name)
            return taken

    def lost(self) -> set[str]:
        """Return leases that the database no longer knows as ours; they are forgotten here too.

        While PostgreSQL is away nobody else can take them either, so nothing is lost yet.
        """
        with self._lock:
            if not self._held:
                return set()
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute(
                        "select (classid::bigint << 32) | objid::bigint from pg_locks "
                        "where locktype = 'advisory' and pid = pg_backend_pid()"
                    )
                    known = {row[0] for row in cursor.fetchall()}
            except Error as error:
                log.warning("leases_not_reachable", error=str(error))
                self._connection.close()
                return set()
            gone = {name for name in self._held if services.session_lock(name=name) not in known}
            self._held -= gone
            return gone

    def give(self, name: str) -> None:
        """Let another process have `name`."""
        with self._lock:
            self._held.discard(name)
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute("select pg_advisory_unlock(%s)", [services.session_lock(name=name)])
            except Error as error:
                log.warning("lease_not_given_back", lease=name, error=str(error))

    def close(self) -> None:
        """Give everything back."""
        with self._lock:
            self._held.clear()
            self._connection.close()
