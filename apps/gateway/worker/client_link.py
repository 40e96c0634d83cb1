"""One logged-on client: the rules of its session, the reports it is told, and its requests on their way."""

from __future__ import annotations

import threading
import time
from collections import deque

import structlog
from django.db import connection
from django.db.utils import Error

from apps.gateway import selectors, services
from apps.gateway.models import FixClient
from apps.gateway.worker.requests import Done, Reply, Requests, reject_body
from apps.gateway.worker.wire import Wire
from apps.tenants.services import in_tenant
from piggy.adapters.fix.messages import SOH, fields
from piggy.adapters.fix_clients.config import RESEND_MAX, RESENDS_MAX, Kind
from piggy.adapters.fix_clients.inbound import UnableToTake
from piggy.adapters.fix_clients.market import MARKET, Board, Pair, Said, listed
from piggy.adapters.fix_clients.outbound import execution_report
from piggy.adapters.fix_clients.session import Act, Close, Frames, Resend, Say, Session, Take
from piggy.messaging.codec import ClientPrices

WAIT_S = 0.2
# A request may be answered by thousands of messages, and each is numbered and kept before it is sent.
REPLIES_MAX = 1_000
LOOK_S = 2.0
COPIES_MAX = 500
# Prices come once a second at least.
PRICES_S_MAX = 3.0

log = structlog.get_logger(__name__)


