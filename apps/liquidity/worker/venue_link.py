"""A link to a venue without FIX: reports may come by stream, as an answer or by reconciliation, and count once."""

from __future__ import annotations

import time

import structlog
from django.db.utils import Error
from msgspec import structs

from apps.liquidity import selectors
from apps.liquidity.models import VenueOrder
from apps.liquidity.worker.link import ASK_AGAIN_S, OF_THE_ROW, Link
from piggy.adapters import telling
from piggy.adapters.driver import Driver, wall_us
from piggy.adapters.interface import Order, ReportKind, Said, UnableToTranslate, VenueConfig, VenueReport
from piggy.adapters.registry import driver_of
from piggy.core.commands import RecordVenueDone
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueState
from piggy.core.orders import Side
from piggy.messaging.codec import CancelChild

RECONCILE_S = 60.0
# A fill is asked for again for this long before the last word: clocks differ, and streams overtake each other.
OVERLAP_US = 600_000_000

log = structlog.get_logger(__name__)


class VenueLink(Link):
    """One account at one venue with its orders."""

    def __init__(self, *, config: VenueConfig, redis_url: str) -> None:
        super().__init__(config=config, redis_url=redis_url)
        self.config = config
        self.session: Driver = driver_of(config=config, listener=self)
        self._reconcile_at = 0.0
        self._caught_up = False

    def on_said(self, *, said: Said) -> None:
        """Keep and tell a report under our own id of its order; missing fills go before the end of an order.

        One that cannot be kept is parked for a person, so that what the venue says after it is heard (F-24).
        """
        try:
            self._keep_said(said)
        except Exception as error:
            if isinstance(error, Error) and not isinstance(error, OF_THE_ROW):
                raise
            log.exception("venue_report_parked", tenant=self._tenant, venue=self._venue)
            self.on_parked(text=said.raw or repr(said.report), error=repr(error))

    def _keep_said(self, said: Said) -> None:
        row = self._durably(lambda: selectors.order_by_client_id(venue=self._venue, client_id=said.report.cl_ord_id))
        if row is None:
            self._keep_report(said.report, said.raw)
            return
        report = _ours(said.report, row.cl_ord_id)
        if report.kind is ReportKind.DONE and report.cumulative > row.filled and self._settled_by_status(row):
            report = structs.replace(report, kind=ReportKind.IGNORED, command=None)
        elif isinstance(report.command, RecordVenueDone) and report.cumulative < row.filled:
            # Told after a restart by a session that knows only what it heard itself: fills are facts.
            command = structs.replace(report.command, filled=row.filled)
            report = structs.replace(report, cumulative=row.filled, command=command)
        self._keep_report(report, said.raw)

    def _settled_by_status(self, row: VenueOrder) -> bool:
        try:
            self.session.ask_status(order=_order(row))
        except UnableToTranslate:
            # Its symbol is no longer mapped; that must not hide that the order has ended.
            return False
        again = self._durably(lambda: selectors.order_by_client_id(venue=self._venue, client_id=row.client_id))
        return again is not None and again.state == VenueOrder.State.DONE

    def _client_id(self, cl_ord_id: str) -> str:
        return self.session.venue.client_id(cl_ord_id=cl_ord_id)

    def _send(self, child: ChildOrderCreated) -> None:
        self.session.place(child=child, wait_s=self._age_ms_max / 1_000)

    def _send_cancel(self, order: CancelChild, row: VenueOrder | None, attempt: int) -> bool:
        if row is not None:
            return self.session.cancel(order=_order(row))
        names = {"venue": self._venue, "client_id": order.cl_ord_id, "text": "the order never came here"}
        said = telling.uncancel(at_us=wall_us(), **names)
        self._keep_report(said.report, said.raw)
        return True

    def _ask_status(self, row: VenueOrder) -> None:
        self.session.ask_status(order=_order(row))

    def _act_on(self, state: VenueState) -> None:
        super()._act_on(state)
        if state is VenueState.READY:
            self._reconcile()

    def _knows_all(self) -> bool:
        return super()._knows_all() and self._caught_up

    def _ask(self) -> None:
        super()._ask()
        if self.session.ready and time.monotonic() > self._reconcile_at:
            self._reconcile()

    def _reconcile(self) -> None:
        """Ask for every fill since the last one heard of, the gap of an outage included; each counts once."""
        self._reconcile_at = time.monotonic() + RECONCILE_S
        since_us = selectors.heard_until_us(venue=self._venue, now_us=wall_us()) - OVERLAP_US
        self._caught_up = self.session.reconcile(since_us=since_us)
        if not self._caught_up:
            self._reconcile_at = time.monotonic() + ASK_AGAIN_S
            log.warning("venue_not_reconciled", tenant=self._tenant, venue=self._venue)


def _ours(report: VenueReport, cl_ord_id: str) -> VenueReport:
    command = structs.replace(report.command, cl_ord_id=cl_ord_id) if report.command is not None else None
    return structs.replace(report, cl_ord_id=cl_ord_id, command=command)


def _order(row: VenueOrder) -> Order:
    return Order(
        cl_ord_id=row.cl_ord_id,
        client_id=row.client_id or row.cl_ord_id,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        limit_price=row.limit_price,
        time_in_force=row.time_in_force,
        filled=row.filled,
        created_at_us=int(row.created_at.timestamp() * 1_000_000),
    )
