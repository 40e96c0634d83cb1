"""A recorded day under other rules: what the same clients and the same market would have led to.

Orders and legs are numbered as they come, so history's names are translated. A leg that history had too, for the same
order, venue and lots, hears from its venue what it heard then; any other is filled at once at what its venue quoted
inside its limit, and what that does not cover is given back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.commands import AnyCommand
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent, Recorded
from piggy.core.market import Level
from piggy.core.orders import Side
from piggy.engine.journal import occurred_at_us
from piggy.engine.lab.again import hear
from piggy.engine.lab.figures import COUNTED, Figures
from piggy.engine.lab.past import History, Past
from piggy.engine.tape import OWN
from piggy.messaging import tape
from piggy.messaging.tape import Begun, Decided, Entry, Looked, Marked, Quoted, Remembered

log = logging.getLogger(__name__)

# Alerts change nothing of what is dealt, and looking for them costs as much as dealing. Nothing leaves a draft: what
# history wrote down to bring back would not be the draft's own order.
LEFT_OUT = frozenset({cmd.ActOnLimits, cmd.LetOrdersGo, cmd.LetOrderGo})
CREATED = frozenset({ev.OrderAccepted, ev.OrderDenied, ev.HedgeProposed})
# What is asked of history's events; of the others not one is decoded.
ASKED = frozenset(kind.__name__ for kind in (*CREATED, ev.ChildOrderCreated, *COUNTED))
REACTIONS_MAX = 50
# What only the draft waits for, as a stop of a position that history did not have, is looked at this often at least;
# whenever history itself acted on prices the draft does too.
LOOK_EVERY_US = 15_000_000


class Drafted:
    """Replays one day with `changes` made at its beginning. `were` and `would` count the two sides.

    `seq` is the log's up to where the desk stands; `failed` counts commands that could not be decided.
    """

    def __init__(self, *, desk: Desk, changes: Sequence[AnyCommand], from_us: int) -> None:
        self.desk = desk
        self.ids: dict[str, str] = {}
        self.commands = self.orders = self.failed = self.quotes = 0
        self._changes = tuple(changes)
        self._targets = {_target(change) for change in changes}
        self._target_kinds = frozenset(type(change) for change in changes)
        self._from_us = from_us
        self._is_open = False
        self._is_cut = False
        self._legs: dict[str, str | None] = {}
        self._known_ids: set[str] = set()
        self._number = self._looked_at_us = self._look_at_us = 0
        self.were = self.would = Figures(desk.state, {})

    def run(self, *, entries: Iterable[Entry], log: History) -> None:
        """Replay one chunk; `log` must hold the rows of all its commands."""
        for entry in entries:
            self._look_before(entry)
            if type(entry) is Quoted:
                self.quotes += 1
                hear(desk=self.desk, data=entry.data)
            elif type(entry) is Marked:
                self.desk.moment(now_us=entry.at_us)
            elif type(entry) is Decided:
                self._decided(entry, log)
            elif type(entry) is Looked:
                self._look_at_us = entry.at_us
            elif type(entry) is Begun:
                self._begun(entry, log)
            elif type(entry) is Remembered:
                self.desk.remember(marks=tape.touches(marks=entry.marks))

    def _begun(self, entry: Begun, log: History) -> None:
        self._take_history(log.until(seq=entry.seq), entry.at_us)
        if entry.fresh:
            self._is_cut = False
            self.desk = tape.desk_at(state=self.desk.state, begun=entry)

    def _look_before(self, entry: Entry) -> None:
        """Do what a look finds due, after what history did of the same look: of that the venues' answers are known."""
        at_us = self._look_at_us
        if not at_us or (type(entry) is Decided and type(entry.command) in OWN):
            return
        self._look_at_us = 0
        if not self._is_open or at_us - self._looked_at_us < LOOK_EVERY_US:
            return
        self._looked_at_us = at_us
        for command in self.desk.due(now_us=at_us):
            self._do(command, at_us, ())

    def _decided(self, entry: Decided, log: History) -> None:
        if self._is_cut:
            return
        self._take_history(log.until(seq=entry.first_seq - 1), entry.at_us)
        rows = log.of(entry=entry)
        if not rows:
            self._is_cut = True
        elif entry.at_us < self._from_us:
            self._apply(rows)
        else:
            self._open(entry.at_us)
            self._again(entry, self._count(rows, entry.at_us))

    def _open(self, at_us: int) -> None:
        """From here on history and the draft go their own ways."""
        if self._is_open:
            return
        self._is_open = True
        state = self.desk.state
        uncovered = {symbol: each.uncovered for symbol, each in state.exposure.items()}
        self.were, self.would = Figures(state, dict(uncovered)), Figures(state, dict(uncovered))
        for change in self._changes:
            self._do(change, at_us, ())

    def _again(self, entry: Decided, were: list[AnyEvent]) -> None:
        if entry.command is None:
            return
        self.commands += 1
        self.orders += type(entry.command) is cmd.PlaceOrder
        command = self._translated(entry.command)
        if command is None:
            self._pair(were, ())
            return
        self._do(command, entry.at_us, were)

    def _do(self, command: AnyCommand, at_us: int, were: Sequence[AnyEvent]) -> None:
        """Decide, apply, and let the venues of new legs answer; `were` is what history had of the same command."""
        waiting: list[AnyCommand] = [command]
        for at in range(REACTIONS_MAX):
            if at == len(waiting):
                return
            events = self._decide(waiting[at], at_us)
            for leg in self._pair(were, events):
                waiting += self._filled(leg, at_us)
            were = ()

    def _decide(self, command: AnyCommand, at_us: int) -> tuple[AnyEvent, ...]:
        kind = type(command)
        if kind in LEFT_OUT:
            return ()
        if kind is cmd.ActOnPrices:
            # Who is in danger under the draft is not who was.
            command = msgspec.structs.replace(command, accounts=None)
        try:
            events = self.desk.decide(command=command, now_us=at_us)
        except Exception:
            # The boundary of one command, as in the engine: deciding changed nothing.
            log.exception("command not decided in the lab", extra={"command": kind.__name__})
            self.failed += 1
            return ()
        self._number += 1
        seq, command_id, take, apply = self.desk.state.seq, f"lab-{self._number}", self.would.take, self.desk.apply
        for position, event in enumerate(events):
            take(event=event, at_us=at_us)
            apply(
                recorded=Recorded(
                    seq=seq + position + 1,
                    command_id=command_id,
                    position=position,
                    principal="lab",
                    request_hash="",
                    occurred_at_us=occurred_at_us(event=event, recorded_at_us=at_us),
                    recorded_at_us=at_us,
                    recorded_mono_ns=0,
                    event=event,
                )
            )
        return events

    def _pair(self, were: Sequence[AnyEvent], came: Sequence[AnyEvent]) -> list[ev.ChildOrderCreated]:
        """Give history's orders and legs the names that they have here; return the legs that only the draft has."""
        before, lost = _created(were)
        after, legs = _created(came)
        if before:
            self._known_ids.update(before)
            self.ids.update(zip(before, after, strict=False))
        for event in lost:
            same = next((leg for leg in legs if self._is_same(event, leg)), None)
            self._legs[event.cl_ord_id] = same.cl_ord_id if same else None
            if same:
                legs.remove(same)
        return legs

    def _is_same(self, before: ev.ChildOrderCreated, leg: ev.ChildOrderCreated) -> bool:
        return (
            self.ids.get(before.order_id, before.order_id) == leg.order_id
            and (before.venue, before.side, before.quantity) == (leg.venue, leg.side, leg.quantity)
        )  # fmt: skip

    def _filled(self, leg: ev.ChildOrderCreated, at_us: int) -> list[AnyCommand]:
        """Return what the leg's venue would have said: its quotes inside the limit, and then no more."""
        known: dict[str, Any] = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "occurred_at_us": at_us}
        said: list[AnyCommand] = [cmd.RecordVenueAck(**known, venue_order_id=f"lab-{leg.cl_ord_id}")]
        left = leg.quantity
        for number, level in enumerate(self._levels(leg)):
            lots = min(left, level.size)
            if lots <= 0:
                break
            left -= lots
            said.append(
                cmd.RecordVenueFill(
                    **known,
                    venue_order_id=f"lab-{leg.cl_ord_id}",
                    fill_id=f"lab-{leg.cl_ord_id}-{number}",
                    symbol=leg.symbol,
                    side=leg.side,
                    quantity=lots,
                    price=level.price,
                )
            )
        if left:
            said.append(cmd.RecordVenueDone(**known, filled=leg.quantity - left, text="nothing more was quoted"))
        return said

    def _levels(self, leg: ev.ChildOrderCreated) -> list[Level]:
        quote = self.desk.market.quote_of(venue=leg.venue, symbol=leg.symbol)
        if quote is None:
            return []
        if leg.side is Side.BUY:
            return [level for level in quote.asks if level.price <= leg.limit_price]
        return [level for level in quote.bids if level.price >= leg.limit_price]

    def _translated(self, command: Any) -> AnyCommand | None:
        """Return the command in the draft's names; None where it concerns what is not there."""
        kind: Any = type(command)
        translated: AnyCommand | None = command
        if kind in LEFT_OUT or (kind in self._target_kinds and _target(command) in self._targets):
            return None
        if kind is cmd.PlaceOrder:
            if held := command.terms.position_id:
                terms = msgspec.structs.replace(command.terms, position_id=self._named(held) or held)
                translated = msgspec.structs.replace(command, terms=terms)
        elif "cl_ord_id" in (fields := kind.__struct_fields__):
            known = command.cl_ord_id
            found = self._legs.get(known, known)
            if found != known:
                translated = None if found is None else msgspec.structs.replace(command, cl_ord_id=found)
        else:
            for name in ("order_id", "hedge_id"):
                if name in fields:
                    found = self._named(getattr(command, name))
                    return None if found is None else msgspec.structs.replace(command, **{name: found})
        return translated

    def _named(self, name: str) -> str | None:
        found = self.ids.get(name)
        return name if found is None and name not in self._known_ids else found

    def _count(self, rows: list[Past], at_us: int) -> list[AnyEvent]:
        events = [row.event for row in rows if row.type_name in ASKED]
        for event in events:
            self.were.take(event=event, at_us=at_us)
        return events

    def _take_history(self, rows: list[Past], at_us: int) -> None:
        """Rows that no tape knows: before the draft began they are history's, later they cannot be decided again."""
        if not rows:
            return
        if self._is_open:
            self._count(rows, at_us)
        else:
            self._apply(rows)

    def _apply(self, rows: list[Past]) -> None:
        for row in rows:
            self.desk.apply(recorded=row.recorded(event=row.event))


def _created(events: Sequence[Any]) -> tuple[list[str], list[ev.ChildOrderCreated]]:
    """Return the names of the orders and hedges that begin with these events, and the legs that do."""
    names: list[str] = []
    legs: list[ev.ChildOrderCreated] = []
    for event in events:
        kind = type(event)
        if kind is ev.ChildOrderCreated:
            legs.append(event)
        elif kind in CREATED:
            names.append(event.hedge_id if kind is ev.HedgeProposed else event.order_id)
    return names, legs


def _target(command: Any) -> tuple[str, str, str, str]:
    """Return what a configuring command replaces, so that history does not undo the draft."""
    kind = type(command).__name__
    if not kind.startswith("Configure"):
        return "", "", "", ""
    parts = (getattr(command, name, None) for name in ("policy", "rates", "calendar", "model", "permissions"))
    inner = next((part for part in parts if part is not None), None)
    group = getattr(command, "group", "") or getattr(command, "account_id", "") or getattr(command, "scope", "")
    symbol = getattr(command, "symbol", "") or getattr(inner, "symbol", "") or getattr(inner, "underlying", "")
    key = getattr(inner, "key", "") or getattr(command, "key", "")
    return kind, group if isinstance(group, str) else group.name, symbol, key
