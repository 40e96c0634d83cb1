"""The desk's latest deals: which stand, and that this costs the same after any number of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.dealing import selectors
from apps.dealing.selectors.fills import DEALS_MAX
from apps.tenants.services import in_tenant
from apps.trading.models import Fill

FILLS, BUSTED = 300, 290


def fill(seq: int, **changes: Any) -> Fill:
    values: dict[str, Any] = {"fill_id": f"F{seq}", "order_id": f"O{seq}", "account_id": "A1", "symbol": "EURUSD"}
    numbers = dict.fromkeys(("quantity", "price", "raw_price", "conversion_rate"), Decimal(1))
    money = dict.fromkeys(("realised", "commission", "markup_revenue"), Decimal(0))
    told = {"side": "buy", "book": "B", "position_id": "P", "filled_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return Fill(seq=seq, **values | numbers | money | told | changes)


def test_whether_the_latest_deals_stand_is_asked_of_their_orders_and_not_of_all_there_were(acorn: Any) -> None:
    """The planner would keep ready all that was ever taken back, and for that read every fill of the broker."""
    with in_tenant("acorn"):
        Fill.objects.bulk_create(fill(seq) for seq in range(1, FILLS))
        taken_back = {"fill_id": f"F{BUSTED}", "order_id": f"O{BUSTED}", "quantity": Decimal(-1)}
        fill(FILLS, **taken_back).save(force_insert=True)
        fill(FILLS + 1, order_id=f"O{BUSTED}").save(force_insert=True)
        with CaptureQueriesContext(connection) as asked:
            told = selectors.deals()
    latest = list(range(FILLS + 1, FILLS + 1 - DEALS_MAX, -1))
    assert [row["seq"] for row in told] == latest
    assert [row["seq"] for row in told if not row["stands"]] == [FILLS, BUSTED]
    first, second = (each["sql"] for each in asked if "trading_fill" in each["sql"])
    assert f"limit {DEALS_MAX}" in first and first.count("trading_fill") == 1
    assert f"O{latest[-1]}" in second and f"O{latest[-1] - 1}" not in second
