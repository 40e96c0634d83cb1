"""Bench overload: what must not queue does not: cancels under ten times the load, a stop-out, a kill switch.

One engine as it runs, its door, PostgreSQL and Redis; the venues are streams that nobody works off, so that every order
that leaves and every cancel bears the time at which Redis took it. Callers and engine share this machine.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import psycopg
import redis
import uvloop
from psycopg import sql

from piggy.bench.broker import Broker, busy_before, free_port, host_of
from piggy.bench.callers import Tally, offer, requests
from piggy.bench.opening import CLEARED, LIMITS, RATE_MAX, VENUES, market, opening
from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, BookMode, Group, TradingState
from piggy.core.answers import Answer
from piggy.core.commands import AnyCommand, Envelope, RecordVenueDone
from piggy.core.market import Level, VenueQuote
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side
from piggy.messaging import codec, streams
from piggy.messaging.client import Client
from piggy.messaging.identity import command_id_of

STRATEGIES, CONNECTIONS, DEPTH = 50, 16, 32
# Fewer signals may wait than come at once, so that the door refuses all the time.
WAITING_MAX = "100"
CANCELS_PER_S = 20
HELD, HELD_CREDIT, GAP = 500, Decimal(4_000), Decimal("0.02500")
WORKING, ORDERS_PER_S, ROUNDS = 1_000, 200, 10
TICKS_PER_S = 200
BEFORE_S, AFTER_S, ANSWER_S = 1.0, 2.0, 30.0
SYMBOL, THIN_SYMBOL = "EURUSD", "GBPUSD"
STREET, THIN = "street", "thin"
# What a killed desk denies is no client's fault here.
PATIENT = msgspec.structs.replace(LIMITS, rejects_consecutive_max=RATE_MAX, rejects_percent_max=Decimal(100))
GROUPS = ((STREET, "a", 10, Decimal(100_000_000), BookMode.A), (THIN, "m", HELD, HELD_CREDIT, BookMode.B))

CLOSES = """
SELECT recorded_at, payload FROM {} WHERE type = 'OrderFilled' AND recorded_at > to_timestamp(%s / 1e6) ORDER BY seq
"""


class UnableToMeasure(Exception):
    """The engine did not do what is to be measured; the message says what."""


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return the latencies in ms; the storm lasts `seconds`, the kill switch is thrown 10 x `scale` times."""
    busy, port = busy_before(), free_port()
    env = {
        "PIGGY_EDGE_PORT": str(port),
        "PIGGY_SIGNALS_WAITING_MAX": WAITING_MAX,
        "PIGGY_STRATEGY_SIGNALS_PER_S_MAX": "0",
        "PIGGY_TENANT_SIGNALS_PER_S_MAX": "0",
    }
    with Broker() as broker, broker.program("piggy.engine", ready=f"http://127.0.0.1:{port}/readyz", **env):
        floor = _Floor(broker)
        try:
            floor.open()
            storm = _storm(broker, floor, port, seconds)
            stops = _stop_outs(broker, floor)
            kills = [_kill(floor, number) for number in range(max(1, round(ROUNDS * scale)))]
        finally:
            floor.close()
    last_order = [each.last_order_ms for each in kills]
    return {
        "cancel_p50_ms": round(statistics.median(storm.cancels_ms), 1),
        "cancel_p99_ms": _p99(storm.cancels_ms),
        "storm_answered_per_s": round(sum(storm.tally.statuses.values()) / storm.tally.seconds),
        "storm_refused_percent": round(100 * storm.refused / max(1, sum(storm.tally.statuses.values())), 1),
        "storm_unanswered": storm.tally.errors + len(storm.tally.latencies_ms) - sum(storm.tally.statuses.values()),
        "stop_out_p50_ms": round(statistics.median(stops), 1),
        "stop_out_p99_ms": _p99(stops),
        "stopped_out": len(stops),
        "kill_last_order_p50_ms": round(statistics.median(last_order), 1),
        "kill_last_order_ms_max": round(max(last_order), 1),
        "kill_last_cancel_ms_max": round(max(each.last_cancel_ms for each in kills), 1),
        "kills": len(kills),
        "kill_orders_at_venues_min": min(each.at_venues for each in kills),
        "load": f"{CONNECTIONS} x {DEPTH} signals always under way and {CANCELS_PER_S} cancels a second for "
        f"{seconds} s; {HELD} accounts under {TICKS_PER_S} ticks a second gap by {GAP}; {WORKING} orders at venues and "
        f"{ORDERS_PER_S} more a second at each kill",
        "runs": 1,
        **busy,
    }


