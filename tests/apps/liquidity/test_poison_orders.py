"""F-24: an order that the worker cannot handle holds up none behind it, and in the end is kept for a person."""

# ruff: noqa: F811
from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from apps.liquidity import services
from apps.liquidity.models import VenueOrder, VenueReport
from apps.liquidity.worker import link
from apps.liquidity.worker.link import DELIVERIES_MAX, Link
from apps.liquidity.worker.link import connection as link_connection
from apps.liquidity.worker.venue_link import VenueLink
from piggy.adapters import telling
from piggy.adapters.interface import UnableToTranslate
from piggy.core.commands import RecordVenueDone, RecordVenueDoubt, RecordVenueReject
from piggy.core.market import VenueState, VenueStatus
from piggy.messaging import streams, subscriber
from tests.apps.liquidity.test_worker import Engine, engine  # noqa: F401

BAD, SURELY_NEVER = "bad-LP1-1", Decimal("1e30")
UNASKABLE = "a-LP1-1"
COMES_AGAIN_MS, NEVER_MS = 150, 600_000


class Clumsy(Link):
    """A link whose adapter stumbles over one order, and what it sent."""

    def __init__(self, *, redis_url: str) -> None:
        config: Any = SimpleNamespace(order_age_ms_max=60_000, tenant="acorn", venue="LP1")
        super().__init__(config=config, redis_url=redis_url)
        self.session: Any = SimpleNamespace(ready=True, start=lambda: None, stop=lambda: None)
        self.sent: set[str] = set()
        self.asked: list[str] = []
        self.tried, self.stumbles = 0, True

    def _client_id(self, cl_ord_id: str) -> str:
        if cl_ord_id == BAD and self.stumbles:
            self.tried += 1
            raise KeyError("no such venue symbol")
        return cl_ord_id

    def _send(self, child: Any) -> None:
        self.sent.add(child.cl_ord_id)

    def _send_cancel(self, order: Any, row: Any, attempt: int) -> bool:
        if self.stumbles:
            raise UnableToTranslate("LP1 has no symbol for EURUSD.")
        self.sent.add(f"end of {order.cl_ord_id}")
        return True

    def _ask_status(self, row: Any) -> None:
        if row.cl_ord_id == UNASKABLE:
            raise UnableToTranslate("LP1 has no symbol for EURUSD.")
        self.asked.append(row.cl_ord_id)


@pytest.fixture
def clumsy(acorn: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clumsy]:
    monkeypatch.setattr(subscriber, "PENDING_IDLE_MS", COMES_AGAIN_MS)
    monkeypatch.setattr(link, "RETRY_S", 0.05)
    running = Clumsy(redis_url=settings.REDIS_URL)
    running.start()
    yield running
    running.stop()


def come_again_now(clumsy: Clumsy) -> bool:
    """Have what failed looked for now, and not when it was to be by what was agreed before."""
    clumsy._orders._claim_at = 1.0
    return True


def parked(as_tenant: Any) -> list[str]:
    with as_tenant("acorn"):
        return list(VenueReport.objects.filter(kind="parked").values_list("note", flat=True))


@pytest.mark.parametrize("of_the_row", [False, True], ids=["the adapter stumbles", "the database takes no such row"])
def test_f_24_the_orders_behind_it_leave_at_once_and_it_is_parked_after_five_deliveries(
    clumsy: Clumsy, engine: Engine, as_tenant: Any, redis_server: Any, monkeypatch: pytest.MonkeyPatch, of_the_row: bool
) -> None:
    # Till those behind it have left, what failed does not come again.
    monkeypatch.setattr(subscriber, "PENDING_IDLE_MS", NEVER_MS)
    if of_the_row:
        engine.order("huge-LP1-1", lots=str(SURELY_NEVER))
    else:
        engine.order(BAD)
    behind = [f"good{n}-LP1-1" for n in range(3)]
    for each in behind:
        engine.order(each)
    engine.wait(lambda: set(behind) <= clumsy.sent)
    monkeypatch.setattr(subscriber, "PENDING_IDLE_MS", COMES_AGAIN_MS)
    engine.wait(lambda: come_again_now(clumsy) and len(parked(as_tenant)) == 1)
    assert parked(as_tenant)[0].startswith(f"failed {DELIVERIES_MAX} times")
    key = streams.venue_key(tenant="acorn", venue="LP1")
    engine.wait(lambda: redis_server.xlen(key) == 0)
    if of_the_row:
        # It may be anything: the desk holds it for doubtful until somebody settles it.
        assert not engine.of("huge-LP1-1", RecordVenueReject)
        return
    assert clumsy.tried == DELIVERIES_MAX
    engine.wait(lambda: bool(engine.of(BAD, RecordVenueReject)))
    with as_tenant("acorn"):
        assert VenueOrder.objects.get(cl_ord_id=BAD).state == VenueOrder.State.REFUSED
    # Put once more by an engine that has not recorded that yet, it does not leave either, though the adapter is mended.
    clumsy.stumbles = False
    engine.order(BAD)
    engine.wait(lambda: redis_server.xlen(key) == 0)
    assert BAD not in clumsy.sent


