"""PostgreSQL arrays in the binary protocol, packed whole: several times cheaper than adapting element by element."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from types import NoneType
from typing import Any, cast

from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

# Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
EPOCH_2000_US = 946_684_800_000_000

_HEADER = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")
_NULL = _LENGTH.pack(-1)


class BinaryArray:
    """An array parameter, already encoded; the subclass says of which type."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class SmallIntArray(BinaryArray):
    """smallint[]"""


class IntArray(BinaryArray):
    """integer[]"""


class BigIntArray(BinaryArray):
    """bigint[]"""


class TextArray(BinaryArray):
    """text[]"""


class UuidArray(BinaryArray):
    """uuid[]"""


class ByteaArray(BinaryArray):
    """bytea[]"""


class TimestampArray(BinaryArray):
    """timestamptz[]"""


def smallints(values: Sequence[int]) -> SmallIntArray:
    """Return smallint[]."""
    return SmallIntArray(_fixed(21, "ih", 2, values))


def ints(values: Sequence[int]) -> IntArray:
    """Return integer[]."""
    return IntArray(_fixed(23, "ii", 4, values))


def bigints(values: Sequence[int]) -> BigIntArray:
    """Return bigint[]."""
    return BigIntArray(_fixed(20, "iq", 8, values))


def timestamps(values_us: Sequence[int]) -> TimestampArray:
    """Return timestamptz[] of UTC microseconds since 1970."""
    return TimestampArray(_fixed(1184, "iq", 8, [value - EPOCH_2000_US for value in values_us]))


def texts(values: Sequence[str]) -> TextArray:
    """Return text[]."""
    return TextArray(_sized(25, list(map(str.encode, values))))


def texts_or_nulls(values: Sequence[object | None]) -> TextArray:
    """Return text[] of what each value reads as, NULL for None."""
    # Not by `None in values`: a Decimal asks whether the other is a number, which takes it as long as being written.
    kinds = set(map(type, values))
    if NoneType not in kinds:
        return texts(list(map(str, values)) if kinds != {str} else cast("Sequence[str]", values))
    if len(kinds) == 1:
        return TextArray(_header(25, len(values), has_nulls=1) + _NULL * len(values))
    parts = []
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            data = str(value).encode()
            parts += (_LENGTH.pack(len(data)), data)
    return TextArray(_header(25, len(values), has_nulls=1) + b"".join(parts))


def uuids(values: Sequence[str]) -> UuidArray:
    """Return uuid[] of UUID texts."""
    digits = "".join(values).replace("-", "")
    assert len(digits) == 32 * len(values), "not all values are UUIDs"
    data = bytes.fromhex(digits)
    return UuidArray(_equal(2950, 16, [data[at : at + 16] for at in range(0, len(data), 16)]))


def byteas(values: Sequence[bytes]) -> ByteaArray:
    """Return bytea[]."""
    return ByteaArray(_sized(17, values))


def hashes(values: Sequence[bytes]) -> ByteaArray:
    """Return bytea[] of values that are all 32 bytes long."""
    return ByteaArray(_equal(17, 32, values))


def register(*, adapters: AdaptersMap) -> None:
    """Teach a connection, or one cursor, to send these arrays."""
    for kind, dumper in _DUMPERS.items():
        adapters.register_dumper(kind, dumper)


def _dumper(type_oid: int) -> type[Dumper]:
    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = type_oid

        def dump(self, obj: Any) -> bytes:
            return bytes(obj.data)

    return ArrayDumper


_DUMPERS = {
    kind: _dumper(type_oid)
    for kind, type_oid in (
        (SmallIntArray, 1005),
        (IntArray, 1007),
        (BigIntArray, 1016),
        (TextArray, 1009),
        (UuidArray, 2951),
        (ByteaArray, 1001),
        (TimestampArray, 1185),
    )
}


def _fixed(element_oid: int, layout: str, width: int, values: Sequence[int]) -> bytes:
    flat = [width] * (2 * len(values))
    flat[1::2] = values
    return _header(element_oid, len(values)) + struct.pack(">" + layout * len(values), *flat)


def _sized(element_oid: int, values: Sequence[bytes]) -> bytes:
    parts = [b""] * (2 * len(values))
    parts[::2] = map(_LENGTH.pack, map(len, values))
    parts[1::2] = values
    return _header(element_oid, len(values)) + b"".join(parts)


def _equal(element_oid: int, width: int, values: Sequence[bytes]) -> bytes:
    """As `_sized`, where every value has the same width: the length is a separator."""
    length = _LENGTH.pack(width)
    body = length + length.join(values) if values else b""
    assert len(body) == (4 + width) * len(values), f"not all values are {width} bytes long"
    return _header(element_oid, len(values)) + body


def _header(element_oid: int, length: int, *, has_nulls: int = 0) -> bytes:
    return _HEADER.pack(1, has_nulls, element_oid, length, 1)
