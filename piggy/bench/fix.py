"""Bench fix: a child order from the engine's commit to its fill's commit, and how fast quotes come in.

Real engine, Redis, FIX worker and simulated LP, each a process on this machine. The round trip is read from the log:
from the event ChildOrderCreated to the event ChildOrderFilled, the LP answering at once. Then the LP quotes as fast as
it can from prepared text, and the worker tells how many market data entries it took into the book.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import redis
from psycopg import sql

from piggy.bench.broker import Broker, busy_before, free_port
from piggy.bench.opening import SYMBOLS, VENUES, opening
from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode
from piggy.core.commands import Envelope
from piggy.core.market import VenueQuote, VenueState, VenueStatus
from piggy.core.orders import OrderTerms, Side
from piggy.messaging import codec, streams
from piggy.messaging.client import Client, command_id_of
from piggy.simulator.config import LpConfig

ACCOUNTS = 50
WORKER = ("celery", "-A", "piggy.celery", "worker", "--fix", "-P", "threads", "-Q", "fix", "--without-gossip")
CALM_PER_S = 5
ORDER_S = 0.05
READY_S_MAX = 60.0
LP = VENUES[0]


class UnableToMeasure(Exception):
    """The LP's session did not come up, or no order was filled."""


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return round_trip_p50_ms, round_trip_p99_ms and updates_per_s; `scale` multiplies the orders a second."""
    busy, port = busy_before(), free_port()
    with Broker() as broker:
        with broker.program("piggy.bench.clients", broker.tenant, str(ACCOUNTS), str(port)) as made:
            if made.wait(READY_S_MAX):
                raise UnableToMeasure(f"No accounts, see {broker.home / 'log' / 'clients.log'}.")
        edge_port = free_port()
        ready = f"http://127.0.0.1:{edge_port}/readyz"
        with broker.program("piggy.engine", ready=ready, PIGGY_EDGE_PORT=str(edge_port)), broker.program(*WORKER):
            with _simulator(broker, port, CALM_PER_S):
                _wait_for_quotes(broker)
                _trade(broker, seconds=seconds, pause_s=ORDER_S / scale)
            trips_ms = _round_trips_ms(broker)
            with _flood(broker, port):
                _wait_for_quotes(broker)
                entries, quotes = _updates_per_s(broker, seconds=seconds / 2)
    return {
        "round_trip_p50_ms": round(statistics.median(trips_ms), 2),
        "round_trip_p99_ms": round(statistics.quantiles(trips_ms, n=100)[-1], 2),
        "updates_per_s": round(entries),
        "conflated_quotes_per_s": round(quotes),
        "load": f"{scale / ORDER_S:.0f} A-book orders/s, {len(SYMBOLS)} symbols x {CALM_PER_S} quotes/s; then flat out",
        "runs": len(trips_ms),
        **busy,
    }


@contextmanager
def _simulator(broker: Broker, port: int, quotes_per_s: int) -> Iterator[None]:
    lps = (LpConfig(name=LP, latency_ms=0, quotes_per_s=quotes_per_s, level_lots=Decimal(1_000)),)
    with broker.program(
        "piggy.simulator",
        PIGGY_LP_PORT_BASE=str(port),
        PIGGY_LPS=msgspec.json.encode(lps).decode(),
        PIGGY_LP_TENANTS=broker.tenant.upper(),
    ):
        yield


@contextmanager
def _flood(broker: Broker, port: int) -> Iterator[None]:
    """Put an LP in the simulator's place that sends prepared quotes flat out, from the sequence number expected on."""
    heard = (each for each in _heard(broker, seconds=READY_S_MAX) if isinstance(each, VenueStatus))
    first = next((each.sequence_in for each in heard if each.state is not VenueState.READY), 0)
    with broker.program("piggy.bench.flood", str(port), LP, broker.tenant.upper(), str(first)):
        yield


