"""Margin screening: every account revalued on every tick, in integers, to find the few that need an exact look.

Struct of arrays, one block per symbol and account currency. Money is int64 in millionths of the account's currency;
prices are points, quantities lot points, so floating profit is exact before one conversion factor of eight digits. What
comes out is a superset of the accounts at or below their level (the slack covers the factor's last digit);
`stopout.ladder` then decides in Decimal. Ranges are checked before multiplying: a block that could wrap refuses. The
dealers' margin watch (engine/margin_scan.py) finds the lowest levels of all accounts here, once a second.
Without tiers and news windows, which move a row's weight, `used` is exact too; with them weights are renewed on fills.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from piggy.core.instruments import Instrument

Ints = NDArray[np.int64]
MICRO = 1_000_000
PERCENT_SCALE = 100  # Weights are lot points times percent in hundredths, 3.33 % as 333.
FACTOR_DIGITS = 8
RANGE_MAX = 2**62
SLACK_SHIFT = 23  # A 2 ** -23 part, a little above the 1e-8 that a factor can be off, twice.
ROWS_AT_FIRST = 64
LEVEL_AT_FIRST = 5_000


class UnableToScreen(Exception):
    """A product could leave 64 bits, or a row or account does not exist; nothing was changed."""


@dataclass(slots=True, frozen=True)
class Factor:
    """Millionths of account currency per raw unit: a numerator of at most eight digits over a power of ten."""

    numerator: int
    denominator: int

    @classmethod
    def of(cls, *, value: Decimal) -> Factor:
        if not (value.is_finite() and value > 0):
            raise UnableToScreen(f"no factor can be {value}")
        shift = max(0, FACTOR_DIGITS - 1 - value.adjusted())
        return cls(int(value.scaleb(shift).to_integral_value()), 10**shift)


@dataclass(slots=True)
class Block:
    """All positions of one symbol in accounts of one currency; rows past `rows` are spare."""

    profit: Factor
    margin: Factor
    rows: int = 0
    lots_max: int = 0
    cost_max: int = 0
    weight_max: int = 0
    account: Ints = field(default_factory=lambda: _zeros(ROWS_AT_FIRST))
    lots: Ints = field(default_factory=lambda: _zeros(ROWS_AT_FIRST))
    cost: Ints = field(default_factory=lambda: _zeros(ROWS_AT_FIRST))
    weight: Ints = field(default_factory=lambda: _zeros(ROWS_AT_FIRST))
    floating: Ints = field(default_factory=lambda: _zeros(ROWS_AT_FIRST))
    used: Ints = field(default_factory=lambda: _zeros(ROWS_AT_FIRST))

    def revalued(self, *, bid: int, ask: int) -> tuple[Ints, Ints]:
        """Return floating profit and used margin of every row at these prices (points)."""
        raw_max = self.lots_max * ask + self.cost_max
        if max(raw_max * self.profit.numerator, self.weight_max * (bid + ask) * self.margin.numerator) >= RANGE_MAX:
            raise UnableToScreen("a position times its price leaves 64 bits")
        lots = self.lots[: self.rows]
        floating = np.where(lots > 0, bid, ask)
        floating *= lots
        floating -= self.cost[: self.rows]
        floating *= self.profit.numerator
        floating //= self.profit.denominator
        used = self.weight[: self.rows] * ((bid + ask) * self.margin.numerator)
        used //= self.margin.denominator
        return floating, used

    def grow(self, *, rows: int) -> None:
        """Make room for `rows` more, doubling, so that adding stays cheap."""
        needed = self.rows + rows
        if needed <= len(self.account):
            return
        size = max(needed, 2 * len(self.account))
        for name in ("account", "lots", "cost", "weight", "floating", "used"):
            bigger = _zeros(size)
            bigger[: self.rows] = getattr(self, name)[: self.rows]
            setattr(self, name, bigger)


@dataclass(slots=True, frozen=True)
class Liquidations:
    """Accounts to look at, the lowest margin level first, and their positions, the largest loser first.

    Arrays of equal length: `account`, `block` (index into `MarginScreen.keys`) and `row`.
    """

    accounts: Ints
    account: Ints
    block: Ints
    row: Ints


class MarginScreen:
    """All accounts of a desk as arrays; account ids here are dense integers that the caller hands out."""

    def __init__(self, *, accounts: int) -> None:
        self.balance = _zeros(accounts)
        self.floating = _zeros(accounts)
        self.used = _zeros(accounts)
        self.level = np.full(accounts, LEVEL_AT_FIRST, dtype=np.int64)
        self.blocks: dict[tuple[str, str], Block] = {}
        self.keys: list[tuple[str, str]] = []
        self._by_symbol: dict[str, list[Block]] = {}

    def room(self, *, accounts: int) -> None:
        """Make room for so many accounts, at least doubling, so that adding stays cheap."""
        known = len(self.balance)
        if accounts <= known:
            return
        more = max(accounts, 2 * known) - known
        self.balance, self.floating, self.used = (
            np.concatenate((each, _zeros(more))) for each in (self.balance, self.floating, self.used)
        )
        self.level = np.concatenate((self.level, np.full(more, LEVEL_AT_FIRST, dtype=np.int64)))

    def add_block(self, *, instrument: Instrument, currency: str, rate: Decimal) -> Block:
        """Make the block of a symbol and an account currency at `rate` account currency per quote currency."""
        block = Block(*_factors(instrument, rate))
        self.blocks[instrument.symbol, currency] = block
        self.keys.append((instrument.symbol, currency))
        self._by_symbol.setdefault(instrument.symbol, []).append(block)
        return block

    def convert(self, *, instrument: Instrument, currency: str, rate: Decimal) -> None:
        """Take a new conversion rate; the block's rows follow at its next tick or full revaluation."""
        block = self.blocks[instrument.symbol, currency]
        block.profit, block.margin = _factors(instrument, rate)

    def add_rows(self, *, block: Block, account: Ints, lots: Ints, cost: Ints, weight: Ints) -> range:
        """Append positions, all worth nothing until the next tick; return their rows."""
        count = len(account)
        block.grow(rows=count)
        rows = range(block.rows, block.rows + count)
        part = slice(block.rows, block.rows + count)
        block.account[part], block.lots[part] = account, lots
        block.cost[part], block.weight[part] = cost, weight
        block.rows += count
        _widen(block, part)
        return rows

    def set_row(self, *, block: Block, row: int, lots: int, cost: int, weight: int) -> None:
        """A fill changed a position: its new signed lot points, cost (lot points times points), weight; 0 when flat."""
        if not 0 <= row < block.rows:
            raise UnableToScreen(f"no row {row}")
        block.lots[row], block.cost[row], block.weight[row] = lots, cost, weight
        _widen(block, slice(row, row + 1))

    def tick(self, *, symbol: str, bid: int, ask: int) -> Ints:
        """Revalue the symbol's positions at new prices (points); return the accounts to look at exactly, sorted."""
        touched: list[Ints] = []
        for block in self._by_symbol.get(symbol, ()):
            floating, used = block.revalued(bid=bid, ask=ask)
            accounts = block.account[: block.rows]
            np.add.at(self.floating, accounts, floating - block.floating[: block.rows])
            np.add.at(self.used, accounts, used - block.used[: block.rows])
            block.floating[: block.rows], block.used[: block.rows] = floating, used
            touched.append(accounts[self._low(accounts)])
        return np.unique(np.concatenate(touched)) if touched else _zeros(0)

    def revalue(self, *, prices: dict[str, tuple[int, int]]) -> None:
        """Value everything anew at bid and ask of every symbol (points): the sums are made from nothing."""
        self.floating[:] = 0
        self.used[:] = 0
        for (symbol, _), block in self.blocks.items():
            bid, ask = prices[symbol]
            floating, used = block.revalued(bid=bid, ask=ask)
            block.floating[: block.rows], block.used[: block.rows] = floating, used
            accounts = block.account[: block.rows]
            np.add.at(self.floating, accounts, floating)
            np.add.at(self.used, accounts, used)

    def lowest(self, *, count: int) -> Ints:
        """Return at most `count` accounts that use margin, the lowest level (to a tenth of a percent) first."""
        accounts = np.flatnonzero(self.used > 0)
        tenths = self._tenths(accounts)
        if len(accounts) > count:
            near = np.argpartition(tenths, count - 1)[:count]
            accounts, tenths = accounts[near], tenths[near]
        return accounts[np.lexsort((accounts, tenths))]

    def sweep(self) -> Liquidations:
        """Find every account at or below its level and order its positions for closing."""
        accounts = np.flatnonzero(self._low(slice(None)))
        accounts = accounts[np.lexsort((accounts, self._tenths(accounts)))]
        rank = np.full(len(self.balance), -1, dtype=np.int64)
        rank[accounts] = np.arange(len(accounts))
        ranks, losses, blocks, rows = [_zeros(0)], [_zeros(0)], [_zeros(0)], [_zeros(0)]
        for index, key in enumerate(self.keys):
            block = self.blocks[key]
            place = rank[block.account[: block.rows]]
            found = np.flatnonzero((place >= 0) & (block.lots[: block.rows] != 0))
            ranks.append(place[found])
            losses.append(block.floating[found])
            blocks.append(np.full(len(found), index, dtype=np.int64))
            rows.append(found)
        place, loss = np.concatenate(ranks), np.concatenate(losses)
        order = np.lexsort((loss, place))
        return Liquidations(
            accounts=accounts,
            account=accounts[place[order]],
            block=np.concatenate(blocks)[order],
            row=np.concatenate(rows)[order],
        )

    def _tenths(self, accounts: Ints) -> Ints:
        """Return margin levels in tenths of a percent, so that no balance wraps; of no margin used, the equity."""
        return (self.balance[accounts] + self.floating[accounts]) // (self.used[accounts] // 1_000 + 1)

    def _low(self, which: Ints | slice) -> NDArray[np.bool_]:
        """Return which accounts may be at or below their level (hundredths of a percent), with slack for rounding."""
        floating, used = self.floating[which], self.used[which]
        slack = (np.abs(floating) + used) >> SLACK_SHIFT
        equity = self.balance[which] + floating - slack
        # Divided before it is multiplied, and one up, so that no balance can wrap; what this adds is looked at exactly.
        # Who binds nothing is low when nothing is left.
        return ((used > 0) | (equity < 0)) & (equity <= (used // (100 * PERCENT_SCALE) + 1) * self.level[which])


def _factors(instrument: Instrument, rate: Decimal) -> tuple[Factor, Factor]:
    """Return millionths per raw profit unit, and per weight unit times (bid + ask)."""
    unit = instrument.contract_size.scaleb(-instrument.lot_digits - instrument.price_digits) * rate * MICRO
    return Factor.of(value=unit), Factor.of(value=unit / (2 * 100 * PERCENT_SCALE))


def _widen(block: Block, part: slice) -> None:
    block.lots_max = max(block.lots_max, int(np.abs(block.lots[part]).max(initial=0)))
    block.cost_max = max(block.cost_max, int(np.abs(block.cost[part]).max(initial=0)))
    block.weight_max = max(block.weight_max, int(np.abs(block.weight[part]).max(initial=0)))


def _zeros(size: int) -> Ints:
    return np.zeros(size, dtype=np.int64)
