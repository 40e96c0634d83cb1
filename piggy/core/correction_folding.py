"""Folding busts: what a venue takes back no longer counts; the fill and its bust both stay in the log (INV-23)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from piggy.core.correction_events import HedgeFillBusted, OrderFillBusted, VenueFillBusted, VenueReportParked
from piggy.core.events import OrderFilled, Recorded
from piggy.core.margining import bind_anew
from piggy.core.money import ZERO
from piggy.core.orders import OrderState
from piggy.core.position_folding import reserve, restate_position, worth_of
from piggy.core.positions import filled
from piggy.core.rollover import month_of
from piggy.core.state import State, parent_of
from piggy.core.venue_books import take_settled
from piggy.core.venue_folding import come_back, take_back


def _venue_fill_busted(state: State, event: VenueFillBusted, recorded: Recorded) -> None:
    child, order = state.children[event.cl_ord_id], parent_of(state=state, order_id=event.order_id)
    child.filled -= event.quantity
    if child.closed:
        come_back(state=state, order_id=event.order_id, lots=event.quantity)
    else:
        # What is not done any more is open again at the venue.
        order.routed += event.quantity
        if child.differs:
            child.in_doubt = True
            order.state = order.state if order.state.final else OrderState.IN_DOUBT
    take_back(state=state, event=event)
    state.venue_records[event.venue].fills -= 1
    child.superseded[event.fill_id] = event.corrected_by
    child.reports = (*child.reports, event.report_id)
    state.venue_fills.add((event.venue, event.report_id))
    state.parked.pop((event.venue, event.report_id), None)


def _order_fill_busted(state: State, event: OrderFillBusted, recorded: Recorded) -> None:
    order, account_id = state.orders[event.order_id], event.account_id
    client, at_us = _taken_from(state, event)
    order.filled -= event.quantity
    order.notional -= event.quantity * event.price
    order.commission -= event.commission
    order.commission_accrued -= event.commission_accrued
    result = event.realised + event.commission + event.premium
    state.balances[account_id] += result
    state.activity[account_id].result(at_us=recorded.recorded_at_us, amount=result)
    currency = state.accounts[account_id].currency
    state.results_today.add(at_us=recorded.recorded_at_us, currency=currency, amount=result)
    if event.book == "A" and not event.venue_booked:
        take_settled(books=state.venue_books, event=event, currency=currency)
    _uncount_turnover(state, client, at_us)
    order.ahead += event.ahead
    restate_position(state=state, event=event, client=client, now_us=recorded.recorded_at_us)
    if order.state is OrderState.FILLED:
        # It is over all the same: what a venue takes back later is not asked for again.
        order.state, order.text = OrderState.CANCELLED, event.reason
    elif not order.state.final:
        reserve(state=state, order=order, lots=event.quantity)
        if order.state is not OrderState.IN_DOUBT:
            open_ = OrderState.WORKING if event.by else OrderState.ROUTED
            order.state = OrderState.PARTIALLY_FILLED if order.filled else open_
    # Once the lots that came back bind as they did, so that none of them is counted twice.
    now_us = recorded.recorded_at_us
    bind_anew(state=state, account_id=account_id, symbol=event.symbol, price=event.price, now_us=now_us)


def _taken_from(state: State, event: OrderFillBusted) -> tuple[OrderFilled | OrderFillBusted, int]:
    """Return the fill that is taken back, and our time of it; what a venue dealt is not the client's any more."""
    client, at_us = None, event.filled_at_us
    if event.venue_fill_id:
        dealt = state.children[event.cl_ord_id].dealt[event.venue_fill_id]
        client, at_us, dealt.client = dealt.client, dealt.at_us, None
    if event.by:
        state.busted.add(event.fill_id)
        return client or event, at_us
    assert client is not None, "only a fill that the client was given can be taken back from him"
    return client, at_us


def _uncount_turnover(state: State, client: OrderFilled | OrderFillBusted, at_us: int) -> None:
    month, turnover = state.turnover[client.account_id]
    if month == month_of(at_us=client.place_at_us or at_us):
        state.turnover[client.account_id] = (month, turnover - worth_of(state=state, event=client))


def _hedge_fill_busted(state: State, event: HedgeFillBusted, recorded: Recorded) -> None:
    hedge, key = state.hedges[event.hedge_id], (event.venue, event.symbol)
    if not event.venue_booked:
        take_settled(books=state.venue_books, event=event, currency="")
    hedge.filled -= event.quantity
    if not hedge.state.final:
        before = state.hedge_pending.get(hedge.symbol, ZERO)
        state.hedge_pending[hedge.symbol] = before + event.side.sign * event.quantity
    position = filled(
        position=state.house_positions.pop(key, None),
        side=event.side.contra,
        quantity=event.quantity,
        price=event.price,
        contract_size=state.instruments[event.symbol].contract_size,
        account_id="house",
        symbol=event.symbol,
        position_id=f"{event.venue}:{event.symbol}",
    ).position
    if position is not None:
        state.house_positions[key] = position


def _parked(state: State, event: VenueReportParked, recorded: Recorded) -> None:
    state.parked[(event.report.venue, event.report.report_id)] = event


CORRECTION_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    VenueFillBusted: _venue_fill_busted,
    OrderFillBusted: _order_fill_busted,
    HedgeFillBusted: _hedge_fill_busted,
    VenueReportParked: _parked,
}
