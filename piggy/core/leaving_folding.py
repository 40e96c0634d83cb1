"""Folding leaving: what ended and has gone takes its legs and the ids of its fills along, and brings them back.

Each order and hedge keeps where its own events are in the log, so that whoever needs it later can make it again.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from piggy.core import events as ev
from piggy.core.events import Recorded
from piggy.core.leaving_events import NumbersSkipped, OrderBroughtBack, OrdersLetGo
from piggy.core.resting import RestingOrders
from piggy.core.state import TRAIL_BYTES, Child, Exposure, Hedge, Order, State

BLOCK_ORDERS = 16
# What goes and comes more often than this stays: each time has a name of its own in the log.
TIMES_MAX = 8


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """All that a state knew of an order or hedge: its legs by id, and which of its fills a person took back."""

    order: Order | None
    hedge: Hedge | None
    children: dict[str, Child]
    busted: list[str]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Left)


def follow(*, state: State, recorded: Recorded) -> None:
    """Note that an event belongs to an order or hedge; whoever may leave waits from its last event on."""
    name = ID_OF[type(recorded.event)](recorded.event)
    mine = state.orders.get(name) or state.hedges[name]
    mine.trail += recorded.seq.to_bytes(TRAIL_BYTES, "big")
    mine.touched_at_us = recorded.recorded_at_us
    if name in state.stragglers:
        _line_up(state, name, mine)


def has_ended(*, state: State, parent: Order | Hedge) -> bool:
    """Return whether an order or hedge is final and no leg of it lives."""
    return parent.state.final and not any(leg in state.open_children for leg in parent.legs)


def order_ids_of(*, block: int) -> list[str]:
    """Return the ids of the orders of a block; orders are numbered from 1."""
    first = block * BLOCK_ORDERS + 1
    return [_order_id(number) for number in range(first, first + BLOCK_ORDERS)]


def last_order_id_of(*, block: int) -> str:
    """Return the id of the last order of a block, for who asks of every broker many times a second."""
    return _order_id((block + 1) * BLOCK_ORDERS)


def _order_id(number: int) -> str:
    return f"O{number:09d}"


def left_by(*, state: State, order_id: str) -> bytes:
    """Return all that `state` knows of an order or hedge, as OrderBroughtBack carries it."""
    order, hedge = state.orders.get(order_id), state.hedges.get(order_id)
    mine = order or hedge
    assert mine is not None, order_id
    busted = sorted(name for name in state.busted if name.startswith(f"{order_id}-"))
    children = {leg: state.children[leg] for leg in mine.legs}
    return _encode(Left(order=order, hedge=hedge, children=children, busted=busted))


def left_of(*, body: bytes) -> Left:
    """Return what `left_by` told."""
    return _decoder.decode(body)


def nothing_happened(*, state: State) -> State:
    """Return a state that knows the names of things and nothing that happened."""
    return State(
        tenant=state.tenant,
        instruments=state.instruments,
        accounts=state.accounts,
        groups=state.groups,
        venues=state.venues,
        exposure={symbol: Exposure() for symbol in state.instruments},
        resting={symbol: RestingOrders() for symbol in state.instruments},
    )


def _line_up(state: State, name: str, mine: Order | Hedge) -> None:
    state.ended_late.pop(name, None)
    if mine.times_gone < TIMES_MAX and has_ended(state=state, parent=mine):
        state.ended_late[name] = mine.touched_at_us


def _let_go(state: State, event: OrdersLetGo, recorded: Recorded) -> None:
    for gone in event.orders:
        _forget(state, gone.order_id)
    if event.block is None:
        return
    state.blocks_gone = event.block + 1
    _leave_behind(state, event.block)


def _leave_behind(state: State, block: int) -> None:
    """Let those of a block that are still there leave one by one."""
    for order_id in order_ids_of(block=block):
        order = state.orders.get(order_id)
        if order is not None:
            state.stragglers.add(order_id)
            _line_up(state, order_id, order)


def _forget(state: State, name: str) -> None:
    mine = state.orders.pop(name, None) or state.hedges.pop(name)
    for leg in mine.legs:
        child = state.children.pop(leg)
        for fill_id in (*child.dealt, *child.reports):
            state.venue_fills.discard((child.created.venue, fill_id))
    if state.busted:
        state.busted -= {fill_id for fill_id in state.busted if fill_id.startswith(f"{name}-")}
    state.stragglers.discard(name)
    state.ended_late.pop(name, None)


def _brought_back(state: State, event: OrderBroughtBack, recorded: Recorded) -> None:
    left = left_of(body=event.body)
    if left.order is not None:
        state.orders[event.order_id] = left.order
        left.order.times_gone += 1
    else:
        assert left.hedge is not None, "one of the two left"
        state.hedges[event.order_id] = left.hedge
        left.hedge.times_gone += 1
    for name, child in left.children.items():
        state.children[name] = child
        state.venue_fills.update((child.created.venue, fill_id) for fill_id in (*child.dealt, *child.reports))
    state.busted.update(left.busted)
    state.stragglers.add(event.order_id)


def _numbers_skipped(state: State, event: NumbersSkipped, recorded: Recorded) -> None:
    """What is there leaves one by one from now on: the blocks that it was to leave with are never full."""
    for block in range(state.blocks_gone, state.order_count // BLOCK_ORDERS + 1):
        _leave_behind(state, block)
    state.skipped += [("O", state.order_count, event.orders), ("H", state.hedge_count, event.hedges)]
    state.order_count, state.hedge_count = event.orders, event.hedges
    state.blocks_gone = event.orders // BLOCK_ORDERS


LEAVING_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    OrdersLetGo: _let_go,
    OrderBroughtBack: _brought_back,
    NumbersSkipped: _numbers_skipped,
}
# How the order or hedge is called that an event belongs to.
ID_OF: dict[type, Callable[[Any], str]] = {
    kind: attrgetter("order_id" if "order_id" in kind.__struct_fields__ else "hedge_id")
    for kind in ev.AnyEvent.__args__
    if {"order_id", "hedge_id"} & set(kind.__struct_fields__)
}
