"""Rebuilding a desk: the newest snapshot that holds good, then the log's tail. One path for start, crash and replay."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from piggy.core.desk import Desk
from piggy.engine import snapshot_store
from piggy.engine.context import TenantContext
from piggy.messaging import log_pages
from piggy.messaging.chain import Row, Tip
from piggy.messaging.fold_form import event_to_fold
from piggy.messaging.log_pages import PAGE_ROWS
from piggy.messaging.log_pages import UnableToRead as UnableToRead

NO_END = 2**63 - 1
SEND_S = 0.0005
PAGE_S_MAX = 5.0
LAST: LiteralString = "SELECT (SELECT coalesce(max(seq), 0) FROM {schema}.event_log), guard.tenant()"


class UnableToEnter(Exception):
    """Not one row of the tenant would be seen; whoever went on would take its log for an empty one."""


async def recover(
    *,
    connection: psycopg.AsyncConnection[Any],
    context_key: bytes,
    tenant: str,
    progress: Callable[[int], None] | None = None,
    use_snapshots: bool = True,
) -> tuple[Desk, Tip]:
    """Return the tenant's desk as its log makes it, and where the log ends; `progress` hears the seq now and then.

    Raises UnableToRead, or psycopg.Error where PostgreSQL is away.
    """
    desk, tip = Desk(tenant=tenant), Tip()
    if use_snapshots:
        found = await snapshot_store.newest(connection=connection, context_key=context_key, tenant=tenant)
        if found is not None:
            desk, tip = found.desk, found.tip
    await catch_up(desk=desk, tip=tip, connection=connection, context_key=context_key, tenant=tenant, progress=progress)
    return desk, tip


async def catch_up(
    *,
    desk: Desk,
    tip: Tip,
    connection: psycopg.AsyncConnection[Any],
    context_key: bytes,
    tenant: str,
    until: int = NO_END,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Fold what the log holds after `tip`, at most to the seq `until`, into the desk, moving the tip.

    Raises UnableToRead, also for an event that this program cannot fold: its tenant halts, the others do not.
    """
    found = pages(connection=connection, context_key=context_key, tenant=tenant, tip=tip, until=until)
    # Closed at once, also where a page is bad: the one after it is on its way, over the next tenant's connection too.
    async with aclosing(found):
        with _no_collection():
            async for page in found:
                _fold(tenant=tenant, desk=desk, page=page, tip=tip)
                if progress is not None:
                    progress(tip.seq)


def _fold(*, tenant: str, desk: Desk, page: bytes, tip: Tip) -> None:
    for row in log_pages.rows(tenant=tenant, page=page, tip=tip, decode=event_to_fold):
        try:
            desk.apply(recorded=row.recorded)
        except Exception as error:
            text = f"{tenant}: event {tip.seq} ({row.type}) cannot be applied."
            raise UnableToRead(text, seq=tip.seq) from error


async def last_seq(*, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str) -> int:
    """Return the seq of the log's last event, 0 of an empty one.

    Raises UnableToEnter where PostgreSQL does not take our context: then every log looks empty.
    """
    query = sql.SQL(LAST).format(schema=sql.Identifier(tenant))
    async with connection.transaction():
        await TenantContext(connection=connection, key=context_key).enter(tenant=tenant)
        row = await (await connection.execute(query)).fetchone()
    if row is None or row[1] is None:
        raise UnableToEnter(f"PostgreSQL refuses the context of {tenant}: another key, or clocks that differ.")
    return int(row[0])


async def read(
    *, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str, tip: Tip
) -> AsyncIterator[Row]:
    """Yield the log after `tip`, moving it, in order and with every hash checked. Raises UnableToRead."""
    found = pages(connection=connection, context_key=context_key, tenant=tenant, tip=tip)
    async with aclosing(found):
        async for page in found:
            for row in log_pages.rows(tenant=tenant, page=page, tip=tip):
                yield row


async def pages(
    *, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str, tip: Tip, until: int = NO_END
) -> AsyncGenerator[bytes, None]:
    """Yield the log after `tip` sheet by sheet; while those of a page are worked on, PostgreSQL makes the next.

    Whoever is given a sheet moves the tip to its end before he asks for another. A page that is not full ended where
    the log did; the one behind it was read later, and may begin behind what was written meanwhile.
    """
    query = sql.SQL(log_pages.SHEETS).format(schema=sql.Identifier(tenant))
    context = TenantContext(connection=connection, key=context_key)

    async def fetch(first: int) -> list[bytes]:
        asked = {"after": first, "until": until, "rows": PAGE_ROWS}
        # One transaction and one message, as Journal.append says.
        async with connection.pipeline():
            await context.enter(tenant=tenant)
            cursor = await connection.execute(query, asked, binary=True)
        return [sheet for (sheet,) in await cursor.fetchall() if sheet is not None]

    end = tip.seq
    coming = asyncio.ensure_future(fetch(end))
    try:
        while sheets := await coming:
            end += PAGE_ROWS
            coming = asyncio.ensure_future(fetch(end))
            # Long enough for the question to leave before the answer to the last one keeps this thread busy.
            await asyncio.sleep(SEND_S)
            for sheet in sheets:
                yield sheet
            if tip.seq < end and await coming:
                end = tip.seq
                coming = asyncio.ensure_future(fetch(end))
    finally:
        # It is let come: a cancel may reach PostgreSQL when it works on the connection's next question already.
        await asyncio.wait([coming], timeout=PAGE_S_MAX)
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing of a desk is garbage while it grows, and looking for some costs more than folding does."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
