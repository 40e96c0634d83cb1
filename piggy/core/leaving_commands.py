"""Commands by which what ended leaves a desk's state, and comes back; the engine asks them, nobody else."""

from __future__ import annotations

from piggy.core.command import Command


class LetOrdersGo(Command, frozen=True, kw_only=True):
    """Let the next block of orders go, as far as they ended and were not touched since `before_us`."""

    block: int
    before_us: int


class LetOrderGo(Command, frozen=True, kw_only=True):
    """Let one order go that outlived its block, or a hedge, for the `times`-th time (0: the first)."""

    order_id: str
    times: int


class BringOrderBack(Command, frozen=True, kw_only=True):
    """Take an order or hedge that left, as its own events in the log make it (leaving.Left, msgpack)."""

    order_id: str
    body: bytes


LeavingCommand = LetOrdersGo | LetOrderGo | BringOrderBack
