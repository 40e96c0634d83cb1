"""The worker against a venue without FIX on a real socket, PostgreSQL and Redis; this test stands in for the engine."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from piggy.core.commands import (
    RecordVenueAck,
    RecordVenueCancelReject,
    RecordVenueDone,
    RecordVenueDoubt,
    RecordVenueFill,
    RecordVenueReject,
)
from piggy.simulator.binance import BinanceServer
from piggy.simulator.certification.grounds import symbol
from piggy.simulator.faults import Fault
from tests.apps.liquidity import venue_process
from tests.apps.liquidity.test_worker import Engine, engine, wait_for_quotes  # noqa: F401
from tests.apps.liquidity.worker_process import WorkerProcess

POINTS = (
    "before persist",
    "persisted, not sent",
    "sent, answer not read",
    "report not committed",
    "one report committed",
    "committed, not told",
)
UNITS = Decimal(1_000)
LONG = "3f2b8f6e6f7d4df09d6e3f6a2c1b0a99-LP1-1"


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[BinanceServer]:
    euro = symbol("EURUSDT", "1.08500", 5, 8, 1_000, 3)
    server = BinanceServer(symbols=(euro,), home=tmp_path, key="acorn-key", secret="")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def provider(venue: BinanceServer, acorn: Any, as_tenant: Any) -> Any:
    from apps.liquidity import services
    from apps.liquidity.models import LiquidityProvider, LpSymbol

    with as_tenant("acorn"):
        row = LiquidityProvider(
            name="LP1",
            kind="binance",
            username="acorn-key",
            rest_url=f"http://{venue.address}",
            stream_url=f"ws://{venue.address}",
            order_age_ms_max=4_000,
        )
        services.save_provider(tenant="acorn", provider=row, by="test")
        LpSymbol.objects.create(provider=row, symbol="EURUSD", venue_symbol="EURUSDT", units_per_lot=UNITS)
        return row


def process(home: Path, die_at: str = "") -> WorkerProcess:
    return WorkerProcess(home=home, die_at=die_at, script=venue_process.__file__)


@pytest.fixture
def worker(provider: Any, tmp_path: Path) -> Iterator[WorkerProcess]:
    running = process(tmp_path)
    yield running
    running.stop()


def agreed(engine: Engine, venue: BinanceServer, cl_ord_id: str, client_id: str = "") -> bool:  # noqa: F811
    order = venue.exchange.find(cl_ord_id=client_id or cl_ord_id)
    return engine.filled(cl_ord_id) * UNITS == (order.filled if order else 0)


def test_an_order_is_acknowledged_filled_and_told_under_its_own_id(
    engine: Engine,  # noqa: F811
    worker: WorkerProcess,
    venue: BinanceServer,
):
    """The venue knows a long id by a shorter one; the engine never sees that one."""
    wait_for_quotes(engine)
    engine.order(LONG, lots="2.5")
    engine.wait(lambda: engine.settled(LONG, "2.5"))
    engine.wait(lambda: engine.of(LONG, RecordVenueAck))
    order = venue.exchange.orders()[0]
    assert order.cl_ord_id.startswith("pb-")
    assert (order.received, order.filled) == (1, Decimal("2.5") * UNITS)
    assert {getattr(command, "cl_ord_id", LONG) for command in engine.hear().values()} == {LONG}


def test_what_filled_during_an_outage_is_told_once(
    engine: Engine,  # noqa: F811
    worker: WorkerProcess,
    venue: BinanceServer,
):
    wait_for_quotes(engine)
    engine.order("o2-LP1-1", limit="1.0", force="gtc", lots="4")
    engine.wait(lambda: engine.of("o2-LP1-1", RecordVenueAck))
    venue.go_away()
    engine.wait(lambda: engine.of("o2-LP1-1", RecordVenueDoubt))
    for _ in range(4):
        venue.exchange.fill_resting(cl_ord_id="o2-LP1-1", quantity=UNITS)
    venue.come_back()
    engine.wait(lambda: engine.filled("o2-LP1-1") == 4)
    # What follows is told after whatever else was to be told of the outage.
    engine.order("after-LP1-1")
    engine.wait(lambda: engine.settled("after-LP1-1"))
    fills = [fill.fill_id for fill in engine.of("o2-LP1-1", RecordVenueFill)]
    assert len(fills) == len(set(fills)) == 4


def test_a_lost_answer_is_asked_for_and_the_order_never_sent_again(
    engine: Engine,  # noqa: F811
    worker: WorkerProcess,
    venue: BinanceServer,
):
    wait_for_quotes(engine)
    venue.faults.arm(Fault.MUTE_EVENT, times=10)
    venue.faults.arm(Fault.CUT_AFTER)
    engine.order("o3-LP1-1")
    engine.wait(lambda: engine.filled("o3-LP1-1") == 1)
    assert engine.of("o3-LP1-1", RecordVenueDoubt)
    assert venue.exchange.orders()[0].received == 1


def test_the_end_of_an_order_waits_for_its_missing_fills(
    engine: Engine,  # noqa: F811
    worker: WorkerProcess,
    venue: BinanceServer,
):
    """The stream loses a fill and then tells of the end: the fill is told before it."""
    wait_for_quotes(engine)
    engine.order("o4-LP1-1", limit="1.0", force="gtc", lots="4")
    engine.wait(lambda: engine.of("o4-LP1-1", RecordVenueAck))
    venue.faults.arm(Fault.MUTE_EVENT)
    venue.exchange.fill_resting(cl_ord_id="o4-LP1-1", quantity=UNITS)
    engine.wait(lambda: not venue.faults.waiting)
    venue.exchange.cancel(cl_ord_id="o4-LP1-1")
    engine.wait(lambda: engine.of("o4-LP1-1", RecordVenueDone))
    told = list(engine.hear().values())
    assert [type(one) for one in told if isinstance(one, RecordVenueFill | RecordVenueDone)] == [
        RecordVenueFill,
        RecordVenueDone,
    ]


def test_what_the_venue_or_its_steps_forbid_is_told_and_a_cancel_may_be_asked_again(
    engine: Engine,  # noqa: F811
    worker: WorkerProcess,
    venue: BinanceServer,
):
    wait_for_quotes(engine)
    engine.order("o5-LP1-1", lots="0.000000001")
    engine.wait(lambda: engine.of("o5-LP1-1", RecordVenueReject))
    assert venue.exchange.orders() == []
    engine.cancel("never-LP1-1")
    engine.wait(lambda: engine.of("never-LP1-1", RecordVenueCancelReject))
    engine.order("o6-LP1-1", limit="1.0", force="gtc")
    engine.wait(lambda: engine.of("o6-LP1-1", RecordVenueAck))
    venue.faults.arm(Fault.REFUSE_CANCEL)
    engine.cancel("o6-LP1-1")
    engine.wait(lambda: engine.of("o6-LP1-1", RecordVenueCancelReject))
    assert not engine.of("o6-LP1-1", RecordVenueDone)
    engine.cancel("o6-LP1-1")
    engine.wait(lambda: engine.of("o6-LP1-1", RecordVenueDone))


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_doubles_nothing_and_loses_nothing(
    point: str,
    engine: Engine,  # noqa: F811
    provider: Any,
    venue: BinanceServer,
    tmp_path: Path,
):
    """INV-03 without FIX: the venue has each order at most once, and all that it did is told."""
    doomed = process(tmp_path, point)
    wait_for_quotes(engine)
    names = [f"{point.replace(' ', '').replace(',', '')[:16]}{n}-LP1-1" for n in range(3)]
    for name in names:
        engine.order(name)
    assert doomed.wait_dead() == -9
    again = process(tmp_path)
    try:
        engine.wait(lambda: all(engine.settled(name) for name in names), lives=again)
        # What follows is sent and told after whatever else there was to do for them.
        engine.order("after-LP1-1")
        engine.wait(lambda: engine.settled("after-LP1-1"), lives=again)
        for name in names:
            order = venue.exchange.find(cl_ord_id=name)
            assert order is None or order.received == 1
            assert agreed(engine, venue, name)
            assert order is not None or engine.of(name, RecordVenueReject)
    finally:
        again.stop()


def test_the_quotes_are_the_venues(
    engine: Engine,  # noqa: F811
    worker: WorkerProcess,
    venue: BinanceServer,
):
    wait_for_quotes(engine)
    venue.pause()

    def equal() -> bool:
        # What was lost is known by what follows it, so that a book which stands still may be wrong until it moves.
        venue.step()
        book, _ = venue.exchange.snapshot(symbol="EURUSDT")
        batch = wait_for_quotes(engine)
        quotes = [item for item in batch if getattr(item, "symbol", "") == "EURUSD"]
        shown = [(level.price, level.size * UNITS) for level in quotes[-1].bids]
        return shown == [(rung.price, rung.size) for rung in book.bids]

    engine.wait(equal)
