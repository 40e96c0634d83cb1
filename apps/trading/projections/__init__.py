"""Committed events -> orders, legs, fills and positions for people. Boring, batched and repeatable.

`project` loads the rows that a batch touches, folds the events in by seq and writes every changed row once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import msgspec

from apps.common.times import moment
from apps.trading.models import ChildOrder, Fill, Order, Position
from apps.trading.projections import holdings
from apps.trading.projections.rows import Rows, load
from piggy.core import events as ev
from piggy.core.correction_events import OrderFillBusted, VenueFillBusted
from piggy.core.events import Recorded, RoutingDecision, VenueConsidered, told_checks
from piggy.core.orders import OrderState, OrderTerms, good_till_us

ZERO = Decimal(0)
DOUBT = "in_doubt"
TABLES = (Order, ChildOrder, Fill, Position)
RANKINGS_KEPT = 1_024
_ranking = msgspec.msgpack.Decoder(tuple[VenueConsidered, ...])


def project(*, tenant: str, batch: Sequence[Recorded]) -> Iterator[None]:
    """Fold `batch` (rising seq, inside the caller's transaction) into the tables; events already folded are skipped."""
    mine = [recorded for recorded in batch if type(recorded.event) in EVENT_HANDLERS]
    if not mine:
        return
    rows = load(batch=mine)
    yield
    for recorded in mine:
        EVENT_HANDLERS[type(recorded.event)](rows, recorded.event, recorded)
    rows.save()


def _denied(rows: Rows, event: ev.OrderDenied, recorded: Recorded) -> None:
    reasons = event.verdict.reasons
    text = "; ".join(check.text or check.code for check in reasons)
    told = msgspec.json.encode(told_checks(checks=reasons)).decode()
    _new_order(rows, event, recorded, state=OrderState.DENIED, text=text, reasons=told)


def _accepted(rows: Rows, event: ev.OrderAccepted, recorded: Recorded) -> None:
    if (order := _new_order(rows, event, recorded, state=OrderState.WORKING, group=event.group)) is not None:
        _route(order, event.routing, recorded)


def _new_order(
    rows: Rows, event: ev.OrderDenied | ev.OrderAccepted, recorded: Recorded, *, state: OrderState, **more: Any
) -> Any:
    if event.order_id in rows.orders:
        return None
    terms: OrderTerms = event.terms
    at_us = recorded.recorded_at_us
    row = rows.orders[event.order_id] = rows.add(
        Order,
        order_id=event.order_id,
        seq=recorded.seq,
        last_seq=recorded.seq,
        account_id=terms.account_id,
        symbol=terms.symbol,
        side=terms.side.value,
        type=terms.type.value,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        state=state.value,
        source=event.source,
        principal=recorded.principal,
        client_order_id=terms.client_order_id,
        created_at=at_us,
        updated_at=at_us,
        **_changing(terms),
        **more,
    )
    return row


def _changing(terms: OrderTerms) -> dict[str, Any]:
    """Return the columns of an order that few changes of it change."""
    until_us = good_till_us(terms=terms)
    return {
        "time_in_force": terms.time_in_force.value,
        "expires_at": None if until_us is None else moment(until_us),
        "trailing_distance": terms.trailing_distance,
        "take_profit": terms.take_profit,
        "stop_loss": terms.stop_loss,
        "guaranteed_stop": terms.guaranteed_stop,
    }


def _rerouted(rows: Rows, event: ev.OrderRerouted, recorded: Recorded) -> None:
    if (order := rows.order(event.order_id, recorded)) is not None:
        _route(order, event.routing, recorded)


def _route(order: Order, routing: RoutingDecision, recorded: Recorded) -> None:
    order.mode, order.text, order.routed_seq = routing.mode, routing.text, recorded.seq
    order.best_venue, order.best_price = _first_choice(routing.venues)


# Many orders share one ranking.
@lru_cache(maxsize=RANKINGS_KEPT)
def _first_choice(venues: bytes) -> tuple[str, Decimal | None]:
    first = next(iter(_ranking.decode(venues)), None) if venues else None
    return ("", None) if first is None or first.rank != 1 else (first.venue, first.price)


def _amended(rows: Rows, event: ev.OrderAmended, recorded: Recorded) -> None:
    if (order := rows.order(event.order_id, recorded)) is not None:
        order.quantity, order.limit_price, order.stop_price = event.quantity, event.limit_price, event.stop_price
        if event.terms is not None:
            vars(order).update(_changing(event.terms))
            rows.amended[event.order_id] = order


def _cancelled(rows: Rows, event: ev.OrderCancelled, recorded: Recorded) -> None:
    if (order := rows.order(event.order_id, recorded)) is not None:
        order.state, order.text = event.outcome, event.reason


def _filled(rows: Rows, event: ev.OrderFilled, recorded: Recorded) -> None:
    if (order := rows.order(event.order_id, recorded)) is not None:
        order.filled += event.quantity
        order.notional += event.quantity * event.price
        order.average_price = order.notional / order.filled
        done = order.filled >= order.quantity
        if done or not OrderState(order.state).final:  # A corrected fill may belong to an order that has ended.
            order.state = (OrderState.FILLED if done else OrderState.PARTIALLY_FILLED).value
    rows.fills[recorded.seq] = _fill(event, recorded, 1)
    holdings.fill(rows, event, recorded)


def _busted(rows: Rows, event: OrderFillBusted, recorded: Recorded) -> None:
    """A fill is taken back: a row of minus its lots and money is added, so that sums are right and the past stays."""
    if (order := rows.order(event.order_id, recorded)) is not None:
        order.filled -= event.quantity
        order.notional -= event.quantity * event.price
        order.average_price = order.notional / order.filled if order.filled else ZERO
        if order.state == OrderState.FILLED:
            order.state, order.text = OrderState.CANCELLED.value, event.reason
        elif not OrderState(order.state).final and order.state != OrderState.IN_DOUBT:
            open_ = OrderState.WORKING if event.by else OrderState.ROUTED
            order.state = (OrderState.PARTIALLY_FILLED if order.filled else open_).value
    rows.fills[recorded.seq] = _fill(event, recorded, -1)
    holdings.bust(rows, event, recorded)


def _fill(event: ev.OrderFilled | OrderFillBusted, recorded: Recorded, sign: int) -> SimpleNamespace:
    return SimpleNamespace(
        seq=recorded.seq,
        fill_id=event.fill_id,
        order_id=event.order_id,
        account_id=event.account_id,
        symbol=event.symbol,
        side=event.side.value,
        quantity=sign * event.quantity,
        price=event.price,
        raw_price=event.raw_price,
        book=event.book,
        counterparty=event.counterparty,
        realised=event.realised,
        commission=sign * event.commission,
        markup_revenue=sign * event.markup_revenue,
        premium=sign * event.premium,
        guarantee_cost=sign * event.guarantee_cost,
        conversion_rate=event.conversion_rate,
        position_id=event.position_id,
        reason=event.reason,
        filled_at=recorded.occurred_at_us,
    )


def _held(rows: Rows, event: ev.OrderHeld, recorded: Recorded) -> None:
    if (order := rows.order(event.order_id, recorded)) is not None:
        order.state = OrderState.WITH_DEALER.value


def _requoted(rows: Rows, event: ev.OrderRequoted, recorded: Recorded) -> None:
    if (order := rows.order(event.order_id, recorded)) is not None:
        order.requote_price, order.requote_until = event.price, moment(event.valid_until_us)


def _dealer_decided(rows: Rows, event: ev.DealerDecided, recorded: Recorded) -> None:
    if (order := rows.order(event.order_id, recorded)) is not None:
        order.state, order.text = OrderState.WORKING.value, event.reason
        order.requote_price = order.requote_until = None


def _child_created(rows: Rows, event: ev.ChildOrderCreated, recorded: Recorded) -> None:
    order = rows.orders.get(event.order_id)
    if rows.touch(order, recorded) and order is not None and order.state == OrderState.WORKING:
        order.state = OrderState.ROUTED.value
    if event.cl_ord_id in rows.children:
        return
    at_us = recorded.recorded_at_us
    rows.children[event.cl_ord_id] = rows.add(
        ChildOrder,
        cl_ord_id=event.cl_ord_id,
        last_seq=recorded.seq,
        order_id=event.order_id,
        venue=event.venue,
        symbol=event.symbol,
        side=event.side.value,
        quantity=event.quantity,
        limit_price=event.limit_price,
        time_in_force=event.time_in_force,
        attempt=event.attempt,
        state="sent",
        created_at=at_us,
        updated_at=at_us,
    )


def _child_acknowledged(rows: Rows, event: ev.ChildOrderAcknowledged, recorded: Recorded) -> None:
    child = rows.children.get(event.cl_ord_id)
    if rows.touch(child, recorded):
        assert child is not None
        child.state, child.venue_order_id = "working", event.venue_order_id
    _settle_doubt(rows, event.order_id, recorded)


def _child_busted(rows: Rows, event: VenueFillBusted, recorded: Recorded) -> None:
    _child_dealt(rows, event, recorded, -1)


def _child_filled(rows: Rows, event: ev.ChildOrderFilled, recorded: Recorded) -> None:
    child = _child_dealt(rows, event, recorded, 1)
    if child is not None:
        child.state = "filled" if child.filled >= child.quantity else "partially_filled"
    _settle_doubt(rows, event.order_id, recorded)


def _child_dealt(
    rows: Rows, event: ev.ChildOrderFilled | VenueFillBusted, recorded: Recorded, sign: int
) -> ChildOrder | None:
    child = rows.children.get(event.cl_ord_id)
    if not rows.touch(child, recorded):
        return None
    assert child is not None
    child.filled += sign * event.quantity
    child.notional += sign * event.quantity * event.price
    return child


def _child_closed(rows: Rows, event: ev.ChildOrderClosed, recorded: Recorded) -> None:
    child = rows.children.get(event.cl_ord_id)
    if rows.touch(child, recorded):
        assert child is not None
        child.state, child.code, child.text = event.outcome, event.code, event.text
    _settle_doubt(rows, event.order_id, recorded)


def _child_in_doubt(rows: Rows, event: ev.ChildOrderInDoubt, recorded: Recorded) -> None:
    child, order = rows.children.get(event.cl_ord_id), rows.orders.get(event.order_id)
    if rows.touch(child, recorded):
        assert child is not None
        child.state, child.text = DOUBT, event.text
    if rows.touch(order, recorded):
        assert order is not None
        order.state = OrderState.IN_DOUBT.value


def _settle_doubt(rows: Rows, order_id: str, recorded: Recorded) -> None:
    order = rows.orders.get(order_id)
    if order is None or order.state != OrderState.IN_DOUBT:
        return
    if any(child.state == DOUBT for child in rows.children.values() if child.order_id == order_id):
        return
    if rows.touch(order, recorded):
        order.state = (OrderState.PARTIALLY_FILLED if order.filled else OrderState.ROUTED).value


EVENT_HANDLERS: dict[type, Callable[[Rows, Any, Recorded], None]] = {
    ev.OrderDenied: _denied,
    ev.OrderAccepted: _accepted,
    ev.OrderRerouted: _rerouted,
    ev.OrderAmended: _amended,
    ev.OrderCancelled: _cancelled,
    ev.OrderFilled: _filled,
    ev.SymbolMarginChanged: holdings.bind,
    ev.OrderHeld: _held,
    ev.OrderRequoted: _requoted,
    ev.DealerDecided: _dealer_decided,
    OrderFillBusted: _busted,
    VenueFillBusted: _child_busted,
    ev.ChildOrderCreated: _child_created,
    ev.ChildOrderAcknowledged: _child_acknowledged,
    ev.ChildOrderFilled: _child_filled,
    ev.ChildOrderClosed: _child_closed,
    ev.ChildOrderInDoubt: _child_in_doubt,
}
