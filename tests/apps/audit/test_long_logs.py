"""A log that is long, or grows while it is read."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from apps.audit import selectors
from apps.dealing.selectors import fills
from apps.tenants.services import in_tenant
from apps.trading import selectors as trading
from piggy.bench.long_log import FILL
from piggy.messaging import log_pages
from tests.apps import records
from tests.apps.audit.test_log import Book, tamper, trades, trusted


@pytest.fixture
def book(acorn: Any, as_tenant: Any) -> Book:
    with as_tenant("acorn"):
        records.client()
    return Book()


def test_what_is_written_while_a_log_is_read_is_no_gap(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that ended where the log did is followed by what came after it, not by the page behind it."""
    book.write(*trades(4))
    read, pages = selectors._rows, []

    def grown(tenant: str, query: Any, asked: Any = None) -> Any:
        if query is log_pages.PAGE:
            pages.append(asked["after"])
            if len(pages) == 3:
                book.write(*list(trades(9))[9:])
        return read(tenant, query, asked or {})

    monkeypatch.setattr(selectors, "PAGE_ROWS", 7)
    monkeypatch.setattr(selectors, "_rows", grown)
    assert selectors.verify(tenant="acorn", trusted=trusted()) == selectors.Verdict(19, 0)
    assert pages == [0, 7, 9, 16, 19]


@pytest.mark.parametrize(
    ("query", "asked"), [(fills.EVENTS, [[7, 9]]), (trading.EVENTS_OF_ORDER, [5, 40, b"O1"])], ids=["bust", "receipt"]
)
def test_no_question_of_a_few_events_reads_all_of_a_log(book: Book, query: str, asked: list[Any]) -> None:
    """As tests/engine/test_plans.py holds for the engine's."""
    tamper(FILL.replace("{}", "{log}") % {"events": 2_000, "bytes": 700})
    tamper("analyze {log}")
    with in_tenant("acorn"), connection.cursor() as cursor:
        cursor.execute(f"explain {query}", asked)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "on event_log" in plan
    assert "Seq Scan on event_log" not in plan, plan
