"""Whole orders: fill-or-kill and all-or-none deal all of their lots or none, whatever becomes of their parts.

What the desk deals itself, crossed or kept, happens in one step; what goes to a venue may come back. So what such an
order opens is dealt here altogether, or goes altogether to one venue, never both. One that only closes follows the book
of its open even so: A's part goes to one venue, and once that has dealt it the house, which can always, deals its own
at the same price. A venue is sent fill-or-kill; one that deals a part all the same broke its word, and then the house
gives the client the rest.

A bust of a finished order leaves it in part: whole is how it was dealt. What the venue takes back was no trade, so the
house owes none in its place, and a price that was annulled is none to make good at.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.crossing import Meeting
from piggy.core.execution import Execution, position_id_of
from piggy.core.instruments import Instrument
from piggy.core.keeping import at_venues, once_crossed
from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, Side, TimeInForce
from piggy.core.positions import Position
from piggy.core.routing import Leg, on_step
from piggy.core.routing_rules import Treatment
from piggy.core.splitting import split
from piggy.core.standing import dealable_lots
from piggy.core.state import Order

BROKEN = "fok_broken"
_FOK, _BUY = TimeInForce.FOK, Side.BUY


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to deal an order: what is crossed, what is passed on, what is kept, and why.

    `house_last`: what is kept waits for the venue.
    """

    meeting: Meeting
    a_lots: Decimal
    b_lots: Decimal
    why: str
    house_last: bool = False


def is_whole(*, terms: OrderTerms) -> bool:
    """Return whether the client wants all of it or nothing."""
    return terms.time_in_force is _FOK or terms.all_or_none


def torn_up(
    *,
    order: Order,
    quantity: Decimal,
    meeting: Meeting,
    position: Position | None,
    treated: Treatment,
    hidden: str,
    execution: Execution,
) -> tuple[Way, Position | None, Decimal]:
    """Return how `treated` has `quantity` lots dealt, `hidden` being why if not '', and once they are crossed what is
    left of `position` and the net of the B book."""
    terms = order.terms
    instrument, bounded = execution.moment.instrument(terms.symbol), treated.b_net_max_lots is not None
    left = ZERO if meeting.ends_incoming else quantity - meeting.lots - meeting.reduced
    rest, b_net = once_crossed(
        order=order, position=position, lots=meeting.lots, bounded=bounded, execution=execution
    )  # fmt: skip
    going, coming = at_venues(order=order, position=position, execution=execution)
    a_lots, b_lots, why = split(
        treatment=treated, instrument=instrument, quantity=left, side=terms.side, position=rest, b_net_lots=b_net,
        came_back=ZERO if is_whole(terms=terms) else execution.came_back(order), going=going, coming=coming,
    )  # fmt: skip
    return Way(meeting=meeting, a_lots=a_lots, b_lots=b_lots, why=hidden or why), rest, b_net


def ways(
    *,
    terms: OrderTerms,
    quantity: Decimal,
    torn: Way,
    treated: Treatment,
    opening: Decimal,
    b_net_lots: Decimal,
    position: Position | None = None,
) -> tuple[Way, ...]:
    """Return how a whole order of `quantity` lots may be dealt, the best first, when its rule would have it `torn`.

    One that only closes is dealt in both books. Of any other the larger part draws the smaller one to its side, A's at
    even parts. The house keeps a whole only where its rule
    keeps a part, and only while the `opening` lots of it leave the B book, net `b_net_lots` before it closes what
    is kept of `position`, inside the rule's limit.
    """
    meeting, met = torn.meeting, torn.meeting.lots
    if meeting.ends_incoming or meeting.reduced or not torn.a_lots or not (met or torn.b_lots):
        return (torn,)
    if not opening and torn.b_lots and not met:
        why = f"{torn.why}; all or nothing: the house deals its {torn.b_lots} once a venue has dealt {torn.a_lots}"
        return (msgspec.structs.replace(torn, house_last=True, why=why),)
    parts = f"{met} crossed, {torn.a_lots} A, {torn.b_lots} B"
    untouched = Meeting(touched=meeting.touched)
    passed = Way(
        meeting=untouched,
        a_lots=quantity,
        b_lots=ZERO,
        why=f"{torn.why}; all or nothing: whole to A instead of {parts}",
    )
    closing = position.b_lots if position is not None and position.side is not terms.side else ZERO
    most, net = treated.b_net_max_lots, terms.side.sign * b_net_lots + closing
    if not torn.b_lots or (most is not None and opening and opening > most - net):
        return (passed,)
    kept = Way(
        meeting=meeting,
        a_lots=ZERO,
        b_lots=quantity - met,
        why=f"{torn.why}; all or nothing: none to A instead of {parts}",
    )
    return (passed, kept) if torn.a_lots >= torn.b_lots else (kept, passed)


