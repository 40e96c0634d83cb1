"""Aftermath: what a command's fills bring about for other orders, decided once, at its end.

Filled entries get their take-profit and stop-loss, one of a pair that fills cancels or shrinks the other, and orders
that may only reduce end when nothing is left to reduce. A guaranteed stop shrinks with its position. A margin call is
over once nothing is held.
"""

from __future__ import annotations

from decimal import Decimal

from piggy.core import events as ev
from piggy.core import venue_cancels
from piggy.core.execution import Execution, position_id_of
from piggy.core.guarantees import stops_of
from piggy.core.money import ZERO
from piggy.core.orders import BRACKET as BRACKET
from piggy.core.orders import OF_A_POSITION, OrderTerms, OrderType, SelfTradePrevention
from piggy.core.positions import Position
from piggy.core.profiles import GuaranteedStops
from piggy.core.risk import verdict_on
from piggy.core.routing import waiting
from piggy.core.standing import is_bound, serves, why_gone
from piggy.core.state import Order


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
        _fit_guarantees(order=order, execution=execution)
    called = {event.account_id for event in execution.events if isinstance(event, ev.MarginCalled)}
    for account_id in dict.fromkeys(order.terms.account_id for order, _ in fills):
        is_called = account_id in called or account_id in execution.moment.state.margin_called
        if is_called and _is_flat(account_id, execution):
            execution.events.append(ev.MarginRestored(account_id=account_id))
    return execution.events


def _is_flat(account_id: str, execution: Execution) -> bool:
    """Return whether the account, which has dealt now, holds nothing any more: no look at its margin would come."""
    account = execution.moment.account(account_id)
    mine = (order for order, _ in execution.fills() if order.terms.account_id == account_id)
    held = execution.moment.state.positions_of.get(account_id, set())
    ids = held | {position_id_of(account=account, order=order) for order in mine}
    return all(execution.position(position_id) is None for position_id in ids)


def _shrink_siblings(*, order: Order, lots: Decimal, execution: Execution) -> None:
    """One cancels the other; the two exits of one entry shrink together instead, so that the rest stays protected."""
    state, group = execution.moment.state, order.terms.oco_group
    for order_id in sorted(state.oco.get((order.terms.account_id, group or ""), set()) - {order.order_id}):
        sibling = state.orders[order_id]
        if order.source in OF_A_POSITION and sibling.routed:
            continue
        if order.source in OF_A_POSITION:
            execution.reduce(order=sibling, lots=lots, reason=f"order {order.order_id} filled")
        elif execution.leaves(sibling) > 0:
            # What is out at a venue cannot be called back; what it gives back is not worked again.
            reason = f"order {order.order_id} filled"
            venue_cancels.end(orders=(sibling,), outcome="cancelled", reason=reason, execution=execution)


def _protect(*, order: Order, lots: Decimal, execution: Execution) -> None:
    """Give the lots just filled their exits: a limit at the take-profit, a stop at the stop-loss, one pair per fill.

    Lots that closed something began no position, so there is nothing of them to exit from.
    """
    terms = order.terms
    position = _position(order, execution)
    if position is None or position.side is not terms.side:
        return
    lots = min(lots, position.lots)
    for kind, price in ((OrderType.LIMIT, terms.take_profit), (OrderType.STOP, terms.stop_loss)):
        if price is None:
            continue
        guarantee, exit_lots = None, lots
        if kind is OrderType.STOP and order.guarantee is not None and _dealt_before(order, price, execution):
            guarantee, exit_lots = order.guarantee, min(lots, _unguaranteed(order, position, execution))
        if exit_lots > 0:
            _exit(order=order, kind=kind, price=price, lots=exit_lots, guarantee=guarantee, execution=execution)


