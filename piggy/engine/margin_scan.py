"""The margin watch of the dealers' page: of all accounts with positions, those with the lowest margin levels.

All of them lie in the arrays of core/margin_screen.py, revalued once a second, a few symbols at a time; the lowest are
then looked at exactly, at the prices of now. An account that changed is taken into the arrays anew, a few at each step,
so that no order ever waits for them. What the arrays cannot hold is looked at exactly every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from piggy.core.conversion import Touch
from piggy.core.desk import Desk
from piggy.core.funds import Funds, rate_of, stop_out_percent
from piggy.core.instruments import Instrument
from piggy.core.margin_screen import RANGE_MAX, Block, MarginScreen, UnableToScreen
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.positions import Position
from piggy.engine.desk_rows import MONEY_STEP, Row

ACCOUNTS_SHOWN = 60
# The arrays know no price profiles; among some more than are shown the exact look finds the lowest.
ACCOUNTS_SCREENED = 80
# Some 15 us each: an order waits at most a few milliseconds.
ACCOUNTS_PER_STEP = 200
SYMBOLS_AT_ONCE = 50
ODD_MAX = 200
MICRO_DIGITS = 6
MICRO_MAX = 2**60
HUNDRED = Decimal(100)
PERCENT_STEP = Decimal("0.1")

Rows = dict[str, Row]
Key = tuple[str, str]


class MarginScan:
    """One tenant's accounts by margin level."""

    def __init__(self) -> None:
        self._begin(None)

    def forget(self, *, account_id: str) -> None:
        """Something of the account changed."""
        self._due[account_id] = None

    def step(self, *, desk: Desk) -> None:
        """Take the next few of the accounts that changed into the arrays."""
        if desk is not self._desk or _settings(desk) != self._settings:
            self._begin(desk)
        for _ in range(min(ACCOUNTS_PER_STEP, len(self._due))):
            account_id = next(iter(self._due))
            del self._due[account_id]
            if account_id in desk.state.accounts:
                self._take(desk, account_id)

    def value(self, *, desk: Desk, moment: Moment) -> Iterator[None]:
        """Revalue every symbol whose price, conversion or positions changed; yield wherever orders may pass."""
        keys = list(self._screen.keys)
        for symbol, currency in keys:
            instrument = desk.state.instruments[symbol]
            if instrument.quote != currency:
                self._convert(moment, instrument, currency)
        for count, symbol in enumerate(dict.fromkeys(symbol for symbol, _ in keys), start=1):
            self._tick(desk, moment, symbol)
            if not count % SYMBOLS_AT_ONCE:
                yield

    def shown(self, *, desk: Desk, moment: Moment) -> Rows:
        """Return the accounts with the lowest margin levels as last valued, at the prices of now, the lowest first."""
        screened = self._screen.lowest(count=ACCOUNTS_SCREENED)
        accounts = dict.fromkeys([*(self._accounts[number] for number in screened), *list(self._odd)[:ODD_MAX]])
        rows = [_margin_row(desk, moment, each) for each in accounts if desk.state.positions_of.get(each)]
        return {row["account_id"]: row for row in sorted(rows, key=_level)[:ACCOUNTS_SHOWN]}

    def _begin(self, desk: Desk | None) -> None:
        """Start from nothing: another desk, or settings that may concern every account."""
        self._desk = desk
        self._settings = _settings(desk) if desk else ()
        self._screen = MarginScreen(accounts=ACCOUNTS_PER_STEP)
        self._numbers: dict[str, int] = {}
        self._accounts: list[str] = []
        self._rows: dict[str, dict[str, tuple[Key, int]]] = {}
        self._spare: dict[tuple[str, Key], list[int]] = {}
        self._valued: dict[str, tuple[int, int]] = {}
        self._odd: dict[str, None] = {}
        held = desk.state.positions_of if desk else {}
        self._due: dict[str, None] = {account_id: None for account_id, positions in held.items() if positions}

    def _take(self, desk: Desk, account_id: str) -> None:
        self._odd.pop(account_id, None)
        number = self._numbers.get(account_id)
        if number is None:
            if not desk.state.positions_of.get(account_id):
                return
            number = self._numbers[account_id] = len(self._accounts)
            self._accounts.append(account_id)
            self._screen.room(accounts=len(self._accounts))
        try:
            self._screen.balance[number] = _micro(desk.state.balances.get(account_id, ZERO))
            self._screen.used[number] = _micro(desk.state.used_margin.get(account_id, ZERO))
            self._take_positions(desk, account_id, number)
        except UnableToScreen:
            self._screen.used[number] = 0
            self._odd[account_id] = None

    def _take_positions(self, desk: Desk, account_id: str, number: int) -> None:
        state = desk.state
        rows = self._rows.setdefault(account_id, {})
        held = state.positions_of.get(account_id, ())
        for position_id in rows.keys() - held:
            key, row = rows.pop(position_id)
            self._screen.set_row(block=self._screen.blocks[key], row=row, lots=0, cost=0, weight=0)
            # Its worth leaves the account at the next tick, so that only the same account may have the row again.
            self._spare.setdefault((account_id, key), []).append(row)
            self._valued.pop(key[0], None)
        for position_id in held:
            position = state.positions[position_id]
            key = (position.symbol, state.accounts[account_id].currency)
            block = self._screen.blocks.get(key) or self._add_block(state.instruments[position.symbol], key)
            lots, cost = _raw(desk, position, block)
            if position_id not in rows:
                rows[position_id] = (key, self._row(account_id, key, block, number))
            self._screen.set_row(block=block, row=rows[position_id][1], lots=lots, cost=cost, weight=0)
            self._valued.pop(position.symbol, None)

    def _add_block(self, instrument: Instrument, key: Key) -> Block:
        return self._screen.add_block(instrument=instrument, currency=key[1], rate=Decimal(1))

    def _row(self, account_id: str, key: Key, block: Block, number: int) -> int:
        if spare := self._spare.get((account_id, key)):
            return spare.pop()
        none = np.zeros(1, dtype=np.int64)
        owner = np.array([number], dtype=np.int64)
        return self._screen.add_rows(block=block, account=owner, lots=none, cost=none, weight=none)[0]

    def _tick(self, desk: Desk, moment: Moment, symbol: str) -> None:
        mark = moment.marks.get(symbol)
        if mark is None:
            return
        prices = _points(desk.state.instruments[symbol], mark)
        if self._valued.get(symbol) == prices:
            return
        try:
            self._screen.tick(symbol=symbol, bid=prices[0], ask=prices[1])
            self._valued[symbol] = prices
        except UnableToScreen:
            # Too much of it for 64 bits: whoever holds it is looked at exactly.
            self._odd |= dict.fromkeys(desk.state.holders.get(symbol, ()))

    def _convert(self, moment: Moment, instrument: Instrument, currency: str) -> None:
        rate = rate_of(
            state=moment.state,
            source=instrument.quote,
            target=currency,
            gain=False,
            marks=moment.marks,
            pairs=moment.pairs,
        )
        block = self._screen.blocks[instrument.symbol, currency]
        before = block.profit
        if rate is not None and rate > 0:
            self._screen.convert(instrument=instrument, currency=currency, rate=rate)
        if block.profit != before:
            self._valued.pop(instrument.symbol, None)


