"""Venue reports: what an LP says of a child order, turned into events, once each, in whatever order they arrive.

A report that fits no order of ours is suspended for a person to look at: kept in the log, never dropped (F-14).
"""

from __future__ import annotations

import copy
from decimal import Context, Decimal

from piggy.core import covering
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.aftermath import settled
from piggy.core.commands import RecordVenueAck, RecordVenueDone, RecordVenueDoubt, RecordVenueFill, RecordVenueReject
from piggy.core.correction_events import ITS_OWN, Place
from piggy.core.execution import Execution
from piggy.core.instruments import Instrument
from piggy.core.leaving import has_left, parent_id
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.pricing import at_least_as_good, client_price
from piggy.core.quotefilter import PRICE_MAX
from piggy.core.retrying import ATTEMPTS_MAX, may_rest, told
from piggy.core.routing import waiting
from piggy.core.standing import VENUE_SYMBOL
from piggy.core.state import Child, Hedge, Order
from piggy.core.storms import NOT_SENT, storm
from piggy.core.venue_books import booked
from piggy.core.venue_cancels import end_if_asked
from piggy.core.whole_orders import deal_house_part, is_whole, make_good
from piggy.core.working import carry_out, end_if_nothing_works, plan

Events = list[ev.AnyEvent]
STOPPED = (TradingState.HALTED, TradingState.KILLED)
# Of one execution: venues write doubles to their last digit, as 1.1000000000000001. Its worth in its quote currency.
FINEST, WORTH_MAX = Decimal("1E-20"), Decimal(10) ** 15
WIDE = Context(prec=40)


def record_ack(*, command: RecordVenueAck, moment: Moment) -> Events:
    """The venue has the order."""
    child = moment.state.children.get(command.cl_ord_id)
    if child is None or child.created.venue != command.venue:
        return _of_no_leg(child, command, "acknowledged an order we never sent", moment)
    if child.closed or child.differs or (child.acknowledged and not child.in_doubt):
        # Of a leg whose end was told and a fill of which is missing, that it began settles nothing.
        return []
    return [
        ev.ChildOrderAcknowledged(
            order_id=child.created.order_id,
            cl_ord_id=command.cl_ord_id,
            venue_order_id=command.venue_order_id,
            occurred_at_us=command.occurred_at_us,
        )
    ]


def record_fill(*, command: RecordVenueFill, moment: Moment) -> Events:
    """An execution at the venue fills the client at the same price plus his group's markup."""
    state = moment.state
    if (command.venue, command.fill_id) in state.venue_fills:
        return []
    child = state.children.get(command.cl_ord_id)
    wrong = _misfit(command, child, moment)
    if child is None or wrong:
        return [
            suspended(
                venue=command.venue,
                cl_ord_id=command.cl_ord_id,
                code=wrong,
                text=_described(command),
                fill_id=command.fill_id,
            ),
            *_stop_symbol(command, wrong, moment),
        ]
    hedge = state.hedges.get(child.created.order_id)
    if hedge is not None:
        return _fill_hedge(hedge=hedge, child=child, command=command, moment=moment)
    order = state.orders[child.created.order_id]
    execution = Execution(moment=moment)
    execution.events += [*_dealt(command, child, moment), *beyond_limit(fill=command, child=child)]
    execution.release(order=order, lots=min(command.quantity, child.leaves))
    lots = min(command.quantity, max(ZERO, execution.free(order)))
    fill_client(order=order, child=child, command=command, lots=lots, execution=execution)
    closing = _missing_fill_came(command, child)
    if not closing:
        deal_house_part(order=order, leg=child.created, execution=execution)
        if not end_if_asked(order=order, execution=execution):
            # It was sent for all that was shown: what was beyond that waits only where it is a limit.
            end_if_nothing_works(order=order, execution=execution)
        return settled(execution=execution)
    left = child.leaves - command.quantity
    execution.events += closing
    execution.release(order=order, lots=left)
    execution.come_back(order=order, lots=left)
    return work_on(order=order, lots=left, leg=child.created, execution=execution)


