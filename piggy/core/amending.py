"""Amending: another quantity, other prices, another time to work or other exits of an order that works.

Less of it, or for a shorter time, keeps its place and is no new exposure; nor do its exits, or more time, cost its
place. Any other price or more lots goes to the back and is judged as a new order would be.
"""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import msgspec

from piggy.core import events as ev
from piggy.core.aftermath import settled
from piggy.core.commands import AmendOrder
from piggy.core.execution import Execution
from piggy.core.gate import numbers_are_sane
from piggy.core.gatekeeping import Admission, admit
from piggy.core.leaving import has_left
from piggy.core.moment import Moment
from piggy.core.money import plain
from piggy.core.orders import OF_A_POSITION, OrderState, OrderTerms, OrderType, TimeInForce
from piggy.core.placing import TRIGGERED_TYPES, latched, with_stop
from piggy.core.standing import ends_at_us
from piggy.core.state import Order
from piggy.core.working import carry_out, plan

Events = list[ev.AnyEvent]
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of a change, and the terms that it would lead to."""

    terms: OrderTerms
    admission: Admission
    eases: bool


def amend(*, command: AmendOrder, moment: Moment) -> Events:
    """Change a working order; what may keep its place keeps it, anything else goes to the back."""
    order = moment.state.orders.get(command.order_id)
    if has_left(state=moment.state, order_id=command.order_id):
        return [_refused("ORDER_NOT_AMENDABLE", "order_id", "the order ended long ago")]
    if order is None or order.terms.account_id != command.account_id:
        return [_refused("ORDER_UNKNOWN", "order_id", "no such order in this account")]
    if (refused := unchangeable(order=order, moment=moment) or _unfit(order, command)) is not None:
        return [refused]
    terms = changed(order=order, command=command)
    # What is no number at all is the gate's to refuse.
    if terms.quantity.is_finite() and terms.quantity <= order.filled:
        return [_refused("QTY_BELOW_FILLED", "quantity", f"{order.filled} lots are already filled")]
    made = judge(order=order, terms=terms, stop_given=command.stop_price is not None, moment=moment)
    if not made.admission.verdict.passed:
        return turned_down(order_id=order.order_id, judged=made)
    amended = amendment(order=order, judged=made)
    if amended.keeps_priority or not order.rests:
        return [amended]
    return _entered_anew(order=order, terms=made.terms, amended=amended, moment=moment)


def judge(*, order: Order, terms: OrderTerms, moment: Moment, stop_given: bool = True) -> Judged:
    """Ask the gate of the terms in the place of the order's own.

    The stop that follows the market is the desk's: nobody asked for it, so it is not judged, as it is not when such an
    order comes. With another distance it begins anew.
    """
    eases = _only_takes_away(order, terms, moment)
    asked = terms
    if terms.type is OrderType.TRAILING_STOP and not stop_given:
        asked = msgspec.structs.replace(terms, stop_price=None)
    admission = admit(
        order_id=order.order_id,
        terms=asked,
        moment=moment,
        replaces=order,
        eases=eases,
        is_exit=order.source in OF_A_POSITION,
    )
    if not admission.verdict.passed:
        return Judged(terms=asked, admission=admission, eases=eases)
    if terms.trailing_distance != order.terms.trailing_distance:
        terms = with_stop(terms=asked, moment=moment)
    return Judged(terms=terms, admission=admission, eases=eases)


def turned_down(*, order_id: str, judged: Judged) -> Events:
    """Return what is recorded of a change that did not pass."""
    verdict, account_id = judged.admission.verdict, judged.terms.account_id
    text = "; ".join(dict.fromkeys(check.text for check in verdict.reasons))
    refused = ev.CommandRefused(code=verdict.reasons[0].code, field="order_id", text=text, reasons=verdict.reasons)
    denied = ev.AmendmentDenied(order_id=order_id, account_id=account_id, terms=judged.terms, verdict=verdict)
    return [refused, denied, *latched(verdict=verdict, account_id=account_id)]


def amendment(*, order: Order, judged: Judged) -> ev.OrderAmended:
    """Return the change of an order that passed."""
    own, terms, admission = order.terms, judged.terms, judged.admission
    prices = {"limit_price": terms.limit_price, "stop_price": terms.stop_price}
    others = msgspec.structs.replace(own, quantity=terms.quantity, **prices) != terms
    same_prices = (terms.limit_price, terms.stop_price) == (own.limit_price, own.stop_price)
    return ev.OrderAmended(
        order_id=order.order_id,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        keeps_priority=same_prices and terms.quantity <= order.quantity,
        verdict=admission.verdict,
        notional=admission.notional_added,
        margin_reserved=_margin(order, judged),
        terms=terms if others else None,
        guarantee=admission.guarantee if others else None,
    )


def _margin(order: Order, judged: Judged) -> Decimal | None:
    """Return what is bound from now on; what only takes away binds no more than its share of what was bound."""
    required = judged.admission.margin_required
    share = order.margin_per_lot * (judged.terms.quantity - order.filled)
    return None if required is None or (judged.eases and required > share) else required


def _only_takes_away(order: Order, terms: OrderTerms, moment: Moment) -> bool:
    """Whether all that changes is that there are no more lots, for no longer."""
    own = order.terms
    if not numbers_are_sane(terms=terms) or terms.quantity > order.quantity:
        return False
    if (terms.time_in_force in _AT_ONCE) is not (own.time_in_force in _AT_ONCE):
        return False
    changed = copy.copy(order)
    changed.terms, changed.day_from_us = terms, moment.now_us
    before = {"quantity": own.quantity, "time_in_force": own.time_in_force, "expires_at_us": own.expires_at_us}
    same = msgspec.structs.replace(terms, **before) == own
    return same and ends_at_us(order=changed) <= ends_at_us(order=order)


def _entered_anew(*, order: Order, terms: OrderTerms, amended: ev.OrderAmended, moment: Moment) -> Events:
    """What lost its place comes as a new order would: it may deal at once, unless it is never to take."""
    execution, changed, verdict = Execution(moment=moment), copy.copy(order), amended.verdict
    changed.terms, changed.quantity = terms, terms.quantity
    if amended.terms is not None:
        changed.guarantee = amended.guarantee
    made = plan(order=changed, quantity=changed.leaves, execution=execution)
    if terms.post_only and made.takes:
        assert verdict is not None, "somebody asked"
        denied = ev.AmendmentDenied(order_id=order.order_id, account_id=terms.account_id, terms=terms, verdict=verdict)
        return [_refused("POST_ONLY", "limit_price", "it would take liquidity"), denied]
    execution.events.append(amended)
    if made.acts and not execution.waits(order):
        execution.events.append(ev.OrderRerouted(order_id=order.order_id, routing=made.decision))
        carry_out(order=changed, plan=made, execution=execution)
    return settled(execution=execution)


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)


def unchangeable(*, order: Order, moment: Moment) -> ev.CommandRefused | None:
    """Return why nothing of an order can be changed now; None where it can."""
    if order.state.final or order.state is OrderState.WITH_DEALER:
        return _refused("ORDER_NOT_AMENDABLE", "order_id", f"the order is {order.state.value}")
    if order.routed:
        text = f"the order is {order.state.value}: {plain(order.routed)} lots of it are out at a venue"
        return _refused("ORDER_NOT_AMENDABLE", "order_id", text)
    if moment.now_us >= ends_at_us(order=order):
        text = f"the order's time is up: {order.terms.time_in_force.value} ended"
        return _refused("ORDER_NOT_AMENDABLE", "order_id", text)
    return None


def _unfit(order: Order, command: AmendOrder) -> ev.CommandRefused | None:
    """Return what is asked for that no order which works already can become."""
    own, force = order.terms, command.time_in_force
    if command.expires_at_us is not None and force not in (None, TimeInForce.GTD):
        return _refused("TIME_IN_FORCE", "expires_at", "only what is good till a date has a time to expire")
    waits = own.type in TRIGGERED_TYPES and not order.triggered
    if force in _AT_ONCE and force is not own.time_in_force and not waits:
        text = f"an order that works already cannot become {force.value}: gtc, day or gtd"
        return _refused("TIME_IN_FORCE", "time_in_force", text)
    for name in ("stop_price", "trailing_distance") if order.triggered else ():
        given = getattr(command, name)
        if given is not None and not (given.is_finite() and given == getattr(own, name)):
            return _refused("ORDER_NOT_AMENDABLE", name, "its stop was reached already")
    return None


def changed(*, order: Order, command: AmendOrder) -> OrderTerms:
    """Return the order's terms with what the command gives; NaN and its like are as good as any number here."""
    own = order.terms
    given: dict[str, Any] = {
        name: getattr(command, name)
        for name in ("limit_price", "stop_price", "trailing_distance", "guaranteed_stop")
        if getattr(command, name) is not None
    }
    exits = {name: getattr(command, name) for name in ("take_profit", "stop_loss")}
    given |= {name: price for name, price in exits.items() if price is not msgspec.UNSET}
    if given.get("stop_loss", own.stop_loss) is None and own.stop_loss is not None:
        given.setdefault("guaranteed_stop", False)  # There is no stop any more that could be guaranteed.
    if command.time_in_force is not None or command.expires_at_us is not None:
        force = given["time_in_force"] = command.time_in_force or TimeInForce.GTD
        kept = own.expires_at_us if own.time_in_force is force else None
        given["expires_at_us"] = command.expires_at_us if command.expires_at_us is not None else kept
    quantity = command.quantity if command.quantity is not None else order.quantity
    return msgspec.structs.replace(own, quantity=quantity, **given)
