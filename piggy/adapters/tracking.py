"""What a worker knows of an order at a venue, and what each thing it hears or fails to hear makes of that.

Pure rules over a row that its keeper saves: the same for every venue, in the worker's database and in the simulation.
"""

from __future__ import annotations

import logging
import re
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from msgspec import structs

from piggy.adapters.interface import NOT_KNOWN_TO_VENUE, ReportKind, VenueReport
from piggy.core.commands import (
    AnyCommand,
    RecordVenueAck,
    RecordVenueDone,
    RecordVenueDoubt,
    RecordVenueFill,
    RecordVenueReject,
)
from piggy.core.rollover import DAY_US, business_date

UNKNOWN_ORDER, WRONG_SYMBOL, WRONG_SIDE, OVERFILL = "unknown_order", "wrong_symbol", "wrong_side", "overfill"
RESTATING = (ReportKind.BUST, ReportKind.CORRECTION)

# An order that is nowhere to be found is looked for once more, no sooner than this.
UNKNOWN_AGAIN_US, UNKNOWN_MAX = 3_000_000, 10_000

# What marks an id that an LP gave anew: the day (UTC) of the execution.
_MARKED = re.compile(r"@day\d+\Z")

log = logging.getLogger(__name__)


class OrderStage(StrEnum):
    """How far an order at a venue is; PERSISTED is claimed and perhaps sent, REFUSED never left."""

    PERSISTED = "persisted"
    SENT = "sent"
    WORKING = "working"
    DOUBT = "doubt"
    DONE = "done"
    REFUSED = "refused"


OPEN = (OrderStage.PERSISTED, OrderStage.SENT, OrderStage.WORKING, OrderStage.DOUBT)


class Tracked(Protocol):
    """One order as its worker keeps it; `state` is an OrderStage, quantities are lots."""

    venue: str
    cl_ord_id: str
    symbol: str
    state: str
    quantity: Decimal
    filled: Decimal
    doubts: int

    @property
    def side(self) -> str: ...


