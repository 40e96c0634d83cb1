"""Deciding a recorded day again under the rules it had: the same events must come of the same commands.

What differs is named and the desk goes on from history, so that one difference is counted once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from piggy.core.commands import PlaceOrder
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent
from piggy.core.market import VenueQuote
from piggy.engine.lab.past import History, Past
from piggy.messaging import codec, tape
from piggy.messaging.tape import Begun, Decided, Entry, Looked, Marked, Quoted, Remembered

EXAMPLES_MAX = 20
TOLD_MAX = 300


class Mismatch(msgspec.Struct, frozen=True):
    """A command whose events were others: its first seq, its kind, and where they part."""

    seq: int
    command: str
    text: str


class Again:
    """A day decided again. `desk` has applied the log up to the tape's beginning.

    `commands` counts what was decided again, `unrecorded` events of the log that no tape knows, `taken` commands that
    never reached the desk, `quotes` messages of market data.
    """

    def __init__(self, *, desk: Desk) -> None:
        self.desk = desk
        self.commands = self.orders = self.events = self.mismatches = self.unrecorded = self.taken = self.quotes = 0
        self.examples: list[Mismatch] = []
        self._is_cut = False

    @property
    def equal(self) -> bool:
        """Whether every event came again, each byte of it."""
        return not self.mismatches and not self.unrecorded

    def run(self, *, entries: Iterable[Entry], log: History) -> None:
        """Decide one chunk again; `log` must hold the rows of all its commands."""
        for entry in entries:
            if type(entry) is Quoted:
                self.quotes += 1
                hear(desk=self.desk, data=entry.data)
            elif type(entry) is Marked:
                self.desk.moment(now_us=entry.at_us)
            elif type(entry) is Decided:
                self._decide(entry, log)
            elif type(entry) is Begun:
                self._begin(entry, log)
            elif type(entry) is Remembered:
                self.desk.remember(marks=tape.touches(marks=entry.marks))
            else:
                assert type(entry) is Looked, entry

    def _begin(self, entry: Begun, log: History) -> None:
        self._apply_unrecorded(log.until(seq=entry.seq))
        if entry.fresh:
            self._is_cut = False
            self.desk = tape.desk_at(state=self.desk.state, begun=entry)

    def _decide(self, entry: Decided, log: History) -> None:
        if self._is_cut:
            return
        self._apply_unrecorded(log.until(seq=entry.first_seq - 1))
        rows = log.of(entry=entry)
        if not rows:
            # What an engine decided last and never committed never happened, like all it decided after that.
            self._is_cut = True
            return
        if entry.command is None:
            self.taken += 1
        else:
            self.commands += 1
            self.orders += type(entry.command) is PlaceOrder
            made = self.desk.decide(command=entry.command, now_us=entry.at_us)
            if self._compare(entry, made, rows):
                # The desk that lived this day applied what it had made, and so does this one.
                for event, row in zip(made, rows, strict=True):
                    self.desk.apply(recorded=row.recorded(event=event))
                self.events += len(rows)
                return
        self._apply(rows)
        self.events += len(rows)

    def _compare(self, entry: Decided, made: tuple[AnyEvent, ...], rows: list[Past]) -> bool:
        same = [row.is_same(event=event) for event, row in zip(made, rows, strict=False)]
        if len(made) == len(rows) and all(same):
            return True
        self.mismatches += 1
        if len(self.examples) < EXAMPLES_MAX:
            at = same.index(False) if False in same else len(same)
            was, new = (rows[at].event if at < len(rows) else None), (made[at] if at < len(made) else None)
            text = f"event {at + 1}: {_parted(was, new)}"
            self.examples.append(Mismatch(rows[0].seq, type(entry.command).__name__, text))
        return False

    def _apply_unrecorded(self, rows: list[Past]) -> None:
        self.unrecorded += len(rows)
        self._apply(rows)

    def _apply(self, rows: list[Past]) -> None:
        for row in rows:
            self.desk.apply(recorded=row.recorded(event=row.event))


def hear(*, desk: Desk, data: bytes) -> None:
    """Give a desk one message of market data."""
    for each in codec.decode_market_data(data):
        if isinstance(each, VenueQuote):
            desk.quote(quote=each)
        else:
            desk.status(status=each)


def last_seq(*, entries: Iterable[Entry]) -> int:
    """Return the seq up to which a chunk needs the log."""
    ends = [entry.first_seq + entry.events - 1 for entry in entries if isinstance(entry, Decided)]
    begins = [entry.seq for entry in entries if isinstance(entry, Begun)]
    return max([*ends, *begins], default=0)


def _parted(was: Any, came: Any) -> str:
    """Return where two events part: their kinds, or the fields that differ."""
    if type(was) is not type(came):
        return f"was {type(was).__name__}, came {type(came).__name__}"
    names = [name for name in was.__struct_fields__ if getattr(was, name) != getattr(came, name)]
    told = [f"{name} was {_short(getattr(was, name))}, came {_short(getattr(came, name))}" for name in names]
    return "; ".join(told) or "the same numbers, written otherwise"


def _short(value: object) -> str:
    return msgspec.json.encode(value).decode()[-TOLD_MAX:]
