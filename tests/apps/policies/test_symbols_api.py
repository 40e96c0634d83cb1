"""GET /api/v1/accounts/<id>/symbols: a client reads the terms that the engine was told, of his own accounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from apps.accounts.models import Account, Group
from apps.instruments import services as instruments
from apps.policies import services
from apps.policies.api import symbols
from apps.policies.models import Kind, Policy
from apps.users.services import issue_token
from tests.apps import records
from tests.apps.dealing.desk_floor import symbol
from tests.apps.policies.test_policies import approve
from tests.apps.trading.test_orders_api import Api

MONDAY_US = 1_893_456_000_000_000 + 6 * 86_400_000_000  # 7 January 2030, 00:00 UTC: still Sunday in New York.
HOUR_US = 3_600_000_000


@pytest.fixture
def alice(acorn: Any, as_tenant: Any, redis_server: Any) -> Api:
    with as_tenant("acorn"):
        caller = Api(token=issue_token(user=records.client()))
        for name in ("EURUSD", "GBPUSD"):
            instruments.set_up_instrument(tenant="acorn", instrument=symbol(name), by="test")
    return caller


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    now = {"us": MONDAY_US + HOUR_US}
    monkeypatch.setattr(symbols.time, "time_ns", lambda: now["us"] * 1_000)
    return now


def holds(kind: str, body: dict[str, Any], *, group: str = "", name: str = "") -> None:
    row = Policy(kind=kind, group=group, symbol=name, body=body, reason="a new day")
    approve(services.save_draft(policy=row, by="dora"))


def told(api: Api, name: str, account_id: str = "A1") -> dict[str, Any]:
    answer = api.get(f"accounts/{account_id}/symbols?symbol={name}")
    assert answer.status_code == 200, answer.content
    (row,) = answer.json()["results"]
    return row  # type: ignore[no-any-return]


def test_a_symbol_without_policies_is_told_by_its_record_and_its_group(alice: Api, as_tenant: Any) -> None:
    with as_tenant("acorn"):
        Group.objects.update(commission_per_lot=Decimal("3.50"), leverage_max=Decimal(20))
    every = alice.get("accounts/A1/symbols").json()
    assert [row["symbol"] for row in every["results"]] == ["EURUSD", "GBPUSD"] and every["next_cursor"] is None
    row = told(alice, "EURUSD")
    made = symbol("EURUSD")
    assert (row["base"], row["quote"], row["price_digits"]) == (made.base, made.quote, made.price_digits)
    for name in ("contract_size", "tick_size", "lot_min", "lot_step", "lot_max"):
        assert Decimal(row[name]) == getattr(made, name)
    assert row["margin"] == {
        "percent": "5", "tier_basis": "notional", "tiers": [], "hedged_ratio": None,
    }, "the dearest of the symbol's own, the group's leverage of 20 and the law's 3.33"  # fmt: skip
    assert row["commission"] == {
        "basis": "per_lot", "rate": "3.5", "tiers": [], "minimum": None, "charged": "both",
    }  # fmt: skip
    assert [row[name] for name in ("swap", "swap_free", "hours", "guaranteed_stops")] == [None] * 4


def test_what_is_live_for_the_group_and_the_symbol_holds_and_nothing_else(
    alice: Api, as_tenant: Any, clock: dict[str, int]
) -> None:
    week = {"timezone": "Europe/London", "sessions": [{"opens": 0, "closes": 7200}]}
    with as_tenant("acorn"):
        holds(Kind.CALENDAR, week | {"holidays": ["2029-12-25", "2030-01-08"]}, name="EURUSD")
        swaps = {"long": "-6.1", "short": "1.25", "holidays": ["2030-01-01", "2030-01-10"]}
        holds(Kind.SWAPS, swaps, name="EURUSD")
        holds(Kind.MARGIN, {"percent": "7"}, group="b-book", name="*")
        tiers = [{"above": "1000000", "percent": "12"}]
        holds(Kind.MARGIN, {"percent": "9", "hedged_ratio": "1", "tiers": tiers}, group="b-book", name="EURUSD")
        profile = {
            "commission": {"basis": "per_million", "rate": "25", "minimum": "1"},
            "guaranteed_stops": {"premium_points": "8", "distance_points_min": "100"},
        }
        holds(Kind.PRICING, profile, group="b-book", name="*")
        Account.objects.update(position_mode="hedging")
    row = told(alice, "EURUSD")
    assert row["margin"]["percent"] == "9" and row["margin"]["hedged_ratio"] == "1"
    assert row["margin"]["tiers"] == tiers
    assert (row["commission"]["basis"], row["commission"]["rate"], row["commission"]["minimum"]) == (
        "per_million", "25", "1",
    )  # fmt: skip
    assert row["guaranteed_stops"] == {"premium_points": "8", "distance_points_min": "100"}
    assert row["swap"] == {
        "long": "-6.1", "short": "1.25", "unit": "points", "days_in_year": 360, "triple_weekday": 2,
        "holidays": ["2030-01-10"],
    }  # fmt: skip
    assert row["hours"] == week | {"holidays": ["2030-01-08"], "is_open": True}
    clock["us"] = MONDAY_US + 25 * HOUR_US
    assert told(alice, "EURUSD")["hours"]["is_open"] is False, "a holiday"
    assert told(alice, "GBPUSD")["margin"]["percent"] == "7" and told(alice, "GBPUSD")["hours"] is None
    with as_tenant("acorn"):
        holds(Kind.SWAP_FREE, {"grace_days": 3, "fee_per_lot": "5"}, group="b-book")
        offer = {"guaranteed_stops": {"premium_points": "8", "distance_points_min": "100", "offered": False}}
        holds(Kind.PRICING, offer, group="b-book", name="EURUSD")
    row = told(alice, "EURUSD")
    assert (row["swap"], row["swap_free"]) == (None, {"grace_days": 3, "fee_per_lot": "5"})
    assert row["guaranteed_stops"] is None and row["commission"]["rate"] == "25"


def test_nobody_reads_the_terms_of_anothers_account(alice: Api, as_tenant: Any) -> None:
    with as_tenant("acorn"):
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
    assert bob.get("accounts/A1/symbols").status_code == bob.get("accounts/A9/symbols").status_code == 404
    assert bob.get("accounts/B1/symbols?symbol=XAUUSD").json()["results"] == []
    assert bob.get("accounts/B1/symbols?group=b-book").json()["field"] == "group"
