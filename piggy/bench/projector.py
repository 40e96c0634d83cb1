"""How fast committed events become rows for people: kept orders with their fills, ledger lines and positions.

Runs as the app's role under forced row-level security, in a broker of its own: it writes the log itself, so no engine
may run that tenant.
"""

from __future__ import annotations

import os
import statistics
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from piggy.bench import broker
from piggy.core import events as ev
from piggy.core.orders import OrderTerms, Side
from piggy.messaging import codec
from piggy.messaging.chain import EVENT_VERSION, FIRST_HASH, event_hash

EVENTS_PER_ROUND = 4_000
ROUNDS_MIN = 3
ROW = """
insert into event_log (seq, command_id, position, type, version, principal, request_hash, occurred_at, recorded_at,
                       recorded_mono_ns, payload, prev_hash, hash)
values (%(seq)s, %(command_id)s, 0, %(type_name)s, %(version)s, 'bench', '', 'epoch', 'epoch', 0, %(payload)s,
        %(prev_hash)s, %(hash)s)
"""


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return events_per_s, the median of the rounds; `scale` multiplies the events of a round."""
    from piggy import projector

    tenant = os.environ.get(broker.TENANT_VARIABLE, "")
    if not tenant:
        return broker.measured_inside(name="projector", seconds=seconds, scale=scale)
    until = time.monotonic() + seconds
    rates: list[float] = []
    size = max(2, int(EVENTS_PER_ROUND * scale))
    _prepare(tenant)
    while len(rates) < ROUNDS_MIN or time.monotonic() < until:
        _write(tenant, size)
        started, done = time.perf_counter(), 0
        while count := projector.catch_up(tenant=tenant):
            done += count
        rates.append(done / (time.perf_counter() - started))
    return {
        "events_per_s": round(statistics.median(rates)),
        "load": f"{size} events a round: kept orders and their fills, three projections",
        "runs": len(rates),
    }


def _prepare(tenant: str) -> None:
    """One client with one account, whose currency the ledger asks for."""
    from apps.accounts import selectors, services
    from apps.tenants.services import in_tenant
    from apps.users.services import create_client_user

    with in_tenant(tenant):
        if selectors.currencies_of(account_ids={"BENCH"}):
            return
        user = create_client_user(username="bench", password=uuid.uuid4().hex)
        group = services.set_up_group(
            tenant=tenant, group=services.Group(name="bench", order_notional_max=10_000_000), by="bench"
        )
        client = services.register_client(user=user, reference="bench", name="Bench", kyc_approved=True)
        account = services.Account(account_id="BENCH", client=client, group=group, currency="USD")
        services.save_account(tenant=tenant, account=account, by="bench")


def _write(tenant: str, size: int) -> None:
    from django.db import connection

    from apps.tenants.services import in_tenant

    with in_tenant(tenant), connection.cursor() as cursor:
        cursor.execute("select seq, hash from event_log order by seq desc limit 1")
        seq, tip = cursor.fetchone() or (0, FIRST_HASH)
        cursor.executemany(ROW, list(_chained(first=seq + 1, tip=bytes(tip), size=size)))


def _chained(*, first: int, tip: bytes, size: int) -> Iterator[dict[str, Any]]:
    """Yield rows that follow the log's end, for the projector reads no others."""
    always: dict[str, Any] = {"position": 0, "principal": "bench", "request_hash": ""}
    always |= {"occurred_at_us": 0, "recorded_at_us": 0, "recorded_mono_ns": 0}
    for seq, event in enumerate(_events(first=first, size=size), start=first):
        row: dict[str, Any] = {
            "seq": seq,
            "command_id": str(uuid.uuid4()),
            "type_name": type(event).__name__,
            "version": EVENT_VERSION,
            "payload": codec.encode(event),
            "prev_hash": tip,
        }
        tip = event_hash(**row, **always)
        yield {**row, "hash": tip}


def _events(*, first: int, size: int) -> Iterator[ev.AnyEvent]:
    checks = tuple(ev.Check(code=f"P-{number:02d}", passed=True, value="1", limit="2") for number in range(1, 21))
    verdict = ev.Verdict(terms_hash="0" * 64, config_version=1, checks=checks)
    lots, price, none = Decimal("0.10"), Decimal("1.10000"), Decimal(0)
    for number in range(size // 2):
        order_id = f"O{first + number}"
        side = Side.BUY if number % 2 else Side.SELL
        yield ev.OrderAccepted(
            order_id=order_id,
            terms=OrderTerms(account_id="BENCH", symbol="EURUSD", side=side, quantity=lots),
            source="api",
            group="bench",
            verdict=verdict,
            routing=ev.RoutingDecision(
                rule="group", version=1, mode="B", a_quantity=none, b_quantity=lots, cross_quantity=none
            ),
        )
        yield ev.OrderFilled(
            order_id=order_id,
            account_id="BENCH",
            fill_id=f"{order_id}-1",
            symbol="EURUSD",
            side=side,
            quantity=lots,
            price=price,
            raw_price=price,
            book="B",
            counterparty="house",
            leaves=none,
            realised=Decimal(number % 7),
            realised_quote=none,
            commission=Decimal("0.30"),
            conversion_rate=Decimal(1),
            position_id="BENCH:EURUSD",
            margin_per_lot=Decimal(3_333),
            markup_revenue=Decimal("0.50"),
        )
