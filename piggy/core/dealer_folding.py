"""Folding what dealers do with the orders that wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from piggy.core import events as ev
from piggy.core.events import Recorded
from piggy.core.orders import OrderState
from piggy.core.state import Held, State


def _held(state: State, event: ev.OrderHeld, recorded: Recorded) -> None:
    order = state.orders[event.order_id]
    # Nobody may cross with what a dealer has not let go of.
    state.resting[order.terms.symbol].remove(order_id=order.order_id)
    order.state = OrderState.WITH_DEALER
    state.held[order.order_id] = Held(
        order_id=order.order_id,
        price=event.price,
        held_at_us=recorded.recorded_at_us,
        expires_at_us=event.expires_at_us,
        passes_on=event.passes_on,
    )


def _claimed(state: State, event: ev.OrderClaimed, recorded: Recorded) -> None:
    held = state.held[event.order_id]
    held.claimed_by, held.claimed_until_us = event.by, event.until_us


def _requoted(state: State, event: ev.OrderRequoted, recorded: Recorded) -> None:
    held = state.held[event.order_id]
    held.requotes += 1
    held.requote = event.price
    # While the client thinks, the dealer's time stands still: the offer's end is the wait's end.
    held.expires_at_us = event.valid_until_us


def _decided(state: State, event: ev.DealerDecided, recorded: Recorded) -> None:
    del state.held[event.order_id]
    order = state.orders[event.order_id]
    order.state, order.seq = OrderState.WORKING, recorded.seq
    order.text = event.reason
    if order.rests:
        state.resting[order.terms.symbol].add(order_id=order.order_id, terms=order.terms, seq=order.seq)


DEALER_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    ev.OrderHeld: _held,
    ev.OrderClaimed: _claimed,
    ev.OrderRequoted: _requoted,
    ev.DealerDecided: _decided,
}
