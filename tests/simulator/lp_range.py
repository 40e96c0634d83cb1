"""The range as its own process, for every test that needs a real LP on a real socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.interface import SymbolMapping
from piggy.simulator import truth
from piggy.simulator.config import SYMBOLS, LpConfig

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = tuple(
    SymbolMapping(symbol=symbol.symbol, venue_symbol=symbol.symbol, units_per_lot=symbol.units_per_lot)
    for symbol in SYMBOLS
)


def free_ports(count: int) -> int:
    """Return the first of `count` ports in a row that nobody listens on."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


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
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

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
