"""Committed events -> orders, legs, fills and positions for people. Boring, batched and repeatable.

`project` loads the rows that a batch touches, folds the events in by seq and writes every changed row once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import msgspec

from apps.common import bulk
from apps.common.times import moment
from apps.trading.models import ChildOrder, Fill, Order, Position
from piggy.core import events as ev
from piggy.core import positions
from piggy.core.correction_events import OrderFillBusted, VenueFillBusted
from piggy.core.events import Recorded, RoutingDecision, VenueConsidered, told_checks
from piggy.core.orders import OrderState, OrderTerms

ZERO = Decimal(0)
ORDER = ("last_seq", "quantity", "limit_price", "stop_price", "state", "filled", "notional", "average_price")
POSITION = ("last_seq", "quantity", "cost", "a_lots", "cross_lots", "b_lots", "realised", "margin", "opened_at")
ROUTED = ("routed_seq", "best_venue", "best_price")
UPDATES: dict[type, tuple[str, ...]] = {
    Order: (*ORDER, "mode", *ROUTED, "text", "requote_price", "requote_until", "updated_at"),
    ChildOrder: ("last_seq", "state", "filled", "notional", "venue_order_id", "code", "text", "updated_at"),
    Position: (*POSITION, "updated_at"),
}
DOUBT = "in_doubt"
TABLES = (Order, ChildOrder, Fill, Position)
RANKINGS_KEPT = 1_024
_ranking = msgspec.msgpack.Decoder(tuple[VenueConsidered, ...])


def project(*, tenant: str, batch: Sequence[Recorded]) -> Iterator[None]:
    """Fold `batch` (rising seq, inside the caller's transaction) into the tables; events already folded are skipped."""
    mine = [recorded for recorded in batch if type(recorded.event) in EVENT_HANDLERS]
    if not mine:
        return
    rows = _load(mine)
    yield
    for recorded in mine:
        EVENT_HANDLERS[type(recorded.event)](rows, recorded.event, recorded)
    rows.save()


@dataclass(slots=True)
class Rows:
    """The rows that one batch touches, by primary key, and which of them changed."""

    orders: dict[str, Order]
    children: dict[str, ChildOrder]
    positions: dict[str, Position]
    fills: dict[int, SimpleNamespace] = field(default_factory=dict)
    changed: dict[int, Order | ChildOrder | Position] = field(default_factory=dict)
    added: dict[type, dict[int, Any]] = field(default_factory=lambda: {kind: {} for kind in UPDATES})

    def touch(self, row: Any, recorded: Recorded) -> bool:
        """Note that `recorded` changes `row`; False where it is unknown or the event is already in it."""
        if row is None or row.last_seq >= recorded.seq:
            return False
        row.last_seq, row.updated_at = recorded.seq, recorded.recorded_at_us
        self.changed[id(row)] = row
        return True

    def order(self, order_id: str, recorded: Recorded) -> Order | None:
        """Return the order's row to change, None where there is none or the event is already in it."""
        row = self.orders.get(order_id)
        return row if self.touch(row, recorded) else None

    def add(self, kind: type[Any], /, **values: Any) -> Any:
        """Return a new row of a table."""
        row = bulk.new(kind, **values)
        self.added[kind][id(row)] = row
        return row

    def save(self) -> None:
        """Write what is new in one statement per table, and what changed in another."""
        for kind, names in UPDATES.items():
            bulk.insert(rows=list(self.added[kind].values()), model=kind)
            bulk.update(rows=[row for row in self.changed.values() if isinstance(row, kind)], names=names)
        bulk.insert(rows=list(self.fills.values()), model=Fill, repeatable=True)


def _load(batch: Sequence[Recorded]) -> Rows:
    events: list[Any] = [recorded.event for recorded in batch]
    order_ids = {event.order_id for event in events}
    legs = {event.order_id for event in events if hasattr(event, "cl_ord_id")}
    position_ids = {event.position_id for event in events if isinstance(event, ev.OrderFilled | OrderFillBusted)}
    children = ChildOrder.objects.filter(order_id__any_of=legs) if legs else ()
    return Rows(
        orders={order.order_id: order for order in Order.objects.filter(order_id__any_of=order_ids)},
        children={child.cl_ord_id: child for child in children},
        positions={row.position_id: row for row in Position.objects.filter(position_id__any_of=position_ids)},
    )


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
        guaranteed_stop=terms.guaranteed_stop,
        time_in_force=terms.time_in_force.value,
        state=state.value,
        source=event.source,
        principal=recorded.principal,
        client_order_id=terms.client_order_id,
        created_at=at_us,
        updated_at=at_us,
        **more,
    )
    return row


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
    _move_position(rows, event, recorded)


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
    row = _position(rows, event, recorded)
    if row is not None:
        _hold(row, event.position, event)


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


def _position(rows: Rows, event: ev.OrderFilled | OrderFillBusted, recorded: Recorded) -> Position | None:
    """Return the position's row to change, a new one if need be, None where the event is already in it."""
    row = rows.positions.get(event.position_id)
    if row is not None and row.last_seq >= recorded.seq:
        return None
    if row is None:
        row = rows.add(Position, position_id=event.position_id, account_id=event.account_id, symbol=event.symbol)
        row.quantity, row.last_seq, row.opened_at = ZERO, 0, recorded.recorded_at_us
        rows.positions[event.position_id] = row
    rows.touch(row, recorded)
    if not row.quantity:
        row.opened_at = recorded.recorded_at_us
    return row


def _move_position(rows: Rows, event: ev.OrderFilled, recorded: Recorded) -> None:
    row = _position(rows, event, recorded)
    if row is None:
        return
    # Profit is in the event, in the account's currency; of the fold only lots and cost are used, so any size will do.
    after = positions.filled(
        position=_as_core(row) if row.quantity else None,
        side=event.side,
        quantity=event.quantity,
        price=event.price,
        contract_size=Decimal(1),
        book=event.book,
    ).position
    _hold(row, after, event)


def _hold(row: Position, after: positions.Position | None, event: ev.OrderFilled | OrderFillBusted) -> None:
    row.quantity = after.quantity if after else ZERO
    row.cost = after.cost if after else ZERO
    row.a_lots, row.cross_lots, row.b_lots = (
        (after.a_lots, after.cross_lots, after.b_lots) if after else (ZERO, ZERO, ZERO)
    )
    row.margin = abs(row.quantity) * event.margin_per_lot
    row.realised += event.realised


def _as_core(row: Position) -> positions.Position:
    return positions.Position(
        account_id=row.account_id,
        symbol=row.symbol,
        position_id=row.position_id,
        quantity=row.quantity,
        cost=row.cost,
        a_lots=row.a_lots,
        cross_lots=row.cross_lots,
        b_lots=row.b_lots,
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