def _settings(desk: Desk) -> tuple[object, ...]:
    """Return what the arrays have taken in besides the accounts; equal ones are the same objects, so this is quick."""
    return (*desk.state.groups.values(), *desk.state.instruments.values())


def _raw(desk: Desk, position: Position, block: Block) -> tuple[int, int]:
    """Return signed lot points, and the cost in lot points times points with the group's markup on the close in it.

    Raises UnableToScreen for a position so large that its block could not be revalued if its price moved fourfold.
    """
    state = desk.state
    instrument = state.instruments[position.symbol]
    group = state.groups[state.accounts[position.account_id].group]
    over = (group.bid_markup_points if position.quantity > 0 else group.ask_markup_points) * instrument.point
    cost = position.cost + position.lots * over
    scale = instrument.lot_digits + instrument.price_digits
    if (position.lots.scaleb(scale) + abs(cost).scaleb(scale)) * 8 * block.profit.numerator >= RANGE_MAX:
        raise UnableToScreen(f"{position.position_id} leaves 64 bits")
    return int(position.quantity.scaleb(instrument.lot_digits)), int(cost.scaleb(scale))


def _points(instrument: Instrument, mark: Touch) -> tuple[int, int]:
    return int(mark.bid.scaleb(instrument.price_digits)), int(mark.ask.scaleb(instrument.price_digits))


def _micro(amount: Decimal) -> int:
    scaled = amount.scaleb(MICRO_DIGITS)
    if abs(scaled) >= MICRO_MAX:
        raise UnableToScreen(f"{amount} leaves 64 bits")
    return int(scaled)


def _margin_row(desk: Desk, moment: Moment, account_id: str) -> Row:
    account = desk.state.accounts[account_id]
    group, funds = desk.state.groups[account.group], moment.funds(account_id)
    level, bar = funds.level_percent, stop_out_percent(account=account, group=group)
    return {
        "account_id": account_id,
        "group": account.group,
        "currency": account.currency,
        "balance": funds.balance.quantize(MONEY_STEP),
        "floating": funds.floating.quantize(MONEY_STEP),
        "equity": funds.equity.quantize(MONEY_STEP),
        "used_margin": funds.used_margin.quantize(MONEY_STEP),
        "free_margin": funds.free_margin.quantize(MONEY_STEP),
        "level_percent": level.quantize(PERCENT_STEP) if level is not None else None,
        "call_percent": group.margin_call_percent,
        "stop_out_percent": bar,
        "distance": _distance(funds, bar),
        "called": account_id in desk.state.margin_called,
        "priced": funds.priced,
        "positions": len(desk.state.positions_of.get(account_id, ())),
    }


def _distance(funds: Funds, bar: Decimal) -> Decimal:
    return (funds.equity - funds.used_margin * bar / HUNDRED).quantize(MONEY_STEP)


def _level(row: Row) -> Decimal:
    level = row["level_percent"]
    return Decimal("Infinity") if level is None else Decimal(level)
