"""Which orders are open is told (35=AF) without reading all that an account's orders ever were."""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from msgspec import structs

from piggy.adapters.fix_clients.config import Kind
from piggy.adapters.fix_clients.outbound import CANCELLED, NEW, Copy
from tests.apps import records
from tests.apps.gateway.test_resend import row

ACCOUNT = "A1"


def test_open_orders_are_told_from_both_sides_of_what_is_shown(acorn: Any, as_tenant: Any) -> None:
    from apps.gateway import selectors
    from apps.gateway.models import FixClient, OrderCopy
    from apps.trading.models import Order

    def copied(seq: int, order_id: str, status: str, account_id: str = ACCOUNT) -> None:
        made = row(seq)
        facts = msgspec.msgpack.decode(made.facts, type=Copy)
        made.order_id, made.account_id = order_id, account_id
        made.facts = msgspec.msgpack.encode(structs.replace(facts, order_id=order_id, status=status))
        made.save(force_insert=True)

    def shown(seq: int, order_id: str, state: str) -> None:
        terms = {"symbol": "EURUSD", "side": "buy", "type": "limit", "quantity": 1, "time_in_force": "gtc"}
        told = {"source": "fix", "principal": "user:1", "created_at": timezone.now(), "updated_at": timezone.now()}
        Order.objects.create(order_id=order_id, seq=seq, last_seq=seq, account_id=ACCOUNT, state=state, **terms, **told)

    with as_tenant("acorn"):
        client = FixClient.objects.create(comp_id="C1", kind=Kind.ORDERS, user=records.client())
        for number in range(1, 101):
            copied(number, f"old-{number}", CANCELLED)
            shown(number, f"old-{number}", "cancelled")
        copied(101, "rests", NEW)
        shown(101, "rests", "working")
        copied(102, "ended a moment ago", NEW)
        shown(102, "ended a moment ago", "routed")
        copied(103, "ended a moment ago", CANCELLED)
        copied(104, "not shown yet", NEW)
        copied(105, "somebody else's", NEW, account_id="B1")
        with CaptureQueriesContext(connection) as asked:
            found = selectors.open_copies(client=client)
        assert sorted(copy.order_id for copy in found) == ["not shown yet", "rests"]
        read = [each["sql"] for each in asked if "facts" in each["sql"]]
        assert len(read) == 1 and "old-" not in read[0], "of orders that ended nothing is read"
        assert OrderCopy.objects.count() == 105
