"""Bench orders: signed signals over HTTP keep-alive to a real engine, each answered after its commit.

Engine, projector, PostgreSQL, Redis and the load generator share this machine. First the rate is found at which every
connection is always full; then rates below it are offered, from the highest down, until the 99th percentile keeps the
promise; that one is offered for the time asked. Latency counts from when a request was due (callers.py).

The disk is watched meanwhile (disk.py). A rate keeps the promise where it does so apart from the disk's own stalls, for
at no rate is a commit faster than its disk; `p99_ms` is that of all requests.
"""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple

import psycopg
import redis
import uvloop
from psycopg import sql

from piggy.bench import long_log
from piggy.bench.broker import Broker, busy_before, cpu_s, family_cpu_s, free_port, host_of
from piggy.bench.callers import ANSWER_S_MAX, Tally, offer, requests
from piggy.bench.disk import DiskWatch, Stall, apart_from, stalled_percent
from piggy.bench.opening import market, open_desk, opening
from piggy.messaging import streams
from piggy.messaging.client import Client

ACCOUNTS = 200
ACCOUNTS_MIN = 4
CONNECTIONS = 16
DEPTH = 8
QUOTES_S = 0.5
WARM_S = 1.0
TRIAL_S = 5.0
P99_MS_MAX = 38.0
APART_MIN = 500
PERCENTS = (95, 85, 75, 65, 55, 45, 30, 15)
# As many requests as are signed for one second of a run that keeps every connection full.
FULL_PER_S = 15_000
# Rates guard a real desk; here every client is meant to be mad.
NO_RATES = {"PIGGY_STRATEGY_SIGNALS_PER_S_MAX": "0", "PIGGY_TENANT_SIGNALS_PER_S_MAX": "0"}
DECIDE = "piggy_engine_decide_seconds_bucket"


class UnableToMeasure(Exception):
    """The accounts were not made, or nothing was answered."""


