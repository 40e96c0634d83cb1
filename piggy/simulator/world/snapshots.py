"""Snapshots of this world: written beside the engine as the keeper does, lost or spoilt now and then, recovered from.

What they hold and how they are proven is the real code; only the table is a list. They hold so little at hand that
segments, and answers that only the log still knows, come up within minutes.
"""

from __future__ import annotations

import asyncio
import random
from typing import NamedTuple

from piggy.core.desk import Desk
from piggy.engine.snapshot import Bounds, Held, UnableToRestore, parts_of, restored
from piggy.engine.snapshot_store import LIVE_KEPT, mac_of, named, proven
from piggy.messaging.chain import Tip
from piggy.simulator.world.store import Store

KEEP_S_MAX = 10.0
WRITE_S_MAX = 0.3
SHARE_LOST, SHARE_SPOILT = 0.1, 0.1
BOUNDS = Bounds(final=5, answers=200, entries=50)
KEY = b"the world's own"


class _Kept(NamedTuple):
    tip: Tip
    live: bytes
    mac: bytes


class Snapshots:
    """One tenant's. `used` and `passed_over` count what recoveries found."""

    def __init__(self, *, tenant: str, store: Store, luck: random.Random) -> None:
        self.used = self.passed_over = 0
        self._tenant, self._store, self._luck = tenant, store, luck
        self._lives: list[_Kept] = []
        self._bodies: dict[tuple[int, int], bytes] = {}

    def recover(self) -> tuple[Desk, Tip]:
        """Return the desk of the newest snapshot that holds good and of the log after it, and where the log ends."""
        desk, tip, _ = self._newest()
        return self._store.recover(tenant=self._tenant, desk=desk, tip=tip)

    async def watch(self) -> None:
        """Keep the log every now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._luck.uniform(0.0, KEEP_S_MAX))
            if not self._store.away:
                await self._keep()

    async def _keep(self) -> None:
        desk, tip, held = self._newest()
        self._store.recover(tenant=self._tenant, desk=desk, tip=tip)
        parts = parts_of(desk=desk, held=held, seq=tip.seq, bounds=BOUNDS)
        await asyncio.sleep(self._luck.uniform(0.0, WRITE_S_MAX))
        # All of it in one transaction, or nothing where PostgreSQL, or the keeper, goes before its end.
        is_lost = self._luck.random() < SHARE_LOST or self._store.away or self._store.full
        if is_lost or any(each.tip.seq == tip.seq for each in self._lives):
            return
        mac = mac_of(key=KEY, tenant=self._tenant, tip=tip, body=parts.live)
        self._lives = [*self._lives, _Kept(tip, parts.live, mac)][-LIVE_KEPT:]
        stood_on = {(name.seq, name.part) for name in held.earlier}
        # As the table is pruned: what neither of the kept live parts may stand on goes.
        self._bodies = {place: body for place, body in self._bodies.items() if place in stood_on}
        self._bodies |= {(tip.seq, part): body for part, body in enumerate(parts.segments, start=1)}
        if self._luck.random() < SHARE_SPOILT:
            self._spoil()

    def _newest(self) -> tuple[Desk, Tip, Held]:
        for tip, body, mac in reversed(self._lives):
            if self._store.rows[self._tenant][tip.seq - 1].hash != tip.hash:
                continue
            try:
                live = proven(key=KEY, tenant=self._tenant, tip=tip, body=body, mac=mac)
                desk, held = restored(live=live, segments=named(live=live, bodies=self._bodies))
            except UnableToRestore:
                self.passed_over += 1
            else:
                self.used += 1
                return desk, Tip(tip.seq, tip.hash), held
        return Desk(tenant=self._tenant), Tip(), Held()

    def _spoil(self) -> None:
        """One byte of the newest, in its live part or in a segment, is not what was written."""
        seq = self._lives[-1].tip.seq
        place = self._luck.choice([None, *(place for place in self._bodies if place[0] == seq)])
        if place is None:
            self._lives[-1] = self._lives[-1]._replace(live=_harmed(self._lives[-1].live, self._luck))
        else:
            self._bodies[place] = _harmed(self._bodies[place], self._luck)


def _harmed(body: bytes, luck: random.Random) -> bytes:
    at = luck.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << luck.randrange(8)]) + body[at + 1 :]
