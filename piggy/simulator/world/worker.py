"""A worker of this world: the rules of the real one over rows that survive it, killed between any two of its steps."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from decimal import Decimal

from redis.exceptions import RedisError, ResponseError

from piggy.adapters import tracking
from piggy.adapters.fix import outbound
from piggy.adapters.fix.inbound import read_report
from piggy.adapters.interface import VenueReport
from piggy.adapters.tracking import OrderStage
from piggy.core.commands import AnyCommand, Envelope, RecordVenueBust, RecordVenueCorrection, RecordVenueFill
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side
from piggy.messaging import codec, lanes, streams
from piggy.messaging.identity import command_id_of
from piggy.messaging.subscriber import asked_at_us
from piggy.simulator.world.lp import SimulatedLp
from piggy.simulator.world.redis_stub import RedisStub
from piggy.simulator.world.store import Store
from piggy.simulator.world.timeloop import SimulatedLoop

ASK_AGAIN_S = 5.0
SWEEP_S = 1.0
RETELL_AFTER_US = 3_000_000
RECONNECT_S = 0.5
IDLE_MS = 5_000
TOLD_MAX = 50
FACTS = (RecordVenueFill, RecordVenueBust, RecordVenueCorrection)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class OrderRow:
    """What the worker's database keeps of an order."""

    venue: str
    cl_ord_id: str
    symbol: str
    side: Side
    quantity: Decimal
    state: str = OrderStage.PERSISTED
    filled: Decimal = Decimal(0)
    doubts: int = 0
    changed_at_us: int = 0


@dataclass(slots=True)
class ReportRow:
    """What it keeps of a report: the envelope for the engine, if there is one."""

    envelope: Envelope | None
    at_us: int
    told: int = 0


@dataclass(slots=True)
class Kept:
    """What survives the worker: its rows, and which of the LP's messages it has taken.

    `unsettled` are the orders that may be open, `unheard` the reports that the log may not have.
    """

    orders: dict[str, OrderRow] = field(default_factory=dict)
    unsettled: dict[str, OrderRow] = field(default_factory=dict)
    reports: dict[str, ReportRow] = field(default_factory=dict)
    unheard: dict[str, ReportRow] = field(default_factory=dict)
    next_in: int = 1
    repeats: int = 0


