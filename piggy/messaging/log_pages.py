"""The event log as it is read: pages of rows, each row already in the form that its hash covers.

PostgreSQL joins rows into one value, so that a reader pays for the bytes and not for a million small columns; the
reader hashes every row anew and looks that each begins with the hash of the one before it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import LiteralString

import msgspec

from piggy.core.events import AnyEvent, Recorded
from piggy.messaging.chain import NUMBERS, SEPARATOR, Row, Tip
from piggy.messaging.upcasting import Decode, UnableToUpcast, event_of

PAGE_ROWS = 2_048
# A value of more than this many rows is memory that PostgreSQL asks of the system, and gives back, for each one: that
# costs it as much as all else it does for a page.
SHEET_ROWS = 64
# Of a row: length, hash, previous hash, then what the chain's header holds, its times as PostgreSQL counts them. The
# texts are made once, for OFFSET 0 keeps their query apart, and the payload, which is most of it, is copied once.
_ROWS: LiteralString = """
SELECT string_agg(int4send(octet_length(prev_hash) + 40 + octet_length(texts) + octet_length(payload)) || hash
                  || prev_hash || int8send(seq) || int2send(position) || int2send(version)
                  || timestamptz_send(occurred_at) || timestamptz_send(recorded_at) || int8send(recorded_mono_ns)
                  || int4send(octet_length(texts)) || texts || payload, ''::bytea ORDER BY seq)
  FROM (SELECT *, convert_to(concat_ws(E'\\x1f', command_id, type, principal, request_hash), 'UTF8') AS texts
          FROM {schema}.event_log WHERE """
# By its bounds and no LIMIT, for which the planner may sort all that is left; beyond a gap as wide as a page goes on
# whoever is next, so that nobody takes the gap for the end. In order from the index already: who only joins in order
# has all of the page sorted first.
_NEXT = _ROWS + "seq = (SELECT min(seq) FROM {schema}.event_log WHERE seq > %(after)s AND seq <= %(until)s) OFFSET 0)"
PAGE: LiteralString = (
    "SELECT coalesce(("
    + _ROWS
    + "seq > %(after)s::bigint AND seq <= least(%(until)s::bigint, %(after)s::bigint + %(rows)s)"
    + f" ORDER BY seq OFFSET 0) AS page), ({_NEXT} AS next))"
)
# The same in sheets, for who reads one after another: a row for each, NULL where there is nothing of it.
SHEETS: LiteralString = (
    f"SELECT coalesce(sheet, CASE first WHEN after THEN ({_NEXT} AS next) END)"
    " FROM (SELECT %(after)s::bigint, least(%(until)s::bigint, %(after)s::bigint + %(rows)s)) AS asked (after, last)"
    f" CROSS JOIN generate_series(after, last - 1, {SHEET_ROWS}) AS first CROSS JOIN LATERAL ("
    + _ROWS
    + f"seq > first AND seq <= least(first + {SHEET_ROWS}, last) ORDER BY seq OFFSET 0) AS page) AS sheets (sheet)"
    + " ORDER BY first"
)

LENGTH = struct.Struct(">I32s")
TEXTS = 4
# The same with what follows it: the hash of the row before, and what the chain's header holds.
_BEGINNING = struct.Struct(f"{LENGTH.format}32s{NUMBERS.format.removeprefix('>')}")
# PostgreSQL counts microseconds from the year 2000.
EPOCH_US = 946_684_800_000_000


class UnableToRead(Exception):
    """The log has a gap, a changed row or an event of a newer form; `seq` is the first bad one."""

    def __init__(self, message: str, *, seq: int) -> None:
        super().__init__(message)
        self.seq = seq


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row whose hash is right, not decoded yet; `texts` are command id, type, principal and request hash."""

    seq: int
    position: int
    version: int
    occurred_at_us: int
    recorded_at_us: int
    recorded_mono_ns: int
    texts: bytes
    payload: bytes
    prev_hash: bytes
    hash: bytes


def entries(*, tenant: str, page: bytes, tip: Tip) -> Iterator[Entry]:
    """Yield the rows of a page that follows `tip`, moving it, every hash checked. Raises UnableToRead."""
    at, sha256, pack, beginning = 0, hashlib.sha256, NUMBERS.pack, _BEGINNING.unpack_from
    while at < len(page):
        try:
            head = beginning(page, at)
        except struct.error as error:
            raise UnableToRead(f"{tenant}: event {tip.seq + 1} is cut short.", seq=tip.seq + 1) from error
        length, digest, prev_hash, seq, position, version, occurred_at_us, recorded_at_us, recorded_mono_ns, size = head
        if seq != tip.seq + 1:
            _complain_of_order(tenant, tip.seq + 1, seq)
        occurred_at_us, recorded_at_us = occurred_at_us + EPOCH_US, recorded_at_us + EPOCH_US
        header = pack(seq, position, version, occurred_at_us, recorded_at_us, recorded_mono_ns, size)
        texts_at, at = at + _BEGINNING.size, at + LENGTH.size + length
        texts, payload = page[texts_at : texts_at + size], page[texts_at + size : at]
        if prev_hash != tip.hash or sha256(b"".join((prev_hash, header, texts, payload))).digest() != digest:
            raise UnableToRead(f"{tenant}: event {seq} is not what was written.", seq=seq)
        tip.seq, tip.hash = seq, digest
        yield Entry(
            seq, position, version, occurred_at_us, recorded_at_us, recorded_mono_ns, texts, payload, prev_hash, digest
        )


def rows(*, tenant: str, page: bytes, tip: Tip, decode: Decode = event_of) -> Iterator[Row]:
    """Yield the rows of a page as `entries` does, each with its event, of whatever version. Raises UnableToRead.

    Whoever only folds them decodes as fold_form.py does.
    """
    for entry in entries(tenant=tenant, page=page, tip=tip):
        event = event_of_entry(tenant=tenant, entry=entry, decode=decode)
        texts = entry.texts.decode().split(SEPARATOR)
        if len(texts) != TEXTS:
            raise UnableToRead(f"{tenant}: event {entry.seq} does not tell who wrote it.", seq=entry.seq)
        command_id, type_name, principal, request_hash = texts
        recorded = Recorded(
            seq=entry.seq,
            command_id=command_id,
            position=entry.position,
            principal=principal,
            request_hash=request_hash,
            occurred_at_us=entry.occurred_at_us,
            recorded_at_us=entry.recorded_at_us,
            recorded_mono_ns=entry.recorded_mono_ns,
            event=event,
        )
        yield Row(recorded, type_name, entry.version, entry.payload, entry.prev_hash, entry.hash)


def event_of_entry(*, tenant: str, entry: Entry, decode: Decode = event_of) -> AnyEvent:
    """Return the event of a row, of whatever version. Raises UnableToRead."""
    try:
        return decode(payload=entry.payload, version=entry.version)
    except UnableToUpcast as error:
        raise UnableToRead(f"{tenant}: event {entry.seq} {error}", seq=entry.seq) from error


def _complain_of_order(tenant: str, wanted: int, found: int) -> None:
    if found < wanted:
        raise UnableToRead(f"{tenant}: event {found} is there twice.", seq=found)
    raise UnableToRead(f"{tenant}: event {wanted} is missing, the log goes on at {found}.", seq=wanted)
