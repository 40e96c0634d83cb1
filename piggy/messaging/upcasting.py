"""Events of older versions, brought to today's form as they are read; the log itself is never rewritten.

A version counts for all types. Whoever changes an event in a way that its old payload cannot be decoded raises
`chain.EVENT_VERSION` and adds a step here; a new field with a default needs neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from piggy.core.events import AnyEvent
from piggy.messaging import codec
from piggy.messaging.chain import EVENT_VERSION

Step = Callable[[dict[str, Any]], dict[str, Any]]

# (event type, version) -> the payload as the next version has it.
STEPS: dict[tuple[str, int], Step] = {}


class UnableToUpcast(Exception):
    """The event is newer than this program, or no longer decodes after every step."""


def event_of(*, payload: bytes, version: int) -> AnyEvent:
    """Return the event of a row. Raises UnableToUpcast."""
    if version > EVENT_VERSION:
        raise UnableToUpcast(f"has version {version}, newer than this program's {EVENT_VERSION}")
    try:
        if version == EVENT_VERSION:
            return codec.decode_event(payload)
        told = msgspec.msgpack.decode(payload)
        for step in range(version, EVENT_VERSION):
            told = STEPS.get((told["type"], step), _unchanged)(told)
        return codec.decode_event(codec.encode(told))
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise UnableToUpcast(f"cannot be decoded: {error}") from error


def _unchanged(told: dict[str, Any]) -> dict[str, Any]:
    return told
