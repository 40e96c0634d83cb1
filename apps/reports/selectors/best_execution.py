"""The best-execution report: who filled how much, how fast and at what price, what it cost clients, what came after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from apps.common.charts import Chart
from apps.common.documents import Document, Section
from apps.liquidity import selectors as liquidity
from apps.reports.selectors.files import opened
from apps.reports.selectors.quality import Quality, histogram, qualities
from apps.reports.selectors.slippage import PARTS, Slippage, slippages
from piggy.core.money import ZERO, plain, round_money

TITLE = "Best execution"
QUALITY_HEADS = (
    "Symbol", "LP", "Orders", "Fills", "Lots", "Fill ratio %", "Reject %", "Hold p50 ms", "Hold p95 ms",
    "Slippage bp", "p5 pts", "p50 pts", "p95 pts", "At or better %", "Better %", "Worse %", "Improvement bp",
)  # fmt: skip
LP_HEADS = ("LP", "Orders", "Lots", "Share of lots %", "Fill ratio %", "Reject %", "At or better %", "Slippage bp")
CLIENT_HEADS = ("Symbol", "In", "Fills", "Lots", *(part.title() for part in PARTS), "Total")
BPS, HUNDRED = Decimal(10_000), Decimal(100)


def best_execution(*, tenant: str, folder: Path, since: date, until: date) -> Document:
    """Return the report of these business dates. Raises UnableToReadFiles where nothing is exported yet."""
    with opened(folder=folder, tenant=tenant) as log:
        rows = qualities(log=log, tenant=tenant, since=since, until=until)
        counted = histogram(log=log)
        lost = list(slippages(log=log, tenant=tenant, since=since, until=until))
        seq = log.seq
    sections = (_by_lp(rows), _spread(counted), _by_symbol(rows), _clients(lost), _markouts(until))
    return Document(TITLE, sections, f"business dates {since} to {until}, the log up to event {seq}")


def _by_symbol(rows: Sequence[Quality]) -> Section:
    told = [
        (
            row.symbol, row.venue, str(row.orders), str(row.fills), plain(row.lots),
            *(_text(number, 2) for number in (row.fill_ratio, row.reject_rate)),
            *(_text(number, 1) for number in (row.hold_p50_ms, row.hold_p95_ms)),
            _text(row.slippage_bps, 3),
            *(_text(number, 1) for number in (row.p5_points, row.p50_points, row.p95_points)),
            *(_text(number, 2) for number in (row.at_or_better, row.better, row.worse)),
            _text(row.improved_bps, 3),
        )
        for row in rows
    ]  # fmt: skip
    note = "Slippage against the best price on the client's side at arrival, without markup; below zero is better."
    return Section("By symbol and LP", QUALITY_HEADS, told, note)


def _by_lp(rows: Sequence[Quality]) -> Section:
    every = sum((row.lots for row in rows), ZERO)
    told, names, shares = [], [], []
    for venue in sorted({row.venue for row in rows}):
        mine = [row for row in rows if row.venue == venue]
        orders, lots = sum(row.orders for row in mine), sum((row.lots for row in mine), ZERO)
        asked = sum((row.asked for row in mine), ZERO)
        rejects = sum((row.reject_rate * row.orders for row in mine), ZERO)
        measured = [row for row in mine if row.measured]
        weight = sum((row.measured for row in measured), ZERO)
        good = sum(((row.at_or_better or ZERO) * row.measured for row in measured), ZERO)
        # Symbols differ in price, so basis points are weighed by lots and not summed as money.
        worse = sum(((row.slippage_bps or ZERO) * row.measured for row in measured), ZERO)
        share = lots * HUNDRED / every if every else ZERO
        told.append(
            (
                venue, str(orders), plain(lots), _text(share, 2), _text(lots * HUNDRED / asked if asked else ZERO, 2),
                _text(rejects / orders, 2), _text(good / weight if weight else None, 2),
                _text(worse / weight if weight else None, 3),
            )
        )  # fmt: skip
        names.append(venue)
        shares.append(good / weight if weight else ZERO)
    chart = Chart(
        "Lots at or better than the best price at arrival, percent", tuple(names), tuple(shares),
        tuple(f"{share:.1f} %" for share in shares),
    )  # fmt: skip
    return Section("By LP", LP_HEADS, told, chart=chart)


def _spread(counted: Sequence[tuple[str, int]]) -> Section:
    total = sum(count for _, count in counted) or 1
    rows = [(name, str(count), _text(Decimal(count * 100) / total, 1)) for name, count in counted]
    chart = Chart(
        "Fills by slippage in basis points", tuple(name for name, _ in counted),
        tuple(Decimal(count) for _, count in counted), tuple(str(count) for _, count in counted), columns=True,
    )  # fmt: skip
    note = "How many fills slipped how far, in basis points of the price; left of zero the client did better."
    return Section("Slippage distribution", ("Basis points", "Fills", "%"), rows, note, chart)


def _clients(lost: Iterable[Slippage]) -> Section:
    sums: dict[tuple[str, str], list[Decimal]] = {}
    for row in lost:
        mine = sums.setdefault((row.symbol, row.currency), [ZERO] * (len(PARTS) + 2))
        for at, number in enumerate((Decimal(row.fills), row.lots, *row.money.values())):
            mine[at] += number
    told = []
    for (symbol, currency), (fills, lots, *money) in sorted(sums.items()):
        amounts = (str(round_money(amount=amount, currency=currency)) for amount in (*money, sum(money, ZERO)))
        told.append((symbol, currency, plain(fills), plain(lots), *amounts))
    totals = dict.fromkeys(PARTS, ZERO)
    for line in told:
        for part, text in zip(PARTS, line[4:], strict=False):
            totals[part] += Decimal(text)
    currencies = {currency for _, currency in sums}
    chart = None
    if len(currencies) == 1:
        chart = Chart(
            f"What clients paid against the arrival mid, in {currencies.pop()}", tuple(PARTS), tuple(totals.values()),
            tuple(f"{amount:,.2f}" for amount in totals.values()),
        )  # fmt: skip
    note = "Against the mid when each order came: half the spread, the market's move, the LP's delay, our markup."
    return Section("What clients paid", CLIENT_HEADS, told, note, chart)


def _markouts(until: date) -> Section:
    """The LPs' latest scorecards of the period, as the engine measured them while it traded."""
    end = datetime.combine(until + timedelta(days=1), time(), UTC)
    cards = liquidity.kept_cards(before=end)
    horizons = sorted({each["after_ms"] for card in cards for each in card["markouts"]})
    heads = ("LP", *(f"{ms / 1000:g} s, bp (fills)" for ms in horizons))
    rows = [(card["venue"], *(_markout(card, ms) for ms in horizons)) for card in cards]
    note = "How far the market had gone against us so long after an LP's fill; above zero we lost. From the scorecards."
    return Section("Markouts", heads, rows, note)


def _markout(card: dict[str, Any], after_ms: int) -> str:
    found = next((each for each in card["markouts"] if each["after_ms"] == after_ms), None)
    return f"{found['mean_bps']} ({found['samples']})" if found and found["samples"] else ""


def _text(number: Decimal | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits}f}"
