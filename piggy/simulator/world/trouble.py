"""What goes wrong in this world, at moments that the seed chooses; then all is healed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from piggy.simulator.world.engine import SimulatedEngine
from piggy.simulator.world.lp import SimulatedLp
from piggy.simulator.world.redis_stub import RedisStub
from piggy.simulator.world.store import Store
from piggy.simulator.world.timeloop import SimulatedClock
from piggy.simulator.world.worker import SimulatedWorker

SHARE_LOST, SHARE_TORN = 0.03, 0.05


class Trouble:
    """`met` counts what was done to the world."""

    def __init__(
        self,
        *,
        engines: list[SimulatedEngine],
        workers: list[SimulatedWorker],
        lps: list[SimulatedLp],
        redis: RedisStub,
        store: Store,
        clock: SimulatedClock,
        luck: random.Random,
    ) -> None:
        self.met: Counter[str] = Counter()
        self._engines, self._workers, self._lps, self._redis, self._store = engines, workers, lps, redis, store
        self._clock, self._luck = clock, luck
        self._active = 0

    async def make(self, *, until_s: float) -> None:
        """Break something every second or so until `until_s`, then heal everything."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.kill_engine,
            self.two_engines,
            self.kill_worker,
            self.cut_session,
            self.replay_day,
            self.restate,
            self.restate,
            self.flush_redis,
            self.lose_redis,
            self.lose_database,
            self.fill_disk,
            self.step_clock,
        ]
        self._redis.lost_answer, self._store.torn = SHARE_LOST, SHARE_TORN
        loop = asyncio.get_running_loop()
        while loop.time() < until_s:
            await asyncio.sleep(self._luck.uniform(0.2, 4.0))
            kind = self._luck.choice(kinds)
            self.met[kind.__name__] += 1
            await kind()
        self._redis.lost_answer = self._store.torn = 0.0

    async def kill_engine(self) -> None:
        """SIGKILL, and a start a moment later."""
        engine = self._engines[self._active]
        await engine.kill()
        await asyncio.sleep(self._luck.uniform(0.1, 1.0))
        engine.start()

    async def two_engines(self) -> None:
        """A standby takes over while the holder, frozen or cut off, believes that it still holds the lease."""
        old, self._active = self._engines[self._active], 1 - self._active
        self._engines[self._active].start()
        await asyncio.sleep(self._luck.uniform(0.1, 1.0))
        await old.kill()

    async def kill_worker(self) -> None:
        """SIGKILL between any two steps."""
        worker = self._luck.choice(self._workers)
        await worker.kill()
        await asyncio.sleep(self._luck.uniform(0.05, 1.0))
        worker.start()

    async def cut_session(self) -> None:
        """The connection to an LP is lost; orders on their way never arrive."""
        self._luck.choice(self._workers).cut()

    async def replay_day(self) -> None:
        """An LP says everything again (F-12)."""
        worker = self._luck.choice(self._workers)
        if worker.connected:
            worker.hear_again(luck=self._luck)

    async def restate(self) -> None:
        """An LP takes an execution back, or corrects it (F-15)."""
        self._luck.choice(self._lps).restate()

    async def flush_redis(self) -> None:
        """FLUSHALL (INV-13)."""
        self._redis.flush()

    async def lose_redis(self) -> None:
        """Redis is away for a while, and comes back empty or not."""
        self._redis.away = True
        await asyncio.sleep(self._luck.uniform(0.1, 2.0))
        if self._luck.random() < 0.5:
            self._redis.flush()
        self._redis.away = False

    async def lose_database(self) -> None:
        """PostgreSQL is away for a while; what is committed stays."""
        self._store.away = True
        await asyncio.sleep(self._luck.uniform(0.1, 2.0))
        self._store.away = False

    async def fill_disk(self) -> None:
        """PostgreSQL has no room for a while (F-21): it is read, and nothing is written."""
        self._store.full = True
        await asyncio.sleep(self._luck.uniform(0.5, 5.0))
        self._store.full = False

    async def step_clock(self) -> None:
        """UTC is stepped by a second or an hour, and set right a while later (INV-20)."""
        self._clock.skew_us = self._luck.choice((-3_600, -10, -1, 1, 3_600)) * 1_000_000
        await asyncio.sleep(self._luck.uniform(0.1, 3.0))
        self._clock.skew_us = 0
