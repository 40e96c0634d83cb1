"""An LP's book of truth: what it was asked and what it did, in an append-only file that outlives every process."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from threading import Lock

import msgspec

FILE_NAME = "truth.jsonl"


class TruthFill(msgspec.Struct, frozen=True, kw_only=True):
    exec_id: str
    quantity: Decimal
    price: Decimal


class TruthOrder(msgspec.Struct, kw_only=True):
    """One ClOrdID; `received` counts how often it came (2 or more is a doubled order), quantities are in units.

    `changes` are the ids under which its changes were asked for, the latest last.
    """

    owner: str
    cl_ord_id: str
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal | None
    time_in_force: str
    received: int = 1
    fills: list[TruthFill] = []
    ended: str = ""
    changes: list[str] = []

    @property
    def latest_id(self) -> str:
        return self.changes[-1] if self.changes else self.cl_ord_id

    @property
    def filled(self) -> Decimal:
        return sum((fill.quantity for fill in self.fills), Decimal(0))

    @property
    def leaves(self) -> Decimal:
        return Decimal(0) if self.ended else self.quantity - self.filled

    @property
    def average(self) -> Decimal:
        filled = self.filled
        if not filled:
            return Decimal(0)
        return sum((fill.quantity * fill.price for fill in self.fills), Decimal(0)) / filled


class _Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    order: TruthOrder | None = None
    again: str = ""
    owner: str = ""
    cl_ord_id: str = ""
    fill: TruthFill | None = None
    ended: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    restated: str = ""
    renamed: str = ""


class Truth:
    """Reads its file when opened, then appends; a fact is in the file before anybody is told."""

    def __init__(self, *, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.orders = read(path=path)
        self._executions = max((number_of(fill) for o in self.orders.values() for fill in o.fills), default=0)
        self._file = path.open("ab")
        self._lock = Lock()

    def find(self, *, owner: str, cl_ord_id: str) -> TruthOrder | None:
        """Return the order of `owner` by any id that it has had, or None where it was never received."""
        if (found := self.orders.get((owner, cl_ord_id))) is not None:
            return found
        changed = (order for (whose, _), order in list(self.orders.items()) if whose == owner and order.changes)
        return next((order for order in changed if cl_ord_id in order.changes), None)

    def receive(self, order: TruthOrder) -> None:
        """Note an order that came for the first time."""
        self._write(_Line(order=order))

    def receive_again(self, order: TruthOrder) -> None:
        """Note that a ClOrdID came once more: it is refused, and counted."""
        self._write(_Line(again=order.cl_ord_id, owner=order.owner))

    def fill(self, *, order: TruthOrder, quantity: Decimal, price: Decimal, venue: str) -> TruthFill:
        """Note one execution and return it with an ExecID never used before."""
        self._executions += 1
        fill = TruthFill(exec_id=f"{venue}-E{self._executions}", quantity=quantity, price=price)
        self._write(_Line(owner=order.owner, cl_ord_id=order.cl_ord_id, fill=fill))
        return fill

    def restate(
        self, *, order: TruthOrder, fill: TruthFill, quantity: Decimal, price: Decimal, venue: str
    ) -> TruthFill:
        """Put other numbers in an execution's place under a new ExecID; quantity 0 takes it back. Returns it."""
        self._executions += 1
        other = TruthFill(exec_id=f"{venue}-E{self._executions}", quantity=quantity, price=price)
        self._write(_Line(owner=order.owner, cl_ord_id=order.cl_ord_id, fill=other, restated=fill.exec_id))
        return other

    def end(self, *, order: TruthOrder, how: str) -> None:
        """Note that nothing of the order works any more: cancelled, rejected or filled."""
        self._write(_Line(owner=order.owner, cl_ord_id=order.cl_ord_id, ended=how))

    def replace(self, *, order: TruthOrder, quantity: Decimal, price: Decimal, renamed: str = "") -> None:
        """Note that an order has another quantity and price from now on, and where FIX asked for it another id."""
        line = _Line(owner=order.owner, cl_ord_id=order.cl_ord_id, quantity=quantity, price=price, renamed=renamed)
        self._write(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: _Line) -> None:
        with self._lock:
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()
            _fold(self.orders, line)


def read(*, path: Path) -> dict[tuple[str, str], TruthOrder]:
    """Return every order of a truth file by (owner, ClOrdID); a half-written last line is left out."""
    orders: dict[tuple[str, str], TruthOrder] = {}
    if not path.exists():
        return orders
    for raw in path.read_bytes().splitlines(keepends=True):
        if raw.endswith(b"\n"):
            _fold(orders, msgspec.json.decode(raw, type=_Line))
    return orders


def _fold(orders: dict[tuple[str, str], TruthOrder], line: _Line) -> None:
    if line.order is not None:
        orders[line.order.owner, line.order.cl_ord_id] = line.order
    elif line.again:
        orders[line.owner, line.again].received += 1
    elif line.fill is not None:
        fills = orders[line.owner, line.cl_ord_id].fills
        if line.restated:
            fills[:] = [fill for fill in fills if fill.exec_id != line.restated]
        if line.fill.quantity:
            fills.append(line.fill)
    elif line.quantity is not None:
        order = orders[line.owner, line.cl_ord_id]
        order.quantity, order.price = line.quantity, line.price
        order.changes += [line.renamed] if line.renamed else []
    elif line.ended:
        orders[line.owner, line.cl_ord_id].ended = line.ended


def number_of(fill: TruthFill) -> int:
    """Return an execution's number, counted per venue."""
    return int(fill.exec_id.rpartition("-E")[2])
