"""A MetaTrader 5 terminal on this machine, as its Python module looks, with the real agent dialling from beside it."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace as Row
from typing import Any, Self

from piggy.adapters.mt5.agent import DEAL, MAGIC, PENDING, REMOVE, Agent
from piggy.simulator.config import LpConfig, SymbolConfig
from piggy.simulator.exchange import Exchange
from piggy.simulator.faults import Fault, Faults
from piggy.simulator.truth import TruthOrder, number_of
from piggy.simulator.venue import BUY, FOK, GTC, IOC

REJECT, DONE, PLACED, PARTIAL, TIMEOUT, INVALID_ORDER, TOO_MANY = 10006, 10009, 10008, 10010, 10012, 10035, 10024
_ENDED = {"filled": 4, "cancelled": 2, "rejected": 5}


class Terminal:
    """The functions of the MetaTrader5 module that the agent uses, over the exchange."""

    def __init__(self, *, exchange: Exchange, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults
        self.requests: list[str] = []

    def symbol_info(self, name: str) -> Row | None:
        """Terms of a symbol."""
        if (symbol := self._exchange.symbols.get(name)) is None:
            return None
        steps = {"volume_min": 0.01, "volume_max": 5000.0, "volume_step": 0.01}
        return Row(name=name, digits=symbol.digits, trade_mode=4, **steps)

    def symbol_info_tick(self, name: str) -> Row:
        """The best prices."""
        book, _ = self._exchange.snapshot(symbol=name)
        return Row(bid=float(book.bids[0].price), ask=float(book.asks[0].price), time_msc=book.at_us // 1_000)

    def account_info(self) -> Row:
        """Money."""
        return Row(currency="USD", balance=1_000_000.0, margin_free=990_000.0)

    def last_error(self) -> tuple[int, str]:
        """Nothing goes wrong below order_send here."""
        return 1, "Success"

    def order_send(self, request: dict[str, Any]) -> Row:
        """Take an order or a cancel. Raises ConnectionError where a fault cuts the agent off."""
        self.requests.append(str(request["action"]))
        if request["action"] == REMOVE:
            order = self._exchange.find(order_id=str(request["order"]))
            if order is None or order.ended:
                return _result(INVALID_ORDER)
            self._exchange.cancel(cl_ord_id=order.cl_ord_id)
            return _result(DONE)
        if self._faults.take(Fault.CUT_BEFORE):
            raise ConnectionError("cut")
        for fault, code in ((Fault.SERVER_ERROR, TIMEOUT), (Fault.THROTTLE, TOO_MANY)):
            if self._faults.take(fault):
                return _result(code)
        reports = self._exchange.place(
            cl_ord_id=request["comment"],
            symbol=request["symbol"],
            side="2" if request["type"] % 2 else "1",
            quantity=Decimal(str(request["volume"])),
            price=Decimal(str(request["price"])),
            force=GTC if request["action"] == PENDING else {0: FOK, 1: IOC}[request["type_filling"]],
        )
        if self._faults.take(Fault.CUT_AFTER):
            raise ConnectionError("cut")
        order = reports[0].order
        if order.ended == "rejected":
            return _result(REJECT)
        if not order.fills and request["action"] == DEAL:
            return _result(REJECT)
        whole = order.filled == order.quantity
        code = PLACED if not order.fills else DONE if whole else PARTIAL
        return _result(code, order=int(order.order_id), volume=float(order.filled))

    def orders_get(self, *, symbol: str = "", ticket: int = 0) -> tuple[Row, ...]:
        """Orders that work."""
        found = [order for order in self._exchange.working() if symbol in ("", order.symbol)]
        return tuple(_row(order) for order in found if ticket in (0, int(order.order_id)))

    def history_orders_get(self, *span: object, ticket: int = 0) -> tuple[Row, ...]:
        """Orders that ended."""
        found = [order for order in self._exchange.orders() if order.ended and order.ended != "rejected"]
        return tuple(_row(order) for order in found if ticket in (0, int(order.order_id)))

    def positions_get(self, *, symbol: str = "") -> tuple[Row, ...]:
        """What is held, netted."""
        held = {name: self._exchange.position(symbol=name) for name in self._exchange.symbols if symbol in ("", name)}
        return tuple(
            Row(symbol=name, type=0 if lots > 0 else 1, volume=float(abs(lots)), price_open=1.0)
            for name, lots in held.items()
            if lots
        )

    def history_deals_get(self, *span: object, group: str) -> tuple[Row, ...]:
        """Executions of one symbol, and a deposit, which is no trade."""
        deposit = Row(ticket=1, order=0, symbol="", type=2, volume=0.0, price=0.0, time_msc=0, commission=0.0, magic=0)
        rows = [
            Row(
                ticket=number_of(fill),
                order=int(order.order_id),
                symbol=order.symbol,
                type=0 if order.side == BUY else 1,
                volume=float(fill.quantity),
                price=float(fill.price),
                time_msc=int(time.time() * 1_000),
                commission=-0.07,
                magic=MAGIC,
            )
            for order, fill in self._exchange.fills()
            if order.symbol == group
        ]
        return (deposit, *rows)


class TerminalServer(ABC):
    """A terminal and the agent beside it; looks to a ground as the servers of other venues do."""

    kind = ""

    def __init__(self, *, symbols: tuple[SymbolConfig, ...], home: Path, url: str, secret: str) -> None:
        self.faults = Faults()
        config = LpConfig(name=self.kind, depth=3, level_lots=Decimal(10), quotes_per_s=10)
        self.exchange = Exchange(config=config, symbols=symbols, home=home, faults=self.faults)
        self._url, self._secret, self._home = url, secret, home
        self._feeding, self._stopped = threading.Event(), threading.Event()
        self._moving = threading.Lock()
        self._feeder = threading.Thread(target=self._feed, name=f"{self.kind}-feed", daemon=True)
        self._agent: Agent | None = None
        self._thread: threading.Thread | None = None

    @property
    @abstractmethod
    def terminal(self) -> Any:
        """What the agent talks to."""

    @property
    @abstractmethod
    def requests(self) -> list[str]:
        """Every order and cancel that came."""

    def start(self) -> Self:
        """Let the agent dial."""
        self._feeding.set()
        self._feeder.start()
        self.come_back()
        return self

    def stop(self) -> None:
        """End agent and terminal."""
        self.go_away()
        self._stopped.set()
        self._feeder.join(2)
        self.exchange.close()

    def go_away(self) -> None:
        """Take the agent away, its ledger kept."""
        if self._agent is not None and self._thread is not None:
            self._agent.stopping.set()
            self._thread.join(5)
            self._agent = None

    def come_back(self) -> None:
        """Start the agent unless it runs."""
        if self._agent is None:
            self._agent = self.agent(self._secret)
            self._thread = threading.Thread(target=self._agent.run, name=f"{self.kind}-agent", daemon=True)
            self._thread.start()

    def agent(self, secret: str) -> Agent:
        """Return an agent that signs with a secret, not yet dialling."""
        return Agent(terminal=self.terminal, url=self._url, secret=secret, ledger=self._home / "ledger.jsonl")

    def pause(self) -> None:
        """Let no book move until `resume`."""
        self._feeding.clear()

    def resume(self) -> None:
        """Let books move again."""
        self._feeding.set()

    def _feed(self) -> None:
        while not self._stopped.wait(1 / self.exchange.config.quotes_per_s):
            self._move(paused_too=False)

    def step(self) -> None:
        """Move every book once, paused or not."""
        self._move(paused_too=True)

    def _move(self, *, paused_too: bool) -> None:
        # A round under way when somebody pauses ends before the step that he asks for, and none comes after it.
        with self._moving:
            if paused_too or self._feeding.is_set():
                for symbol in self.exchange.symbols:
                    self.exchange.step(symbol=symbol)


class Mt5Server(TerminalServer):
    """MetaTrader 5."""

    kind = "MT5"

    def __init__(self, **names: Any) -> None:
        super().__init__(**names)
        self._terminal = Terminal(exchange=self.exchange, faults=self.faults)

    @property
    def terminal(self) -> Terminal:
        """The module of a terminal."""
        return self._terminal

    @property
    def requests(self) -> list[str]:
        """What order_send was given."""
        return self._terminal.requests


def _row(order: TruthOrder) -> Row:
    state = _ENDED.get(order.ended, 2) if order.ended else (3 if order.fills else 1)
    return Row(
        ticket=int(order.order_id),
        state=state,
        volume_initial=float(order.quantity),
        volume_current=float(order.quantity - order.filled),
        comment=order.cl_ord_id,
        symbol=order.symbol,
    )


def _result(retcode: int, *, order: int = 0, volume: float = 0.0) -> Row:
    return Row(retcode=retcode, order=order, volume=volume, comment=f"code {retcode}")
