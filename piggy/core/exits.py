"""Exits of an open position: a take-profit and a stop for all of it, set, moved or taken off in one step.

Exits are orders that only reduce, in pairs of which the one's fill shrinks the other: a pair for each fill of an entry
that had any, and one for what has none yet. So a client who asks for a stop-loss finds every lot under it, and who had
exits of several entries keeps their orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.amending import amendment, judge, turned_down, unchangeable
from piggy.core.commands import SetExits
from piggy.core.execution import Execution, position_id_of
from piggy.core.gatekeeping import admit
from piggy.core.guarantees import stops_of
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import EXITS, OF_A_POSITION, OrderTerms, OrderType, SelfTradePrevention
from piggy.core.placing import latched, with_stop
from piggy.core.positions import Position
from piggy.core.routing import waiting
from piggy.core.state import Order

Events = list[ev.AnyEvent]
_TYPES = {"take_profit": OrderType.LIMIT, "stop_loss": OrderType.STOP, "trailing_distance": OrderType.TRAILING_STOP}
_PRICES = {OrderType.LIMIT: "limit_price", OrderType.STOP: "stop_price", OrderType.TRAILING_STOP: "trailing_distance"}
# A position has one stop: at a price, or at a distance.
_RIVALS = {OrderType.STOP: [OrderType.TRAILING_STOP], OrderType.TRAILING_STOP: [OrderType.STOP]}
_WORDS = {OrderType.LIMIT: "take profit", OrderType.STOP: "stop loss", OrderType.TRAILING_STOP: "trailing stop"}


class Pair(msgspec.Struct, kw_only=True):
    """The lots of a position that have, or are to have, one take-profit and one stop-loss; `name` is their bond."""

    name: str
    lots: Decimal
    by_type: dict[OrderType, Order] = {}


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One exit that is asked for: its kind, its price or distance (None: off), and whether it is to be guaranteed."""

    kind: OrderType
    price: Decimal | None
    guaranteed: bool | None = None


def set_exits(*, command: SetExits, moment: Moment) -> Events:
    """Give all of a position the exits that are asked for, or say why not; then nothing of it is done."""
    position = moment.state.positions.get(command.position_id)
    if position is None or position.account_id != command.account_id:
        return [_refused("POSITION_UNKNOWN", "position_id", "no such position in this account")]
    execution, pairs = Execution(moment=moment), _pairs(position, moment)
    asked = {name: price for name in _TYPES if (price := getattr(command, name)) is not msgspec.UNSET}
    if fault := _fault(command, asked, pairs):
        return [fault]
    for pair in pairs:
        for wish in _wishes(command, asked, pair):
            if refused := _set(pair, wish, position, execution):
                return refused
    if _over_guaranteed(position, execution):
        return [_refused("GUARANTEED_STOP", "guaranteed_stop", "more lots would be guaranteed than the position has")]
    field = next(iter(asked), "guaranteed_stop")
    return execution.events or [_refused("NO_CHANGE", field, "the position has these exits already")]


def _fault(command: SetExits, asked: Mapping[str, Decimal | None], pairs: list[Pair]) -> ev.CommandRefused | None:
    """Return what is wrong with what is asked for, whatever the market."""
    if not asked and command.guaranteed_stop is None:
        return _refused("INCOMPLETE", "take_profit", "give a take profit or a stop loss")
    stop, distance = asked.get("stop_loss"), asked.get("trailing_distance")
    if stop is not None and distance is not None:
        return _refused("TWO_STOPS", "trailing_distance", "a position has one stop: at a price, or at a distance")
    if command.guaranteed_stop is None or stop is not None:
        return None
    fixed = "stop_loss" not in asked and all(OrderType.STOP in pair.by_type for pair in pairs)
    if not fixed or distance is not None:
        return _refused("INCOMPLETE", "stop_loss", "give the stop loss that is to be guaranteed, or not to be")
    return None


def _wishes(command: SetExits, asked: Mapping[str, Decimal | None], pair: Pair) -> list[_Wish]:
    """Return what is asked of one pair; a stop that is only to be guaranteed, or no longer, stays at its price."""
    wishes = [_Wish(kind=_TYPES[name], price=price) for name, price in asked.items()]
    if command.guaranteed_stop is None:
        return wishes
    others = [wish for wish in wishes if wish.kind is not OrderType.STOP]
    # A stop at 0 is one that is asked for, and the gate's to refuse.
    price = asked["stop_loss"] if "stop_loss" in asked else pair.by_type[OrderType.STOP].terms.stop_price
    return [*others, _Wish(kind=OrderType.STOP, price=price, guaranteed=command.guaranteed_stop)]


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


