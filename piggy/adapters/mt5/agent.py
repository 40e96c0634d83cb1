"""The bridge agent: runs beside a MetaTrader terminal on Windows, dials out to us, answers what we ask.

One file to copy; it needs Python, `websockets` and `MetaTrader5`: `python agent.py wss://broker/agents/TENANT/VENUE
LEDGER` with the secret in the environment as BRIDGE_SECRET. For MetaTrader 4 copy terminal.py beside it and name the
terminal's folder MQL4\\Files\\bridge as a third argument. What it is asked and answers is in README.md beside it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import sys
import threading
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

MAGIC = 704_411
DEAL, PENDING, REMOVE = 1, 5, 8
TYPES = {("buy", False): 0, ("sell", False): 1, ("buy", True): 2, ("sell", True): 3}
FILLINGS = {"fok": 0, "ioc": 1}
RETURN_THE_REST = 2
# Bought, sold, and either taken back by the broker.
DEALS = (0, 1, 13, 14)
log = logging.getLogger("bridge")

QUESTIONS = ("markets", "balance", "book", "submit", "cancel", "order", "open_orders", "trades", "positions")
AGAIN_S = 0.5
DAY_S = 86_400


class Agent:
    """`terminal` is the MetaTrader5 module; `ledger` remembers every order id, so that none is sent twice."""

    def __init__(self, *, terminal: Any, url: str, secret: str, ledger: Path) -> None:
        self._terminal = terminal
        self._url = url
        self._secret = secret
        self._ledger = ledger
        self._tickets: dict[str, int] = {}
        for line in ledger.read_text().splitlines() if ledger.exists() else ():
            row = json.loads(line)
            self._tickets[row["client_id"]] = row["ticket"]
        self.stopping = threading.Event()

    def run(self) -> None:
        """Dial until stopped; every connection is answered until it breaks."""
        while not self.stopping.is_set():
            try:
                self._serve()
            except (OSError, WebSocketException) as error:
                sys.stderr.write(f"bridge: {error}\n")
            self.stopping.wait(AGAIN_S)

    def _serve(self) -> None:
        stamp = str(int(time.time()))
        text = f"{stamp}{urlsplit(self._url).path}".encode()
        sign = hmac.new(self._secret.encode(), text, hashlib.sha256).hexdigest()
        headers = {"X-Time": stamp, "X-Sign": sign}
        with connect(self._url, additional_headers=headers, proxy=None, close_timeout=1, legacy=True) as socket:
            while not self.stopping.is_set():
                try:
                    asked = json.loads(socket.recv(timeout=0.2))
                except TimeoutError:
                    continue
                status, value = self.answer(ask=asked["ask"], args=asked["args"])
                socket.send(json.dumps({"id": asked["id"], "status": status, "value": value}))

    def answer(self, *, ask: str, args: dict[str, Any]) -> tuple[int, Any]:
        """Return status and value of one question; an unknown question is 400, one that the terminal fails at 500.

        It answers with nothing at all while it is not logged in, and a bridge that died of that would be down for good.
        """
        if ask not in QUESTIONS:
            return 400, {"code": "UNKNOWN_QUESTION", "msg": ask}
        try:
            answered: tuple[int, Any] = getattr(self, f"_{ask}")(**args)
        except OSError:
            raise  # As of the line itself: it is dialled again.
        except Exception as error:
            log.exception("bridge: %s failed", ask)
            return 500, {"code": "FAILED", "msg": repr(error)}
        return answered

    def _markets(self, names: list[str]) -> tuple[int, Any]:
        fields = ("name", "digits", "volume_min", "volume_max", "volume_step", "trade_mode")
        found = [info for name in names if (info := self._terminal.symbol_info(name)) is not None]
        return 200, [{field: getattr(info, field) for field in fields} for info in found]

    def _balance(self) -> tuple[int, Any]:
        info = self._terminal.account_info()
        return 200, {"currency": info.currency, "balance": info.balance, "margin_free": info.margin_free}

    def _book(self, name: str) -> tuple[int, Any]:
        tick = self._terminal.symbol_info_tick(name)
        if tick is None:
            return 404, {"code": "NO_TICK", "msg": name}
        return 200, {"bid": tick.bid, "ask": tick.ask, "time_msc": tick.time_msc}

    def _submit(self, name: str, side: str, volume: str, price: str, force: str, client_id: str) -> tuple[int, Any]:
        if client_id in self._tickets:
            return 409, {"code": "DuplicateOrderId", "msg": "this id was sent before"}
        self._note(client_id, 0)
        rests = force not in FILLINGS
        request = {
            "action": PENDING if rests else DEAL,
            "symbol": name,
            "volume": float(volume),
            "type": TYPES[side, rests],
            "price": float(price),
            "deviation": 0,
            "type_filling": FILLINGS.get(force, RETURN_THE_REST),
            "type_time": 0,
            "magic": MAGIC,
            "comment": client_id,
        }
        result = self._terminal.order_send(request)
        if result is None:
            code, text = self._terminal.last_error()
            return 200, {"retcode": code, "comment": text}
        if result.order:
            self._note(client_id, result.order)
        doc = {"retcode": result.retcode, "order": result.order, "volume": result.volume, "comment": result.comment}
        return 200, doc | {"client_id": client_id, "asked": volume}

    def _cancel(self, ticket: int) -> tuple[int, Any]:
        result = self._terminal.order_send({"action": REMOVE, "order": ticket})
        if result is None:
            code, text = self._terminal.last_error()
            return 200, {"retcode": code, "comment": text}
        return 200, {"retcode": result.retcode, "comment": result.comment}

    def _order(self, ticket: int = 0, client_id: str = "") -> tuple[int, Any]:
        ticket = ticket or self._tickets.get(client_id, 0)
        found = None
        if ticket:
            found = self._terminal.orders_get(ticket=ticket) or self._terminal.history_orders_get(ticket=ticket)
        elif client_id:
            now = datetime.fromtimestamp(time.time() + DAY_S, UTC)
            every = self._terminal.orders_get() or ()
            every += self._terminal.history_orders_get(datetime.fromtimestamp(0, UTC), now) or ()
            found = [order for order in every if order.comment == client_id]
        return (200, self._doc(found[0])) if found else (404, {"code": "NO_SUCH_ORDER", "msg": "not in this terminal"})

    def _open_orders(self, name: str) -> tuple[int, Any]:
        return 200, [self._doc(order) for order in self._terminal.orders_get(symbol=name) or ()]

    def _trades(self, name: str, since_s: int) -> tuple[int, Any]:
        until = datetime.fromtimestamp(time.time() + DAY_S, UTC)
        deals = self._terminal.history_deals_get(datetime.fromtimestamp(max(0, since_s), UTC), until, group=name) or ()
        fields = ("ticket", "order", "symbol", "type", "volume", "price", "time_msc", "commission")
        trades = [deal for deal in deals if deal.type in DEALS and deal.magic == MAGIC and deal.symbol == name]
        return 200, [{field: getattr(deal, field) for field in fields} for deal in trades]

    def _positions(self, names: list[str]) -> tuple[int, Any]:
        fields = ("symbol", "type", "volume", "price_open")
        held = [position for name in names for position in self._terminal.positions_get(symbol=name) or ()]
        return 200, [{field: getattr(position, field) for field in fields} for position in held]

    def _doc(self, order: Any) -> dict[str, Any]:
        fields = ("ticket", "state", "volume_initial", "volume_current")
        # A broker may overwrite the comment, so our own ledger is asked first.
        known = {ticket: client_id for client_id, ticket in self._tickets.items() if ticket}
        doc = {field: getattr(order, field) for field in fields}
        return doc | {"client_id": known.get(order.ticket, order.comment)}

    def _note(self, client_id: str, ticket: int) -> None:
        self._tickets[client_id] = ticket
        with self._ledger.open("a") as file:
            file.write(json.dumps({"client_id": client_id, "ticket": ticket}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def main(arguments: list[str]) -> None:
    """Run beside the terminal that is logged in on this machine."""
    terminal: Any = import_module("terminal" if len(arguments) > 2 else "MetaTrader5")
    if len(arguments) > 2:
        terminal = terminal.Terminal(folder=Path(arguments[2]))
    if not terminal.initialize():
        sys.exit(f"The terminal cannot be reached: {terminal.last_error()}")
    secret = os.environ["BRIDGE_SECRET"]
    Agent(terminal=terminal, url=arguments[0], secret=secret, ledger=Path(arguments[1])).run()


if __name__ == "__main__":
    main(sys.argv[1:])
