"""Whole orders: fill-or-kill and all-or-none deal all of their lots or none, whatever becomes of their parts.

What the desk deals itself, crossed or kept, happens in one step; what goes to a venue may come back. So such an order
deals here altogether, or goes altogether to one venue, never both. A venue is sent fill-or-kill; one that deals a part
all the same broke its word, and then the house gives the client the rest.

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
from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, Side, TimeInForce
from piggy.core.positions import Position
from piggy.core.routing import Leg, on_step
from piggy.core.routing_rules import Treatment
from piggy.core.standing import dealable_lots
from piggy.core.state import Order

BROKEN = "fok_broken"
_FOK, _BUY = TimeInForce.FOK, Side.BUY


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to deal an order: what is crossed, what is passed on, what is kept, and why."""

    meeting: Meeting
    a_lots: Decimal
    b_lots: Decimal
    why: str


def is_whole(*, terms: OrderTerms) -> bool:
    """Return whether the client wants all of it or nothing."""
    return terms.time_in_force is _FOK or terms.all_or_none


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

    The larger part draws the smaller one to its side, A's at even parts. The house keeps a whole only where its rule
    keeps a part, and only while the `opening` lots of it leave the B book, net `b_net_lots` before it closes what
    is kept of `position`, inside the rule's limit.
    """
    meeting, met = torn.meeting, torn.meeting.lots
    if meeting.ends_incoming or meeting.reduced or not torn.a_lots or not (met or torn.b_lots):
        return (torn,)
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


def make_good(*, order: Order, leg: ev.ChildOrderCreated, execution: Execution) -> bool:
    """Give the client what a venue left of a whole order that it dealt a part of; tell whether there was such a rest.

    The house fills it at the average price of what the venue dealt, cut to the tick for the client, so that the breach
    costs the client nothing. What may only reduce gets no more than there is to reduce.
    """
    terms, moment, left = order.terms, execution.moment, execution.leaves(order)
    dealt = execution.filled(order)
    if not is_whole(terms=terms) or dealt <= 0 or left <= 0 or execution.sent(order) > 0:
        return False
    position = execution.position(position_id_of(account=moment.account(terms.account_id), order=order))
    lots = dealable_lots(order=order, quantity=left, position=position, execution=execution)
    text = f"dealt {dealt} of {order.quantity} lots of an order that was fill or kill"
    if lots > 0:
        price = _average(order=order, execution=execution)
        execution.fill(
            order=order,
            quantity=lots,
            raw=price - terms.side.sign * (leg.markup or ZERO),
            price=price,
            book="B",
            counterparty=leg.venue,
            reason=f"{leg.venue} {text}: the house makes it good",
        )
    execution.events.append(
        ev.VenueReportSuspended(
            venue=leg.venue, cl_ord_id=leg.cl_ord_id, fill_id="", code=BROKEN, text=f"{text}; the house gave {lots}"
        )
    )
    if execution.leaves(order) > 0:
        execution.cancel(order=order, outcome="cancelled", reason="nothing left to reduce")
    return True


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
