"""Runs one session over a transport: connects, listens, asks within the budget, and goes on connecting.

The driver decides nothing about orders: it hands every report to its listener, which keeps it before the next is read.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from piggy.adapters import telling
from piggy.adapters.budget import Budget
from piggy.adapters.interface import (
    TEXT_MAX,
    Order,
    Reports,
    Request,
    Response,
    Said,
    Steps,
    Stream,
    UnableToConnect,
    UnableToReadReport,
    UnableToSend,
    UnableToTranslate,
    VenueSession,
)
from piggy.adapters.terms import mismatches
from piggy.adapters.transport import Channel, HttpTransport, StreamEnded, Transport
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueQuote, VenueState, VenueStatus

log = logging.getLogger(__name__)
T = TypeVar("T")

TEND_S = 1.0
RECEIVE_S = 0.25
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SETTLE_S_MAX = 20.0
CALL_WAIT_S_MAX = 65.0
# How long a venue wants silence that names no time: too fast, or cut off for going on in spite of that.
THROTTLED_S = {418: 120.0, 429: 1.0}
THROTTLE_S_MAX = 86_400.0
RESYNC_AGAIN_S = 1.0
# What the desk trades in; `settings["lot_step"]` says otherwise.
LOT_STEP = "0.01"


def wall_us() -> int:
    """Return the wall clock in UTC microseconds."""
    return time.time_ns() // 1_000


class Listener(Protocol):
    """Who hears a venue, on any thread; `on_said` returns only once the report is durable."""

    def on_state(self, *, status: VenueStatus) -> None: ...

    def on_said(self, *, said: Said) -> None: ...

    def on_parked(self, *, text: str, error: str) -> None: ...


class Driver:
    """One venue account at work; looks like a FIX session to whoever publishes its quotes."""

    def __init__(
        self,
        *,
        session: VenueSession,
        listener: Listener,
        transport: Transport | None = None,
        clock: Callable[[], int] = wall_us,
    ) -> None:
        self.venue = session
        self.config = session.config
        self._listener = listener
        self._transport = transport or HttpTransport()
        self._clock = clock
        self._budget = Budget(rules=session.budget, clock=time.monotonic)
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._broken = threading.Event()
        self._wake = threading.Event()
        self._gaps: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._channels: list[Channel] = []
        self._listeners: list[threading.Thread] = []
        self._state = VenueState.CONNECTING
        self._text = "never connected"
        self.heard_messages = 0
        self.asked_requests = 0
        self.unread_answers = 0
        self._unread_told = 0
        name = f"{self.config.tenant}-{self.config.venue}-driver"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Connect, and go on connecting."""
        self._thread.start()

    def stop(self) -> None:
        """Close every stream and return once nothing runs any more."""
        self._stopping.set()
        self._break("stopped")
        self._thread.join(timeout=10)
        self._transport.close()

    @property
    def ready(self) -> bool:
        """Whether an order may leave now: its report would be heard."""
        return self._state is VenueState.READY and not self._broken.is_set()

    def status(self) -> VenueStatus:
        """Return the state with how many messages came and requests went."""
        return VenueStatus(
            venue=self.config.venue,
            state=self._state,
            text=self._text,
            at_us=self._clock(),
            sequence_in=self.heard_messages,
            sequence_out=self.asked_requests,
            unread=self.venue.unread[0] + self.unread_answers,
        )

    def changed_quotes(self) -> list[VenueQuote]:
        """Return the books that changed since the last call."""
        with self._lock:
            return self.venue.changed_quotes()

    def all_quotes(self) -> list[VenueQuote]:
        """Return every whole book."""
        with self._lock:
            return self.venue.all_quotes()

    def place(self, *, child: ChildOrderCreated, wait_s: float = 0.0) -> None:
        """Send one order, at most once, and tell what the venue answered.

        Raises UnableToSend where it cannot have arrived, UnableToTranslate where it cannot be said.
        """
        if not self.ready:
            raise UnableToSend("the session is down")
        now_us = self._clock()
        try:
            self.tell(self.run(self.venue.submit(child=child, now_us=now_us), wait_s=wait_s))
        except (UnableToReadReport, UnableToConnect) as error:
            self.unread_answers += 1
            client_id = self.venue.client_id(cl_ord_id=child.cl_ord_id)
            text = f"the answer cannot be read: {error}"
            self.tell((telling.doubt(venue=self.config.venue, client_id=client_id, text=text, at_us=now_us),))

    def cancel(self, *, order: Order) -> bool:
        """Ask for the end of an order and tell the answer; False where the venue cannot be asked.

        An answer that cannot be read has not ended it, as far as we know: its status says more.
        """
        now_us = self._clock()
        try:
            return self._ask(self.venue.cancel(order=order, now_us=now_us), parks=False)
        except UnableToReadReport as error:
            text = f"the answer cannot be read: {error}"
            names = {"venue": self.config.venue, "client_id": order.client_id, "text": text}
            self.tell((telling.uncancel(at_us=now_us, **names),))
            return True

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal) -> bool:
        """Ask for another quantity and limit and tell the answer. Raises UnableToTranslate."""
        return self._ask(
            self.venue.replace(order=order, quantity=quantity, limit_price=limit_price, now_us=self._clock())
        )

    def ask_status(self, *, order: Order) -> bool:
        """Ask what became of an order and tell the answer, missing fills first."""
        return self._ask(self.venue.status(order=order, now_us=self._clock()))

    def reconcile(self, *, since_us: int) -> bool:
        """Tell every fill since an instant again: what was heard before counts once."""
        return self._ask(self.venue.fills(since_us=since_us, now_us=self._clock()))

    def _ask(self, steps: Steps[Reports], *, parks: bool = True) -> bool:
        if not self.ready:
            return False
        try:
            self.tell(self.run(steps))
        except (UnableToConnect, UnableToSend) as error:
            log.warning("venue not asked", extra={"venue": self.config.venue, "why": str(error)})
            return False
        except UnableToReadReport as error:
            self.unread_answers += 1
            if not parks:
                raise
            self._listener.on_parked(text=f"an answer: {error}", error=str(error))
            return False
        return True

    def run(self, steps: Steps[T], *, wait_s: float = CALL_WAIT_S_MAX) -> T:
        """Play a conversation to its end; `wait_s` is how long the budget may hold up one request.

        Raises UnableToSend, and what the session raises.
        """
        response: Response | None = None
        while True:
            with self._lock:
                try:
                    request = next(steps) if response is None else steps.send(response)
                except StopIteration as stop:
                    value: T = stop.value
                    return value
            response = self._call(request, wait_s)

    def _call(self, request: Request, wait_s: float) -> Response:
        deadline = time.monotonic() + wait_s
        while delay := self._budget.wait_s(request=request):
            if time.monotonic() + delay > deadline or self._stopping.is_set():
                if request.places_order:
                    raise UnableToSend(f"the venue's rate limit is used up for {delay:.1f} s")
                return Response(status=429, text="our own budget is used up", left=False)
            self._stopping.wait(min(delay, 0.5))
        self.asked_requests += 1
        response = self._transport.call(request=request)
        if response.status in THROTTLED_S:
            asked = _seconds(response.headers.get("retry-after", ""), self._clock() / 1e6)
            self._budget.close_for(seconds=THROTTLED_S[response.status] if asked is None else asked)
        if (used := response.headers.get("x-mbx-used-weight-1m", "")).isdecimal():
            self._budget.learn(used=int(used))
        if request.places_order and not response.left:
            raise UnableToSend(response.text)
        return response

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._broken.clear()
                self._turn(VenueState.CONNECTING, "connecting")
                self._open(self.run(self.venue.connect(now_us=self._clock())))
                if self._live():
                    failures = 0
            except (UnableToConnect, StreamEnded, UnableToReadReport, UnableToTranslate) as error:
                self._text = str(error)
            except Exception as error:
                log.exception("venue session failed", extra={"venue": self.config.venue})
                self._text = repr(error)
            self._close()
            self._turn(VenueState.DOWN, self._text)
            failures += 1
            self._stopping.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])

    def _open(self, streams: tuple[Stream, ...]) -> None:
        for stream in streams:
            channel = self._transport.open(stream=stream)
            self._channels.append(channel)
            thread = threading.Thread(
                target=self._listen, args=(stream, channel), name=f"{self.config.venue}-{stream.name}", daemon=True
            )
            self._listeners.append(thread)
            thread.start()

    def _live(self) -> bool:
        """Tend the session until it breaks; return whether it ever became ready."""
        settle_by = time.monotonic() + SETTLE_S_MAX
        tend_at = time.monotonic() + TEND_S
        while not self._broken.is_set() and not self._stopping.is_set():
            self._mend()
            if self._state is not VenueState.READY:
                if self._settled():
                    self._turn(VenueState.READY, self._check_symbols() or "streams are open")
                elif time.monotonic() > settle_by:
                    raise StreamEnded("the streams did not settle in time")
            if time.monotonic() >= tend_at:
                tend_at = time.monotonic() + TEND_S
                self.tell(self.run(self.venue.tend(now_us=self._clock())))
                self._tell_unread()
            self._wake.wait(0.05)
            self._wake.clear()
        return self._state is VenueState.READY

    def _tell_unread(self) -> None:
        """Log market data that was dropped, at most once a second; the count goes out with every status."""
        count, why = self.venue.unread
        if count > self._unread_told:
            told = {"venue": self.config.venue, "dropped": count - self._unread_told, "why": why}
            log.warning("market data cannot be read", extra=told)
            self._unread_told = count

    def tell(self, reports: Reports) -> None:
        """Hand reports to the listener, in their order."""
        for said in reports:
            self._listener.on_said(said=said)

    def _check_symbols(self) -> str:
        """Return in words what the venue's own terms do not bear out of our mapping; shown on the desk and logged."""
        terms = self.run(self.venue.symbols(now_us=self._clock()))
        step = Decimal(self.config.settings.get("lot_step", LOT_STEP))
        found = mismatches(mappings=self.config.from_venue, symbols=terms, lot_step=step)
        for text in found:
            log.error("symbol mapping is wrong", extra={"venue": self.config.venue, "why": text})
        return "; ".join(found)[:TEXT_MAX]

    def _settled(self) -> bool:
        with self._lock:
            return self.venue.settled

    def _mend(self) -> None:
        gaps = set()
        while not self._gaps.empty():
            gaps.add(self._gaps.get())
        for symbol in sorted(gaps):
            try:
                self.run(self.venue.resync(symbol=symbol, now_us=self._clock()))
            except UnableToReadReport as error:
                told = {"venue": self.config.venue, "symbol": symbol, "why": str(error)}
                log.warning("book not whole yet", extra=told)
                self._stopping.wait(RESYNC_AGAIN_S)
                self._gaps.put(symbol)

    def _listen(self, stream: Stream, channel: Channel) -> None:
        heard_at = time.monotonic()
        while not self._broken.is_set() and not self._stopping.is_set():
            try:
                text = channel.receive(timeout_s=RECEIVE_S)
                if text is None:
                    if stream.silence_s_max and time.monotonic() - heard_at > stream.silence_s_max:
                        self._break(f"{stream.name} is silent")
                    continue
                heard_at = time.monotonic()
                self._hear(stream, channel, text)
            except StreamEnded as error:
                self._break(f"{stream.name} ended: {error}")
            except Exception as error:
                log.exception("message not handled", extra={"venue": self.config.venue, "stream": stream.name})
                self._break(f"{stream.name} failed: {error!r}")

    def _hear(self, stream: Stream, channel: Channel, text: str) -> None:
        self.heard_messages += 1
        try:
            with self._lock:
                heard = self.venue.hear(stream=stream.name, text=text, now_us=self._clock())
        except UnableToReadReport as error:
            self._listener.on_parked(text=text, error=str(error))
            return
        self.tell(heard.reports)
        for answer in heard.say:
            channel.say(text=answer)
        for symbol in heard.gaps:
            self._gaps.put(symbol)
        if heard.gaps:
            self._wake.set()
        if heard.down:
            self._break(heard.down)

    def _break(self, why: str) -> None:
        if not self._broken.is_set():
            self._text = why
            self._broken.set()
        self._wake.set()

    def _close(self) -> None:
        self._broken.set()
        for channel in self._channels:
            channel.close()
        for thread in self._listeners:
            thread.join(timeout=5)
        self._channels.clear()
        self._listeners.clear()
        while not self._gaps.empty():
            self._gaps.get()
        with self._lock:
            self.venue.lost()

    def _turn(self, state: VenueState, text: str) -> None:
        self._state, self._text = state, text
        self._listener.on_state(status=self.status())


def _seconds(text: str, now_s: float) -> float | None:
    """Return how long `Retry-After` asks for, as seconds or as a date; None where it does not say."""
    if text.isdecimal():
        return min(float(text[:9]), THROTTLE_S_MAX)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now_s), THROTTLE_S_MAX)
