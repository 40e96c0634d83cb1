"""Alerts as a chart sends them: late, twice, and in the wrong order; and strategies that only deal in shadow."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core.accounts import Strategy
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.market import Level, VenueQuote, VenueState, VenueStatus
from piggy.core.strategies import WAIT_MS_MAX
from piggy.messaging.client import Client
from tests.engine.conftest import envelope, opening_commands
from tests.engine.ground import Ground
from tests.engine.test_edge import Door, body_of


def quotes() -> list[VenueQuote | VenueStatus]:
    now_us = time.time_ns() // 1_000
    bids, asks = (Level(Decimal("1.10000"), Decimal(50)),), (Level(Decimal("1.10010"), Decimal(50)),)
    quote = VenueQuote(venue="LP1", symbol="EURUSD", bids=bids, asks=asks, venue_at_us=now_us, received_at_us=now_us)
    return [VenueStatus(venue="LP1", state=VenueState.READY, text="", at_us=now_us), quote]


@pytest.fixture(scope="module")
def door(ground: Ground) -> Iterator[Door]:
    """A desk that is quoted, so that orders fill."""
    shard = f"shard-{uuid.uuid4().hex[:8]}"
    made = Door(ground, ground.add_tenant(shard=shard), shard)
    made.start()
    client, over = Client(redis_url=ground.services.redis_url), threading.Event()
    # Nor is any price too old that a busy machine lets be late.
    limits = msgspec.structs.replace(HOUSE_LIMITS, price_age_ms_max=600_000)
    for command in [*opening_commands(), cmd.ConfigureLimits(group="retail", limits=limits)]:
        assert client.ask(tenant=made.tenant, envelope=envelope(command), wait_s=10)

    def quote() -> None:
        while not over.wait(0.1):
            client.publish_market_data(tenant=made.tenant, batch=quotes())

    thread = threading.Thread(target=quote)
    thread.start()
    try:
        until_s = time.monotonic() + 60
        while signal(made, action="buy").json()["state"] != "filled":
            assert time.monotonic() < until_s, "it is never quoted"
            time.sleep(0.05)
        assert signal(made, action="flat", quantity="").json()["state"] == "filled"
        yield made
    finally:
        over.set()
        thread.join()
        made.stop()


def configure(door: Door, **changes: Any) -> None:
    client = Client(redis_url=door.ground.services.redis_url)
    command = cmd.ConfigureStrategy(strategy=Strategy(strategy_id="mean", account_id="anna", **changes))
    assert client.ask(tenant=door.tenant, envelope=envelope(command), wait_s=10)


def signal(door: Door, **changes: Any) -> httpx.Response:
    return door.post(body_of(**changes))


def test_a_close_that_overtook_its_open_waits_for_it(door: Door) -> None:
    """F-25: what comes before what it follows is kept, for as long as its strategy says."""
    configure(door, wait_ms_max=WAIT_MS_MAX)
    for lots in ("0.20", "0.21", "0.22", "0.23", "0.24"):  # never the same order as a moment ago (P-13)
        began_s = time.monotonic()
        with ThreadPoolExecutor() as pool:
            close = pool.submit(signal, door, action="flat", before="long", quantity="")
            time.sleep(0.3)
            is_waiting = not close.done()
            opened = signal(door, action="buy", before="flat", quantity=lots).json()
            in_time = time.monotonic() - began_s < WAIT_MS_MAX / 1_000
            closed = close.result().json()
        if in_time:
            break  # else a busy machine let it wait for longer than any signal may
        signal(door, action="flat", quantity="")
    assert in_time and is_waiting
    assert (opened["state"], closed["state"]) == ("filled", "filled")
    assert (closed["side"], closed["quantity"]) == ("sell", lots)
    assert opened["order_id"] < closed["order_id"]


def test_an_expectation_that_is_not_met_in_time_or_at_once_is_refused(door: Door) -> None:
    configure(door, wait_ms_max=100)
    told = signal(door, action="sell", before="long").json()
    assert (told["error"], told["field"]) == ("POSITION_UNEXPECTED", "before")
    configure(door, wait_ms_max=0)
    assert signal(door, action="sell", before="short").json()["error"] == "POSITION_UNEXPECTED"


def test_reverse_turns_the_position_over_and_flat_ends_it(door: Door) -> None:
    configure(door)
    assert signal(door, action="buy", quantity="0.30").json()["state"] == "filled"
    turned = signal(door, action="reverse", before="long", quantity="0.20").json()
    assert (turned["side"], turned["filled"]) == ("sell", "0.50"), "what was open and as much again as was asked"
    ended = signal(door, action="flat", before="short", quantity="").json()
    assert (ended["side"], ended["filled"]) == ("buy", "0.20")
    assert signal(door, action="flat", quantity="").json()["error"] == "NO_POSITION"


def test_in_shadow_a_signal_is_answered_with_what_would_have_been(door: Door) -> None:
    configure(door, shadow=True)
    body = body_of(action="buy", quantity="0.40")
    told = door.post(body)
    assert told.status_code == 200
    assert told.json() | {"reasons": []} == {
        "shadow": True,
        "state": "passed",
        "symbol": "EURUSD",
        "side": "buy",
        "quantity": "0.40",
        "filled": "0.40",
        "average_price": told.json()["average_price"],
        "mode": "B",
        "reasons": [],
    }
    assert door.post(body).json()["duplicate"] is True
    configure(door)
    assert signal(door, action="flat", quantity="").json()["error"] == "NO_POSITION", "nothing was dealt"
