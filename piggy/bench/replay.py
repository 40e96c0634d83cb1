"""Bench replay: a desk rebuilt from its log by the engine's own recovery, every row's hash checked on the way."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from piggy.bench.broker import Broker, busy_before, connect
from piggy.bench.opening import log_of_orders
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.engine import keeper, recovery
from piggy.engine.config import EngineConfig
from piggy.engine.journal import Journal, Tip
from piggy.engine.lease import Lease

EVENTS = 1_000_000
FROM_ZERO = 150_000
ROWS_EACH = 1_000
ROUND_EVENTS = 100_000
# The worst moment to fall: just before the next snapshot would have been written.
TAIL_EVENTS = 50_000
ACCOUNTS = 200
RUNS_MIN = 3
LEASE_S = 3_600


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return events_per_s from zero and recover_1m_s out of a snapshot and its tail; `scale` multiplies the log.

    Of a log of another size than a million events recover_1m_s is what a million would take at the same pace.
    """
    busy = busy_before()
    with Broker() as broker:
        return asyncio.run(_measure(broker, seconds=seconds, events=max(ROWS_EACH, int(EVENTS * scale)))) | busy


async def _measure(broker: Broker, *, seconds: float, events: int) -> dict[str, object]:
    config = broker.config()
    prepared = await _write(broker, config, events)
    place: dict[str, Any] = {"context_key": config.context_key, "tenant": broker.tenant}
    rates: list[float] = []
    recovered_s: list[float] = []
    until = time.monotonic() + seconds
    while len(rates) < RUNS_MIN or time.monotonic() < until:
        async with await connect(config=config) as reader:
            began, desk, tip = time.perf_counter(), Desk(tenant=broker.tenant), Tip()
            await recovery.catch_up(desk=desk, tip=tip, connection=reader, until=min(events, FROM_ZERO), **place)
            rates.append(tip.seq / (time.perf_counter() - began))
            assert tip.seq == desk.state.seq, f"read to {tip.seq}, applied to {desk.state.seq}"
            began = time.perf_counter()
            desk, tip = await recovery.recover(connection=reader, **place)
            recovered_s.append(time.perf_counter() - began)
            assert tip.seq == desk.state.seq == events // ROWS_EACH * ROWS_EACH
    return {
        "events_per_s": round(statistics.median(rates)),
        "best_events_per_s": round(max(rates)),
        "recover_1m_s": round(statistics.median(recovered_s) * EVENTS / events, 2),
        "recover_s": round(statistics.median(recovered_s), 2),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
        "load": {"events": tip.seq, "from_zero": min(events, FROM_ZERO), "accounts": ACCOUNTS, **prepared},
        "runs": len(rates),
    }


async def _write(broker: Broker, config: EngineConfig, events: int) -> dict[str, object]:
    """Fill the log, with a keeper's round now and then; returns seconds spent and the snapshot's last bytes."""
    lease = Lease(connection=await connect(config=config), shard=config.shard, holder="bench", life_s=LEASE_S)
    token, wrote_s, kept_s, last = await lease.acquire(), 0.0, 0.0, keeper.Kept(0, 0)
    async with await connect(config=config) as writer, await connect(config=config) as reader:
        journal = Journal(connection=writer, context_key=config.context_key, shard=config.shard, token=token)
        journal.tips[broker.tenant] = Tip()
        source = log_of_orders(accounts=ACCOUNTS)
        for until in _rounds(events):
            began = time.perf_counter()
            await _append(journal, broker.tenant, source, until)
            wrote_s += time.perf_counter() - began
            if until < events:
                began = time.perf_counter()
                last = await keeper.keep(
                    connection=reader, context_key=config.context_key, tenant=broker.tenant, home=config.home
                )
                kept_s += time.perf_counter() - began
    return {"written_in_s": round(wrote_s, 1), "kept_in_s": round(kept_s, 1), "snapshot_bytes": last.snapshot_bytes}


def _rounds(events: int) -> Iterator[int]:
    last = events - min(TAIL_EVENTS, events // 2)
    yield from range(ROUND_EVENTS, last, ROUND_EVENTS)
    yield last
    yield events


async def _append(journal: Journal, tenant: str, source: Iterator[Recorded], until: int) -> None:
    while journal.tips[tenant].seq + ROWS_EACH <= until:
        rows = [journal.chain(tenant=tenant, recorded=each) for each in islice(source, ROWS_EACH)]
        await journal.append(rows={tenant: rows})
