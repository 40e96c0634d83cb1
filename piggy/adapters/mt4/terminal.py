"""A MetaTrader 4 terminal as MetaTrader 5's Python module looks, for the bridge agent; copied beside `agent.py`.

MetaTrader 4 has no module, so `Bridge.mq4` runs in the terminal and both exchange small files in one folder of it:
`ask.txt` holds a number, a question and its arguments between tabs, `answer-<number>.txt` the rows of the answer.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from types import SimpleNamespace as Row
from typing import Any

REMOVE, PENDING = 8, 5
BUY, SELL, BUY_LIMIT, SELL_LIMIT = "0", "1", "2", "3"
PLACED, DONE, PARTIAL = 10008, 10009, 10010
TIMEOUT, WORKING, CANCELED, FILLED = 128, 1, 2, 4
ANSWER_S_MAX = 15.0
POLL_S = 0.005


class Terminal:
    """The functions of the MetaTrader5 module that the agent uses. Questions go one after another."""

    def __init__(self, *, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(time.time_ns() // 1_000_000)
        self._error = (1, "Success")

    def initialize(self) -> bool:
        """Whether the expert in the terminal answers."""
        return bool(self._ask("account"))

    def last_error(self) -> tuple[int, str]:
        """The code of what went wrong last; MetaTrader 4's timeout where no answer came."""
        return self._error

    def symbol_info(self, name: str) -> Row | None:
        """Terms of a symbol."""
        rows = self._ask("symbol", name)
        if not rows:
            return None
        digits, least, most, step, mode = rows[0]
        bounds = {"volume_min": float(least), "volume_max": float(most), "volume_step": float(step)}
        return Row(name=name, digits=int(digits), trade_mode=int(mode), **bounds)

    def symbol_info_tick(self, name: str) -> Row | None:
        """The best prices."""
        rows = self._ask("tick", name)
        return Row(bid=float(rows[0][0]), ask=float(rows[0][1]), time_msc=int(rows[0][2])) if rows else None

    def account_info(self) -> Row:
        """Money."""
        currency, balance, free = (self._ask("account") or [("", "0", "0")])[0]
        return Row(currency=currency, balance=float(balance), margin_free=float(free))

    def order_send(self, request: dict[str, Any]) -> Row | None:
        """Place an order or delete a pending one; None where no answer came, which leaves everything open."""
        if request["action"] == REMOVE:
            rows = self._ask("delete", str(request["order"]))
            return self._result(rows, DONE)
        rests = request["action"] == PENDING
        sells = bool(request["type"] % 2)
        kind = (SELL_LIMIT if sells else BUY_LIMIT) if rests else (SELL if sells else BUY)
        terms = (request["symbol"], kind, request["volume"], request["price"], request["comment"], request["magic"])
        return self._result(self._ask("send", *map(str, terms)), PLACED if rests else DONE, request["volume"])

    def orders_get(self, *, symbol: str = "", ticket: int = 0) -> tuple[Row, ...]:
        """Pending orders."""
        return tuple(
            _order(row, WORKING)
            for row in self._rows("open")
            if row.type in (BUY_LIMIT, SELL_LIMIT) and symbol in ("", row.symbol) and ticket in (0, row.ticket)
        )

    def history_orders_get(self, *span: object, ticket: int = 0) -> tuple[Row, ...]:
        """Orders that ended: an open or closed position is one that was filled, a deleted pending one was not."""
        every = [row for pool in ("open", "closed") for row in self._rows(pool) if ticket in (0, row.ticket)]
        filled = [_order(row, FILLED) for row in every if row.type in (BUY, SELL)]
        gone = [_order(row, CANCELED) for row in self._rows("closed") if row.type in (BUY_LIMIT, SELL_LIMIT)]
        return (*filled, *(row for row in gone if ticket in (0, row.ticket)))

    def history_deals_get(self, since: Any, until: object, *, group: str) -> tuple[Row, ...]:
        """What was filled of one symbol: every ticket that became a position, at the price that opened it."""
        least = int(since.timestamp() * 1_000)
        return tuple(
            Row(
                ticket=row.ticket,
                order=row.ticket,
                symbol=row.symbol,
                type=int(row.type),
                volume=row.lots,
                price=row.price,
                time_msc=row.time_msc,
                commission=row.commission,
                magic=row.magic,
            )
            for pool in ("open", "closed")
            for row in self._rows(pool)
            if row.type in (BUY, SELL) and row.symbol == group and row.time_msc >= least
        )

    def positions_get(self, *, symbol: str = "") -> tuple[Row, ...]:
        """Open positions: tickets that were filled."""
        return tuple(
            Row(symbol=row.symbol, type=int(row.type), volume=row.lots, price_open=row.price)
            for row in self._rows("open")
            if row.type in (BUY, SELL) and symbol in ("", row.symbol)
        )

    def _result(self, rows: list[tuple[str, ...]], good: int, volume: float = 0.0) -> Row | None:
        if not rows:
            return None
        code, ticket, lots = int(rows[0][0]), int(rows[0][1]), float(rows[0][2])
        if code:
            return Row(retcode=code, order=0, volume=0.0, comment=f"error {code}")
        code = PARTIAL if good == DONE and lots and lots < volume else good
        return Row(retcode=code, order=ticket, volume=lots if good == DONE else 0.0, comment="")

    def _rows(self, pool: str) -> list[Row]:
        names = ("ticket", "type", "lots", "symbol", "comment", "price", "time_msc", "magic", "commission")
        found = []
        for values in self._ask("orders", pool):
            row = Row(**dict(zip(names, values, strict=True)))
            row.ticket, row.time_msc, row.magic = int(row.ticket), int(row.time_msc), int(row.magic)
            row.lots, row.price, row.commission = float(row.lots), float(row.price), float(row.commission)
            found.append(row)
        return found

    def _ask(self, *words: str) -> list[tuple[str, ...]]:
        number = next(self._numbers)
        answer = self._folder / f"answer-{number}.txt"
        fresh = self._folder / "ask.tmp"
        fresh.write_text("\t".join((str(number), *words)))
        fresh.replace(self._folder / "ask.txt")
        deadline = time.monotonic() + ANSWER_S_MAX
        while not answer.exists():
            if time.monotonic() > deadline:
                self._error = (TIMEOUT, "the expert in the terminal does not answer")
                return []
            time.sleep(POLL_S)
        rows = [tuple(line.split("\t")) for line in answer.read_text().splitlines() if line]
        answer.unlink()
        return rows


def _order(row: Row, state: int) -> Row:
    left = 0.0 if state == FILLED else row.lots
    shown = {"ticket": row.ticket, "state": state, "comment": row.comment, "symbol": row.symbol}
    return Row(volume_initial=row.lots, volume_current=left, **shown)
