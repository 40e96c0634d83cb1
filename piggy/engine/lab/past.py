"""The log as the lab reads it: every hash is checked, and an event is decoded only where somebody asks for it.

Most of a day comes again as it was, and then its bytes say so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from piggy.core.events import AnyEvent, Recorded
from piggy.messaging import codec, log_pages
from piggy.messaging.chain import EVENT_VERSION, Tip
from piggy.messaging.tape import Decided


class Past:
    """One row. `payload` is the event as it was written, `event` what it says today."""

    __slots__ = ("_event", "command_id", "entry", "payload", "principal", "request_hash", "seq", "tenant", "type_name")

    def __init__(self, *, tenant: str, entry: log_pages.Entry, event: AnyEvent | None = None) -> None:
        self.tenant, self.entry, self.seq, self.payload = tenant, entry, entry.seq, entry.payload
        self.command_id, self.type_name, self.principal, self.request_hash = entry.texts.decode().split("\x1f")
        self._event = event

    @classmethod
    def of(cls, *, tenant: str, recorded: Recorded) -> Past:
        """Return the row that an event makes; it stands in no chain."""
        kind = type(recorded.event).__name__
        texts = "\x1f".join((recorded.command_id, kind, recorded.principal, recorded.request_hash)).encode()
        entry = log_pages.Entry(
            seq=recorded.seq,
            position=recorded.position,
            version=EVENT_VERSION,
            occurred_at_us=recorded.occurred_at_us,
            recorded_at_us=recorded.recorded_at_us,
            recorded_mono_ns=recorded.recorded_mono_ns,
            texts=texts,
            payload=codec.encode(recorded.event),
            prev_hash=b"",
            hash=b"",
        )
        return cls(tenant=tenant, entry=entry, event=recorded.event)

    @property
    def event(self) -> AnyEvent:
        """Raises log_pages.UnableToRead."""
        if self._event is None:
            self._event = log_pages.event_of_entry(tenant=self.tenant, entry=self.entry)
        return self._event

    def is_same(self, *, event: AnyEvent) -> bool:
        """Return whether an event that came again is this one, each byte of it."""
        if codec.encode(event) == self.payload:
            return True
        # A field with a default may have been added since, so what was written then is written anew.
        return type(event).__name__ == self.type_name and codec.encode(event) == codec.encode(self.event)

    def recorded(self, *, event: AnyEvent) -> Recorded:
        """Return the row with `event` in it."""
        entry = self.entry
        return Recorded(
            seq=entry.seq,
            command_id=self.command_id,
            position=entry.position,
            principal=self.principal,
            request_hash=self.request_hash,
            occurred_at_us=entry.occurred_at_us,
            recorded_at_us=entry.recorded_at_us,
            recorded_mono_ns=entry.recorded_mono_ns,
            event=event,
        )


def rows(*, tenant: str, page: bytes, tip: Tip) -> Iterator[Past]:
    """Yield the rows of a page of the log that follows `tip`, moving it. Raises log_pages.UnableToRead."""
    for entry in log_pages.entries(tenant=tenant, page=page, tip=tip):
        yield Past(tenant=tenant, entry=entry)


class History:
    """The rows of the log that come next, in order."""

    def __init__(self) -> None:
        self.rows: deque[Past] = deque()
        self.last_seq = 0

    def add(self, *, rows: Iterable[Past]) -> None:
        """Take the next rows."""
        self.rows.extend(rows)
        if self.rows:
            self.last_seq = max(self.last_seq, self.rows[-1].seq)

    def until(self, *, seq: int) -> list[Past]:
        """Take the rows up to `seq` away and return them."""
        rows, taken = self.rows, list[Past]()
        while rows and rows[0].seq <= seq:
            taken.append(rows.popleft())
        return taken

    def of(self, *, entry: Decided) -> list[Past]:
        """Take the rows of a command away and return them; none where it was never committed."""
        if not self.rows or self.rows[0].command_id != entry.command_id:
            return []
        return self.until(seq=entry.first_seq + entry.events - 1)
