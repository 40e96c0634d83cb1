"""What an LP decides: an order against its own current book. No sockets, no clock; luck comes from a seed."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import NamedTuple

from piggy.simulator.config import LpConfig
from piggy.simulator.quotes import LpBook, Rung
from piggy.simulator.truth import Truth, TruthFill, TruthOrder

BUY = "1"
GTC, IOC, FOK = "1", "3", "4"
DUPLICATE_ORDER, UNKNOWN_ORDER, BROKER_OPTION = "6", "5", "0"


class Report(NamedTuple):
    """What the LP says of an order.

    `kind` is new, trade, replaced, cancelled, rejected, status, unknown, cancel_rejected, busted or corrected; the last
    two name the execution whose place `fill` takes. `to_replace`: it was a change that was refused. `asked` is the
    request for many that it answers.
    """

    kind: str
    order: TruthOrder
    fill: TruthFill | None = None
    filled: Decimal = Decimal(0)
    average: Decimal = Decimal(0)
    reason: str = ""
    text: str = ""
    orig_cl_ord_id: str = ""
    ref_exec_id: str = ""
    to_replace: bool = False
    asked: str = ""


class Venue:
    """One LP's matching; callers hold its lock, one order at a time."""

    def __init__(self, *, config: LpConfig, truth: Truth) -> None:
        self._config = config
        self._truth = truth
        self._random = random.Random(f"orders:{config.name}:{config.seed}")
        self._books: dict[str, LpBook] = {}
        self._taken: dict[tuple[str, str, Decimal], Decimal] = {}
        self._resting = {key: order for key, order in truth.orders.items() if not order.ended}

    def quote(self, book: LpBook) -> list[Report]:
        """Take a new book of one symbol; return the fills of resting orders that it reaches."""
        self._books[book.symbol] = book
        if self._taken:
            self._taken = {key: taken for key, taken in self._taken.items() if key[0] != book.symbol}
        touched = [order for order in self._resting.values() if order.symbol == book.symbol]
        return [report for order in touched for report in self._execute(order)]

    def place(self, order: TruthOrder) -> list[Report]:
        """Answer a new order: refused, or acknowledged and matched."""
        known = self._truth.find(owner=order.owner, cl_ord_id=order.cl_ord_id)
        if known is not None:
            self._truth.receive_again(known)
            return [Report("rejected", order, reason=DUPLICATE_ORDER, text="Duplicate ClOrdID")]
        self._truth.receive(order)
        if order.symbol not in self._books:
            return [self._reject(order, "Unknown symbol or no price")]
        if self._random.random() < self._config.reject_rate:
            return [self._reject(order, "Last look: price moved")]
        return [Report("new", order), *self._execute(order), *self._finish(order)]

    def cancel(self, *, owner: str, cl_ord_id: str, orig_cl_ord_id: str, blank: TruthOrder) -> list[Report]:
        """Answer a cancel request for the order that is known as `orig_cl_ord_id` now."""
        order = self._truth.find(owner=owner, cl_ord_id=orig_cl_ord_id)
        if order is not None and order.latest_id != orig_cl_ord_id:
            order = None
        if order is None or order.ended:
            text = "Unknown order" if order is None else "Too late to cancel"
            return [Report("cancel_rejected", order or blank, text=text, orig_cl_ord_id=orig_cl_ord_id)]
        return [self._end(order, "cancelled", "Cancelled as asked", orig_cl_ord_id)]

    def replace(self, *, order: TruthOrder, orig_cl_ord_id: str) -> list[Report]:
        """Answer a change of the order that is known as `orig_cl_ord_id` now to the terms of `order`."""
        found = self._truth.find(owner=order.owner, cl_ord_id=orig_cl_ord_id)
        again = self._truth.find(owner=order.owner, cl_ord_id=order.cl_ord_id)
        text = ""
        if found is None or found.latest_id != orig_cl_ord_id:
            text = "Unknown order"
        elif found.ended or order.price is None or order.quantity <= found.filled:
            text = "Too late to change"
        elif again is not None:
            text = "Duplicate ClOrdID"
        if found is None or order.price is None or text:
            return [Report("cancel_rejected", order, text=text, orig_cl_ord_id=orig_cl_ord_id, to_replace=True)]
        self._truth.replace(order=found, quantity=order.quantity, price=order.price, renamed=order.cl_ord_id)
        told = Report("replaced", found, None, found.filled, found.average, orig_cl_ord_id=orig_cl_ord_id)
        return [told, *self._execute(found)]

    def working(self, *, owner: str, asked: str) -> list[Report]:
        """Answer the request `asked` for every order of `owner` that works."""
        found = [order for order in self._truth.orders.values() if order.owner == owner and not order.ended]
        return [Report("status", each, filled=each.filled, average=each.average, asked=asked) for each in found]

    def rematch(self, order: TruthOrder) -> list[Report]:
        """Try a working order again, as when its price changed."""
        return self._execute(order)

    def status(self, *, owner: str, blank: TruthOrder) -> Report:
        """Answer a status request; an order never received is `unknown`."""
        order = self._truth.find(owner=owner, cl_ord_id=blank.cl_ord_id)
        if order is None:
            return Report("unknown", blank, reason=UNKNOWN_ORDER, text="Unknown order")
        return Report("status", order, filled=order.filled, average=order.average)

    def _execute(self, order: TruthOrder) -> list[Report]:
        rungs = self._reachable(order)
        wanted = order.leaves
        if order.time_in_force == FOK and sum((rung.size for rung in rungs), Decimal(0)) < wanted:
            return []
        if rungs and order.time_in_force != FOK and self._random.random() < self._config.partial_rate:
            rungs = [Rung(rungs[0].price, max(Decimal(1), min(rungs[0].size, wanted) // 2))]
        reports = []
        for rung in rungs:
            quantity = min(rung.size, wanted)
            if quantity <= 0:
                break
            wanted -= quantity
            key = (order.symbol, order.side, rung.price)
            self._taken[key] = self._taken.get(key, Decimal(0)) + quantity
            fill = self._truth.fill(order=order, quantity=quantity, price=rung.price, venue=self._config.name)
            reports.append(Report("trade", order, fill=fill, filled=order.filled, average=order.average))
        if not wanted:
            self._truth.end(order=order, how="filled")
            self._resting.pop((order.owner, order.cl_ord_id), None)
        return reports

    def _reachable(self, order: TruthOrder) -> list[Rung]:
        book = self._books.get(order.symbol)
        if book is None:
            return []
        buy = order.side == BUY
        reached = []
        for rung in book.asks if buy else book.bids:
            if order.price is not None and (rung.price > order.price if buy else rung.price < order.price):
                break
            left = rung.size - self._taken.get((order.symbol, order.side, rung.price), Decimal(0))
            if left > 0:
                reached.append(Rung(rung.price, left))
        return reached

    def _finish(self, order: TruthOrder) -> list[Report]:
        if order.ended:
            return []
        if order.time_in_force in (IOC, FOK):
            return [self._end(order, "cancelled", "Nothing more at this price")]
        self._resting[order.owner, order.cl_ord_id] = order
        return []

    def _reject(self, order: TruthOrder, text: str) -> Report:
        self._truth.end(order=order, how="rejected")
        return Report("rejected", order, reason=BROKER_OPTION, text=text)

    def _end(self, order: TruthOrder, how: str, text: str, orig_cl_ord_id: str = "") -> Report:
        self._truth.end(order=order, how=how)
        self._resting.pop((order.owner, order.cl_ord_id), None)
        return Report(how, order, filled=order.filled, average=order.average, text=text, orig_cl_ord_id=orig_cl_ord_id)
