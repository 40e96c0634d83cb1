"""Profit and loss out of the exported log: per business date, account and symbol, equal to the engine's own numbers.

What events booked is summed by DuckDB. What is open is valued in the end by the engine's own rule, each position where
its owner could close it: cost needs no fold, for it is what the fills were worth plus what was realised of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from apps.reports.selectors.files import Log, exact
from apps.reports.selectors.settings import Settings
from piggy.core.conversion import Touch, currency_pairs
from piggy.core.funds import position_profit
from piggy.core.money import ZERO
from piggy.core.positions import Position
from piggy.core.state import State

# A bust has the numbers of its fill, and `realised` of its own to be added (piggy/core/correction_events.py).
MOVES = """
CREATE VIEW moves AS
SELECT business_date AS day, account_id, symbol, position_id, price,
       CASE WHEN side = 'buy' THEN quantity ELSE -quantity END AS lots, quantity AS dealt, 1 AS fills,
       realised, realised_quote, commission, markup_revenue AS markup, coalesce(premium, 0) AS premium,
       0::DECIMAL(38, 18) AS swap
FROM log WHERE type = 'OrderFilled'
UNION ALL
SELECT business_date, account_id, symbol, position_id, price,
       CASE WHEN side = 'buy' THEN -quantity ELSE quantity END, -quantity, -1,
       realised, realised_quote, -commission, -markup_revenue, -coalesce(premium, 0), 0
FROM log WHERE type = 'OrderFillBusted'
UNION ALL
SELECT business_date, account_id, symbol, position_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, amount
FROM log WHERE type IN ('SwapCharged', 'SwapRestated')
"""
# Everything before the first day asked for comes as one row a position, of the day before.
SUMS = """
SELECT greatest(day, $since::DATE - 1) AS day, account_id, symbol, position_id, sum(lots), sum(lots * price),
       sum(realised_quote), sum(dealt), sum(fills)::BIGINT, sum(realised), sum(swap), sum(commission), sum(markup),
       sum(premium)
FROM moves WHERE day <= $until::DATE GROUP BY ALL ORDER BY ALL
"""
QUOTES = """
SELECT business_date, symbol, max(seq) AS latest, arg_max(coalesce(benchmark_bid, arrival_bid, bid), seq),
       arg_max(coalesce(benchmark_ask, arrival_ask, ask), seq), arg_max(epoch_us(recorded_at), seq)
FROM log WHERE business_date <= $until::DATE AND symbol IS NOT NULL
  AND coalesce(benchmark_bid, arrival_bid, bid) IS NOT NULL AND coalesce(benchmark_ask, arrival_ask, ask) IS NOT NULL
