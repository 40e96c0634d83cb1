"""Bench failover: the serving engine is killed under flow, again and again, and its standby takes over."""

from __future__ import annotations

import signal
import statistics
import subprocess
import threading
import time
import uuid
from contextlib import ExitStack
from decimal import Decimal

import psycopg
from psycopg import sql

from piggy.bench.broker import Broker, busy_before, free_port
from piggy.bench.opening import SYMBOLS, market, opening
from piggy.core.answers import Answer
from piggy.core.commands import AnyCommand, Envelope, PlaceOrder
from piggy.core.orders import OrderTerms, Side
from piggy.messaging.client import Client, UnableToTell

ROUNDS = 20
ACCOUNTS = 50
CLIENTS = 2
FLOW_S = 0.5
ASK_S = 0.5
GIVE_UP_S = 60.0


class UnableToTakeOver(Exception):
    """No engine answered within GIVE_UP_S of the other's death."""


class Flow:
    """Clients that place orders and, unanswered, ask again under the same id; `answered_at_s` is the latest answer."""

    def __init__(self, *, tenant: str, redis_url: str) -> None:
        self.acknowledged: list[str] = []
        self.answered_at_s = 0.0
        self._tenant = tenant
        self._client = Client(redis_url=redis_url)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._place, args=(number,)) for number in range(CLIENTS)]
        self._threads.append(threading.Thread(target=self._quote))

    def start(self) -> None:
        """Open the desk, then let the clients begin."""
        for command in opening(accounts=ACCOUNTS):
            if self.ask(command) is None:
                raise UnableToTakeOver("The first engine did not answer.")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return when every client has its last answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def ask(self, command: AnyCommand) -> Answer | None:
        """Return the answer, None where there was none in GIVE_UP_S."""
        envelope = Envelope(command_id=str(uuid.uuid4()), command=command, principal="bench")
        until_s = time.monotonic() + GIVE_UP_S
        while time.monotonic() < until_s:
            try:
                answer = self._client.ask(tenant=self._tenant, envelope=envelope, wait_s=ASK_S)
            except UnableToTell:
                time.sleep(0.05)
                continue
            if answer is not None:
                self.answered_at_s = time.monotonic()
                self.acknowledged.append(envelope.command_id)
                return answer
        return None

    def _place(self, number: int) -> None:
        at = number
        while not self._stop.is_set():
            at += CLIENTS
            side = Side.BUY if at // ACCOUNTS % 2 else Side.SELL
            terms = OrderTerms(
                account_id=f"c{at % ACCOUNTS}", symbol=SYMBOLS[0], side=side, quantity=Decimal("0.01"), tag=str(at)
            )
            self.ask(PlaceOrder(terms=terms))

    def _quote(self) -> None:
        while not self._stop.wait(0.25):
            self._client.publish_market_data(tenant=self._tenant, batch=market(now_us=time.time_ns() // 1_000))


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return takeover_s_max, from the kill to the next answer, and what was lost or doubled over 20 x `scale` kills."""
    busy = busy_before()
    rounds = max(1, int(ROUNDS * scale))
    with Broker() as broker, ExitStack() as running:
        serving = _engine(broker, running)
        flow = Flow(tenant=broker.tenant, redis_url=broker.services.redis_url)
        flow.start()
        took_s = []
        for _ in range(rounds):
            standby = _engine(broker, running)
            time.sleep(FLOW_S)
            serving.send_signal(signal.SIGKILL)
            took_s.append(_answered_again(flow, killed_at_s=time.monotonic()))
            serving = standby
        flow.stop()
        lost, doubled, events = _count(broker, flow.acknowledged)
    return {
        "takeover_s_max": round(max(took_s), 2),
        "takeover_s_p50": round(statistics.median(took_s), 2),
        "lost": lost,
        "doubled": doubled,
        "rounds": rounds,
        "load": {"clients": CLIENTS, "acknowledged": len(flow.acknowledged), "events": events},
        "runs": 1,
    } | busy


def _engine(broker: Broker, running: ExitStack) -> subprocess.Popen[bytes]:
    """Start an engine and wait until it serves or stands by; every one has a log file of its own in turn."""
    port = str(free_port())
    return running.enter_context(
        broker.program("piggy.engine", ready=f"http://127.0.0.1:{port}/warmz", PIGGY_EDGE_PORT=port)
    )


def _answered_again(flow: Flow, *, killed_at_s: float) -> float:
    while flow.answered_at_s <= killed_at_s + 0.1:
        if time.monotonic() - killed_at_s > GIVE_UP_S:
            raise UnableToTakeOver(f"Nobody answered for {GIVE_UP_S} s.")
        time.sleep(0.01)
    return flow.answered_at_s - killed_at_s


def _count(broker: Broker, acknowledged: list[str]) -> tuple[int, int, int]:
    """Return acknowledged commands that are not in the log, commands that are there twice, and the log's length."""
    with psycopg.connect(broker.services.postgres.url(role="postgres")) as everything:
        table = sql.Identifier(broker.tenant, "event_log")
        rows = everything.execute(
            sql.SQL("SELECT command_id::text FROM {} WHERE position = 0").format(table)
        ).fetchall()
        counted = everything.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
    ids = [row[0] for row in rows]
    return len(set(acknowledged) - set(ids)), len(ids) - len(set(ids)), int(counted[0]) if counted else 0
