"""Committed events -> every app's projections: python -m piggy.projector.

Follows each tenant's event log by seq. A wake-up comes from Redis when the engine commits, and every log is looked at
every half second without one, so Redis may vanish. One transaction per batch holds the rows and the cursor: a crash
repeats nothing. Every event's hash is checked. Where a log has a gap, was changed or holds what no rows can be made of,
its broker's projections halt, and no other's: rows made from such a log would be wrong and look right.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import django

from piggy.engine import storage
from piggy.engine.priority import give_way
from piggy.messaging.troubles import Troubles

POLL_S = 0.5
# A round costs the same for one event as for a hundred, so under load a round waits until there are some, and under
# much load longer: what a round costs is then what its events cost, and people see them as soon as they can look. Of
# 500 events an order costs half as much again as of 1,000, for every round loads and writes whose balance changed.
ROUND_S, BUSY_ROUND_S = 0.05, 0.5
BUSY_EVENTS = 200
# A batch of one broker costs as much before its first event as for a hundred. So of many that grow each rests a while
# after his, and his next is worth it: all of them together take one part in so many of the time, rests not too long.
REST_SHARE, REST_S_MAX = 10, 2.0
# Where there are more tasks than processors an order goes first; what people look at may be a moment late.
NICE = 5
RECONNECT_S = 1.0
# A log that cannot be shown is looked at again so often, and said to be so again: somebody may have put it right.
HALTED_S = 30.0
ROOM_S = 2.0  # Where its tables have no room: that comes by itself.
TENANTS_AGE_S = 5.0
BATCH_ROWS_MAX = 4_000
NO_END = 2**63 - 1


class Projection(Protocol):
    """Asks the tables what it must know, stops once, then writes."""

    def __call__(self, *, tenant: str, batch: Sequence[Any]) -> Iterator[None]: ...


class UnableToProject(Exception):
    """The log has a gap, or a row that is not what was written; nothing past it is shown until someone looks."""


@cache
def projections() -> dict[str, Projection]:
    """Return every app's projection by the name of its cursor: the table of contents of what people see."""
    return {name: module.project for name, module in _modules().items()}


def rebuild(*, tenant: str, name: str = "") -> int:
    """Empty every table that projections fill, or those of one, and fill them anew; returns the events read.

    Needs the owner's connection, for the app's role may empty nothing. A projector that runs meanwhile takes turns.
    """
    from django.db import connection, transaction

    from apps.tenants.services import in_tenant

    wanted = {key: module for key, module in _modules().items() if name in ("", key)}
    tables = sorted({model._meta.db_table for module in wanted.values() for model in module.TABLES})
    with in_tenant(tenant), transaction.atomic(), connection.cursor() as cursor:
        _cursors({key: module.project for key, module in wanted.items()})
        cursor.execute(f"truncate {', '.join(map(connection.ops.quote_name, tables))} restart identity")
        cursor.execute("update projection_cursor set seq = 0 where name = any(%s)", [list(wanted)])
    read = 0
    while found := catch_up(tenant=tenant, name=name):
        read += found
    return read


@cache
def _modules() -> dict[str, Any]:
    from apps.liquidity import projections as liquidity
    from apps.risk import projections as risk
    from apps.trading import projections as trading
    from apps.treasury import projections as treasury

    # Trading has most to fold, and PostgreSQL writes the others' rows meanwhile.
    return {"risk": risk, "liquidity": liquidity, "treasury": treasury, "trading": trading}


def catch_up(*, tenant: str, name: str = "", rows_max: int = BATCH_ROWS_MAX) -> int:
    """Project at most `rows_max` events of a tenant in one transaction and return how many the log held.

    `name` limits it to one projection, as a rebuild does. Raises UnableToProject where the log is not whole.
    """
    import structlog
    from django.db import DataError

    from apps.common import bulk

    try:
        return _catch_up(tenant=tenant, name=name, rows_max=rows_max)
    except DataError as error:
        # What is in the log has happened: a text that no column holds must not hide all that came after it.
        structlog.get_logger(__name__).error("projector_makes_it_fit", tenant=tenant, error=str(error))
        with bulk.fitted():
            return _catch_up(tenant=tenant, name=name, rows_max=rows_max)


def _catch_up(*, tenant: str, name: str, rows_max: int) -> int:
    from apps.tenants.services import in_tenant

    wanted = {key: value for key, value in projections().items() if name in ("", key)}
    with _no_collection(), in_tenant(tenant):
        # Most looks find nothing, and taking the cursors to see that writes more than it reads.
        if not _has_news(wanted):
            return 0
        return _project(wanted, tenant, rows_max)


def _has_news(wanted: dict[str, Projection]) -> bool:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*), min(seq), (select coalesce(max(seq), 0) from event_log)"
            " from projection_cursor where name = any(%s)",
            [list(wanted)],
        )
        count, first, last = cursor.fetchone()
    # A log that ends before its cursor lost its end, which whoever reads it says.
    return bool(count < len(wanted) or first != last)


