"""Cancelling: at once where nothing lives elsewhere; else the venues are asked, and the order ends as they answer."""

from __future__ import annotations

from piggy.core import events as ev
from piggy.core.commands import CancelOrder, RecordVenueCancelReject
from piggy.core.execution import Execution
from piggy.core.moment import Moment
from piggy.core.state import Order

Events = list[ev.AnyEvent]


def cancel(*, command: CancelOrder, moment: Moment) -> Events:
    """Cancel what is unfilled. With legs at venues, ask for their end; until then the order lives and is not worked."""
    order = moment.state.orders.get(command.order_id)
    if order is None or order.terms.account_id != command.account_id:
        return [_refused("ORDER_UNKNOWN", "no such order in this account")]
    if order.state.final:
        return [_refused("ORDER_NOT_OPEN", f"the order is {order.state.value}")]
    if order.routed:
        asked = _asked(order, command.reason, moment)
        return asked or [_refused("CANCEL_PENDING", f"{order.routed} lots are out at a venue that was asked already")]
    execution = Execution(moment=moment)
    execution.cancel(order=order, outcome="cancelled", reason=command.reason)
    return execution.events


def record_cancel_reject(*, command: RecordVenueCancelReject, moment: Moment) -> Events:
    """The venue keeps the leg; where it ended meanwhile, its end says so by itself."""
    child = moment.state.children.get(command.cl_ord_id)
    if child is None or child.closed or child.cancel is None:
        return []
    return [
        ev.ChildCancelRejected(
            order_id=child.created.order_id,
            cl_ord_id=command.cl_ord_id,
            venue=command.venue,
            text=command.text,
            occurred_at_us=command.occurred_at_us,
        )
    ]


def end_if_asked(*, order: Order, execution: Execution) -> bool:
    """Cancel an order that somebody wants gone once no leg of it is left; tell whether it is such an order."""
    if order.cancelling and execution.free(order) == execution.leaves(order) > 0:
        execution.cancel(order=order, outcome="cancelled", reason=order.cancelling)
    return bool(order.cancelling)


def _asked(order: Order, reason: str, moment: Moment) -> Events:
    return [
        ev.ChildCancelRequested(
            order_id=order.order_id,
            cl_ord_id=leg.cl_ord_id,
            venue=leg.venue,
            symbol=leg.symbol,
            side=leg.side,
            quantity=leg.quantity,
            reason=reason,
        )
        for child in moment.state.open_children.values()
        if (leg := child.created).order_id == order.order_id and child.cancel is None
    ]


def _refused(code: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field="order_id", text=text)
