"""The hash chain of the event log: each row's hash covers the row before it, so that no row changes unseen."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import msgspec

from piggy.core.events import Recorded

FIRST_HASH = bytes(32)
EVENT_VERSION = 2
# Between the texts that a hash covers; none of them holds it.
SEPARATOR = "\x1f"

# seq, position, version, occurred and recorded (UTC us), monotonic ns, length of the texts.
NUMBERS = struct.Struct(">qhhqqqI")


@dataclass(slots=True)
class Tip:
    """The last row of a tenant's log."""

    seq: int = 0
    hash: bytes = FIRST_HASH


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the chain, as it is stored."""

    recorded: Recorded
    type: str
    version: int
    payload: bytes
    prev_hash: bytes
    hash: bytes


def event_hash(
    *,
    prev_hash: bytes,
    seq: int,
    command_id: str,
    position: int,
    type_name: str,
    version: int,
    principal: str,
    request_hash: str,
    occurred_at_us: int,
    recorded_at_us: int,
    recorded_mono_ns: int,
    payload: bytes,
) -> bytes:
    """Return SHA-256 over the previous hash, the row's columns in one fixed form, and its payload (32 bytes)."""
    texts = f"{command_id}{SEPARATOR}{type_name}{SEPARATOR}{principal}{SEPARATOR}{request_hash}".encode()
    length = len(texts)
    numbers = NUMBERS.pack(seq, position, version, occurred_at_us, recorded_at_us, recorded_mono_ns, length)
    return hashlib.sha256(b"".join((prev_hash, numbers, texts, payload))).digest()
