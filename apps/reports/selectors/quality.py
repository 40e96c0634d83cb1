"""How well LPs execute, out of the exported log: by symbol and LP, from the legs they were sent and what they did.

Slippage is what an LP's fill was worse for the client than the best price on his side when his order came, markup left
out; below zero it was better, which is price improvement. The house's own hedges have no client and no such price.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from apps.reports.selectors.files import Log, exact
from apps.reports.selectors.settings import Settings
from apps.reports.selectors.slippage import ARRIVALS
from piggy.core.money import ZERO, plain

HUNDRED, BPS = Decimal(100), Decimal(10_000)
LEGS = """
CREATE VIEW legs AS
WITH standing AS (
  SELECT cl_ord_id, quantity, price, epoch_us(recorded_at) AS at_us, seq FROM log
  WHERE type = 'ChildOrderFilled' AND seq NOT IN (SELECT supersedes FROM log WHERE type = 'VenueFillBusted')
), ended AS (
  SELECT cl_ord_id, max(CASE WHEN outcome = 'rejected' THEN 1 ELSE 0 END) AS rejected
  FROM log WHERE type = 'ChildOrderClosed' GROUP BY 1
), heard AS (
  SELECT cl_ord_id, min(epoch_us(recorded_at)) AS at_us FROM log
  WHERE type IN ('ChildOrderFilled', 'ChildOrderClosed') GROUP BY 1
), done AS (
  SELECT cl_ord_id, sum(quantity) AS lots, count(*) AS fills FROM standing GROUP BY 1
)
SELECT c.cl_ord_id, c.business_date AS day, c.symbol, c.venue, c.quantity AS asked, coalesce(done.lots, 0) AS lots,
       coalesce(done.fills, 0) AS fills, coalesce(ended.rejected, 0) AS rejected,
       heard.at_us - epoch_us(c.recorded_at) AS hold_us
FROM log c LEFT JOIN done USING (cl_ord_id) LEFT JOIN ended USING (cl_ord_id) LEFT JOIN heard USING (cl_ord_id)
WHERE c.type = 'ChildOrderCreated' AND c.business_date BETWEEN $since::DATE AND $until::DATE
"""
EXECUTED = """
CREATE VIEW executed AS
SELECT f.symbol, f.venue, f.quantity AS lots,
       CASE WHEN f.side = 'buy' THEN a.ask ELSE a.bid END AS touch,
       CASE WHEN f.side = 'buy' THEN f.price - a.ask ELSE a.bid - f.price END AS worse
FROM log f JOIN arrivals a USING (order_id) JOIN legs l USING (cl_ord_id)
WHERE f.type = 'ChildOrderFilled' AND f.seq NOT IN (SELECT supersedes FROM log WHERE type = 'VenueFillBusted')
"""
SERVED = """
SELECT symbol, venue, count(*), sum(fills)::BIGINT, sum(asked), sum(lots), sum(rejected)::BIGINT,
       quantile_disc(hold_us, 0.5), quantile_disc(hold_us, 0.95)
FROM legs GROUP BY ALL ORDER BY ALL
"""
SLIPPED = """
SELECT symbol, venue, sum(lots), sum(lots * worse), sum(lots * touch), sum(CASE WHEN worse <= 0 THEN lots ELSE 0 END),
       sum(CASE WHEN worse < 0 THEN lots ELSE 0 END), sum(CASE WHEN worse > 0 THEN lots ELSE 0 END),
       sum(CASE WHEN worse < 0 THEN -lots * worse ELSE 0 END),
       quantile_disc(worse, 0.05), quantile_disc(worse, 0.5), quantile_disc(worse, 0.95)
