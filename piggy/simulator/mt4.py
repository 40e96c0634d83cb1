"""A MetaTrader 4 terminal on this machine: an expert that answers in files, and the real agent dialling beside it."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from piggy.adapters.mt4.terminal import BUY_LIMIT, SELL, SELL_LIMIT, Terminal
from piggy.adapters.mt5.agent import MAGIC
from piggy.simulator.exchange import Exchange
from piggy.simulator.faults import Fault, Faults
from piggy.simulator.mt5 import TerminalServer
from piggy.simulator.truth import TruthOrder
from piggy.simulator.venue import BUY, FOK, GTC

OK, TIMEOUT, TOO_MANY, OFF_QUOTES, INVALID_TICKET = 0, 128, 8, 136, 4108
POLL_S = 0.002
Fields = tuple[object, ...]


class Expert:
    """What Bridge.mq4 does in a terminal, over the exchange: one question file after another."""

    def __init__(self, *, folder: Path, exchange: Exchange, faults: Faults) -> None:
        self._folder = folder
        self._exchange = exchange
        self._faults = faults
        self.requests: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mt4-expert", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._stopped.set()
        self._thread.join(2)

    def _run(self) -> None:
        ask = self._folder / "ask.txt"
        while not self._stopped.wait(POLL_S):
            if ask.exists():
                number, question, *words = ask.read_text().split("\t")
                ask.unlink()
                rows = getattr(self, f"_{question}")(*words)
                fresh = self._folder / f"answer-{number}.tmp"
                fresh.write_text("".join("\t".join(map(str, row)) + "\r\n" for row in rows))
                fresh.replace(self._folder / f"answer-{number}.txt")

    def _account(self) -> list[Fields]:
        return [("USD", "1000000.00", "990000.00")]

    def _symbol(self, name: str) -> list[Fields]:
        symbol = self._exchange.symbols.get(name)
        return [(symbol.digits, "0.01", "5000", "0.01", 4)] if symbol else []

    def _tick(self, name: str) -> list[Fields]:
        book, _ = self._exchange.snapshot(symbol=name)
        return [(f"{book.bids[0].price:f}", f"{book.asks[0].price:f}", book.at_us // 1_000)]

    def _send(self, name: str, kind: str, lots: str, price: str, comment: str, magic: str) -> list[Fields]:
        self.requests.append(comment)
        for fault, code in ((Fault.SERVER_ERROR, TIMEOUT), (Fault.THROTTLE, TOO_MANY)):
            if self._faults.take(fault):
                return [(code, 0, 0)]
        rests = kind in (BUY_LIMIT, SELL_LIMIT)
        reports = self._exchange.place(
            cl_ord_id=comment,
            symbol=name,
            side="2" if kind in (SELL, SELL_LIMIT) else "1",
            quantity=Decimal(lots),
            price=Decimal(price),
            force=GTC if rests else FOK,
        )
        order = reports[0].order
        if order.ended == "rejected" or (not order.fills and not rests):
            return [(OFF_QUOTES, 0, 0)]
        return [(OK, order.order_id, f"{order.filled or order.quantity:f}")]

    def _delete(self, ticket: str) -> list[Fields]:
        self.requests.append(ticket)
        order = self._exchange.find(order_id=ticket)
        if order is None or order.ended:
            return [(INVALID_TICKET, ticket, 0)]
        refused = self._exchange.cancel(cl_ord_id=order.cl_ord_id)[0].kind == "cancel_rejected"
        return [(INVALID_TICKET if refused else OK, ticket, 0)]

    def _orders(self, pool: str) -> list[Fields]:
        known = [order for order in self._exchange.orders() if order.ended != "rejected"]
        # What was filled stays open as a position; only deleted orders are history here.
        deleted = [order for order in known if order.ended and not order.fills]
        chosen = deleted if pool == "closed" else [order for order in known if order not in deleted]
        return [_row(order) for order in chosen]


class CutTerminal(Terminal):
    """The agent's terminal; a fault cuts the agent off before or after an order."""

    def __init__(self, *, folder: Path, faults: Faults) -> None:
        super().__init__(folder=folder)
        self._faults = faults

    def order_send(self, request: dict[str, Any]) -> Any:
        """Send an order on. Raises ConnectionError where a fault cuts the agent off."""
        if "comment" in request and self._faults.take(Fault.CUT_BEFORE):
            raise ConnectionError("cut")
        result = super().order_send(request)
        if "comment" in request and self._faults.take(Fault.CUT_AFTER):
            raise ConnectionError("cut")
        return result


class Mt4Server(TerminalServer):
    """MetaTrader 4: whole tickets only, so an order larger than the best levels is refused."""

    kind = "MT4"

    def __init__(self, **names: Any) -> None:
        super().__init__(**names)
        folder = self._home / "Files" / "bridge"
        self._expert = Expert(folder=folder, exchange=self.exchange, faults=self.faults)
        self._terminal = CutTerminal(folder=folder, faults=self.faults)
        self._expert.start()

    @property
    def terminal(self) -> Terminal:
        """What reads and writes the files."""
        return self._terminal

    @property
    def requests(self) -> list[str]:
        """Every order and deletion that reached the expert."""
        return self._expert.requests

    def stop(self) -> None:
        """End agent, expert and exchange."""
        self.go_away()
        self._expert.stop()
        super().stop()


def _row(order: TruthOrder) -> Fields:
    buys = order.side == BUY
    kind = ("0" if buys else "1") if order.fills else (BUY_LIMIT if buys else SELL_LIMIT)
    price = order.average if order.fills else order.price or Decimal(0)
    lots = order.filled or order.quantity
    at_ms = time.time_ns() // 1_000_000
    return (order.order_id, kind, f"{lots:f}", order.symbol, order.cl_ord_id, f"{price:f}", at_ms, MAGIC, "-0.07")
