"""Clients in a storm, who repeat every order until they hear what became of it, and what must hold after it."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import httpx

from piggy.core import events as ev
from tests.flows.venue import LPS, RunningVenue, place, wait

# (login, account): A book, B book and mixed, so that every path is under way when somebody dies.
TRADERS = (("grace", "A1007"), ("heidi", "A1008"), ("ivan", "A1009"), ("dan", "A1004"))
SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD")
SIZES = ("0.01", "0.05", "0.10", "0.50", "1.50")
UNITS = {"EURUSD": 100_000, "GBPUSD": 100_000, "USDJPY": 100_000, "XAUUSD": 100}
DEFINITE = (201, 422)
ANSWER_S_MAX = 120


class Flow:
    """Clients that repeat every order under its key until they hear what became of it."""

    def __init__(self, *, running: RunningVenue, seed: int) -> None:
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.strange: list[str] = []
        self.kept_out: Counter[str] = Counter()
        self._running, self._seed = running, seed
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._trade, args=trader) for trader in TRADERS]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(ANSWER_S_MAX + 10)
            assert not thread.is_alive(), "an order was never answered"

    def _trade(self, login: str, account_id: str) -> None:
        chance = random.Random(f"{self._seed}/{login}")
        with self._running.web(login) as web:
            number = 0
            while not self._stopped.wait(chance.uniform(0.05, 0.25)):
                number += 1
                key = f"storm-{self._seed}-{login}-{number}"
                self._repeat(web, key, account_id, chance)

    def _repeat(self, web: httpx.Client, key: str, account_id: str, chance: random.Random) -> None:
        order = {
            "account_id": account_id,
            "symbol": chance.choice(SYMBOLS),
            "side": chance.choice(("buy", "sell")),
            "quantity": chance.choice(SIZES),
            "client_order_id": key,
        }
        until_s = time.monotonic() + ANSWER_S_MAX
        while time.monotonic() < until_s:
            try:
                answer = place(web, key=key, **order)
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            if answer.status_code in DEFINITE:
                body = answer.json()
                self.acknowledged[key] = body.get("order") or body
                return
            if answer.status_code == 503:
                self.kept_out[str(answer.json().get("code"))] += 1
            elif answer.status_code != 202:
                self.strange.append(f"{answer.status_code} {answer.text[:300]}")
            time.sleep(0.2)
        self.strange.append(f"{key} was never answered")


def assert_acknowledged_orders_are_kept(running: RunningVenue, flow: Flow, log: list[ev.AnyEvent]) -> None:
    logged: dict[str, list[str]] = defaultdict(list)
    for event in log:
        if isinstance(event, ev.OrderAccepted | ev.OrderDenied):
            logged[event.terms.client_order_id].append(event.order_id)
    told = {key: [body["order_id"]] for key, body in flow.acknowledged.items()}
    assert {key: logged[key] for key in told} == told
    projected = dict(running.rows("select client_order_id, order_id from trading_order"))
    assert {key: [projected.get(key)] for key in told} == told


def assert_lps_and_log_agree(running: RunningVenue, log: list[ev.AnyEvent]) -> None:
    """No ClOrdID twice, every fill of an LP in the log once, and none there that no LP made."""
    sent = Counter(event.cl_ord_id for event in log if isinstance(event, ev.ChildOrderCreated))
    assert set(sent.values()) <= {1}
    recorded = Counter(
        (event.venue, event.cl_ord_id, event.fill_id, event.quantity * UNITS[event.symbol], event.price)
        for event in log
        if isinstance(event, ev.ChildOrderFilled)
    )
    made: Counter[tuple[object, ...]] = Counter()
    for lp in LPS:
        for cl_ord_id, order in running.truth(lp.name).items():
            assert order.received == 1, f"{cl_ord_id} came {order.received} times"
            assert cl_ord_id in sent
            made.update((lp.name, cl_ord_id, fill.exec_id, fill.quantity, fill.price) for fill in order.fills)
    assert recorded == made
    assert [event for event in log if isinstance(event, ev.VenueReportSuspended)] == []


def exposure_differs(running: RunningVenue, log: list[ev.AnyEvent]) -> dict[str, object]:
    """Where the desk's frame is not the sum of the fills, by symbol."""
    clients: dict[str, Decimal] = defaultdict(Decimal)
    venues: dict[str, Decimal] = defaultdict(Decimal)
    for event in log:
        if isinstance(event, ev.OrderFilled):
            clients[event.symbol] += event.quantity * event.side.sign
        elif isinstance(event, ev.ChildOrderFilled):
            venues[event.symbol] += event.quantity * event.side.sign
    rows = frame(running, "exposure")["rows"]
    held = dict(running.rows("select symbol, sum(quantity) from trading_position group by symbol"))
    differs: dict[str, object] = {}
    for symbol in SYMBOLS:
        shown = Decimal(rows[symbol]["client_net"]), Decimal(rows[symbol]["venue_net"]), held.get(symbol, Decimal(0))
        if shown != (clients[symbol], venues[symbol], clients[symbol]):
            differs[symbol] = shown, clients[symbol], venues[symbol]
    return differs


def blotter_differs(running: RunningVenue) -> dict[str, object]:
    """Where the dealers' blotter is not what was projected, by order."""
    query = "select order_id, state, filled from trading_order"
    projected = {order_id: (state, filled) for order_id, state, filled in running.rows(query)}
    rows = frame(running, "orders")["rows"]
    shown = {key: (row["state"], Decimal(row["filled"])) for key, row in rows.items()}
    return {key: (told, projected.get(key)) for key, told in shown.items() if told != projected.get(key)}


def frame(running: RunningVenue, panel: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(running.redis().get(f"{{acorn}}:desk:snapshot:{panel}"))
    return found


def assert_all_holds(running: RunningVenue, flow: Flow) -> list[ev.AnyEvent]:
    """Nothing acknowledged lost, nothing doubled, projections level, LPs' books ours, the chain and the ledger good."""
    assert flow.strange == []
    wait(running.settled, seconds=90, what=lambda: f"{running.unsettled()}\n{running.logs()}")
    log = running.events()
    assert_acknowledged_orders_are_kept(running, flow, log)
    assert_lps_and_log_agree(running, log)
    uneven = "select currency, sum(amount) from treasury_posting group by currency having sum(amount) <> 0"
    assert running.rows(uneven) == []
    wait(lambda: not exposure_differs(running, log), seconds=10, what=lambda: exposure_differs(running, log))
    wait(lambda: not blotter_differs(running), seconds=10, what=lambda: blotter_differs(running))
    return log
