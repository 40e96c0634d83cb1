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


LeavingEvent = OrdersLetGo | OrderBroughtBack
