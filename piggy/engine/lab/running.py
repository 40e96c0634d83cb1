"""One run of the lab: the tape and the log of a window out of PostgreSQL, replayed, and what came of it as JSON."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any, LiteralString, Protocol

import msgspec
import psycopg
from psycopg import sql

from piggy.core.commands import AnyCommand
from piggy.core.desk import Desk
from piggy.engine import recovery, snapshot_store
from piggy.engine.context import TenantContext
from piggy.engine.lab import past
from piggy.engine.lab.again import Again, last_seq
from piggy.engine.lab.drafted import Drafted
from piggy.engine.lab.figures import Fate
from piggy.engine.lab.past import History
from piggy.messaging import tape
from piggy.messaging.chain import Tip
from piggy.messaging.tape import Begun, Decided, Entry

ORDERS_MAX, SECONDS_MAX, DIFFERENCES_MAX = 500_000, 900, 100_000
CHUNKS: LiteralString = """
SELECT begun_at_us, ended_at_us FROM {schema}.engine_tape
 WHERE begun_at_us < %(until)s AND begun_at_us >= coalesce(
         (SELECT max(begun_at_us) FROM {schema}.engine_tape WHERE starts AND begun_at_us <= %(after)s),
         (SELECT min(begun_at_us) FROM {schema}.engine_tape WHERE starts AND begun_at_us >= %(after)s))
 ORDER BY begun_at_us
"""
CHUNK: LiteralString = "SELECT version, body FROM {schema}.engine_tape WHERE begun_at_us = %s"
ORDER = ("order", "at", "account", "group", "symbol", "side", "lots")
FATE = ("book", "lots by book", "venues", "price", "ended", "rule", "reason")
COLUMNS = (*ORDER, *(f"was {what}" for what in FATE), *(f"would be {what}" for what in FATE))


class UnableToReplay(Exception):
    """The run ended without a result; the message says why."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to replay: [from_us, until_us) with `changes` made at its beginning; without any, as it was."""

    from_us: int
    until_us: int
    changes: tuple[AnyCommand, ...] = ()
    currency: str = "USD"
    orders_max: int = ORDERS_MAX
    seconds_max: int = SECONDS_MAX
    differences_max: int = DIFFERENCES_MAX


class Recording(Protocol):
    """A recorded time of one tenant."""

    tenant: str

    async def chunks(self, *, request: Request) -> list[int]:
        """Return the names of the chunks that hold the window, from one that starts. Raises UnableToReplay."""

    async def entries(self, *, chunk: int) -> list[Entry]:
        """Return a chunk's entries. Raises UnableToReadTape."""

    async def desk(self, *, begun: Begun) -> tuple[Desk, Tip]:
        """Return the desk at the tape's beginning, of the log alone, and where the log then stood."""

    def pages(self, *, tip: Tip) -> AsyncIterator[bytes]:
        """Yield the log's pages after `tip`, which whoever is given one moves to its end."""


class Source(Recording):
    """Where one tenant's tape and log are read from, each over a connection of its own: pages come ahead of time."""

    def __init__(
        self,
        *,
        connection: psycopg.AsyncConnection[Any],
        log_connection: psycopg.AsyncConnection[Any],
        context_key: bytes,
        tenant: str,
    ) -> None:
        self.tenant = tenant
        self._place: dict[str, Any] = {"connection": connection, "context_key": context_key, "tenant": tenant}
        self._connection, self._log_connection = connection, log_connection
        self._context = TenantContext(connection=connection, key=context_key)
        self._schema = sql.Identifier(tenant)

    async def chunks(self, *, request: Request) -> list[int]:
        """Return the names of the chunks that hold the window, from one that starts. Raises UnableToReplay."""
        asked = {"after": request.from_us, "until": request.until_us}
        rows = await self._rows(CHUNKS, asked)
        if not any(ended_at_us > request.from_us for _, ended_at_us in rows):
            raise UnableToReplay("Nothing was recorded in that time; tapes are kept for PIGGY_TAPE_DAYS days.")
        return [row[0] for row in rows]

    async def entries(self, *, chunk: int) -> list[Entry]:
        """Return a chunk's entries. Raises UnableToReadTape."""
        version, body = (await self._rows(CHUNK, (chunk,)))[0]
        return tape.entries_of(body=bytes(body), version=version)

    async def desk(self, *, begun: Begun) -> tuple[Desk, Tip]:
        """Return the desk at the tape's beginning, of the log alone, and where the log then stood."""
        found = await snapshot_store.newest(**self._place, until=begun.seq)
        desk, tip = (found.desk, found.tip) if found else (Desk(tenant=self.tenant), Tip())
        await recovery.catch_up(desk=desk, tip=tip, until=begun.seq, **self._place)
        return tape.desk_at(state=desk.state, begun=begun), tip

    async def pages(self, *, tip: Tip) -> AsyncIterator[bytes]:
        """Yield the log's pages after `tip`, which whoever is given one moves to its end."""
        found = recovery.pages(tip=tip, **self._place | {"connection": self._log_connection})
        async with aclosing(found):
            async for page in found:
                yield page

    async def _rows(self, query: LiteralString, asked: Any) -> list[Any]:
        async with self._connection.transaction():
            await self._context.enter(tenant=self.tenant)
            made = sql.SQL(query).format(schema=self._schema)
            return await (await self._connection.execute(made, asked, binary=True)).fetchall()