class SimulatedWorker:
    """One session with one LP."""

    def __init__(
        self, *, tenant: str, lp: SimulatedLp, store: Store, redis: RedisStub, loop: SimulatedLoop, luck: random.Random
    ) -> None:
        self.kept = Kept()
        self.connected = self._asked_all = False
        self._tenant, self._lp, self._store, self._redis = tenant, lp, store, redis
        self._loop, self._luck = loop, luck
        self._key = streams.venue_key(tenant=tenant, venue=lp.name)
        self._running: asyncio.Task[None] | None = None
        self._unknowns = tracking.Unknowns()

    def start(self) -> None:
        """Connect and work until killed."""
        assert self._running is None
        self._unknowns = tracking.Unknowns()
        self._running = asyncio.get_running_loop().create_task(self._serve())

    def raise_failure(self) -> None:
        """Raise what ended the process by itself, if anything did."""
        if self._running is not None and self._running.done():
            self._running.result()

    async def kill(self) -> None:
        """End between two steps; only what is kept remains."""
        self.cut()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def cut(self) -> None:
        """Lose the connection to the LP; what is under way on it never arrives, what the LP said it says again."""
        self.connected = self._asked_all = False
        self._lp.hearer = None

    def unreconciled(self) -> int:
        """Return how much of its orders the worker does not know; 1 before it asked about all."""
        doubts = sum(row.state == OrderStage.DOUBT for row in self._open())
        facts = (row.envelope for row in self.kept.unheard.values())
        untold = sum(
            told is not None and isinstance(told.command, FACTS) and told.command_id not in self._store.command_ids
            for told in facts
        )
        return doubts + untold if self._asked_all else 1

    def hear_again(self, *, luck: random.Random) -> None:
        """The LP repeats what it said so far, in any order."""
        numbers = list(range(1, self.kept.next_in))
        luck.shuffle(numbers)
        for number in numbers:
            self._hear(number, self._lp.said[number - 1])

    async def _serve(self) -> None:
        sweeping = asyncio.get_running_loop().create_task(self._sweep())
        asking = asyncio.get_running_loop().create_task(self._ask_again())
        try:
            first = True
            while True:
                if not self.connected:
                    await self._log_on()
                await self._read(first=first)
                first = False
        finally:
            for task in (sweeping, asking):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _log_on(self) -> None:
        for row in self._open():
            await self._doubt(row, "the session was lost")
        await asyncio.sleep(self._luck.uniform(0.05, RECONNECT_S))
        for number in range(self.kept.next_in, len(self._lp.said) + 1):
            self._hear(number, self._lp.said[number - 1])
        self._lp.hearer, self.connected = self._hear, True
        for row in self._open():
            await self._doubt(row, "found open at logon")
            self._ask(row)
        self._asked_all = self.connected

    async def _read(self, *, first: bool) -> None:
        try:
            claimed = await self._abandoned(0 if first else IDLE_MS)
            found = claimed or await self._redis.xreadgroup(
                streams.WORKER_GROUP, self._lp.name, {self._key: ">"}, count=50, block=100
            )
        except ResponseError:
            await self._make_group()
            return
        except RedisError:
            await asyncio.sleep(RECONNECT_S)
            return
        for _, entries in found:
            for entry_id, fields in entries:
                order = codec.decode_venue_order(fields[streams.FIELD])
                if isinstance(order, ChildOrderCreated):
                    await self._place(order, asked_at_us=asked_at_us(entry_id=entry_id, fields=fields))
                elif not self._cancel(order):
                    continue
                await self._ack(entry_id)

    async def _abandoned(self, idle_ms: int) -> list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
        pending = await self._redis.xpending_range(
            self._key, streams.WORKER_GROUP, min="-", max="+", count=50, idle=idle_ms
        )
        ids = [each["message_id"] for each in pending]
        if not ids:
            return []
        claimed = await self._redis.xclaim(self._key, streams.WORKER_GROUP, self._lp.name, 0, ids)
        return [(self._key.encode(), [(entry_id, fields) for entry_id, fields in claimed if fields])]

    async def _place(self, child: ChildOrderCreated, *, asked_at_us: int) -> None:
        row = self.kept.orders.get(child.cl_ord_id)
        if row is not None:
            if row.state in tracking.OPEN:
                await self._doubt(row, "delivered twice")
                self._ask(row)
            return
        row = OrderRow(self._lp.name, child.cl_ord_id, child.symbol, child.side, child.quantity)
        row.changed_at_us = self._loop.now_us
        await self._moment()
        self.kept.orders[child.cl_ord_id] = self.kept.unsettled[child.cl_ord_id] = row
        await self._moment()
        if self._loop.now_us >= asked_at_us + self._lp.session.order_age_ms_max * 1_000:
            await self._refuse(row, "too old to be sent")
        elif not self.connected:
            await self._refuse(row, "the session is down")
        else:
            self._send(outbound.new_order(child=child, config=self._lp.session, at_us=self._loop.now_us))
            await self._moment()
            if row.state == OrderStage.PERSISTED:
                row.state, row.changed_at_us = OrderStage.SENT, self._loop.now_us
        await self._moment()

    def _cancel(self, order: codec.CancelChild) -> bool:
        row = self.kept.orders.get(order.cl_ord_id)
        if row is not None and row.state not in tracking.OPEN:
            return True
        if self.connected:
            text = outbound.cancel(
                cl_ord_id=order.cl_ord_id,
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                config=self._lp.session,
                at_us=self._loop.now_us,
            )
            self._send(text)
        return self.connected

    async def _ack(self, entry_id: bytes) -> None:
        try:
            async with self._redis.pipeline() as pipe:
                pipe.xack(self._key, streams.WORKER_GROUP, entry_id)
                pipe.xdel(self._key, entry_id)
                await pipe.execute()
        except RedisError:
            log.info("venue entry not acknowledged", extra={"stream": self._key})

    async def _make_group(self) -> None:
        try:
            await self._redis.xgroup_create(self._key, streams.WORKER_GROUP, id="0", mkstream=True)
        except RedisError:
            await asyncio.sleep(0.05)

    def _hear(self, number: int, text: str) -> None:
        """Keep a report and count it as received, in one transaction; a repeat only counts."""
        self.kept.next_in = max(self.kept.next_in, number + 1)
        report = read_report(text=text, config=self._lp.session)
        report = self._unknowns.heard(report=report, now_us=self._loop.now_us)
        if report.key in self.kept.reports:
            self.kept.repeats += 1
            return
        row = self.kept.orders.get(report.cl_ord_id)
        command = tracking.take(order=row, report=report, venue=self._lp.name, now_us=self._loop.now_us)
        if row is not None:
            row.changed_at_us = self._loop.now_us
        self._keep(report.key, command, report)

    def _keep(self, key: str, command: AnyCommand | None, report: VenueReport | None = None) -> None:
        envelope = None
        if command is not None:
            names = ("report", self._tenant, self._lp.name, key)
            if isinstance(command, RecordVenueFill):
                names = ("fill", self._tenant, self._lp.name, command.fill_id)
            envelope = Envelope(command_id=command_id_of(*names), command=command, principal=f"venue:{self._lp.name}")
        row = self.kept.reports[key] = ReportRow(envelope=envelope, at_us=self._loop.now_us)
        if envelope is not None:
            self.kept.unheard[key] = row
            asyncio.get_running_loop().create_task(self._tell(envelope))

    async def _tell(self, envelope: Envelope) -> None:
        try:
            key = lanes.key_of(tenant=self._tenant, command=envelope.command)
            await self._redis.xadd(key, {streams.FIELD: codec.encode(envelope)})
        except RedisError:
            log.info("report waits for redis")

    async def _doubt(self, row: OrderRow, text: str) -> None:
        command = tracking.doubt(order=row, text=text, now_us=self._loop.now_us)
        if command is not None:
            self._keep(f"doubt:{row.cl_ord_id}:{row.doubts}", command)
            await self._moment()

    async def _refuse(self, row: OrderRow, text: str) -> None:
        self._keep(f"refused:{row.cl_ord_id}", tracking.refuse(order=row, text=text, now_us=self._loop.now_us))
        await self._moment()

    def _ask(self, row: OrderRow) -> None:
        if self.connected:
            self._send(
                outbound.status_request(
                    cl_ord_id=row.cl_ord_id, symbol=row.symbol, side=row.side, config=self._lp.session
                )
            )

    def _send(self, text: str) -> None:
        """Let a message leave; it arrives unless the connection is lost first. Nothing is ever sent again."""
        asyncio.get_running_loop().call_later(0.005, self._arrive, text)

    def _arrive(self, text: str) -> None:
        if self.connected:
            self._lp.receive(text)

    async def _ask_again(self) -> None:
        while True:
            await asyncio.sleep(ASK_AGAIN_S)
            silent_us = self._loop.now_us - int(ASK_AGAIN_S * 1e6)
            for row in self._open():
                silent = row.state == OrderStage.SENT and row.changed_at_us < silent_us
                if self.connected and (row.state == OrderStage.DOUBT or silent):
                    await self._doubt(row, "no report came")
                    self._ask(row)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            if self._store.away:
                continue
            for key, row in list(self.kept.unheard.items()):
                if row.envelope is None or row.at_us > self._loop.now_us - RETELL_AFTER_US:
                    continue
                if row.envelope.command_id in self._store.command_ids:
                    self.kept.unheard.pop(key, None)
                elif row.told < TOLD_MAX or isinstance(row.envelope.command, FACTS):
                    row.told += 1
                    await self._tell(row.envelope)

    def _open(self) -> list[OrderRow]:
        unsettled = self.kept.unsettled
        for name in [name for name, row in unsettled.items() if row.state not in tracking.OPEN]:
            del unsettled[name]
        return list(unsettled.values())

    async def _moment(self) -> None:
        """Let time pass between two steps, so that a kill may fall there."""
        await asyncio.sleep(self._luck.uniform(0.0002, 0.003))
