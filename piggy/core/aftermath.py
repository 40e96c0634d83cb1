"""Aftermath: what a command's fills bring about for other orders, decided once, at its end.

Filled entries get their take-profit and stop-loss, one of a pair that fills cancels or shrinks the other, and orders
that may only reduce end when nothing is left to reduce.
"""

from __future__ import annotations

from decimal import Decimal

from piggy.core import events as ev
from piggy.core.execution import Execution, position_id_of
from piggy.core.orders import OrderTerms, OrderType
from piggy.core.risk import verdict_on
from piggy.core.routing import waiting
from piggy.core.state import Order

BRACKET = "bracket"


def settled(*, execution: Execution) -> list[ev.AnyEvent]:
    """Return the command's events, with all that its fills bring about."""
    fills = execution.fills()
    if not fills:
        return execution.events
    for order, lots in fills:
        if lots <= 0:
            continue  # Taken back, or corrected to no more: there is nothing new to protect.
        if order.terms.oco_group:
            _shrink_siblings(order=order, lots=lots, execution=execution)
        if order.terms.take_profit is not None or order.terms.stop_loss is not None:
            _protect(order=order, lots=lots, execution=execution)
    for order, _ in fills:
        _end_reducers(order=order, execution=execution)
    return execution.events


def _shrink_siblings(*, order: Order, lots: Decimal, execution: Execution) -> None:
    """One cancels the other; the two exits of one entry shrink together instead, so that the rest stays protected."""
    state, group = execution.moment.state, order.terms.oco_group
    for order_id in sorted(state.oco.get((order.terms.account_id, group or ""), set()) - {order.order_id}):
        sibling = state.orders[order_id]
        if sibling.routed:
            continue
        if order.source == BRACKET:
            execution.reduce(order=sibling, lots=lots, reason=f"order {order.order_id} filled")
        elif execution.leaves(sibling) > 0:
            execution.cancel(order=sibling, outcome="cancelled", reason=f"order {order.order_id} filled")


def _protect(*, order: Order, lots: Decimal, execution: Execution) -> None:
    """Give the lots just filled their exits: a limit at the take-profit, a stop at the stop-loss, one pair per fill.

    Lots that closed something began no position, so there is nothing of them to exit from.
    """
    terms = order.terms
    exits = ((OrderType.LIMIT, terms.take_profit), (OrderType.STOP, terms.stop_loss))
    account = execution.moment.account(terms.account_id)
    position = execution.position(position_id_of(account=account, order=order))
    if position is None or position.side is not terms.side:
        return
    lots = min(lots, position.lots)
    group = execution.moment.group_of(terms.account_id)
    for kind, price in exits:
        if price is None:
            continue
        exit_terms = OrderTerms(
            account_id=terms.account_id,
            symbol=terms.symbol,
            side=terms.side.contra,
            quantity=lots,
            type=kind,
            limit_price=price if kind is OrderType.LIMIT else None,
            stop_price=price if kind is OrderType.STOP else None,
            reduce_only=True,
            oco_group=f"{order.order_id}/{order.fills + execution.fill_count(order)}",
            position_id=position_id_of(account=account, order=order),
        )
        text = "take profit" if kind is OrderType.LIMIT else "stop loss"
        order_id = execution.new_order_id()
        execution.events.append(
            ev.OrderAccepted(
                order_id=order_id,
                terms=exit_terms,
                source=BRACKET,
                group=group.name,
                verdict=verdict_on(
                    order_id=order_id,
                    terms=exit_terms,
                    at_us=execution.moment.now_us,
                    config_version=group.version,
                    checks=(ev.Check(code="BRACKET", passed=True, text=f"{text} of order {order.order_id}"),),
                ),
                routing=waiting(group=group, text=f"{text} of order {order.order_id}: waits for its price"),
            )
        )


def _end_reducers(*, order: Order, execution: Execution) -> None:
    """Cancel working orders that may only reduce a position which is now gone."""
    state, account_id = execution.moment.state, order.terms.account_id
    account = execution.moment.account(account_id)
    if execution.position(position_id_of(account=account, order=order)) is not None:
        return
    for order_id in sorted(state.open_orders.get(account_id, ())):
        reducer = state.orders[order_id]
        same = position_id_of(account=account, order=reducer) == position_id_of(account=account, order=order)
        if reducer.terms.reduce_only and same and not reducer.routed and execution.leaves(reducer) > 0:
            execution.cancel(order=reducer, outcome="cancelled", reason="nothing left to reduce")
