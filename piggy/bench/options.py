"""Bench options: prices with all greeks per second, vectorised."""

from __future__ import annotations

import statistics
import time

import numpy as np

from piggy.core.options import black_scholes

OPTIONS = 1_000_000
# A chain this long stays in the processor's cache, as the options of one underlying do.
CHAIN = 16_384
RUNS_MIN = 3


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return the median rate over runs of a million options (times `scale`), priced chain by chain."""
    total = max(CHAIN, int(OPTIONS * scale))
    rng = np.random.default_rng(7)
    call = rng.random(total) < 0.5
    spot, strike = rng.uniform(0.9, 1.3, total), rng.uniform(0.9, 1.3, total)
    years, volatility = rng.uniform(0.01, 2, total), rng.uniform(0.05, 0.6, total)
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while len(rates) < RUNS_MIN or time.perf_counter() < end:
        began = time.perf_counter()
        for first in range(0, total, CHAIN):
            part = slice(first, first + CHAIN)
            black_scholes(
                call=call[part],
                spot=spot[part],
                strike=strike[part],
                years=years[part],
                rate=0.03,
                volatility=volatility[part],
                carry=0.01,
            )
        rates.append(total / (time.perf_counter() - began))
    return {
        "prices_per_s": round(statistics.median(rates)),
        "load": {"options": total, "chain": CHAIN, "figures_each": 6},
        "runs": len(rates),
    }
