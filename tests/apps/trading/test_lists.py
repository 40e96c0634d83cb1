"""GET /api/v1/orders, /fills and /positions: what of them a caller asks for, and what nobody can ask."""

from __future__ import annotations

from typing import Any

import pytest

from apps.users.services import issue_token
from piggy import projector
from tests.apps import records
from tests.apps.trading.test_orders_api import Api


@pytest.fixture
def alice(acorn: Any, as_tenant: Any, redis_server: Any) -> Api:
    """A client with three orders, of which the last is filled."""
    with as_tenant("acorn"):
        caller = Api(token=issue_token(user=records.client()))
        records.write(
            records.credited(), *(records.accepted(f"O{number}") for number in range(3)), records.filled("O2")
        )
        projector.catch_up(tenant="acorn")
    return caller


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["order_id"] for row in answer.json()["results"]]


def test_a_list_is_narrowed_by_all_that_is_asked(alice: Api) -> None:
    assert ids(alice.get("orders?state=open")) == ["O1", "O0"]
    assert ids(alice.get("orders?state=filled&symbol=EURUSD")) == ["O2"]
    assert ids(alice.get("orders?symbol=GBPUSD")) == ids(alice.get("orders?client_order_id=mine")) == []
    assert ids(alice.get("fills?order_id=O2&account_id=A1")) == ["O2"]
    assert ids(alice.get("fills?order_id=O1")) == []
    assert [row["symbol"] for row in alice.get("positions?symbol=EURUSD").json()["results"]] == ["EURUSD"]
    assert alice.get("positions?symbol=GBPUSD").json()["results"] == []
    first = alice.get("orders?state=open&limit=1").json()
    second = alice.get(f"orders?state=open&limit=1&cursor={first['next_cursor']}").json()
    assert [row["order_id"] for row in first["results"] + second["results"]] == ["O1", "O0"]


def test_times_bound_a_list_on_both_sides(alice: Api) -> None:
    placed = alice.get("orders/O1").json()["created_at"]
    assert "O1" in ids(alice.get(f"orders?since={placed}")) and "O1" not in ids(alice.get(f"orders?until={placed}"))
    assert ids(alice.get("fills?since=2100-01-01T00:00:00Z")) == []
    assert ids(alice.get("fills?until=2100-01-01T00:00:00Z")) == ["O2"]


def test_nobody_sees_anothers_rows_by_naming_them(alice: Api, as_tenant: Any) -> None:
    with as_tenant("acorn"):
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
    for path in ("orders?account_id=A1", "fills?account_id=A1&order_id=O2", "positions?account_id=A1"):
        assert bob.get(path).json()["results"] == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("orders?status=filled", "status"),
        ("orders?state=done", "state"),
        ("orders?state=open&state=filled", "state"),
        ("orders?since=yesterday", "since"),
        ("orders?until=2026-01-01T00:00:00", "until"),
        ("orders?until=9999-12-31T23:59:59-05:00", "until"),
        ("orders?symbol=", "symbol"),
        ("orders?symbol=%00", "symbol"),
        ("fills?state=open", "state"),
        ("positions?order_id=O1", "order_id"),
    ],
)
def test_what_cannot_be_asked_is_named_and_answered_with_no_rows(alice: Api, path: str, field: str) -> None:
    answer = alice.get(path)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.content