class Unknowns:
    """The orders that an LP says it does not know: its order may still be on the way inside, or the LP just back up."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}

    def heard(self, *, report: VenueReport, now_us: int) -> VenueReport:
        """Return a report as it counts: the first word that an order is unknown settles nothing, for what is taken for
        never there is dealt elsewhere. It stays in doubt, and what is said to the next question is believed.

        `now_us` may be of any steady clock.
        """
        if report.kind is not ReportKind.STATUS:
            return report
        if report.standing != "unknown":
            self._since.pop(report.cl_ord_id, None)
            return report
        if len(self._since) >= UNKNOWN_MAX:
            self._since.clear()
        if now_us - self._since.setdefault(report.cl_ord_id, now_us) < UNKNOWN_AGAIN_US:
            return structs.replace(report, kind=ReportKind.IGNORED)
        del self._since[report.cl_ord_id]
        return report


def unmatched(*, order: Tracked | None, report: VenueReport) -> str:
    """Return why an execution cannot be one of ours, before it is taken; '' where it can."""
    fill = report.command
    if not isinstance(fill, RecordVenueFill):
        return ""
    if order is None:
        return UNKNOWN_ORDER
    if fill.symbol != order.symbol:
        return WRONG_SYMBOL
    if fill.side != order.side:
        return WRONG_SIDE
    return OVERFILL if order.filled + fill.quantity > order.quantity else ""


def of_another_day(*, report: VenueReport, first: RecordVenueFill) -> VenueReport | None:
    """Return an execution under an id of its own, where its LP gave it that of another order's `first` of another day.

    FIX asks for ids that are unique within a trading day, and some LPs begin anew with each. None where it is no such.
    """
    fill = report.command
    if not isinstance(fill, RecordVenueFill) or _MARKED.search(fill.fill_id) or fill.cl_ord_id == first.cl_ord_id:
        return None
    if not _is_another_day(fill.occurred_at_us, first.occurred_at_us):
        return None
    mark = f"@day{fill.occurred_at_us // DAY_US}"
    command = structs.replace(fill, fill_id=f"{fill.fill_id}{mark}")
    return structs.replace(report, key=f"{report.key}{mark}", command=command)


def reference(*, fill_id: str) -> str:
    """Return the id of an execution as its LP gave it."""
    return _MARKED.sub("", fill_id)


def stray(*, report: VenueReport, venue: str, now_us: int) -> RecordVenueAck | None:
    """Return what the desk is told where a venue names an order at work that its worker never had: a person looks."""
    if report.kind is not ReportKind.STATUS or report.standing != "working":
        return None
    return RecordVenueAck(venue=venue, cl_ord_id=report.cl_ord_id, venue_order_id="", occurred_at_us=now_us)


def take(*, order: Tracked | None, report: VenueReport, venue: str, now_us: int) -> AnyCommand | None:
    """Bring the order up to date with a report heard for the first time; return what the desk is to be told."""
    if report.kind is ReportKind.STATUS:
        return None if order is None else _settle(order, report, venue, now_us)
    if order is not None:
        _advance(order, report)
    return report.command


def doubt(*, order: Tracked, text: str, now_us: int) -> RecordVenueDoubt | None:
    """Note that nobody knows what became of an open order; None where that is known, or noted already."""
    if order.state not in (OrderStage.PERSISTED, OrderStage.SENT, OrderStage.WORKING):
        return None
    order.state, order.doubts = OrderStage.DOUBT, order.doubts + 1
    return RecordVenueDoubt(venue=order.venue, cl_ord_id=order.cl_ord_id, text=text, occurred_at_us=now_us)


def refuse(*, order: Tracked, text: str, now_us: int) -> RecordVenueReject:
    """Note that an order never left; nothing of it lives anywhere."""
    assert order.state == OrderStage.PERSISTED, "only an order that has not left can be refused"
    order.state = OrderStage.REFUSED
    return RecordVenueReject(
        venue=order.venue, cl_ord_id=order.cl_ord_id, code="NOT_SENT", text=text, occurred_at_us=now_us
    )


def _is_another_day(one_us: int, other_us: int) -> bool:
    """By whatever clock the LP's day ends: UTC's, New York's at 17:00, or one that leaves half a day between them."""
    apart = abs(one_us - other_us) >= DAY_US // 2 or one_us // DAY_US != other_us // DAY_US
    return apart or business_date(at_us=one_us) != business_date(at_us=other_us)


def _advance(order: Tracked, report: VenueReport) -> None:
    command = report.command
    if isinstance(command, RecordVenueFill):
        order.filled += command.quantity
        if order.filled >= order.quantity:
            order.state = OrderStage.DONE
    elif report.kind in RESTATING:
        order.filled = report.cumulative
    if order.state in (OrderStage.PERSISTED, OrderStage.SENT) and report.kind in (ReportKind.ACK, ReportKind.FILL):
        order.state = OrderStage.WORKING
    elif report.kind in (ReportKind.REJECT, ReportKind.DONE):
        if report.cumulative > order.filled:
            _differs("venue reports more than its fills", order, report)
        order.state = OrderStage.DONE
    elif report.kind is ReportKind.DOUBT and order.state in OPEN:
        order.state = OrderStage.DOUBT


def _settle(order: Tracked, report: VenueReport, venue: str, now_us: int) -> AnyCommand | None:
    """Reports come in the LP's sequence: whatever was filled before this answer is already here."""
    if order.state not in OPEN:
        return None
    names = {"venue": venue, "cl_ord_id": order.cl_ord_id}
    if report.standing == "unknown" and not order.filled:
        order.state = OrderStage.DONE
        return RecordVenueReject(code=NOT_KNOWN_TO_VENUE, text=report.text, occurred_at_us=now_us, **names)
    if report.cumulative != order.filled or report.standing == "unknown":
        _differs("venue status differs from its fills", order, report)
        return None
    if report.standing == "working":
        order.state = OrderStage.WORKING
        return RecordVenueAck(venue_order_id="", occurred_at_us=now_us, **names)
    order.state = OrderStage.DONE
    return RecordVenueDone(filled=order.filled, text=report.text, occurred_at_us=now_us, **names)


def _differs(what: str, order: Tracked, report: VenueReport) -> None:
    log.error(what, extra={"order": order.cl_ord_id, "cumulative": str(report.cumulative)})