class _Floor:
    """The desk of the bench: its commands, and its quotes from a thread."""

    def __init__(self, broker: Broker) -> None:
        self.tenant = broker.tenant
        self.redis: Any = redis.Redis.from_url(broker.services.redis_url)
        self.client = Client(redis_url=broker.services.redis_url)
        self.gap = Decimal(0)
        self._stopped = threading.Event()
        self._quoting = threading.Thread(target=self._quote, daemon=True)
        self._number = 0

    def open(self) -> None:
        """Configure everything and quote from now on."""
        commands = opening(accounts=STRATEGIES)
        for name, letter, count, credit, mode in GROUPS:
            group = Group(name=name, book_mode=mode, internal_cross=False, order_notional_max=Decimal(10_000_000))
            commands += [cmd.ConfigureGroup(group=group), cmd.ConfigureLimits(group=name, limits=PATIENT)]
            for number in range(count):
                account = Account(
                    account_id=f"{letter}{number}", group=name, owner_id=f"{letter}{number}", currency="USD"
                )
                commands.append(cmd.ConfigureAccount(account=account, clearance=CLEARED))
                credited = cmd.CreditAccount(account_id=account.account_id, amount=credit, reference=account.account_id)
                commands.append(credited)
        self.tell(commands[:-1])
        self.ask(commands[-1])
        self._quoting.start()
        time.sleep(2 * BEFORE_S)

    def close(self) -> None:
        """Stop quoting."""
        self._stopped.set()
        if self._quoting.is_alive():
            self._quoting.join()

    def tell(self, commands: Sequence[AnyCommand]) -> None:
        """Put commands on their lanes."""
        self.client.tell_all(tenant=self.tenant, envelopes=[self._envelope(command) for command in commands])

    def ask(self, command: AnyCommand) -> Answer:
        """Return the answer. Raises UnableToMeasure where there is none."""
        answer = self.client.ask(tenant=self.tenant, envelope=self._envelope(command), wait_s=ANSWER_S)
        if answer is None or answer.refused is not None:
            raise UnableToMeasure(f"{type(command).__name__}: {answer.refused if answer else 'no answer'}.")
        return answer

    def _envelope(self, command: AnyCommand) -> Envelope:
        self._number += 1
        return Envelope(
            command_id=command_id_of("overload", self.tenant, str(self._number)), command=command, principal="b"
        )

    def _quote(self) -> None:
        every = max(1, TICKS_PER_S // 4)
        number = 0
        while not self._stopped.wait(1 / TICKS_PER_S):
            made = [self._moved(each) for each in market(now_us=time.time_ns() // 1_000)]
            self.client.publish_market_data(
                tenant=self.tenant, batch=made if number % every == 0 else made[-1 - number % len(VENUES) :]
            )
            number += 1

    def _moved(self, each: Any) -> Any:
        if not isinstance(each, VenueQuote) or each.symbol != THIN_SYMBOL:
            return each
        sides = {
            name: tuple(Level(level.price - self.gap, level.size) for level in getattr(each, name))
            for name in ("bids", "asks")
        }
        return msgspec.structs.replace(each, **sides)

    def gap_now(self) -> int:
        """Let THIN_SYMBOL gap at every venue in one batch; return when, in UTC microseconds."""
        self.gap = GAP
        at_us = time.time_ns() // 1_000
        self.client.publish_market_data(tenant=self.tenant, batch=[self._moved(each) for each in market(now_us=at_us)])
        return at_us


class _Storm(NamedTuple):
    tally: Tally
    cancels_ms: list[float]

    @property
    def refused(self) -> int:
        return self.tally.statuses.get(b"503", 0) + self.tally.statuses.get(b"429", 0)


def _storm(broker: Broker, floor: _Floor, port: int, seconds: float) -> _Storm:
    """Keep every connection full, and cancel resting orders meanwhile."""
    count = max(2, int(seconds * CANCELS_PER_S))
    resting = []
    for number in range(count):
        terms = OrderTerms(
            account_id=f"c{number % STRATEGIES}",
            symbol=SYMBOL,
            side=Side.BUY,
            quantity=Decimal("0.01"),
            type=OrderType.LIMIT,
            limit_price=Decimal("1.09900"),
        )
        order = floor.ask(cmd.PlaceOrder(terms=terms)).order
        if order is None or order.state.final:
            raise UnableToMeasure(f"The order does not rest: {order}.")
        resting.append((order.order_id, terms.account_id))
    batch = requests(
        key=bytes.fromhex(broker.env["PIGGY_SIGNAL_KEY"]),
        tenant=broker.tenant,
        host=host_of(tenant=broker.tenant),
        strategies=STRATEGIES,
        label="storm",
        count=int(40_000 * seconds),
    )
    tallies: list[Tally] = []
    load = {"port": port, "connections": CONNECTIONS, "depth": DEPTH, "batch": batch, "per_s": 0.0}
    thread = threading.Thread(target=lambda: tallies.append(uvloop.run(offer(**load, seconds=seconds))))  # type: ignore[arg-type]
    thread.start()
    took_ms = []
    began_s = time.perf_counter()
    for number, (order_id, account_id) in enumerate(resting):
        time.sleep(max(0.0, began_s + number / CANCELS_PER_S - time.perf_counter()))
        at_s = time.perf_counter()
        floor.ask(cmd.CancelOrder(order_id=order_id, account_id=account_id))
        took_ms.append((time.perf_counter() - at_s) * 1_000)
    thread.join()
    return _Storm(tallies[0], took_ms)


def _stop_outs(broker: Broker, floor: _Floor) -> list[float]:
    """Return, for each position that the gap closed, the ms from the tick to its close in the log."""
    placed = [
        OrderTerms(account_id=f"m{number}", symbol=THIN_SYMBOL, side=Side.BUY, quantity=Decimal(1))
        for number in range(HELD)
    ]
    floor.tell([cmd.PlaceOrder(terms=terms) for terms in placed[:-1]])
    floor.ask(cmd.PlaceOrder(terms=placed[-1]))
    time.sleep(BEFORE_S)
    at_us = floor.gap_now()
    time.sleep(AFTER_S)
    query = sql.SQL(CLOSES).format(sql.Identifier(broker.tenant, "event_log"))
    took_ms: dict[str, float] = {}
    with psycopg.connect(broker.services.postgres.url(role="postgres")) as everything:
        for recorded_at, payload in everything.execute(query, [at_us]):
            event = codec.decode_event(payload)
            if isinstance(event, ev.OrderFilled) and event.symbol == THIN_SYMBOL:
                if event.account_id in took_ms:
                    raise UnableToMeasure(f"{event.account_id} was closed twice.")
                took_ms[event.account_id] = _us(recorded_at) / 1_000 - at_us / 1_000
    if len(took_ms) != HELD:
        raise UnableToMeasure(f"{len(took_ms)} of {HELD} accounts were stopped out.")
    return list(took_ms.values())


class _Kill(NamedTuple):
    at_venues: int
    last_order_ms: float
    last_cancel_ms: float


def _kill(floor: _Floor, number: int) -> _Kill:
    """Throw the switch over orders at venues while more come; return how long it took to hold, and open again."""
    keys = [streams.venue_key(tenant=floor.tenant, venue=venue) for venue in VENUES]
    floor.redis.delete(*keys)
    floor.tell([_market_order(each) for each in range(WORKING - 1)])
    if (last := floor.ask(_market_order(WORKING)).order) is None or last.state is not OrderState.ROUTED:
        raise UnableToMeasure(f"The order is not at a venue: {last}.")
    stopped = threading.Event()

    def keep_placing() -> None:
        each = 0
        while not stopped.wait(1 / ORDERS_PER_S):
            each += 1
            floor.tell([_market_order(each)])

    flow = threading.Thread(target=keep_placing, daemon=True)
    time.sleep(BEFORE_S)
    flow.start()
    time.sleep(BEFORE_S)
    at_ms = time.time_ns() / 1e6
    floor.tell([_state(TradingState.KILLED, f"tess{number}")])
    time.sleep(AFTER_S)
    stopped.set()
    flow.join()
    entries = [entry for key in keys for entry in floor.redis.xrange(key)]
    orders: dict[str, tuple[int, codec.VenueOrder]] = {}
    cancels: dict[str, tuple[int, codec.VenueOrder]] = {}
    for entry_id, fields in entries:
        said = codec.decode_venue_order(fields[streams.FIELD])
        (cancels if isinstance(said, codec.CancelChild) else orders)[said.cl_ord_id] = (
            int(entry_id.split(b"-")[0]),
            said,
        )
    if not orders or orders.keys() != cancels.keys():
        raise UnableToMeasure(f"{len(cancels)} of {len(orders)} orders at venues were cancelled.")
    done_us = time.time_ns() // 1_000
    floor.tell(
        [
            RecordVenueDone(venue=each.venue, cl_ord_id=name, filled=Decimal(0), text="bench", occurred_at_us=done_us)
            for name, (_, each) in cancels.items()
        ]
    )
    floor.ask(_state(TradingState.ACTIVE, f"boss{number}"))
    return _Kill(
        len(orders),
        max(0.0, max(at for at, _ in orders.values()) - at_ms),
        max(0.0, max(at for at, _ in cancels.values()) - at_ms),
    )


def _market_order(number: int) -> AnyCommand:
    side = Side.BUY if number % 2 else Side.SELL
    terms = OrderTerms(account_id=f"a{number % 10}", symbol=SYMBOL, side=side, quantity=Decimal("0.01"))
    return cmd.PlaceOrder(terms=terms)


def _state(state: TradingState, by: str) -> AnyCommand:
    return cmd.SetTradingState(scope="tenant", key="", state=state, reason="bench", by=by)


def _us(at: datetime) -> float:
    return at.timestamp() * 1e6


def _p99(values: Sequence[float]) -> float:
    return round(statistics.quantiles(values, n=100)[-1], 1)
