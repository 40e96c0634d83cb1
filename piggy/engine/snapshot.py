"""Snapshots: a desk as bytes, so that recovery folds only the log's tail.

What ended (final orders, closed legs) and what only grows (references booked, filters of ids) goes into segments that
are written once; the rest, the live part, is written anew each time and names the segments that it stands on. Of a
segment counts what has not left the state since; one of which nothing counts any more is not named again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from piggy.core.answers import Memory
from piggy.core.desk import Desk
from piggy.core.leaving import parent_id
from piggy.core.leaving_folding import order_ids_of
from piggy.core.orders import Side
from piggy.core.resting import Key, RestingOrders
from piggy.core.shelf import LEVEL, Block, Shelf, packed
from piggy.core.state import Child, Order, State
from piggy.core.stop_folding import file_all
from piggy.core.waiting_stops import WaitingStops

# The latest final orders stay at hand, for the panel that shows them.
FINAL_KEPT = 500
ANSWERS_KEPT = 10_000
SEGMENT_ENTRIES = 20_000
# Fields of a state that a snapshot does not take as they are.
APART = ("orders", "children", "open_children", "references")


class UnableToRestore(Exception):
    """The bytes are not what a snapshot of this version looks like."""


class SegmentName(NamedTuple):
    """Where a segment is, and the SHA-256 of its bytes."""

    seq: int
    part: int
    digest: bytes


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """What ended or was added between two snapshots, or a part of it."""

    orders: list[Block] = []
    children: list[Block] = []
    references: list[str] = []
    filters: list[bytes] = []


class Live(msgspec.Struct, frozen=True, array_like=True):
    """What may still change; `fields` are those of the state, by name."""

    fields: dict[str, msgspec.Raw]
    orders: dict[str, Order]
    children: dict[str, Child]
    memory: Memory
    segments: list[SegmentName]


class Bounds(NamedTuple):
    """How many final orders and answers stay in the live part, and how many entries one segment takes."""

    final: int
    answers: int
    entries: int


class Parts(NamedTuple):
    """A snapshot ready to be written: new segments, in order from part 1, and the live part.

    The live part is compressed to an eighth: written as it is, it fills the log of writes with more at once than the
    engine's commits, which wait for the same disk, do in seconds. What is most of a segment is already.
    """

    segments: list[bytes]
    live: bytes


class Held(msgspec.Struct, kw_only=True):
    """What earlier segments hold, so that the next snapshot does not write it again.

    `earlier` are all that the snapshot before named, `filters` how many full ones lie in them.
    """

    segments: list[SegmentName] = []
    earlier: list[SegmentName] = []
    filters: int = 0
    references: frozenset[str] = frozenset()


def parts_of(*, desk: Desk, held: Held, seq: int, bounds: Bounds | None = None) -> Parts:
    """Return the desk as it is after event `seq`; it is left as it was. `bounds` are those above unless others are
    asked for."""
    bounds = bounds or Bounds(FINAL_KEPT, ANSWERS_KEPT, SEGMENT_ENTRIES)
    state = desk.state
    ended = [order.order_id for order in dict.values(state.orders) if order.state.final]
    away = {order_id: state.orders[order_id] for order_id in ended[: -bounds.final]}
    closed = {name: child for name, child in dict.items(state.children) if name not in state.open_children}
    memory = desk.memory(answers_max=bounds.answers)
    made = _segments(
        orders=away,
        children=closed,
        references=state.references - held.references,
        filters=memory.filters[held.filters : -1],
        entries_max=bounds.entries,
    )
    segments = [_encode(segment) for segment in made]
    names = [SegmentName(seq, at, hashlib.sha256(body).digest()) for at, body in enumerate(segments, start=1)]
    live = Live(
        fields={name: msgspec.Raw(_encode(getattr(state, name))) for name in _decoders()},
        orders={name: order for name, order in dict.items(state.orders) if name not in away},
        children=dict(state.open_children),
        memory=msgspec.structs.replace(memory, filters=memory.filters[-1:]),
        segments=[*held.segments, *names],
    )
    return Parts(segments, zlib.compress(_encode(live), LEVEL))


def live_of(*, body: bytes) -> Live:
    """Return a live part. Raises UnableToRestore."""
    try:
        return _live().decode(zlib.decompress(body))
    except (zlib.error, msgspec.DecodeError) as error:
        raise UnableToRestore(f"The live part cannot be read: {error}") from error


def restored(*, live: Live, segments: Iterable[bytes]) -> tuple[Desk, Held]:
    """Return the desk of a live part and its segments, in the order it names them. Raises UnableToRestore."""
    orders = Shelf(decode=_order().decode, open_=live.orders)
    children = Shelf(decode=_child().decode, open_=live.children)
    references, filters, named = set[str](), list[bytes](), []
    try:
        fields = {name: decoder.decode(live.fields[name]) for name, decoder in _decoders().items()}
        is_here = _those_here(fields)
        for name, body in zip(live.segments, segments, strict=True):
            segment = _segment().decode(body)
            kept = orders.put_away(blocks=segment.orders, wanted=is_here)
            kept += children.put_away(blocks=segment.children, wanted=is_here)
            references.update(segment.references)
            filters += segment.filters
            if kept or segment.references or segment.filters:
                named.append(name)
    except (msgspec.DecodeError, KeyError) as error:
        raise UnableToRestore(f"The snapshot cannot be read: {error}") from error
    held = Held(segments=named, earlier=live.segments, filters=len(filters), references=frozenset(references))
    state = State(**fields, orders=orders, children=children, open_children=dict(live.children), references=references)
    file_all(state=state)
    memory = msgspec.structs.replace(live.memory, filters=[*filters, *live.memory.filters])
    return Desk.resumed(state=state, memory=memory), held


def digest(*, state: State) -> str:
    """Return SHA-256 (hex) over all that the fold holds, the same however the state came to be."""
    told = hashlib.sha256()
    for field in dataclasses.fields(State):
        value = getattr(state, field.name)
        if isinstance(value, Shelf):
            value = dict(value.everything())
        told.update(field.name.encode() + b"\0" + _encode(_sorted(value)))
    return told.hexdigest()


def _those_here(fields: Mapping[str, Any]) -> Callable[[str], bool]:
    """Return what tells of the name of an order, a hedge or a leg of either whether it has not left the state."""
    stragglers, first = fields["stragglers"], order_ids_of(block=fields["blocks_gone"])[0]

    def is_here(name: str) -> bool:
        parent = parent_id(cl_ord_id=name)
        return parent in stragglers or (parent[0] == first[0] and (len(parent), parent) >= (len(first), first))

    return is_here


def _segments(
    *,
    orders: Mapping[str, Order],
    children: Mapping[str, Child],
    references: Iterable[str],
    filters: Iterable[bytes],
    entries_max: int,
) -> Iterable[Segment]:
    for part in _slices(orders, entries_max):
        yield Segment(orders=packed(entries={name: _encode(orders[name]) for name in part}))
    for part in _slices(children, entries_max):
        yield Segment(children=packed(entries={name: _encode(children[name]) for name in part}))
    for names in _slices(sorted(references), entries_max):
        yield Segment(references=names)
    for each in filters:
        yield Segment(filters=[each])


def _slices(items: Iterable[Any], most: int) -> Iterable[list[Any]]:
    waiting = iter(items)
    while part := list(islice(waiting, most)):
        yield part


def _sorted(value: Any) -> Any:
    """Return collections without an order of their own in a fixed one."""
    if isinstance(value, dict):
        return sorted(([key, _sorted(each)] for key, each in value.items()), key=lambda pair: _encode(pair[0]))
    if isinstance(value, set | frozenset):
        return sorted(value, key=_encode)
    if dataclasses.is_dataclass(value):
        return [_sorted(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, RestingOrders):
        return _sorted(value.places())
    if isinstance(value, WaitingStops):
        return sorted(value)
    return value


def _to_plain(value: object) -> object:
    if isinstance(value, deque):
        return [value.maxlen, list(value)]
    if isinstance(value, RestingOrders):
        return value.places()
    if isinstance(value, WaitingStops):
        return list(value)
    raise NotImplementedError(type(value))


def _from_plain(wanted: Any, value: Any) -> object:
    if typing.get_origin(wanted) is deque:
        length, items = value
        (inner,) = typing.get_args(wanted)
        return deque((msgspec.convert(each, inner, dec_hook=_from_plain) for each in items), maxlen=length)
    if wanted is RestingOrders:
        return RestingOrders.of_places(msgspec.convert(value, dict[str, tuple[Side, Key]]))
    if wanted is WaitingStops:
        return WaitingStops.of_ids(msgspec.convert(value, list[str]))
    raise NotImplementedError(wanted)


_encode = msgspec.msgpack.Encoder(enc_hook=_to_plain).encode


@cache
def _decoders() -> dict[str, msgspec.msgpack.Decoder[Any]]:
    """Return how each field of a state is read, by what the class says of it."""
    hints = typing.get_type_hints(State)
    return {
        name: msgspec.msgpack.Decoder(hint, dec_hook=_from_plain) for name, hint in hints.items() if name not in APART
    }


@cache
def _order() -> msgspec.msgpack.Decoder[Order]:
    return msgspec.msgpack.Decoder(Order)


@cache
def _child() -> msgspec.msgpack.Decoder[Child]:
    return msgspec.msgpack.Decoder(Child)


@cache
def _segment() -> msgspec.msgpack.Decoder[Segment]:
    return msgspec.msgpack.Decoder(Segment)


@cache
def _live() -> msgspec.msgpack.Decoder[Live]:
    return msgspec.msgpack.Decoder(Live)
