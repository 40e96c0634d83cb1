"""The recorder: what desks decide upon, chunk by chunk into the tenant's own table, for the rule lab to decide again.

What happens on the way of an order is an append to a list; packing happens in a thread, writing on a connection of its
own. Nothing waits for the tape: where PostgreSQL is slow it is dropped, said aloud, and begun anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from piggy.core import commands as cmd
from piggy.core.commands import AnyCommand
from piggy.core.conversion import Touch
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.engine.clock import Clock
from piggy.engine.context import TenantContext
from piggy.messaging import tape
from piggy.messaging.chain import Tip

log = logging.getLogger(__name__)

LOOKED_EVERY_US = 200_000
CHUNK_EVERY_US = 10_000_000
BEGIN_EVERY_US = 900_000_000
LOOK_S = 0.5
# The term does not end before the tape does.
LAST_S_MAX = 1.0
ENTRIES_MAX, HELD_BYTES_MAX = 50_000, 64 * 2**20
PRUNE_EVERY_US = 600_000_000
DAY_US = 86_400_000_000
MIB = 2**20

INSERT: LiteralString = """
INSERT INTO {schema}.engine_tape (begun_at_us, ended_at_us, seq, starts, version, body)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
PRUNE: LiteralString = "DELETE FROM {schema}.engine_tape WHERE ended_at_us < %s"

# What a desk asks of itself; of those that lead to nothing the tape keeps few.
OWN = frozenset({cmd.ActOnPrices, cmd.ActOnTime, cmd.ActOnExposure, cmd.ActOnLimits, cmd.RollOver})


class Reel:
    """One tenant's running tape, since the last chunk."""

    def __init__(self, *, desk: Desk, seq: int, at_us: int) -> None:
        self.desk = desk
        self.entries: list[tape.Entry] = []
        self.begun_at_us = at_us
        self.bytes = 0
        self._looked_at_us = 0
        self.begin(seq=seq, at_us=at_us, fresh=True)
        desk.on_marks = self.marked

    def begin(self, *, seq: int, at_us: int, fresh: bool = False) -> None:
        """From here replaying may begin."""
        self.entries.append(tape.begun(desk=self.desk, seq=seq, at_us=at_us, fresh=fresh))
        self.last_begun_at_us = at_us

    def quoted(self, data: bytes) -> None:
        """A message of market data is about to be given to the desk."""
        self.entries.append(tape.Quoted(data))
        self.bytes += len(data)

    def marked(self, at_us: int) -> None:
        """The desk takes prices as marks."""
        self.entries.append(tape.Marked(at_us))

    def remembered(self, marks: Mapping[str, Touch]) -> None:
        """The desk took these of an engine before it."""
        self.entries.append(tape.Remembered(tape.plain(marks=marks)))

    def looked(self, at_us: int) -> None:
        """The desk's own command led to nothing."""
        if at_us - self._looked_at_us >= LOOKED_EVERY_US:
            self._looked_at_us = at_us
            self.entries.append(tape.Looked(at_us))

    def decided(
        self, *, command: AnyCommand | None, command_id: str, at_us: int, lag_us: int, first_seq: int, events: int
    ) -> None:
        """A command led to events."""
        self.entries.append(tape.Decided(at_us, lag_us, command_id, first_seq, events, command))

    def heard(self, *, command: AnyCommand | None, at_us: int, recorded: list[Recorded]) -> None:
        """A command was decided at `at_us`, None where what was to make one refused."""
        if recorded:
            first = recorded[0]
            self.decided(
                command=command,
                command_id=first.command_id,
                at_us=at_us,
                lag_us=first.recorded_at_us - at_us,
                first_seq=first.seq,
                events=len(recorded),
            )
        elif type(command) in OWN:
            self.looked(at_us)