def record_reject(*, command: RecordVenueReject, moment: Moment) -> Events:
    """The venue refused the leg: ask the next one."""
    child = moment.state.children.get(command.cl_ord_id)
    if child is None or child.created.venue != command.venue:
        return _of_no_leg(child, command, f"rejected: {command.text}", moment)
    if child.closed or child.differs:
        # Nor does a refusal of what the venue says it has dealt: whether those lots live, nobody knows.
        return []
    closed = leg_closed(
        child=child,
        filled=child.filled,
        text=command.text,
        at_us=command.occurred_at_us,
        outcome="rejected",
        code=command.code,
    )
    return [*_give_back(child=child, closed=closed, moment=moment), *_stop_storm(closed, moment)]


def record_done(*, command: RecordVenueDone, moment: Moment) -> Events:
    """The leg ended at the venue; what it did not fill is looked for elsewhere."""
    child = moment.state.children.get(command.cl_ord_id)
    if child is None or child.created.venue != command.venue:
        return _of_no_leg(child, command, f"ended: {command.text}", moment)
    if child.closed:
        return []
    if command.filled not in (child.filled, child.filled_before_busts):
        # What was said before a bust may be heard after it. Else a fill of this leg, or the bust of
        # one, is still on its way; the leg stays open until it has arrived.
        text = f"ended with {command.filled} lots filled, {child.filled} known"
        return _doubt(child, text, command.occurred_at_us, filled=command.filled)
    closed = leg_closed(child=child, filled=child.filled, text=command.text, at_us=command.occurred_at_us)
    return _give_back(child=child, closed=closed, moment=moment)


def record_doubt(*, command: RecordVenueDoubt, moment: Moment) -> Events:
    """Nobody knows what became of the leg: it counts as live, and nothing is sent again, until a status settles it."""
    child = moment.state.children.get(command.cl_ord_id)
    if child is None or child.closed or child.created.venue != command.venue or child.filled_at_venue is not None:
        # What the venue said of its end outweighs a doubt that was told late: only a fill is missing.
        return []
    return _doubt(child, command.text, command.occurred_at_us)


def _of_no_leg(
    child: Child | None, command: RecordVenueAck | RecordVenueReject | RecordVenueDone, text: str, moment: Moment
) -> Events:
    """Set a report aside that no leg of ours fits, or that speaks of another venue's leg, which only that one may end.

    Of what left every leg had ended, so there it says nothing new.
    """
    if has_left(state=moment.state, order_id=parent_id(cl_ord_id=command.cl_ord_id)):
        return []
    code = "unknown_order" if child is None else "wrong_venue"
    return [suspended(venue=command.venue, cl_ord_id=command.cl_ord_id, code=code, text=text)]


def _give_back(*, child: Child, closed: ev.ChildOrderClosed, moment: Moment) -> Events:
    """Close the leg and work the lots that came back at once, elsewhere."""
    hedge = moment.state.hedges.get(child.created.order_id)
    if hedge is not None:
        return [closed, *covering.ended(hedge=hedge, child=child, lots=ZERO, moment=moment)]
    order = moment.state.orders[child.created.order_id]
    execution = Execution(moment=moment)
    execution.events.append(closed)
    execution.release(order=order, lots=child.leaves)
    execution.come_back(order=order, lots=child.leaves)
    order = _given_back(order, child, refused=closed.outcome == "rejected" or child.asked_back, moment=moment)
    return work_on(order=order, lots=child.leaves, leg=child.created, execution=execution)


def work_on(*, order: Order, lots: Decimal, leg: ev.ChildOrderCreated, execution: Execution) -> Events:
    """Work the lots that came back from a venue with `leg` elsewhere; an order that nobody takes and that may not rest
    ends. Of a whole order that the venue dealt a part of, the house gives the rest.
    """
    if make_good(order=order, leg=leg, execution=execution):
        return settled(execution=execution)
    if end_if_asked(order=order, execution=execution):
        return settled(execution=execution)
    free = execution.free(order)
    lots = free if is_whole(terms=order.terms) else min(lots, free)
    if lots > 0 and (order.attempts < ATTEMPTS_MAX or order.guaranteed or may_rest(order)):
        again = plan(order=order, quantity=lots, execution=execution)
        if again.lots > 0:
            execution.events.append(ev.OrderRerouted(order_id=order.order_id, routing=again.decision))
            carry_out(order=order, plan=again, execution=execution)
            return settled(execution=execution)
        if order.misses and may_rest(order):
            rests = waiting(group=execution.moment.group_of(order.terms.account_id), text=told(order=order))
            execution.events.append(ev.OrderRerouted(order_id=order.order_id, routing=rests))
    end_if_nothing_works(order=order, execution=execution)
    return settled(execution=execution)


