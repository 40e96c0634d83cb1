"""Reports of the desk as tables: a title, heads and rows of text, the same for every format."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from apps.common.charts import Chart
from apps.common.documents import Document, Section
from apps.common.times import moment
from apps.dealing.selectors.books import books
from apps.dealing.selectors.counterfactual import counterfactuals
from apps.dealing.selectors.exposures import exposure_by
from apps.dealing.selectors.journal import actions_done
from apps.dealing.selectors.scorecards import scorecards
from apps.dealing.selectors.seats import panel_snapshot
from apps.reports import selectors as reports

Columns = tuple[tuple[str, str], ...]
# Table: title, and (head, key) of each column.
COLUMNS: dict[str, tuple[str, Columns]] = {
    "symbol": (
        "By symbol, in lots",
        (
            ("Symbol", "symbol"),
            ("Clients long", "client_long"),
            ("Clients short", "client_short"),
            ("Client net", "client_net"),
            ("A", "a_net"),
            ("B", "b_net"),
            ("At LPs", "venue_net"),
            ("Uncovered", "uncovered"),
            ("Limit %", "limit_percent"),
            ("VWAP", "vwap"),
            ("Mark", "mark"),
            ("Floating", "floating"),
            ("In", "currency"),
        ),
    ),
    "currency": (
        "By currency, in its units",
        (
            ("Currency", "name"),
            ("Long", "long"),
            ("Short", "short"),
            ("Client net", "client"),
            ("A", "a"),
            ("B", "b"),
            ("At LPs", "venue"),
            ("Uncovered", "uncovered"),
            ("Uncovered USD", "usd"),
        ),
    ),
    "group": (
        "By group, in USD",
        (("Group", "name"), ("Long", "long"), ("Short", "short"), ("Net", "client"), ("A", "a"), ("B", "b")),
    ),
    "account": (
        "By account, in USD",
        (("Account", "name"), ("Long", "long"), ("Short", "short"), ("Net", "client"), ("Limit %", "limit_percent")),
    ),
    "venues": (
        "Sessions",
        (("LP", "venue"), ("State", "state"), ("Orders", "orders"), ("Fills", "fills"), ("Reject %", "reject_percent")),
    ),
    "scorecards": (
        "Scorecards",
        (
            ("LP", "venue"),
            ("Filled ratio", "fill_ratio"),
            ("Reject ratio", "reject_rate"),
            ("Ack p50 ms", "latency_ms_p50"),
            ("Ack p95 ms", "latency_ms_p95"),
            ("Hold p50 ms", "hold_ms_p50"),
            ("Markout 1 s bp", "markout_1000_mean_bps"),
            ("Markout 60 s bp", "markout_60000_mean_bps"),
            ("Up %", "up_percent"),
            ("Lost", "disconnects"),
        ),
    ),
    "coverage": (
        "Coverage accounts",
        (
            ("LP", "venue"),
            ("Symbol", "symbol"),
            ("Net lots", "net"),
            ("Passed on", "passed_on"),
            ("Hedges", "hedged"),
            ("Hedge VWAP", "vwap"),
            ("Floating", "floating"),
            ("Realised", "realised"),
            ("In", "currency"),
        ),
    ),
    "books": (
        "P&L by book today",
        (
            ("Book", "book"),
            ("Currency", "currency"),
            ("Fills", "fills"),
            ("Volume", "volume"),
            ("Clients made", "realised"),
            ("House", "house"),
            ("Per million", "per_million"),
        ),
    ),
    "marks": (
        "Today's flow under A, B and MIXED, in USD",
        (
            ("Group", "group"),
            ("Fills", "fills"),
            ("Made", "actual"),
            ("Under A", "under_a"),
            ("Under B", "under_b"),
            ("Under MIXED", "under_mixed"),
            ("RPM", "actual_rpm"),
        ),
    ),
    "dealers": (
        "What dealers did",
        (
            ("At (UTC)", "at"),
            ("Who", "by"),
            ("What", "kind"),
            ("Of", "subject"),
            ("Why", "reason"),
            ("Outcome", "outcome"),
        ),
    ),
}


BEST_EXECUTION = "best-execution"
# Report: its title and its tables.
REPORTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "exposure": ("Exposure", ("symbol", "currency", "group")),
    "accounts": ("Exposure by account", ("account",)),
    "venues": ("LP health", ("venues", "scorecards", "coverage")),
    "books": ("P&L by book", ("books", "marks")),
    "dealers": ("What dealers did", ("dealers",)),
}
TITLES = {name: title for name, (title, _) in REPORTS.items()} | {BEST_EXECUTION: "Best execution"}
# What is drawn of a table: title, the column of names, that of figures, and whether gain and loss are told apart.
DRAWN: dict[str, tuple[str, str, str, bool]] = {
    "symbol": ("Uncovered lots by symbol", "symbol", "uncovered", True),
    "currency": ("Uncovered by currency in USD", "name", "usd", True),
    "group": ("Net by group in USD", "name", "client", True),
    "account": ("Net by account in USD", "name", "client", True),
    "venues": ("Rejects in percent", "venue", "reject_percent", False),
    "scorecards": ("Held for ms, median", "venue", "hold_ms_p50", False),
    "books": ("What the house made by book", "key", "house", True),
    "marks": ("What the house made by group in USD", "group", "actual", True),
}


def report(*, tenant: str, name: str, since: date, until: date) -> Document:
    """Return a report as it is now; `name` is one of TITLES. The dates are those of what is read from the log.

    Raises UnableToReadFiles where nothing of the log is exported yet.
    """
    if name == BEST_EXECUTION:
        folder = reports.default_folder()
        return reports.best_execution(tenant=tenant, folder=folder, since=since, until=until)
    title, tables = REPORTS[name]
    return Document(title, tuple(_section(tenant, table) for table in tables))


def _section(tenant: str, table: str) -> Section:
    title, columns = COLUMNS[table]
    rows = _SOURCES[table](tenant)
    heads = tuple(head for head, _ in columns)
    told = [tuple(_text(row.get(key)) for _, key in columns) for row in rows]
    return Section(title, heads, told, chart=_chart(table, rows))


def _chart(name: str, rows: list[dict[str, Any]]) -> Chart | None:
    if name == "dealers":
        done: dict[str, int] = {}
        for row in rows:
            done[row["by"]] = done.get(row["by"], 0) + 1
        if not done:
            return None
        named = sorted(done.items(), key=lambda pair: -pair[1])
        values = tuple(Decimal(count) for _, count in named)
        return Chart("Actions by dealer", tuple(by for by, _ in named), values, tuple(str(count) for _, count in named))
    if name not in DRAWN:
        return None
    title, label, figure, signed = DRAWN[name]
    shown = [row for row in rows if row.get(figure) not in (None, "")]
    figures = tuple(str(row[figure]) for row in shown)
    values = tuple(Decimal(text) for text in figures)
    return Chart(title, tuple(str(row[label]) for row in shown), values, figures, signed) if shown else None


def _panel(name: str) -> Callable[[str], list[dict[str, Any]]]:
    """Return the reader of a panel's rows as the engine last told them."""

    def rows(tenant: str) -> list[dict[str, Any]]:
        found = panel_snapshot(tenant=tenant, panel=name)
        told = msgspec.json.decode(found)["rows"] if found else {}
        return [told[key] for key in sorted(told)]

    return rows


def _symbols(tenant: str) -> list[dict[str, Any]]:
    return [row for row in _panel("exposure")(tenant) if row.get("positions") or Decimal(row.get("venue_net") or 0)]


def _done(tenant: str) -> list[dict[str, Any]]:
    return [{**row, "at": f"{moment(row['at']):%Y-%m-%d %H:%M:%S}"} for row in actions_done()]


_SOURCES: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    "symbol": _symbols,
    "currency": lambda tenant: exposure_by(tenant=tenant, what="currency"),
    "group": lambda tenant: exposure_by(tenant=tenant, what="group"),
    "account": lambda tenant: exposure_by(tenant=tenant, what="account"),
    "venues": _panel("venues"),
    "scorecards": lambda tenant: scorecards(tenant=tenant),
    "coverage": _panel("coverage"),
    "books": lambda tenant: [row for row in books(tenant=tenant) if row["kind"] == "today"],
    "marks": lambda tenant: counterfactuals(tenant=tenant),
    "dealers": _done,
}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
