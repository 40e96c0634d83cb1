"""One term of an engine: take the lease, rebuild the desks from the log, serve until something breaks, begin again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

import psycopg
import redis.asyncio

from piggy.core.leaving import Keeping
from piggy.engine import exposure, recovery, scorecards
from piggy.engine.client_prices import ClientPrices
from piggy.engine.clock import Clock
from piggy.engine.config import EngineConfig
from piggy.engine.dead_letters import DeadLetters
from piggy.engine.dispatch import Dispatch
from piggy.engine.housekeeping import Housekeeping
from piggy.engine.intake import Intake
from piggy.engine.journal import Journal, make_durable
from piggy.engine.last_marks import LastMarks
from piggy.engine.lease import Lease, UnableToHoldLease, bound_writer
from piggy.engine.link import Link
from piggy.engine.loop import Done, Loop, Place
from piggy.engine.market_feed import MarketFeed
from piggy.engine.recall import Recall
from piggy.engine.reconciliation import Reconciliation
from piggy.engine.standby import Warm
from piggy.engine.status import Status
from piggy.engine.tape import Tape
from piggy.engine.witness import Witness, going_on
from piggy.messaging.installation import IDENTITY, Claim

log = logging.getLogger(__name__)

STANDBY_S = 0.25
RENEW_S = 1.0
TENANTS_S = 2.0
BACK_OFF_S = 0.5
DRAIN_S_MAX = 3.0
WITNESS_S_MAX = 1.0
RELEASE_S_MAX = 1.0
PRICES_S_MAX = 3.0


class Term:
    """Serves one shard from lease to loss. `loop` is None until the lease is held."""

    def __init__(self, *, config: EngineConfig, clock: Clock, status: Status) -> None:
        self.status = status
        self.loop: Loop | None = None
        self._config = config
        self._clock = clock
        self._witness = Witness(home=config.home, unkept=status.unkept)
        self._housekeeping = Housekeeping(config=config, unkept=status.unkept)
        self._dispatch: Dispatch | None = None
        self._blameless: set[Place] = set()
        self._changes: dict[str, str] = {}
        self._claim: Claim | None = None

    async def run(self) -> None:
        """Serve until the lease, PostgreSQL or a desk is lost; raises an ExceptionGroup of what it was."""
        self.status.state, self.status.progress, self.status.halted = "STARTING", {}, {}
        redis_client = redis.asyncio.Redis.from_url(self._config.redis_url, socket_connect_timeout=2)
        async with (
            await self._connect("lease") as first,
            await self._connect("log") as second,
            await self._connect("log") as third,
            await self._connect("read") as reader,
            await self._connect("recall") as finder,
            await self._connect("tape") as taper,
        ):
            for writer in (second, third):
                await bound_writer(connection=writer, life_s=self._config.lease_life_s)
            for writer in (first, second, third):
                await make_durable(connection=writer)
            await self._look_whose_redis(first)
            lease = Lease(
                connection=first, shard=self._config.shard, holder=self._config.holder, life_s=self._config.lease_life_s
            )
            warm = Warm(config=self._config, status=self.status, witness=self._witness)
            self._housekeeping = Housekeeping(config=self._config, unkept=self.status.unkept)
            try:
                await self._win(lease, warm, reader, redis_client)
                recall = Recall(connection=finder, context_key=self._config.context_key)
                await self._serve(lease, (second, third), reader, taper, redis_client, recall, warm)
            finally:
                self.status.state = "RECOVERING"
                self.loop = None
                await redis_client.aclose()
                if lease.token:
                    await _release(lease)
                await self._housekeeping.stop()

    async def drain(self) -> None:
        """Finish what was taken and take nothing more, so that giving the lease back leaves nothing half done."""
        loop, self.loop = self.loop, None
        if loop is None or self._dispatch is None:
            return
        self.status.state = "DRAINING"
        loop.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S_MAX):
                await loop.finished()
                await self._dispatch.drained()
        # Before the lease goes: from then on a successor writes the same files.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WITNESS_S_MAX):
                await self._witness.catch_up()

    async def _win(self, lease: Lease, warm: Warm, reader: psycopg.AsyncConnection[Any], wire: Any) -> None:
        """Wait for the lease; meanwhile follow the log and the market, to lose no time when it comes."""
        beside = [
            asyncio.create_task(MarketFeed(connection=wire, desks=warm.desks).run()),
            asyncio.create_task(self._witness.keep(committed={}, desks={})),
        ]
        cold_until_s = time.monotonic() + PRICES_S_MAX
        try:
            while True:
                try:
                    self.status.token = await lease.acquire()
                except UnableToHoldLease:
                    await warm.follow(connection=reader)
                    await self._housekeeping.look(connection=reader, tips=warm.tips, follows=True)
                    # From now on a deploy may end the other engine; the one after it must not read a log from zero.
                    has_prices = warm.has_prices() or time.monotonic() > cold_until_s
                    if has_prices and self._housekeeping.has_first(tips=warm.tips):
                        self.status.state = "STANDBY"
                    await asyncio.sleep(STANDBY_S)
                else:
                    log.info("lease held", extra={"shard": lease.shard, "token": lease.token})
                    return
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _serve(
        self,
        lease: Lease,
        writers: tuple[psycopg.AsyncConnection[Any], psycopg.AsyncConnection[Any]],
        reader: psycopg.AsyncConnection[Any],
        taper: psycopg.AsyncConnection[Any],
        wire: Any,
        recall: Recall,
        warm: Warm,
    ) -> None:
        journal = self._journal(lease, writers)
        tape = self._tape(journal)

        def tell(done: list[Done]) -> None:
            _tell(done, dispatch, intake, marks, cards)

        loop = self._loop(journal, tape, recall, tell)
        dispatch = self._dispatch = Dispatch(connection=wire, desks=loop.desks, settled=loop.settled)
        marks = exposure.Marks(connection=wire, desks=loop.desks, clock=self._clock, unkept=self.status.unkept)
        cards = scorecards.Scorecards(connection=wire, desks=loop.desks, clock=self._clock)
        letters = DeadLetters(config=self._config)
        intake = Intake(connection=wire, loop=loop, clock=self._clock, shard=lease.shard, letters=letters)
        entry = Reconciliation(desks=loop.desks, status=self.status)
        self.status.state = "RECOVERING"
        async with asyncio.TaskGroup() as tasks:
            # Recovery may outlast the lease's life, so the lease is renewed from the first moment.
            tasks.create_task(self._renew(lease))
            tasks.create_task(self._keep_looking_whose_redis(reader))
            await self._follow_tenants(journal, loop, reader, warm, entry)
            tape.follow(desks=loop.desks)
            loop.hold()
            for work in (
                loop.run(),
                recall.run(loop=loop, tell=tell),
                dispatch.run(),
                dispatch.put_again(),
                intake.read_commands(),
                intake.claim_pending(),
                MarketFeed(connection=wire, desks=loop.desks, saw=marks.saw, taped=tape.quoted).run(),
                self._witness.keep(committed=journal.committed, desks=loop.desks),
            ):
                tasks.create_task(work)
            await entry.wait(seconds=self._config.reconcile_ms_max / 1_000)
            self._open(loop, lease)
            for work in (
                intake.watch_timers(),
                marks.run(),
                cards.run(),
                ClientPrices(connection=wire, desks=loop.desks, clock=self._clock).run(),
                entry.watch(every_s=RENEW_S),
                LastMarks(connection=wire, desks=loop.desks, reels=tape.reels, clock=self._clock).run(),
                self._keep_following(journal, loop, reader, warm, entry),
                tape.run(connection=taper, desks=loop.desks),
            ):
                tasks.create_task(work)

    def _open(self, loop: Loop, lease: Lease) -> None:
        loop.release()
        self.loop = loop
        self.status.state = "ACTIVE"
        log.info("active", extra={"tenants": sorted(loop.desks), "token": lease.token})

    def _loop(self, journal: Journal, tape: Tape, recall: Recall, tell: Callable[[list[Done]], None]) -> Loop:
        return Loop(
            journal=journal,
            clock=self._clock,
            batch_max=self._config.batch_max,
            tell=tell,
            figures=self.status.figures,
            look_up=recall.look_up,
            is_behind=recall.is_ahead,
            reels=tape.reels,
            storage=self.status.storage,
            blameless=self._blameless,
        )

    def _tape(self, journal: Journal) -> Tape:
        return Tape(
            clock=self._clock,
            tips=journal.tips,
            context_key=self._config.context_key,
            days=self._config.tape_days,
            mib_max=self._config.tape_mib_max,
        )

    def _journal(
        self, lease: Lease, writers: tuple[psycopg.AsyncConnection[Any], psycopg.AsyncConnection[Any]]
    ) -> Journal:
        first, second = writers
        key = self._config.context_key
        return Journal(
            connection=first,
            second=second,
            context_key=key,
            shard=lease.shard,
            token=lease.token,
            storage=self.status.storage,
        )

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            async with asyncio.timeout(self._config.lease_life_s - RENEW_S):
                await lease.renew()
            off_ms = self._clock.off_ms()
            if self._clock.steps > self.status.clock_steps:
                self.status.clock_steps = self._clock.steps
                log.error("clock stepped", extra={"off_ms": off_ms})

    async def _look_whose_redis(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Raise UnableToShare where it is another installation's: its brokers may be called as ours are."""
        if self._claim is None:
            row = await (await connection.execute(IDENTITY)).fetchone()
            assert row is not None
            self._claim = Claim(redis_url=self._config.redis_url, identity=row[0])
        # In a thread, for a Redis that is stopped keeps it waiting.
        await asyncio.to_thread(self._claim.look)

    async def _keep_looking_whose_redis(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            await self._look_whose_redis(connection)
            await asyncio.sleep(RENEW_S)

    async def _keep_following(
        self, journal: Journal, loop: Loop, reader: psycopg.AsyncConnection[Any], warm: Warm, entry: Reconciliation
    ) -> None:
        while True:
            await asyncio.sleep(TENANTS_S)
            await self._follow_tenants(journal, loop, reader, warm, entry)
            tips = {tenant: journal.tips[tenant] for tenant in loop.desks}
            await self._housekeeping.look(connection=reader, tips=tips)

    async def _follow_tenants(
        self, journal: Journal, loop: Loop, reader: psycopg.AsyncConnection[Any], warm: Warm, entry: Reconciliation
    ) -> None:
        """Take desks of new tenants, drop those of tenants that left the shard."""
        tenants = await warm.tenants(connection=reader)
        await self._drop_overtaken(journal, loop, reader, warm)
        for tenant in sorted(tenants - set(loop.desks) - (set(self.status.halted) - warm.untrusted)):
            found = await warm.take(connection=reader, tenant=tenant)
            if found is not None:
                desk, journal.tips[tenant] = found
                # What was ours before may be less: the witness is not to forget what it was just told.
                journal.committed.pop(tenant, None)
                desk.keeping = Keeping(
                    ended_us=self._config.ended_kept_s * 1_000_000, orders_max=self._config.ended_kept_max
                )
                loop.take(tenant=tenant, desk=desk)
                self.status.taken_at_s[tenant] = self._clock.now_us() // 1_000_000, self._clock.mono_ns() / 1e9
                if (given_up := warm.accepted.pop(tenant, None)) is not None:
                    loop.submit(item=going_on(tenant=tenant, given_up=given_up))
                entry.begin(tenant=tenant)
        for tenant in set(loop.desks) - tenants:
            loop.drop(tenant=tenant)
        for tenant in journal.committed.keys() - tenants:
            del journal.committed[tenant]
        entry.keep(tenants=set(loop.desks))

    async def _drop_overtaken(
        self, journal: Journal, loop: Loop, reader: psycopg.AsyncConnection[Any], warm: Warm
    ) -> None:
        """Drop a desk that another engine wrote for since: its tenant was moved there and back between two looks."""
        for tenant in sorted(loop.desks.keys() & warm.changes.keys()):
            if self._changes.get(tenant, "") != warm.changes[tenant]:
                end = await recovery.last_seq(connection=reader, context_key=self._config.context_key, tenant=tenant)
                if end > journal.tips[tenant].seq:
                    loop.drop(tenant=tenant)
        self._changes = dict(warm.changes)

    async def _connect(self, purpose: str) -> psycopg.AsyncConnection[Any]:
        return await Link.connect(
            self._config.database_url,
            autocommit=True,
            connect_timeout=5,
            application_name=f"piggy-engine-{self._config.shard}-{purpose}",
        )


async def serve(*, term: Term) -> None:
    """Run term after term until cancelled; each begins from the log."""
    while True:
        try:
            # A task of its own: a task group that fails leaves its parent marked as cancelled on Python 3.11 and 3.12,
            # and this task must know whether it is really told to end.
            await asyncio.create_task(term.run())
        except* Exception as errors:
            # The boundary of a term: whatever broke, the next term trusts only the log.
            log.error("term ended", exc_info=errors)
            # An error on the way out hides the cancellation that caused it.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError from errors
        await asyncio.sleep(BACK_OFF_S)


def _tell(
    done: list[Done], dispatch: Dispatch, intake: Intake, marks: exposure.Marks, cards: scorecards.Scorecards
) -> None:
    dispatch.tell(done)
    intake.settled(done)
    marks.heard(done)
    cards.heard(done)


async def _release(lease: Lease) -> None:
    try:
        async with asyncio.timeout(RELEASE_S_MAX):
            await lease.release()
    except (psycopg.Error, TimeoutError) as error:
        log.warning("lease not released", extra={"error": str(error)})
