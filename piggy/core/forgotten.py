"""Ids that were seen and are no longer kept: a Bloom filter that grows. It never denies one that it was told.

A full one takes an unknown id for its own about once in two thousand, so whoever hears "perhaps" looks in the log.
This is all that a desk keeps of what is long over: two bytes for each command that it was ever given.
"""

from __future__ import annotations

import hashlib
import struct

BITS_AN_ID = 16
# Of the first filters, then of each: a small tenant needs little, and a large one few filters to ask.
IDS_EACH = (1 << 17, 1 << 19, 1 << 21)
# Eight places of an id in each filter, out of its hash.
_PLACES = struct.Struct(">8I")


class Forgotten:
    """A list of filters of growing size; the last one takes what comes, the others never change."""

    def __init__(self, *, filters: list[bytes] | None = None, count: int = 0) -> None:
        self._filters = [bytearray(each) for each in filters or []]
        self.count = count
        self._room = sum(map(_ids_of, range(len(self._filters)))) - count

    def add(self, *, command_id: str) -> None:
        """Remember an id."""
        if not self._room:
            self._room = _ids_of(len(self._filters))
            self._filters.append(bytearray(self._room * BITS_AN_ID // 8))
        self.count += 1
        self._room -= 1
        bits = self._filters[-1]
        size = len(bits) << 3
        for place in _places(command_id):
            place %= size
            bits[place >> 3] |= 1 << (place & 7)

    def perhaps(self, *, command_id: str) -> bool:
        """Tell whether the id may have been added; False is certain."""
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
        return [bytes(each) for each in self._filters]


def _places(command_id: str) -> tuple[int, ...]:
    digest = hashlib.blake2b(command_id.encode(), digest_size=_PLACES.size).digest()
    return _PLACES.unpack(digest)


def _ids_of(at: int) -> int:
    return IDS_EACH[min(at, len(IDS_EACH) - 1)]
