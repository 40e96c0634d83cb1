"""What only the log still knows: the answers to commands of long ago, and orders that left the state.

A repeat is answered from the log, never decided twice. A command that needs an order that left waits here until the
order is made again of its own events and brought back; then it goes to the loop again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from piggy.core.answers import OrderView
from piggy.core.commands import BringOrderBack, Envelope
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.leaving import left_as, seqs_of
from piggy.core.leaving_events import OrdersLetGo
from piggy.core.leaving_folding import left_of
from piggy.core.recollection import recollected, shown
from piggy.engine import leaving
from piggy.engine.context import TenantContext
from piggy.engine.loop import Done, Item, Loop
from piggy.messaging.identity import command_id_of
from piggy.messaging.upcasting import event_of

log = logging.getLogger(__name__)

COLUMNS: LiteralString = """
SELECT seq, command_id::text, position, version, principal, request_hash,
       (extract(epoch from occurred_at) * 1000000)::bigint, (extract(epoch from recorded_at) * 1000000)::bigint,
       recorded_mono_ns, payload
"""
# Only first events are found by their command; the others follow, up to the first one of the next command. OFFSET keeps
# each part by itself, between seqs that are known by then: as one join PostgreSQL guesses that it takes half the log,
# and sorts all of it, however long, for a command that it does not have.
EVENTS: LiteralString = """
WITH first AS MATERIALIZED (
  SELECT seq AS began FROM {schema}.event_log WHERE command_id = ANY(%(ids)s::uuid[]) AND position = 0),
part AS MATERIALIZED (
  SELECT began, coalesce(
           (SELECT seq FROM {schema}.event_log WHERE seq > began AND position = 0 ORDER BY seq LIMIT 1),
           9223372036854775807) AS ended
    FROM first)
{columns}
  FROM part CROSS JOIN LATERAL (
         SELECT * FROM {schema}.event_log WHERE seq >= began AND seq < ended ORDER BY seq OFFSET 0) AS its
 ORDER BY seq
"""
AT: LiteralString = "{columns} FROM {schema}.event_log WHERE seq = ANY(%(seqs)s::bigint[]) ORDER BY seq"


class Recall:
    """Looks in the log, on a connection of its own, for ids that may be there; what is not there is decided."""

    def __init__(self, *, connection: psycopg.AsyncConnection[Any], context_key: bytes) -> None:
        self.lookups = 0
        self._connection = connection
        self._context = TenantContext(connection=connection, key=context_key)
        self._waiting: list[Item] = []
        self._whose: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()

    def look_up(self, item: Item) -> None:
        """Queue a command."""
        self._waiting.append(item)
        self._whose.add(_whose(item))
        self._wake.set()

    def is_ahead(self, item: Item) -> bool:
        """Whether a signal of the same strategy is looked up still: they are decided in the order in which they came.

        It need not be a repeat: of some thousand new ids one looks as if it might be.
        """
        return item.make is not None and _whose(item) in self._whose

    async def run(self, *, loop: Loop, tell: Callable[[list[Done]], None]) -> None:
        """Answer what the log knows and give back to the loop what it does not; ends with psycopg.Error."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    tenant = self._waiting[0].tenant
                    items = [item for item in self._waiting if item.tenant == tenant]
                    known = await self._events(tenant, [item.envelope.command_id for item in items])
                    # An order that the command only changed is shown as it is now: let that be committed first.
                    await loop.settled()
                    left = await self._left(tenant, _wanted(items, known, loop.desks.get(tenant)), loop)
                    taken = set(map(id, items))
                    self._waiting = [item for item in self._waiting if id(item) not in taken]
                    self._whose = set(map(_whose, self._waiting))
                    for item in items:
                        self._settle(item, known.get(item.envelope.command_id), left, loop, tell)
        finally:
            for item in self._waiting:
                if item.respond is not None:
                    item.respond(None)

    async def read(self, *, tenant: str, query: LiteralString, asked: dict[str, Any]) -> list[Recorded]:
        """Return what EVENTS or AT finds, in the order of the log."""
        told = sql.SQL(query).format(schema=sql.Identifier(tenant), columns=sql.SQL(COLUMNS))
        async with self._connection.transaction():
            await self._context.enter(tenant=tenant)
            rows = await (await self._connection.execute(told, asked, binary=True)).fetchall()
        return [_recorded(*row) for row in rows]

    async def _events(self, tenant: str, ids: list[str]) -> dict[str, list[Recorded]]:
        """Return the events of the commands that the log knows, by command id."""
        self.lookups += 1
        found: dict[str, list[Recorded]] = {}
        for each in await self.read(tenant=tenant, query=EVENTS, asked={"ids": ids}):
            found.setdefault(each.command_id, []).append(each)
        return found

    async def _left(self, tenant: str, names: set[str], loop: Loop) -> dict[str, bytes]:
        """Return orders and hedges that left, as they left; of one that the log does not know it is said aloud."""
        desk, found = loop.desks.get(tenant), dict[str, bytes]()
        for name in sorted(names):
            ids = leaving.command_ids(tenant=tenant, order_id=name)
            trail = _trail(await self.read(tenant=tenant, query=EVENTS, asked={"ids": ids}), name)
            if not trail or desk is None:
                log.error("an order that left is not in the log", extra={"tenant": tenant, "order_id": name})
                continue
            recorded = await self.read(tenant=tenant, query=AT, asked={"seqs": seqs_of(trail=trail)})
            found[name] = left_as(recorded=recorded, order_id=name, state=desk.state)
        return found

    def _settle(
        self,
        item: Item,
        recorded: list[Recorded] | None,
        left: dict[str, bytes],
        loop: Loop,
        tell: Callable[[list[Done]], None],
    ) -> None:
        desk = loop.desks.get(item.tenant)
        if recorded is not None and desk is not None:
            views = {name: _view(body) for name, body in left.items() if name[0] == "O"}
            request_hash = item.envelope.request_hash
            answer = recollected(recorded=recorded, request_hash=request_hash, state=desk.state, left=views)
            tell([Done(item, answer, [])])
            if item.respond is not None:
                item.respond(answer)
            return
        missed = desk.missed(command=item.envelope.command) if desk is not None else ()
        if not left.keys() >= set(missed):
            # It stays on its stream and comes again, and in the end it is a dead letter: never half done.
            tell([Done(item, None, [])])
            if item.respond is not None:
                item.respond(None)
            return
        for name in missed:
            loop.submit(item=_back(item.tenant, name, left[name]))
        item.looked_up = True
        loop.submit(item=item)


