"""Leaving: what ended long ago leaves the state, and comes back when somebody asks for it.

Orders go in blocks, in the order of their numbers; what still lives when its block goes, and every hedge, goes by
itself once it has ended. Nothing that leaves can change by itself: it is final and no leg of it lives. What only its
own record can answer - a late fill, a bust, a correction - makes the engine read its events in the log and bring it
back first, so that the state is as if it had never left. All else that is said of it would have changed nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.bust_commands import BustFills, CorrectFill
from piggy.core.commands import AnyCommand
from piggy.core.events import Recorded
from piggy.core.folding import fold
from piggy.core.leaving_events import Gone, NumbersSkipped, OrderBroughtBack, OrdersLetGo
from piggy.core.leaving_folding import (
    BLOCK_ORDERS,
    has_ended,
    last_order_id_of,
    left_by,
    nothing_happened,
    order_ids_of,
)
from piggy.core.moment import Moment
from piggy.core.state import TRAIL_BYTES, Hedge, Order, State

Events = list[ev.AnyEvent]
HOUR_US = 3_600 * 1_000_000
DIGITS_MAX = 18


class Keeping(NamedTuple):
    """How long what ended is kept, and how many orders at most: beyond that the oldest go as soon as they ended.

    An hour is longer than venues and workers tell a thing again; the number bounds what a busy hour may hold.
    `round_max` go at a time, so that nobody waits for them.
    """

    ended_us: int = HOUR_US
    orders_max: int = 20_000
    round_max: int = 16


KEEPING = Keeping()


def due(*, state: State, now_us: int, keeping: Keeping) -> tuple[AnyCommand, ...]:
    """Return what lets go of what has ended for long enough: usually nothing, and cheaply."""
    before_us = now_us - keeping.ended_us
    return (*_blocks_due(state, now_us, before_us, keeping), *_late_due(state, before_us, keeping))


def let_orders_go(*, command: cmd.LetOrdersGo, moment: Moment) -> Events:
    """Let a block go, in turn."""
    state = moment.state
    if command.block != state.blocks_gone or state.order_count < (command.block + 1) * BLOCK_ORDERS:
        return []
    orders = (state.orders[order_id] for order_id in order_ids_of(block=command.block))
    going = (order for order in orders if order.touched_at_us <= command.before_us)
    return [OrdersLetGo(orders=tuple(_gone(state, going)), block=command.block)]


def let_order_go(*, command: cmd.LetOrderGo, moment: Moment) -> Events:
    """Let one go that outlived its block, or a hedge."""
    state = moment.state
    mine = _in_state(state, command.order_id)
    if mine is None or command.order_id not in state.ended_late or mine.times_gone != command.times:
        return []
    return [OrdersLetGo(orders=tuple(_gone(state, [mine])))]


def bring_order_back(*, command: cmd.BringOrderBack, moment: Moment) -> Events:
    """Take back what left; what is here, or never was, stays as it is."""
    if not has_left(state=moment.state, order_id=command.order_id):
        return []
    return [OrderBroughtBack(order_id=command.order_id, body=command.body)]


def skip_numbers(*, command: cmd.SkipNumbers, moment: Moment) -> Events:
    """Begin to number orders anew, at the next block after all that may have been numbered.

    What became of a leg that no venue had answered is in the lost part: it is in doubt, and never sent again.
    """
    state = moment.state
    lost = [leg for leg in state.open_children.values() if not (leg.acknowledged or leg.in_doubt)]
    blocks = -(-max(command.orders, state.order_count) // BLOCK_ORDERS)
    return [
        NumbersSkipped(
            orders=blocks * BLOCK_ORDERS,
            hedges=max(command.hedges, state.hedge_count),
            log_seq=command.log_seq,
            lost_seq=command.lost_seq,
            by=command.by,
            reason=command.reason,
        ),
        *(
            ev.ChildOrderInDoubt(
                order_id=leg.created.order_id,
                cl_ord_id=leg.created.cl_ord_id,
                venue=leg.created.venue,
                text="the end of the log is lost",
                occurred_at_us=moment.now_us,
            )
            for leg in lost
        ),
    ]


def has_left(*, state: State, order_id: str) -> bool:
    """Return whether there was such an order or hedge and it is not in the state any more.

    Of those whose numbers were skipped nothing is known: whoever names one names what never was.
    """
    last = {"O": state.order_count, "H": state.hedge_count}.get(order_id[:1], 0)
    digits = order_id[1:]
    if not (digits.isdecimal() and len(digits) <= DIGITS_MAX):
        return False
    number = int(digits)
    if any(after < number <= until for kind, after, until in state.skipped if kind == order_id[0]):
        return False
    return digits == f"{number:09d}" and 1 <= number <= last and _in_state(state, order_id) is None


def parent_id(*, cl_ord_id: str) -> str:
    """Return whose leg it is by its name."""
    return cl_ord_id.partition("-")[0]


def missed(*, state: State, command: AnyCommand) -> tuple[str, ...]:
    """Return the orders and hedges that left and that `command` cannot be decided without."""
    named = _NAMED.get(type(command))
    if named is None:
        return ()
    return tuple(sorted({name for name in named(command) if has_left(state=state, order_id=name)}))


def left_as(*, recorded: Iterable[Recorded], order_id: str, state: State) -> bytes:
    """Return an order or hedge that left as its own events make it, for OrderBroughtBack."""
    alone = nothing_happened(state=state)
    for each in recorded:
        fold(state=alone, recorded=each)
    return left_by(state=alone, order_id=order_id)


def seqs_of(*, trail: bytes) -> list[int]:
    """Return where the events are that a trail names."""
    return [int.from_bytes(trail[at : at + TRAIL_BYTES], "big") for at in range(0, len(trail), TRAIL_BYTES)]


def _blocks_due(state: State, now_us: int, before_us: int, keeping: Keeping) -> Iterator[AnyCommand]:
    for block in range(state.blocks_gone, state.blocks_gone + keeping.round_max):
        behind = state.order_count - (block + 1) * BLOCK_ORDERS
        if behind < 0:
            return
        too_many = behind > keeping.orders_max
        last = state.orders[last_order_id_of(block=block)]
        if not too_many and last.accepted_at_us > before_us:
            return
        yield cmd.LetOrdersGo(block=block, before_us=now_us if too_many else before_us)


def _late_due(state: State, before_us: int, keeping: Keeping) -> Iterator[AnyCommand]:
    needed = set(state.last_hedges.values())
    for name, touched_at_us in islice(state.ended_late.items(), keeping.round_max + len(needed)):
        mine = _in_state(state, name)
        if touched_at_us > before_us and len(state.ended_late) <= keeping.orders_max:
            return
        if mine is not None and name not in needed:
            yield cmd.LetOrderGo(order_id=name, times=mine.times_gone)


def _in_state(state: State, order_id: str) -> Order | Hedge | None:
    return state.orders.get(order_id) or state.hedges.get(order_id)


def _gone(state: State, going: Iterable[Order | Hedge]) -> Iterator[Gone]:
    for each in going:
        if has_ended(state=state, parent=each):
            name = each.order_id if isinstance(each, Order) else each.hedge_id
            yield Gone(name, each.trail)


def _of_leg(command: Any) -> tuple[str, ...]:
    return (parent_id(cl_ord_id=command.cl_ord_id),)


_NAMED: dict[type, Any] = {
    cmd.RecordVenueFill: _of_leg,
    cmd.RecordVenueBust: _of_leg,
    cmd.RecordVenueCorrection: _of_leg,
    cmd.GrantOverride: lambda command: (command.order_id,),
    BustFills: lambda command: [fill.order_id for fill in command.fills],
    CorrectFill: lambda command: (command.fill.order_id,),
}