class ClientLink:
    """Runs on its connection's thread, which alone numbers and sends; requests are carried out on another."""

    def __init__(self, *, tenant: str, client: FixClient, wire: Wire, frames: Frames, first: list[str]) -> None:
        self.name = (tenant, client.comp_id)
        self.thread: threading.Thread | None = None
        self._tenant, self._client, self._wire = tenant, client, wire
        self._frames, self._first = frames, first
        self._heartbeat_s = int(fields(first[0])["108"])
        self._session = Session(
            client=client.comp_id,
            us=tenant.upper(),
            expected=client.incoming,
            heartbeat_s=self._heartbeat_s,
            now_s=time.monotonic(),
        )
        self._replies: deque[Reply | Done] = deque()
        self._done = 0
        self._is_cut = False
        self._told = threading.Event()
        self._stopping = threading.Event()
        self._open = True
        self._resends: list[tuple[int, int]] = []
        self._look_at = 0.0
        with in_tenant(tenant):
            self._terms = selectors.terms_of(client=client)
            refused = selectors.refused_numbers(client=client)
        self._board = Board(terms=self._terms)
        self._prices: ClientPrices = {}
        self._pricing = threading.Lock()
        self._priced_at = 0.0
        self._requests = Requests(tenant=tenant, client=client, terms=self._terms, reply=self._reply, refused=refused)

    def wake(self) -> None:
        """There may be something to tell."""
        self._wire.ring()

    @property
    def wanted(self) -> set[Pair]:
        """Account and symbol of every price that the client asked for."""
        return self._board.wanted

    def show(self, prices: ClientPrices) -> None:
        """Clients have these prices now; of those that wait for a line that is slow only the latest is kept."""
        with self._pricing:
            for account_id, of_account in prices.items():
                self._prices.setdefault(account_id, {}).update(of_account)
        self._wire.ring()

    def stop(self) -> None:
        """Log out soon."""
        self._stopping.set()
        self._wire.ring()

    def run(self) -> None:
        """Serve until one side ends it. Raises OSError, UnableToFrame, LostSession."""
        self.thread = threading.current_thread()
        connection.set_schema(self._tenant)  # type: ignore[attr-defined]
        self._requests.start()
        log.info("fix_client_logged_on", tenant=self._tenant, comp_id=self._client.comp_id)
        self._say(Say("A", f"98=0{SOH}108={self._heartbeat_s}{SOH}"))
        self._do(self._session.begin(number=int(fields(self._first[0]).get("34", "0") or 0)))
        for text in self._first[1:]:
            self._hear(text)
        while self._open:
            data = self._wire.read(wait_s=0 if self._resends or self._replies else WAIT_S)
            if data is None:
                return
            for text in self._frames.feed(data):
                if self._open:
                    self._hear(text)
            self._look_after()

    def end(self) -> None:
        """The line is gone: requests under way are finished, and the desk hears of it where that was agreed.

        What there was to say of them is kept: the client misses its numbers when he is back.
        """
        self._open = False
        self._wire.close()
        self._requests.stop()
        connection.close_if_unusable_or_obsolete()
        try:
            while self._keep() is not None:
                pass
            self._note_done()
        except (Error, services.LostSession) as error:
            # Not noted either, so that the client is asked again for what this answered.
            log.warning("fix_replies_not_kept", tenant=self._tenant, comp_id=self._client.comp_id, error=str(error))
            connection.close()
        connection.set_schema_to_public()  # type: ignore[attr-defined]
        log.info("fix_client_logged_off", tenant=self._tenant, comp_id=self._client.comp_id)

    def _hear(self, text: str) -> None:
        self._do(self._session.hear(text=text, now_s=time.monotonic(), now_us=time.time_ns() // 1_000))

    def _look_after(self) -> None:
        if not self._open:
            return
        self._do(self._session.tick(now_s=time.monotonic()))
        self._answer()
        if self._resends:
            self._resend_some()
        self._tell_copies()
        self._tell_prices()
        if self._requests.is_idle and not self._replies:
            self._requests.note_incoming(self._session.expected)
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_S
            if reason := selectors.reason_to_end(tenant=self._tenant, client=self._client):
                self._do([Say("5", f"58={reason}{SOH}"), Close(reason)])
        if self._open and self._stopping.is_set():
            self._do([Say("5", f"58=we are going down{SOH}"), Close("going down")])

    def _do(self, acts: list[Act]) -> None:
        for act in acts:
            if isinstance(act, Say):
                self._say(act)
            elif isinstance(act, Take) and act.values["35"] in MARKET and self._terms.kind is Kind.ORDERS:
                self._tell_all(self._market(act))
            elif isinstance(act, Take):
                self._requests.take(act.number, act.values)
            elif isinstance(act, Resend):
                self._resend(act)
            else:
                log.info("fix_client_closed", tenant=self._tenant, comp_id=self._client.comp_id, reason=act.reason)
                self._open = False

    def _resend(self, act: Resend) -> None:
        """Note what is to be sent again; who asks on and on, without waiting for it, is let go."""
        last = self._client.outgoing - 1
        wanted = (act.first, min(act.last or last, last))
        if wanted in self._resends:
            return
        if len(self._resends) < RESENDS_MAX:
            self._resends.append(wanted)
        elif self._open:
            self._do([Say("5", f"58=at most {RESENDS_MAX} resend requests wait{SOH}"), Close("too many resends")])

    def _market(self, act: Take) -> list[Said]:
        """Answer a request for prices or symbols at once: the desk is not asked."""
        try:
            return self._board.ask(act.text) if act.values["35"] == "V" else listed(text=act.text, terms=self._terms)
        except UnableToTake as error:
            return [Said("3", reject_body(values=act.values, error=error))]

    def _tell_all(self, said: list[Said]) -> None:
        """Send what nobody wants again: a resend passes over its numbers."""
        if said:
            first = services.number(client=self._client, count=len(said))
            for number, each in enumerate(said, start=first):
                self._send(each.kind, number, each.body)

    def _tell_prices(self) -> None:
        """Tell prices that changed; take them back where nobody makes any more."""
        now_s = time.monotonic()
        said: list[Said] = []
        with self._pricing:
            prices, self._prices = self._prices, {}
        if prices:
            said += self._board.take(prices)
            self._priced_at = now_s
        if now_s - self._priced_at > PRICES_S_MAX:
            said += self._board.withdraw()
        self._tell_all(said)

    def _say(self, act: Say) -> None:
        number = services.number(client=self._client)
        self._send(act.kind, number, act.body)

    def _send(self, kind: str, number: int, body: str) -> None:
        self._wire.send(kind=kind, number=number, body=body)
        self._session.said(now_s=time.monotonic())

    def _reply(self, reply: Reply | Done) -> None:
        """Queue a message; requests are carried out no faster than the client hears what became of them."""
        if threading.current_thread() is not self.thread:
            while self._open and len(self._replies) >= REPLIES_MAX:
                self._told.clear()
                self._told.wait(WAIT_S)
        # To who is gone no more is said than that; he is asked again for what has no answer.
        self._is_cut = self._is_cut or (not self._open and len(self._replies) >= REPLIES_MAX)
        if not self._is_cut:
            self._replies.append(reply)
        self._wire.ring()

    def _answer(self) -> None:
        for _ in range(REPLIES_MAX):  # And then the line is heard again.
            kept = self._keep()
            if kept is None:
                break
            number, reply = kept
            self._send(reply.kind, number, reply.body)
        self._note_done()
        self._told.set()

    def _keep(self) -> tuple[int, Reply] | None:
        """Give the next reply its number and keep it under that, None where there is none; till then it is the next."""
        while self._replies:
            reply = self._replies[0]
            if isinstance(reply, Reply):
                number = services.number(client=self._client, kind=reply.kind, body=reply.body, refuses=reply.refuses)
                self._replies.popleft()
                return number, reply
            self._replies.popleft()
            self._done = reply.number
        return None

    def _note_done(self) -> None:
        """Note up to where every message of the client is carried out, and all that there is to say of it is kept."""
        if self._done:
            services.note_incoming(client=self._client, incoming=self._done + 1)
            self._done = 0

    def _tell_copies(self) -> None:
        while numbered := services.number_copies(client=self._client, rows_max=COPIES_MAX):
            for number, copy in numbered:
                body = execution_report(copy=copy, units=self._terms.units_per_lot(copy.symbol))
                self._send("8", number, body)
            if len(numbered) < COPIES_MAX:
                return

    def _resend_some(self) -> None:
        """Send a part of what was asked for again, from the log; the rest follows, and orders are served between."""
        first, last = self._resends[0]
        rows = selectors.sent_between(client=self._client, first=first, last=last, rows_max=RESEND_MAX)
        expected = first
        for row, copy in rows:
            if row.number > expected:
                self._fill_gap(expected, row.number)
            body = row.body
            if copy is not None:
                body = execution_report(copy=copy, units=self._terms.units_per_lot(copy.symbol))
            first_sent_us = int(row.sent_at.timestamp() * 1_000_000)
            self._wire.send(kind=row.kind, number=row.number, body=body, first_sent_us=first_sent_us)
            expected = row.number + 1
        if len(rows) == RESEND_MAX and expected <= last:
            self._resends[0] = (expected, last)
            return
        if expected <= last:
            self._fill_gap(expected, last + 1)
        del self._resends[0]

    def _fill_gap(self, first: int, following: int) -> None:
        """Say that the numbers from `first` up to `following` were session messages, which nobody wants again."""
        now_us = time.time_ns() // 1_000
        self._wire.send(kind="4", number=first, body=f"123=Y{SOH}36={following}{SOH}", first_sent_us=now_us)