def test_f_02_an_order_that_cannot_be_asked_about_keeps_nobody_from_asking_about_the_others(
    clumsy: Clumsy, engine: Engine
) -> None:
    """As where a symbol was taken off its LP with an order open: the venue would stay closed for entry for ever."""
    orders = [UNASKABLE, "b-LP1-1", "c-LP1-1"]
    for each in orders:
        engine.order(each)
    engine.wait(lambda: set(orders) <= clumsy.sent)
    clumsy.on_state(status=VenueStatus(venue="LP1", state=VenueState.READY, text="", at_us=0))
    engine.wait(lambda: set(clumsy.asked) >= set(orders[1:]))
    engine.wait(lambda: clumsy._asked_all)
    assert all(engine.of(each, RecordVenueDoubt) for each in orders)


def test_f_04_a_logon_while_the_database_is_away_is_acted_on_when_it_is_back(
    clumsy: Clumsy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-02: else nobody asks about the orders that were open, and the venue stays closed for entry."""
    engine.order("e-LP1-1")
    engine.wait(lambda: "e-LP1-1" in clumsy.sent)
    forget, errors = services.forget_unanswered_cancels, iter([link.OperationalError("gone")] * 2)

    def forget_or_fail(**asked: Any) -> None:
        if error := next(errors, None):
            raise error
        forget(**asked)

    monkeypatch.setattr(link.services, "forget_unanswered_cancels", forget_or_fail)
    clumsy.on_state(status=VenueStatus(venue="LP1", state=VenueState.READY, text="", at_us=0))
    engine.wait(lambda: clumsy._asked_all)
    assert clumsy.asked == ["e-LP1-1"]


def test_a_cancel_that_cannot_be_made_was_never_asked_for_and_is_parked(
    clumsy: Clumsy, engine: Engine, as_tenant: Any, redis_server: Any
) -> None:
    key = streams.venue_key(tenant="acorn", venue="LP1")
    engine.order("d-LP1-1")
    engine.cancel("d-LP1-1")
    engine.wait(lambda: redis_server.xlen(key) == 0)
    assert len(parked(as_tenant)) == 1 and "UnableToTranslate" in parked(as_tenant)[0]
    clumsy.stumbles = False
    engine.cancel("d-LP1-1")
    engine.wait(lambda: "end of d-LP1-1" in clumsy.sent)


class Listening(VenueLink):
    """A link to a venue without FIX, in whose place the test speaks."""

    def __init__(self, *, redis_url: str) -> None:
        config: Any = SimpleNamespace(order_age_ms_max=60_000, tenant="acorn", venue="LP1")
        Link.__init__(self, config=config, redis_url=redis_url)
        self.session: Any = SimpleNamespace(ready=True, ask_status=self.cannot_ask)
        self.asked = 0

    def cannot_ask(self, *, order: Any) -> bool:
        self.asked += 1
        raise UnableToTranslate("LP1 has no symbol for EURUSD.")


@pytest.fixture
def listening(acorn: Any, settings: Any) -> Iterator[Listening]:
    link = Listening(redis_url=settings.REDIS_URL)
    yield link
    link._keeper.submit(link_connection.close)
    link._keeper.shutdown()


@pytest.mark.parametrize(("client_id", "raw"), [("x" * 101, "too long an id"), ("by-hand", "a \0 in it")])
def test_f_24_a_report_that_cannot_be_kept_is_parked_and_the_next_one_heard(
    listening: Listening, engine: Engine, as_tenant: Any, client_id: str, raw: str
) -> None:
    """A venue may say anything of an order that somebody made there by hand; each reconnection says it again."""
    for each, text in ((client_id, raw), (client_id, raw), ("f-LP1-1", "fine")):
        names = {"venue": "LP1", "client_id": each, "venue_order_id": "V1", "at_us": 1}
        listening.on_said(said=telling.ack(raw=text, **names))  # type: ignore[arg-type]
    assert len(parked(as_tenant)) == 1 and "DataError" in parked(as_tenant)[0]
    with as_tenant("acorn"):
        assert VenueReport.objects.get(cl_ord_id="f-LP1-1").raw == "fine"


def test_an_order_whose_status_cannot_be_asked_for_ends_all_the_same(
    listening: Listening, engine: Engine, as_tenant: Any
) -> None:
    with as_tenant("acorn"):
        VenueOrder.objects.create(
            venue="LP1", cl_ord_id="g-LP1-1", client_id="g-LP1-1", order_id="g", symbol="EURUSD", side="buy",
            quantity=Decimal(4), limit_price=Decimal(1), time_in_force="gtc", state=VenueOrder.State.SENT,
        )  # fmt: skip
    ended = telling.done(venue="LP1", client_id="g-LP1-1", cumulative=Decimal(2), how="cancelled", at_us=1)
    listening.on_said(said=ended)
    assert listening.asked == 1 and parked(as_tenant) == []
    engine.wait(lambda: bool(engine.of("g-LP1-1", RecordVenueDone)))


def test_a_database_that_is_away_counts_for_no_order(
    clumsy: Clumsy, engine: Engine, as_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-04: also one that for a while takes no writes at all."""
    claim, failed = services.claim_order, threading.Event()
    errors = iter([link.OperationalError("gone"), *[link.Error("read-only")] * (DELIVERIES_MAX + 1)])

    def claim_or_fail(**asked: Any) -> Any:
        if error := next(errors, None):
            raise error
        failed.set()
        return claim(**asked)

    monkeypatch.setattr(link.services, "claim_order", claim_or_fail)
    engine.order("late-LP1-1")
    engine.wait(lambda: "late-LP1-1" in clumsy.sent)
    assert failed.is_set() and parked(as_tenant) == []