class Tape:
    """The reels of one term. `days` 0 records nothing; past `mib_max` a day a tenant's tape stops until the next."""

    def __init__(self, *, clock: Clock, tips: Mapping[str, Tip], context_key: bytes, days: int, mib_max: int) -> None:
        self.reels: dict[str, Reel] = {}
        self.dropped = 0
        self._clock = clock
        self._tips = tips
        self._key = context_key
        self._days = days
        self._mib_max = mib_max
        self._written: dict[tuple[str, int], int] = {}
        self._last_us: dict[str, int] = {}
        self._pruned_at_us = 0

    def follow(self, *, desks: Mapping[str, Desk]) -> None:
        """Begin the tape of new tenants, end that of those who left."""
        for tenant in self.reels.keys() - desks.keys():
            self._end(tenant)
        now_us = self._clock.now_us()
        for tenant in desks.keys() - self.reels.keys():
            if self._days and not self._is_full(tenant, now_us):
                self.reels[tenant] = Reel(desk=desks[tenant], seq=self._tips[tenant].seq, at_us=now_us)

    def quoted(self, tenant: str, data: bytes) -> None:
        """Market data came for the tenant's desk."""
        if (reel := self.reels.get(tenant)) is not None:
            reel.quoted(data)

    async def run(self, *, connection: psycopg.AsyncConnection[Any], desks: Mapping[str, Desk]) -> None:
        """Write chunks as they become ripe, for ever; what is left is written on the way out."""
        context = TenantContext(connection=connection, key=self._key)
        try:
            while self._days:
                await asyncio.sleep(LOOK_S)
                self.follow(desks=desks)
                await self.write(connection=connection, context=context)
                await self._prune(connection, context)
        except psycopg.Error as error:
            # Trading does not end with the tape; whoever replays is told what is missing.
            log.error("no tape until the next term", extra={"error": str(error)})
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_S_MAX):
                    await self.write(connection=connection, context=context, all_of_it=True)
            for tenant in list(self.reels):
                self._end(tenant)

    async def write(
        self, *, connection: psycopg.AsyncConnection[Any], context: TenantContext, all_of_it: bool = False
    ) -> None:
        """Write the chunks that are ripe, or all there are."""
        for tenant, reel in list(self.reels.items()):
            now_us = self._clock.now_us()
            grown = len(reel.entries) >= ENTRIES_MAX or reel.bytes >= HELD_BYTES_MAX
            if reel.entries and (all_of_it or grown or now_us - reel.begun_at_us >= CHUNK_EVERY_US):
                await self._write(connection, context, tenant, reel, now_us)

    async def _write(
        self, connection: psycopg.AsyncConnection[Any], context: TenantContext, tenant: str, reel: Reel, now_us: int
    ) -> None:
        entries, begun_at_us, held = reel.entries, reel.begun_at_us, reel.bytes
        reel.entries, reel.begun_at_us, reel.bytes = [], now_us, 0
        starts, seq = isinstance(entries[0], tape.Begun), self._tips[tenant].seq
        if now_us - reel.last_begun_at_us >= BEGIN_EVERY_US:
            reel.begin(seq=seq, at_us=now_us)
        body = await asyncio.to_thread(tape.pressed, entries=entries)
        # Two chunks in one microsecond would be one row.
        begun_at_us = self._last_us[tenant] = max(begun_at_us, self._last_us.get(tenant, 0) + 1)
        row = (begun_at_us, now_us, seq, starts, tape.TAPE_VERSION, body)
        try:
            async with connection.transaction():
                await context.enter(tenant=tenant)
                await connection.execute(sql.SQL(INSERT).format(schema=sql.Identifier(tenant)), row)
        except psycopg.errors.UndefinedTable:
            log.info("tenant has no tape yet", extra={"tenant": tenant})
            self._end(tenant)
            return
        except psycopg.Error as error:
            self.dropped += 1
            log.error("tape dropped", extra={"tenant": tenant, "bytes": held, "error": str(error)})
            self._end(tenant)
            return
        day = (tenant, now_us // DAY_US)
        self._written[day] = self._written.get(day, 0) + len(body)
        if self._is_full(tenant, now_us):
            log.error("tape is full for today", extra={"tenant": tenant, "mib_max": self._mib_max})
            self._end(tenant)

    def _is_full(self, tenant: str, now_us: int) -> bool:
        return self._written.get((tenant, now_us // DAY_US), 0) > self._mib_max * MIB

    def _end(self, tenant: str) -> None:
        reel = self.reels.pop(tenant, None)
        if reel is not None:
            reel.desk.on_marks = None

    async def _prune(self, connection: psycopg.AsyncConnection[Any], context: TenantContext) -> None:
        now_us = self._clock.now_us()
        if now_us - self._pruned_at_us < PRUNE_EVERY_US:
            return
        self._pruned_at_us = now_us
        for tenant in list(self.reels):
            async with connection.transaction():
                await context.enter(tenant=tenant)
                prune = sql.SQL(PRUNE).format(schema=sql.Identifier(tenant))
                await connection.execute(prune, (now_us - self._days * DAY_US,))
