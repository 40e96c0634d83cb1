"""The event log of this world: what is in it survives everything, and only the holder of the lease adds to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
from psycopg import OperationalError
from psycopg.errors import DiskFull

from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.leaving_events import OrderBroughtBack, OrdersLetGo
from piggy.engine.journal import Journal, Row, UnableToWrite
from piggy.engine.recall import EVENTS, Recall
from piggy.engine.storage import Storage
from piggy.messaging import codec
from piggy.messaging.chain import Tip, event_hash


class LogIsBroken(Exception):
    """The log has a gap, a repeat or a hash that does not fit: INV-09."""


@dataclass(slots=True)
class Store:
    """PostgreSQL: `away` refuses, `full` has no room, `torn` is the share of commits that are done though the writer
    hears an error."""

    luck: random.Random
    away: bool = False
    full: bool = False
    torn: float = 0.0
    token: int = 0
    refused_old_tokens: int = 0
    rows: dict[str, list[Row]] = field(default_factory=dict)
    command_ids: set[str] = field(default_factory=set)

    def take_lease(self) -> int:
        """Return a token higher than any before; writers with an older one are shut out from now on."""
        self.token += 1
        return self.token

    def append(self, *, token: int, rows: dict[str, list[Row]]) -> None:
        """Commit all or nothing. Raises UnableToWrite, or DiskFull as PostgreSQL does."""
        if self.away:
            raise UnableToWrite("PostgreSQL is away.")
        if self.full and any(rows.values()):
            raise DiskFull("No space left on device")
        if token != self.token:
            self.refused_old_tokens += 1
            raise UnableToWrite(f"Token {token} is old.")
        for tenant, batch in rows.items():
            # As the unique key of the table: a command's events are written once.
            repeated = {row.recorded.command_id for row in batch} & self.command_ids
            if repeated:
                raise LogIsBroken(f"{tenant}: {sorted(repeated)} would be written twice.")
        for tenant, batch in rows.items():
            self.rows.setdefault(tenant, []).extend(batch)
            self.command_ids |= {row.recorded.command_id for row in batch}
        if self.luck.random() < self.torn:
            raise UnableToWrite("The connection broke after the commit.")

    def events(self, *, tenant: str, tip: Tip | None = None) -> Iterator[Recorded]:
        """Yield the log after `tip`, moving it, decoded from its bytes, every hash checked. Raises LogIsBroken."""
        tip = tip or Tip()
        for row in islice(self.rows.get(tenant, []), tip.seq, None):
            at = row.recorded
            digest = event_hash(
                prev_hash=tip.hash,
                seq=at.seq,
                command_id=at.command_id,
                position=at.position,
                type_name=row.type,
                version=row.version,
                principal=at.principal,
                request_hash=at.request_hash,
                occurred_at_us=at.occurred_at_us,
                recorded_at_us=at.recorded_at_us,
                recorded_mono_ns=at.recorded_mono_ns,
                payload=row.payload,
            )
            if at.seq != tip.seq + 1 or digest != row.hash:
                raise LogIsBroken(f"{tenant}: {at.seq} does not follow {tip.seq}.")
            tip.seq, tip.hash = at.seq, row.hash
            yield Recorded(
                seq=at.seq,
                command_id=at.command_id,
                position=at.position,
                principal=at.principal,
                request_hash=at.request_hash,
                occurred_at_us=at.occurred_at_us,
                recorded_at_us=at.recorded_at_us,
                recorded_mono_ns=at.recorded_mono_ns,
                event=codec.decode_event(row.payload),
            )

    def recover(self, *, tenant: str, desk: Desk | None = None, tip: Tip | None = None) -> tuple[Desk, Tip]:
        """Return the desk as its log makes it, of nothing or of how it was at `tip`, and where the log ends."""
        desk, tip = desk or Desk(tenant=tenant), tip or Tip()
        for recorded in self.events(tenant=tenant, tip=tip):
            desk.apply(recorded=recorded)
        return desk, tip

    def whole(self, *, tenant: str) -> Desk:
        """Return the desk as its log would have made it if nothing had ever left its state."""
        desk = Desk(tenant=tenant)
        for recorded in self.events(tenant=tenant):
            if not isinstance(recorded.event, OrdersLetGo | OrderBroughtBack):
                desk.apply(recorded=recorded)
        return desk


class SimulatedJournal(Journal):
    """The engine's pen on this store; chaining and encoding are the real ones."""

    def __init__(self, *, store: Store, token: int, storage: Storage) -> None:
        self.tips = {}
        self._storage = storage
        self._store = store
        self._token = token

    async def append(self, *, rows: dict[str, list[Row]]) -> set[str]:
        """Commit the rows of every tenant; none is ever moved. Raises UnableToWrite."""
        await asyncio.sleep(self._store.luck.uniform(0.0005, 0.004))
        try:
            self._store.append(token=self._token, rows=rows)
        except DiskFull as error:
            self._storage.refused(error)
            raise UnableToWrite(str(error)) from error
        except UnableToWrite as error:
            self._storage.refused(OperationalError(str(error)))
            raise
        if any(rows.values()):
            self._storage.wrote()
        await asyncio.sleep(self._store.luck.uniform(0.0, 0.002))
        return set()


class SimulatedRecall(Recall):
    """The engine's look back into this log."""

    def __init__(self, *, store: Store) -> None:
        self.lookups = 0
        self._store = store
        self._waiting, self._whose = [], set()
        self._wake = asyncio.Event()

    async def read(self, *, tenant: str, query: str, asked: dict[str, Any]) -> list[Recorded]:
        """Return events by their commands or their seqs."""
        await asyncio.sleep(self._store.luck.uniform(0.0005, 0.004))
        rows = self._store.rows.get(tenant, [])
        if query == EVENTS:
            found = [row for row in rows if row.recorded.command_id in asked["ids"]]
        else:
            found = [rows[seq - 1] for seq in asked["seqs"]]
        return [msgspec.structs.replace(row.recorded, event=codec.decode_event(row.payload)) for row in found]
