"""Events of older versions, brought to today's form as they are read; the log itself is never rewritten.

A version counts for all types. Whoever changes an event in a way that its old payload cannot be decoded raises
`chain.EVENT_VERSION` and adds a step here; a new field with a default needs neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from piggy.core.events import AnyEvent, Check, VenueConsidered
from piggy.messaging import codec
from piggy.messaging.chain import EVENT_VERSION

Step = Callable[[dict[str, Any]], dict[str, Any]]


class Decode(Protocol):
    """What makes the event of a row's payload. Raises UnableToUpcast."""

    def __call__(self, *, payload: bytes, version: int) -> AnyEvent: ...


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


def _named_to_rows(told: dict[str, Any]) -> dict[str, Any]:
    """Version 1 named the fields of each check and venue, and told a quote's age instead of its time."""
    if verdict := told.get("verdict"):
        names = Check.__struct_fields__
        verdict["checks"] = [[check.get(name, "") for name in names] for check in verdict["checks"]]
    if (routing := told.get("routing")) and "considered" in routing:
        routing["venues"] = codec.encode([_venue(seen) for seen in routing.pop("considered")])
    return told


def _venue(seen: dict[str, Any]) -> list[Any]:
    age_ms = seen.pop("quote_age_ms")
    # Ages are reckoned from the decision's own time, and where none was written that is 0.
    seen["received_at_us"] = None if age_ms is None else -age_ms * 1_000
    return [seen.get(name) for name in VenueConsidered.__struct_fields__]


# (event type, version) -> the payload as the next version has it.
STEPS: dict[tuple[str, int], Step] = {
    ("OrderAccepted", 1): _named_to_rows,
    ("OrderDenied", 1): _named_to_rows,
    ("OrderRerouted", 1): _named_to_rows,
}
