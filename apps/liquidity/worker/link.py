"""One LP of one broker at work: orders from the stream to the session, reports from the session to the database."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

import structlog
from django.db import connection
from django.db.utils import DataError, Error, IntegrityError, InterfaceError, OperationalError
from msgspec import structs

from apps.liquidity import selectors, services
from apps.liquidity.models import VenueOrder
from apps.tenants.services import in_tenant
from piggy.adapters.driver import wall_us
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.interface import UnableToSend, UnableToTranslate, VenueConfig, VenueReport
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueQuote, VenueState, VenueStatus
from piggy.messaging.codec import CancelChild
from piggy.messaging.subscriber import Delivery, VenueOrders

RETRY_S = 0.5
WAIT_S = 0.02
ASK_AGAIN_S = 5.0
STOP_S_MAX = 8.0
EXIT_UNSAVED = 75
# How often the worker looks what it does not know: soon again while there is something, else for the next engine.
COUNT_S, COUNT_AGAIN_S = 1.0, 0.1
UNKNOWN = 1
DELIVERIES_MAX = 5
# What PostgreSQL says of a row, not of itself.
OF_THE_ROW = (DataError, IntegrityError)

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Session(Protocol):
    """What a link needs of a session, FIX or not."""

    @property
    def ready(self) -> bool: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def status(self) -> VenueStatus: ...

    def changed_quotes(self) -> list[VenueQuote]: ...

    def all_quotes(self) -> list[VenueQuote]: ...


class Link(ABC):
    """Sends on one thread only, so that a status request never overtakes the order that it asks about.

    A subclass opens the session and says how an order, a cancel and a question leave.
    """

    session: Session

    def __init__(self, *, config: SessionConfig | VenueConfig, redis_url: str) -> None:
        self._age_ms_max = config.order_age_ms_max
        self._tenant = config.tenant
        self._venue = config.venue
        self.status_changed = True
        self._orders = VenueOrders(
            redis_url=redis_url, tenant=self._tenant, venue=self._venue, consumer=f"fix-{self._venue}"
        )
        self._turns: SimpleQueue[VenueState] = SimpleQueue()
        self._due: VenueState | None = None
        self._asks: SimpleQueue[str] = SimpleQueue()
        self._stopping = threading.Event()
        self._keeper = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix=f"{self._tenant}-{self._venue}-reports", initializer=self._settle_in
        )
        self._left: list[str] = []
        self._failures: Counter[bytes] = Counter()
        self._asked_all = False
        self._unreconciled = UNKNOWN
        self._count_at = 0.0
        self._ask_again_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"{self._tenant}-{self._venue}", daemon=True)

    def start(self) -> None:
        """Connect and take orders."""
        self.session.start()
        self._thread.start()

    def stop(self) -> None:
        """Log out. Ends the process when a report cannot be saved: returning would count it as received."""
        self._stopping.set()
        ender = threading.Thread(target=self.session.stop, daemon=True)
        ender.start()
        ender.join(STOP_S_MAX)
        if ender.is_alive():
            log.critical("fix_report_unsaved_at_stop", tenant=self._tenant, venue=self._venue)
            os._exit(EXIT_UNSAVED)
        self._thread.join(STOP_S_MAX)
        self._last_words()
        self._keeper.submit(connection.close)
        self._keeper.shutdown()
        self._orders.close()

    def status(self) -> VenueStatus:
        """Return the session's state with what the worker does not know of its orders."""
        return structs.replace(self.session.status(), unreconciled=self._unreconciled if self._asked_all else UNKNOWN)

    def changed_quotes(self) -> list[VenueQuote]:
        """Return the books that changed since the last call."""
        return self.session.changed_quotes()

    def all_quotes(self) -> list[VenueQuote]:
        """Return every book as it stands."""
        return self.session.all_quotes()

    def _last_words(self) -> None:  # noqa: B027 (most have none)
        """Write down what the next session must know; this one has ended."""

    def _look_after(self) -> None:  # noqa: B027 (most have nothing)
        """Do what nobody waits for; called all the time, in the broker's schema."""

    def on_state(self, *, status: VenueStatus) -> None:
        """The session came up or went down; the sending thread acts on it."""
        log.info("fix_session", tenant=self._tenant, venue=self._venue, state=status.state, text=status.text)
        self.status_changed = True
        self._turns.put(status.state)
        self._asked_all = False

    def _keep_report(self, report: VenueReport, raw: str) -> None:
        """Keep what the LP said, however long PostgreSQL takes, then tell the engine."""
        told = self._durably(
            lambda: services.record_report(
                tenant=self._tenant, venue=self._venue, report=report, raw=raw, now_us=wall_us()
            )
        )
        self._tell([told])

    def _tell(self, told: list[services.Told]) -> None:
        services.tell_all(tenant=self._tenant, told=told)
        for each in told:
            if each.ask_about:
                self._asks.put(each.ask_about)

    def on_parked(self, *, text: str, error: str) -> None:
        """Keep a message that nobody could read."""
        self._durably(lambda: services.park_report(venue=self._venue, raw=text, error=error))

    def _durably(self, work: Callable[[], T]) -> T:
        # QuickFIX calls from threads that Python forgets after every call, and their database connections with them.
        return self._keeper.submit(self._keep, work).result()

    def _keep(self, work: Callable[[], T]) -> T:
        while True:
            try:
                with in_tenant(self._tenant):
                    return work()
            except (OperationalError, InterfaceError) as error:
                log.warning("fix_waits_for_database", tenant=self._tenant, venue=self._venue, error=str(error))
                connection.close()
                time.sleep(RETRY_S)

    def _settle_in(self) -> None:
        # A link's own threads work for one broker all their life: going in and out for each report costs round trips.
        connection.set_schema(self._tenant)  # type: ignore[attr-defined]

    def _run(self) -> None:
        self._settle_in()
        while not self._stopping.is_set():
            try:
                with in_tenant(self._tenant):
                    self._turn()
                    self._ask()
                    self._count()
                    self._look_after()
                for delivery in self._orders.read(count=50, block_ms=100):
                    with in_tenant(self._tenant):
                        self._handle_alone(delivery)
                        self._turn()
                self._mark_sent()
            except Error as error:
                # Nothing unacknowledged is lost: the entry comes again and its row says how far it got.
                log.warning("fix_waits_for_database", tenant=self._tenant, venue=self._venue, error=str(error))
                connection.close()
                time.sleep(RETRY_S)
            except Exception:
                log.exception("fix_link_failed", tenant=self._tenant, venue=self._venue)
                time.sleep(RETRY_S)
        connection.close()

    def _handle_alone(self, delivery: Delivery) -> None:
        """Handle an entry; one that fails comes again by itself, and none behind it waits for that (F-24)."""
        entry_id = delivery.entry_id
        try:
            self._handle(delivery)
        except Exception as error:
            if isinstance(error, Error) and not isinstance(error, OF_THE_ROW):
                raise
            log.exception("fix_order_failed", tenant=self._tenant, venue=self._venue)
            self._failures[entry_id] += 1
            if self._failures[entry_id] < DELIVERIES_MAX:
                return
            self._bury(delivery, repr(error))
        self._failures.pop(entry_id, None)

    def _bury(self, delivery: Delivery, text: str) -> None:
        """Keep for a person what failed each time, and tell the engine of an order that surely never left."""
        services.park_report(venue=self._venue, raw=repr(delivery.data), error=f"failed {DELIVERIES_MAX} times: {text}")
        if isinstance(delivery.order, ChildOrderCreated):
            try:
                row, is_new = services.claim_order(child=delivery.order, client_id="")
            except OF_THE_ROW:
                # Nor does it ever leave: the desk holds it for doubtful until somebody settles it by hand.
                log.exception("fix_order_not_kept", tenant=self._tenant, venue=self._venue)
            else:
                if is_new:
                    self._refuse(row, text)
        self._orders.ack(entry_id=delivery.entry_id)

    def _handle(self, delivery: Delivery) -> None:
        order = delivery.order
        if isinstance(order, ChildOrderCreated):
            self._place(order, asked_at_us=delivery.asked_at_us)
        elif isinstance(order, CancelChild):
            if not self._cancel(order):
                return
        else:
            services.park_report(venue=self._venue, raw=repr(delivery.data), error="not an order")
        self._orders.ack(entry_id=delivery.entry_id)

    def _place(self, child: ChildOrderCreated, *, asked_at_us: int) -> None:
        row, is_new = services.claim_order(child=child, client_id=self._client_id(child.cl_ord_id))
        if not is_new:
            self._again(row)
            return
        # However UTC is stepped meanwhile, none waits longer than its age may be (INV-20).
        left_ms = min(self._age_ms_max - (wall_us() - asked_at_us) / 1_000, self._age_ms_max)
        until_s = time.monotonic() + left_ms / 1_000
        while not self.session.ready and time.monotonic() < until_s and not self._stopping.is_set():
            time.sleep(WAIT_S)
        if time.monotonic() >= until_s:
            self._refuse(row, "too old to be sent")
            return
        try:
            self._send(child)
        except (UnableToSend, UnableToTranslate) as error:
            self._refuse(row, str(error))
        else:
            self._left.append(child.cl_ord_id)

    def _mark_sent(self) -> None:
        """Note what left, once the whole batch is gone: until then it counts as perhaps sent, which asks the LP too."""
        if self._left:
            with in_tenant(self._tenant):
                services.mark_sent(venue=self._venue, cl_ord_ids=self._left)
            self._left = []

    def _client_id(self, cl_ord_id: str) -> str:
        """Return the id under which the LP will know the order."""
        return cl_ord_id

    @abstractmethod
    def _send(self, child: ChildOrderCreated) -> None:
        """Let one order leave. Raises UnableToSend, UnableToTranslate: nothing of it left."""

    @abstractmethod
    def _send_cancel(self, order: CancelChild, row: VenueOrder | None, attempt: int) -> bool:
        """Ask for an order's end, after `attempt` refusals; False where the LP cannot be asked now."""

    @abstractmethod
    def _ask_status(self, row: VenueOrder) -> None:
        """Ask what became of an order."""

    def _ask_about(self, row: VenueOrder) -> None:
        """Ask what became of an order; one that cannot be asked about keeps nobody from asking about the others."""
        try:
            self._ask_status(row)
        except Error:
            raise
        except Exception:
            # As where its symbol is no longer mapped. It stays in doubt, which keeps its venue closed for entry.
            log.exception("fix_order_not_asked_about", tenant=self._tenant, venue=self._venue, order=row.cl_ord_id)

    def _again(self, row: VenueOrder) -> None:
        """A second delivery: never a second order, only a question."""
        if row.state in selectors.OPEN_STATES:
            self._doubt(row, "delivered twice")
            self._ask_about(row)

    def _cancel(self, order: CancelChild) -> bool:
        row = VenueOrder.objects.filter(venue=self._venue, cl_ord_id=order.cl_ord_id).first()
        if row is not None and row.state not in selectors.OPEN_STATES:
            return True
        if not self.session.ready:
            return False
        attempt = services.claim_cancel(venue=self._venue, cl_ord_id=order.cl_ord_id)
        if attempt is None:
            return True
        is_sent = False
        try:
            is_sent = self._send_cancel(order, row, attempt)
        finally:
            if not is_sent:
                services.unclaim_cancel(venue=self._venue, cl_ord_id=order.cl_ord_id, attempt=attempt)
        return is_sent

    def _turn(self) -> None:
        """Act on what became of the session since last time."""
        while True:
            try:
                state = self._due or self._turns.get_nowait()
            except Empty:
                return
            self._due = None
            try:
                self._act_on(state)
            except Error:
                # Forgotten, it would leave the venue closed for entry until the next logon.
                self._due = state
                raise

    def _act_on(self, state: VenueState) -> None:
        if state is VenueState.READY:
            services.forget_unanswered_cancels(venue=self._venue)
        for row in selectors.open_orders(venue=self._venue):
            self._doubt(row, "the session was lost" if state is VenueState.DOWN else "found open at logon")
            if state is VenueState.READY:
                self._ask_about(row)
        self._unreconciled = UNKNOWN
        self._asked_all = state is VenueState.READY and self._turns.empty()

    def _count(self) -> None:
        """Find out what is not known of this venue's orders; nothing is known before all were asked about."""
        if time.monotonic() < self._count_at:
            return
        found = selectors.unreconciled(venue=self._venue) if self._knows_all() else UNKNOWN
        self._count_at = time.monotonic() + (COUNT_AGAIN_S if found else COUNT_S)
        self.status_changed |= (found == 0) != (self._unreconciled == 0)
        self._unreconciled = found

    def _knows_all(self) -> bool:
        """Whether every order that the session found open was asked about; the answers may still be on their way."""
        return self._asked_all and self.session.ready

    def _ask(self) -> None:
        while not self._asks.empty():
            cl_ord_id = self._asks.get()
            for row in VenueOrder.objects.filter(venue=self._venue, cl_ord_id=cl_ord_id):
                self._ask_about(row)
        if self.session.ready and time.monotonic() > self._ask_again_at:
            self._ask_again_at = time.monotonic() + ASK_AGAIN_S
            for row in selectors.unsettled_orders(venue=self._venue, silent_s=ASK_AGAIN_S):
                self._doubt(row, "no report came")
                self._ask_about(row)

    def _doubt(self, row: VenueOrder, text: str) -> None:
        services.tell(
            tenant=self._tenant, told=services.record_doubt(tenant=self._tenant, order=row, text=text, now_us=wall_us())
        )

    def _refuse(self, row: VenueOrder, text: str) -> None:
        services.tell(
            tenant=self._tenant,
            told=services.record_refusal(tenant=self._tenant, order=row, text=text, now_us=wall_us()),
        )
