"""The FIX worker against a real LP, PostgreSQL and Redis; this test stands in for the engine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from piggy.core.commands import (
    RecordVenueAck,
    RecordVenueCancelReject,
    RecordVenueDone,
    RecordVenueFill,
    RecordVenueReject,
)
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueQuote, VenueState, VenueStatus
from piggy.core.orders import Side
from piggy.messaging import codec, streams
from piggy.simulator.config import LpConfig
from tests.apps.liquidity.worker_process import WorkerProcess
from tests.simulator.lp_range import MAPPINGS, LpRange, units

LP = LpConfig(name="LP1", latency_ms=2, quotes_per_s=10, depth=3, level_lots=Decimal(10))
# An event ends a wait; this only bounds one for what never comes, on a machine however busy.
PATIENCE_S = 120.0
KILLS = int(os.environ.get("PIGGY_TEST_FIX_KILLS", "1"))  # At each point.
POINTS = (
    "before persist",
    "persisted, not sent",
    "sent, not committed",
    "report not committed",
    "committed, not told",
    "in logon",
)


class Engine:
    """Puts child orders on the venue's stream and hears what the worker tells."""

    def __init__(self, client: Any) -> None:
        self._redis = client
        self.told: dict[str, Any] = {}

    def order(self, cl_ord_id: str, *, lots: str = "1", limit: str = "2.0", force: str = "ioc") -> None:
        child = ChildOrderCreated(
            order_id=cl_ord_id.rsplit("-", 2)[0],
            cl_ord_id=cl_ord_id,
            venue="LP1",
            symbol="EURUSD",
            side=Side.BUY,
            quantity=Decimal(lots),
            limit_price=Decimal(limit),
            time_in_force=force,
            attempt=1,
        )
        self._redis.xadd(streams.venue_key(tenant="acorn", venue="LP1"), {streams.FIELD: codec.encode(child)})

    def cancel(self, cl_ord_id: str) -> None:
        """Ask for the end of an order of one lot."""
        asked = codec.CancelChild(
            order_id=cl_ord_id.rsplit("-", 2)[0],
            cl_ord_id=cl_ord_id,
            venue="LP1",
            symbol="EURUSD",
            side=Side.BUY,
            quantity=Decimal(1),
        )
        self._redis.xadd(streams.venue_key(tenant="acorn", venue="LP1"), {streams.FIELD: codec.encode(asked)})

    def hear(self) -> dict[str, Any]:
        """Every command told so far, once each."""
        for _, fields in self._redis.xrange(streams.commands_key(tenant="acorn")):
            envelope = codec.decode_envelope(fields[streams.FIELD])
            self.told[envelope.command_id] = envelope.command
        return self.told

    def of(self, cl_ord_id: str, kind: type) -> list[Any]:
        return [c for c in self.hear().values() if isinstance(c, kind) and c.cl_ord_id == cl_ord_id]

    def filled(self, cl_ord_id: str) -> Decimal:
        return sum((fill.quantity for fill in self.of(cl_ord_id, RecordVenueFill)), Decimal(0))

    def settled(self, cl_ord_id: str, lots: str = "1") -> bool:
        ended = self.of(cl_ord_id, RecordVenueReject) or self.of(cl_ord_id, RecordVenueDone)
        return bool(ended) or self.filled(cl_ord_id) == Decimal(lots)

    def wait(
        self, condition: Any, *, seconds: float = PATIENCE_S, what: str = "", lives: WorkerProcess | None = None
    ) -> None:
        """Return once the condition holds; a worker that was to live and died is no reason to wait on."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert lives is None or lives.lives, f"the worker died: {lives.last_words()}"
            assert time.monotonic() < deadline, what or f"told so far: {list(self.hear().values())}"
            time.sleep(0.02)


@pytest.fixture
def engine(redis_server: Any) -> Engine:
    return Engine(redis_server)


@pytest.fixture
def lp_range(tmp_path: Path) -> Iterator[LpRange]:
    the_range = LpRange(home=tmp_path, lps=(LP,))
    the_range.start()
    yield the_range
    the_range.stop()


@pytest.fixture
def provider(lp_range: LpRange, acorn: Any, as_tenant: Any) -> Any:
    from apps.liquidity import services

    with as_tenant("acorn"):
        terms = [services.SymbolTerms(m.symbol, m.venue_symbol, m.units_per_lot) for m in MAPPINGS]
        return services.add_provider(tenant="acorn", name="LP1", port=lp_range.port_base, symbols=terms, by="test")


@pytest.fixture
def worker(provider: Any, tmp_path: Path) -> Iterator[WorkerProcess]:
    process = WorkerProcess(home=tmp_path)
    yield process
    process.stop()


def test_an_order_is_acknowledged_filled_and_told(engine: Engine, worker: WorkerProcess, lp_range: LpRange):
    wait_for_quotes(engine)
    engine.order("o1-LP1-1", lots="2.5")
    engine.wait(lambda: engine.settled("o1-LP1-1", "2.5"))
    assert engine.of("o1-LP1-1", RecordVenueAck)
    fill = engine.of("o1-LP1-1", RecordVenueFill)[0]
    assert (fill.symbol, fill.side, fill.venue) == ("EURUSD", Side.BUY, "LP1")
    assert lp_range.truth("LP1")["ACORN", "o1-LP1-1"].filled == units("2.5")


def test_quotes_and_states_reach_the_engine_within_ten_milliseconds_batches(engine: Engine, worker: WorkerProcess):
    batch = wait_for_quotes(engine)
    assert any(isinstance(item, VenueQuote) and item.venue == "LP1" and item.bids and item.asks for item in batch)


def test_a_second_delivery_is_a_question_never_a_second_order(engine: Engine, worker: WorkerProcess, lp_range: LpRange):
    wait_for_quotes(engine)
    for _ in range(3):
        engine.order("o2-LP1-1", limit="1.0", force="gtc")
    engine.wait(lambda: engine.of("o2-LP1-1", RecordVenueAck))
    engine.wait(lambda: lp_range.log("LP1").count("|35=H|") >= 2, lives=worker)
    order = lp_range.truth("LP1")["ACORN", "o2-LP1-1"]
    assert order.received == 1


def test_an_order_that_waited_too_long_for_its_session_is_refused_and_never_leaves(
    engine: Engine, worker: WorkerProcess, lp_range: LpRange
):
    """What the worker does not know is in its status: nothing while all is settled, and not nothing before (INV-28)."""
    wait_for_quotes(engine)
    engine.order("w3-LP1-1", limit="1.0", force="gtc")
    engine.wait(lambda: engine.of("w3-LP1-1", RecordVenueAck))
    assert wait_for_state(engine, VenueState.READY, lambda unknown: unknown == 0)
    lp_range.kill()
    assert wait_for_state(engine, VenueState.DOWN, lambda unknown: unknown > 0)
    engine.order("o3-LP1-1")
    engine.wait(lambda: engine.of("o3-LP1-1", RecordVenueReject))
    lp_range.start()
    assert wait_for_state(engine, VenueState.READY, lambda unknown: unknown == 0)
    assert "|35=H|" in lp_range.log("LP1"), "it asked before it said so"
    engine.order("o4-LP1-1")
    engine.wait(lambda: engine.settled("o4-LP1-1"))
    assert ("ACORN", "o3-LP1-1") not in lp_range.truth("LP1")
    assert wait_for_state(engine, VenueState.READY, lambda unknown: unknown > 0), "no engine recorded the fill"


def test_a_cancel_reaches_the_lp_once_and_its_answer_ends_the_leg(
    engine: Engine, worker: WorkerProcess, lp_range: LpRange
):
    wait_for_quotes(engine)
    engine.order("c1-LP1-1", limit="1.0", force="gtc")
    engine.wait(lambda: engine.of("c1-LP1-1", RecordVenueAck))
    for _ in range(3):
        engine.cancel("c1-LP1-1")
    engine.wait(lambda: engine.of("c1-LP1-1", RecordVenueDone))
    assert engine.of("c1-LP1-1", RecordVenueDone)[0].filled == 0
    engine.order("c2-LP1-1")
    engine.wait(lambda: engine.settled("c2-LP1-1"))
    assert lp_range.log("LP1").count("|35=F|") == 1
    assert not engine.of("c1-LP1-1", RecordVenueCancelReject)


def test_a_cancel_that_the_lp_refuses_is_told_and_may_be_asked_again(
    engine: Engine, worker: WorkerProcess, lp_range: LpRange
):
    wait_for_quotes(engine)
    for asked in (1, 2):
        engine.cancel("never-LP1-1")
        engine.wait(lambda: len(engine.of("never-LP1-1", RecordVenueCancelReject)) == asked)  # noqa: B023
    assert engine.of("never-LP1-1", RecordVenueCancelReject)[0].text == "Unknown order"
    log = lp_range.log("LP1")
    assert "|11=never-LP1-1-C|" in log
    assert "|11=never-LP1-1-C1|" in log


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("round_number", range(KILLS))
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_doubles_nothing_and_loses_nothing(
    point: str, round_number: int, engine: Engine, provider: Any, lp_range: LpRange, tmp_path: Path
):
    """INV-03: at each of six points the LP has each order at most once, and all that it did is told.

    Its files are gone with it: sequence numbers are in PostgreSQL, and nobody's numbers are found too low.

    PIGGY_TEST_FIX_KILLS=34 is the nightly size: some two hundred kills.
    """
    doomed = WorkerProcess(home=tmp_path, die_at=point)
    if point != "in logon":
        wait_for_quotes(engine, lives=doomed)
    names = [f"{point.replace(' ', '').replace(',', '')}{n}-LP1-1" for n in range(3)]
    for name in names:
        engine.order(name)
    assert doomed.wait_dead() == -9
    shutil.rmtree(tmp_path / "fix")
    again = WorkerProcess(home=tmp_path)
    try:
        engine.wait(lambda: all(engine.settled(name) for name in names), lives=again)
        # Whatever the old worker sent is at the LP by now: its session was heard to the end before this one began.
        engine.order(after := "after-LP1-1")
        engine.wait(lambda: engine.settled(after), lives=again)
        truth = lp_range.truth("LP1")
        for name in (*names, after):
            order = truth.get(("ACORN", name))
            assert order is None or order.received == 1
            assert engine.filled(name) * units("1") == (order.filled if order else 0)
            assert order is not None or engine.of(name, RecordVenueReject)
        assert "MsgSeqNum too low" not in lp_range.log("LP1")
        assert lp_range.log("LP1").count("|35=A|34=1|") <= 2, "ours and the LP's first logon, none begins anew"
    finally:
        again.stop()


def wait_for_state(engine: Engine, state: VenueState, knows: Callable[[int], bool]) -> bool:
    """Return whether the worker comes to say that its session is in `state`, with so much that it does not know."""
    listener = engine._redis.pubsub()
    listener.subscribe(streams.quotes_channel(tenant="acorn"))
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline:
            message = listener.get_message(timeout=1)
            if message and message["type"] == "message":
                for each in codec.decode_market_data(message["data"]):
                    if isinstance(each, VenueStatus) and each.state is state and knows(each.unreconciled):
                        return True
    finally:
        listener.close()
    return False


def wait_for_quotes(engine: Engine, *, lives: WorkerProcess | None = None) -> list[Any]:
    """Return a batch with quotes of a live session; at once without where its worker died."""
    listener = engine._redis.pubsub()
    listener.subscribe(streams.quotes_channel(tenant="acorn"))
    deadline = time.monotonic() + PATIENCE_S
    ready = False
    try:
        while time.monotonic() < deadline:
            assert lives is None or lives.lives, f"the worker died: {lives.last_words()}"
            message = listener.get_message(timeout=1)
            if message and message["type"] == "message":
                batch = codec.decode_market_data(message["data"])
                ready = ready or any(isinstance(i, VenueStatus) and i.state is VenueState.READY for i in batch)
                if ready and any(isinstance(i, VenueQuote) and i.symbol == "EURUSD" and i.asks for i in batch):
                    return batch
    finally:
        listener.close()
    raise AssertionError("no quote of a live session came")
