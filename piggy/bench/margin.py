"""Bench margin: a tick, a full revaluation and a stop-out sweep over the screening arrays."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from piggy.core.instruments import AssetClass, Instrument
from piggy.core.margin_screen import MarginScreen

ACCOUNTS, POSITIONS_EACH, SYMBOLS = 100_000, 3, 10
FULL_POSITIONS = 1_000_000
BID, ASK = 110_000, 110_010
LIQUIDATED = 10_000
RUNS_MIN, RUNS_MAX = 5, 50


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return medians in milliseconds; `scale` multiplies the accounts, `seconds` bounds all three together."""
    share = seconds / 3
    accounts = max(100, int(ACCOUNTS * scale))
    screen = desk(accounts=accounts, each=POSITIONS_EACH)
    prices = {f"S{number}": (BID, ASK) for number in range(SYMBOLS)}
    screen.revalue(prices=prices)
    moves = iter(range(1, 1_000_000))
    tick_ms, tick_runs = _median(
        lambda: screen.tick(symbol="S0", bid=BID + next(moves) % 50, ask=ASK + 50), share=share
    )
    # The tenth of the accounts with nothing in it is at its level by construction.
    screen.balance[: int(LIQUIDATED * scale)] = 0
    screen.revalue(prices=prices)
    found = len(screen.sweep().accounts)
    stopout_ms, stopout_runs = _median(screen.sweep, share=share)
    full = desk(accounts=accounts, each=int(FULL_POSITIONS * scale) // accounts)
    full_ms, full_runs = _median(lambda: full.revalue(prices=prices), share=share)
    return {
        "tick_ms": tick_ms,
        "full_ms": full_ms,
        "stopout_ms": stopout_ms,
        "load": {
            "accounts": accounts,
            "positions": accounts * POSITIONS_EACH,
            "tick_positions": screen.blocks["S0", "USD"].rows,
            "full_positions": sum(block.rows for block in full.blocks.values()),
            "liquidations": found,
        },
        "runs": {"tick": tick_runs, "full": full_runs, "stopout": stopout_runs},
    }


def desk(*, accounts: int, each: int) -> MarginScreen:
    """Return a seeded desk: `each` positions per account, spread evenly over the symbols."""
    rng = np.random.default_rng(7)
    screen = MarginScreen(accounts=accounts)
    screen.balance[:] = 100_000 * 1_000_000
    total = accounts * each
    owner = np.arange(total, dtype=np.int64) % accounts
    symbol = (np.arange(total, dtype=np.int64) // accounts + owner) % SYMBOLS
    for number in range(SYMBOLS):
        mine = owner[symbol == number]
        block = screen.add_block(instrument=_instrument(f"S{number}"), currency="USD", rate=Decimal(1))
        lots = rng.integers(1, 500, len(mine)) * rng.choice(np.array([-1, 1]), len(mine))
        cost = lots * rng.integers(BID - 300, BID + 300, len(mine))
        screen.add_rows(block=block, account=mine, lots=lots, cost=cost, weight=np.abs(lots) * 333)
    return screen


def _instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        asset_class=AssetClass.FX_MAJOR,
        base="EUR",
        quote="USD",
        contract_size=Decimal(100_000),
        price_digits=5,
        tick_size=Decimal("0.00001"),
    )


def _median(work: Callable[[], object], *, share: float) -> tuple[float, int]:
    times: list[float] = []
    gc.collect()
    end = time.perf_counter() + share
    while len(times) < RUNS_MIN or (time.perf_counter() < end and len(times) < RUNS_MAX):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1_000)
    return round(statistics.median(times), 3), len(times)
