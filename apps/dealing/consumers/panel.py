"""One panel's rows, folded from a snapshot and numbered deltas; a gap waits for a snapshot that covers it."""

from __future__ import annotations

from collections import deque
from enum import Enum

import msgspec

DELTAS_KEPT_MAX = 1_000


class Frame(msgspec.Struct, kw_only=True):
    """What the engine publishes; rows stay undecoded, because nobody here looks inside."""

    panel: str
    seq: int
    snapshot: bool
    at_us: int = 0
    rows: dict[str, msgspec.Raw]
    seqs: dict[str, int] = {}


class Taken(Enum):
    """What became of a frame: pass it on, send everybody a snapshot, fetch a snapshot, or nothing."""

    FOLLOWS = "follows"
    REPLACED = "replaced"
    GAP = "gap"
    OLD = "old"


_encode = msgspec.json.Encoder().encode


def encode_rows(rows: dict[str, msgspec.Raw]) -> str:
    """Return rows as JSON."""
    return _encode(rows).decode()


decode_frame = msgspec.json.Decoder(Frame).decode


class Panel:
    """The full state of one panel, as of its last frame."""

    def __init__(self, *, name: str) -> None:
        self.name = name
        self.seq = 0
        self.waiting = False
        self.at_us = 0
        self._rows: dict[str, msgspec.Raw] = {}
        self._ahead: deque[Frame] = deque(maxlen=DELTAS_KEPT_MAX)
        self._told_seq = 0
        self._text: str | None = None

    def take(self, *, frame: Frame) -> Taken:
        """Fold a published frame."""
        if frame.snapshot:
            self._replace(frame)
            self._ahead.clear()
            return Taken.REPLACED
        if self.waiting:
            self._ahead.append(frame)
            return Taken.GAP
        if frame.seq <= self.seq:
            return Taken.OLD
        if frame.seq != self.seq + 1:
            self.waiting = True
            self._ahead.append(frame)
            return Taken.GAP
        self._fold(frame)
        return Taken.FOLLOWS

    def hear_of(self, *, seq: int) -> bool:
        """Tell whether all up to `seq` is here, the engine's last; else wait for a snapshot that has it.

        A frame told between the stored snapshot and the subscription is lost, and none may follow it for hours.
        """
        self._told_seq = seq
        self.waiting = self.waiting or seq > self.seq
        return not self.waiting

    def adopt(self, *, frame: Frame, whatever_its_seq: bool) -> bool:
        """Begin anew from a stored snapshot and what was kept after it; False where it does not reach that far yet."""
        needed = self._ahead[0].seq - 1 if self._ahead else self._told_seq
        if not whatever_its_seq and frame.seq < needed:
            return False
        ahead = [delta for delta in self._ahead if delta.seq > frame.seq]
        self._replace(frame)
        self._ahead.clear()
        for delta in ahead:
            self.take(frame=delta)
        return True

    def rows_text(self) -> str:
        """Return the whole state's rows as JSON, encoded once however many sockets ask."""
        if self._text is None:
            self._text = encode_rows(self._rows)
        return self._text

    def _replace(self, frame: Frame) -> None:
        self._rows = {}
        self.waiting, self._told_seq = False, 0
        self._fold(frame)

    def _fold(self, frame: Frame) -> None:
        self.seq, self.at_us, self._text = frame.seq, frame.at_us, None
        for key, row in frame.rows.items():
            if bytes(row) == b"null":
                self._rows.pop(key, None)
            else:
                # A row is a view of its whole frame, which would be kept as long as any row of it.
                self._rows[key] = row.copy()