def run(*, seconds: float, scale: float, tenants: int = 1, events: int = 0) -> dict[str, object]:
    """Return the highest rate whose p99 keeps P99_MS_MAX and its latencies; `scale` multiplies the connections.

    With more `tenants` the accounts are spread over them and their requests take turns; one engine serves them all.
    Each tenant's log has `events` in it before the first.
    """
    busy, connections, port = busy_before(), max(1, int(CONNECTIONS * scale)), free_port()
    accounts = max(ACCOUNTS_MIN, ACCOUNTS // tenants)
    edge = f"http://127.0.0.1:{port}"
    with (
        Broker() as broker,
        _clients(broker, tenants, accounts, events),
        broker.program("piggy.engine", ready=f"{edge}/readyz", PIGGY_EDGE_PORT=str(port), **NO_RATES) as engine,
        broker.program("piggy.projector") as projector,
    ):
        client = Client(redis_url=broker.services.redis_url)
        for tenant in broker.tenants:
            open_desk(client=client, tenant=tenant, commands=opening(accounts=accounts), wait_s=ANSWER_S_MAX)
        load = _Load(broker, port, connections, accounts)
        with _Quotes(client, broker.tenants), DiskWatch(directory=broker.home, stall_ms=P99_MS_MAX) as disk:
            found = _search(load, disk, trial_s=min(TRIAL_S, seconds))
            began_s = _spent_s(broker, engine, projector)
            tally = load.offer(per_s=found.held, seconds=seconds)
            spent_s = {who: at_s - began_s[who] for who, at_s in _spent_s(broker, engine, projector).items()}
            stalls = _stalls(tally, disk)
        lags = [_projector_lag(broker, tenant) for tenant in broker.tenants]
        gate_ms = _gate_p99_ms(urllib.request.urlopen(f"{edge}/metrics", timeout=5).read().decode())
    answered = len(tally.latencies_ms)
    if answered < 2:
        raise UnableToMeasure("No signal was answered with an order.")
    return {
        "requests_per_s": round(answered / tally.seconds),
        "p50_ms": round(statistics.median(tally.latencies_ms), 2),
        "p99_ms": _p99_ms(tally.latencies_ms),
        "p99_ms_apart_from_disk_stalls": _p99_ms(_apart(tally, stalls)),
        "disk_stalled_percent": round(
            stalled_percent(stalls=stalls, began_s=tally.began_s, ended_s=tally.began_s + tally.seconds), 2
        ),
        "disk_stall_ms_max": round(max((each.ended_s - each.began_s for each in stalls), default=0) * 1_000),
        "gate_p99_ms": gate_ms,
        "seconds": round(tally.seconds, 1),
        "errors": tally.errors,
        "answers": {status.decode(): count for status, count in sorted(tally.statuses.items())},
        "refused_with": {status.decode(): body.decode() for status, body in sorted(tally.refused_with.items())},
        "projector_lag_s": max(lag_s for lag_s, _ in lags),
        "projected_percent": min(percent for _, percent in lags),
        "full_requests_per_s": found.full,
        "p99_passes_38_ms_at_per_s": found.passed,
        **{f"{who}_cpu_us_per_order": round(cpu / answered * 1e6) for who, cpu in spent_s.items()},
        "load": f"{connections} connections, up to {DEPTH} requests each; {tenants} x {accounts} accounts, B-book, "
        f"3 venues x 4 symbols; {events} events before; {found.held} a second offered",
        "runs": 1,
        **busy,
    }


def _spent_s(broker: Broker, engine: subprocess.Popen[bytes], projector: subprocess.Popen[bytes]) -> dict[str, float]:
    """Return how long each who takes part in an order has computed; they share the machine, so each counts."""
    postgres, valkey = (each.child for each in (broker.services.postgres, broker.services.valkey))
    return {
        "engine": cpu_s(pid=engine.pid),
        "projector": cpu_s(pid=projector.pid),
        "postgres": family_cpu_s(pid=postgres.pid if postgres else 0),
        "redis": cpu_s(pid=valkey.pid if valkey else 0),
        "callers": time.process_time(),
    }


class _Load:
    """The same callers for every run; no two requests share an id."""

    def __init__(self, broker: Broker, port: int, connections: int, accounts: int) -> None:
        self._broker, self._port, self._connections, self._accounts = broker, port, connections, accounts
        self._runs = 0

    def offer(self, *, per_s: int, seconds: float) -> Tally:
        """Sign first, then send; `per_s` 0 keeps every connection full."""
        self._runs += 1
        tenants = self._broker.tenants
        parts = [
            requests(
                key=bytes.fromhex(self._broker.env["PIGGY_SIGNAL_KEY"]),
                tenant=tenant,
                host=host_of(tenant=tenant),
                strategies=self._accounts,
                label=f"run{self._runs}",
                count=int((per_s or FULL_PER_S) * seconds / len(tenants)) + 1,
            )
            for tenant in tenants
        ]
        batch = list(chain.from_iterable(zip(*parts, strict=True)))
        return uvloop.run(
            offer(
                port=self._port, connections=self._connections, depth=DEPTH, batch=batch, per_s=per_s, seconds=seconds
            )
        )


class _Found(NamedTuple):
    """Requests a second: with every connection full, the lowest rate that broke the promise, the one that kept it."""

    full: int
    passed: int
    held: int


def _search(load: _Load, disk: DiskWatch, *, trial_s: float) -> _Found:
    load.offer(per_s=0, seconds=WARM_S)
    tally = load.offer(per_s=0, seconds=trial_s)
    full = passed = round(len(tally.latencies_ms) / tally.seconds)
    if not full:
        raise UnableToMeasure(f"No signal was answered with an order: {tally.statuses}.")
    for percent in PERCENTS:
        held = max(1, full * percent // 100)
        trial = load.offer(per_s=held, seconds=trial_s)
        if (
            len(trial.latencies_ms) > 1
            and _p99_ms(_apart(trial, _stalls(trial, disk))) <= P99_MS_MAX
            and trial.seconds < trial_s + 1
        ):
            break
        passed = held
    return _Found(full, passed, held)


def _stalls(tally: Tally, disk: DiskWatch) -> list[Stall]:
    return disk.between(began_s=tally.began_s, ended_s=tally.began_s + tally.seconds)


def _apart(tally: Tally, stalls: Sequence[Stall]) -> list[float]:
    return apart_from(stalls=stalls, due_s=tally.due_s, latencies_ms=tally.latencies_ms, drain_s_min=P99_MS_MAX / 1_000)


def _p99_ms(latencies_ms: Sequence[float]) -> float:
    return round(statistics.quantiles(latencies_ms, n=100)[-1], 2)


@contextmanager
def _clients(broker: Broker, tenants: int, accounts: int, events: int) -> Iterator[None]:
    """Make the other tenants, everybody's rows and logs before engine and projector are there."""
    broker.add_tenants(count=tenants - 1)
    for tenant in broker.tenants:
        long_log.fill(broker=broker, tenant=tenant, events=events)
        long_log.go_on_behind(broker=broker, tenant=tenant)
        with broker.program("piggy.bench.clients", tenant, str(accounts)) as made:
            if made.wait(ANSWER_S_MAX):
                raise UnableToMeasure(f"The accounts were not made, see {broker.home / 'log' / 'clients.log'}.")
        redis.Redis.from_url(broker.services.redis_url).delete(streams.commands_key(tenant=tenant))
    yield


class _Quotes:
    """Keeps every quote fresh from a thread while the block lasts."""

    def __init__(self, client: Client, tenants: list[str]) -> None:
        self._client, self._tenants = client, tenants
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        time.sleep(2 * QUOTES_S)

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            for tenant in self._tenants:
                self._client.publish_market_data(tenant=tenant, batch=market(now_us=time.time_ns() // 1_000))
            if self._stopped.wait(QUOTES_S):
                return


def _projector_lag(broker: Broker, tenant: str) -> tuple[float, float]:
    """Return by how many seconds the slowest projection is behind the log's end, and how much of the log it has."""
    query = """
    SELECT extract(epoch FROM (SELECT recorded_at FROM {log} ORDER BY seq DESC LIMIT 1) - coalesce(
             (SELECT recorded_at FROM {log} WHERE seq = (SELECT min(seq) FROM {cursor})),
             (SELECT recorded_at FROM {log} ORDER BY seq LIMIT 1))),
           100.0 * coalesce((SELECT min(seq) FROM {cursor}), 0) / (SELECT max(seq) FROM {log})
    """
    names = {name: sql.Identifier(tenant, table) for name, table in _TABLES.items()}
    with psycopg.connect(broker.services.postgres.url(role="postgres")) as everything:
        row = everything.execute(sql.SQL(query).format(**names)).fetchone()
    assert row is not None
    return round(float(row[0]), 2), round(float(row[1]), 1)


_TABLES = {"log": "event_log", "cursor": "projection_cursor"}


def _gate_p99_ms(metrics: str) -> float:
    """Return the upper bound of the bucket of the engine's histogram that holds the 99th percentile, at most 100."""
    found = [line for line in metrics.splitlines() if line.startswith(DECIDE)]
    bounds = [(line.split('"')[1], int(line.split()[-1])) for line in found]
    total = bounds[-1][1]
    bound = next(bound for bound, count in bounds if count >= total * 0.99)
    return float(bounds[-2][0] if bound == "+Inf" else bound) * 1_000
