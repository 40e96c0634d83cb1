"""Where FIX is certified: the range as its own process, so that it can be killed, and the sessions of production."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.inbound import read_report
from piggy.adapters.fix.messages import change_id
from piggy.adapters.fix.session import FixSession, wall_us
from piggy.adapters.interface import ReportKind, Said, SymbolMapping, UnableToReadReport
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueQuote
from piggy.core.orders import Side
from piggy.simulator import truth
from piggy.simulator.certification.ground import POLL_S, Kept, UnableToPass
from piggy.simulator.config import SYMBOLS, LpConfig

WAIT_S_MAX = 20.0
TENANT, SYMBOL, AGREED = "acorn", "EURUSD", "agreed-upon"
UNITS = Decimal(100_000)
LPS = (
    LpConfig(name="LP1", latency_ms=2, quotes_per_s=10, depth=3, level_lots=Decimal(10)),
    LpConfig(name="LP2", latency_ms=2, quotes_per_s=10, reject_rate=Decimal(1)),
    LpConfig(name="LP3", latency_ms=800, quotes_per_s=10, seed=3),
)
# It says that it deals in whole lots, which is not what our mapping takes it for.
COARSE = LpConfig(name="LP4", lot_step=Decimal(1))
RANGE = (*LPS, COARSE)
PORTS = range(15_000, 32_000)


class FixKept(Kept):
    """Keeps reports read from FIX text, once by their key."""

    def __init__(self) -> None:
        super().__init__()
        self.config: SessionConfig | None = None

    def on_report(self, *, text: str) -> None:
        """Read and keep a report."""
        assert self.config is not None
        try:
            self.on_said(said=Said(read_report(text=text, config=self.config), text))
        except UnableToReadReport as error:
            self.on_parked(text=text, error=str(error))


class FixGround:
    """LP1 is well-behaved, LP2 refuses every order, LP3 answers late; LP1 agreed on a password."""

    def __init__(self, *, home: Path) -> None:
        self.home = home
        self._serial = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._port_base = free_ports(len(RANGE))
        (home / "secrets.json").write_text(json.dumps({f"{TENANT}/LP1": AGREED}))
        self.kept: dict[str, FixKept] = {lp.name: FixKept() for lp in RANGE}
        self.sessions: dict[str, FixSession] = {}
        self.created: dict[str, ChildOrderCreated] = {}

    def start(self) -> None:
        """Start the range and log on to all LPs."""
        self.come_back()
        for lp in LPS:
            self.log_on(lp.name)

    def stop(self) -> None:
        """Log out and stop the range."""
        for name in list(self.sessions):
            self.log_out(name)
        self.go_away()

    def heal(self) -> None:
        """Bring back what a scenario left broken."""
        self.come_back()
        for lp in LPS:
            if lp.name not in self.sessions:
                self.log_on(lp.name)

    def come_back(self) -> None:
        """Start the range unless it runs."""
        if self._process is not None:
            return
        env = os.environ | {
            "PIGGY_HOME": str(self.home),
            "PIGGY_LP_PORT_BASE": str(self._port_base),
            "PIGGY_LPS": msgspec.json.encode(RANGE).decode(),
            "PIGGY_LP_SECRETS": str(self.home / "secrets.json"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        env.pop("TICKS", None)
        log = (self.home / "range.log").open("ab")
        self._process = subprocess.Popen([sys.executable, "-m", "piggy.simulator"], env=env, stdout=log, stderr=log)

    def go_away(self) -> None:
        """Kill the range."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log_on(self, lp: str, *, password: str = AGREED, kept: FixKept | None = None) -> FixSession:
        """Start a session with one LP."""
        kept = kept or self.kept[lp]
        kept.config = self.config(lp, password)
        session = FixSession(config=kept.config, listener=kept)
        session.start()
        self.sessions[lp] = session
        return session

    def log_out(self, lp: str) -> None:
        """End the session with one LP."""
        self.sessions.pop(lp).stop()

    def config(self, lp: str, password: str = AGREED) -> SessionConfig:
        """Return the configuration of one session."""
        index = [one.name for one in RANGE].index(lp)
        mappings = tuple(
            SymbolMapping(symbol=s.symbol, venue_symbol=s.symbol, units_per_lot=s.units_per_lot) for s in SYMBOLS[:3]
        )
        return SessionConfig(
            tenant=TENANT,
            venue=lp,
            host="127.0.0.1",
            port=self._port_base + index,
            sender_comp_id=TENANT.upper(),
            target_comp_id=lp,
            home=self.home / "fix" / lp,
            symbols=mappings,
            password=password if lp == "LP1" else "",
        )

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Return once `condition` holds. Raises UnableToPass."""
        deadline = time.monotonic() + WAIT_S_MAX
        while not condition():
            if time.monotonic() > deadline:
                parked = [kept.parked[-1:] for kept in self.kept.values()]
                raise UnableToPass(f"{what}; parked: {parked}")
            time.sleep(POLL_S)

    def wait_quoted(self, lp: str = "LP1") -> None:
        """Return once orders may go and there is a price to trade at."""
        self.wait(lambda: lp in self.sessions and self.sessions[lp].ready, f"{lp} never became ready")
        self.wait(lambda: (quote := self.quote(lp)) and quote.asks, f"{lp} shows no price")

    def quote(self, lp: str = "LP1") -> VenueQuote | None:
        """Return the session's book."""
        return next((quote for quote in self.sessions[lp].all_quotes() if quote.symbol == SYMBOL), None)

    def prepare(self, lp: str, *, lots: str = "1", limit: str = "2", force: str = "ioc") -> str:
        """Return the id of a new order that is not sent yet."""
        self._serial += 1
        cl_ord_id = f"f{time.time_ns() // 1_000_000}{self._serial}-{lp}-1"
        self.created[cl_ord_id] = ChildOrderCreated(
            order_id=cl_ord_id.partition("-")[0],
            cl_ord_id=cl_ord_id,
            venue=lp,
            symbol=SYMBOL,
            side=Side.BUY,
            quantity=Decimal(lots),
            limit_price=Decimal(limit),
            time_in_force=force,
            attempt=1,
        )
        return cl_ord_id

    def send(self, cl_ord_id: str) -> bool:
        """Let an order leave; False: it did not. Raises UnableToTranslate."""
        child = self.created[cl_ord_id]
        session = self.sessions[child.venue]
        terms = session.tradables.terms_of(symbol=child.symbol)
        return session.send(outbound.new_order(child=child, config=session.config, at_us=wall_us(), terms=terms))

    def replace(self, cl_ord_id: str, *, lots: str, limit: str, change: int = 1) -> None:
        """Ask for other terms of an order, as its change of that number; the one before it was taken."""
        child = msgspec.structs.replace(self.created[cl_ord_id], quantity=Decimal(lots), limit_price=Decimal(limit))
        session = self.sessions[child.venue]
        text = outbound.replace(child=child, change=change, latest=change - 1, config=session.config, at_us=wall_us())
        session.send(text)

    def stands(self, cl_ord_id: str, standing: str) -> bool:
        """Whether a report that changes nothing here said so."""
        said = self.kept[self.created[cl_ord_id].venue].of(cl_ord_id, ReportKind.IGNORED)
        return any(each.report.standing == standing for each in said)

    def place(self, lp: str = "LP1", *, lots: str = "1", limit: str = "2", force: str = "ioc") -> str:
        """Send a new order and return its id."""
        self.wait_quoted(lp)
        cl_ord_id = self.prepare(lp, lots=lots, limit=limit, force=force)
        if not self.send(cl_ord_id):
            raise UnableToPass("the order could not be sent")
        return cl_ord_id

    def cancel(self, cl_ord_id: str, *, change: int = 0) -> bool:
        """Ask for the end of an order that had so many changes."""
        child = self.created[cl_ord_id]
        session = self.sessions[child.venue]
        text = outbound.cancel(
            cl_ord_id=change_id(cl_ord_id=cl_ord_id, change=change),
            symbol=SYMBOL,
            side=child.side,
            quantity=child.quantity,
            config=session.config,
            at_us=wall_us(),
        )
        return session.send(text)

    def status(self, cl_ord_id: str) -> Said:
        """Ask for an order's status and return the answer. Raises UnableToPass."""
        child = self.created[cl_ord_id]
        session, kept = self.sessions[child.venue], self.kept[child.venue]
        before = len(kept.of(cl_ord_id, ReportKind.STATUS))
        text = outbound.status_request(cl_ord_id=cl_ord_id, symbol=SYMBOL, side=child.side, config=session.config)
        session.send(text)
        self.wait(lambda: len(kept.of(cl_ord_id, ReportKind.STATUS)) > before, "no status came")
        return kept.of(cl_ord_id, ReportKind.STATUS)[-1]

    def has(self, cl_ord_id: str, kind: ReportKind) -> bool:
        """Whether a report of that kind was heard."""
        return bool(self.kept[self.created[cl_ord_id].venue].of(cl_ord_id, kind))

    def filled(self, cl_ord_id: str) -> Decimal:
        """Return the lots that we heard of."""
        return self.kept[self.created[cl_ord_id].venue].filled(cl_ord_id)

    def truth(self, cl_ord_id: str) -> truth.TruthOrder | None:
        """Return the order as the LP has it."""
        path = self.home / "simulator" / self.created[cl_ord_id].venue / truth.FILE_NAME
        return truth.read(path=path).get((TENANT.upper(), cl_ord_id))

    def truth_lots(self, cl_ord_id: str) -> Decimal:
        """Return what the LP filled of it."""
        order = self.truth(cl_ord_id)
        return order.filled / UNITS if order else Decimal(0)


def free_ports(count: int) -> int:
    """Return the first of `count` ports in a row that nobody listens on.

    None of those from which the system takes an outgoing connection's: one may be gone before its LP listens.
    """
    luck = random.SystemRandom()
    for _ in range(100):
        first = luck.randrange(PORTS.start, PORTS.stop - count)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise UnableToPass("no free ports in a row")
