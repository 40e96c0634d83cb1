"""Bench orders: signed signals over HTTP keep-alive to a real engine, each answered after its commit.

Engine, projector, PostgreSQL, Redis and the load generator share this machine. Every connection has one request under
way; latency is from the first byte sent to the last byte received.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial

import httptools
import psycopg
import redis
import uvloop
from psycopg import sql

from piggy.bench.broker import Broker, busy_before, cpu_s, free_port
from piggy.bench.opening import SYMBOLS, market, opening
from piggy.core.commands import Envelope
from piggy.messaging import signing, streams
from piggy.messaging.client import Client, command_id_of

ACCOUNTS = 200
CONNECTIONS = 64
QUOTES_S = 0.5
WARM_S = 1.0
ANSWER_S_MAX = 60.0
DECIDE = "piggy_engine_decide_seconds_bucket"


class UnableToMeasure(Exception):
    """The engine did not take the opening commands, or nothing was answered."""


class Tally(list[float]):
    """Latencies in milliseconds, with how many answers were no order."""

    errors = 0


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return the rate and latencies of B-book market orders; `scale` multiplies the connections."""
    busy, connections, port = busy_before(), max(1, int(CONNECTIONS * scale)), free_port()
    edge = f"http://127.0.0.1:{port}"
    with (
        Broker() as broker,
        _clients(broker),
        broker.program("piggy.engine", ready=f"{edge}/readyz", PIGGY_EDGE_PORT=str(port)) as engine,
        broker.program("piggy.projector"),
    ):
        client = Client(redis_url=broker.services.redis_url)
        _open(client, broker.tenant)
        with _Quotes(client, broker.tenant):
            uvloop.run(_load(broker, port, connections, WARM_S, "warm"))
            spent_s, began = cpu_s(pid=engine.pid), time.perf_counter()
            tally = uvloop.run(_load(broker, port, connections, seconds, "main"))
            took_s = time.perf_counter() - began
            spent_s = cpu_s(pid=engine.pid) - spent_s
        lag_s, projected = _projector_lag(broker)
        gate_ms = _gate_p99_ms(urllib.request.urlopen(f"{edge}/metrics", timeout=5).read().decode())
    if not tally:
        raise UnableToMeasure("No signal was answered with an order.")
    return {
        "requests_per_s": round(len(tally) / took_s),
        "p50_ms": round(statistics.median(tally), 2),
        "p99_ms": round(statistics.quantiles(tally, n=100)[-1], 2),
        "gate_p99_ms": gate_ms,
        "seconds": round(took_s, 1),
        "errors": tally.errors,
        "projector_lag_s": lag_s,
        "projected_percent": projected,
        "engine_cpu_us_per_order": round(spent_s / len(tally) * 1e6),
        "load": f"{connections} connections, one request each; {ACCOUNTS} accounts, B-book, 3 venues x 4 symbols",
        "runs": 1,
        **busy,
    }


@contextmanager
def _clients(broker: Broker) -> Iterator[None]:
    """Make the people's rows before engine and projector are there."""
    with broker.program("piggy.bench.clients", broker.tenant, str(ACCOUNTS)) as made:
        if made.wait(ANSWER_S_MAX):
            raise UnableToMeasure(f"The accounts were not made, see {broker.home / 'log' / 'clients.log'}.")
    redis.Redis.from_url(broker.services.redis_url).delete(streams.commands_key(tenant=broker.tenant))
    yield


def _open(client: Client, tenant: str) -> None:
    commands = opening(accounts=ACCOUNTS)
    for number, command in enumerate(commands):
        envelope = Envelope(command_id=command_id_of("bench", tenant, str(number)), command=command, principal="bench")
        if number < len(commands) - 1:
            client.tell(tenant=tenant, envelope=envelope)
        elif client.ask(tenant=tenant, envelope=envelope, wait_s=ANSWER_S_MAX) is None:
            raise UnableToMeasure("The engine did not take the opening commands.")


class _Quotes:
    """Keeps every quote fresh from a thread while the block lasts."""

    def __init__(self, client: Client, tenant: str) -> None:
        self._client, self._tenant = client, tenant
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
            self._client.publish_market_data(tenant=self._tenant, batch=market(now_us=time.time_ns() // 1_000))
            if self._stopped.wait(QUOTES_S):
                return


class _Caller(asyncio.Protocol):
    """One connection: sends the next request as soon as the last is answered, until the time is up."""

    def __init__(self, requests: Iterator[bytes], until: float, tally: Tally) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._until, self._tally = requests, until, tally
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self._tally.errors += 1
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() == 200:
            self._tally.append((time.perf_counter() - self._sent) * 1_000)
        else:
            self._tally.errors += 1
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        if self._sent < self._until:
            self._transport.write(next(self._requests))
        else:
            self.ended.set_result(None)
            self._transport.close()


async def _load(broker: Broker, port: int, connections: int, seconds: float, label: str) -> Tally:
    loop, tally, until = asyncio.get_running_loop(), Tally(), time.perf_counter() + seconds
    callers = []
    for number in range(connections):
        requests = _requests(broker, f"{label}{number}", number)
        made = await loop.create_connection(partial(_Caller, requests, until, tally), "127.0.0.1", port)
        callers.append(made[1])
    await asyncio.wait([caller.ended for caller in callers], timeout=seconds + ANSWER_S_MAX)
    return tally


def _requests(broker: Broker, label: str, first: int) -> Iterator[bytes]:
    """Yield signed signals for ever: strategies take turns, sides too, so that no account runs out of margin."""
    key = bytes.fromhex(broker.env["PIGGY_SIGNAL_KEY"])
    names = [f"s{number}" for number in range(ACCOUNTS)]
    secrets = {
        name: signing.strategy_secret(key=key, tenant=broker.tenant, strategy=name, key_version=1) for name in names
    }
    number = 0
    while True:
        name = names[(first + number * CONNECTIONS) % ACCOUNTS]
        side = "buy" if number // ACCOUNTS % 2 else "sell"
        symbol = SYMBOLS[number % len(SYMBOLS)]
        body = (
            f'{{"id":"{label}-{number}","symbol":"{symbol}","action":"{side}","quantity":"{Decimal("0.01")}"}}'.encode()
        )
        stamp = str(int(time.time()))
        proof = signing.signature(secret=secrets[name], timestamp=stamp, body=body)
        head = (
            f"POST /hooks/tradingview/{name} HTTP/1.1\r\nHost: {broker.host}\r\nContent-Type: application/json\r\n"
            f"X-Piggy-Timestamp: {stamp}\r\nX-Piggy-Signature: {proof}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body
        number += 1


def _projector_lag(broker: Broker) -> tuple[float, float]:
    """Return by how many seconds the slowest projection is behind the log's end, and how much of the log it has."""
    query = """
    SELECT extract(epoch FROM (SELECT recorded_at FROM {log} ORDER BY seq DESC LIMIT 1) - coalesce(
             (SELECT recorded_at FROM {log} WHERE seq = (SELECT min(seq) FROM {cursor})),
             (SELECT recorded_at FROM {log} ORDER BY seq LIMIT 1))),
           100.0 * coalesce((SELECT min(seq) FROM {cursor}), 0) / (SELECT max(seq) FROM {log})
    """
    names = {name: sql.Identifier(broker.tenant, table) for name, table in _TABLES.items()}
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