def _project(wanted: dict[str, Projection], tenant: str, rows_max: int) -> int:
    from django.db import transaction

    from apps.common import bulk

    with transaction.atomic():
        _wait_for_no_disk()
        cursors = _cursors(wanted)
        first = min(cursors.values())
        batch = _read(tenant=tenant, after=first, limit=rows_max)
        if not batch:
            return 0
        with bulk.unawaited():
            running = [
                project(tenant=tenant, batch=[recorded for recorded in batch if recorded.seq > cursors[key]])
                for key, project in wanted.items()
            ]
            # An answer waits for all that was sent before it, so every question comes before the first write: then
            # PostgreSQL works at what one has written while the next is folding.
            for _ in range(2):
                for each in running:
                    next(each, None)
            _move(cursors, to=batch[-1].seq)
    return len(batch)


def _wait_for_no_disk() -> None:
    """Commit without the disk, which orders wait for: what a crash takes of rows it takes of their cursor too."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("set local synchronous_commit to off")


@contextmanager
def _no_collection() -> Iterator[None]:
    """A batch makes a hundred thousand objects and no garbage; looking for some among them all takes a third of it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def lag_events(*, tenant: str) -> int:
    """Return how many committed events the slowest projection has not shown yet."""
    from django.db import connection

    from apps.tenants.services import in_tenant

    with in_tenant(tenant), connection.cursor() as cursor:
        first = min(_cursors(projections()).values())
        cursor.execute("select coalesce(max(seq), 0) from event_log")
        return int(cursor.fetchone()[0]) - first


def _cursors(wanted: dict[str, Projection]) -> dict[str, int]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "insert into projection_cursor (name, seq) select unnest(%s::text[]), 0 on conflict do nothing",
            [list(wanted)],
        )
        # Locked in one order, so that two projectors take turns instead of doing the same twice.
        cursor.execute(
            "select name, seq from projection_cursor where name = any(%s) order by name for update", [list(wanted)]
        )
        return dict(cursor.fetchall())


