"""What one client asks, carried out one after another in the order it came, so that a cancel never overtakes its order.

The number expected next is written only once all replies to a request are kept: what a crash leaves unanswered is asked
for again, and the same ClOrdID has one effect.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any, NamedTuple

import structlog
from django.db import connection
from django.db.utils import Error

from apps.gateway import selectors, services
from apps.gateway.models import FixClient
from apps.tenants.services import patience
from apps.trading import services as trading
from piggy.adapters.fix.messages import SOH
from piggy.adapters.fix_clients import inbound, outbound
from piggy.adapters.fix_clients.config import ORDER_AGE_S_MAX, REQUESTS_MAX, Kind, Terms
from piggy.adapters.fix_clients.market import MARKET
from piggy.adapters.fix_clients.outbound import Copy
from piggy.core.answers import Answer

WAIT_S = 10.0
STOP_S_MAX = 15.0
DATABASE_S_MAX = 4.0
# What an engine was told before it died the next one decides within this time, from the stream.
STREAM_S_MAX = 60.0
UNSUPPORTED, NOT_AVAILABLE, NOT_AUTHORISED = "3", "4", "6"
KNOWN_MAX = 10_000
LATE = f"It was sent for the first time more than {ORDER_AGE_S_MAX} s ago (122)."
USED_BEFORE = "ClOrdID (11) was used before."

log = structlog.get_logger(__name__)


class Reply(NamedTuple):
    """A message for the client that no event of the log says; `refuses` is his message that it ends for good."""

    kind: str
    body: str
    refuses: int | None = None


class Done(NamedTuple):
    """Stands behind all replies to the client's message of that number."""

    number: int


class Known(NamedTuple):
    """An order by a ClOrdID it has had, and what no replacement changes of it, by its tag."""

    order_id: str
    account_id: str
    fixed: dict[str, str]