GROUP BY ALL ORDER BY latest
"""
DAYS = "SELECT DISTINCT business_date FROM log WHERE business_date BETWEEN $since::DATE AND $until::DATE ORDER BY 1"
ONE_DAY = timedelta(days=1)
Marks = Mapping[str, Touch]


class Profit(NamedTuple):
    """One account's day in one symbol, in the account's currency, exactly; print it rounded.

    `lots` are what it held at the day's end, signed, `floating` their open profit then, None without a price; `net` is
    what the day changed in all: realised + swap - commission - premium + the change of floating.
    """

    day: date
    account_id: str
    group: str
    symbol: str
    currency: str
    fills: int
    dealt: Decimal
    lots: Decimal
    realised: Decimal
    swap: Decimal
    commission: Decimal
    markup: Decimal
    premium: Decimal
    floating: Decimal | None
    net: Decimal | None


@dataclass(slots=True)
class _Held:
    account_id: str
    symbol: str
    lots: Decimal = ZERO
    value: Decimal = ZERO
    realised_quote: Decimal = ZERO


@dataclass(slots=True)
class _Day:
    fills: int = 0
    sums: list[Decimal] = field(default_factory=lambda: [ZERO] * 6)


def profits(
    *, log: Log, tenant: str, since: date, until: date, closing: Mapping[date, Marks] | None = None
) -> Iterator[Profit]:
    """Yield the profit of every business date in the log from `since` to `until`.

    A day closes at the marks that `closing` has for it, and where it has none at the last prices the log knew by then.
    """
    log.run(MOVES)
    asked = {"since": since, "until": until}
    settings, quotes = Settings(log=log, tenant=tenant), _Quotes(log, until)
    sums = log.rows(SUMS, asked)
    held: dict[str, _Held] = {}
    before: dict[tuple[str, str], Decimal | None] = {}
    at = 0
    for day in [since - ONE_DAY, *(row[0] for row in log.rows(DAYS, asked))]:
        today: dict[tuple[str, str], _Day] = {}
        while at < len(sums) and sums[at][0] <= day:
            _take(sums[at], held, today)
            at += 1
        state = settings.move_to(day)
        marks = (closing or {}).get(day) or quotes.at(day)
        now = _floating(state, held, marks)
        if day >= since:
            yield from _rows(day, state, held, today, now, before)
        before = now


def _take(row: tuple[object, ...], held: dict[str, _Held], today: dict[tuple[str, str], _Day]) -> None:
    account_id, symbol, position_id = str(row[1]), str(row[2]), str(row[3])
    lots, value, realised_quote, *rest = (exact(number) for number in row[4:])
    mine = held.setdefault(position_id, _Held(account_id, symbol))
    mine.lots, mine.value = mine.lots + lots, mine.value + value
    mine.realised_quote += realised_quote
    day = today.setdefault((account_id, symbol), _Day())
    dealt, fills, *money = rest
    day.fills += int(fills)
    day.sums = [total + each for total, each in zip(day.sums, (dealt, *money), strict=True)]


def _floating(state: State, held: dict[str, _Held], marks: Marks) -> dict[tuple[str, str], Decimal | None]:
    """Return the open profit by account and symbol; positions that are flat are forgotten."""
    pairs = currency_pairs(instruments=state.instruments.values())
    found: dict[tuple[str, str], Decimal | None] = {}
    for position_id in [key for key, mine in held.items() if not mine.lots]:
        del held[position_id]
    for position_id, mine in held.items():
        key = (mine.account_id, mine.symbol)
        worth = position_profit(state=state, position=_position(state, position_id, mine), marks=marks, pairs=pairs)
        known = found.get(key, ZERO)
        found[key] = None if worth is None or known is None else known + worth
    return found


def _position(state: State, position_id: str, mine: _Held) -> Position:
    cost = mine.value + mine.realised_quote / state.instruments[mine.symbol].contract_size
    return Position(
        account_id=mine.account_id, symbol=mine.symbol, position_id=position_id, quantity=mine.lots, cost=cost
    )


def _rows(
    day: date,
    state: State,
    held: dict[str, _Held],
    today: dict[tuple[str, str], _Day],
    now: dict[tuple[str, str], Decimal | None],
    before: dict[tuple[str, str], Decimal | None],
) -> Iterator[Profit]:
    lots: dict[tuple[str, str], Decimal] = {}
    for mine in held.values():
        key = (mine.account_id, mine.symbol)
        lots[key] = lots.get(key, ZERO) + mine.lots
    for key in sorted({*today, *now, *before}):
        moved, account = today.get(key, _Day()), state.accounts[key[0]]
        dealt, realised, swap, commission, markup, premium = moved.sums
        floating, was = now.get(key, ZERO), before.get(key, ZERO)
        booked = realised + swap - commission - premium
        net = None if floating is None or was is None else booked + floating - was
        yield Profit(
            day, key[0], account.group, key[1], account.currency, moved.fills, dealt, lots.get(key, ZERO),
            realised, swap, commission, markup, premium, floating, net,
        )  # fmt: skip


class _Quotes:
    """The last prices that the log knew by the end of a day."""

    def __init__(self, log: Log, until: date) -> None:
        self._rows = log.rows(QUOTES, {"until": until})
        self._marks: dict[str, Touch] = {}
        self._at = 0

    def at(self, day: date) -> Marks:
        while self._at < len(self._rows) and self._rows[self._at][0] <= day:
            _, symbol, _, bid, ask, at_us = self._rows[self._at]
            # What is put on top may be another by night.
            self._marks[symbol] = Touch(exact(bid), exact(ask), at_us)
            self._at += 1
        return self._marks