def _whose(item: Item) -> tuple[str, str]:
    return item.tenant, item.envelope.principal


def _recorded(
    seq: int,
    command_id: str,
    position: int,
    version: int,
    principal: str,
    request_hash: str,
    occurred_at_us: int,
    recorded_at_us: int,
    recorded_mono_ns: int,
    payload: bytes,
) -> Recorded:
    return Recorded(
        seq=seq,
        command_id=command_id,
        position=position,
        principal=principal,
        request_hash=request_hash,
        occurred_at_us=occurred_at_us,
        recorded_at_us=recorded_at_us,
        recorded_mono_ns=recorded_mono_ns,
        event=event_of(payload=bytes(payload), version=version),
    )


def _wanted(items: list[Item], known: dict[str, list[Recorded]], desk: Desk | None) -> set[str]:
    """Return the orders that left and that an answer is to show, or that a command cannot be decided without."""
    if desk is None:
        return set()
    wanted = set[str]()
    for item in items:
        recorded = known.get(item.envelope.command_id)
        if recorded is None:
            wanted.update(desk.missed(command=item.envelope.command))
        elif (name := shown(recorded=recorded, state=desk.state)) and name not in desk.state.orders:
            wanted.add(name)
    return wanted


def _trail(recorded: list[Recorded], name: str) -> bytes:
    """Return where the order's events are, as it left last; empty where it never did."""
    events = (each.event for each in recorded)
    left = (gone for event in events if isinstance(event, OrdersLetGo) for gone in event.orders)
    return next((gone.trail for gone in reversed(list(left)) if gone.order_id == name), b"")


def _back(tenant: str, name: str, body: bytes) -> Item:
    """Return what brings an order back, under an id that is the same for the same return."""
    left = left_of(body=body)
    mine = left.order or left.hedge
    assert mine is not None, name
    command_id = command_id_of("brought back", tenant, name, str(mine.times_gone))
    command = BringOrderBack(order_id=name, body=body)
    return Item(tenant, Envelope(command_id=command_id, command=command, principal="engine"), looked_up=True)


def _view(body: bytes) -> OrderView:
    order = left_of(body=body).order
    assert order is not None, "a client's order"
    return order.view()
