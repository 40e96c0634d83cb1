"""Bench verify: `log verify` over a long log, whole and with one event altered; its process's start is in it."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from itertools import islice

import psycopg
from psycopg import sql

from piggy.bench.broker import PYTHON, Broker, busy_before, connect
from piggy.bench.opening import log_of_orders
from piggy.engine import keeper
from piggy.engine.journal import Journal, Tip
from piggy.engine.lease import Lease
from piggy.local import environment

EVENTS = 1_000_000
ROWS_EACH = 1_000
ACCOUNTS = 200
LEASE_S = 3_600
BAD = 3


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return verify_s of a million events (or `scale` times that), and found_s until an altered one is named.

    The altered event is among the last tenth, where finding it takes longest. `seconds` has no part in it.
    """
    busy = busy_before()
    with Broker() as broker:
        events = max(ROWS_EACH, int(EVENTS * scale)) // ROWS_EACH * ROWS_EACH
        asyncio.run(_write(broker, events))
        whole, verify_s = _verify(broker)
        assert whole.returncode == 0, whole.stderr
        seq = random.randint(events - events // 10, events)
        _alter(broker, seq)
        altered, found_s = _verify(broker)
        assert altered.returncode == BAD, altered.stdout
        assert str(seq) in altered.stdout + altered.stderr, (seq, altered.stdout, altered.stderr)
    return {
        "verify_s": round(verify_s, 1),
        "verify_events_per_s": round(events / verify_s),
        "found_s": round(found_s, 1),
        "load": {"events": events, "altered": seq, "said": (altered.stdout + altered.stderr).strip()[-200:]},
        "runs": 1,
    } | busy


async def _write(broker: Broker, events: int) -> None:
    config = broker.config()
    lease = Lease(connection=await connect(config=config), shard=config.shard, holder="bench", life_s=LEASE_S)
    async with await connect(config=config) as writer, await connect(config=config) as reader:
        token = await lease.acquire()
        journal = Journal(connection=writer, context_key=config.context_key, shard=config.shard, token=token)
        tip = journal.tips[broker.tenant] = Tip()
        source = log_of_orders(accounts=ACCOUNTS)
        while tip.seq < events:
            rows = [journal.chain(tenant=broker.tenant, recorded=each) for each in islice(source, ROWS_EACH)]
            await journal.append(rows={broker.tenant: rows})
        await keeper.sign_head(
            connection=reader, context_key=config.context_key, tenant=broker.tenant, home=config.home, tip=tip
        )


def _verify(broker: Broker) -> tuple[subprocess.CompletedProcess[str], float]:
    command = [str(PYTHON), "manage.py", "log", "verify", "--tenant", broker.tenant]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=environment.ROOT, env=broker.env, capture_output=True, text=True, check=False)
    return done, time.perf_counter() - began


def _alter(broker: Broker, seq: int) -> None:
    """Do as a superuser, the triggers off, what the database refuses everybody else."""
    with psycopg.connect(broker.services.postgres.url(role="postgres"), autocommit=True) as everything:
        table = sql.Identifier(broker.tenant, "event_log")
        everything.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table))
        altered = sql.SQL("UPDATE {} SET principal = principal || 'x' WHERE seq = %s").format(table)
        everything.execute(altered, [seq])
