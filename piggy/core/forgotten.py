"""Ids that were seen and are no longer kept: a Bloom filter that grows. It never denies one that it was told.

A full one takes an unknown id for its own about once in two thousand, so whoever hears "perhaps" looks in the log.
This is all that a desk keeps of what is long over: two bytes for each command that it was ever given.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import numpy as np

BITS_AN_ID = 16
# Of the first filters, then of each: a small tenant needs little, and a large one few filters to ask.
IDS_EACH = (1 << 17, 1 << 19, 1 << 21)
# So many at a time are written down: that costs a third of one by one, and keeps an order waiting for a tenth of a
# millisecond.
WAITING_MAX = 100
# Eight places of an id in each filter, out of its hash.
_PLACES = struct.Struct(">8I")


class Forgotten:
    """A list of filters of growing size; the last one takes what comes, the others never change."""

    def __init__(self, *, filters: list[bytes] | None = None, count: int = 0) -> None:
        self._filters = [bytearray(each) for each in filters or []]
        self._waiting: dict[str, None] = {}
        self._written = count
        self._room = sum(map(_ids_of, range(len(self._filters)))) - count

    @property
    def count(self) -> int:
        """How many ids it was told."""
        return self._written + len(self._waiting)

    def add(self, *, command_id: str) -> None:
        """Remember an id."""
        self._waiting[command_id] = None
        if len(self._waiting) >= WAITING_MAX:
            self._write()

    def perhaps(self, *, command_id: str) -> bool:
        """Tell whether the id may have been added; False is certain."""
        if command_id in self._waiting:
            return True
        if not self._filters:
            return False
        places = _places(command_id)
        for bits in self._filters:
            size = len(bits) << 3
            for place in places:
                place %= size
                if not bits[place >> 3] >> (place & 7) & 1:
                    break
            else:
                return True
        return False

    def dump(self) -> list[bytes]:
        """Return the filters, from which and `count` it can be made again."""
        self._write()
        return [bytes(each) for each in self._filters]

    def _write(self) -> None:
        ids = list(self._waiting)
        self._waiting.clear()
        while ids:
            if not self._room:
                self._room = _ids_of(len(self._filters))
                self._filters.append(bytearray(self._room * BITS_AN_ID // 8))
            part, ids = ids[: self._room], ids[self._room :]
            self._written += len(part)
            self._room -= len(part)
            _mark(self._filters[-1], part)


def _mark(bits: bytearray, ids: Sequence[str]) -> None:
    """Set the places of ids, as `_places` has them."""
    marked = np.frombuffer(bits, dtype=np.uint8)
    places = np.frombuffer(b"".join(map(_digest, ids)), dtype=">u4") % (len(bits) << 3)
    np.bitwise_or.at(marked, places >> 3, np.left_shift(1, places & 7).astype(np.uint8))


def _places(command_id: str) -> tuple[int, ...]:
    return _PLACES.unpack(_digest(command_id))


def _digest(command_id: str) -> bytes:
    return hashlib.blake2b(command_id.encode(), digest_size=_PLACES.size).digest()


def _ids_of(at: int) -> int:
    return IDS_EACH[min(at, len(IDS_EACH) - 1)]
