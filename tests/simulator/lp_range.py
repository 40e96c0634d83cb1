"""The range as its own process, for every test that needs a real LP on a real socket."""

from __future__ import annotations

import os
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
from piggy.adapters.fix.session import FixSession, wall_us
from piggy.adapters.interface import ReportKind, SymbolMapping, VenueReport
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueStatus
from piggy.core.orders import Side
from piggy.simulator import truth
from piggy.simulator.certification.fix_ground import free_ports
from piggy.simulator.config import SYMBOLS, LpConfig

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = tuple(
    SymbolMapping(symbol=symbol.symbol, venue_symbol=symbol.symbol, units_per_lot=symbol.units_per_lot)
    for symbol in SYMBOLS
)


class LpRange:
    def __init__(self, *, home: Path, lps: tuple[LpConfig, ...], **env: str) -> None:
        self.home = home
        self.lps = lps
        self.port_base = free_ports(len(lps))
        self._env = os.environ | {
            "PIGGY_HOME": str(home),
            "PIGGY_LP_PORT_BASE": str(self.port_base),
            "PIGGY_LPS": msgspec.json.encode(lps).decode(),
            "PYTHONPATH": str(ROOT),
            **env,
        }
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "piggy.simulator"],
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._line().startswith("ready")

    def until(self, at_us: int) -> dict[str, int]:
        """Replay to an instant; return market data messages sent by each LP in all."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"until {at_us}\n")
        self._process.stdin.flush()
        return {name: int(sent) for name, sent in (pair.split("=") for pair in self._line().split()[2:])}

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                ended = self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            self._process = None
            assert ended == 0, "an LP that is told to stop does so, and does not crash on its way"

    def truth(self, lp: str) -> dict[tuple[str, str], truth.TruthOrder]:
        return truth.read(path=self.home / "simulator" / lp / truth.FILE_NAME)

    def log(self, lp: str) -> str:
        return (self.home / "simulator" / lp / "messages.log").read_text()

    def session(self, *, lp: str, tenant: str = "acorn", home: Path | None = None, password: str = "") -> SessionConfig:
        index = [config.name for config in self.lps].index(lp)
        return SessionConfig(
            tenant=tenant,
            venue=lp,
            host="127.0.0.1",
            port=self.port_base + index,
            sender_comp_id=tenant.upper(),
            target_comp_id=lp,
            home=(home or self.home / "fix") / tenant / lp,
            symbols=MAPPINGS,
            password=password,
        )

    def _line(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        return self._process.stdout.readline()


def units(lots: str, symbol: str = "EURUSD") -> Decimal:
    return Decimal(lots) * next(m.units_per_lot for m in MAPPINGS if m.symbol == symbol)


class Hearer:
    """Listens to one session; `fail` makes it break once."""

    def __init__(self) -> None:
        self.session: FixSession
        self.states: list[VenueStatus] = []
        self.raw: list[str] = []
        self.reports: list[VenueReport] = []
        self.parked: list[str] = []
        self.fail = False

    def on_state(self, *, status: VenueStatus) -> None:
        self.states.append(status)

    def on_report(self, *, text: str) -> None:
        if self.fail:
            self.fail = False
            raise KeyError("a bug in the listener")
        self.raw.append(text)
        self.reports.append(read_report(text=text, config=self.session.config))

    def on_parked(self, *, text: str, error: str) -> None:
        self.parked.append(error)

    def kinds(self, cl_ord_id: str) -> list[ReportKind]:
        return [report.kind for report in list(self.reports) if report.cl_ord_id == cl_ord_id]


def child(cl_ord_id: str, *, lots: str = "1", limit: str = "2", force: str = "ioc") -> ChildOrderCreated:
    return ChildOrderCreated(
        order_id=cl_ord_id,
        cl_ord_id=cl_ord_id,
        venue="LP1",
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(lots),
        limit_price=Decimal(limit),
        time_in_force=force,
        attempt=1,
    )


def say(session: FixSession, order: ChildOrderCreated) -> bool:
    """Send an order; False where the session is down."""
    return session.send(outbound.new_order(child=order, config=session.config, at_us=wall_us()))


def wait(condition: Callable[[], object], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
