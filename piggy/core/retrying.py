"""Retrying: which venues are asked again for an order that they gave back.

What may not rest ends once it was sent round so often. A limit that may rest stays until its client, its time or a fill
ends it, however often venues refuse it or say that nothing was left: its misses in a row make ever longer pauses, from
two seconds to an hour, at the end of which even those are asked again that refused it. Any fill ends the misses; who
refused it is left alone for the shortest of these pauses all the same: that another venue dealt is nothing to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from piggy.core.orders import TimeInForce
from piggy.core.state import Order

ATTEMPTS_MAX = 8  # So often an order is sent round at once; then it ends, or rests for a while.
PAUSE_US, PAUSE_US_MAX = 1_000_000, 3_600_000_000
DOUBLED_MAX = 12
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


def may_rest(order: Order) -> bool:
    """Return whether what is unfilled may wait: a limit that is neither IOC nor FOK."""
    return order.rests and order.terms.time_in_force not in _AT_ONCE


def passed_over(*, order: Order, venues: Iterable[str], now_us: int) -> dict[str, str]:
    """Return which of `venues` are not asked for the order now, each with why."""
    if may_rest(order):
        if now_us >= order.given_back_at_us + pause_us(misses=max(1, order.misses)):
            return {}
        if order.misses >= ATTEMPTS_MAX:
            return dict.fromkeys(venues, "this order was given back too often: asked again later")
    return dict.fromkeys(order.refused_by, "refused this order")


def pause_us(*, misses: int) -> int:
    """Return how long an order is left alone after so many misses in a row."""
    return min(PAUSE_US << min(misses, DOUBLED_MAX), PAUSE_US_MAX)


def told(*, order: Order) -> str:
    """Return what the client reads of an order that rests because nobody took it."""
    who = "refused by " + ", ".join(sorted(order.refused_by)) if order.refused_by else "venues had nothing left of it"
    seconds = pause_us(misses=order.misses) // 1_000_000
    return f"{who}, {order.misses} times in a row: it rests, and venues are asked again after {seconds} s"


def nothing_left(*, order: Order, too_little: bool) -> str:
    """Return what the client reads of an order that may not rest, and of which nothing more can be dealt.

    `too_little`: venues gave back less than one deals in.
    """
    if too_little:
        return "what is left is less than a venue deals in"
    if order.terms.time_in_force is TimeInForce.FOK:
        return "fill or kill: the whole could not be filled at once"
    if order.rests:
        return "immediate or cancel: nothing left inside the limit"
    return "no liquidity left inside the price protection"