def _dealt(command: RecordVenueFill, child: Child, moment: Moment) -> tuple[ev.AnyEvent, ...]:
    """Return the execution, after what it made at its venue."""
    fill, instrument = child_filled(command=command, child=child), moment.instrument(command.symbol)
    return booked(events=(fill,), books=moment.state.venue_books, instrument=instrument)


def _stop_symbol(command: RecordVenueFill, wrong: str, moment: Moment) -> Events:
    """Stop a symbol at a venue whose fill fits nothing of ours (F-14): who knows what else lives there."""
    key, state = f"{command.venue}/{command.symbol}", moment.state
    known = state.trading_states.get((VENUE_SYMBOL, key), TradingState.ACTIVE)
    if known in STOPPED or command.symbol not in state.instruments or command.venue not in state.venues:
        return []
    reason = f"a fill that fits no order: {wrong}"
    return [ev.TradingStateChanged(scope=VENUE_SYMBOL, key=key, state=TradingState.HALTED, reason=reason, by="desk")]


def _stop_storm(closed: ev.ChildOrderClosed, moment: Moment) -> Events:
    """Switch a venue off whose rejects have become a storm with this one (F-17); a person switches it on again."""
    state, scope = moment.state, ("venue", closed.venue)
    if closed.code == NOT_SENT or state.trading_states.get(scope, TradingState.ACTIVE) is not TradingState.ACTIVE:
        return []
    record = state.venue_records[closed.venue]
    answers = (*record.answers, (moment.now_us, True))
    reason = storm(streak=record.rejects_in_a_row + 1, answers=answers, now_us=moment.now_us)
    if not reason:
        return []
    halted = TradingState.HALTED
    return [ev.TradingStateChanged(scope="venue", key=closed.venue, state=halted, reason=reason, by="desk")]


def _given_back(order: Order, child: Child, *, refused: bool, moment: Moment) -> Order:
    """Return the order as it will be once the end of its leg is applied, as far as that leads to another choice."""
    later = copy.copy(order)
    if refused:
        later.refused_by = order.refused_by | {child.created.venue}
    if refused or not child.filled:
        later.misses, later.given_back_at_us = order.misses + 1, moment.now_us
    return later


def _fill_hedge(*, hedge: Hedge, child: Child, command: RecordVenueFill, moment: Moment) -> Events:
    fill = child_filled(command=command, child=child)
    closing = _missing_fill_came(command, child)
    events: Events = [*_dealt(command, child, moment), _house_filled(hedge, fill, moment)]
    events += [*beyond_limit(fill=command, child=child), *closing]
    if closing or child.leaves <= command.quantity:
        events += covering.ended(hedge=hedge, child=child, lots=command.quantity, moment=moment)
    return events


def beyond_limit(*, fill: RecordVenueFill, child: Child) -> Events:
    """Tell a person of an execution worse than what the venue was told: it counts, and the venue owes the rest."""
    limit = child.created.limit_price
    if at_least_as_good(price=fill.price, limit=limit, side=fill.side):
        return []
    text = f"{_described(fill)} is beyond the limit of {limit}"
    names = {"venue": fill.venue, "cl_ord_id": fill.cl_ord_id, "fill_id": f"{fill.fill_id}/limit"}
    return [suspended(code="beyond_limit", text=text, **names)]


def _house_filled(hedge: Hedge, fill: ev.ChildOrderFilled, moment: Moment) -> ev.HedgeFilled:
    position = covering.house_position(fill=fill, moment=moment)
    return covering.hedge_filled(hedge=hedge, fill=fill, moment=moment, position=position)


def _missing_fill_came(command: RecordVenueFill, child: Child) -> Events:
    """Close a leg that the venue had said ended with as many lots as are known now: only this fill was missing."""
    known = child.filled + command.quantity
    if child.filled_at_venue != known or known >= child.created.quantity:
        return []
    return [leg_closed(child=child, filled=known, text="ended at the venue", at_us=command.occurred_at_us)]


