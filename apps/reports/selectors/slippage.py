"""Slippage out of the exported log, measured from the mid at arrival and split in what it is made of.

Per fill, above zero worse for the client: `spread` from the mid to the best price on his side at arrival, `market` how
that price moved until the fill, `latency` what the venue's price was worse than the best of that moment, `markup` what
was put on top, at a guaranteed stop less what the house gave. They add up to the client's price less the arrival mid.
A stop arrives when it is triggered. Where an order has no arrival price (a log of before they were kept) the prices at
the fill stand for them, and it is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from apps.reports.selectors.files import Log, exact
from apps.reports.selectors.settings import Settings
from piggy.core.money import ZERO

PARTS = ("spread", "market", "latency", "markup")
ARRIVALS = """
CREATE VIEW IF NOT EXISTS arrivals AS
SELECT order_id, arg_max(coalesce(bid, arrival_bid), seq) AS bid, arg_max(coalesce(ask, arrival_ask), seq) AS ask
FROM log WHERE type IN ('OrderAccepted', 'OrderTriggered') AND coalesce(bid, arrival_bid) IS NOT NULL
  AND coalesce(ask, arrival_ask) IS NOT NULL GROUP BY order_id
"""
# A bust takes its fill's slippage back on the day of the bust.
FILLS = """
CREATE VIEW fills AS
WITH dealt AS (
  SELECT f.business_date AS day, f.*, 1::TINYINT AS way FROM log f WHERE f.type = 'OrderFilled'
  UNION ALL BY NAME
  SELECT b.business_date AS day, f.*, -1::TINYINT AS way
  FROM log b JOIN log f ON f.seq = b.supersedes WHERE b.type = 'OrderFillBusted'
), sided AS (
  SELECT day, d.account_id, d.symbol, d.book, d.counterparty, d.conversion_rate, d.raw_price, d.price, way,
         d.order_id, d.side, CASE WHEN way > 0 THEN quantity ELSE -quantity END AS lots, d.side = 'buy' AS buys,
         a.order_id IS NULL AS blind,
         coalesce(d.benchmark_bid, d.raw_price) AS then_bid, coalesce(d.benchmark_ask, d.raw_price) AS then_ask,
         coalesce(a.bid, d.benchmark_bid, d.raw_price) AS came_bid,
         coalesce(a.ask, d.benchmark_ask, d.raw_price) AS came_ask
  FROM dealt d LEFT JOIN arrivals a USING (order_id)
)
SELECT *, (came_ask - came_bid) * 0.5 AS spread,
       CASE WHEN buys THEN then_ask - came_ask ELSE came_bid - then_bid END AS market,
       CASE WHEN buys THEN raw_price - then_ask ELSE then_bid - raw_price END AS latency,
       CASE WHEN buys THEN price - raw_price ELSE raw_price - price END AS markup
FROM sided
"""
SUMS = """
SELECT day, account_id, symbol, conversion_rate, sum(way)::BIGINT, sum(CASE WHEN blind THEN way ELSE 0 END)::BIGINT,
       sum(lots), sum(lots * spread), sum(lots * market), sum(lots * latency), sum(lots * markup)
FROM fills WHERE day BETWEEN $since::DATE AND $until::DATE GROUP BY ALL ORDER BY day, account_id, symbol
"""


class Slippage(NamedTuple):
    """One account's day in one symbol: each part as lots times price units, and as money of the account, exactly."""

    day: date
    account_id: str
    symbol: str
    currency: str
    fills: int
    blind: int
    lots: Decimal
    by_lots: dict[str, Decimal]
    money: dict[str, Decimal]

    @property
    def total(self) -> Decimal:
        """All of it in money."""
        return sum(self.money.values(), ZERO)


def prepare(*, log: Log) -> None:
    """Make the view `fills`, every fill with the parts of its slippage."""
    log.run(ARRIVALS)
    log.run(FILLS)


def slippages(*, log: Log, tenant: str, since: date, until: date) -> Iterator[Slippage]:
    """Yield the slippage of every business date, account and symbol from `since` to `until`."""
    prepare(log=log)
    settings, open_row = Settings(log=log, tenant=tenant), None
    for day, account_id, symbol, rate, fills, blind, lots, *parts in log.rows(SUMS, {"since": since, "until": until}):
        state = settings.move_to(day)
        worth = state.instruments[symbol].contract_size * exact(rate)
        by_lots = {name: exact(part) for name, part in zip(PARTS, parts, strict=True)}
        money = {name: part * worth for name, part in by_lots.items()}
        currency = state.accounts[account_id].currency
        row = Slippage(day, account_id, symbol, currency, fills, blind, exact(lots), by_lots, money)
        if open_row is not None and open_row[:3] == row[:3]:
            open_row = _sum(open_row, row)
            continue
        if open_row is not None:
            yield open_row
        open_row = row
    if open_row is not None:
        yield open_row


def _sum(one: Slippage, other: Slippage) -> Slippage:
    """Return two rows of the same day, account and symbol, dealt at different rates, as one."""
    return one._replace(
        fills=one.fills + other.fills,
        blind=one.blind + other.blind,
        lots=one.lots + other.lots,
        by_lots={name: one.by_lots[name] + other.by_lots[name] for name in PARTS},
        money={name: one.money[name] + other.money[name] for name in PARTS},
    )
