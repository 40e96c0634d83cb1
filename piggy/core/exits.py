"""Exits of an open position: a take-profit and a stop-loss for all of it, set, moved or taken off in one step.

Exits are orders that only reduce, in pairs of which the one's fill shrinks the other: a pair for each fill of an entry
that had any, and one for what has none yet. So a client who asks for a stop-loss finds every lot under it, and who had
exits of several entries keeps their orders.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.amending import amendment, judge, turned_down, unchangeable
from piggy.core.commands import SetExits
from piggy.core.execution import Execution, position_id_of
from piggy.core.gatekeeping import admit
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import EXITS, OF_A_POSITION, OrderTerms, OrderType, SelfTradePrevention
from piggy.core.placing import latched
from piggy.core.positions import Position
from piggy.core.routing import waiting
from piggy.core.state import Order

Events = list[ev.AnyEvent]
_TYPES = {"take_profit": OrderType.LIMIT, "stop_loss": OrderType.STOP}
_PRICES = {OrderType.LIMIT: "limit_price", OrderType.STOP: "stop_price"}


class Pair(msgspec.Struct, kw_only=True):
    """The lots of a position that have, or are to have, one take-profit and one stop-loss; `name` is their bond."""

    name: str
    lots: Decimal
    by_type: dict[OrderType, Order] = {}


def set_exits(*, command: SetExits, moment: Moment) -> Events:
    """Give all of a position the exits that are asked for, or say why not; then nothing of it is done."""
    position = moment.state.positions.get(command.position_id)
    if position is None or position.account_id != command.account_id:
        return [_refused("POSITION_UNKNOWN", "position_id", "no such position in this account")]
    asked = {name: price for name in _TYPES if (price := getattr(command, name)) is not msgspec.UNSET}
    if not asked:
        return [_refused("INCOMPLETE", "take_profit", "give a take profit or a stop loss")]
    execution, pairs = Execution(moment=moment), _pairs(position, moment)
    for name, price in asked.items():
        for pair in pairs:
            if refused := _set(pair, _TYPES[name], price, position, execution):
                return refused
    return execution.events or [_refused("NO_CHANGE", next(iter(asked)), "the position has these exits already")]


def _pairs(position: Position, moment: Moment) -> list[Pair]:
    """Return the pairs that stand, and one more of the lots that none stands for."""
    state, found = moment.state, dict[str, Pair]()
    account = state.accounts[position.account_id]
    for order_id in sorted(state.open_orders.get(position.account_id, ())):
        order = state.orders[order_id]
        if order.source not in OF_A_POSITION or order.terms.side is position.side:
            continue
        if position_id_of(account=account, order=order) == position.position_id:
            pair = found.setdefault(order.terms.oco_group or "", Pair(name=order.terms.oco_group or "", lots=ZERO))
            pair.by_type[order.terms.type] = order
            pair.lots = max(pair.lots, order.leaves)
    bare = position.lots - sum((pair.lots for pair in found.values()), ZERO)
    return [*found.values(), *([Pair(name="", lots=bare)] if bare > 0 else [])]


def _set(pair: Pair, kind: OrderType, price: Decimal | None, position: Position, execution: Execution) -> Events:
    """Give one pair this exit, or take it off; what is returned is why nothing at all may be done."""
    order = pair.by_type.get(kind)
    if order is None:
        return [] if price is None else _added(pair, kind, price, position, execution)
    if (refused := unchangeable(order=order, moment=execution.moment)) is not None:
        return [msgspec.structs.replace(refused, text=f"exit {order.order_id}: {refused.text}")]
    if price is None:
        execution.cancel(order=order, outcome="cancelled", reason="taken off its position")
        return []
    terms = msgspec.structs.replace(order.terms, **{_PRICES[kind]: price})
    made = judge(order=order, terms=terms, moment=execution.moment)
    if not made.admission.verdict.passed:
        return turned_down(order_id=order.order_id, judged=made)
    if terms != order.terms:
        execution.events.append(amendment(order=order, judged=made))
    return []


def _added(pair: Pair, kind: OrderType, price: Decimal, position: Position, execution: Execution) -> Events:
    moment, order_id = execution.moment, execution.new_order_id()
    pair.name = pair.name or f"{order_id}/exits"
    terms = OrderTerms(
        account_id=position.account_id,
        symbol=position.symbol,
        side=position.side.contra,
        quantity=pair.lots,
        type=kind,
        limit_price=price if kind is OrderType.LIMIT else None,
        stop_price=price if kind is OrderType.STOP else None,
        reduce_only=True,
        oco_group=pair.name,
        position_id=position.position_id,
        stp=SelfTradePrevention.CANCEL_OLDEST,
    )
    verdict = admit(order_id=order_id, terms=terms, moment=moment, is_exit=True).verdict
    if not verdict.passed:
        return _denied(terms, verdict, moment)
    group = moment.group_of(terms.account_id)
    text = f"{'take profit' if kind is OrderType.LIMIT else 'stop loss'} of position {position.position_id}"
    execution.events.append(
        ev.OrderAccepted(
            order_id=order_id,
            terms=terms,
            source=EXITS,
            group=group.name,
            verdict=verdict,
            routing=waiting(group=group, text=f"{text}: waits for its price"),
        )
    )
    return []


def _denied(terms: OrderTerms, verdict: ev.Verdict, moment: Moment) -> Events:
    """Return what is recorded of an exit that did not pass, once what passed before it is not done either."""
    order_id = Execution(moment=moment).new_order_id()
    text = "; ".join(dict.fromkeys(check.text for check in verdict.reasons))
    code, verdict = verdict.reasons[0].code, msgspec.structs.replace(verdict, order_id=order_id)
    refused = ev.CommandRefused(code=code, field="position_id", text=text, reasons=verdict.reasons)
    denied = ev.OrderDenied(order_id=order_id, terms=terms, source=EXITS, verdict=verdict)
    return [refused, denied, *latched(verdict=verdict, account_id=terms.account_id)]


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
