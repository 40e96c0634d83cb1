"""Placing clients' orders."""

from __future__ import annotations

import msgspec

from piggy.core import events as ev
from piggy.core.aftermath import settled
from piggy.core.commands import PlaceOrder
from piggy.core.dealing import held_events, hold_for
from piggy.core.execution import Execution
from piggy.core.gatekeeping import Admission, admit
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, OrderType
from piggy.core.routing import waiting
from piggy.core.state import Order, proposed_order
from piggy.core.working import carry_out, marketable, plan, street_price

Events = list[ev.AnyEvent]
TRIGGERED_TYPES = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP, OrderType.MARKET_IF_TOUCHED)


def place(*, command: PlaceOrder, moment: Moment) -> Events:
    """Gate, then route: the answer is OrderDenied with every reason, or OrderAccepted and what follows at once."""
    if command.shadow:
        return [_shadow(placed=place(command=msgspec.structs.replace(command, shadow=False), moment=moment))]
    execution = Execution(moment=moment)
    order_id = execution.new_order_id()
    admission = admit(order_id=order_id, terms=command.terms, moment=moment)
    if not admission.verdict.passed:
        denied = ev.OrderDenied(
            order_id=order_id, terms=command.terms, source=command.source, verdict=admission.verdict
        )
        return [denied, *latched(verdict=admission.verdict, account_id=command.terms.account_id)]
    take_on(order_id=order_id, terms=command.terms, source=command.source, admission=admission, execution=execution)
    return settled(execution=execution)


def _shadow(*, placed: Events) -> ev.OrderShadowed:
    """Return what an order would have led to as one event that leads to nothing."""
    first = placed[0]
    assert isinstance(first, ev.OrderDenied | ev.OrderAccepted), first
    mine = [each for each in placed if isinstance(each, ev.OrderFilled) and each.order_id == first.order_id]
    filled = sum((fill.quantity for fill in mine), ZERO)
    worth = sum((fill.quantity * fill.price for fill in mine), ZERO)
    return ev.OrderShadowed(
        terms=first.terms,
        source=first.source,
        verdict=first.verdict,
        routing=first.routing if isinstance(first, ev.OrderAccepted) else None,
        filled=filled,
        average_price=worth / filled if filled else ZERO,
    )


def take_on(*, order_id: str, terms: OrderTerms, source: str, admission: Admission, execution: Execution) -> None:
    """Accept an order that passed and work it; a stop, or a limit away from the market, waits."""
    moment = execution.moment
    group = moment.group_of(terms.account_id)
    order = proposed_order(
        order_id=order_id, terms=terms, source=source, group=group.name, at_us=moment.now_us, seq=moment.state.seq
    )
    order.guarantee = admission.guarantee
    if terms.type in TRIGGERED_TYPES:
        waits = waiting(group=group, text="waits for its price")
        accepted = _accepted(order=order, admission=admission, routing=waits, moment=moment)
        execution.events.append(msgspec.structs.replace(accepted, terms=with_stop(terms=terms, moment=moment)))
        return
    if hold := hold_for(order=order, moment=moment):
        waits = waiting(group=group, text="waits for its price")
        accepted = _accepted(order=order, admission=admission, routing=waits, moment=moment)
        execution.events += held_events(order=order, accepted=accepted, hold=hold, now_us=moment.now_us)
        return
    made = plan(order=order, quantity=terms.quantity, execution=execution)
    if order.rests and not made.acts and not marketable(order=order, moment=moment):
        made = msgspec.structs.replace(made, decision=msgspec.structs.replace(made.decision, text=_rests(order)))
    execution.events.append(_accepted(order=order, admission=admission, routing=made.decision, moment=moment))
    if terms.post_only and made.takes:
        execution.cancel(order=order, outcome="cancelled", reason="post only: it would have taken liquidity")
        return
    carry_out(order=order, plan=made, execution=execution)


def _accepted(*, order: Order, admission: Admission, routing: ev.RoutingDecision, moment: Moment) -> ev.OrderAccepted:
    mark = moment.marks.get(order.terms.symbol)
    return ev.OrderAccepted(
        order_id=order.order_id,
        terms=order.terms,
        source=order.source,
        group=order.group,
        verdict=admission.verdict,
        routing=routing,
        margin_reserved=admission.margin_required or ZERO,
        notional=admission.notional,
        conversion_rate=admission.conversion_rate,
        arrival_bid=mark.bid if mark else None,
        arrival_ask=mark.ask if mark else None,
        guarantee=admission.guarantee,
    )


def latched(*, verdict: ev.Verdict, account_id: str) -> Events:
    """Latch the execution throttle when it first refuses (P-15): what ran away does not start again by itself."""
    # A limit that nobody set refuses, and tells of nothing that ran away.
    ran_away = any(check.code == "P-15" and check.value and check.limit for check in verdict.reasons)
    return [ev.ThrottleLatched(account_id=account_id)] if ran_away else []


def with_stop(*, terms: OrderTerms, moment: Moment) -> OrderTerms:
    """Give a trailing stop its first price, its distance behind the market that its client would deal at."""
    if terms.type is not OrderType.TRAILING_STOP or terms.stop_price is not None or terms.trailing_distance is None:
        return terms
    price = street_price(terms=terms, moment=moment)
    if price is None:
        return terms
    return msgspec.structs.replace(terms, stop_price=price + terms.side.sign * terms.trailing_distance)


def _rests(order: Order) -> str:
    return f"rests in the internal book at {order.terms.limit_price}"