async def run(
    *, source: Recording, request: Request, progress: Callable[[float], None]
) -> tuple[dict[str, Any], Iterator[tuple[str, ...]]]:
    """Return the figures and, for a draft, the orders that differ as rows of COLUMNS; `progress` hears 0 to 1.

    Raises UnableToReplay, UnableToReadTape, recovery.UnableToRead or psycopg.Error.
    """
    began_s = time.monotonic()
    names = await source.chunks(request=request)
    entries = await source.entries(chunk=names[0])
    if not (entries and isinstance(entries[0], Begun)):
        raise UnableToReplay("The tape of that time has no beginning.")
    desk, tip = await source.desk(begun=entries[0])
    replay: Again | Drafted = Again(desk=desk)
    if request.changes:
        replay = Drafted(desk=desk, changes=request.changes, from_us=request.from_us)
    log, pages = History(), source.pages(tip=tip)
    gc.disable()  # A process of its own, short; nothing of a desk is garbage while it grows.
    for at, name in enumerate(names):
        entries = entries if at == 0 else await source.entries(chunk=name)
        entries = _until(entries, request.until_us)
        wanted = last_seq(entries=entries)
        while log.last_seq < wanted and (page := await anext(pages, b"")):
            log.add(rows=past.rows(tenant=source.tenant, page=page, tip=tip))
        replay.run(entries=entries, log=log)
        progress((at + 1) / len(names))
        if replay.orders > request.orders_max:
            raise UnableToReplay(f"There are more than {request.orders_max} orders: choose a shorter time.")
        if time.monotonic() - began_s > request.seconds_max:
            raise UnableToReplay(f"It took longer than {request.seconds_max} s: choose a shorter time.")
    figures: dict[str, Any] = {"commands": replay.commands, "orders": replay.orders, "quotes": replay.quotes}
    figures["seconds"] = round(time.monotonic() - began_s, 1)
    if isinstance(replay, Again):
        return told_again(again=replay) | figures, iter(())
    return told_drafted(drafted=replay, request=request) | figures, differences(drafted=replay, request=request)


def told_again(*, again: Again) -> dict[str, Any]:
    """Return what an unchanged replay found."""
    return {
        "equal": again.equal,
        "events": again.events,
        "mismatches": again.mismatches,
        "unrecorded": again.unrecorded,
        "taken": again.taken,
        "examples": [msgspec.to_builtins(each) for each in again.examples],
    }


def told_drafted(*, drafted: Drafted, request: Request) -> dict[str, Any]:
    """Return both sides' figures, and how many orders differ."""
    moment = drafted.desk.moment(now_us=request.until_us)
    valued: dict[str, Any] = {"marks": drafted.desk.marks, "pairs": moment.pairs, "currency": request.currency}
    return {
        "were": drafted.were.total(**valued),
        "would": drafted.would.total(**valued),
        "currency": request.currency,
        "differing": sum(1 for _ in _pairs(drafted)),
        "failed": drafted.failed,
    }


def differences(*, drafted: Drafted, request: Request) -> Iterator[tuple[str, ...]]:
    """Yield a row of COLUMNS for each order that would have fared otherwise, at most `differences_max`."""
    for number, (was, would) in enumerate(_pairs(drafted)):
        if number >= request.differences_max:
            return
        shown = (
            was.order_id,
            str(was.at_us),
            was.account_id,
            was.group,
            was.symbol,
            was.side.value,
            f"{was.quantity:f}",
        )
        yield (*shown, *_fate(was), *_fate(would))


def _until(entries: list[Entry], until_us: int) -> list[Entry]:
    ends = (at for at, entry in enumerate(entries) if isinstance(entry, Decided) and entry.at_us >= until_us)
    return entries[: next(ends, len(entries))]


def _pairs(drafted: Drafted) -> Iterator[tuple[Fate, Fate | None]]:
    for order_id, was in drafted.were.fates.items():
        would = drafted.would.fates.get(drafted.ids.get(order_id, ""))
        if would is None or would.told() != was.told():
            yield was, would


def _fate(fate: Fate | None) -> tuple[str, ...]:
    if fate is None:
        return ("NEVER", "", "", "", "", "", "it would not have been placed")
    price = "" if fate.price is None else f"{fate.price.quantize(Decimal('0.0000001')).normalize():f}"
    return (
        fate.mode, _by(fate.books), _by(fate.venues), price, fate.ended or fate.denied, fate.rule, fate.text,
    )  # fmt: skip


def _by(lots: dict[str, Decimal]) -> str:
    return ", ".join(f"{name} {amount.normalize():f}" for name, amount in sorted(lots.items()))
