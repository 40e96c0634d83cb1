"""Bench capacity: 400 orders and 10,000 quotes a second, both at once, for as long as is asked; INV-30 asks an hour.

It is no search for the highest rate (bench orders): what is offered is fixed, and the figures say whether anything
grows meanwhile. Orders come in stretches, for they are signed before they are due; quotes never pause. After each
stretch it is looked at what waits: in the engine, on its streams, and before the projector.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg
import redis
import uvloop
from psycopg import sql

from piggy.bench.broker import Broker, busy_before, cpu_s, free_port, host_of
from piggy.bench.callers import ANSWER_S_MAX, Tally, offer, requests
from piggy.bench.opening import SYMBOLS, VENUES, market, open_desk, opening
from piggy.core.market import Level, VenueQuote, VenueStatus
from piggy.engine.figures import DECIDE_US
from piggy.messaging import lanes
from piggy.messaging.client import Client

ORDERS_PER_S, QUOTES_PER_S = 400, 10_000
STRETCH_S, PACE_S, STATUS_S = 60.0, 0.01, 0.25
CONNECTIONS, DEPTH, ACCOUNTS = 8, 8, 100
MOVES, POINT = 50, Decimal("0.00001")
BACKLOG, DECIDED = "piggy_engine_backlog_commands", "piggy_engine_decide_seconds_bucket"
NO_RATES = {"PIGGY_STRATEGY_SIGNALS_PER_S_MAX": "0", "PIGGY_TENANT_SIGNALS_PER_S_MAX": "0"}
BEHIND = """
SELECT coalesce((SELECT max(seq) FROM {log}), 0) - coalesce((SELECT min(seq) FROM {cursor}), 0)
"""


class UnableToMeasure(Exception):
    """The accounts were not made, or nothing was answered."""


class Stretch(NamedTuple):
    """What one stretch of orders was answered, and what waited at its end; decisions are counted by DECIDE_US."""

    tally: Tally
    backlog: int
    entries: int
    behind_events: int
    engine_mib: int
    decided: tuple[int, ...]


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return what was answered how fast, and what waited at the end of each stretch; `scale` multiplies both rates."""
    busy, port = busy_before(), free_port()
    orders_per_s, quotes_per_s = max(1, round(ORDERS_PER_S * scale)), max(1, round(QUOTES_PER_S * scale))
    edge = f"http://127.0.0.1:{port}"
    with Broker() as broker:
        with broker.program("piggy.bench.clients", broker.tenant, str(ACCOUNTS)) as made:
            if made.wait(ANSWER_S_MAX):
                raise UnableToMeasure(f"The accounts were not made, see {broker.home / 'log' / 'clients.log'}.")
        wire: Any = redis.Redis.from_url(broker.services.redis_url)
        wire.delete(*lanes.keys(tenant=broker.tenant))
        with (
            broker.program("piggy.engine", ready=f"{edge}/readyz", PIGGY_EDGE_PORT=str(port), **NO_RATES) as engine,
            broker.program("piggy.projector"),
        ):
            client = Client(redis_url=broker.services.redis_url)
            open_desk(client=client, tenant=broker.tenant, commands=opening(accounts=ACCOUNTS), wait_s=ANSWER_S_MAX)
            spent_s, began_s = cpu_s(pid=engine.pid), time.perf_counter()
            with _Quotes(client, broker.tenant, quotes_per_s) as quotes:
                found = [
                    _looked_at(broker, wire, edge, engine.pid, tally)
                    for tally in _stretches(broker, port, orders_per_s, seconds)
                ]
            engine_percent = 100 * (cpu_s(pid=engine.pid) - spent_s) / (time.perf_counter() - began_s)
    answered = sum(len(each.tally.latencies_ms) for each in found)
    if any(len(each.tally.latencies_ms) < 2 for each in found):
        raise UnableToMeasure("In a whole stretch no signal was answered with an order.")
    return {
        "requests_per_s": round(answered / sum(each.tally.seconds for each in found)),
        "quotes_per_s": round(quotes.sent / quotes.seconds),
        "gate_p99_ms": _gate_p99_ms(found),
        "p99_ms_first": _p99_ms(found[0].tally),
        "p99_ms_last": _p99_ms(found[-1].tally),
        "errors": sum(each.tally.errors for each in found),
        "offered": round(orders_per_s * seconds),
        "answered": answered,
        "backlog_max": max(each.backlog for each in found),
        "stream_entries_max": max(each.entries for each in found),
        "projector_behind_events_max": max(each.behind_events for each in found),
        "engine_cpu_percent": round(engine_percent),
        "engine_mib_first": found[0].engine_mib,
        "engine_mib_last": found[-1].engine_mib,
        "seconds": round(sum(each.tally.seconds for each in found), 1),
        "load": f"{orders_per_s} orders and {quotes_per_s} quotes a second offered, {len(VENUES)} venues x "
        f"{len(SYMBOLS)} symbols, {ACCOUNTS} accounts, B-book; stretches of {STRETCH_S:.0f} s",
        "runs": len(found),
        **busy,
    }


