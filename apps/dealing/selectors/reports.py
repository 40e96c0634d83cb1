"""Reports of the desk as tables: a title, heads and rows of text, the same for every format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from apps.dealing.selectors.books import books
from apps.dealing.selectors.exposures import exposure_by
from apps.dealing.selectors.journal import actions_done
from apps.dealing.selectors.seats import panel_snapshot


class Report(NamedTuple):
    """One table; `heads` and every row are equally long."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]


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


def report(*, tenant: str, name: str) -> Report:
    """Return a report as it is now; `name` is one of COLUMNS."""
    title, columns = COLUMNS[name]
    rows = _SOURCES[name](tenant)
    heads = tuple(head for head, _ in columns)
    return Report(title, heads, [tuple(_text(row.get(key)) for _, key in columns) for row in rows])


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
