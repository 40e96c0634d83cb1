"""One FIX session: a QuickFIX initiator that cannot die of an exception and cannot repeat an order.

QuickFIX ends the process when a callback raises, keeps what is sent while logged out and sends it later, and writes
the Logon to its store. So every callback catches everything and parks the message, an order leaves only while the
session is up and heard from, a repeated application message is never sent, and no message is stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import quickfix as fix

from piggy.adapters.fix import outbound
from piggy.adapters.fix.callbacks import Listener, caught, later, parked
from piggy.adapters.fix.config import DICTIONARY_NAME, LISTING_S_MAX, SessionConfig, settings_text
from piggy.adapters.fix.dictionary import write_loose
from piggy.adapters.fix.logons import Logons
from piggy.adapters.fix.messages import MARKET_DATA, MessageLog, fields
from piggy.adapters.fix.messages import message as text_of
from piggy.adapters.fix.numbers import SET_ASIDE, Next, Numbers
from piggy.adapters.fix.questions import PRICES, STATUS, Questions
from piggy.adapters.fix.quoted import Quoted
from piggy.adapters.fix.refusals import BUSINESS_REJECT, Asked, unheard
from piggy.adapters.fix.tradables import Tradables
from piggy.core.market import VenueQuote, VenueState, VenueStatus

log = logging.getLogger(__name__)

# QuickFIX's threads call into the session; one that is collected while they run takes the process down.
_started: set[FixSession] = set()
PROBE_S = 0.3
MASS_QUOTE, TOO_LOW = "i", "MsgSeqNum too low"
SECURITY_LIST_REQUEST, MASS_STATUS_REQUEST = "x", "AF"
_LOGON, _LOGOUT, _REJECT, _HEARTBEAT = "A", "5", "3", "0"


def wall_us() -> int:
    """Return the wall clock in UTC microseconds."""
    return time.time_ns() // 1_000


class FixSession(fix.Application):
    """A session with one LP; `clock` gives the arrival time of quotes in UTC microseconds.

    With `conflate` only the latest book of a symbol is kept between two calls of `changed_quotes`, else every one.
    Without `numbers` QuickFIX's own files keep the sequence numbers. `journal` hears every message but quotes and
    heartbeats, masked, with the way it went.
    """

    def __init__(
        self,
        *,
        config: SessionConfig,
        listener: Listener,
        clock: Callable[[], int] = wall_us,
        conflate: bool = True,
        numbers: Numbers | None = None,
        journal: Callable[[str, str], None] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self._listener = listener
        self._clock = clock
        self._quoted = Quoted(config=config, clock=clock, conflate=conflate)
        self._state = VenueState.CONNECTING
        self._text = "never connected"
        self._heard_at = 0.0
        self._subscriptions = 0
        self._probe_id = ""
        self._asked = Asked()
        self._logons = Logons()
        self.tradables = Tradables(config=config)
        self.questions = Questions(config=config)
        self.market_data_messages = 0
        self.last: Next | None = None
        self._numbers = numbers
        self._set_aside = 0
        self._log = MessageLog(path=config.home / "messages.log", journal=journal)
        settings_path = config.home / "initiator.cfg"
        settings_path.write_text(settings_text(config=config))
        self._session_id = fix.SessionID("FIX.4.4", config.sender_comp_id, config.target_comp_id, config.qualifier)
        write_loose(path=config.home / DICTIONARY_NAME)
        self._dictionary = fix.DataDictionary(str(config.home / DICTIONARY_NAME))
        self._settings = fix.SessionSettings(str(settings_path))
        self._store = fix.MemoryStoreFactory() if numbers else fix.FileStoreFactory(str(config.home / "store"))
        self._initiator: fix.SocketInitiator | None = None

    def start(self) -> None:
        """Connect, and go on connecting, on QuickFIX's own thread."""
        _started.add(self)
        # Its constructor registers the session. Of two of a name the first is found, so one that was never started, and
        # is only not collected yet, must not be there.
        self._initiator = fix.SocketInitiator(self, self._store, self._settings)
        if self._numbers is not None:
            first = self._numbers.begin()
            self._go_on_at(first)
            self._set_aside = first.outgoing
        self._initiator.start()

    def stop(self) -> None:
        """Log out and close; `last` then holds the numbers to begin with again. Blocks while its listener does."""
        if self._initiator is not None:
            self._initiator.stop()
        self.last = self.next_numbers()
        # Its destructor unregisters the session; a later one of the same name would else be taken down with it.
        self._initiator = None
        self._log.close()
        _started.discard(self)

    def _go_on_at(self, numbers: Next) -> None:
        session = fix.Session.lookupSession(self._session_id)
        session.setNextTargetMsgSeqNum(numbers.incoming)
        session.setNextSenderMsgSeqNum(numbers.outgoing)

    def next_numbers(self) -> Next:
        """Return the numbers expected and used next; every message below the former was heard."""
        session = fix.Session.lookupSession(self._session_id)
        return Next(session.getExpectedTargetNum(), session.getExpectedSenderNum()) if session else Next(0, 0)

    def set_numbers_aside(self, *, number: int | None = None) -> None:
        """See that the next numbers may be used; blocks where `number` is about to be. Early, nobody waits for it."""
        if self._numbers is None:
            return
        if number is None:
            number = self.next_numbers().outgoing + SET_ASIDE // 2
        if number >= self._set_aside:
            self._numbers.set_aside(below=number + SET_ASIDE)
            self._set_aside = number + SET_ASIDE

    @property
    def ready(self) -> bool:
        """Whether an order may leave now: logged on, and heard from within `silence_s_max`."""
        return self._state is VenueState.READY and time.monotonic() - self._heard_at < self.config.silence_s_max

    def send(self, text: str) -> bool:
        """Send one message, at most once; False means it did not leave and never will."""
        return self.ready and self._say(text)

    def _say(self, text: str) -> bool:
        message = fix.Message(text, self._dictionary, False)
        return bool(fix.Session.sendToTarget(message, self._session_id))

    def status(self) -> VenueStatus:
        """Return the session's state with its next sequence numbers."""
        numbers = self.next_numbers()
        return VenueStatus(
            venue=self.config.venue,
            state=self._state,
            text=self._text,
            at_us=self._clock(),
            sequence_in=numbers.incoming,
            sequence_out=numbers.outgoing,
            entries_in=self._quoted.taken,
            alarm=self._logons.alarm(now_s=time.monotonic()),
        )

    def changed_quotes(self) -> list[VenueQuote]:
        """Return the books that changed since the last call: one a symbol, or every one in order of arrival."""
        return self._quoted.changed()

    def all_quotes(self) -> list[VenueQuote]:
        """Return every book of the session as it stands, with the time it was last heard of."""
        return self._quoted.all()

    def onCreate(self, session_id: fix.SessionID) -> None:
        """QuickFIX tells that the session exists."""

    @caught
    def onLogon(self, session_id: fix.SessionID) -> None:
        """The LP took us; a probe tells when it hears us too.

        While sequence numbers are being recovered a gap fill swallows whatever we say, an order or a subscription.
        """
        self._heard_at = time.monotonic()
        self._subscriptions += 1
        self.questions.begin()
        self._probe_id = f"{self._clock()}-{self._subscriptions}"
        self._turn(VenueState.CONNECTING, "logged on, recovering sequence numbers")
        self._probe(self._probe_id)

    def _probe(self, probe_id: str) -> None:
        """Ask for a heartbeat, again and again until the one of this logon is answered."""
        if probe_id != self._probe_id:
            return
        try:
            fix.Session.sendToTarget(fix.Message(text_of("1", f"112={probe_id}\x01"), False), self._session_id)
        except fix.SessionNotFound:
            return
        later(PROBE_S, self._probe, probe_id)

    def _be_heard(self) -> None:
        """The LP hears us: ask what it trades, and be ready once that is known to be what we take it for."""
        request_id, self._probe_id = self._probe_id, ""
        question = "" if self.config.listens else self.tradables.ask(request_id=request_id)
        if question and self._say(question):
            later(LISTING_S_MAX, self._be_listed, request_id)
        else:
            self._be_ready()

    def _be_listed(self, request_id: str) -> None:
        """The LP lists nothing, or too late."""
        if self.tradables.is_asked(request_id=request_id):
            self.tradables.give_up()
            self._be_ready()

    def _be_ready(self) -> None:
        self._logons.ready(now_s=time.monotonic())
        self._turn(VenueState.READY, "; ".join(filter(None, ("logged on", self.tradables.text))))
        self._subscribe()

    def _subscribe(self) -> None:
        if self.config.listens or self.config.quotes is not None:
            return
        self._subscriptions += 1
        request_id = f"{self.config.tenant}-{self._clock()}-{self._subscriptions}"
        for text in self.questions.prices(request_id=request_id, blocked=self.tradables.blocked):
            self.send(text)

    @caught
    def onLogout(self, session_id: fix.SessionID) -> None:
        """The session is gone, and with it every quote."""
        self._probe_id = ""
        self._logons.ended(now_s=time.monotonic())
        self.tradables.forget()
        self._quoted.end()
        if self._state is not VenueState.DOWN:
            self._turn(VenueState.DOWN, "logged out or connection lost")

    @caught
    def toAdmin(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """A session message leaves; a Logon is given its credentials here and nowhere else."""
        self._address(message)
        if message.getHeader().getField(35) == _LOGON:
            self._logons.asks(numbers=self.next_numbers())
        if message.getHeader().getField(35) == _LOGON and self.config.password:
            message.setField(553, self.config.username or self.config.sender_comp_id)
            message.setField(554, self.config.password)
        self._log.write("OUT", text := message.toString())
        if message.getHeader().getField(35) == _LOGOUT and TOO_LOW in text:
            self._stand_apart(f"the LP's numbers are behind ours: {fields(text).get('58', '')}")
        elif why := unheard(text=text):
            self._listener.on_parked(text=text, error=why)

    @caught
    def fromAdmin(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """A session message came; a Logout or Reject tells why."""
        self._heard_at = time.monotonic()
        self._log.write("IN ", text := message.toString())
        kind = message.getHeader().getField(35)
        if kind == _LOGON and not self.config.resets_at_logon and (before := self._logons.forgotten(text=text)):
            self._go_on_at(before)  # QuickFIX has followed it by now.
            self._stand_apart("the LP begins its numbers anew")
            raise fix.RejectLogon("sequence numbers are not reset intraday")
        if kind == _LOGOUT:
            reason = fields(text).get("58", "no reason given")
            self._logons.told(reason=reason)
            if TOO_LOW in text:
                self._stand_apart(f"our numbers are behind the LP's: {reason}")
            else:
                self._turn(VenueState.DOWN, f"the LP logged us out: {reason}")
        elif kind == _HEARTBEAT and self._probe_id and fields(text).get("112") == self._probe_id:
            self._be_heard()
        elif kind == _REJECT:
            self._take_reject(text)

    @caught
    def toApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """An order or request leaves; one that QuickFIX would repeat does not."""
        self._address(message)
        repeated = message.getHeader().isSetField(43)
        text = message.toString()
        self._log.write("NOT" if repeated else "OUT", text)
        if repeated:
            raise fix.DoNotSend
        self._asked.note(text)

    @caught
    def fromApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """The LP speaks. Returns once what it said is kept, as QuickFIX then counts it as received."""
        self._heard_at = time.monotonic()
        text = message.toString()
        start = text.index("\x0135=") + 4
        kind = text[start : text.index("\x01", start)]
        if kind in MARKET_DATA:
            self._take_quotes(text)
            if kind == MASS_QUOTE and (values := fields(text)).get("301", "0") != "0":
                self.send(outbound.mass_quote_ack(quote_id=values["117"]))
            return
        self._log.write("IN ", text)
        if kind in ("8", "9"):
            self._listener.on_report(text=text)
        elif kind in _OF_SESSION:
            _OF_SESSION[kind](self, text)
        else:
            self._listener.on_parked(text=text, error=f"message type {kind} is not handled")

    def _address(self, message: fix.Message) -> None:
        """Name the desk at the LP, under a number that no later session uses."""
        header = message.getHeader()
        self.set_numbers_aside(number=int(header.getField(34)))
        for tag, name in ((50, self.config.sender_sub_id), (57, self.config.target_sub_id)):
            if name:
                header.setField(tag, name)

    def _take_reject(self, text: str) -> None:
        """The LP would not take a message of ours: an order in it came to nothing, a question has no answer."""
        whole = self._asked.complete(text)
        kind = fields(whole).get("372", "")
        if kind == SECURITY_LIST_REQUEST and self.tradables.waits:
            self.tradables.give_up()
            self._be_ready()
        elif kind == MASS_STATUS_REQUEST:
            log.info("the LP has no order of ours", extra={"venue": self.config.venue, "text": text})
        elif kind == PRICES:
            self._take_no_prices(whole)
        elif kind == STATUS:
            if self.questions.refused(kind=kind, text=text):
                self._listener.on_parked(text=text, error="the LP does not answer what became of an order")
        elif fields(whole).get("379"):
            self._listener.on_report(text=whole)
        else:
            self._listener.on_parked(text=text, error="the LP rejected a message of ours")

    def _take_no_prices(self, text: str) -> None:
        """The LP refused a request for prices (35=Y, or a reject of it)."""
        values = fields(text)
        instead = self.questions.apart(request_id=values.get("262") or values.get("379", ""))
        for each in instead:
            self.send(each)
        if not instead:
            self._listener.on_parked(text=text, error="the LP refused a request for prices")

    def _take_listing(self, text: str) -> None:
        waited = self.tradables.waits
        try:
            self.tradables.take(text)
        finally:
            if waited and not self.tradables.waits:
                self._be_ready()

    def _take_session_status(self, text: str) -> None:
        """The LP's market opened or shut; while it is shut nothing is shown and no order leaves."""
        if not self.tradables.hear_session(text):
            return
        if self.tradables.shut:
            self._quoted.withdraw()
        elif self.ready:
            self._subscribe()
        self._turn(self._state, self.tradables.shut or "the LP's market is open")

    def _take_quotes(self, text: str) -> None:
        if self.tradables.shut:
            return
        faults = self._quoted.take(text=text, blocked=self.tradables.blocked)
        self.market_data_messages += 1
        if faults:
            self._listener.on_parked(text=text, error=f"quotes that cannot be used: {faults}")

    def _stand_apart(self, text: str) -> None:
        """One side lost its sequence numbers (F-05, F-10): nothing is reset, fills would be lost; a person decides."""
        log.critical("sequence numbers differ", extra={"venue": self.config.venue, "text": text})
        self._turn(VenueState.DOWN, f"{text}; nothing is reset without a person")

    def _turn(self, state: VenueState, text: str) -> None:
        self._state, self._text = state, text
        self._listener.on_state(status=self.status())

    def park(self, *, text: str, error: BaseException) -> None:
        """Keep a message that could not be handled; fails only into the log."""
        parked(listener=self._listener, venue=self.config.venue, text=text, error=error)


_OF_SESSION: dict[str, Callable[[FixSession, str], None]] = {
    BUSINESS_REJECT: FixSession._take_reject,
    "Y": FixSession._take_no_prices,
    "y": FixSession._take_listing,
    "h": FixSession._take_session_status,
}
