"""Whether a log is all that was acknowledged, and not an older copy of it: asked before a desk is taken.

A database that came back out of a backup is whole and knows nothing of what it lost. On it a desk would give numbers of
orders that venues have filled to new ones, so that broker stays halted until a person has decided (F-34). What can
tell is outside: what engines of this installation saw committed, in memory and, a second or three later, in a file. In
the database itself a snapshot or a signed head of events that are not there tells it too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from piggy.core.commands import Envelope, SkipNumbers
from piggy.core.desk import Desk
from piggy.engine.context import TenantContext
from piggy.engine.loop import Item
from piggy.engine.unkept import WITNESS, Unkept
from piggy.messaging import witness
from piggy.messaging.identity import command_id_of
from piggy.messaging.log_pages import UnableToRead
from piggy.messaging.witness import Acceptance, Seen

log = logging.getLogger(__name__)

WRITE_S = 1.0
# Each broker's file is waited for by the disk that commits wait for too: of many brokers it takes one part of so many.
WRITE_SHARE = 20
WRITE_S_MAX = 3.0
# The file is that much behind what was acknowledged, at the rate at which an engine takes orders and then some.
SPARE = 100_000
# One statement, for a keeper may be writing of events that were not there a moment ago.
PROMISED: LiteralString = """
SELECT (SELECT coalesce(max(seq), 0) FROM {schema}.event_log),
       (SELECT coalesce(max(seq), 0) FROM {schema}.log_checkpoint),
       (SELECT coalesce(max(seq), 0) FROM {schema}.engine_snapshot)