FROM executed GROUP BY ALL
"""
# Edges in hundredths of a basis point; what is exactly at the best price stands alone, as most fills do.
EDGES = (10, 50, 100)


class Quality(NamedTuple):
    """How one LP executed one symbol; percents of 100, holds in ms, slippage in points of the symbol, bps of price.

    `at_or_better` is the percent of lots at or better than the best price at arrival, `better` and `worse` those
    strictly so; `improved_bps` is by how much the better ones were. None where no fill could be measured.
    """

    symbol: str
    venue: str
    orders: int
    fills: int
    asked: Decimal
    lots: Decimal
    fill_ratio: Decimal
    reject_rate: Decimal
    hold_p50_ms: Decimal | None
    hold_p95_ms: Decimal | None
    measured: Decimal = ZERO
    slippage_bps: Decimal | None = None
    p5_points: Decimal | None = None
    p50_points: Decimal | None = None
    p95_points: Decimal | None = None
    at_or_better: Decimal | None = None
    better: Decimal | None = None
    worse: Decimal | None = None
    improved_bps: Decimal | None = None


def qualities(*, log: Log, tenant: str, since: date, until: date) -> list[Quality]:
    """Return every symbol and LP that was sent a leg from `since` to `until`."""
    log.run(ARRIVALS)
    # A view takes no parameters; dates cannot carry anything else.
    log.run(LEGS.replace("$since", f"'{since.isoformat()}'").replace("$until", f"'{until.isoformat()}'"))
    log.run(EXECUTED)
    state = Settings(log=log, tenant=tenant).move_to(until)
    slipped = {(row[0], row[1]): row[2:] for row in log.rows(SLIPPED)}
    found = []
    for symbol, venue, orders, fills, asked, lots, rejected, p50_us, p95_us in log.rows(SERVED):
        served = Quality(
            symbol, venue, orders, fills, exact(asked), exact(lots), _percent(exact(lots), exact(asked)),
            _percent(Decimal(rejected), Decimal(orders)), _ms(p50_us), _ms(p95_us),
        )  # fmt: skip
        parts = slipped.get((symbol, venue))
        found.append(_measured(served, parts, state.instruments[symbol].point) if parts else served)
    return found


def histogram(*, log: Log) -> list[tuple[str, int]]:
    """Return how many fills slipped how far, by basis points of the price; after `qualities` has been asked."""
    counted: list[tuple[str, int]] = []
    for name, condition in _buckets():
        ((count,),) = log.rows(f"SELECT count(*) FROM executed WHERE {condition}")
        counted.append((name, int(count)))
    return counted


def _measured(served: Quality, parts: tuple[object, ...], point: Decimal) -> Quality:
    lots, worse, dealt, good, better, bad, improved, *quantiles = (exact(part) for part in parts)
    p5, p50, p95 = (quantile / point for quantile in quantiles)
    return served._replace(
        measured=lots,
        slippage_bps=worse / dealt * BPS,
        p5_points=p5,
        p50_points=p50,
        p95_points=p95,
        at_or_better=_percent(good, lots),
        better=_percent(better, lots),
        worse=_percent(bad, lots),
        improved_bps=improved / dealt * BPS,
    )


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return part * HUNDRED / whole if whole else ZERO


def _ms(us: int | None) -> Decimal | None:
    return None if us is None else Decimal(us) / 1_000


def _buckets() -> list[tuple[str, str]]:
    """Return each bucket's name and condition; compared as products, for a quotient would be rounded."""
    inner = [("0", "worse = 0")]
    for low, high in pairwise((0, *EDGES)):
        within = f"abs(worse) * 1000000 > {low} * touch AND abs(worse) * 1000000 <= {high} * touch"
        inner.insert(0, (f"−{_bp(high)} to {_bp(low, '−')}", f"worse < 0 AND {within}"))
        inner.append((f"{_bp(low)} to {_bp(high)}", f"worse > 0 AND {within}"))
    beyond = f"abs(worse) * 1000000 > {EDGES[-1]} * touch"
    last = _bp(EDGES[-1])
    return [(f"< −{last}", f"worse < 0 AND {beyond}"), *inner, (f"> {last}", f"worse > 0 AND {beyond}")]


def _bp(hundredths: int, sign: str = "") -> str:
    return f"{sign}{plain(Decimal(hundredths) / 100)}" if hundredths else "0"