def fill_client(
    *, order: Order, child: Child, command: RecordVenueFill, lots: Decimal, execution: Execution, place: Place = ITS_OWN
) -> None:
    """Give the client `lots` of an execution at its price and markup, in the `place` of one that it corrects.

    More than those is the house's.
    """
    if lots > 0:
        _deal(order=order, child=child, command=command, lots=lots, execution=execution, place=place)
    if lots < command.quantity:
        # The client has what he asked for; the rest is the house's until a dealer decides.
        text = f"{command.quantity - lots} lots of {_described(command)} belong to no client"
        house = suspended(
            venue=command.venue,
            cl_ord_id=command.cl_ord_id,
            code="overfill",
            text=text,
            fill_id=f"{command.fill_id}/house",
        )
        execution.events.append(house)


def _deal(
    *, order: Order, child: Child, command: RecordVenueFill, lots: Decimal, execution: Execution, place: Place
) -> None:
    terms, markup = order.terms, child.created.markup
    if markup is None:
        markup = execution.moment.markup(
            account_id=terms.account_id, symbol=terms.symbol, side=terms.side, lots=terms.quantity, firm=True
        )
    market = price = client_price(raw=command.price, markup=markup or ZERO, side=terms.side)
    limit = terms.limit_price
    if order.guaranteed and terms.stop_price is not None:
        price = terms.stop_price
    elif limit is not None:
        # Nobody deals beyond the limit he named, whatever the venue did: the house bears the difference.
        price = min(price, limit) if order.terms.side is Side.BUY else max(price, limit)
    execution.fill(
        order=order,
        quantity=lots,
        raw=command.price,
        price=price,
        book="A",
        counterparty=command.venue,
        reason=f"filled by {command.venue}",
        dealt=(child.created.cl_ord_id, command.fill_id),
        market=market if order.guaranteed else None,
        place=place,
    )


def _misfit(command: RecordVenueFill, child: Child | None, moment: Moment) -> str:
    if child is None:
        return "unknown_order"
    if child.created.venue != command.venue:
        return "wrong_venue"
    if child.created.symbol != command.symbol or child.created.side is not command.side:
        return "wrong_order"
    if not is_dealable(fill=command, instrument=moment.instrument(command.symbol)):
        return "bad_numbers"
    return "overfill" if child.filled + command.quantity > child.created.quantity else ""


def is_dealable(*, fill: RecordVenueFill, instrument: Instrument) -> bool:
    """Return whether an execution can have these numbers; with others, exact arithmetic would run out of digits."""
    for number in (fill.quantity, fill.price):
        if not (number.is_finite() and ZERO < number <= PRICE_MAX and number == number.quantize(FINEST, context=WIDE)):
            return False
    return instrument.notional(lots=fill.quantity, price=fill.price) <= WORTH_MAX


def _described(command: RecordVenueFill) -> str:
    return f"{command.side.value} {command.quantity} {command.symbol} at {command.price} by {command.venue}"


def child_filled(*, command: RecordVenueFill, child: Child) -> ev.ChildOrderFilled:
    """Return the execution as the log keeps it."""
    return ev.ChildOrderFilled(
        order_id=child.created.order_id,
        cl_ord_id=command.cl_ord_id,
        venue=command.venue,
        fill_id=command.fill_id,
        symbol=command.symbol,
        side=command.side,
        quantity=command.quantity,
        price=command.price,
        occurred_at_us=command.occurred_at_us,
    )


def leg_closed(
    *, child: Child, filled: Decimal, text: str, at_us: int, outcome: str = "cancelled", code: str = ""
) -> ev.ChildOrderClosed:
    """Return the end of a leg with `filled` lots."""
    return ev.ChildOrderClosed(
        order_id=child.created.order_id,
        cl_ord_id=child.created.cl_ord_id,
        venue=child.created.venue,
        outcome=outcome,
        filled=filled,
        code=code,
        text=text,
        occurred_at_us=at_us,
    )


def _doubt(child: Child, text: str, at_us: int, *, filled: Decimal | None = None) -> Events:
    if child.in_doubt and child.filled_at_venue == filled:
        return []
    return [
        ev.ChildOrderInDoubt(
            order_id=child.created.order_id,
            cl_ord_id=child.created.cl_ord_id,
            venue=child.created.venue,
            text=text,
            occurred_at_us=at_us,
            filled=filled,
        )
    ]


def suspended(*, venue: str, cl_ord_id: str, code: str, text: str, fill_id: str = "") -> ev.VenueReportSuspended:
    """Return a report that fits nothing of ours, kept for a person to look at."""
    return ev.VenueReportSuspended(venue=venue, cl_ord_id=cl_ord_id, fill_id=fill_id, code=code, text=text)
