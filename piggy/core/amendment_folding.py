"""Folding what becomes of an order by a change of it, and what orders and changes count for as messages."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from piggy.core import events as ev
from piggy.core.events import Check, Recorded
from piggy.core.limits import UNSET_LIMITS
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, TimeInForce
from piggy.core.position_events import PositionsClosed
from piggy.core.position_folding import bind, closable, work
from piggy.core.state import Order, State, activity_of
from piggy.core.stop_folding import file_stop

K = TypeVar("K")
ENDING = (TimeInForce.GTD, TimeInForce.DAY)
# Kill switch, closed session, no live price, no review signed: it says nothing of the client that is refused. Nor does
# the storm's own answer, which would never end it.
_REFUSED_TO_ALL = frozenset({"P-01", "P-05", "P-11", "P-16", "P-30"})


def count_reject(*, state: State, account_id: str, reasons: tuple[Check, ...], recorded: Recorded) -> None:
    """Count a refusal towards the account's storm (P-16) unless nobody's order would have been taken just then."""
    if not any(check.code in _REFUSED_TO_ALL for check in reasons):
        state.activity[account_id].reject(at_us=recorded.recorded_at_us)


def count_message(*, state: State, terms: OrderTerms, recorded: Recorded, notional: Decimal = ZERO) -> None:
    """Count an order or a change of one as a message (P-14), and by its value (P-12)."""
    activity = state.activity.get(terms.account_id) or activity_of(state=state, account_id=terms.account_id)
    held, window_us = ZERO, 0
    if notional:
        held = closable(state=state, terms=terms)
        limits = state.effective_limits.get(state.accounts[terms.account_id].group, UNSET_LIMITS)
        window_us = 1_000 * (limits.duplicate_window_ms or 0)
    activity.message(
        at_us=recorded.recorded_at_us, terms=terms, notional=notional, seq=recorded.seq, held=held, window_us=window_us
    )
    state.messages.message(at_us=recorded.recorded_at_us, who=terms.account_id)


def _denied(state: State, event: ev.AmendmentDenied, recorded: Recorded) -> None:
    """A change that is refused is a message all the same (P-14), and one for the storm of rejects (P-16)."""
    count_message(state=state, terms=event.terms, recorded=recorded)
    if event.verdict.reasons:
        count_reject(state=state, account_id=event.account_id, reasons=event.verdict.reasons, recorded=recorded)


def _positions_closed(state: State, event: PositionsClosed, recorded: Recorded) -> None:
    """Count the request as the one message that it is, and as refused where nothing of it could be done."""
    activity_of(state=state, account_id=event.account_id).came(at_us=recorded.recorded_at_us)
    state.messages.message(at_us=recorded.recorded_at_us, who=event.account_id)
    if event.reasons:
        count_reject(state=state, account_id=event.account_id, reasons=event.reasons, recorded=recorded)
    elif event.is_begun:
        state.activity[event.account_id].accept()


def part(*, groups: dict[K, set[str]], group: K, order_id: str) -> None:
    """Take an order out of those it belongs to; the last one takes the group along."""
    others = groups.get(group, set())
    others.discard(order_id)
    if not others:
        groups.pop(group, None)


def _amended(state: State, event: ev.OrderAmended, recorded: Recorded) -> None:
    order = state.orders[event.order_id]
    before = order.leaves
    state.overrides.pop(order.order_id, None)
    book = state.resting[order.terms.symbol]
    # One whose venues were asked to end it has left the book, and does not come back by being made smaller.
    stood = order.order_id in book
    if stood:
        book.remove(order_id=order.order_id)
    if event.terms is not None:
        _other_terms(state, order, event, event.terms, recorded)
    else:
        order.terms = msgspec.structs.replace(
            order.terms, quantity=event.quantity, limit_price=event.limit_price, stop_price=event.stop_price
        )
    order.quantity = event.quantity
    if not event.keeps_priority:
        order.seq, order.shown = recorded.seq, order.terms.display_quantity or ZERO
    _reserve_anew(state, order, before, event.margin_reserved)
    if event.verdict is not None:  # Somebody asked for it.
        count_message(state=state, terms=order.terms, recorded=recorded, notional=event.notional)
        state.activity[order.terms.account_id].accept()
    if stood:
        book.add(order_id=order.order_id, terms=order.terms, seq=order.seq)
    elif order.order_id in state.stops.get(order.terms.symbol, ()):
        file_stop(state=state, order=order)


def _other_terms(state: State, order: Order, event: ev.OrderAmended, terms: OrderTerms, recorded: Recorded) -> None:
    """Take terms of which more than quantity and prices are others: how long it works, how it trails, its exits."""
    if terms.time_in_force is TimeInForce.DAY and order.terms.time_in_force is not TimeInForce.DAY:
        order.day_from_us = recorded.recorded_at_us
    order.terms, order.guarantee = terms, event.guarantee
    if terms.time_in_force in ENDING:
        state.expiring.add(order.order_id)
    else:
        state.expiring.discard(order.order_id)
    if order.guaranteed:
        state.guaranteed.setdefault(terms.account_id, set()).add(order.order_id)
    else:
        part(groups=state.guaranteed, group=terms.account_id, order_id=order.order_id)


def _reserve_anew(state: State, order: Order, before: Decimal, margin: Decimal | None) -> None:
    """Keep the margin of an order that had `before` lots left: all of it anew, or as much a lot as ever."""
    bind(state=state, order=order, lots=-before)
    if margin is not None:
        order.margin_per_lot = margin / order.leaves
    bind(state=state, order=order, lots=order.leaves)
    work(state=state, order=order, lots=order.leaves - before)


AMENDMENT_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    ev.OrderAmended: _amended,
    ev.AmendmentDenied: _denied,
    PositionsClosed: _positions_closed,
}
