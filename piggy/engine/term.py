"""One term of an engine: take the lease, rebuild the desks from the log, serve until something breaks, begin again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis.asyncio

from piggy.engine import exposure, recovery, scorecards
from piggy.engine.clock import Clock
from piggy.engine.config import EngineConfig
from piggy.engine.dispatch import Dispatch
from piggy.engine.housekeeping import Housekeeping
from piggy.engine.intake import Intake
from piggy.engine.journal import Journal
from piggy.engine.lease import Lease, UnableToHoldLease
from piggy.engine.loop import Done, Figures, Loop
from piggy.engine.recall import Recall

log = logging.getLogger(__name__)

STANDBY_S = 0.5
RENEW_S = 1.0
TENANTS_S = 2.0
BACK_OFF_S = 0.5

TENANTS = "SELECT schema_name FROM public.tenants_tenant WHERE shard = %s AND is_active AND schema_name <> 'public'"
DOMAINS = """
SELECT domain.domain, tenant.schema_name FROM public.tenants_domain AS domain
  JOIN public.tenants_tenant AS tenant ON tenant.id = domain.tenant_id
 WHERE tenant.shard = %s AND tenant.is_active AND tenant.schema_name <> 'public'
"""


@dataclass(slots=True)
class Status:
    """What health checks are told; `halted` maps a tenant to why its log cannot be read."""

    state: str = "STARTING"
    token: int = 0
    progress: dict[str, int] = field(default_factory=dict)
    halted: dict[str, str] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    clock_steps: int = 0
    figures: Figures = field(default_factory=Figures)


class Term:
    """Serves one shard from lease to loss. `loop` is None until the lease is held."""

    def __init__(self, *, config: EngineConfig, clock: Clock, status: Status) -> None:
        self.status = status
        self.loop: Loop | None = None
        self._config = config
        self._clock = clock

    async def run(self) -> None:
        """Serve until the lease, PostgreSQL or a desk is lost; raises an ExceptionGroup of what it was."""
        self.status.state = "STANDBY"
        redis_client = redis.asyncio.Redis.from_url(self._config.redis_url, socket_connect_timeout=2)
        async with (
            await self._connect("lease") as first,
            await self._connect("log") as second,
            await self._connect("read") as reader,
            await self._connect("recall") as finder,
        ):
            lease = Lease(
                connection=first, shard=self._config.shard, holder=self._config.holder, life_s=self._config.lease_life_s
            )
            await self._win(lease)
            try:
                recall = Recall(connection=finder, context_key=self._config.context_key)
                await self._serve(lease, second, reader, redis_client, recall)
            finally:
                self.status.state = "RECOVERING"
                self.loop = None
                await redis_client.aclose()
                await _release(lease)

    async def _win(self, lease: Lease) -> None:
        while True:
            try:
                self.status.token = await lease.acquire()
            except UnableToHoldLease:
                await asyncio.sleep(STANDBY_S)
            else:
                log.info("lease held", extra={"shard": lease.shard, "token": lease.token})
                return

    async def _serve(
        self,
        lease: Lease,
        writer: psycopg.AsyncConnection[Any],
        reader: psycopg.AsyncConnection[Any],
        wire: Any,
        recall: Recall,
    ) -> None:
        journal = Journal(connection=writer, context_key=self._config.context_key, shard=lease.shard, token=lease.token)

        def tell(done: list[Done]) -> None:
            _tell(done, dispatch, intake, marks, cards)

        loop = Loop(
            journal=journal,
            clock=self._clock,
            batch_max=self._config.batch_max,
            tell=tell,
            figures=self.status.figures,
            look_up=recall.look_up,
        )
        dispatch = Dispatch(connection=wire, desks=loop.desks, settled=loop.settled)
        marks = exposure.Marks(connection=wire, desks=loop.desks, clock=self._clock)
        cards = scorecards.Scorecards(connection=wire, desks=loop.desks, clock=self._clock)
        intake = Intake(connection=wire, loop=loop, clock=self._clock, shard=lease.shard, saw=marks.saw)
        self.status.state, self.status.progress, self.status.halted = "RECOVERING", {}, {}
        async with asyncio.TaskGroup() as tasks:
            # Recovery may outlast the lease's life, so the lease is renewed from the first moment.
            tasks.create_task(self._renew(lease))
            await self._follow_tenants(journal, loop, reader)
            self.loop = loop
            self.status.state = "ACTIVE"
            log.info("active", extra={"tenants": sorted(loop.desks), "token": lease.token})
            for work in (
                loop.run(),
                recall.run(loop=loop, tell=tell),
                dispatch.run(),
                dispatch.put_again(),
                intake.read_commands(),
                intake.claim_pending(),
                intake.read_market_data(),
                intake.watch_timers(),
                marks.run(),
                cards.run(),
                self._keep_following(journal, loop, reader),
            ):
                tasks.create_task(work)

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            async with asyncio.timeout(self._config.lease_life_s - RENEW_S):
                await lease.renew()
            if step_ms := self._clock.step_ms():
                self.status.clock_steps += 1
                log.error("clock stepped", extra={"step_ms": step_ms})

    async def _keep_following(self, journal: Journal, loop: Loop, reader: psycopg.AsyncConnection[Any]) -> None:
        housekeeping = Housekeeping(config=self._config)
        try:
            while True:
                await asyncio.sleep(TENANTS_S)
                await self._follow_tenants(journal, loop, reader)
                await housekeeping.look(connection=reader, tips=journal.tips)
        finally:
            await housekeeping.stop()

    async def _follow_tenants(self, journal: Journal, loop: Loop, reader: psycopg.AsyncConnection[Any]) -> None:
        """Recover desks of new tenants, drop those of tenants that left the shard, and learn the domains."""
        rows = await (await reader.execute(TENANTS, (self._config.shard,))).fetchall()
        tenants = {row[0] for row in rows}
        for tenant in sorted(tenants - set(loop.desks) - set(self.status.halted)):
            await self._recover(journal, loop, reader, tenant)
        for tenant in set(loop.desks) - tenants:
            del loop.desks[tenant]
        domains = await (await reader.execute(DOMAINS, (self._config.shard,))).fetchall()
        self.status.domains = dict(domains)

    async def _recover(self, journal: Journal, loop: Loop, reader: psycopg.AsyncConnection[Any], tenant: str) -> None:
        try:
            desk, tip = await recovery.recover(
                connection=reader,
                context_key=self._config.context_key,
                tenant=tenant,
                progress=lambda seq: self.status.progress.update({tenant: seq}),
            )
        except recovery.UnableToRead as error:
            log.critical("tenant halted", extra={"tenant": tenant, "seq": error.seq, "error": str(error)})
            self.status.halted[tenant] = str(error)
        except psycopg.errors.UndefinedTable:
            log.info("tenant has no event log yet", extra={"tenant": tenant})
        else:
            journal.tips[tenant], loop.desks[tenant] = tip, desk
            self.status.progress[tenant] = tip.seq

    async def _connect(self, purpose: str) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
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
        await lease.release()
    except psycopg.Error as error:
        log.warning("lease not released", extra={"error": str(error)})