def whole_leg(
    *, reachable: Sequence[AttributedLevel], quantity: Decimal, limit: Decimal, instrument: Instrument
) -> tuple[Leg, ...]:
    """Return one leg of all `quantity` lots for the venue that shows them soonest, from the first level on."""
    shown: dict[str, Decimal] = {}
    for level in reachable:
        lots = shown[level.venue] = shown.get(level.venue, ZERO) + on_step(lots=level.size, instrument=instrument)
        if lots >= quantity:
            return (Leg(venue=level.venue, quantity=quantity, limit_price=limit),)
    return ()


def short(*, order: Order, lots: Decimal) -> str:
    """Return why dealing `lots` now is not what the order insists on: all of it at once, or a minimum; else ''."""
    terms = order.terms
    if is_whole(terms=terms) and lots < order.quantity:
        return f"not all {order.quantity} lots can be filled at once"
    # Self-trade prevention may have made it smaller than its minimum: then that is all of it.
    if terms.minimum_quantity is not None and order.filled + lots < min(terms.minimum_quantity, order.quantity):
        return f"less than the minimum of {terms.minimum_quantity} lots can be filled"
    return ""


def deal_house_part(*, order: Order, leg: ev.ChildOrderCreated, execution: Execution) -> None:
    """Give the client what the house kept of a whole order until its venue had dealt all of `leg`."""
    if _has_rest(order=order, execution=execution):
        _give_rest(order=order, leg=leg, reason="kept, at the price of what was passed on", execution=execution)


def make_good(*, order: Order, leg: ev.ChildOrderCreated, execution: Execution) -> bool:
    """Give the client what a venue left of a whole order that it dealt a part of; tell whether there was such a rest.

    The breach costs the client nothing. A leg that is dealt in full, as a correction may make it, is none.
    """
    if not _has_rest(order=order, execution=execution):
        return False
    dealt = execution.filled(order)
    if dealt >= leg.quantity:
        deal_house_part(order=order, leg=leg, execution=execution)
        return False
    text = f"dealt {dealt} of {leg.quantity} lots of an order that was fill or kill"
    reason = f"{leg.venue} {text}: the house makes it good"
    lots = _give_rest(order=order, leg=leg, reason=reason, execution=execution)
    execution.events.append(
        ev.VenueReportSuspended(
            venue=leg.venue, cl_ord_id=leg.cl_ord_id, fill_id="", code=BROKEN, text=f"{text}; the house gave {lots}"
        )
    )
    if execution.leaves(order) > 0:
        execution.cancel(order=order, outcome="cancelled", reason="nothing left to reduce")
    return True


def _has_rest(*, order: Order, execution: Execution) -> bool:
    """Return whether a whole order is dealt in part and nothing of it is at a venue any more."""
    in_part = execution.filled(order) > 0 and execution.leaves(order) > 0
    return is_whole(terms=order.terms) and in_part and execution.sent(order) <= 0


def _give_rest(*, order: Order, leg: ev.ChildOrderCreated, reason: str, execution: Execution) -> Decimal:
    """Fill the rest at the average price of what the venue dealt, cut to the tick for the client; return the lots.

    What may only reduce gets no more than there is to reduce.
    """
    terms, moment = order.terms, execution.moment
    position = execution.position(position_id_of(account=moment.account(terms.account_id), order=order))
    left = execution.leaves(order)
    lots = dealable_lots(order=order, quantity=left, position=position, execution=execution)
    if lots > 0:
        price = _average(order=order, execution=execution)
        execution.fill(
            order=order,
            quantity=lots,
            raw=price - terms.side.sign * (leg.markup or ZERO),
            price=price,
            book="B",
            counterparty=leg.venue,
            reason=reason,
        )
    return lots


def _average(*, order: Order, execution: Execution) -> Decimal:
    """Return the client's average price so far, on the tick, rounded in the client's favour."""
    worth = order.notional
    for event in execution.events:
        if isinstance(event, ev.OrderFilled) and event.order_id == order.order_id:
            worth += event.quantity * event.price
    tick = execution.moment.instrument(order.terms.symbol).tick_size
    rounding = ROUND_FLOOR if order.terms.side is _BUY else ROUND_CEILING
    average = worth / execution.filled(order)
    return (average / tick).to_integral_value(rounding=rounding) * tick or average
