"""One life of the world: trouble while clients trade, then healing; all must come to rest and every rule must hold."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, DefaultContext, localcontext

from piggy.core.desk import Desk
from piggy.core.market import VenueState, VenueStatus
from piggy.messaging.chain import Row
from piggy.messaging.identity import command_id_of
from piggy.simulator.config import LpConfig
from piggy.simulator.world import day
from piggy.simulator.world.checks import RuleBroken, arrived_once, check
from piggy.simulator.world.clients import POLL_S, Client
from piggy.simulator.world.engine import SimulatedEngine
from piggy.simulator.world.history import Auditor, check_history
from piggy.simulator.world.lp import SYMBOL, SimulatedLp
from piggy.simulator.world.officers import Officers
from piggy.simulator.world.opening import ACCOUNTS, LPS, opening
from piggy.simulator.world.redis_stub import RedisStub
from piggy.simulator.world.snapshots import Snapshots
from piggy.simulator.world.staff import Staff
from piggy.simulator.world.store import LogIsBroken, Store
from piggy.simulator.world.timeloop import SimulatedClock, SimulatedLoop
from piggy.simulator.world.traders import Trader
from piggy.simulator.world.trouble import Trouble
from piggy.simulator.world.worker import SimulatedWorker

TENANT = "acorn"
QUOTE_S = 0.1
ORDERS_AN_HOUR = 3_600
TROUBLE_S = 20.0
HEALED_S = 60.0
# After healing too there are new orders for a while; of an hour's there would be more than a minute of them left.
LAST_ORDERS_S = 20.0
# From then on prices stand: there is always another stop that they reach as long as they walk.
CALM_S = 30.0
REST_S = 5.0
OF_PRICES = ("MarginCalled", "MarginRestored")


@dataclass(frozen=True, slots=True)
class Life:
    """What a seed led to; `trace` is the last hash of the log, the same for the same seed.

    `snapshots` says how many were recovered from and how many passed over as spoilt, `done` what the broker's people
    asked for on a busy day and how often: "BustFills done", "ClaimOrder NOT_WITH_DEALER".
    """

    seed: int
    trace: str
    events: int
    fills: int
    simulated_s: float
    terms: int
    old_tokens_refused: int
    repeats: int
    snapshots: tuple[int, int]
    trouble: Counter[str]
    done: Counter[str]


def live(*, seed: int, hours: float = TROUBLE_S / 3_600, busy: bool = False) -> Life:
    """Run one world and check it; a `busy` one knows every kind of order and the broker's people.

    Raises RuleBroken or LogIsBroken, with the seed in the text.
    """
    loop = SimulatedLoop(start_us=day.START_US) if busy else SimulatedLoop()
    # Logs of many small catastrophes would hide the one that matters.
    logging.disable(logging.CRITICAL)
    try:
        with localcontext(DefaultContext):  # Whatever this process reckoned before, and how.
            return loop.run_until_complete(_World(seed=seed, loop=loop, busy=busy).live(trouble_s=hours * 3_600))
    except (RuleBroken, LogIsBroken) as error:
        raise type(error)(f"seed {seed}: {error}") from error
    finally:
        logging.disable(logging.NOTSET)
        _end_all(loop)


def _end_all(loop: SimulatedLoop) -> None:
    """End what a broken rule left running, so that it does not outlive its world."""
    left = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    asyncio.set_event_loop(None)
    loop.close()


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel what runs for ever. Raises what had ended it before."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def lasting(rows: list[Row]) -> int:
    """Return how many events do not come of prices alone, which never rest, nor does an account at its call level."""
    return sum(row.type not in OF_PRICES for row in rows)


class _World:
    def __init__(self, *, seed: int, loop: SimulatedLoop, busy: bool) -> None:
        asyncio.set_event_loop(loop)
        self._busy = busy
        self._seed, self._loop = seed, loop
        self._store = Store(luck=self._luck("store"))
        self._redis = RedisStub(luck=self._luck("redis"), now_us=lambda: loop.now_us)
        clock = self._clock = SimulatedClock(loop=loop)
        self._snapshots = Snapshots(tenant=TENANT, store=self._store, luck=self._luck("keeper"))
        self._engines = [
            SimulatedEngine(
                name=name,
                tenant=TENANT,
                store=self._store,
                snapshots=self._snapshots,
                redis=self._redis,
                clock=clock,
                luck=self._luck(name),
            )
            for name in ("engine-1", "engine-2")
        ]
        self._lps = [
            SimulatedLp(
                config=LpConfig(name=name, reject_rate=Decimal("0.1"), partial_rate=Decimal("0.3"), seed=seed),
                tenant=TENANT,
                loop=loop,
                luck=self._luck(name),
                symbols=day.SYMBOLS if busy else (SYMBOL,),
            )
            for name in LPS
        ]
        self._workers = [
            SimulatedWorker(
                tenant=TENANT,
                lp=lp,
                store=self._store,
                redis=self._redis,
                loop=loop,
                luck=self._luck(f"worker of {lp.name}"),
            )
            for lp in self._lps
        ]
        self._clients = self._traders() if busy else [self._client(account_id) for account_id in ACCOUNTS]
        self._staff = Staff(
            client=self._client("people"), desk=self._desk, store=self._store, luck=self._luck("people")
        )

    def _client(self, name: str) -> Client:
        return Client(account_id=name, tenant=TENANT, redis=self._redis, luck=self._luck(name))

    def _traders(self) -> list[Client]:
        return [
            Trader(
                account=account,
                desk=self._desk,
                loop=self._loop,
                tenant=TENANT,
                redis=self._redis,
                luck=self._luck(account.account_id),
            )
            for account in day.accounts()
        ]

    async def live(self, *, trouble_s: float) -> Life:
        quoting = self._loop.create_task(self._quote())
        self._engines[0].start()
        for worker in self._workers:
            worker.start()
        teller = Client(account_id="staff", tenant=TENANT, redis=self._redis, luck=self._luck("staff"))
        for number, command in enumerate((day.opening if self._busy else opening)(now_us=self._loop.now_us)):
            await teller.ask(command_id_of("sim opening", str(number)), command)
        trouble = Trouble(
            engines=self._engines,
            workers=self._workers,
            lps=self._lps,
            redis=self._redis,
            store=self._store,
            clock=self._clock,
            luck=self._luck("trouble"),
        )
        orders = max(10, int(trouble_s * ORDERS_AN_HOUR / 3_600))
        until_s = self._loop.time() + trouble_s
        last_s = until_s + LAST_ORDERS_S
        trading = [self._loop.create_task(each.trade(orders=orders, until_s=last_s)) for each in self._clients]
        officers = Officers(tenant=TENANT, redis=self._redis, luck=self._luck("officers"))
        auditor = Auditor(tenant=TENANT, store=self._store)
        closing = [self._loop.create_task(officers.watch(until_s=until_s))]
        if self._busy:
            closing.append(self._loop.create_task(self._staff.work(until_s=until_s)))
        watching = [self._loop.create_task(each) for each in (auditor.watch(), self._snapshots.watch())]
        await trouble.make(until_s=until_s)
        await self._come_to_rest([*trading, *closing])
        for task in watching:
            await _ended(task)
        await self._write_all()
        self._check()
        auditor.ask_again()
        quoting.cancel()
        for worker in self._workers:
            await worker.kill()
        for engine in self._engines:
            await engine.kill()
        rows = self._store.rows[TENANT]
        trace = hashlib.sha256(rows[-1].hash + repr(sorted(trouble.met.items())).encode()).hexdigest()
        return Life(
            seed=self._seed,
            trace=trace,
            events=len(rows),
            fills=sum(len(order.fills) for lp in self._lps for order in lp.truth.orders.values()),
            simulated_s=self._loop.time(),
            terms=sum(engine.terms for engine in self._engines),
            old_tokens_refused=self._store.refused_old_tokens,
            repeats=sum(worker.kept.repeats for worker in self._workers),
            snapshots=(self._snapshots.used, self._snapshots.passed_over),
            trouble=trouble.met,
            done=self._staff.done,
        )

    def _check(self) -> None:
        live = self._desk()
        assert live is not None
        replayed, _ = self._store.recover(tenant=TENANT)
        recorded = list(self._store.events(tenant=TENANT))
        check(
            log=[each.event for each in recorded],
            live=live,
            replayed=replayed,
            whole=self._store.whole(tenant=TENANT),
            clients=self._clients,
            lps=self._lps,
            workers=self._workers,
        )
        check_history(log=recorded)
        if buried := [reason for engine in self._engines for reason in engine.letters.buried]:
            raise RuleBroken(f"F-21, F-24: what can be carried out is no dead letter: {buried[:3]}")

    async def _come_to_rest(self, trading: list[asyncio.Task[None]]) -> None:
        """The world is healed: within HEALED_S everybody has an answer and nothing is in doubt (liveness)."""
        quiet_since = self._loop.time()
        until_s, calm_s = quiet_since + HEALED_S, quiet_since + CALM_S
        before = -1
        while self._loop.time() < until_s:
            await asyncio.sleep(0.25)
            for lp in self._lps:
                lp.is_calm = self._loop.time() >= calm_s
            for engine in self._engines:
                engine.raise_failure()
            for worker in self._workers:
                worker.raise_failure()
            for task in trading:
                if task.done():
                    task.result()
            events = lasting(self._store.rows.get(TENANT, []))
            if events != before or not all(task.done() for task in trading) or not self._is_settled():
                before, quiet_since = events, self._loop.time()
            elif self._loop.time() - quiet_since >= REST_S:
                return
        arrived_once(lps=self._lps)
        waiting = sum(not task.done() for task in trading)
        desk = self._desk()
        legs = list(desk.state.open_children.values())[:3] if desk else "no desk"
        raise RuleBroken(f"liveness: {HEALED_S} s after healing {waiting} clients wait, open legs {legs}")

    async def _write_all(self) -> None:
        """Wait until the log has all that the desk did: it is ahead by the commit under way, and prices never rest."""
        until_s = self._loop.time() + HEALED_S
        while (desk := self._desk()) is None or desk.state.seq != len(self._store.rows[TENANT]):
            if self._loop.time() > until_s:
                raise RuleBroken(f"liveness: {HEALED_S} s after all rest the log still lacks what the desk did")
            await asyncio.sleep(POLL_S)

    def _is_settled(self) -> bool:
        desk = self._desk()
        if desk is None or any(child.in_doubt or not child.acknowledged for child in desk.state.open_children.values()):
            return False
        return all(
            row.state not in ("doubt", "persisted", "sent")
            for worker in self._workers
            for row in worker.kept.orders.values()
        )

    def _desk(self) -> Desk | None:
        for engine in self._engines:
            if engine.loop is not None:
                return engine.loop.desks.get(TENANT)
        return None

    async def _quote(self) -> None:
        while True:
            for lp, worker in zip(self._lps, self._workers, strict=True):
                quotes = lp.quotes()
                status = VenueStatus(
                    venue=lp.name,
                    state=VenueState.READY if worker.connected else VenueState.DOWN,
                    text="simulated",
                    at_us=self._loop.now_us,
                    unreconciled=worker.unreconciled(),
                )
                for engine in self._engines:
                    if engine.loop is not None and TENANT in engine.loop.desks:
                        engine.loop.desks[TENANT].status(status=status)
                        if worker.connected:
                            for quote in quotes:
                                engine.loop.desks[TENANT].quote(quote=quote)
            await asyncio.sleep(QUOTE_S)

    def _luck(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/{name}")
