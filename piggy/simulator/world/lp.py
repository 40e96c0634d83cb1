"""An LP of this world: the range's own matching and book of truth, behind a session that resends what was missed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from threading import Lock

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.messages import SOH, fields, stamp
from piggy.adapters.interface import SymbolMapping
from piggy.core.market import Level, VenueQuote
from piggy.simulator import wire
from piggy.simulator.config import LpConfig, SymbolConfig
from piggy.simulator.quotes import Generator, LpBook
from piggy.simulator.truth import Truth, TruthOrder
from piggy.simulator.venue import Report, Venue
from piggy.simulator.world.timeloop import SimulatedLoop

UNITS = Decimal(100_000)
SYMBOL = SymbolConfig(symbol="EURUSD", mid=Decimal("1.10000"), digits=5, spread_points=10, units_per_lot=UNITS)
LATENCY_S_MAX = 0.05


class TruthInMemory(Truth):
    """The LP never forgets here either."""

    def __init__(self) -> None:
        self.orders: dict[tuple[str, str], TruthOrder] = {}
        self._executions = 0
        self._lock = Lock()
        self._file = _Nowhere()  # type: ignore[assignment]


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        """Nothing to flush."""


class SimulatedLp:
    """`said` holds every report with its sequence number, for a worker that comes back to ask for what it missed."""

    def __init__(
        self,
        *,
        config: LpConfig,
        tenant: str,
        loop: SimulatedLoop,
        luck: random.Random,
        symbols: tuple[SymbolConfig, ...] = (SYMBOL,),
    ) -> None:
        self.name = config.name
        self.truth = TruthInMemory()
        self.said: list[str] = []
        self.hearer: Callable[[int, str], None] | None = None
        self.session = SessionConfig(
            tenant=tenant,
            venue=config.name,
            host="",
            port=0,
            sender_comp_id=tenant.upper(),
            target_comp_id=config.name,
            home=Path(),
            symbols=tuple(
                SymbolMapping(symbol=each.symbol, venue_symbol=each.symbol, units_per_lot=UNITS) for each in symbols
            ),
        )
        self._loop, self._luck = loop, luck
        self._venue = Venue(config=config, truth=self.truth)
        self._symbols = {each.symbol: each for each in symbols}
        self._generator = Generator(lp=config, symbols=self._symbols, seed=luck.randrange(10**6))
        self._due_at = 0.0
        self._books: list[LpBook] = []
        self.is_calm = False

    def quotes(self) -> list[VenueQuote]:
        """Move every market by one step, unless it is calm; resting orders may fill."""
        at_us = self._loop.now_us
        if self.is_calm:
            books = [book._replace(at_us=at_us) for book in self._books]
        else:
            books = [self._generator.book(symbol=each, at_us=at_us) for each in self._symbols]
        self._books = books
        for book in books:
            for report in self._venue.quote(book):
                self._say(report)
        return [_as_quote(self.name, book) for book in books]

    def receive(self, text: str) -> None:
        """Take what a worker sends (35=D, F, H) and answer."""
        values = fields(text)
        order = wire.order_of(values=values, owner=self.session.sender_comp_id, order_id=f"{self.name}-{values['11']}")
        if values["35"] == "D":
            reports = self._venue.place(order)
        elif values["35"] == "F":
            reports = self._venue.cancel(
                owner=order.owner, cl_ord_id=order.cl_ord_id, orig_cl_ord_id=values["41"], blank=order
            )
        else:
            reports = [self._venue.status(owner=order.owner, blank=order)]
        for report in reports:
            self._say(report)

    def restate(self) -> None:
        """Take one execution back, or give it other numbers, as LPs do days later (F-15)."""
        dealt = [(order, fill) for order in self.truth.orders.values() for fill in order.fills]
        if not dealt:
            return
        order, before = self._luck.choice(dealt)
        kind = self._luck.choice(("busted", "corrected"))
        quantity = before.quantity // 2 if self._luck.random() < 0.5 else before.quantity
        price = before.price + Decimal(self._luck.randint(-20, 20)).scaleb(-self._symbols[order.symbol].digits)
        if kind == "busted" or not quantity:
            kind, quantity, price = "busted", Decimal(0), Decimal(0)
        fill = self.truth.restate(order=order, fill=before, quantity=quantity, price=price, venue=self.name)
        filled, average = order.filled, order.average
        self._say(Report(kind, order, fill=fill, filled=filled, average=average, ref_exec_id=before.exec_id))

    def _say(self, report: Report) -> None:
        number = len(self.said) + 1
        text = wire.report(report=report, exec_id=f"{self.name}-N{number}", at_us=self._loop.now_us)
        head = f"34={number}{SOH}52={stamp(self._loop.now_us)}{SOH}"
        self.said.append(text.replace(f"{SOH}35=8{SOH}", f"{SOH}35=8{SOH}{head}").replace("35=9", f"{head}35=9"))
        # In order, as on one connection, however late.
        self._due_at = max(self._due_at, self._loop.time() + self._luck.uniform(0.001, LATENCY_S_MAX))
        asyncio.get_running_loop().call_at(self._due_at, self._deliver, number)

    def _deliver(self, number: int) -> None:
        if self.hearer is not None:
            self.hearer(number, self.said[number - 1])


def _as_quote(venue: str, book: LpBook) -> VenueQuote:
    bids, asks = (tuple(Level(rung.price, rung.size / UNITS) for rung in side) for side in (book.bids, book.asks))
    return VenueQuote(
        venue=venue, symbol=book.symbol, bids=bids, asks=asks, venue_at_us=book.at_us, received_at_us=book.at_us
    )
