"""Folding what venues say: legs live, fill, end or fall in doubt, and the venue's record grows.

A leg's parent is a client's order or a hedge of the house; both count the lots that are out at venues.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from piggy.core import events as ev
from piggy.core.correction_events import VenueFillBusted
from piggy.core.events import Recorded
from piggy.core.money import ZERO
from piggy.core.orders import OrderState, Side
from piggy.core.position_folding import risk_of
from piggy.core.routing import FREE, UNSCORED, share
from piggy.core.routing_rules import VenueScore
from piggy.core.state import SUSPENDED_KEPT, Child, Dealt, Order, State, parent_of, record_of
from piggy.core.storms import NOT_SENT
from piggy.core.venue_books import VenueBook, take


def _child_created(state: State, event: ev.ChildOrderCreated, recorded: Recorded) -> None:
    child = Child(created=event, seq=recorded.seq, created_at_us=recorded.recorded_at_us)
    state.children[event.cl_ord_id] = state.open_children[event.cl_ord_id] = child
    order = parent_of(state=state, order_id=event.order_id)
    order.routed += event.quantity
    come_back(state=state, order_id=event.order_id, lots=-event.quantity)
    order.legs = (*order.legs, event.cl_ord_id)
    order.attempts = max(order.attempts, event.attempt)
    if order.state is OrderState.WORKING:
        order.state = OrderState.ROUTED
    record_of(state=state, venue=event.venue).orders += 1
    _at_venue(state=state, child=child, open_lots=event.quantity, price=event.limit_price)
    ends_at_us = recorded.recorded_at_us + state.venues[event.venue].answer_ms_max * 1_000
    state.awaited.setdefault(event.venue, {})[event.cl_ord_id] = ends_at_us
    state.venue_messages.message(at_us=recorded.recorded_at_us, who=event.venue)


def _child_acknowledged(state: State, event: ev.ChildOrderAcknowledged, recorded: Recorded) -> None:
    child = state.children[event.cl_ord_id]
    child.acknowledged, child.in_doubt = True, False
    child.venue_order_id = event.venue_order_id
    delay_us = recorded.recorded_at_us - child.created_at_us
    state.venue_records[child.created.venue].delays_ms.append(Decimal(max(0, delay_us)) / 1_000)
    settle_doubt(state=state, order_id=event.order_id)


def _child_filled(state: State, event: ev.ChildOrderFilled, recorded: Recorded) -> None:
    child = state.children[event.cl_ord_id]
    was_open = min(event.quantity, child.leaves)
    child.filled += event.quantity
    child.acknowledged = True
    child.in_doubt = child.differs
    state.venue_fills.add((event.venue, event.fill_id))
    child.dealt[event.fill_id] = Dealt(venue=event, seq=recorded.seq)
    order = parent_of(state=state, order_id=event.order_id)
    order.routed -= was_open
    come_back(state=state, order_id=event.order_id, lots=was_open - event.quantity)
    count_dealt(state=state, event=event, sign=1)
    _at_venue(state=state, child=child, open_lots=-was_open, net=event.side.sign * event.quantity, price=event.price)
    record = state.venue_records[event.venue]
    record.fills += 1
    if child.leaves == 0 and not child.closed:
        _close(state, child, recorded)
    settle_doubt(state=state, order_id=event.order_id)


def come_back(*, state: State, order_id: str, lots: Decimal) -> None:
    """Count lots that a venue did not deal, which the A book has to place anew; below zero: it has placed them."""
    if lots and (order := state.orders.get(order_id)) is not None:
        order.came_back = max(ZERO, order.came_back + lots)


def count_dealt(*, state: State, event: ev.ChildOrderFilled | VenueFillBusted | ev.VenueSettled, sign: int) -> None:
    """Add an execution to what the house holds at the venue, or with a `sign` of -1 take it out."""
    exposure, held = state.exposure[event.symbol], (event.venue, event.symbol)
    signed = sign * event.side.sign * event.quantity
    exposure.venue_net += signed
    price = event.price if sign > 0 else None
    state.house_risk.move(instrument=state.instruments[event.symbol], net=-signed, price=price)
    exposure.venue_cash -= signed * event.price
    state.venue_nets[held] = state.venue_nets.get(held, ZERO) + signed
    book = state.venue_books.get(held)
    if book is None:
        book = state.venue_books[held] = VenueBook()
    take(book=book, event=event, contract_size=state.instruments[event.symbol].contract_size)


def _at_venue(
    *, state: State, child: Child, open_lots: Decimal, net: Decimal = ZERO, price: Decimal | None = None
) -> None:
    """Count what is held and what may still be dealt at a venue; a leg in doubt counts as if it fills (F-06)."""
    leg = child.created
    buys, sells = (open_lots, ZERO) if leg.side is Side.BUY else (ZERO, open_lots)
    risk = risk_of(risks=state.venue_risks, name=leg.venue)
    risk.move(instrument=state.instruments[leg.symbol], net=net, buys=buys, sells=sells, price=price)


def take_back(*, state: State, event: VenueFillBusted) -> None:
    """Take an execution out; what is not done any more of a leg that lives may be dealt again."""
    child = state.children[event.cl_ord_id]
    count_dealt(state=state, event=event, sign=-1)
    reopened = ZERO if child.closed else event.quantity
    _at_venue(state=state, child=child, open_lots=reopened, net=-event.side.sign * event.quantity)


def _child_closed(state: State, event: ev.ChildOrderClosed, recorded: Recorded) -> None:
    child = state.children[event.cl_ord_id]
    order = parent_of(state=state, order_id=event.order_id)
    order.routed -= child.leaves
    come_back(state=state, order_id=event.order_id, lots=child.leaves)
    _at_venue(state=state, child=child, open_lots=-child.leaves)
    _close(state, child, recorded, rejected=event.outcome == "rejected", counts=event.code != NOT_SENT)
    refused = event.outcome == "rejected" or child.asked_back
    if refused:
        order.refused_by = order.refused_by | {event.venue}
    if isinstance(order, Order) and (refused or not child.filled):
        order.misses, order.given_back_at_us = order.misses + 1, recorded.recorded_at_us
    settle_doubt(state=state, order_id=event.order_id)


def _cancel_requested(state: State, event: ev.ChildCancelRequested, recorded: Recorded) -> None:
    state.children[event.cl_ord_id].cancel = event
    state.awaited[event.venue].pop(event.cl_ord_id, None)
    if event.keeps_order:
        return
    order = state.orders[event.order_id]
    order.cancelling, order.ends_as = event.reason, event.outcome
    state.resting[order.terms.symbol].remove(order_id=order.order_id)


def _cancel_rejected(state: State, event: ev.ChildCancelRejected, recorded: Recorded) -> None:
    state.children[event.cl_ord_id].cancel = None
    order = state.orders.get(event.order_id)
    if order is None or not order.cancelling:
        return
    order.cancels_refused += 1
    mine = (child for child in state.open_children.values() if child.created.order_id == event.order_id)
    if order.state.final or any(child.cancel for child in mine):
        return
    order.cancelling = ""
    if order.rests:
        state.resting[order.terms.symbol].add(order_id=order.order_id, terms=order.terms, seq=order.seq)


def _child_in_doubt(state: State, event: ev.ChildOrderInDoubt, recorded: Recorded) -> None:
    child = state.children[event.cl_ord_id]
    child.in_doubt, child.filled_at_venue = True, event.filled
    parent_of(state=state, order_id=event.order_id).state = OrderState.IN_DOUBT


def _suspended(state: State, event: ev.VenueReportSuspended, recorded: Recorded) -> None:
    state.suspended.append(event)
    if len(state.suspended) > SUSPENDED_KEPT:
        del state.suspended[0]
        state.suspended_before += 1
    state.parked.pop((event.venue, event.fill_id), None)
    state.venue_fills.add((event.venue, event.fill_id))


def _close(state: State, child: Child, recorded: Recorded, *, rejected: bool = False, counts: bool = True) -> None:
    child.closed, child.in_doubt = True, False
    state.open_children.pop(child.created.cl_ord_id, None)
    state.awaited[child.created.venue].pop(child.created.cl_ord_id, None)
    record = state.venue_records[child.created.venue]
    record.rejects += rejected
    record.outcomes.append(rejected)
    if counts:
        record.answers.append((recorded.recorded_at_us, rejected))
        record.rejects_in_a_row = record.rejects_in_a_row + 1 if rejected else 0
    record.shares.append(child.filled / child.created.quantity)
    score_venue(state, child.created.venue)


def score_venue(state: State, venue: str) -> None:
    """Work out anew what routing knows of a venue's service."""
    record = record_of(state=state, venue=venue)
    before = state.scores.get(venue, UNSCORED)
    score = state.scores[venue] = VenueScore(
        reject_rate=share(values=record.outcomes),
        fill_ratio=share(values=record.shares) if record.shares else Decimal(1),
        latency_ms=share(values=record.delays_ms),
        markout_bps=state.markouts.get(venue, ZERO),
    )
    # Delays change with every answer; where nothing weighs them, venues rank as before. Decisions name what is known
    # to the digit: a first 0.0000 is not the 0 of a venue that never answered.
    weighed = state.policy is not None and state.policy.cost_model != FREE
    if str(score.reject_rate) != str(before.reject_rate) or (weighed and repr(score) != repr(before)):
        state.scores_version += 1


def settle_doubt(*, state: State, order_id: str) -> None:
    """Give an order its ordinary state back once none of its legs is in doubt."""
    order = parent_of(state=state, order_id=order_id)
    if order.state is not OrderState.IN_DOUBT:
        return
    mine = (child for child in state.open_children.values() if child.created.order_id == order_id)
    if not any(child.in_doubt for child in mine):
        order.state = OrderState.PARTIALLY_FILLED if order.filled else OrderState.ROUTED


VENUE_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    ev.ChildOrderCreated: _child_created,
    ev.ChildOrderAcknowledged: _child_acknowledged,
    ev.ChildOrderFilled: _child_filled,
    ev.ChildOrderClosed: _child_closed,
    ev.ChildOrderInDoubt: _child_in_doubt,
    ev.ChildCancelRequested: _cancel_requested,
    ev.ChildCancelRejected: _cancel_rejected,
    ev.VenueReportSuspended: _suspended,
}
