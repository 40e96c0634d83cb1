"""What tests of the records need of the log: events written as the engine writes them, and a first client."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from piggy.core.events import AccountCredited, AnyEvent, Check, OrderAccepted, OrderFilled, RoutingDecision, Verdict
from piggy.core.orders import OrderTerms, Side
from piggy.messaging import codec
from piggy.messaging.chain import FIRST_HASH, event_hash

AT, AT_US = "2030-01-01T00:00:00.000001Z", 1_893_456_000_000_001
ROW = (
    "insert into event_log (seq, command_id, position, type, version, principal, request_hash, occurred_at,"
    " recorded_at, recorded_mono_ns, payload, prev_hash, hash)"
    " values (%s, %s, %s, %s, 2, 'user:1', '', %s, %s, 0, %s, %s, %s)"
)


def write(*events: AnyEvent, first: int | None = None, command_id: str = "") -> None:
    """Append events to the current tenant's log, from seq `first` or after the last."""
    from django.db import connection

    with connection.cursor() as cursor:
        if first is None:
            cursor.execute("select coalesce(max(seq), 0) + 1 from event_log")
            first = cursor.fetchone()[0]
        cursor.execute("select hash from event_log where seq < %s order by seq desc limit 1", [first])
        tip = bytes((cursor.fetchone() or [FIRST_HASH])[0])
        for seq, event in enumerate(events, start=first):
            named, name = command_id or str(uuid.uuid4()), type(event).__name__
            place = seq - first if command_id else 0
            payload = codec.encode(event)
            digest = event_hash(
                prev_hash=tip, seq=seq, command_id=named, position=place, type_name=name, version=2,
                principal="user:1", request_hash="", occurred_at_us=AT_US, recorded_at_us=AT_US, recorded_mono_ns=0,
                payload=payload,
            )  # fmt: skip
            cursor.execute(ROW, [seq, named, place, name, AT, AT, payload, tip, digest])
            tip = digest


def client(*, name: str = "alice", account_id: str = "A1", tenant: str = "acorn", group: str = "b-book") -> Any:
    """Make a user with a client profile and one USD account; return the user."""
    from apps.accounts import services as accounts
    from apps.accounts.models import Account, Group
    from apps.users.services import create_client_user

    user = create_client_user(username=name, password="long enough for a test")
    found = Group.objects.filter(name=group).first()
    kept = found or accounts.set_up_group(
        tenant=tenant, group=Group(name=group, book_mode="B", order_notional_max=10_000_000), by="test"
    )
    profile = accounts.register_client(user=user, reference=f"C-{name}", name=name.title(), kyc_approved=True)
    account = Account(account_id=account_id, client=profile, group=kept, currency="USD")
    accounts.save_account(tenant=tenant, account=account, by="test")
    return user


def credited(amount: str = "1000", account_id: str = "A1") -> AccountCredited:
    return AccountCredited(
        account_id=account_id, amount=Decimal(amount), currency="USD", reference="deposit:1", kind="deposit"
    )


def accepted(
    order_id: str = "O1", *, account_id: str = "A1", quantity: str = "1", side: Side = Side.BUY
) -> OrderAccepted:
    terms = OrderTerms(account_id=account_id, symbol="EURUSD", side=side, quantity=Decimal(quantity))
    checks = (Check(code="P-01", passed=True, text="trading is active"),)
    routing = RoutingDecision(
        rule="group",
        version=3,
        mode="B",
        a_quantity=Decimal(0),
        b_quantity=Decimal(quantity),
        cross_quantity=Decimal(0),
        text="group b-book is B: kept",
    )
    verdict = Verdict(terms_hash="0" * 64, config_version=1, checks=checks)
    return OrderAccepted(order_id=order_id, terms=terms, source="api", group="b-book", verdict=verdict, routing=routing)


def filled(order_id: str = "O1", *, number: int = 1, **changes: Any) -> OrderFilled:
    values: dict[str, Any] = {
        "order_id": order_id,
        "account_id": "A1",
        "fill_id": f"{order_id}-{number}",
        "symbol": "EURUSD",
        "side": Side.BUY,
        "quantity": Decimal(1),
        "price": Decimal("1.1"),
        "raw_price": Decimal("1.1"),
        "book": "B",
        "counterparty": "house",
        "leaves": Decimal(0),
        "realised": Decimal(0),
        "realised_quote": Decimal(0),
        "commission": Decimal(0),
        "conversion_rate": Decimal(1),
        "position_id": "A1:EURUSD",
        "margin_per_lot": Decimal(3_333),
    }
    return OrderFilled(**{**values, **changes})


def leg_in_doubt(cl_ord_id: str = "O1-LP1-1", *, filled: str = "0") -> None:
    """One lot of O1 at LP1, sent, of which nobody knows what became."""
    from django.utils import timezone

    from apps.liquidity.models import VenueOrder
    from apps.trading.models import ChildOrder

    row: dict[str, Any] = {
        "cl_ord_id": cl_ord_id,
        "order_id": "O1",
        "venue": "LP1",
        "symbol": "EURUSD",
        "side": "buy",
        "quantity": Decimal(1),
        "filled": Decimal(filled),
        "limit_price": Decimal("1.1"),
        "time_in_force": "ioc",
    }
    now = timezone.now()
    ChildOrder.objects.create(
        **row, last_seq=3, attempt=1, state="in_doubt", text="no answer", created_at=now, updated_at=now
    )
    VenueOrder.objects.create(**row, state="doubt", doubts=1)
