"""An engine of this world: the real loop, intake and dispatch, started, killed and started again."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import uuid

from redis.exceptions import RedisError

from piggy.core.leaving import Keeping
from piggy.engine.dispatch import Dispatch
from piggy.engine.intake import Intake
from piggy.engine.journal import UnableToWrite
from piggy.engine.loop import Done, Loop, Place
from piggy.engine.storage import Storage
from piggy.simulator.world.redis_stub import RedisStub
from piggy.simulator.world.snapshots import Snapshots
from piggy.simulator.world.store import SimulatedJournal, SimulatedRecall, Store
from piggy.simulator.world.timeloop import SimulatedClock

BATCH_MAX = 200
BACK_OFF_S = 0.5
# So short that venues say late, and repeat, much of what has left.
SHORT = Keeping(ended_us=300_000, orders_max=100, round_max=4)

log = logging.getLogger(__name__)


class Letters:
    """Counts what the engine gave up; in this world every message can be carried out."""

    def __init__(self) -> None:
        self.buried: list[str] = []

    async def bury(self, *, reason: str, **_: object) -> None:
        """Note why."""
        self.buried.append(reason)


class SimulatedEngine:
    """One process. `loop` is None while it is down or recovering."""

    def __init__(
        self,
        *,
        name: str,
        tenant: str,
        store: Store,
        snapshots: Snapshots,
        redis: RedisStub,
        clock: SimulatedClock,
        luck: random.Random,
    ) -> None:
        self.loop: Loop | None = None
        self.terms = 0
        self.keeping = SHORT
        self.letters = Letters()
        self._name, self._tenant = name, tenant
        self._store, self._redis, self._clock, self._luck = store, redis, clock, luck
        self._snapshots = snapshots
        self._running: asyncio.Task[None] | None = None
        self._storage, self._blameless = Storage(), set[Place]()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Take the lease, whoever holds it, recover and serve until killed."""
        assert self._running is None
        # What a process knows over its terms it does not know after a kill.
        self._storage, self._blameless = Storage(now_s=lambda: self._clock.mono_ns() / 1e9), set()
        self._running = asyncio.get_running_loop().create_task(self._serve())

    def raise_failure(self) -> None:
        """Raise what ended the process by itself, if anything did."""
        if self._running is not None and self._running.done():
            self._running.result()

    async def kill(self) -> None:
        """End at whatever the process was about to do; nothing is tidied up."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _serve(self) -> None:
        while True:
            try:
                await self._term()
            except asyncio.CancelledError:
                raise
            except (UnableToWrite, RedisError) as error:
                # The next term trusts only the log; any other error is a fault of ours and ends the world.
                log.info("term ended", extra={"engine": self._name, "error": repr(error)})
            await asyncio.sleep(BACK_OFF_S)

    async def _term(self) -> None:
        if self._store.away:
            return
        self.terms += 1
        journal = SimulatedJournal(store=self._store, token=self._store.take_lease(), storage=self._storage)

        def tell(done: list[Done]) -> None:
            dispatch.tell(done)
            intake.settled(done)

        recall = SimulatedRecall(store=self._store)
        loop = Loop(
            journal=journal,
            clock=self._clock,
            batch_max=BATCH_MAX,
            tell=tell,
            slice_s=math.inf,
            look_up=recall.look_up,
            is_behind=recall.is_ahead,
            storage=self._storage,
            blameless=self._blameless,
        )
        redis = self._redis
        dispatch = Dispatch(connection=redis, desks=loop.desks, settled=loop.settled)  # type: ignore[arg-type]
        intake = Intake(
            connection=redis,  # type: ignore[arg-type]
            loop=loop,
            clock=self._clock,
            shard="main",
            letters=self.letters,  # type: ignore[arg-type]
            new_id=lambda: str(uuid.UUID(int=self._luck.getrandbits(128))),
        )
        loop.desks[self._tenant], journal.tips[self._tenant] = self._snapshots.recover()
        desk = loop.desks[self._tenant]
        desk.entry.close(state=desk.state)
        desk.keeping = self.keeping
        await asyncio.sleep(self._luck.uniform(0.01, 0.3))
        self.loop = loop
        running = asyncio.get_running_loop()
        work = (
            loop.run(),
            recall.run(loop=loop, tell=tell),
            dispatch.run(),
            dispatch.put_again(),
            intake.read_commands(),
            intake.claim_pending(),
        )
        self._tasks = [running.create_task(each) for each in (*work, intake.watch_timers())]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in self._tasks:
                if task.done():
                    task.result()
        finally:
            self.loop = None
            # One by one, as the order in which a set is cancelled follows from addresses in memory.
            for task in self._tasks:
                task.cancel()
            for task in self._tasks:
                await asyncio.gather(task, return_exceptions=True)