def _set(pair: Pair, wish: _Wish, position: Position, execution: Execution) -> Events:
    """Give one pair this exit, or take it off; what is returned is why nothing at all may be done."""
    order = pair.by_type.get(wish.kind)
    # What else goes: a distance in the place of a price, or the other way; no stop-loss at all is neither of them.
    gone = [] if wish.price is None and wish.kind is OrderType.TRAILING_STOP else _RIVALS.get(wish.kind, [])
    for each in filter(None, (order, *(pair.by_type.get(kind) for kind in gone))):
        if (refused := unchangeable(order=each, moment=execution.moment)) is not None:
            return [msgspec.structs.replace(refused, text=f"exit {each.order_id}: {refused.text}")]
    for kind in [*gone, *([wish.kind] if wish.price is None else [])]:
        if (taken := pair.by_type.pop(kind, None)) is not None:
            execution.cancel(order=taken, outcome="cancelled", reason="taken off its position")
    if wish.price is None:
        return []
    return _added(pair, wish, position, execution) if order is None else _moved(order, wish, execution)


def _moved(order: Order, wish: _Wish, execution: Execution) -> Events:
    """Put an exit that stands elsewhere, or guarantee it, or no longer."""
    terms = msgspec.structs.replace(order.terms, **{_PRICES[wish.kind]: wish.price})
    if wish.guaranteed is not None:
        terms = msgspec.structs.replace(terms, guaranteed_stop=wish.guaranteed)
    stop_given = wish.kind is not OrderType.TRAILING_STOP
    made = judge(order=order, terms=terms, moment=execution.moment, stop_given=stop_given)
    if not made.admission.verdict.passed:
        return turned_down(order_id=order.order_id, judged=made)
    if made.terms != order.terms:
        execution.events.append(amendment(order=order, judged=made))
    return []


def _added(pair: Pair, wish: _Wish, position: Position, execution: Execution) -> Events:
    moment, order_id, kind = execution.moment, execution.new_order_id(), wish.kind
    pair.name = pair.name or f"{order_id}/exits"
    terms = OrderTerms(
        account_id=position.account_id,
        symbol=position.symbol,
        side=position.side.contra,
        quantity=pair.lots,
        type=kind,
        reduce_only=True,
        guaranteed_stop=bool(wish.guaranteed),
        oco_group=pair.name,
        position_id=position.position_id,
        stp=SelfTradePrevention.CANCEL_OLDEST,
    )
    terms = msgspec.structs.replace(terms, **{_PRICES[kind]: wish.price})
    admission = admit(order_id=order_id, terms=terms, moment=moment, is_exit=True)
    verdict = admission.verdict
    if not verdict.passed:
        return _denied(terms, verdict, moment)
    group = moment.group_of(terms.account_id)
    text = f"{_WORDS[kind]} of position {position.position_id}"
    execution.events.append(
        ev.OrderAccepted(
            order_id=order_id,
            terms=with_stop(terms=terms, moment=moment),
            source=EXITS,
            group=group.name,
            verdict=verdict,
            routing=waiting(group=group, text=f"{text}: waits for its price"),
            guarantee=admission.guarantee,
        )
    )
    return []


def _over_guaranteed(position: Position, execution: Execution) -> bool:
    """Return whether this command would have more lots guaranteed than the position has: each exit was asked alone."""
    state = execution.moment.state
    stops = stops_of(
        state=state, account_id=position.account_id, symbol=position.symbol, position_id=position.position_id
    )
    lots, more = {stop.order_id: execution.leaves(stop) for stop in stops}, False
    for event in execution.events:
        if isinstance(event, ev.OrderAccepted) and event.guarantee is not None:
            lots[event.order_id], more = event.terms.quantity, True
        elif isinstance(event, ev.OrderAmended) and event.terms is not None and event.terms.guaranteed_stop:
            lots[event.order_id], more = state.orders[event.order_id].leaves, True
    return more and sum(lots.values(), ZERO) > position.lots


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
