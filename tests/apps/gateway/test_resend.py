"""F-11: a client asks for everything again, or reads slowly: parts, and the latest, so that others are served too."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from django.contrib.auth.hashers import make_password

from piggy.adapters.fix.messages import SOH
from piggy.adapters.fix_clients.config import RESEND_MAX, Kind, Terms
from piggy.adapters.fix_clients.market import Board
from piggy.adapters.fix_clients.outbound import Copy
from piggy.core.market import ClientPrice
from piggy.core.orders import OrderType, Side, TimeInForce
from tests.apps.gateway.ground import PASSWORD, Line, wait_until_open

MESSAGES = int(os.environ.get("PIGGY_TEST_RESENT_MESSAGES", "6000"))  # 100,000 is the nightly size.
MEMORY_MIB_MAX = 200
ENGINE_FIRST = 2  # Number 1 was a Logon.


@pytest.fixture
def port(acorn: Any, as_tenant: Any, redis_server: Any) -> Iterator[int]:
    """The door with one drop copy that was told MESSAGES reports on days gone by."""
    from apps.gateway import services
    from apps.gateway.models import FixClient, OrderCopy, SentMessage
    from apps.gateway.worker.door import Door
    from piggy.local import processes

    with as_tenant("acorn"):
        client = FixClient(comp_id="COPY1", kind=Kind.DROP_COPY, every_account=True, password=make_password(PASSWORD))
        client.save()
        services.begin_here(tenant="acorn", client=client)
        numbers = range(ENGINE_FIRST, ENGINE_FIRST + MESSAGES)
        OrderCopy.objects.bulk_create((row(number) for number in numbers), batch_size=5_000)
        at = datetime.now(UTC)
        SentMessage.objects.bulk_create(
            (SentMessage(client=client, number=number, copy_seq=number, sent_at=at) for number in numbers),
            batch_size=5_000,
        )
        FixClient.objects.update(incoming=2, outgoing=numbers[-1] + 1, copied_seq=numbers[-1])
    door = Door(host="127.0.0.1", port=(port := processes.free_port()))
    door.start()
    yield port
    door.stop()


def row(seq: int) -> Any:
    from apps.gateway.models import OrderCopy

    copy = Copy(
        seq=seq,
        order_id=f"O{seq}",
        account_id="A1",
        cl_ord_id=f"c{seq}",
        symbol="EURUSD",
        side=Side.BUY,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        quantity=Decimal(1),
        exec_type="0",
        status="0",
        at_us=1_700_000_000_000_000,
    )
    return OrderCopy(
        seq=seq, account_id="A1", order_id=f"O{seq}", cl_ord_id=f"c{seq}", facts=msgspec.msgpack.encode(copy)
    )


@pytest.mark.timeout(900)
def test_everything_comes_again_in_parts_and_what_lives_flows_between(port: int) -> None:
    wait_until_open(port)
    line = Line(port, "COPY1")
    line.log_on(2)
    (logon,) = line.read()
    assert int(logon["34"]) == ENGINE_FIRST + MESSAGES
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line.say("2", 3, "7=1|16=0|")
    line.say("1", 4, "112=are you there|")
    expected, answered_at = 1, 0
    while expected < ENGINE_FIRST + MESSAGES + 1:
        for each in line.read():
            if each["35"] == "0":
                answered_at = answered_at or (expected if each.get("112") == "are you there" else 0)
                continue
            assert (each["34"], each["43"]) == (str(expected), "Y")
            expected = int(each["36"]) if each["35"] == "4" else expected + 1
            assert each["35"] == "4" or each["17"] == each["34"], "each report under the number it had"
    assert 0 < answered_at <= ENGINE_FIRST + 2 * RESEND_MAX, "who asks meanwhile does not wait for the end"
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1_024
    assert grown_mib < MEMORY_MIB_MAX
    line.close()


def test_f_23_of_prices_that_wait_for_a_slow_line_only_the_latest_is_told() -> None:
    """F-30: who reads a message in seconds had every price kept for him once, and got further behind with each."""
    from apps.gateway.worker.client_link import ClientLink

    link: Any = object.__new__(ClientLink)
    terms = Terms(
        kind=Kind.ORDERS, accounts=("A1",), units=dict.fromkeys(("EURUSD", "GBPUSD"), Decimal(100_000)), in_lots=False
    )
    link._board, link._prices, link._pricing = Board(terms=terms), {}, threading.Lock()
    link._wire, link._priced_at, told = SimpleNamespace(ring=lambda: None), 0.0, list[str]()
    link._tell_all = lambda said: told.extend(each.body for each in said)
    for symbol in terms.units:
        asked = f"35=V{SOH}262={symbol}{SOH}263=1{SOH}264=1{SOH}267=1{SOH}269=0{SOH}146=1{SOH}55={symbol}{SOH}"
        assert link._board.ask(asked) == []
    for points in range(1_000):
        price = ClientPrice(Decimal(points), None, Decimal(1), Decimal(0))
        link.show({"A1": {"EURUSD": price}, "A2": {"EURUSD": price}} if points else {"A1": {"GBPUSD": price}})
    assert sum(len(each) for each in link._prices.values()) == 3
    link._tell_prices()
    assert sorted(body.split(SOH)[4] for body in told) == ["270=0", "270=999"]
    assert link._priced_at > 0, "and who is told is not told a moment later that there are none"
