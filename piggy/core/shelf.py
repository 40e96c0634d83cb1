"""Shelf: a dictionary whose finished entries lie packed in blocks and are unpacked one by one when somebody asks.

What is taken out is an ordinary entry again, as whoever asks may change it. Iterating sees only what is not packed.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

V = TypeVar("V")
BLOCK_ENTRIES = 64
# The fastest level already finds what entries have in common.
LEVEL = 1

_raw: msgspec.msgpack.Decoder[dict[str, msgspec.Raw]] = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])


class Block(msgspec.Struct, frozen=True, array_like=True):
    """A few entries: their keys, and all of them in one compressed msgpack map."""

    keys: list[str]
    data: bytes


class Shelf(dict[str, V]):
    """`decode` turns an entry's msgpack into the entry."""

    __slots__ = ("_blocks", "_decode", "_left", "_packed")

    def __init__(self, *, decode: Callable[[Any], V], open_: Mapping[str, V] | None = None) -> None:
        super().__init__(open_ or {})
        self._decode = decode
        self._blocks: list[bytes] = []
        self._packed: dict[str, int] = {}
        self._left = Counter[int]()

    def put_away(self, *, blocks: Iterable[Block], wanted: Callable[[str], bool] = bool) -> int:
        """Add the `wanted` ones of packed entries and return how many; of two under one key the later counts.

        One that is not packed counts before both.
        """
        added = 0
        for block in blocks:
            keys = [key for key in block.keys if wanted(key)]
            if keys:
                for key in keys:
                    self._unpack_no_more(key)
                self._packed.update(dict.fromkeys(keys, len(self._blocks)))
                self._left[len(self._blocks)] = len(keys)
                self._blocks.append(block.data)
            added += len(keys)
        return added

    def everything(self) -> Iterator[tuple[str, V]]:
        """Yield every entry, packed or not, without taking anything out."""
        yield from dict.items(self)
        for key in self._packed:
            if not dict.__contains__(self, key):
                yield key, self._unpacked(key)

    def __missing__(self, key: str) -> V:
        if key not in self._packed:
            raise KeyError(key)
        self[key] = found = self._unpacked(key)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        """Return the entry or `default`, as a dictionary does."""
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or key in self._packed

    def pop(self, key: str, *default: Any) -> Any:
        """Take an entry out for good; a block goes with the last of its entries."""
        if key not in self and default:
            return default[0]
        found = self[key]
        super().pop(key)
        self._unpack_no_more(key)
        return found

    def _unpack_no_more(self, key: str) -> None:
        at = self._packed.pop(key, None)
        if at is not None:
            self._left[at] -= 1
            if not self._left[at]:
                self._blocks[at] = b""

    def _unpacked(self, key: str) -> V:
        return self._decode(_raw.decode(zlib.decompress(self._blocks[self._packed[key]]))[key])


def packed(*, entries: Mapping[str, bytes]) -> list[Block]:
    """Return encoded entries in blocks, in their order."""
    keys, blocks = list(entries), []
    for at in range(0, len(keys), BLOCK_ENTRIES):
        part = keys[at : at + BLOCK_ENTRIES]
        body = msgspec.msgpack.encode({key: msgspec.Raw(entries[key]) for key in part})
        blocks.append(Block(part, zlib.compress(body, LEVEL)))
    return blocks