"""
HASH_AT: LiteralString = "SELECT hash FROM {schema}.event_log WHERE seq = %(seq)s"


class UnableToTrust(UnableToRead):
    """The log is not all that was acknowledged; the message names where it ends and what is known of more."""


class Witness:
    """What one installation's engines saw; outlives the terms of its process."""

    def __init__(self, *, home: Path, unkept: Unkept | None = None) -> None:
        self._home = home
        self._unkept = unkept or Unkept()
        self._seen: dict[str, Seen] = {}
        self._written: dict[str, Seen] = {}
        self._given_up: dict[str, Seen] = {}
        self._followed: tuple[Mapping[str, tuple[int, bytes]], Mapping[str, Desk]] = ({}, {})

    def saw(self, *, tenant: str, seq: int, digest: bytes, desk: Desk) -> None:
        """Note that an event, and all before it, is committed; `desk` has them all, and perhaps more."""
        known = self._seen.get(tenant)
        if known is None or known.seq != seq or known.hash != digest:
            counts = {"orders": desk.state.order_count, "hedges": desk.state.hedge_count}
            at_us = time.time_ns() // 1_000
            self._seen[tenant] = Seen(tenant=tenant, seq=seq, hash=digest, seen_at_us=at_us, **counts)

    def keep_only(self, *, tenants: set[str]) -> None:
        """Forget those that are no more."""
        for told in (self._seen, self._written, self._given_up):
            for tenant in told.keys() - tenants:
                del told[tenant]
                self._unkept.kept(tenant=tenant, name=WITNESS)

    async def accepted(
        self, *, connection: psycopg.AsyncConnection[Any], context_key: bytes, tenant: str
    ) -> tuple[Acceptance, Seen] | None:
        """Return None where the log is all there ever was, else who accepted that it is not.

        Raises UnableToTrust where nobody did, or the file cannot be read: that halts one broker, not the others.
        Raises psycopg.Error.
        """
        context = TenantContext(connection=connection, key=context_key)
        names = sql.Identifier(tenant)
        try:
            known, found = self._known(tenant), witness.acceptance(home=self._home, tenant=tenant)
        except witness.UnableToReadWitness as error:
            raise UnableToTrust(f"{tenant}: {error}", seq=0) from error
        async with connection.transaction():
            await context.enter(tenant=tenant)
            row = await (await connection.execute(sql.SQL(PROMISED).format(schema=names))).fetchone()
            end, head, snapshot = row or (0, 0, 0)
            for of, seq in (("a signed head", head), ("a snapshot", snapshot)):
                if seq > end:
                    raise UnableToTrust(_shorter(tenant, end, f"{of} is of {seq}"), seq=end + 1)
            if known is None or await self._has(connection, names, known.seq, known.hash):
                return None
            is_this = found is not None and (found.lost_seq, found.lost_hash) == (known.seq, known.hash)
            if found is not None and is_this and await self._has(connection, names, found.log_seq, found.log_hash):
                self._given_up[tenant] = known
                self._seen.pop(tenant, None)
                return found, known
        what = f"event {known.seq} ({known.hash.hex()[:16]}) was acknowledged, as {self._path(tenant)} says"
        raise UnableToTrust(_shorter(tenant, end, what), seq=min(end, known.seq))

    async def keep(self, *, committed: Mapping[str, tuple[int, bytes]], desks: Mapping[str, Desk]) -> None:
        """Write what is new until cancelled, every second, of many brokers as often as the disk has time for it.

        A disk that takes nothing holds up nobody.
        """
        self._followed = committed, desks
        pause_s = WRITE_S
        while True:
            await asyncio.sleep(pause_s)
            began_s = time.monotonic()
            await self.catch_up()
            pause_s = max(WRITE_S, min(WRITE_S_MAX, (time.monotonic() - began_s) * WRITE_SHARE))

    async def catch_up(self) -> None:
        """Write what is new now, as who ends cleanly does: what was acknowledged in its last second too."""
        committed, desks = self._followed
        for tenant, (seq, digest) in list(committed.items()):
            if tenant in desks:
                self.saw(tenant=tenant, seq=seq, digest=digest, desk=desks[tenant])
        await asyncio.to_thread(self.write)

    def write(self) -> None:
        """Write what is new; what another engine of the same folder saw since then stays.

        The folder waits for the disk once for all of them, for commits wait for the same disk.
        """
        put: dict[str, Seen] = {}
        for tenant, mine in list(self._seen.items()):
            if mine == self._written.get(tenant):
                continue
            try:
                there = witness.seen(home=self._home, tenant=tenant)
                if there is None or there.seq <= mine.seq or there == self._given_up.get(tenant):
                    witness.put(home=self._home, said=mine)
            except (OSError, witness.UnableToReadWitness) as error:
                log.warning("witness not written", extra={"tenant": tenant, "error": str(error)})
                self._not_written(tenant, error)
            else:
                put[tenant] = mine
        if not put:
            return
        try:
            witness.settle(home=self._home)
        except OSError as error:
            log.warning("witness not settled", extra={"tenants": len(put), "error": str(error)})
            for tenant in put:
                self._not_written(tenant, error)
        else:
            self._written |= put
            for tenant in put:
                self._unkept.kept(tenant=tenant, name=WITNESS)

    def _not_written(self, tenant: str, error: Exception) -> None:
        text = f"not written: {error}; what a backup lost would not be noticed"
        self._unkept.failed(tenant=tenant, name=WITNESS, text=text)

    def _known(self, tenant: str) -> Seen | None:
        there = [self._seen.get(tenant), witness.seen(home=self._home, tenant=tenant)]
        return max((each for each in there if each is not None), key=lambda each: each.seq, default=None)

    async def _has(
        self, connection: psycopg.AsyncConnection[Any], names: sql.Identifier, seq: int, digest: bytes
    ) -> bool:
        if not seq:
            return True
        cursor = await connection.execute(sql.SQL(HASH_AT).format(schema=names), {"seq": seq}, binary=True)
        row = await cursor.fetchone()
        return row is not None and bytes(row[0]) == digest

    def _path(self, tenant: str) -> Path:
        return witness.path_of(home=self._home, tenant=tenant)


def going_on(*, tenant: str, given_up: tuple[Acceptance, Seen]) -> Item:
    """Return what a desk whose log lost its end is told before all else; the same for the same loss."""
    accepted, lost = given_up
    command = SkipNumbers(
        orders=lost.orders + SPARE,
        hedges=lost.hedges + SPARE,
        log_seq=accepted.log_seq,
        lost_seq=accepted.lost_seq,
        by=accepted.by,
        reason=accepted.reason,
    )
    command_id = command_id_of("skip numbers", tenant, accepted.log_hash.hex(), accepted.lost_hash.hex())
    envelope = Envelope(command_id=command_id, command=command, principal=accepted.by)
    return Item(tenant, envelope, looked_up=True)


def _shorter(tenant: str, end: int, known: str) -> str:
    return f"{tenant}: the log ends at event {end}, but {known}: it is not the log that there was."
