"""Reports in the database: each counts once, whatever its flags, its sequence number and its place in the line."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Sum

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.inbound import read_report
from piggy.adapters.fix.messages import SOH
from piggy.core.commands import RecordVenueFill
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side
from tests.simulator.lp_range import MAPPINGS, units

CONFIG = SessionConfig(
    tenant="acorn",
    venue="LP1",
    host="",
    port=1,
    sender_comp_id="ACORN",
    target_comp_id="LP1",
    home=Path("unused"),
    symbols=MAPPINGS,
)
ORDERS = 6
REPLAYS = 3
NOW_US = 1_700_000_000_000_000


def child(number: int) -> ChildOrderCreated:
    return ChildOrderCreated(
        order_id=f"O{number}",
        cl_ord_id=f"O{number}-LP1-1",
        venue="LP1",
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(3),
        limit_price=Decimal("1.2"),
        time_in_force="ioc",
        attempt=1,
    )


def said(number: int, exec_id: str, exec_type: str, *, filled: int = 0, last: int = 0, seq: int = 1) -> str:
    """What the LP says of an order (35=8); quantities in lots."""
    lots = {count: f"{units(str(count)):f}" for count in (filled, last, 3)}
    parts = [
        "8=FIX.4.4", "9=100", "35=8", f"34={seq}", "49=LP1", "52=20260101-00:00:00", "56=ACORN", f"37=V{number}",
        f"11=O{number}-LP1-1", f"17={exec_id}", f"150={exec_type}", "39=1", "55=EURUSD", "54=1", f"38={lots[3]}",
        f"14={lots[filled]}", "60=20260101-00:00:00",
    ]  # fmt: skip
    if last:
        parts += [f"32={lots[last]}", "31=1.1"]
    return SOH.join([*parts, "10=000", ""])


def day() -> list[str]:
    """An acknowledgement and two fills of each order, in the LP's sequence."""
    messages = []
    for number in range(ORDERS):
        for exec_type, filled, last in (("0", 0, 0), ("F", 1, 1), ("F", 3, 2)):
            exec_id = f"E{number}-{filled}"
            messages.append(said(number, exec_id, exec_type, filled=filled, last=last, seq=len(messages) + 1))
    return messages


@pytest.mark.parametrize("seed", range(3))
def test_a_day_replayed_three_times_shuffled_and_flagged_counts_once(acorn: Any, as_tenant: Any, seed: int) -> None:
    """INV-04: what the LP filled is what is told, and every repeat is counted as one."""
    from apps.liquidity import services
    from apps.liquidity.models import VenueOrder, VenueReport

    with as_tenant("acorn"):
        for number in range(ORDERS):
            _, is_new = services.claim_order(child=child(number), client_id=f"O{number}-LP1-1")
            assert is_new
            row, is_new = services.claim_order(child=child(number), client_id="other")
            assert (row.client_id, is_new) == (f"O{number}-LP1-1", False), "a second claim sends nothing"
        first = day()
        told = [_record(text) for text in first]
        again = [
            text.replace(f"{SOH}34=", f"{SOH}{flag}=Y{SOH}34=9", 1) for text in first * REPLAYS for flag in ("43", "97")
        ]
        random.Random(seed).shuffle(again)
        assert [each for text in again if (each := _record(text).envelope)] == []
        assert VenueReport.objects.aggregate(all=Sum("repeats"))["all"] == len(again), (
            "dup_ignored is what was injected"
        )
        fills = [t.envelope.command for t in told if t.envelope and isinstance(t.envelope.command, RecordVenueFill)]
        assert sum(fill.quantity for fill in fills) == ORDERS * 3
        assert {(row.filled, row.state) for row in VenueOrder.objects.all()} == {(Decimal(3), "done")}
        assert VenueReport.objects.filter(kind="fill", command_id__isnull=False).count() == ORDERS * 2


def test_a_day_that_is_first_heard_in_any_order_adds_up_alike(acorn: Any, as_tenant: Any) -> None:
    """D9: after a crash fills come for the first time with PossDup, and in whatever order."""
    from apps.liquidity import services
    from apps.liquidity.models import VenueOrder

    messages = [text.replace(f"{SOH}34=", f"{SOH}43=Y{SOH}34=", 1) for text in day()]
    random.Random(7).shuffle(messages)
    with as_tenant("acorn"):
        for number in range(ORDERS):
            services.claim_order(child=child(number), client_id=f"O{number}-LP1-1")
        told = [_record(text) for text in messages]
        assert all(each.envelope for each in told)
        assert {(row.filled, row.state) for row in VenueOrder.objects.all()} == {(Decimal(3), "done")}


def test_only_what_may_be_found_out_anew_is_committed_without_waiting_for_the_disk(acorn: Any, as_tenant: Any) -> None:
    """INV-03: a claim waits for the disk, the mark that its order left does not."""
    from django.db import connection

    from apps.liquidity import services

    waits: dict[str, str] = {}

    def look(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        found = execute(statement, params, many, context)
        for what in ("insert into liquidity_venueorder", 'UPDATE "liquidity_venueorder"', "liquidity_fixmessage"):
            if what in statement:
                with connection.connection.cursor() as cursor:
                    waits[what] = cursor.execute("show synchronous_commit").fetchone()[0]
        return found

    with as_tenant("acorn"), connection.execute_wrapper(look):
        services.claim_order(child=child(1), client_id="O1-LP1-1")
        services.mark_sent(venue="LP1", cl_ord_ids=["O1-LP1-1"])
        services.keep_messages(venue="LP1", messages=[(datetime.now(UTC), "OUT", "35=D")])
    assert list(waits.values()) == ["on", "off", "off"]


def _record(text: str) -> Any:
    from apps.liquidity import services

    report = read_report(text=text, config=CONFIG)
    return services.record_report(tenant="acorn", venue="LP1", report=report, raw=text, now_us=NOW_US)
