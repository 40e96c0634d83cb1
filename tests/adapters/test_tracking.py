"""What a worker makes of each thing it hears of an order: every rule by itself, on rows that need no database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from piggy.adapters import tracking
from piggy.adapters.interface import ReportKind, UnableToReadReport, VenueReport
from piggy.adapters.telling import correction, fill
from piggy.adapters.tracking import OrderStage
from piggy.core.commands import RecordVenueAck, RecordVenueDone, RecordVenueDoubt, RecordVenueFill, RecordVenueReject
from piggy.core.orders import Side
from piggy.simulator.world.worker import OrderRow

DAY_US = 86_400_000_000
# One o'clock in the morning (UTC) of a day in October, which ends in New York at 21:00, and noon of it.
MORNING_US = 20_000 * DAY_US + 3_600_000_000
NOON_US = 20_000 * DAY_US + DAY_US // 2
OPEN = [OrderStage.PERSISTED, OrderStage.SENT, OrderStage.WORKING, OrderStage.DOUBT]
OVER = [OrderStage.DONE, OrderStage.REFUSED]


def row(**more: Any) -> OrderRow:
    fields: dict[str, Any] = {"venue": "LP1", "cl_ord_id": "o1", "symbol": "EURUSD", "side": Side.BUY}
    return OrderRow(**({"quantity": Decimal(3)} | fields | more))


def filled(**more: Any) -> VenueReport:
    names: dict[str, Any] = {"venue": "LP1", "client_id": "o1", "venue_order_id": "9", "fill_id": "E1"}
    names |= {"symbol": "EURUSD", "side": Side.BUY, "lots": Decimal(1), "price": Decimal("1.1"), "at_us": NOON_US}
    return fill(**(names | more)).report


def report(kind: ReportKind, **more: Any) -> VenueReport:
    return VenueReport(kind=kind, key="k", cl_ord_id="o1", **more)


def status(standing: str, cumulative: str = "0") -> VenueReport:
    return report(ReportKind.STATUS, standing=standing, cumulative=Decimal(cumulative), text="so")


def take(order: OrderRow | None, heard: VenueReport) -> Any:
    return tracking.take(order=order, report=heard, venue="LP1", now_us=7)


def first_of(heard: VenueReport) -> RecordVenueFill:
    assert isinstance(heard.command, RecordVenueFill)
    return heard.command


@pytest.mark.parametrize(
    ("order", "heard", "why"),
    [
        (row(), filled(), ""), (None, filled(), "unknown_order"),
        (row(), filled(symbol="GBPUSD"), "wrong_symbol"), (row(), filled(side=Side.SELL), "wrong_side"),
        (row(), filled(lots=Decimal(3)), ""), (row(), filled(lots=Decimal("3.01")), "overfill"),
        (row(filled=Decimal(2)), filled(), ""), (row(filled=Decimal("2.01")), filled(), "overfill"),
        (None, report(ReportKind.ACK), ""), (row(), report(ReportKind.DOUBT), ""),
    ],
)  # fmt: skip
def test_f_14_an_execution_that_cannot_be_ours_is_known_by_why(order: Any, heard: VenueReport, why: str) -> None:
    assert tracking.unmatched(order=order, report=heard) == why


@pytest.mark.parametrize(("lots", "price"), [("0", "1"), ("-1", "1"), ("1", "0"), ("1", "-1")])
@pytest.mark.parametrize("says", [fill, correction])
def test_no_venue_deals_nothing_or_at_nothing(says: Any, lots: str, price: str) -> None:
    names: dict[str, Any] = {"venue": "LP1", "client_id": "o1", "symbol": "EURUSD", "side": Side.BUY, "at_us": 1}
    names |= {"lots": Decimal(lots), "price": Decimal(price), "cumulative": Decimal(0)}
    own = {"report_id": "E2", "ref_fill_id": "E1", "text": ""} if says is correction else {"fill_id": "E1"}
    with pytest.raises(UnableToReadReport, match="cannot be"):
        says(**names, **own, **({} if says is correction else {"venue_order_id": "9"}))


@pytest.mark.parametrize(
    ("apart_us", "is_another"),
    [(0, False), (1_000_000, False), (DAY_US // 2 - 1, False), (DAY_US // 2, True), (DAY_US, True)],
)
def test_an_id_given_anew_on_another_day_is_another_execution(apart_us: int, is_another: bool) -> None:
    """INV-04: FIX asks for ids that are unique within a day, and some LPs begin anew with each."""
    early, late = filled(client_id="o0", at_us=MORNING_US), filled(at_us=MORNING_US + apart_us)
    other = tracking.of_another_day(report=late, first=first_of(early))
    assert (other is not None) is is_another
    assert (tracking.of_another_day(report=early, first=first_of(late)) is not None) is is_another
    if other is not None:
        mark = f"@day{(MORNING_US + apart_us) // DAY_US}"
        assert (other.key, first_of(other).fill_id) == (f"F:E1{mark}", f"E1{mark}")
        assert tracking.reference(fill_id=first_of(other).fill_id) == "E1"
        assert tracking.of_another_day(report=other, first=first_of(early)) is None, "what is marked is marked once"


def test_a_day_that_ends_by_utc_or_in_new_york_is_over_within_minutes() -> None:
    for end_us in (20_001 * DAY_US, 20_000 * DAY_US + 21 * 3_600_000_000):
        first = first_of(filled(client_id="o0", at_us=end_us - 1_000_000))
        assert tracking.of_another_day(report=filled(at_us=end_us + 1_000_000), first=first) is not None


def test_a_repeat_of_an_orders_own_execution_is_a_repeat_on_whatever_day() -> None:
    """INV-04: sent again on the next day it is the same fill; and what is no fill is never another."""
    later = filled(at_us=NOON_US + DAY_US)
    assert tracking.of_another_day(report=later, first=first_of(filled())) is None
    assert tracking.of_another_day(report=report(ReportKind.ACK), first=first_of(filled(client_id="o0"))) is None


def test_only_an_order_that_works_at_the_lp_and_nowhere_here_is_a_stray() -> None:
    found = tracking.stray(report=status("working"), venue="LP1", now_us=7)
    assert isinstance(found, RecordVenueAck) and (found.cl_ord_id, found.occurred_at_us) == ("o1", 7)
    for heard in (status("ended"), status("unknown"), report(ReportKind.ACK, standing="working")):
        assert tracking.stray(report=heard, venue="LP1", now_us=7) is None


@pytest.mark.parametrize(("lots", "state"), [("1", OrderStage.WORKING), ("2", OrderStage.DONE), ("3", OrderStage.DONE)])
def test_a_fill_adds_up_and_the_last_one_ends_the_order(lots: str, state: OrderStage) -> None:
    order, heard = row(filled=Decimal(1), state=OrderStage.SENT), filled(lots=Decimal(lots))
    assert take(order, heard) is heard.command
    assert (order.filled, order.state) == (1 + Decimal(lots), state)
    assert take(None, heard) is heard.command, "whose order nobody knows the desk hears of too"


@pytest.mark.parametrize("kind", [ReportKind.BUST, ReportKind.CORRECTION])
def test_what_restates_a_fill_says_what_is_left_and_wakes_no_ended_order(kind: ReportKind) -> None:
    order = row(filled=Decimal(3), state=OrderStage.DONE)
    take(order, report(kind, cumulative=Decimal(1)))
    assert (order.filled, order.state) == (Decimal(1), OrderStage.DONE)


@pytest.mark.parametrize("stage", [*OPEN, *OVER])
def test_an_acknowledgement_or_a_doubt_moves_only_what_may_still_move(stage: OrderStage) -> None:
    """INV-03: what ended stays ended; a late acknowledgement does not settle a doubt, a status does."""
    acked, doubted, passing = (row(state=stage) for _ in range(3))
    take(acked, report(ReportKind.ACK))
    take(doubted, report(ReportKind.DOUBT))
    take(passing, report(ReportKind.IGNORED))
    begun = stage in (OrderStage.PERSISTED, OrderStage.SENT)
    assert acked.state == (OrderStage.WORKING if begun else stage)
    assert doubted.state == (OrderStage.DOUBT if stage in OPEN else stage)
    assert (passing.state, passing.filled) == (stage, 0)


@pytest.mark.parametrize("kind", [ReportKind.REJECT, ReportKind.DONE])
@pytest.mark.parametrize("more", ["0", "1", "2"])
def test_an_end_that_tells_of_more_than_was_heard_is_noted(
    kind: ReportKind, more: str, caplog: pytest.LogCaptureFixture
) -> None:
    order = row(filled=Decimal(1), state=OrderStage.WORKING)
    take(order, report(kind, cumulative=Decimal(more)))
    assert (order.state, order.filled) == (OrderStage.DONE, 1)
    assert ("venue reports more than its fills" in caplog.text) is (more == "2")


def test_a_status_settles_an_open_order_only_where_its_fills_agree() -> None:
    """INV-03: settled on another count, lots that may live at the LP would be dealt elsewhere once more."""
    for stage in OPEN:
        order = row(state=stage, filled=Decimal(1))
        done = take(order, status("ended", "1"))
        assert isinstance(done, RecordVenueDone) and (done.filled, done.text) == (Decimal(1), "so")
        assert order.state == OrderStage.DONE
        order = row(state=stage, filled=Decimal(1))
        ack = take(order, status("working", "1"))
        assert isinstance(ack, RecordVenueAck) and order.state == OrderStage.WORKING
        for odd in (
            status("ended", "2"),
            status("ended"),
            status("working", "2"),
            status("unknown", "1"),
            status("unknown"),
        ):
            order = row(state=stage, filled=Decimal(1))
            assert take(order, odd) is None and order.state == stage
        order = row(state=stage)
        ended = take(order, status("ended"))
        assert isinstance(ended, RecordVenueDone) and ended.filled == 0, "it was there, and ended without a fill"
        order = row(state=stage)
        never = take(order, status("unknown"))
        assert isinstance(never, RecordVenueReject) and never.code == "UNKNOWN_AT_VENUE"
        assert order.state == OrderStage.DONE
    for stage in OVER:
        order = row(state=stage)
        assert take(order, status("unknown")) is None and take(order, status("working")) is None
        assert order.state == stage
    assert take(None, status("working")) is None


@pytest.mark.parametrize("stage", [*OPEN, *OVER])
def test_an_order_is_doubted_once_and_only_while_it_is_open(stage: OrderStage) -> None:
    order = row(state=stage)
    told = tracking.doubt(order=order, text="why", now_us=7)
    if stage in (OrderStage.DOUBT, *OVER):
        assert (told, order.state, order.doubts) == (None, stage, 0)
        return
    assert isinstance(told, RecordVenueDoubt) and told.text == "why"
    assert (order.state, order.doubts) == (OrderStage.DOUBT, 1)


def test_only_what_has_not_left_can_be_refused_here() -> None:
    order = row(state=OrderStage.PERSISTED)
    assert tracking.refuse(order=order, text="too old", now_us=7).code == "NOT_SENT"
    assert order.state == OrderStage.REFUSED
    with pytest.raises(AssertionError):
        tracking.refuse(order=row(state=OrderStage.SENT), text="too old", now_us=7)


def test_a_report_that_is_no_status_passes_the_watch_over_unknown_orders() -> None:
    unknowns = tracking.Unknowns()
    other = structs.replace(status("unknown"), kind=ReportKind.IGNORED)
    assert unknowns.heard(report=other, now_us=0) is other and not unknowns._since
