"""A link over FIX: orders and questions leave as messages, reports come in the LP's own sequence.

Reports are kept together, as many as came while the last ones were being written. That QuickFIX counts one as received
before it is kept loses none: the number expected next is written with them, and a session begins with that.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

import structlog
from django.db import connection
from django.db.utils import Error
from msgspec import structs

from apps.liquidity import services
from apps.liquidity.models import VenueOrder
from apps.liquidity.worker.drop_copy import DropCopy
from apps.liquidity.worker.link import EXIT_UNSAVED, STOP_S_MAX, Link
from apps.liquidity.worker.quote_line import QuoteLine
from apps.tenants.services import in_tenant
from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.inbound import UnknownSymbol, read_report
from piggy.adapters.fix.messages import fields
from piggy.adapters.fix.numbers import Next, of_file_store
from piggy.adapters.fix.questions import STATUS
from piggy.adapters.fix.session import FixSession, wall_us
from piggy.adapters.interface import UnableToReadReport, UnableToSend
from piggy.adapters.tracking import Unknowns
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueQuote, VenueState, VenueStatus
from piggy.core.orders import Side
from piggy.messaging.codec import CancelChild

UNKEPT_MAX = 1_000
BATCH_MAX = 200
NOTE_S, WRITE_S = 1.0, 0.1
JOURNAL_MAX = 500

log = structlog.get_logger(__name__)


class FixLink(Link):
    """One FIX session with its orders; its own sequence numbers are in PostgreSQL."""

    def __init__(self, *, config: SessionConfig, redis_url: str) -> None:
        super().__init__(config=config, redis_url=redis_url)
        self.config = config
        self._unkept: SimpleQueue[services.Heard] = SimpleQueue()
        self._room = threading.Semaphore(UNKEPT_MAX)
        self._heard = self._kept = 0
        self._denies = False
        self._unknowns = Unknowns()
        self._clerk = threading.Thread(
            target=self._write_all, name=f"{config.tenant}-{config.venue}-notes", daemon=True
        )
        self._noted = 0
        self._note_at = 0.0
        self._said: SimpleQueue[tuple[datetime, str, str]] = SimpleQueue()
        self.session: FixSession = FixSession(config=config, listener=self, numbers=self, journal=self._write_down)
        self._copy: DropCopy | None = None
        if config.drop_copy is not None:
            copied = structs.replace(config.drop_copy, password=config.password)
            self._copy = DropCopy(config=copied, durably=self._durably, tell=self._tell)
        self._quotes: QuoteLine | None = None
        if config.quotes is not None:
            quoted = structs.replace(config.quotes, password=config.password)
            self._quotes = QuoteLine(config=quoted, turned=self._show, park=self._park_quotes)

    def begin(self) -> Next:
        """Return the numbers with which the session begins."""
        first, since = of_file_store(home=self.config.home), self.config.numbers_since
        return self._durably(lambda: services.fix_numbers(venue=self._venue, first=first, since=since))

    def set_aside(self, *, below: int) -> None:
        """Let the session use numbers below this one."""
        self._durably(lambda: services.set_numbers_aside(venue=self._venue, below=below))

    def on_report(self, *, text: str) -> None:
        """Read what the LP said and have it kept; blocks while too much waits for that."""
        number = int(fields(text)["34"])
        try:
            report = read_report(text=text, config=self.config)
            report = self._unknowns.heard(report=report, now_us=time.monotonic_ns() // 1_000)
            heard = services.Heard(number, text, report)
        except UnableToReadReport as error:
            unmatched = outbound.UNKNOWN_SYMBOL if isinstance(error, UnknownSymbol) else ""
            heard = services.Heard(number, text, None, str(error), unmatched)
        self._room.acquire()
        self._heard += 1
        self._unkept.put(heard)
        self._keeper.submit(self._keep_heard)

    def _keep_heard(self) -> None:
        """Keep all that waits in one transaction, then tell it."""
        batch: list[services.Heard] = []
        while len(batch) < BATCH_MAX and not self._unkept.empty():
            batch.append(self._unkept.get_nowait())
        if not batch:
            return
        try:
            self._tell(self._record(batch))
        except Exception:
            # One of them meets a fault of ours. Each by itself, so that the others are kept.
            log.exception("fix_reports_not_kept_together", tenant=self._tenant, venue=self._venue)
            for each in batch:
                self._keep_alone(each)
        self._kept += len(batch)
        self._room.release(len(batch))

    def _keep_alone(self, heard: services.Heard) -> None:
        try:
            self._tell(self._record([heard]))
        except Exception as error:
            log.exception("fix_report_parked", tenant=self._tenant, venue=self._venue)
            self._record([heard._replace(report=None, error=repr(error))])

    def _record(self, batch: list[services.Heard]) -> list[services.Told]:
        return self._keep(
            lambda: services.record_reports(tenant=self._tenant, venue=self._venue, heard=batch, now_us=wall_us())
        )

    def _tell(self, told: list[services.Told]) -> None:
        super()._tell(told)
        self._denies |= any(each.unmatched for each in told)

    def start(self) -> None:
        """Connect, take orders, and write down beside them what no order waits for."""
        super().start()
        if self._copy is not None:
            self._copy.start()
        if self._quotes is not None:
            self._quotes.session.start()
        self._clerk.start()

    def stop(self) -> None:
        """Log out of the other sessions first: what they say needs the order session's keeper."""
        if self._quotes is not None:
            self._quotes.session.stop()
        if self._copy is not None:
            self._copy.stop()
        super().stop()

    def status(self) -> VenueStatus:
        """Return the order session's state, and why nothing is quoted on the other."""
        status = super().status()
        trouble = self._quotes.trouble if self._quotes is not None else ""
        return structs.replace(status, text="; ".join(filter(None, (status.text, trouble))))

    def changed_quotes(self) -> list[VenueQuote]:
        """Return the books that changed since the last call, on whichever session they are quoted."""
        return self._tradable(self._quotes.session.changed_quotes()) if self._quotes else super().changed_quotes()

    def all_quotes(self) -> list[VenueQuote]:
        """Return every book as it stands."""
        return self._tradable(self._quotes.session.all_quotes()) if self._quotes else super().all_quotes()

    def _tradable(self, quotes: list[VenueQuote]) -> list[VenueQuote]:
        """Show no price of what the session that takes orders does not trade, or not now, or while it is down."""
        tradables = self.session.tradables
        is_shut = tradables.shut or not self.session.ready
        return [
            structs.replace(quote, bids=(), asks=()) if is_shut or quote.symbol in tradables.blocked else quote
            for quote in quotes
        ]

    def _show(self) -> None:
        self.status_changed = True

    def _park_quotes(self, text: str, error: str) -> None:
        self.on_parked(text=text, error=error)

    def _look_after(self) -> None:
        """Deny what is not ours."""
        if self._denies and self.session.ready:
            self._denies = False
            self._deny()

    def _write_all(self) -> None:
        """On a thread of its own: an order that comes meanwhile does not wait for these commits."""
        self._settle_in()
        while not self._stopping.wait(WRITE_S):
            try:
                with in_tenant(self._tenant):
                    self._write_some()
            except Error as error:
                log.warning("fix_notes_wait_for_database", tenant=self._tenant, venue=self._venue, error=str(error))
                connection.close()
            except Exception:
                log.exception("fix_notes_failed", tenant=self._tenant, venue=self._venue)
        connection.close()

    def _write_some(self) -> None:
        """Set numbers aside early, keep what was said, note how far quotes have come."""
        self.session.set_numbers_aside()
        self._keep_said()
        if time.monotonic() < self._note_at:
            return
        self._note_at = time.monotonic() + NOTE_S
        # In this order: of what was heard below this number nothing may still wait to be kept.
        incoming, heard = self.session.next_numbers().incoming, self._heard
        if incoming > self._noted and self._kept == heard:
            with services.unhurried():
                services.note_heard(venue=self._venue, incoming=incoming)
            self._noted = incoming

    def _deny(self) -> None:
        """Tell the LP of executions that cannot be ours; one of a crash between the note and the line is not told."""
        if not self.config.dialect.dont_know_trade:
            return
        for denial in services.denials(venue=self._venue):
            if not services.note_denied(denial=denial, at=datetime.now(UTC)):
                continue
            if not self.session.send(outbound.dont_know(text=denial.raw, why=denial.note)):
                services.take_denial_back(denial=denial)
                self._denies = True

    def _act_on(self, state: VenueState) -> None:
        if state is VenueState.READY:
            # What an LP did not find before it was away says nothing of what it finds now that it is just back.
            self._unknowns = Unknowns()
        super()._act_on(state)
        if state is VenueState.READY:
            self._denies = True
            if self.config.dialect.mass_status:
                # Of orders that the LP has and we do not know, nobody could ask one by one.
                self.session.send(outbound.mass_status_request(request_id=f"all-{wall_us()}"))

    def _last_words(self) -> None:
        """Keep every report, then the exact numbers. Ends the process where that cannot be done."""
        self._clerk.join(STOP_S_MAX)
        done: Future[None] = self._keeper.submit(self._close)
        try:
            done.result(STOP_S_MAX)
        except NotDone:
            log.critical("fix_report_unsaved_at_stop", tenant=self._tenant, venue=self._venue)
            os._exit(EXIT_UNSAVED)

    def _close(self) -> None:
        while not self._unkept.empty():
            self._keep_heard()
        if (last := self.session.last) is not None:
            self._keep(lambda: services.close_numbers(venue=self._venue, last=last))
        self._keep(self._keep_said)

    def _write_down(self, way: str, text: str) -> None:
        # Reports are kept whole as what they are.
        if way != "IN" or text.split("|", 3)[2] not in ("35=8", "35=9"):
            self._said.put((datetime.now(UTC), way, text))

    def _keep_said(self) -> None:
        messages: list[tuple[datetime, str, str]] = []
        while len(messages) < JOURNAL_MAX:
            try:
                messages.append(self._said.get_nowait())
            except Empty:
                break
        if messages:
            services.keep_messages(venue=self._venue, messages=messages)

    def _send(self, child: ChildOrderCreated) -> None:
        terms = self.session.tradables.terms_of(symbol=child.symbol)
        if not self.session.send(outbound.new_order(child=child, config=self.config, at_us=wall_us(), terms=terms)):
            raise UnableToSend("the session is down")

    def _send_cancel(self, order: CancelChild, row: VenueOrder | None, attempt: int) -> bool:
        return self.session.send(
            outbound.cancel(
                cl_ord_id=order.cl_ord_id,
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                config=self.config,
                at_us=wall_us(),
                attempt=attempt,
            )
        )

    def _ask_status(self, row: VenueOrder) -> None:
        if self.config.dialect.status_requests and self.session.questions.is_taken(kind=STATUS):
            self.session.send(
                outbound.status_request(
                    cl_ord_id=row.cl_ord_id, symbol=row.symbol, side=Side(row.side), config=self.config
                )
            )
