"""Where an adapter is certified: the venue's own server, the driver of production, and a listener that counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from msgspec import structs

from piggy.adapters.driver import Driver
from piggy.adapters.interface import Order, ReportKind, Said, SymbolMapping, VenueConfig, VenueSession
from piggy.adapters.registry import transport_of
from piggy.core.commands import RecordVenueFill
from piggy.core.events import ChildOrderCreated
from piggy.core.market import Level, VenueQuote, VenueState, VenueStatus
from piggy.core.orders import Side
from piggy.simulator.mt5 import TerminalServer
from piggy.simulator.server import SocketServer
from piggy.simulator.truth import TruthOrder

WAIT_S_MAX = 12.0
POLL_S = 0.01


class UnableToPass(AssertionError):
    """The adapter did not do what the scenario asks; the text says what was seen."""


class Kept:
    """Keeps every report once by its key, as the worker's database does."""

    def __init__(self) -> None:
        self.by_key: dict[str, Said] = {}
        self.repeats = 0
        self.parked: list[str] = []
        self.states: list[VenueState] = []
        self._lock = threading.Lock()

    def on_state(self, *, status: VenueStatus) -> None:
        """Note a turn of the session."""
        self.states.append(status.state)

    def on_said(self, *, said: Said) -> None:
        """Keep a report, once."""
        with self._lock:
            self.repeats += said.report.key in self.by_key
            self.by_key.setdefault(said.report.key, said)

    def on_parked(self, *, text: str, error: str) -> None:
        """Note what could not be read."""
        self.parked.append(f"{error}: {text[:200]}")

    def of(self, client_id: str, kind: ReportKind) -> list[Said]:
        """Return reports of one order and kind, oldest first."""
        with self._lock:
            found = list(self.by_key.values())
        return [said for said in found if said.report.cl_ord_id == client_id and said.report.kind is kind]

    def fills(self, client_id: str) -> list[RecordVenueFill]:
        """Return the executions of one order."""
        commands = [said.report.command for said in self.of(client_id, ReportKind.FILL)]
        return [command for command in commands if isinstance(command, RecordVenueFill)]

    def filled(self, client_id: str) -> Decimal:
        """Return the lots that all fills of one order make."""
        return sum((fill.quantity for fill in self.fills(client_id)), Decimal(0))


