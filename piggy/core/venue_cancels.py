"""Cancelling: at once where nothing lives elsewhere; else the venues are asked, and the order ends as they answer."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import takewhile

from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.commands import CancelOrder, RecordVenueCancelReject
from piggy.core.execution import Execution
from piggy.core.leaving import has_left
from piggy.core.moment import Moment
from piggy.core.standing import expires_at_us, strictest_state
from piggy.core.state import Child, Order, State

Events = list[ev.AnyEvent]


def cancel(*, command: CancelOrder, moment: Moment) -> Events:
    """Cancel what is unfilled. With legs at venues, ask for their end; until then the order lives and is not worked."""
    order = moment.state.orders.get(command.order_id)
    if has_left(state=moment.state, order_id=command.order_id):
        return [_refused("ORDER_NOT_OPEN", "the order ended long ago")]
    if order is None or order.terms.account_id != command.account_id:
        return [_refused("ORDER_UNKNOWN", "no such order in this account")]
    if order.state.final:
        return [_refused("ORDER_NOT_OPEN", f"the order is {order.state.value}")]
    execution = Execution(moment=moment)
    if order.routed:
        asked = _asked((order.order_id,), "cancelled", command.reason, execution)
        return asked or [_refused("CANCEL_PENDING", f"{order.routed} lots are out at a venue that was asked already")]
    execution.cancel(order=order, outcome="cancelled", reason=command.reason)
    return execution.events


def end(*, orders: Iterable[Order], outcome: str, reason: str, execution: Execution) -> None:
    """End orders that may not go on: at once, or where legs of them live at venues as soon as those have ended.

    So do legs that this very command has sent out.
    """
    routed = set[str]()
    for order in orders:
        if execution.sent(order) > 0:
            routed.add(order.order_id)
        else:
            execution.cancel(order=order, outcome=outcome, reason=reason)
    if routed:
        execution.ending |= routed
        execution.events += _asked(routed, outcome, reason, execution)


def leave(*, venue: str, reason: str, moment: Moment, symbol: str = "") -> Events:
    """Return the cancels of every leg at a venue, of one symbol or all; their orders are worked on elsewhere."""
    there = (child for child in moment.state.open_children.values() if child.created.venue == venue)
    legs = (child for child in there if symbol in ("", child.created.symbol))
    return [_ask(child.created, reason, keeps_order=True) for child in legs if child.cancel is None]


def is_overdue(*, state: State, now_us: int) -> bool:
    """Return whether a venue has kept a leg longer than it may."""
    return any(now_us >= next(iter(legs.values())) for legs in state.awaited.values() if legs)


def give_up_waiting(*, execution: Execution) -> None:
    """Ask for the end of legs whose time is up (F-18), once each; only their end frees the lots again."""
    moment, state = execution.moment, execution.moment.state
    asked = {event.cl_ord_id for event in execution.events if isinstance(event, ev.ChildCancelRequested)}
    for venue, legs in sorted(state.awaited.items()):
        reason = f"no end within {state.venues[venue].answer_ms_max} ms"
        late = takewhile(lambda each: moment.now_us >= each[1], legs.items())
        mine = (state.open_children[name].created for name, _ in late if name not in asked)
        execution.events += [_ask(leg, reason, keeps_order=True) for leg in mine]


def recall_hedges(*, symbol: str, reason: str, moment: Moment) -> Events:
    """Return the cancels of the house's own legs in a symbol, '' in all; what they did not fill is not covered."""
    hedges, children = moment.state.hedges, moment.state.open_children.values()
    legs = (child for child in children if child.created.order_id in hedges and child.cancel is None)
    return [_ask(child.created, reason, keeps_order=True) for child in legs if symbol in ("", child.created.symbol)]


def is_asked(*, order: Order) -> bool:
    """Return whether the venues of an order were asked to end its legs: all that can be done until they answer."""
    return bool(order.routed and (order.cancelling or order.cancels_refused))


def record_cancel_reject(*, command: RecordVenueCancelReject, moment: Moment) -> Events:
    """The venue keeps the leg; where it ended meanwhile, its end says so by itself."""
    child = moment.state.children.get(command.cl_ord_id)
    if child is None or child.closed or child.cancel is None or child.created.venue != command.venue:
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
    """End an order that is not to go on once no leg of it is left; tell whether it is such an order.

    Somebody wants it gone, or its time is up, or a venue refused to let it go when its scope was killed.
    """
    outcome, reason = order.ends_as, order.cancelling
    if not reason:
        outcome, reason = _over(order, execution.moment)
    if reason and execution.free(order) == execution.leaves(order) > 0:
        execution.cancel(order=order, outcome=outcome, reason=reason)
    return bool(reason)


def _over(order: Order, moment: Moment) -> tuple[str, str]:
    state, terms = moment.state, order.terms
    if order.order_id in state.expiring and moment.now_us >= expires_at_us(order=order):
        return "expired", f"{terms.time_in_force.value} ended"
    if terms.symbol in state.expired:
        return "expired", "the option expired"
    if order.cancels_refused:
        place = {"group": order.group, "account_id": terms.account_id, "symbol": terms.symbol}
        if strictest_state(state=state, **place) is TradingState.KILLED:
            return "cancelled", "killed"
    return "", ""


def _asked(orders: Container[str], outcome: str, reason: str, execution: Execution) -> Events:
    """Return the cancels of all legs of `orders` that nobody, this command neither, asked for the end of its order."""
    mine = (child for child in execution.moment.state.open_children.values() if child.created.order_id in orders)
    legs = [child.created for child in mine if _may_ask(child)]
    done = [each for each in execution.events if isinstance(each, ev.ChildOrderCreated | ev.ChildCancelRequested)]
    legs += [each for each in done if isinstance(each, ev.ChildOrderCreated) and each.order_id in orders]
    asked = {each.cl_ord_id for each in done if isinstance(each, ev.ChildCancelRequested) and not each.keeps_order}
    return [_ask(leg, reason, outcome=outcome) for leg in legs if leg.cl_ord_id not in asked]


def _may_ask(child: Child) -> bool:
    """Whether nobody asked for the end of its order yet."""
    return child.cancel is None or child.cancel.keeps_order


def _ask(
    leg: ev.ChildOrderCreated, reason: str, *, outcome: str = "cancelled", keeps_order: bool = False
) -> ev.ChildCancelRequested:
    return ev.ChildCancelRequested(
        order_id=leg.order_id,
        cl_ord_id=leg.cl_ord_id,
        venue=leg.venue,
        symbol=leg.symbol,
        side=leg.side,
        quantity=leg.quantity,
        reason=reason,
        outcome=outcome,
        keeps_order=keeps_order,
    )


def _refused(code: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field="order_id", text=text)
