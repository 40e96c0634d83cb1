"""Events of leaving: orders and hedges that ended long ago leave the state, and come back where they are asked for."""

from __future__ import annotations

import msgspec

from piggy.core.verdicts import Event


class Gone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order or hedge that leaves, and where its own events are in the log (state.TRAIL_BYTES each)."""

    order_id: str
    trail: bytes


class OrdersLetGo(Event, frozen=True, kw_only=True):
    """These left the state. `block` is the block of orders that is through with it, None for what outlived its own."""

    orders: tuple[Gone, ...]
    block: int | None = None


class OrderBroughtBack(Event, frozen=True, kw_only=True):
    """An order or hedge is in the state again, as it left it (leaving.Left, msgpack)."""

    order_id: str
    body: bytes


class NumbersSkipped(Event, frozen=True, kw_only=True):
    """The next order and hedge are numbered after `orders` and `hedges`; what was numbered since the last is not ours.

    The log was put back to `log_seq` though `lost_seq` had been acknowledged; `by` decided to go on, for `reason`.
    """

    orders: int
    hedges: int
    log_seq: int
    lost_seq: int
    by: str
    reason: str


LeavingEvent = OrdersLetGo | OrderBroughtBack | NumbersSkipped