class Ground:
    """One adapter against one server; `symbol` is ours, `lots` an order that the best level can fill."""

    def __init__(
        self,
        *,
        server: SocketServer | TerminalServer,
        config: VenueConfig,
        session_class: Callable[..., VenueSession],
        lots: Decimal = Decimal("0.5"),
    ) -> None:
        # Who must not be let in.
        self.stranger = structs.replace(config, key="stranger", secret="wrong")
        self.server = server
        self.config = config
        self.session_class = session_class
        self.lots = lots
        self.mapping: SymbolMapping = config.symbols[0]
        self.symbol = self.mapping.symbol
        self.kept = Kept()
        self.driver = self.make_driver(config, self.kept)
        self.created: dict[str, ChildOrderCreated] = {}
        self._serial = 0

    def make_driver(self, config: VenueConfig, kept: Kept) -> Driver:
        """Return another driver of the same venue."""
        transport = transport_of(config=config)
        return Driver(session=self.session_class(config=config), listener=kept, transport=transport)

    def start(self) -> None:
        """Connect."""
        self.driver.start()

    def stop(self) -> None:
        """Disconnect and close the server."""
        self.driver.stop()
        self.server.stop()

    def heal(self) -> None:
        """Bring back what a scenario left broken."""
        self.server.come_back()
        self.server.resume()

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Return once `condition` holds. Raises UnableToPass."""
        deadline = time.monotonic() + WAIT_S_MAX
        while not condition():
            if time.monotonic() > deadline:
                raise UnableToPass(f"{what}; {self.seen()}")
            time.sleep(POLL_S)

    def seen(self) -> str:
        """Return in words what may explain a wait in vain; a fault that never happened is the simulator's doing."""
        waiting = self.server.faults.waiting
        unplayed = f"; never happened at the simulator: {', '.join(waiting)}" if waiting else ""
        return f"session: {self.driver.status().text}; parked: {self.kept.parked[-1:]}{unplayed}"

    def wait_ready(self) -> None:
        """Return once orders may go."""
        self.wait(lambda: self.driver.ready, "the session never became ready")

    def quote(self, symbol: str = "") -> VenueQuote | None:
        """Return the adapter's book of a symbol."""
        wanted = symbol or self.symbol
        return next((quote for quote in self.driver.all_quotes() if quote.symbol == wanted), None)

    def truth_levels(self, symbol: str = "") -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return the server's book in our lots."""
        mapping = self.config.to_venue[symbol or self.symbol]
        book, _ = self.server.exchange.snapshot(symbol=self.server_symbol(mapping))
        sides = []
        for rungs in (book.bids, book.asks):
            shown = rungs[: self.config.depth]
            sides.append(tuple(Level(price=r.price, size=r.size / mapping.units_per_lot) for r in shown))
        return sides[0], sides[1]

    def lots_offered(self) -> Decimal:
        """Return the lots of the whole ask side, shown to us or not."""
        book, _ = self.server.exchange.snapshot(symbol=self.server_symbol(self.mapping))
        return sum((rung.size for rung in book.asks), Decimal(0)) / self.mapping.units_per_lot

    def server_symbol(self, mapping: SymbolMapping) -> str:
        """Return what the server calls a symbol inside."""
        return mapping.venue_symbol.replace("/", "")

    def books_agree(self) -> bool:
        """Whether every book equals the server's."""
        for symbol in self.config.to_venue:
            quote = self.quote(symbol)
            if quote is None or (quote.bids, quote.asks) != self.truth_levels(symbol):
                return False
        return True

    def child(self, *, lots: Decimal, reach: str = "cross", force: str = "ioc", side: Side = Side.BUY) -> str:
        """Prepare an order and return its id; `reach` is cross (any price) or rest (far from the market)."""
        self._serial += 1
        cl_ord_id = f"c{time.time_ns() // 1_000_000}{self._serial}-{self.config.venue}-1"
        mid = self.truth_levels()[1][0].price
        away = Decimal("1.02") if (reach == "cross") == (side is Side.BUY) else Decimal("0.9")
        tick = Decimal(1).scaleb(-self.server.exchange.symbols[self.server_symbol(self.mapping)].digits)
        price = (mid * away / tick).to_integral_value() * tick
        self.created[cl_ord_id] = ChildOrderCreated(
            order_id=cl_ord_id.partition("-")[0],
            cl_ord_id=cl_ord_id,
            venue=self.config.venue,
            symbol=self.symbol,
            side=side,
            quantity=lots,
            limit_price=price,
            time_in_force=force,
            attempt=1,
        )
        return cl_ord_id

    def place(self, *, lots: Decimal | None = None, reach: str = "cross", force: str = "ioc") -> str:
        """Place an order and return its id."""
        self.wait_ready()
        cl_ord_id = self.child(lots=lots or self.lots, reach=reach, force=force)
        self.send(cl_ord_id)
        return cl_ord_id

    def send(self, cl_ord_id: str) -> None:
        """Send a prepared order."""
        self.driver.place(child=self.created[cl_ord_id], wait_s=0.0)

    def order(self, cl_ord_id: str) -> Order:
        """Return an order as the worker would have it."""
        child = self.created[cl_ord_id]
        client_id = self.client_id(cl_ord_id)
        return Order(
            cl_ord_id=cl_ord_id,
            client_id=client_id,
            symbol=child.symbol,
            side=child.side,
            quantity=child.quantity,
            limit_price=child.limit_price,
            time_in_force=child.time_in_force,
            filled=self.kept.filled(client_id),
            created_at_us=int(cl_ord_id[1:14]) * 1_000,
        )

    def client_id(self, cl_ord_id: str) -> str:
        """Return what the venue calls the order."""
        return self.driver.venue.client_id(cl_ord_id=cl_ord_id)

    def truth(self, cl_ord_id: str) -> TruthOrder | None:
        """Return the order as the venue has it."""
        return self.server.exchange.find(cl_ord_id=self.client_id(cl_ord_id))

    def truth_lots(self, cl_ord_id: str) -> Decimal:
        """Return what the venue filled of it."""
        order = self.truth(cl_ord_id)
        return order.filled / self.mapping.units_per_lot if order else Decimal(0)

    def has(self, cl_ord_id: str, kind: ReportKind) -> bool:
        """Whether a report of that kind was heard."""
        return bool(self.kept.of(self.client_id(cl_ord_id), kind))

    def filled(self, cl_ord_id: str) -> Decimal:
        """Return the lots that we heard of."""
        return self.kept.filled(self.client_id(cl_ord_id))

    def settle(self, cl_ord_id: str, what: str) -> Said:
        """Ask for a status until there is one; return it. Raises UnableToPass."""
        client_id = self.client_id(cl_ord_id)
        asked_at = 0.0

        def answered() -> bool:
            nonlocal asked_at
            if time.monotonic() - asked_at > 0.5:
                asked_at = time.monotonic()
                self.driver.ask_status(order=self.order(cl_ord_id))
            return bool(self.kept.of(client_id, ReportKind.STATUS))

        self.wait(answered, what)
        return self.kept.of(client_id, ReportKind.STATUS)[-1]


def home_of(*, name: str, home: Path) -> Path:
    """Return a new folder for one run of a pack."""
    path = home / f"certify-{name}-{time.time_ns()}"
    path.mkdir(parents=True)
    return path
