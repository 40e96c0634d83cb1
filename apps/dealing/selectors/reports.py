"""Reports of the desk as tables: a title, heads and rows of text, the same for every format."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from apps.common.charts import Chart
from apps.common.documents import Document, Section
from apps.dealing.selectors.books import books
from apps.dealing.selectors.exposures import exposure_by
from apps.dealing.selectors.journal import actions_done
from apps.dealing.selectors.seats import panel_snapshot
from apps.reports import selectors as reports

# Report: title, and (head, key) of each column.
COLUMNS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "exposure": (
        "Exposure by group in USD",
        (("Group", "name"), ("Long", "long"), ("Short", "short"), ("Net", "client"), ("A", "a"), ("B", "b")),
    ),
    "accounts": (
        "Exposure by account in USD",
        (("Account", "name"), ("Long", "long"), ("Short", "short"), ("Net", "client"), ("Limit %", "limit_percent")),
    ),
    "venues": (
        "LP health",
        (("LP", "venue"), ("State", "state"), ("Orders", "orders"), ("Fills", "fills"), ("Reject %", "reject_percent")),
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
    "dealers": (
        "What dealers did",
        (("Who", "by"), ("What", "kind"), ("Of", "subject"), ("Why", "reason"), ("Outcome", "outcome")),
    ),
}


BEST_EXECUTION = "best-execution"
TITLES = {name: title for name, (title, _) in COLUMNS.items()} | {BEST_EXECUTION: "Best execution"}
# What is drawn of a table: title, the column of names, that of figures, and whether gain and loss are told apart.
DRAWN: dict[str, tuple[str, str, str, bool]] = {
    "exposure": ("Net by group in USD", "name", "client", True),
    "accounts": ("Net by account in USD", "name", "client", True),
    "venues": ("Rejects in percent", "venue", "reject_percent", False),
    "books": ("What the house made by book", "key", "house", True),
}


def report(*, tenant: str, name: str, since: date, until: date) -> Document:
    """Return a report as it is now; `name` is one of TITLES. The dates are those of what is read from the log.

    Raises UnableToReadFiles where nothing of the log is exported yet.
    """
    if name == BEST_EXECUTION:
        folder = reports.default_folder()
        return reports.best_execution(tenant=tenant, folder=folder, since=since, until=until)
    title, columns = COLUMNS[name]
    rows = _SOURCES[name](tenant)
    heads = tuple(head for head, _ in columns)
    told = [tuple(_text(row.get(key)) for _, key in columns) for row in rows]
    return Document(title, (Section(title, heads, told, chart=_chart(name, rows)),))


def _chart(name: str, rows: list[dict[str, Any]]) -> Chart | None:
    if name == "dealers":
        done: dict[str, int] = {}
        for row in rows:
            done[row["by"]] = done.get(row["by"], 0) + 1
        named = sorted(done.items(), key=lambda pair: -pair[1])
        values = tuple(Decimal(count) for _, count in named)
        return Chart("Actions by dealer", tuple(by for by, _ in named), values, tuple(str(count) for _, count in named))
    title, label, figure, signed = DRAWN[name]
    shown = [row for row in rows if row.get(figure) not in (None, "")]
    figures = tuple(str(row[figure]) for row in shown)
    values = tuple(Decimal(text) for text in figures)
    return Chart(title, tuple(str(row[label]) for row in shown), values, figures, signed) if shown else None


def _venues(tenant: str) -> list[dict[str, Any]]:
    found = panel_snapshot(tenant=tenant, panel="venues")
    return list(msgspec.json.decode(found)["rows"].values()) if found else []


_SOURCES: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    "exposure": lambda tenant: exposure_by(tenant=tenant, what="group"),
    "accounts": lambda tenant: exposure_by(tenant=tenant, what="account"),
    "venues": _venues,
    "books": lambda tenant: [row for row in books(tenant=tenant) if row["kind"] == "today"],
    "dealers": lambda tenant: actions_done(),
}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
