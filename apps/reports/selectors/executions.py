"""What an LP did for us as our log has it: executions that stand, corrected ones as they are now."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.common.times import microseconds, moment
from apps.reports.selectors.files import Log, exact
from apps.reports.selectors.settings import Settings
from piggy.adapters import tracking
from piggy.core.money import ZERO, round_money
from piggy.core.orders import Side
from piggy.core.reconciliation import Execution, Ours

MILLION = Decimal(1_000_000)
STANDING = """
SELECT coalesce(fill_id, ''), symbol, side, quantity, price, epoch_us(occurred_at) AS at_us
FROM log WHERE type IN ('ChildOrderFilled', 'VenueSettled') AND venue = $venue
  AND seq NOT IN (SELECT supersedes FROM log WHERE type = 'VenueFillBusted')
  AND (epoch_us(occurred_at) >= $from_us AND epoch_us(occurred_at) < $to_us
       OR fill_id IN (SELECT unnest($also::VARCHAR[])))
ORDER BY seq
"""


# No statement is of a day outside of these, and in every zone both are times.
FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2999, 12, 31)
OURS = """
SELECT cl_ord_id FROM log WHERE type = 'ChildOrderCreated' AND venue = $venue
  AND cl_ord_id IN (SELECT unnest($orders::VARCHAR[]))
"""
SUSPENDED = """
SELECT fill_id FROM log WHERE type = 'VenueReportSuspended' AND venue = $venue
  AND fill_id IN (SELECT unnest($references::VARCHAR[]))
"""


def known_of(*, log: Log, venue: str, executions: Collection[Execution]) -> Ours:
    """Return which of the orders that an LP's executions name are ours, and what was suspended as it came."""
    orders = sorted({line.order for line in executions if line.order})
    references = sorted({line.reference for line in executions})
    return Ours(
        orders={cl_ord_id for (cl_ord_id,) in log.rows(OURS, {"venue": venue, "orders": orders})},
        suspended={
            fill_id for (fill_id,) in log.rows(SUSPENDED, {"venue": venue, "references": references}) if fill_id
        },
    )


def terms_of(*, log: Log, tenant: str) -> Callable[[str], tuple[Decimal, str]]:
    """Return what tells a symbol's contract size and quote currency, as the log has them last."""
    known = Settings(log=log, tenant=tenant).move_to(date.max).instruments
    return lambda symbol: (known[symbol].contract_size, known[symbol].quote)


def venue_executions(
    *, log: Log, tenant: str, venue: str, zone: ZoneInfo, since: date, until: date, also: Collection[str], fee: Decimal
) -> list[Execution]:
    """Return an LP's standing executions of these days in its zone, and those whose references are in `also`.

    A date may differ, hence `also`; `fee` is what the LP takes for a million of the quote currency. An option that the
    LP settled is in between without a reference and a fee: it was no deal, but is held no more.
    """
    state = Settings(log=log, tenant=tenant).move_to(date.max)
    asked = {
        "venue": venue,
        "from_us": _midnight_us(since, zone),
        "to_us": _midnight_us(until + timedelta(days=1), zone),
        "also": sorted(also),
    }
    found = []
    for reference, symbol, side, quantity, price, at_us in log.rows(STANDING, asked):
        instrument, lots, at = state.instruments[symbol], exact(quantity), exact(price)
        paid = instrument.notional(lots=lots, price=at) * fee / MILLION
        found.append(
            Execution(
                reference=tracking.reference(fill_id=reference),
                symbol=symbol,
                side=Side(side),
                quantity=lots,
                price=at,
                traded_on=moment(at_us).astimezone(zone).date(),
                fee=round_money(amount=paid, currency=instrument.quote) if reference else ZERO,
            )
        )
    return found


def _midnight_us(day: date, zone: ZoneInfo) -> int:
    return microseconds(datetime(day.year, day.month, day.day, tzinfo=zone))
