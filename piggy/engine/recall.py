"""Repeats of commands whose answers the desk no longer keeps: answered from the log, never decided twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from piggy.core.events import Recorded
from piggy.core.recollection import recollected
from piggy.engine.context import TenantContext
from piggy.engine.loop import Done, Item, Loop
from piggy.messaging.upcasting import event_of

# Only first events are found by their command; the others follow, up to the first one of the next command.
EVENTS: LiteralString = """
WITH first AS MATERIALIZED (
  SELECT seq AS began FROM {schema}.event_log WHERE command_id = ANY(%(ids)s::uuid[]) AND position = 0)
SELECT seq, command_id::text, position, version, principal, request_hash,
       (extract(epoch from occurred_at) * 1000000)::bigint, (extract(epoch from recorded_at) * 1000000)::bigint,
       recorded_mono_ns, payload
  FROM first CROSS JOIN LATERAL (
         SELECT * FROM {schema}.event_log
          WHERE seq >= began AND seq < coalesce(
                  (SELECT seq FROM {schema}.event_log WHERE seq > began AND position = 0 ORDER BY seq LIMIT 1),
                  9223372036854775807)) AS its
 ORDER BY seq
"""


class Recall:
    """Looks in the log, on a connection of its own, for ids that may be there; what is not there is decided."""

    def __init__(self, *, connection: psycopg.AsyncConnection[Any], context_key: bytes) -> None:
        self.lookups = 0
        self._connection = connection
        self._context = TenantContext(connection=connection, key=context_key)
        self._waiting: list[Item] = []
        self._wake = asyncio.Event()

    def look_up(self, item: Item) -> None:
        """Queue a command."""
        self._waiting.append(item)
        self._wake.set()

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
                    self._waiting = [item for item in self._waiting if not any(item is each for each in items)]
                    for item in items:
                        self._settle(item, known.get(item.envelope.command_id), loop, tell)
        finally:
            for item in self._waiting:
                if item.respond is not None:
                    item.respond(None)

    def _settle(
        self, item: Item, recorded: list[Recorded] | None, loop: Loop, tell: Callable[[list[Done]], None]
    ) -> None:
        desk = loop.desks.get(item.tenant)
        if recorded is None or desk is None:
            item.looked_up = True
            loop.submit(item=item)
            return
        answer = recollected(recorded=recorded, request_hash=item.envelope.request_hash, state=desk.state)
        tell([Done(item, answer, [])])
        if item.respond is not None:
            item.respond(answer)

    async def _events(self, tenant: str, ids: list[str]) -> dict[str, list[Recorded]]:
        self.lookups += 1
        query = sql.SQL(EVENTS).format(schema=sql.Identifier(tenant))
        async with self._connection.transaction():
            await self._context.enter(tenant=tenant)
            rows = await (await self._connection.execute(query, {"ids": ids}, binary=True)).fetchall()
        found: dict[str, list[Recorded]] = {}
        for seq, command_id, position, version, principal, request_hash, occurred, recorded, mono_ns, payload in rows:
            each = Recorded(
                seq=seq,
                command_id=command_id,
                position=position,
                principal=principal,
                request_hash=request_hash,
                occurred_at_us=occurred,
                recorded_at_us=recorded,
                recorded_mono_ns=mono_ns,
                event=event_of(payload=bytes(payload), version=version),
            )
            found.setdefault(command_id, []).append(each)
        return found
