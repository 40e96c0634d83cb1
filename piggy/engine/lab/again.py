"""Deciding a recorded day again under the rules it had: the same events must come of the same commands.

What differs is named and the desk goes on from history, so that one difference is counted once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.market import VenueQuote
from piggy.messaging import codec, tape
from piggy.messaging.tape import Begun, Decided, Entry, Looked, Marked, Quoted

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
            self.orders += type(entry.command).__name__ == "PlaceOrder"
            self._compare(entry, rows)
        for row in rows:
            self.desk.apply(recorded=row)
        self.events += len(rows)

    def _compare(self, entry: Decided, rows: list[Recorded]) -> None:
        assert entry.command is not None
        made = self.desk.decide(command=entry.command, now_us=entry.at_us)
        came, were = [codec.encode(event) for event in made], [codec.encode(row.event) for row in rows]
        if came == were:
            return
        self.mismatches += 1
        if len(self.examples) < EXAMPLES_MAX:
            pairs = zip(came, were, strict=False)
            at = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(came), len(were)))
            was, new = (rows[at].event if at < len(rows) else None), (made[at] if at < len(made) else None)
            text = f"event {at + 1}: {_parted(was, new)}"
            self.examples.append(Mismatch(rows[0].seq, type(entry.command).__name__, text))

    def _apply_unrecorded(self, rows: list[Recorded]) -> None:
        for row in rows:
            self.unrecorded += 1
            self.desk.apply(recorded=row)


class History:
    """The rows of the log that come next, in order."""

    def __init__(self) -> None:
        self.rows: deque[Recorded] = deque()
        self.last_seq = 0

    def add(self, *, rows: Iterable[Recorded]) -> None:
        """Take the next rows."""
        for row in rows:
            self.rows.append(row)
            self.last_seq = row.seq

    def until(self, *, seq: int) -> list[Recorded]:
        """Take the rows up to `seq` away and return them."""
        return list(self._while_at_most(seq))

    def of(self, *, entry: Decided) -> list[Recorded]:
        """Take the rows of a command away and return them; none where it was never committed."""
        if not self.rows or self.rows[0].command_id != entry.command_id:
            return []
        return list(self._while_at_most(entry.first_seq + entry.events - 1))

    def _while_at_most(self, seq: int) -> Iterator[Recorded]:
        while self.rows and self.rows[0].seq <= seq:
            yield self.rows.popleft()


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
