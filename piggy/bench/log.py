"""Bench log: event rows into PostgreSQL by the engine's own journal, from chaining to the answer of the commit.

Durable (fsync, synchronous_commit=on), as the app's role, under forced row-level security with the signed context and
the lease checked in the write. The next batch is chained while the last one is being committed, as an engine would.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import psycopg

from piggy.bench.broker import Broker, busy_before, connect, cpu_s
from piggy.bench.long_log import fill, tip_of
from piggy.bench.opening import log_of_orders
from piggy.core.events import Recorded
from piggy.engine.journal import Journal, Row
from piggy.engine.lease import Lease
from piggy.engine.lines import TURN

SIZES = (200, 50, 1_000)
ROUNDS = 5
ACCOUNTS = 200
ROWS_OF_ORDER = 2
LEASE_S = 600
RATE_GUESSED = 5_000.0
COMMITS_MIN = 5


def run(*, seconds: float, scale: float, tenants: int = 1, events: int = 0) -> dict[str, object]:
    """Return append_rows_per_s at 200 rows a commit, and at 50 and 1,000; `scale` multiplies the rows a commit.

    The `tenants`, each of which has `events` in its log before the first, take turns as in the engine's lines: a turn
    is TURN orders, so that a commit holds the rows of a few.
    """
    busy = busy_before()
    with Broker() as broker:
        broker.add_tenants(count=tenants - 1)
        for tenant in broker.tenants:
            fill(broker=broker, tenant=tenant, events=events)
        return asyncio.run(_measure(broker, seconds=seconds, scale=scale)) | busy


async def _measure(broker: Broker, *, seconds: float, scale: float) -> dict[str, object]:
    config = broker.config()
    lease = Lease(connection=await connect(config=config), shard=config.shard, holder="bench", life_s=LEASE_S)
    writers = [await connect(config=config) for _ in range(2)]
    journal = Journal(
        connection=writers[0],
        second=writers[1],
        context_key=config.context_key,
        shard=config.shard,
        token=await lease.acquire(),
    )
    journal.tips |= {tenant: tip_of(broker=broker, tenant=tenant) for tenant in broker.tenants}
    sources = {tenant: _after(journal.tips[tenant].seq) for tenant in broker.tenants}
    turns = deque(broker.tenants)
    before = min(tip.seq for tip in journal.tips.values())
    rates: dict[int, list[float]] = {size: [RATE_GUESSED] for size in SIZES}
    lasting_s = seconds / ROUNDS / len(SIZES)
    rows, size_bytes, server_s = 0, 0, _server_s(writers)
    for _ in range(ROUNDS):
        for size, known in rates.items():
            rows_each = max(1, int(size * scale))
            commits = max(COMMITS_MIN, int(known[-1] * lasting_s / rows_each))
            batches = [_taken(sources, turns, rows_each) for _ in range(commits)]
            began = time.perf_counter()
            size_bytes += await _append(journal, batches)
            known.append(commits * rows_each / (time.perf_counter() - began))
            rows += commits * rows_each
    server_s = _server_s(writers) - server_s
    for writer in writers:
        await writer.close()
    medians = {size: round(statistics.median(found[1:])) for size, found in rates.items()}
    return {
        "append_rows_per_s": medians[200],
        "append_rows_per_s_at_50": medians[50],
        "append_rows_per_s_at_1000": medians[1_000],
        "best_rows_per_s": round(max(rates[200][1:])),
        "server_cpu_us_per_row": round(server_s / rows * 1e6, 1),
        "load": {
            "tenants": len(sources),
            "events_before": before,
            "rows": rows,
            "payload_bytes_mean": round(size_bytes / rows),
            "commit": "fsync, one journal with two pens",
        },
        "runs": ROUNDS,
    }


def _server_s(writers: list[psycopg.AsyncConnection[Any]]) -> float:
    return sum(cpu_s(pid=writer.info.backend_pid) for writer in writers)


def _after(seq: int) -> Iterator[Recorded]:
    """Yield the events of orders as they would follow a log that long."""
    for recorded in log_of_orders(accounts=ACCOUNTS):
        yield msgspec.structs.replace(recorded, seq=recorded.seq + seq)


def _taken(sources: dict[str, Iterator[Recorded]], turns: deque[str], rows: int) -> dict[str, list[Recorded]]:
    """Return the events of one commit: of as many tenants as it takes, in turn."""
    taken: dict[str, list[Recorded]] = {}
    while rows:
        each = min(rows, TURN * ROWS_OF_ORDER)
        taken.setdefault(turns[0], []).extend(islice(sources[turns[0]], each))
        turns.rotate(-1)
        rows -= each
    return taken


async def _append(journal: Journal, batches: list[dict[str, list[Recorded]]]) -> int:
    size, running = 0, deque[asyncio.Future[set[str]]]()
    for batch in batches:
        rows: dict[str, list[Row]] = {
            tenant: [journal.chain(tenant=tenant, recorded=each) for each in part] for tenant, part in batch.items()
        }
        size += sum(len(row.payload) for part in rows.values() for row in part)
        if len(running) == journal.pens:
            await running.popleft()
        running.append(asyncio.ensure_future(journal.append(rows=rows)))
        # Let it put the batch on the wire before the next one is chained.
        await asyncio.sleep(0)
    await asyncio.gather(*running)
    return size