def _move(cursors: dict[str, int], *, to: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("update projection_cursor set seq = %s where name = any(%s) and seq < %s", [to, [*cursors], to])


def _read(*, tenant: str, after: int, limit: int) -> list[Any]:
    """Return the events after `after`, every hash checked. Raises UnableToProject."""
    import psycopg
    from django.db import connection

    from piggy.messaging import log_pages
    from piggy.messaging.chain import Tip

    with connection.cursor(), connection.wrap_database_errors:  # Opens the connection; puts the context on it.
        cursor = psycopg.Cursor(connection.connection)
        cursor.execute(_page(tenant), {"after": after, "until": NO_END, "rows": limit}, binary=True)
        page, before = cursor.fetchone() or (None, None)
    tip = Tip()
    if after:
        if before is None:
            raise UnableToProject(f"{tenant}: event {after} is missing.")
        tip = Tip(after, before)
    try:
        return [row.recorded for row in log_pages.rows(tenant=tenant, page=page or b"", tip=tip)]
    except log_pages.UnableToRead as error:
        raise UnableToProject(str(error)) from error


@cache
def _page(tenant: str) -> Any:
    from psycopg import sql

    from piggy.messaging import log_pages

    before = sql.SQL("(SELECT hash FROM {schema}.event_log WHERE seq = %(after)s)")
    return sql.SQL("SELECT ({page}), {before}").format(
        page=sql.SQL(log_pages.PAGE).format(schema=sql.Identifier(tenant)),
        before=before.format(schema=sql.Identifier(tenant)),
    )


class Follower:
    """Keeps every tenant's projections at the end of its log until told to stop."""

    def __init__(self, *, redis_url: str) -> None:
        self._redis_url = redis_url
        self._running = True
        self._tenants: list[str] = []
        self._woken: set[str] = set()
        self._polled_s = -POLL_S
        self._subscriber: Any = None
        self._rests_until_s: dict[str, float] = {}
        self._halted_until_s: dict[str, float] = {}
        self._halted: dict[str, str] = {}
        self._troubles = Troubles(redis_url=redis_url, name="projector")

    def stop(self, *_: Any) -> None:
        """Finish the batch at hand and return from `run`."""
        self._running = False

    def run(self) -> None:
        """Project until `stop`; a database that is away is waited for."""
        import structlog
        from django.db import InterfaceError, OperationalError, connection

        log = structlog.get_logger(__name__)
        looked_at_s = -TENANTS_AGE_S
        while self._running:
            try:
                began_s = time.monotonic()
                if time.monotonic() - looked_at_s > TENANTS_AGE_S:
                    self._look_for_tenants()
                    looked_at_s = time.monotonic()
                found = {tenant: self._catch_up(tenant) for tenant in self._due()}
                self._rest(found, began_s)
            except (OperationalError, InterfaceError) as error:
                log.warning("projector_waits_for_database", error=str(error))
                # Django keeps a connection that broke between transactions, and never asks for another by itself.
                connection.close()
                self._polled_s = -POLL_S
                time.sleep(RECONNECT_S)
                continue
            behind = {tenant for tenant, count in found.items() if count == BATCH_ROWS_MAX}
            self._woken |= behind
            if not behind:
                time.sleep(max(0.0, began_s + ROUND_S - time.monotonic()))
                self._sleep()

    def _catch_up(self, tenant: str) -> int:
        """Project what is new of one broker, nothing of one whose log cannot be shown; return how many events."""
        import structlog
        from django.db import InterfaceError, OperationalError

        if time.monotonic() < self._halted_until_s.get(tenant, 0.0):
            self._troubles.say(tenant=tenant, text=self._halted[tenant])
            return 0
        log = structlog.get_logger(__name__)
        try:
            found = catch_up(tenant=tenant)
        except Exception as error:
            # The boundary of one broker: what cannot be shown of its log hides nothing of the others'. So it is where
            # its tables have no room, as under a quota: the log and those of others may well have some.
            wants_room = storage.wants_room(error.__cause__)
            if isinstance(error, OperationalError | InterfaceError) and not wants_room:
                raise
            is_clear = wants_room or isinstance(error, UnableToProject)
            log.critical("projections_halted", tenant=tenant, error=str(error), exc_info=not is_clear)
            return self._halt(tenant, str(error), seconds=ROOM_S if wants_room else HALTED_S)
        self._halted_until_s.pop(tenant, None)
        self._troubles.say(tenant=tenant, text="")
        return found

    def _halt(self, tenant: str, why: str, *, seconds: float = HALTED_S) -> int:
        self._halted_until_s[tenant] = time.monotonic() + seconds
        self._halted[tenant] = f"nothing new is shown in tables and reports: {why}"
        self._troubles.say(tenant=tenant, text=self._halted[tenant])
        return 0

    def _due(self) -> list[str]:
        """Return whose logs to look at: of those that woke us, and twice a second all of them, but who rests."""
        now_s = time.monotonic()
        if now_s - self._polled_s >= POLL_S:
            self._polled_s = now_s
            self._woken.update(self._tenants)
        self._rests_until_s = {tenant: at_s for tenant, at_s in self._rests_until_s.items() if at_s > now_s}
        due = [tenant for tenant in self._tenants if tenant in self._woken and tenant not in self._rests_until_s]
        self._woken.difference_update(due)
        return due

    def _rest(self, found: dict[str, int], began_s: float) -> None:
        """Let those who had a batch, and are through with their log, rest the longer the more others have some too."""
        rested = [tenant for tenant, count in found.items() if 0 < count < BATCH_ROWS_MAX]
        if not rested:
            return
        others, each_s = len(self._rests_until_s.keys() | rested) - 1, (time.monotonic() - began_s) / len(rested)
        busy_s = BUSY_ROUND_S if sum(found.values()) >= BUSY_EVENTS else 0.0
        rest_s = max(busy_s, min(REST_S_MAX, REST_SHARE * others * each_s))
        self._rests_until_s |= dict.fromkeys(rested, began_s + rest_s)

    def _look_for_tenants(self) -> None:
        from apps.tenants.selectors import active_schemas
        from piggy.messaging import streams
        from piggy.messaging.subscriber import Subscriber

        tenants = active_schemas()
        if tenants == self._tenants:
            return
        if self._subscriber is not None:
            self._subscriber.close()
        self._tenants = tenants
        channels = [streams.committed_channel(tenant=tenant) for tenant in tenants]
        self._subscriber = Subscriber(redis_url=self._redis_url, channels=channels) if channels else None

    def _sleep(self) -> None:
        """Return when a tenant's log has grown, which is then in `_woken`, or all are to be looked at."""
        from piggy.messaging import streams

        rests = [at_s for tenant, at_s in self._rests_until_s.items() if tenant in self._woken]
        left_s = max(0.0, min([self._polled_s + POLL_S, *rests]) - time.monotonic())
        if self._subscriber is None:
            time.sleep(left_s)
            return
        message = self._subscriber.wait(timeout_s=left_s)
        # Wake-ups that came meanwhile say the same: one look at the log serves them all.
        while message is not None:
            self._woken.add(streams.tenant_of(key=message[0]))
            message = self._subscriber.wait(timeout_s=0)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"piggy.settings.{os.environ.get('PIGGY_ENV', 'dev')}")
    give_way(nice=NICE)
    django.setup()
    import structlog
    from django.conf import settings

    follower = Follower(redis_url=settings.REDIS_URL)
    signal.signal(signal.SIGTERM, follower.stop)
    signal.signal(signal.SIGINT, follower.stop)
    log = structlog.get_logger(__name__)
    log.info("projector_started", projections=list(projections()))
    follower.run()
    log.info("projector_stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
