"""What the range is made of: which LPs, how each behaves, which symbols they quote. Frozen, read once at the door."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

PORT_BASE = 9101
TENANTS = ("ACORN", "BIRCH")
# Recorded ticks carry no size; every replayed quote is good for this many lots.
TICK_LOTS = Decimal(10)


class UnableToReadRange(Exception):
    """The environment describes no range that could run; the message names the variable."""


class SymbolConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as the venue trades it: quantities on the wire are in units, `units_per_lot` of them in a lot."""

    symbol: str
    mid: Decimal
    digits: int
    spread_points: int
    units_per_lot: Decimal
    step_points: int = 3


class LpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How one LP behaves; rates are per order, 0 to 1; `spread` multiplies the symbol's usual spread.

    `lot_step` is the smallest step in lots that it says it trades. With `drop_copy` it repeats every report on a second
    session of its tenants, where it is called as `copy_name` says; `lost_rate` of the fills it tells only there.
    """

    name: str
    spread: Decimal = Decimal(1)
    depth: int = 3
    level_lots: Decimal = Decimal(10)
    latency_ms: int = 5
    reject_rate: Decimal = Decimal(0)
    partial_rate: Decimal = Decimal(0)
    quotes_per_s: int = 4
    lot_step: Decimal = Decimal("0.01")
    drop_copy: bool = False
    lost_rate: Decimal = Decimal(0)
    seed: int = 1

    @property
    def copy_name(self) -> str:
        """Its TargetCompID on the drop copy, for a tenant."""
        return f"{self.name}-COPY"


class RangeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole process; `ticks` is a folder of recorded ticks or None, `speed` 0 means driven step by step.

    Passwords are those of the file `secrets`, else those of the brokers' `vault`, else none are asked for.
    """

    home: Path
    lps: tuple[LpConfig, ...]
    symbols: tuple[SymbolConfig, ...]
    port_base: int = PORT_BASE
    tenants: tuple[str, ...] = TENANTS
    ticks: Path | None = None
    ticks_date: str = ""
    speed: int = 1
    secrets: Path | None = None
    vault: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> RangeConfig:
        """Return the range that the environment describes. Raises UnableToReadRange."""
        try:
            speed = env.get("TICKS_SPEED", "1")
            return cls(
                home=Path(env.get("PIGGY_HOME", ".run")).resolve() / "simulator",
                lps=_lps(env),
                symbols=SYMBOLS,
                port_base=int(env.get("PIGGY_LP_PORT_BASE") or PORT_BASE),
                tenants=tuple(env.get("PIGGY_LP_TENANTS", ",".join(TENANTS)).split(",")),
                ticks=Path(env["TICKS"]) if env.get("TICKS") else None,
                ticks_date=env.get("TICKS_DATE", ""),
                speed=0 if speed == "step" else int(speed),
                secrets=Path(env["PIGGY_LP_SECRETS"]) if env.get("PIGGY_LP_SECRETS") else None,
                vault=env.get("PIGGY_LP_VAULT") == "1",
            )
        except (ValueError, msgspec.DecodeError) as error:
            raise UnableToReadRange(f"TICKS_SPEED, PIGGY_LP_PORT_BASE or PIGGY_LPS cannot be read: {error}") from error

    def port(self, lp: LpConfig) -> int:
        """Return the port on which `lp` accepts sessions."""
        return self.port_base + self.lps.index(lp)


def _lps(env: Mapping[str, str]) -> tuple[LpConfig, ...]:
    path = env.get("PIGGY_LPS")
    if not path:
        return LPS
    text = Path(path).read_text() if not path.lstrip().startswith("[") else path
    return msgspec.json.decode(text, type=tuple[LpConfig, ...])


LPS = (
    LpConfig(name="LP1", spread=Decimal(1), depth=3, level_lots=Decimal(10), latency_ms=4, seed=1),
    LpConfig(
        name="LP2",
        spread=Decimal("1.3"),
        depth=5,
        level_lots=Decimal(20),
        latency_ms=12,
        reject_rate=Decimal("0.02"),
        seed=2,
    ),
    LpConfig(
        name="LP3",
        spread=Decimal("1.8"),
        depth=2,
        level_lots=Decimal(30),
        latency_ms=30,
        reject_rate=Decimal("0.05"),
        partial_rate=Decimal("0.1"),
        seed=3,
    ),
)


def _symbol(symbol: str, mid: str, digits: int, spread_points: int, units_per_lot: int, step: int = 3) -> SymbolConfig:
    return SymbolConfig(
        symbol=symbol,
        mid=Decimal(mid),
        digits=digits,
        spread_points=spread_points,
        units_per_lot=Decimal(units_per_lot),
        step_points=step,
    )


SYMBOLS = (
    _symbol("EURUSD", "1.08500", 5, 8, 100_000),
    _symbol("GBPUSD", "1.27200", 5, 12, 100_000),
    _symbol("USDJPY", "151.200", 3, 10, 100_000),
    _symbol("AUDUSD", "0.65300", 5, 10, 100_000),
    _symbol("USDCHF", "0.88400", 5, 12, 100_000),
    _symbol("USDCAD", "1.36100", 5, 12, 100_000),
    _symbol("NZDUSD", "0.60100", 5, 14, 100_000),
    _symbol("XAUUSD", "2350.00", 2, 20, 100, 8),
    _symbol("US500", "5210.00", 2, 40, 1, 25),
    _symbol("BTCUSD", "64250.00", 2, 800, 1, 400),
)
