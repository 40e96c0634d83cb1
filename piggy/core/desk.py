"""The desk of one tenant: `decide` turns a command into events and changes nothing; `apply` folds an event in and
refuses nothing. State is what the events say; quotes are beside it and never needed to apply. Read this first.

    events = desk.decide(command=..., now_us=...)      # a decision
    ... the engine commits the events ...              # now it is true
    desk.apply(recorded=...)                           # the desk catches up
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from piggy.core import commands as cmd
from piggy.core import corrections, covering, leaving, liquidation, overnight, sessions, touching
from piggy.core import events as ev
from piggy.core.activity import Windows
from piggy.core.answers import TOLD_AS, Answer, Memory, WhatIf
from piggy.core.commands import AnyCommand
from piggy.core.conversion import Conversion, Touch, currency_pairs
from piggy.core.correction_events import OrderFillBusted
from piggy.core.decisions import DECISIONS, without_rate
from piggy.core.entry import Entry
from piggy.core.events import AnyEvent, Recorded
from piggy.core.execution import Execution, UnableToConvert
from piggy.core.expiry import ExpiryWatch
from piggy.core.folding import HANDLERS, fold
from piggy.core.forgotten import Forgotten
from piggy.core.margin_watch import MarginWatch
from piggy.core.margining import MarginTermsKept
from piggy.core.market import VenueQuote, VenueState, VenueStatus
from piggy.core.moment import Moment
from piggy.core.option_margin import model_mark
from piggy.core.orders import OrderTerms
from piggy.core.quotes import Market
from piggy.core.ranking import Rankings
from piggy.core.state import State
from piggy.core.stopout import Ladder
from piggy.core.what_ifs import what_if

ANSWERS_KEPT = 50_000  # An older repeat is answered from the log (`perhaps_forgotten`).

# The events that name an account, and those that tell how an order became: a change denied left it as it was.
_EVENTS = tuple(kind for kind in HANDLERS if issubclass(kind, ev.Event))
_OF_ACCOUNTS = frozenset(kind for kind in _EVENTS if "account_id" in kind.__struct_fields__)
_OF_ORDERS = frozenset(kind for kind in _EVENTS if "order_id" in kind.__struct_fields__) - {ev.AmendmentDenied}
# P-27 allows an alert five seconds: so many looks go once round those who dealt, however often each deals meanwhile.
# Few accounts at a time, so that no order waits for them.
LIMITS_EVERY_US, ALERTED_EVERY_US, LOOKS_PER_ROUND = 100_000, 1_000_000, 16
ACCOUNTS_PER_LOOK_MIN, ACCOUNTS_PER_LOOK_MAX = 10, 50


@dataclass(slots=True)
class _Answered:
    """What is kept of a command that was done: the hash of its body and the answer as its own events left it."""

    request_hash: str
    answer: Answer
    order_id: str = ""


class Desk:
    """One tenant's desk. `state` is the fold of events; `market` holds quotes, which are not events."""

    def __init__(self, *, tenant: str) -> None:
        self.state = State(tenant=tenant)
        self.market = Market()
        self.statuses: dict[str, VenueStatus] = {}
        self.entry = Entry()
        self.keeping = leaving.KEEPING
        self.marks: dict[str, Touch] = {}
        self._pairs: dict[tuple[str, str], str] = {}
        self._answered: OrderedDict[str, _Answered] = OrderedDict()
        self._forgotten = Forgotten()
        self._rankings = Rankings()
        self._rates: dict[tuple[str, str, bool], Conversion] = {}
        self._margins = MarginTermsKept()
        self._watch = MarginWatch()
        self._windows = Windows()
        self._command_id = ""
        self._unsettled: _Answered | None = None
        self._options, self._expiry, self._deadlines = dict[str, set[str]](), ExpiryWatch(), touching.Deadlines()
        self._due: set[str] = set()
        self._used: dict[str, None] = {}
        # The groups, each with the currencies of its accounts, and the state whose open risk was looked at last.
        self._groups: dict[tuple[str, str], None] = {}
        self._looked_at_us = self._alerted_looked_at_us = self._minute = self._looked_at_seq = 0
        # Hears when prices are taken as marks (UTC microseconds), for who must do the same again.
        self.on_marks: Callable[[int], None] | None = None

    @classmethod
    def resumed(cls, *, state: State, memory: Memory) -> Desk:
        """Return the desk that `state` and `memory` were taken from; quotes come by themselves."""
        desk = cls(tenant=state.tenant)
        desk.state = state
        desk._pairs = currency_pairs(instruments=state.instruments.values())
        for instrument in state.instruments.values():
            if instrument.option:
                desk._options.setdefault(instrument.option.underlying, set()).add(instrument.symbol)
        desk.market.configure_instruments(instruments=state.instruments, changed=state.instruments.values())
        for venue in state.venues.values():
            desk.market.configure(venue=venue)
        for command_id, request_hash, answer, order_id in memory.answers:
            desk._answered[command_id] = _Answered(request_hash, answer, order_id)
        desk.market.configure_builds(profiles=state.profiles)
        desk._forgotten = Forgotten(filters=memory.filters, count=memory.forgotten)
        desk._due.update(state.holders, state.stops, state.resting)
        desk._groups = {(account.group, account.currency): None for account in state.accounts.values()}
        return desk

    def memory(self, *, answers_max: int) -> Memory:
        """Return the latest `answers_max` answers, and what else it would know again."""
        self._settle()
        forgotten = Forgotten(filters=self._forgotten.dump(), count=self._forgotten.count)
        kept = list(self._answered.items())
        for command_id, _ in kept[:-answers_max]:
            forgotten.add(command_id=command_id)
        return Memory(
            answers=[(each, known.request_hash, known.answer, known.order_id) for each, known in kept[-answers_max:]],
            filters=forgotten.dump(),
            forgotten=forgotten.count,
        )

    def answer(self, *, command_id: str, request_hash: str) -> Answer | None:
        """Return the first answer where the command was done before, a conflict under another body, else None."""
        self._settle()
        known = self._answered.get(command_id)
        if known is None:
            return None
        if known.request_hash != request_hash:
            return Answer(command_id=command_id, conflict=True)
        return msgspec.structs.replace(known.answer, duplicate=True)

    def answer_of(self, *, command_id: str) -> Answer:
        """Return the answer to a command that has just been applied; an empty one where it changed nothing."""
        self._settle()
        known = self._answered.get(command_id)
        return known.answer if known else Answer(command_id=command_id)

    def perhaps_forgotten(self, *, command_id: str) -> bool:
        """Tell whether the command may have been done so long ago that only the log knows its answer."""
        return command_id not in self._answered and self._forgotten.perhaps(command_id=command_id)

    def missed(self, *, command: AnyCommand) -> tuple[str, ...]:
        """Return the orders that left and that must come back before the command can be decided: usually none."""
        return leaving.missed(state=self.state, command=command)

    def decide(self, *, command: AnyCommand, now_us: int, command_id: str = "") -> tuple[AnyEvent, ...]:
        """Return what would happen; nothing has. `command_id` takes no part in the decision."""
        moment = self.moment(now_us=now_us)
        try:
            return tuple(DECISIONS[type(command)](command=command, moment=moment))
        except UnableToConvert as unable:
            return without_rate(command=command, text=str(unable))

    def apply(self, *, recorded: Recorded) -> None:
        """Fold one committed event in, in the order of the log."""
        event, state = recorded.event, self.state
        kind: Any = type(event)
        if self._unsettled is not None and recorded.command_id != self._command_id:
            self._settle()
        before = state.config_version
        fold(state=state, recorded=recorded)
        self._remember(recorded)
        # What is true of an account changed, so whether it is safe must be found out anew.
        if state.config_version != before:
            self._doubt(event)
        elif kind in _OF_ACCOUNTS:
            self._watch.forget(account_id=event.account_id)  # type: ignore[union-attr]
        follow = _FOLLOWS.get(kind)
        if follow is not None:
            follow(self, event)

    def quote(self, *, quote: VenueQuote) -> None:
        """Take a venue's book of a symbol."""
        self.market.update(quote=quote)

    def status(self, *, status: VenueStatus) -> None:
        """Take a venue's session state; a session that is down quotes nothing."""
        self.statuses[status.venue] = status
        self.entry.hear(status=status, state=self.state)
        if status.state is not VenueState.READY:
            self.market.withdraw(venue=status.venue)

    def due(self, *, now_us: int) -> tuple[AnyCommand, ...]:
        """Return the desk's own commands that are due: prices moved where somebody cares, or time ran out."""
        self._mark(now_us)
        state = self.state
        held = (state.holders, state.stops, state.resting)
        touched = tuple(sorted(symbol for symbol in self._due if any(each.get(symbol) for each in held)))
        self._due.clear()
        late = self._deadlines.time_is_up(state=state, now_us=now_us) or self._session_changes(now_us)
        late = late or bool(self._options and self._expiry.is_due(of=self._options, moment=self.moment(now_us=now_us)))
        if touched:
            accounts = self._watch.unsafe_holders(symbols=touched, holders=state.holders)
            self._watch.line_up(accounts=accounts, called=state.margin_called)
        turn = self._watch.next_in_line()
        prices: tuple[AnyCommand, ...] = (cmd.ActOnPrices(symbols=touched, accounts=turn),) if touched or turn else ()
        times: tuple[AnyCommand, ...] = (cmd.ActOnTime(),) if late else ()
        if state.hedge_policies and covering.due(moment=self.moment(now_us=now_us)):
            times = (*times, cmd.ActOnExposure())
        times += self._limits_to_look_at(now_us)
        if state.parked:
            times = (*corrections.ripe(state=state, now_us=now_us), *times)
        times += leaving.due(state=state, now_us=now_us, keeping=self.keeping)
        rollover = overnight.rollover_due(state=state, now_us=now_us)
        # Time first: no price fills what has expired, nor is anybody stopped out on a margin that is over.
        return (rollover, *times, *prices) if rollover else (*times, *prices)

    def _session_changes(self, now_us: int) -> bool:
        """Look once a minute whether a calendar begins or ends a call: calendars keep whole minutes."""
        minute = now_us // sessions.MINUTE_US
        if not self.state.calendars or minute == self._minute:
            return False
        self._minute = minute
        return bool(sessions.phases_due(state=self.state, now_us=now_us))

    def _limits_to_look_at(self, now_us: int) -> tuple[AnyCommand, ...]:
        """Accounts that dealt, the longest waiting first, and now and then those whose alerts may be over.

        Then too what tenant, firm and venues have open, where anything happened since.
        """
        groups: tuple[tuple[str, str], ...] = ()
        if now_us - self._alerted_looked_at_us >= ALERTED_EVERY_US:
            self._alerted_looked_at_us = now_us
            self._used |= dict.fromkeys(self.state.alert_levels)
            if self.state.seq != self._looked_at_seq or self.state.exposure_alerts:
                self._looked_at_seq, groups = self.state.seq, tuple(sorted(self._groups))
        if not groups and (not self._used or now_us - self._looked_at_us < LIMITS_EVERY_US):
            return ()
        self._looked_at_us = now_us
        share = -(-len(self._used) // LOOKS_PER_ROUND)
        accounts = tuple(islice(self._used, min(max(share, ACCOUNTS_PER_LOOK_MIN), ACCOUNTS_PER_LOOK_MAX)))
        for account_id in accounts:
            del self._used[account_id]
        return (cmd.ActOnLimits(accounts=accounts, groups=groups),)

    def stop_out_preview(self, *, account_id: str, now_us: int) -> Ladder | None:
        """Return what a stop-out of the account would close now; None where a position of it has no price."""
        return liquidation.stop_out_plan(account_id=account_id, execution=Execution(moment=self.moment(now_us=now_us)))

    def what_if(self, *, terms: OrderTerms, now_us: int) -> WhatIf:
        """Return what an order would bind and leave free, and all that the gate would say against it."""
        return what_if(terms=terms, moment=self.moment(now_us=now_us))

    def unsent_children(self) -> tuple[ev.ChildOrderCreated, ...]:
        """Return the legs that no venue has answered yet; putting them on the stream again is safe."""
        legs = self.state.open_children.values()
        return tuple(leg.created for leg in legs if not leg.acknowledged and not leg.in_doubt)

    def unanswered_cancels(self) -> tuple[ev.ChildCancelRequested, ...]:
        """Return the cancels of legs that still live; a worker asks a venue once, however often it is told."""
        return tuple(child.cancel for child in self.state.open_children.values() if child.cancel is not None)

    def moment(self, *, now_us: int) -> Moment:
        """Return all that the desk knows at `now_us`."""
        self._mark(now_us)
        return Moment(
            self.state, self.market, self.marks, self._pairs, now_us, self._rankings, self._margins, self._watch,
            self._windows, self.entry.closed, self._rates,
        )  # fmt: skip

    def _mark(self, now_us: int) -> None:
        market = self.market
        if not market.touched:
            return
        if self.on_marks is not None:
            self.on_marks(now_us)
        for symbol in market.changed():
            self._due.add(symbol)
            best = market.best(symbol=symbol, now_us=now_us)
            if best is not None and (bid := best.bid) is not None and (ask := best.ask) is not None:
                older, newer = bid.received_at_us, ask.received_at_us
                touch = Touch(bid.price, ask.price, older if older <= newer else newer)
                self._take_mark(symbol, market.deepened(symbol, touch, now_us) if market.is_deep else touch)
            for option in self._options.get(symbol, ()):
                self._mark_option(option, now_us)

    def _mark_option(self, symbol: str, now_us: int) -> None:
        """Its underlying moved, so an option that somebody holds is worth, and binds, something else."""
        if not self.state.holders.get(symbol):
            return
        self._due.add(symbol)
        if self.market.mid(symbol=symbol, now_us=now_us) is None:
            mark = model_mark(state=self.state, instrument=self.state.instruments[symbol], marks=self.marks)
            if mark is not None:
                self._take_mark(symbol, mark)

    def remember(self, *, marks: Mapping[str, Touch]) -> list[str]:
        """Value by `marks`, which an engine before this one had, what nobody has quoted since; return its symbols."""
        found = [symbol for symbol in marks if symbol in self.state.instruments and symbol not in self.marks]
        for symbol in found:
            self._take_mark(symbol, marks[symbol])
        self._due.update(found)
        return found

    def _take_mark(self, symbol: str, touch: Touch) -> None:
        if symbol in self.marks:
            self._watch.moved(symbol=symbol, touch=touch)
        else:
            # A first price may open a shorter way between two currencies.
            self._watch.clear()
        self.marks[symbol] = touch
        self._rates.clear()

    def _doubt(self, event: AnyEvent) -> None:
        """What was configured may concern one account, or any."""
        if isinstance(event, ev.AccountConfigured):
            self._watch.forget(account_id=event.account.account_id)
            self._groups[event.account.group, event.account.currency] = None
        else:
            self._watch.clear()

    def _configured_instrument(self, event: ev.InstrumentConfigured) -> None:
        self._pairs = currency_pairs(instruments=self.state.instruments.values())
        self.market.configure_instruments(instruments=self.state.instruments, changed=(event.instrument,))
        self._rates.clear()
        if option := event.instrument.option:
            self._options.setdefault(option.underlying, set()).add(event.instrument.symbol)

    def _configured_pricing(self, _: ev.PricingConfigured) -> None:
        self.market.configure_builds(profiles=self.state.profiles)

    def _configured_venue(self, event: ev.VenueConfigured) -> None:
        self.market.configure(venue=event.venue)

    def _accepted(self, event: ev.OrderAccepted) -> None:
        self._used[event.terms.account_id] = None
        self._deadlines.hear(order=self.state.orders[event.order_id])
        # A close-out that deals nothing is tried again when a price moves, and not at once for ever.
        if event.source != liquidation.STOP_OUT:
            self._due.add(event.terms.symbol)

    def _amended(self, event: ev.OrderAmended | ev.OrderTriggered) -> None:
        order = self.state.orders[event.order_id]
        self._deadlines.hear(order=order)
        self._due.add(order.terms.symbol)

    def _filled(self, event: ev.OrderFilled) -> None:
        self._used[event.account_id] = None
        self._dealt(event)

    def _dealt(self, event: ev.OrderFilled | OrderFillBusted) -> None:
        held = self.state.positions_of.get(event.account_id, ())
        self._due.update([self.state.positions[position_id].symbol for position_id in held])

    def _concerned(self, event: ev.SwapCharged | ev.PhaseChanged) -> None:
        self._due.add(event.symbol)

    def _stopped_or_opened(self, _: ev.TradingStateChanged) -> None:
        """What was reached meanwhile does not wait for another price."""
        self._due.update(self.state.stops, self.state.resting)

    def _remember(self, recorded: Recorded) -> None:
        """Keep the answer as the command's own events leave it, so that a repeat hears the first result."""
        event: Any = recorded.event
        known = self._answered.get(recorded.command_id)
        if known is None:
            known = _Answered(recorded.request_hash, Answer(command_id=recorded.command_id))
            self._answered[recorded.command_id] = known
            if len(self._answered) > ANSWERS_KEPT:
                self._forgotten.add(command_id=self._answered.popitem(last=False)[0])
        if type(event) in _OF_ORDERS:
            order_id = event.order_id
            if known.order_id in ("", order_id) and order_id in self.state.orders:
                known.order_id = order_id
                self._command_id, self._unsettled = recorded.command_id, known
        elif (told_as := TOLD_AS.get(type(event))) is not None:
            known.answer = msgspec.structs.replace(known.answer, **{told_as: event})
            if told_as == "closed":  # It tells of all the orders, so no one of them is the answer.
                known.order_id, self._unsettled = "", None

    def _settle(self) -> None:
        """Write down how the latest command left its order, before the next command can change it."""
        known = self._unsettled
        if known is not None:
            view = self.state.orders[known.order_id].view()
            known.answer = msgspec.structs.replace(known.answer, order=view)
            self._command_id, self._unsettled = "", None


# What the desk itself does after the fold; most events of the log are a leg's way and ask nothing of it.
_FOLLOWS: dict[type, Callable[[Desk, Any], None]] = {
    ev.InstrumentConfigured: Desk._configured_instrument,
    ev.PricingConfigured: Desk._configured_pricing,
    ev.VenueConfigured: Desk._configured_venue,
    ev.OrderAccepted: Desk._accepted,
    ev.OrderAmended: Desk._amended,
    ev.OrderTriggered: Desk._amended,
    ev.OrderFilled: Desk._filled,
    OrderFillBusted: Desk._dealt,
    ev.SwapCharged: Desk._concerned,
    ev.PhaseChanged: Desk._concerned,
    ev.TradingStateChanged: Desk._stopped_or_opened,
}
