"""Where an LP's prices come from when nothing was recorded: a seeded random walk around a mid that all LPs share.

Every LP of one range walks the same mid (same seed, same step number), with its own noise and spread, so that their
books cross rarely and by little, as real ones do.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from piggy.simulator.config import LpConfig, SymbolConfig

_PULL_TO_MID = 200
_NOISE_POINTS = 2


class Rung(NamedTuple):
    """One level of an LP's side: price in the quote currency, size in units."""

    price: Decimal
    size: Decimal


class LpBook(NamedTuple):
    """An LP's whole book of one symbol, best first, with the venue's time in UTC microseconds."""

    symbol: str
    bids: tuple[Rung, ...]
    asks: tuple[Rung, ...]
    at_us: int


class Walk:
    """The common mid of one symbol in points, pulled gently back to where it started."""

    def __init__(self, *, symbol: SymbolConfig, seed: int) -> None:
        self._symbol = symbol
        self._random = random.Random(f"{symbol.symbol}:{seed}")
        self._home = int(symbol.mid.scaleb(symbol.digits))
        self.points = self._home

    def step(self) -> int:
        """Move once and return the mid in points."""
        jump = self._random.randint(-self._symbol.step_points, self._symbol.step_points)
        self.points += jump + (self._home - self.points) // _PULL_TO_MID
        return self.points


class Generator:
    """One LP's books of all its symbols."""

    def __init__(self, *, lp: LpConfig, symbols: Mapping[str, SymbolConfig], seed: int = 7) -> None:
        self._lp = lp
        self._symbols = symbols
        self._walks = {name: Walk(symbol=symbol, seed=seed) for name, symbol in symbols.items()}
        self._random = random.Random(f"{lp.name}:{lp.seed}")

    def book(self, *, symbol: str, at_us: int) -> LpBook:
        """Return the next book of `symbol`."""
        terms = self._symbols[symbol]
        mid = self._walks[symbol].step() + self._random.randint(-_NOISE_POINTS, _NOISE_POINTS)
        half = max(1, int(terms.spread_points * self._lp.spread) // 2)
        size = self._lp.level_lots * terms.units_per_lot
        rungs = range(self._lp.depth)
        return LpBook(
            symbol=symbol,
            bids=tuple(Rung(_price(mid - half - i * half, terms.digits), size * (i + 1)) for i in rungs),
            asks=tuple(Rung(_price(mid + half + i * half, terms.digits), size * (i + 1)) for i in rungs),
            at_us=at_us,
        )


def _price(points: int, digits: int) -> Decimal:
    return Decimal(points).scaleb(-digits)
