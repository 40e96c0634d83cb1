"""Ids that were seen and are no longer kept: a Bloom filter that grows. It never denies one that it was told.

It takes an unknown id for a known one about once in two thousand, so whoever hears "perhaps" looks in the log.
"""

from __future__ import annotations

import hashlib
import struct

IDS_EACH = 1 << 18
BITS_EACH = IDS_EACH * 24
# Four places of an id in each filter, out of its hash.
_PLACES = struct.Struct(">4I")


class Forgotten:
    """A list of filters, each for IDS_EACH ids; the last one takes what comes."""

    def __init__(self, *, filters: list[bytes] | None = None, count: int = 0) -> None:
        self._filters = [bytearray(each) for each in filters or []]
        self.count = count

    def add(self, *, command_id: str) -> None:
        """Remember an id."""
        if self.count % IDS_EACH == 0:
            self._filters.append(bytearray(BITS_EACH // 8))
        self.count += 1
        bits = self._filters[-1]
        for place in _places(command_id):
            bits[place >> 3] |= 1 << (place & 7)

    def perhaps(self, *, command_id: str) -> bool:
        """Tell whether the id may have been added; False is certain."""
        if not self._filters:
            return False
        places = _places(command_id)
        return any(all(bits[place >> 3] >> (place & 7) & 1 for place in places) for bits in self._filters)

    def dump(self) -> list[bytes]:
        """Return the filters, from which and `count` it can be made again."""
        return [bytes(each) for each in self._filters]


def _places(command_id: str) -> tuple[int, ...]:
    digest = hashlib.blake2b(command_id.encode(), digest_size=_PLACES.size).digest()
    return tuple(number % BITS_EACH for number in _PLACES.unpack(digest))