def _stretches(broker: Broker, port: int, per_s: int, seconds: float) -> Iterator[Tally]:
    key, host, left_s = bytes.fromhex(broker.env["PIGGY_SIGNAL_KEY"]), host_of(tenant=broker.tenant), seconds
    for number in itertools.count():
        lasts_s = min(STRETCH_S, left_s)
        count = round(per_s * lasts_s)
        named = {"tenant": broker.tenant, "host": host, "strategies": ACCOUNTS, "label": f"stretch{number}"}
        batch = requests(key=key, count=count, **named)  # type: ignore[arg-type]
        # A little longer than it takes, so that the last one of a stretch is offered too.
        sent = offer(port=port, connections=CONNECTIONS, depth=DEPTH, batch=batch, per_s=per_s, seconds=lasts_s + 0.1)
        yield uvloop.run(sent)
        left_s -= lasts_s
        if left_s <= 0:
            return


def _looked_at(broker: Broker, wire: Any, edge: str, pid: int, tally: Tally) -> Stretch:
    names = {"log": "event_log", "cursor": "projection_cursor"}
    query = sql.SQL(BEHIND).format(**{name: sql.Identifier(broker.tenant, table) for name, table in names.items()})
    with psycopg.connect(broker.services.postgres.url(role="postgres")) as everything:
        row = everything.execute(query).fetchone()
    assert row is not None
    text = urllib.request.urlopen(f"{edge}/metrics", timeout=5).read().decode()
    samples = [line.rpartition(" ")[::2] for line in text.splitlines() if not line.startswith("#")]
    return Stretch(
        tally=tally,
        backlog=next(int(value) for name, value in samples if name == BACKLOG),
        entries=sum(int(wire.xlen(key)) for key in lanes.keys(tenant=broker.tenant)),
        behind_events=int(row[0]),
        engine_mib=_resident_mib(pid),
        decided=tuple(int(value) for name, value in samples if name.startswith(DECIDED)),
    )


class _Quotes:
    """So many quotes a second from a thread while the block lasts, no two in a row the same; late ones are made up."""

    def __init__(self, client: Client, tenant: str, per_s: int) -> None:
        self.sent, self.seconds = 0, 0.0
        self._client, self._tenant, self._per_s = client, tenant, per_s
        self._stopped = threading.Event()
        self._began_s = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Quotes:
        self._began_s = time.perf_counter()
        self._thread.start()
        # The first ones are there before the first order.
        time.sleep(2 * STATUS_S)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join()
        # Not the thread's own last turn: had it ended before, its rate would look whole.
        self.seconds = time.perf_counter() - self._began_s

    def _run(self) -> None:
        turns, states_at_s = itertools.cycle(_moving()), 0.0
        while not self._stopped.wait(PACE_S):
            at_s = time.perf_counter() - self._began_s
            now_us = time.time_ns() // 1_000
            due = int(at_s * self._per_s) - self.sent
            batch: list[VenueQuote | VenueStatus] = [
                msgspec.structs.replace(quote, venue_at_us=now_us, received_at_us=now_us)
                for quote in itertools.islice(turns, due)
            ]
            if at_s >= states_at_s:
                states_at_s = at_s + STATUS_S
                batch += [each for each in market(now_us=now_us) if isinstance(each, VenueStatus)]
            self._client.publish_market_data(tenant=self._tenant, batch=batch)
            self.sent += due


def _moving() -> list[VenueQuote]:
    """Return every venue's quotes of a market that goes up and down by a few points."""
    still = [each for each in market(now_us=0) if isinstance(each, VenueQuote)]
    steps = [*range(MOVES), *range(MOVES, 0, -1)]
    return [
        msgspec.structs.replace(
            quote,
            bids=tuple(Level(level.price + step * POINT, level.size) for level in quote.bids),
            asks=tuple(Level(level.price + step * POINT, level.size) for level in quote.asks),
        )
        for step in steps
        for quote in still
    ]


def _gate_p99_ms(found: list[Stretch]) -> float:
    """Return the upper bound of the bucket that holds the 99th percentile; that of the last is infinite."""
    counts = found[-1].decided
    bounds_ms = [*(bound_us / 1_000 for bound_us in DECIDE_US), float("inf")]
    return next(bound for bound, count in zip(bounds_ms, counts, strict=True) if count >= counts[-1] * 0.99)


def _p99_ms(tally: Tally) -> float:
    return round(statistics.quantiles(tally.latencies_ms, n=100)[-1], 2)


def _resident_mib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4_096 >> 20