def _heard(broker: Broker, *, seconds: float) -> Iterator[VenueQuote | VenueStatus]:
    """Yield what the worker publishes for the engine, for so long."""
    wire: Any = redis.Redis.from_url(broker.services.redis_url)  # The client's pubsub is untyped.
    until = time.monotonic() + seconds
    with wire.pubsub() as channel:
        channel.subscribe(streams.quotes_channel(tenant=broker.tenant))
        while (left_s := until - time.monotonic()) > 0:
            message = channel.get_message(ignore_subscribe_messages=True, timeout=left_s)
            if message is not None:
                yield from codec.decode_market_data(message["data"])


def _wait_for_quotes(broker: Broker) -> None:
    seen: set[str] = set()
    for each in _heard(broker, seconds=READY_S_MAX):
        if isinstance(each, VenueQuote) and time.time_ns() // 1_000 - each.received_at_us < 1_000_000:
            seen.add(each.symbol)
        if seen.issuperset(SYMBOLS):
            return
    raise UnableToMeasure(f"{LP} does not quote; the worker's log is {broker.home / 'log' / 'celery.log'}.")


def _trade(broker: Broker, *, seconds: float, pause_s: float) -> None:
    client = Client(redis_url=broker.services.redis_url)
    commands = opening(accounts=ACCOUNTS, mode=BookMode.A)
    for number, command in enumerate(commands):
        client.tell(tenant=broker.tenant, envelope=_envelope(broker, f"opening{number}", command))
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        terms = OrderTerms(
            account_id=f"c{number % ACCOUNTS}",
            symbol=SYMBOLS[number % len(SYMBOLS)],
            side=Side.SELL if number // ACCOUNTS % 2 else Side.BUY,
            quantity=Decimal("0.10"),
        )
        client.tell(tenant=broker.tenant, envelope=_envelope(broker, f"order{number}", cmd.PlaceOrder(terms=terms)))
        number += 1
        time.sleep(pause_s)
    time.sleep(1)
    client.close()


def _envelope(broker: Broker, name: str, command: cmd.AnyCommand) -> Envelope:
    return Envelope(command_id=command_id_of("bench", broker.tenant, name), command=command, principal="bench")


def _round_trips_ms(broker: Broker) -> list[float]:
    """Return, for each child order, the time from the row that made it to the row of its first fill."""
    query = sql.SQL(
        "SELECT (extract(epoch FROM recorded_at) * 1000000)::bigint, payload FROM {} WHERE type = ANY(%s) ORDER BY seq"
    ).format(sql.Identifier(broker.tenant, "event_log"))
    began: dict[str, int] = {}
    trips: dict[str, float] = {}
    count = sql.SQL("SELECT type, count(*) FROM {} GROUP BY type").format(sql.Identifier(broker.tenant, "event_log"))
    with psycopg.connect(broker.services.postgres.url(role="postgres")) as everything:
        recorded: dict[str, int] = dict(everything.execute(count).fetchall())
        for at_us, payload in everything.execute(query, [["ChildOrderCreated", "ChildOrderFilled"]]):
            event = codec.decode_event(payload)
            if isinstance(event, ev.ChildOrderCreated):
                began[event.cl_ord_id] = at_us
            elif isinstance(event, ev.ChildOrderFilled):
                trips.setdefault(event.cl_ord_id, (at_us - began[event.cl_ord_id]) / 1_000)
    if len(trips) < 2:
        raise UnableToMeasure(f"No order was filled at the LP; the log holds {recorded}.")
    return list(trips.values())


def _updates_per_s(broker: Broker, *, seconds: float) -> tuple[float, float]:
    """Return market data entries taken in a second, and quotes published after conflation."""
    numbers: list[tuple[float, int]] = []
    quotes = 0
    for each in _heard(broker, seconds=seconds):
        if isinstance(each, VenueQuote):
            quotes += 1
        elif each.state is VenueState.READY and each.entries_in:
            numbers.append((each.at_us / 1e6, each.entries_in))
    if len(numbers) < 2:
        raise UnableToMeasure("The worker took no market data.")
    (first_s, first), (last_s, last) = numbers[0], numbers[-1]
    return (last - first) / (last_s - first_s), quotes / seconds
