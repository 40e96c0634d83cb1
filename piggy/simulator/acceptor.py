"""One LP on the network: a QuickFIX 4.4 acceptor with a session per tenant, its feed and its delayed answers."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from itertools import product
from pathlib import Path

import quickfix as fix

from piggy.adapters.fix.messages import MARKET_DATA, MessageLog, fields
from piggy.simulator import wire
from piggy.simulator.agreed import Agreed, AgreedInFile, AgreedInVault
from piggy.simulator.config import LpConfig, RangeConfig
from piggy.simulator.loopback import keep_local
from piggy.simulator.quotes import LpBook
from piggy.simulator.truth import FILE_NAME, Truth
from piggy.simulator.venue import Report, Venue

log = logging.getLogger(__name__)

# A resend is under way for no longer than this, however busy the machine is.
RESEND_S = 5.0
LOGOUT_S_MAX, LOGOUT_LOOK_S = 2.0, 0.02
# Answers to a question are of the session that asked.
NOT_COPIED = ("status", "unknown", "cancel_rejected")


class Subscription:
    """What one session was shown, so that the next message to it holds only what changed."""

    def __init__(self, *, session_id: fix.SessionID, request_id: str) -> None:
        self.session_id = session_id
        self.request_id = request_id
        self.shown: dict[str, LpBook] = {}
        self.wanted: set[str] = set()
        self.live = True


class Acceptor(fix.Application):
    """Every callback catches everything: an exception in one ends the process (measured)."""

    def __init__(self, *, config: LpConfig, range_config: RangeConfig, dictionary: str) -> None:
        super().__init__()
        self._config = config
        self._home = range_config.home / config.name
        self._home.mkdir(parents=True, exist_ok=True)
        self._truth = Truth(path=self._home / FILE_NAME)
        self._venue = Venue(config=config, truth=self._truth)
        self._symbols = range_config.symbols
        self._log = MessageLog(path=self._home / "messages.log")
        vault, file = range_config.vault, range_config.secrets
        self._agreed: Agreed = AgreedInVault() if vault and file is None else AgreedInFile(path=file)
        self._lock = threading.RLock()
        self._books: dict[str, LpBook] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._outbox: deque[tuple[float, fix.SessionID, str]] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._storing = threading.Lock()
        self._store_until = 0.0
        self._serial = len(self._truth.orders)
        self._random = random.Random(f"lost:{config.name}:{config.seed}")
        self.sent = 0
        self._dictionary = fix.DataDictionary(dictionary)
        self._store = fix.FileStoreFactory(str(self._home / "store"))
        self._settings = _settings(config, range_config, dictionary, self._home)
        self._port = range_config.port(config)
        self._acceptor = fix.SocketAcceptor(self, self._store, self._settings)
        self._answerer = threading.Thread(target=self._answer, name=f"{config.name}-answers", daemon=True)

    def start(self) -> None:
        """Open the port and answer orders."""
        self._answerer.start()
        self._acceptor.start()
        keep_local(port=self._port)

    def stop(self) -> None:
        """Log everybody out, for good, and close the book of truth. The port closes with the process.

        QuickFIX's own stop closes sockets that its thread still works with: every third one ended in a crash (measured;
        its pull request 740 tells the same).
        """
        self._stopping = True
        self._wake.set()
        for session_id in self._acceptor.getSessions():
            if (session := fix.Session.lookupSession(session_id)) is not None:
                session.logout()
        until_s = time.monotonic() + LOGOUT_S_MAX
        while self._acceptor.isLoggedOn() and time.monotonic() < until_s:
            time.sleep(LOGOUT_LOOK_S)
        self._answerer.join(timeout=2)
        self._truth.close()
        self._log.close()

    def quote(self, book: LpBook) -> None:
        """Take a new book: resting orders may fill, and every subscriber hears what changed."""
        with self._lock:
            self._books[book.symbol] = book
            for report in self._venue.quote(book):
                self._say(self._session_of(report.order.owner), report)
            for subscription in list(self._subscriptions.values()):
                if subscription.live and book.symbol in subscription.wanted:
                    self._show(subscription, book)

    def subscribers(self) -> int:
        """Return how many sessions hear this LP's quotes."""
        return sum(subscription.live for subscription in list(self._subscriptions.values()))

    def onCreate(self, session_id: fix.SessionID) -> None:
        """QuickFIX tells that a session exists."""

    def onLogon(self, session_id: fix.SessionID) -> None:
        """A tenant came; it hears quotes once it asks for them."""

    def onLogout(self, session_id: fix.SessionID) -> None:
        """A tenant went; its orders stay.

        Never under our lock: QuickFIX holds the session's own here, and `quote` takes the two the other way round.
        """
        try:
            self._subscriptions.pop(session_id.toString(), None)
        except BaseException:
            log.exception("logout not handled", extra={"lp": self._config.name})

    def toAdmin(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """A session message leaves."""
        self._keep("OUT", message, session_id)

    def fromAdmin(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """A session message came; a Logon with another password than the agreed one is refused."""
        text = self._keep("IN ", message, session_id)
        values = fields(text)
        if values.get("35") == "2":
            self._store_all(session_id)
        if values.get("35") == "A":
            self._let_in(tenant=values.get("49", "").lower(), given=values.get("554"))

    def _let_in(self, *, tenant: str, given: str | None) -> None:
        try:
            agreed = self._agreed.password(tenant=tenant, lp=self._config.name)
        except Exception as error:
            log.exception("a logon cannot be checked")
            raise fix.RejectLogon("The password cannot be checked") from error
        if agreed is not None and given != agreed:
            raise fix.RejectLogon("Wrong password")

    def toApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """A report or quote leaves; quotes are not stored, nobody wants an old one again."""
        try:
            header = message.getHeader()
            is_quote = header.getField(35) in MARKET_DATA
            if is_quote and header.isSetField(43):
                raise fix.DoNotSend
            with self._storing:
                stores = not is_quote or time.monotonic() < self._store_until
                fix.Session.lookupSession(session_id).setPersistMessages(stores)
            if not is_quote:
                self._keep("OUT", message, session_id)
        except fix.DoNotSend:
            raise
        except BaseException:
            log.exception("message not kept", extra={"lp": self._config.name})

    def _store_all(self, session_id: fix.SessionID) -> None:
        """Messages are read back from the store only while storing is on, which a quote would turn off."""
        with self._storing:
            self._store_until = time.monotonic() + RESEND_S
            fix.Session.lookupSession(session_id).setPersistMessages(True)

    def fromApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """A tenant asks something."""
        try:
            text = self._keep("IN ", message, session_id)
            with self._lock:
                self._handle(text, session_id)
        except BaseException:
            log.exception("request not handled", extra={"lp": self._config.name})

    def _handle(self, text: str, session_id: fix.SessionID) -> None:
        values = fields(text)
        owner = values["49"]
        kind = values["35"]
        if kind == "V":
            self._subscribe(text, values, session_id)
            return
        if kind == "x":
            self._list(values["320"], session_id)
            return
        if kind == "AF":
            self._say_all(owner, values["584"], session_id)
            return
        if kind == "Q":
            return  # Its log has it.
        order = wire.order_of(values=values, owner=owner, order_id=self._next_order_id() if kind == "D" else "")
        if kind == "D":
            reports = self._venue.place(order)
        elif kind == "G":
            reports = self._venue.replace(order=order, orig_cl_ord_id=values["41"])
        elif kind == "F":
            reports = self._venue.cancel(
                owner=owner, cl_ord_id=order.cl_ord_id, orig_cl_ord_id=values["41"], blank=order
            )
        else:
            reports = [self._venue.status(owner=owner, blank=order)]
        for report in reports:
            self._say(session_id, report)

    def _list(self, request_id: str, session_id: fix.SessionID) -> None:
        step = self._config.lot_step
        for part in wire.security_lists(request_id=request_id, symbols=self._symbols, lot_step=step):
            fix.Session.sendToTarget(fix.Message(part, self._dictionary, False), session_id)

    def _say_all(self, owner: str, request_id: str, session_id: fix.SessionID) -> None:
        """Answer a mass status request: every order of the tenant that works, or that there is none."""
        found = self._venue.working(owner=owner, asked=request_id)
        for report in found:
            self._say(session_id, report)
        if not found:
            text = wire.business_reject(kind="AF", ref=request_id, text="No order works here")
            fix.Session.sendToTarget(fix.Message(text, self._dictionary, False), session_id)

    def _subscribe(self, text: str, values: dict[str, str], session_id: fix.SessionID) -> None:
        subscription = Subscription(session_id=session_id, request_id=values["262"])
        subscription.wanted = set(wire.symbols_asked(text))
        self._subscriptions[session_id.toString()] = subscription
        for symbol in sorted(subscription.wanted & self._books.keys()):
            self._show(subscription, self._books[symbol])

    def _show(self, subscription: Subscription, book: LpBook) -> None:
        before = subscription.shown.get(book.symbol)
        request_id = subscription.request_id
        if before is None:
            text = wire.snapshot(request_id=request_id, book=book)
        else:
            text = wire.incremental(request_id=request_id, before=before, book=book)
        subscription.shown[book.symbol] = book
        self.sent += 1
        fix.Session.sendToTarget(fix.Message(text, self._dictionary, False), subscription.session_id)

    def _say(self, session_id: fix.SessionID, report: Report) -> None:
        self._serial += 1
        at_us = time.time_ns() // 1_000
        text = wire.report(report=report, exec_id=f"{self._config.name}-N{at_us}-{self._serial}", at_us=at_us)
        due = time.monotonic() + self._config.latency_ms / 1_000
        if not (report.kind == "trade" and self._random.random() < self._config.lost_rate):
            self._outbox.append((due, session_id, text))
        if self._config.drop_copy and report.kind not in NOT_COPIED:
            copied = fix.SessionID("FIX.4.4", self._config.copy_name, report.order.owner)
            self._outbox.append((due, copied, text))
        self._wake.set()

    def _answer(self) -> None:
        while not self._stopping:
            if not self._outbox:
                self._wake.wait(0.2)
                self._wake.clear()
                continue
            due, session_id, text = self._outbox[0]
            time.sleep(max(0.0, due - time.monotonic()))
            self._outbox.popleft()
            fix.Session.sendToTarget(fix.Message(text, False), session_id)

    def _session_of(self, owner: str) -> fix.SessionID:
        return fix.SessionID("FIX.4.4", self._config.name, owner)

    def _next_order_id(self) -> str:
        self._serial += 1
        return f"{self._config.name}-O{time.time_ns() // 1_000}-{self._serial}"

    def _keep(self, way: str, message: fix.Message, session_id: fix.SessionID) -> str:
        text: str = message.toString()
        self._log.write(way, text)
        return text


def _settings(config: LpConfig, range_config: RangeConfig, dictionary: str, home: Path) -> fix.SessionSettings:
    lines = [
        "[DEFAULT]",
        "ConnectionType=acceptor",
        "BeginString=FIX.4.4",
        "NonStopSession=Y",
        "HeartBtInt=30",
        "ResetOnLogon=N",
        "ResetOnLogout=N",
        "ResetOnDisconnect=N",
        "CheckLatency=N",
        "SocketNodelay=Y",
        "SocketReuseAddress=Y",
        "ValidateUserDefinedFields=N",
        "UseDataDictionary=Y",
        f"DataDictionary={dictionary}",
        f"FileStorePath={home / 'store'}",
    ]
    names = (config.name, config.copy_name) if config.drop_copy else (config.name,)
    for name, tenant in product(names, range_config.tenants):
        lines += [
            "[SESSION]",
            f"SenderCompID={name}",
            f"TargetCompID={tenant}",
            f"SocketAcceptPort={range_config.port(config)}",
        ]
    path = home / "acceptor.cfg"
    path.write_text("\n".join(lines) + "\n")
    return fix.SessionSettings(str(path))