class Requests:
    """A thread that asks the desk for one client; what was `refused` is refused when it comes again.

    After a crash of ours the client is asked for all that was not noted. Of what he was told that it is refused, he may
    have asked under another id since.
    """

    def __init__(
        self,
        *,
        tenant: str,
        client: FixClient,
        terms: Terms,
        reply: Callable[[Reply | Done], None],
        refused: frozenset[int] = frozenset(),
    ) -> None:
        self._tenant, self._client, self._terms = tenant, client, terms
        self._user: Any = client.user
        self._reply = reply
        self._refused_before = refused
        self._queue: SimpleQueue[tuple[int, dict[str, str]] | None] = SimpleQueue()
        self._taken = self._done = 0
        self._noted = client.incoming
        self._known: dict[str, Known] = {}
        self._thread = threading.Thread(target=self._run, name=f"{tenant}-{client.comp_id}-requests", daemon=True)

    def start(self) -> None:
        """Take requests; the client is back."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what was taken."""
        self._queue.put(None)
        self._thread.join(STOP_S_MAX)

    def take(self, number: int, values: dict[str, str]) -> None:
        """Carry out a message when its turn comes; refuse it at once where too many wait, cancels last (INV-26)."""
        if number in self._refused_before:
            self._refuse(values, NOT_AVAILABLE, "It was refused when it came first.")
            return
        limit = REQUESTS_MAX * 2 if values["35"] == "F" else REQUESTS_MAX
        if self._taken - self._done >= limit:
            self._refuse(values, NOT_AVAILABLE, f"Too many requests wait: at most {limit}.")
            return
        self._taken += 1
        self._queue.put((number, values))

    @property
    def is_idle(self) -> bool:
        """Whether no request waits; then all that is to be said of them was said."""
        return self._taken == self._done

    def note_incoming(self, expected: int) -> None:
        """Note how far the session is, while no request waits; called by the session's thread."""
        if self.is_idle and expected > self._noted:
            services.note_incoming(client=self._client, incoming=expected)
            self._noted = expected

    def _run(self) -> None:
        # An order that waits for a database that says nothing would be dealt at a price that nobody asked for.
        with patience(seconds=DATABASE_S_MAX):
            self._carry_out_all()

    def _carry_out_all(self) -> None:
        connection.set_schema(self._tenant)  # type: ignore[attr-defined]
        self._report_connection(connected=True)
        while (taken := self._queue.get()) is not None:
            number, values = taken
            try:
                self._carry_out(values)
                self._reply(Done(number))
            except Error as error:
                # Not noted either: where the database stays away the client is asked for it again at its next Logon.
                log.warning("fix_request_not_done", tenant=self._tenant, error=str(error))
                connection.close()
                self._doubt(values, "Nothing is known of it yet; ask for its status.")
            except Exception:
                log.exception("fix_request_failed", tenant=self._tenant, comp_id=self._client.comp_id)
                self._doubt(values, "It could not be carried out; ask for its status.")
            self._done += 1
        self._report_connection(connected=False)
        connection.close()

    def _report_connection(self, *, connected: bool) -> None:
        if not self._client.cancel_on_disconnect:
            return
        for account_id in self._terms.accounts:
            now_us = time.time_ns() // 1_000
            try:
                trading.report_connection(
                    tenant=self._tenant, account_id=account_id, connected=connected, key=str(now_us), now_us=now_us
                )
            except trading.UnableToReachDesk as error:
                log.error("fix_disconnect_not_told", tenant=self._tenant, account=account_id, error=str(error))

    def _carry_out(self, values: dict[str, str]) -> None:
        kind = values["35"]
        if self._terms.kind is Kind.DROP_COPY:
            self._refuse(values, NOT_AUTHORISED, "This session is a copy of reports; nothing is taken on it.")
            return
        if kind not in inbound.REQUESTS:
            self._refuse(values, UNSUPPORTED, f"MsgType (35) {kind}: one of {' '.join((*inbound.REQUESTS, *MARKET))}.")
            return
        try:
            request = inbound.read(values=values, terms=self._terms)
        except inbound.UnableToTake as error:
            self._reply(Reply("3", reject_body(values=values, error=error), refuses=int(values["34"])))
            return
        try:
            self._ask(request, values)
        except trading.UnableToTrade as error:
            self._refuse(values, NOT_AUTHORISED, str(error))
        except trading.UnableToReachDesk as error:
            self._refuse(values, NOT_AVAILABLE, str(error))

    def _ask(self, request: inbound.Request, values: dict[str, str]) -> None:
        if isinstance(request, inbound.NewOrder):
            self._place(request, values)
        elif isinstance(request, inbound.Status):
            self._tell_status(request.cl_ord_id, values)
        elif isinstance(request, inbound.MassStatus):
            self._tell_all(request.request_id, values)
        else:
            self._change(request, values)

    def _place(self, request: inbound.NewOrder, values: dict[str, str]) -> None:
        if self._is_late(values):
            body = self._refused(values, outbound.LATE_ORDER, LATE)
            self._reply(Reply("8", body, refuses=int(values["34"])))
            return
        key = self._key(request.cl_ord_id)
        body = repr(request)
        asked = services.note_asked(
            client=self._client,
            cl_ord_id=request.cl_ord_id,
            kind="D",
            body=body,
            command_id=trading.order_command_id(tenant=self._tenant, user=self._user, key=key),
        )
        answer = trading.place_order(
            tenant=self._tenant,
            user=self._user,
            terms=request.terms,
            key=key,
            request_hash=_hash(body),
            source="fix",
            **self._asking(),
        )
        if answer is None:
            self._doubt(values, "Not decided yet; ask for its status.")
        elif answer.conflict or (asked.again and asked.row.kind != "D"):
            text = "ClOrdID (11) was used for another order."
            self._reply(Reply("8", self._refused(values, outbound.DUPLICATE_ORDER, text)))
        elif answer.refused is not None:
            self._reply(Reply("8", self._refused(values, outbound.OTHER_REASON, answer.refused.text)))
        elif answer.order is not None:
            fixed = {tag: values[tag] for tag in ("55", "54", "40")}
            self._remember(request.cl_ord_id, Known(answer.order.order_id, request.terms.account_id, fixed))
            if answer.duplicate:
                self._tell_status(request.cl_ord_id, values)

    def _change(self, request: inbound.Cancel | inbound.Replace, values: dict[str, str]) -> None:
        found = self._order(request.orig_cl_ord_id)
        if found is None:
            self._reply(Reply("9", outbound.cancel_refused(values=values, order_id="NONE", status="8", text="Unknown")))
            return
        order_id, account_id, fixed = found
        if other := [tag for tag, own in fixed.items() if values["35"] == "G" and values.get(tag, own) != own]:
            # Its quantity was meant, and read, in lots of another symbol, or for the other way.
            text = f"{other[0]}: the order's own is {fixed[other[0]]}; it does not change."
            self._refuse_change(values, order_id, outbound.NOT_CHANGED_HERE, text)
            return
        if values["35"] == "G" and self._is_late(values):
            self._refuse_change(values, order_id, outbound.TOO_LATE, LATE)
            return
        kind, key = values["35"], self._key(request.cl_ord_id)
        name = trading.cancel_command_id if isinstance(request, inbound.Cancel) else trading.amend_command_id
        command_id = name(tenant=self._tenant, user=self._user, order_id=order_id, key=key)
        asked = services.note_asked(
            client=self._client, cl_ord_id=request.cl_ord_id, kind=kind, body=repr(request), command_id=command_id
        )
        if str(asked.row.command_id) != command_id:
            self._refuse_change(values, order_id, outbound.DUPLICATE, USED_BEFORE)
            return
        services.note_order(asked=asked.row, order_id=order_id)
        answer = self._ask_change(request, order_id, account_id, key)
        self._remember(request.cl_ord_id, found)
        self._answer_change(answer, values, order_id)

    def _ask_change(
        self, request: inbound.Cancel | inbound.Replace, order_id: str, account_id: str, key: str
    ) -> Answer | None:
        named = {"tenant": self._tenant, "user": self._user, "key": key, **self._asking()}
        if isinstance(request, inbound.Cancel):
            return trading.cancel_order(order_id=order_id, account_id=account_id, **named)
        changes, changed = request.changes(), _hash(repr(request))
        return trading.amend_order(
            order_id=order_id, account_id=account_id, changes=changes, request_hash=changed, **named
        )

    def _answer_change(self, answer: Answer | None, values: dict[str, str], order_id: str) -> None:
        """A change that is made is told by its event; only what is not made needs words."""
        if answer is None:
            self._doubt(values, "Not decided yet; ask for its status.")
        elif answer.conflict:
            self._refuse_change(values, order_id, outbound.DUPLICATE, USED_BEFORE)
        elif answer.refused is not None:
            self._refuse_change(values, order_id, outbound.TOO_LATE, answer.refused.text)
        elif answer.duplicate:
            self._tell_status(values["11"], values)

    def _is_late(self, values: dict[str, str]) -> bool:
        """Whether it comes out of the client's store, long after it was meant, and is not one that was taken then."""
        now_us = time.time_ns() // 1_000
        if not inbound.is_late(values=values, now_us=now_us):
            return False
        before = datetime.fromtimestamp(now_us / 1_000_000 - STREAM_S_MAX, UTC)
        return not selectors.was_told(client=self._client, cl_ord_id=values["11"], before=before)

    def _refuse_change(self, values: dict[str, str], order_id: str, reason: str, text: str) -> None:
        """Refuse a change of an order that goes on as it is, and say how that is."""
        copy = selectors.last_copies(order_ids=[order_id]).get(order_id)
        status = copy.status if copy else outbound.NEW
        body = outbound.cancel_refused(values=values, order_id=order_id, status=status, text=text, reason=reason)
        self._reply(Reply("9", body))

    def _tell_status(self, cl_ord_id: str, values: dict[str, str]) -> None:
        copy = self._copy(cl_ord_id)
        if copy is None:
            text = "no such order"
            body = self._refused(values, outbound.UNKNOWN_ORDER, text, status=True)
        else:
            body = outbound.order_status(copy=copy, units=self._terms.units_per_lot(copy.symbol))
        self._reply(Reply("8", body))

    def _tell_all(self, request_id: str, values: dict[str, str]) -> None:
        copies = selectors.open_copies(client=self._client)
        for number, copy in enumerate(copies, start=1):
            units = self._terms.units_per_lot(copy.symbol)
            body = outbound.order_status(
                copy=copy, units=units, asked=request_id, total=len(copies), last=number == len(copies)
            )
            self._reply(Reply("8", body))
        if not copies:
            self._refuse(values, NOT_AVAILABLE, "No order is open.")

    def _order(self, cl_ord_id: str) -> Known | None:
        """Return an order by any ClOrdID it has had."""
        if cl_ord_id in self._known:
            return self._known[cl_ord_id]
        copy = self._copy(cl_ord_id)
        return Known(copy.order_id, copy.account_id, outbound.fixed_of(copy)) if copy else None

    def _copy(self, cl_ord_id: str) -> Copy | None:
        known = self._known.get(cl_ord_id)
        if known and (found := selectors.last_copies(order_ids=[known.order_id]).get(known.order_id)):
            return found
        return selectors.copy_by_client_id(client=self._client, cl_ord_id=cl_ord_id)

    def _remember(self, cl_ord_id: str, known: Known) -> None:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[cl_ord_id] = known

    def _key(self, cl_ord_id: str) -> str:
        return f"fix:{self._client.comp_id}:{cl_ord_id}"

    def _asking(self) -> dict[str, Any]:
        return {"request_id": "", "wait_s": WAIT_S, "now_us": time.time_ns() // 1_000}

    def _refused(self, values: dict[str, str], reason: str, text: str, *, status: bool = False) -> str:
        return outbound.refused(
            cl_ord_id=values["11"],
            values=values,
            reason=reason,
            text=text,
            at_us=time.time_ns() // 1_000,
            status=status,
        )

    def _refuse(self, values: dict[str, str], reason: str, text: str) -> None:
        body = outbound.business_reject(values=values, reason=reason, text=text)
        self._reply(Reply("j", body, refuses=int(values["34"])))

    def _doubt(self, values: dict[str, str], text: str) -> None:
        """Say what is no refusal: it may have been carried out, or will be when it comes again."""
        self._reply(Reply("j", outbound.business_reject(values=values, reason=NOT_AVAILABLE, text=text)))


def reject_body(*, values: dict[str, str], error: inbound.UnableToTake) -> str:
    """Return the body of a session Reject (35=3) that names the field and its limit."""
    named = f"371={error.tag}{SOH}372={values['35']}{SOH}373={error.reason}{SOH}"
    return f"45={values['34']}{SOH}{named}58={outbound.clean(str(error))}{SOH}"


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