def _exit(
    *,
    order: Order,
    kind: OrderType,
    price: Decimal,
    lots: Decimal,
    guarantee: GuaranteedStops | None,
    execution: Execution,
) -> None:
    terms, account = order.terms, execution.moment.account(order.terms.account_id)
    group = execution.moment.group_of(terms.account_id)
    exit_terms = OrderTerms(
        account_id=terms.account_id,
        symbol=terms.symbol,
        side=terms.side.contra,
        quantity=lots,
        type=kind,
        limit_price=price if kind is OrderType.LIMIT else None,
        stop_price=price if kind is OrderType.STOP else None,
        reduce_only=True,
        guaranteed_stop=guarantee is not None,
        oco_group=f"{order.order_id}/{order.fills + execution.fill_count(order)}",
        position_id=position_id_of(account=account, order=order),
        stp=SelfTradePrevention.CANCEL_OLDEST,
    )
    text = "take profit" if kind is OrderType.LIMIT else "stop loss" if guarantee is None else "guaranteed stop"
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
                config_version=execution.moment.state.config_version,
                checks=(ev.Check(code="BRACKET", passed=True, text=f"{text} of order {order.order_id}"),),
            ),
            routing=waiting(group=group, text=f"{text} of order {order.order_id}: waits for its price"),
            guarantee=guarantee,
        )
    )


def _dealt_before(order: Order, stop: Decimal, execution: Execution) -> bool:
    """Return whether this command's fills of an entry are short of its stop; past it that would close at a gain."""
    mine = (event for event in execution.events if isinstance(event, ev.OrderFilled))
    prices = [fill.price for fill in mine if fill.order_id == order.order_id]
    return all(order.terms.side.sign * (price - stop) > 0 for price in prices)


def _unguaranteed(order: Order, position: Position, execution: Execution) -> Decimal:
    """Return the lots of the position that no guaranteed stop stands for yet; one of a side it left is for none."""
    stops = [stop for stop in _stops_of(order, execution) if stop.terms.side is not position.side]
    return position.lots - sum((execution.leaves(stop) for stop in stops), ZERO)


def _fit_guarantees(*, order: Order, execution: Execution) -> None:
    """Let guaranteed stops stand for no more lots than are left, the latest giving way first.

    Else what a client opened after his price was reached would be closed at it.
    """
    if order.terms.account_id not in execution.moment.state.guaranteed:
        return
    position, stops = _position(order, execution), _stops_of(order, execution)
    over = sum((execution.leaves(stop) for stop in stops), ZERO) - (position.lots if position else ZERO)
    for stop in reversed(stops):
        lots = min(over, execution.leaves(stop))
        if lots > 0 and not execution.sent(stop):
            execution.reduce(order=stop, lots=lots, reason="the position became smaller")
            over -= lots


def _stops_of(order: Order, execution: Execution) -> list[Order]:
    """Return the guaranteed stops of the position that `order` deals in, oldest first."""
    state, terms = execution.moment.state, order.terms
    wanted = position_id_of(account=execution.moment.account(terms.account_id), order=order)
    return stops_of(state=state, account_id=terms.account_id, symbol=terms.symbol, position_id=wanted)


def _position(order: Order, execution: Execution) -> Position | None:
    account = execution.moment.account(order.terms.account_id)
    return execution.position(position_id_of(account=account, order=order))


def _end_reducers(*, order: Order, execution: Execution) -> None:
    """Cancel working orders that are bound to a position which is now gone, or has turned round."""
    state, account_id = execution.moment.state, order.terms.account_id
    account, position = execution.moment.account(account_id), _position(order, execution)
    wanted = position_id_of(account=account, order=order)
    before = state.positions.get(wanted)
    if position is not None and (before is None or before.side is position.side):
        return
    for order_id in sorted(state.open_orders.get(account_id, ())):
        reducer = state.orders[order_id]
        # One that turned, as a bust may make it, is not what an order named: a close of it would add to it now.
        stays = reducer.terms.reduce_only and serves(order=reducer, position=position)
        if stays or not is_bound(terms=reducer.terms, account=account):
            continue
        same = position_id_of(account=account, order=reducer) == wanted
        if same and not execution.sent(reducer) and execution.leaves(reducer) > 0:
            execution.cancel(order=reducer, outcome="cancelled", reason=why_gone(terms=reducer.terms))
