"""Bench replay: a desk rebuilt from its log by the engine's own recovery, every row's hash checked on the way."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from itertools import islice

from piggy.bench.broker import Broker, busy_before, connect
from piggy.bench.opening import log_of_orders
from piggy.engine import recovery
from piggy.engine.config import EngineConfig
from piggy.engine.journal import Journal, Tip
from piggy.engine.lease import Lease

EVENTS = 60_000
ROWS_EACH = 1_000
ACCOUNTS = 200
RUNS_MIN = 3
LEASE_S = 600


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return events_per_s from zero; `scale` multiplies the events. Without snapshots there is no recover_1m_s."""
    busy = busy_before()
    with Broker() as broker:
        return asyncio.run(_measure(broker, seconds=seconds, events=max(ROWS_EACH, int(EVENTS * scale)))) | busy


async def _measure(broker: Broker, *, seconds: float, events: int) -> dict[str, object]:
    config = broker.config()
    wrote_s = await _write(broker, config, events)
    rates: list[float] = []
    per_cpu_s: list[float] = []
    until = time.monotonic() + seconds
    async with await connect(config=config) as reader:
        while len(rates) < RUNS_MIN or time.monotonic() < until:
            began, spent_s = time.perf_counter(), time.process_time()
            desk, tip = await recovery.recover(connection=reader, context_key=config.context_key, tenant=broker.tenant)
            rates.append(tip.seq / (time.perf_counter() - began))
            per_cpu_s.append(tip.seq / (time.process_time() - spent_s))
            assert tip.seq == desk.state.seq, f"read to {tip.seq}, applied to {desk.state.seq}"
    return {
        "events_per_s": round(statistics.median(rates)),
        "best_events_per_s": round(max(rates)),
        "events_per_cpu_s": round(statistics.median(per_cpu_s)),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
        "load": {"events": tip.seq, "accounts": ACCOUNTS, "orders": len(desk.state.orders), "written_in_s": wrote_s},
        "runs": len(rates),
    }


async def _write(broker: Broker, config: EngineConfig, events: int) -> float:
    """Fill the log; returns how long it took in seconds."""
    lease = Lease(connection=await connect(config=config), shard=config.shard, holder="bench", life_s=LEASE_S)
    token, began = await lease.acquire(), time.perf_counter()
    async with await connect(config=config) as writer:
        journal = Journal(connection=writer, context_key=config.context_key, shard=config.shard, token=token)
        journal.tips[broker.tenant] = Tip()
        source = log_of_orders(accounts=ACCOUNTS)
        for _ in range(events // ROWS_EACH):
            rows = [journal.chain(tenant=broker.tenant, recorded=each) for each in islice(source, ROWS_EACH)]
            await journal.append(rows={broker.tenant: rows})
    return round(time.perf_counter() - began, 1)
