"""Commands by which what ended leaves a desk's state, and comes back; the engine asks them, nobody else.

What left for good, with the end of a log that was lost, leaves its numbers behind: no other order may have them.
"""

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


class SkipNumbers(Command, frozen=True, kw_only=True):
    """Number no order and no hedge up to these: they may be of what was lost with the log's end, to `lost_seq`.

    `by` decided to go on after `log_seq`, and `reason` says why.
    """

    orders: int
    hedges: int
    log_seq: int
    lost_seq: int
    by: str
    reason: str


LeavingCommand = LetOrdersGo | LetOrderGo | BringOrderBack | SkipNumbers
