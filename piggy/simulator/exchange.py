"""One venue without FIX, before any wire: seeded books, matching, and the book of truth. Quantities are venue units."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from piggy.simulator.config import LpConfig, SymbolConfig
from piggy.simulator.faults import Fault, Faults
from piggy.simulator.quotes import Generator, LpBook, Rung
from piggy.simulator.truth import FILE_NAME, Truth, TruthFill, TruthOrder, number_of
from piggy.simulator.venue import GTC, Report, Venue

OWNER = "ACCOUNT"


class DepthChange(NamedTuple):
    """Levels of one symbol that are new or gone (size 0), with the number of the book they lead to."""

    symbol: str
    number: int
    bids: tuple[Rung, ...]
    asks: tuple[Rung, ...]
    at_us: int


class Exchange:
    """Callers may be on any thread. `on_reports` hears every report after it is in the book of truth."""

    def __init__(self, *, config: LpConfig, symbols: tuple[SymbolConfig, ...], home: Path, faults: Faults) -> None:
        self.config = config
        self.symbols = {symbol.symbol: symbol for symbol in symbols}
        self.truth = Truth(path=home / config.name / FILE_NAME)
        self.faults = faults
        self.on_reports: Callable[[list[Report]], None] = lambda reports: None
        self._venue = Venue(config=config, truth=self.truth)
        self._generator = Generator(lp=config, symbols=self.symbols)
        self._lock = threading.RLock()
        self._serial = len(self.truth.orders)
        self.books: dict[str, LpBook] = {}
        self.numbers: dict[str, int] = dict.fromkeys(self.symbols, 1_000)
        self.prices: dict[str, tuple[Decimal, int]] = {}
        for symbol in self.symbols:
            self.step(symbol=symbol)

    def close(self) -> None:
        """Close the book of truth."""
        self.truth.close()

    def step(self, *, symbol: str) -> DepthChange:
        """Move one book once; return what changed in it."""
        with self._lock:
            at_us = now_us()
            before, book = self.books.get(symbol), self._generator.book(symbol=symbol, at_us=at_us)
            self.books[symbol] = book
            self.numbers[symbol] += 1
            self._tell(self._venue.quote(book))
            bids = _changed(before.bids if before else (), book.bids)
            asks = _changed(before.asks if before else (), book.asks)
            return DepthChange(symbol, self.numbers[symbol], bids, asks, at_us)

    def snapshot(self, *, symbol: str) -> tuple[LpBook, int]:
        """Return a book and its number."""
        with self._lock:
            return self.books[symbol], self.numbers[symbol]

    def place(
        self, *, cl_ord_id: str, symbol: str, side: str, quantity: Decimal, price: Decimal | None, force: str = GTC
    ) -> list[Report]:
        """Take an order; `side` and `force` in FIX's numbers. The reports are also told to `on_reports`."""
        with self._lock:
            self._serial += 1
            order = TruthOrder(
                owner=OWNER,
                cl_ord_id=cl_ord_id,
                order_id=str(1_000_000 + self._serial),
                symbol=symbol,
                side=side,
                quantity=quantity,
                price=price,
                time_in_force=force,
            )
            known = self.truth.find(owner=OWNER, cl_ord_id=cl_ord_id)
            if known is None and self.faults.take(Fault.REJECT):
                self.truth.receive(order)
                self.truth.end(order=order, how="rejected")
                reports = [Report("rejected", order, reason="0", text="Last look: price moved")]
            else:
                reports = self._venue.place(order)
            return self._tell(reports)

    def cancel(self, *, cl_ord_id: str) -> list[Report]:
        """Take a cancel."""
        with self._lock:
            blank = _blank(cl_ord_id)
            if self.faults.take(Fault.REFUSE_CANCEL):
                return [Report("cancel_rejected", self.find(cl_ord_id=cl_ord_id) or blank, text="Not now")]
            return self._tell(
                self._venue.cancel(owner=OWNER, cl_ord_id=cl_ord_id, orig_cl_ord_id=cl_ord_id, blank=blank)
            )

    def replace(self, *, cl_ord_id: str, quantity: Decimal, price: Decimal) -> list[Report]:
        """Change quantity and price of a working order; it may fill at once."""
        with self._lock:
            order = self.find(cl_ord_id=cl_ord_id)
            if order is None or order.ended or quantity <= order.filled:
                blank = order or _blank(cl_ord_id)
                return self._tell([Report("cancel_rejected", blank, text="Order cannot be changed")])
            self.truth.replace(order=order, quantity=quantity, price=price)
            return self._tell([Report("replaced", order, filled=order.filled), *self._venue.rematch(order)])

    def find(self, *, cl_ord_id: str = "", order_id: str = "") -> TruthOrder | None:
        """Return an order by either id."""
        if cl_ord_id:
            return self.truth.find(owner=OWNER, cl_ord_id=cl_ord_id)
        return next((order for order in list(self.truth.orders.values()) if order.order_id == order_id), None)

    def working(self) -> list[TruthOrder]:
        """Return what is open."""
        return [order for order in list(self.truth.orders.values()) if not order.ended]

    def orders(self) -> list[TruthOrder]:
        """Return everything ever received."""
        return list(self.truth.orders.values())

    def fill_resting(self, *, cl_ord_id: str, quantity: Decimal) -> None:
        """Let somebody hit a resting order, at its own price."""
        with self._lock:
            order = self.find(cl_ord_id=cl_ord_id)
            assert order is not None
            assert order.price is not None
            assert quantity <= order.leaves
            fill = self.truth.fill(order=order, quantity=quantity, price=order.price, venue=self.config.name)
            report = Report("trade", order, fill=fill, filled=order.filled, average=order.average)
            if not order.leaves:
                self.truth.end(order=order, how="filled")
            self._tell([report])

    def restate(self, *, cl_ord_id: str, quantity: Decimal, price: Decimal = Decimal(0)) -> None:
        """Put other numbers in the place of an order's first execution; quantity 0 busts it."""
        with self._lock:
            order = self.find(cl_ord_id=cl_ord_id)
            assert order is not None
            before = order.fills[0]
            fill = self.truth.restate(order=order, fill=before, quantity=quantity, price=price, venue=self.config.name)
            kind = "corrected" if quantity else "busted"
            self._tell([Report(kind, order, fill=fill, filled=order.filled, ref_exec_id=before.exec_id)])

    def fills(self) -> list[tuple[TruthOrder, TruthFill]]:
        """Return every execution with its order, oldest first."""
        found = [(order, fill) for order in self.orders() for fill in order.fills]
        return sorted(found, key=lambda pair: number_of(pair[1]))

    def position(self, *, symbol: str) -> Decimal:
        """Return the signed units that all fills leave."""
        signs = {"1": 1, "2": -1}
        fills = [(order, fill) for order, fill in self.fills() if order.symbol == symbol]
        return sum((signs[order.side] * fill.quantity for order, fill in fills), Decimal(0))

    def _tell(self, reports: list[Report]) -> list[Report]:
        if reports:
            self.on_reports(reports)
        return reports


def now_us() -> int:
    """Return the wall clock in UTC microseconds."""
    return time.time_ns() // 1_000


def _changed(before: tuple[Rung, ...], after: tuple[Rung, ...]) -> tuple[Rung, ...]:
    old, new = dict(before), dict(after)
    gone = [Rung(price, Decimal(0)) for price in old if price not in new]
    return (*gone, *(Rung(price, size) for price, size in new.items() if old.get(price) != size))


def _blank(cl_ord_id: str) -> TruthOrder:
    return TruthOrder(
        owner=OWNER,
        cl_ord_id=cl_ord_id,
        order_id="",
        symbol="",
        side="",
        quantity=Decimal(0),
        price=None,
        time_in_force=GTC,
    )
