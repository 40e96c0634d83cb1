"""Folding: how each event changes the state. No price, no clock, no refusal.

`fold` takes every event the log can hold; a desk recovered from the log equals the desk that lived through it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.amendment_folding import AMENDMENT_HANDLERS, ENDING, count_message, count_reject, part
from piggy.core.auctions import CrossedAt
from piggy.core.control_folding import CONTROL_HANDLERS, set_limits
from piggy.core.correction_folding import CORRECTION_HANDLERS
from piggy.core.dealer_folding import DEALER_HANDLERS
from piggy.core.events import Recorded
from piggy.core.expiry_folding import EXPIRY_HANDLERS
from piggy.core.leaving_folding import ID_OF, LEAVING_HANDLERS, follow
from piggy.core.margining import bind_anew
from piggy.core.money import ZERO
from piggy.core.money_folding import MONEY_HANDLERS
from piggy.core.orders import CLOSE_ALL, NO_EXECUTIONS, NO_MESSAGES, OrderState, OrderType, Side
from piggy.core.position_folding import bind, count_turnover, move_position, reserve, work
from piggy.core.resting import RestingOrders
from piggy.core.rollover import ONE_DAY, business_date
from piggy.core.state import Exposure, Order, State, accepted_order, activity_of, record_of
from piggy.core.stop_folding import file_stop, refile_account, refile_group
from piggy.core.venue_books import take_settled
from piggy.core.venue_folding import VENUE_HANDLERS, score_venue


def fold(*, state: State, recorded: Recorded) -> None:
    """Fold one event in."""
    kind = type(recorded.event)
    HANDLERS[kind](state, recorded.event, recorded)
    if kind in ID_OF:
        follow(state=state, recorded=recorded)
    state.seq = recorded.seq
    if state.last_rollover is None:
        # The log begins in this business date, so every earlier one has ended.
        state.last_rollover = business_date(at_us=recorded.recorded_at_us) - ONE_DAY


def _instrument(state: State, event: ev.InstrumentConfigured, recorded: Recorded) -> None:
    known = state.instruments.get(event.instrument.symbol)
    if known is not None and known.option != event.instrument.option:
        state.expired.pop(event.instrument.symbol, None)  # Listed anew, it lives again.
    state.instruments[event.instrument.symbol] = event.instrument
    state.exposure.setdefault(event.instrument.symbol, Exposure())
    state.resting.setdefault(event.instrument.symbol, RestingOrders())
    state.config_version += 1


def _group(state: State, event: ev.GroupConfigured, recorded: Recorded) -> None:
    state.groups[event.group.name] = event.group
    set_limits(state=state, group=event.group.name)
    state.config_version += 1


def _account(state: State, event: ev.AccountConfigured, recorded: Recorded) -> None:
    account, known = event.account, state.accounts.get(event.account.account_id)
    state.accounts[account.account_id] = account
    if known is not None and known.group != account.group:
        refile_account(state=state, account_id=account.account_id)
    state.balances.setdefault(account.account_id, ZERO)
    state.config_version += 1


def _venue(state: State, event: ev.VenueConfigured, recorded: Recorded) -> None:
    state.venues[event.venue.name] = event.venue
    record_of(state=state, venue=event.venue.name)
    state.config_version += 1


def _strategy(state: State, event: ev.StrategyConfigured, recorded: Recorded) -> None:
    state.strategies[event.strategy.strategy_id] = event.strategy
    state.config_version += 1


def _limits(state: State, event: ev.LimitsConfigured, recorded: Recorded) -> None:
    state.limits[event.group] = event.limits
    set_limits(state=state, group=event.group)
    state.config_version += 1


def _pricing(state: State, event: ev.PricingConfigured, recorded: Recorded) -> None:
    state.profiles[(event.group, event.symbol)] = event.profile
    refile_group(state=state, group=event.group, symbol=event.symbol)
    state.config_version += 1


def _routing(state: State, event: ev.RoutingConfigured, recorded: Recorded) -> None:
    state.policy = event.policy
    state.config_version += 1


def _account_scored(state: State, event: ev.AccountScored, recorded: Recorded) -> None:
    state.markout_scores[event.account_id] = event.score


def _venue_scored(state: State, event: ev.VenueScored, recorded: Recorded) -> None:
    state.markouts[event.venue] = event.markout_bps
    score_venue(state, event.venue)


def _trading_state(state: State, event: ev.TradingStateChanged, recorded: Recorded) -> None:
    state.trading_states[(event.scope, event.key)] = event.state
    state.stopped_by[(event.scope, event.key)] = event.by
    if event.scope == "venue" and event.state is TradingState.ACTIVE and event.key in state.venue_records:
        # A person took the venue back: what it refused before is forgiven.
        state.venue_records[event.key].answers.clear()
        state.venue_records[event.key].rejects_in_a_row = 0
    state.config_version += 1


def _nothing(state: State, event: ev.Event, recorded: Recorded) -> None:
    """The log remembers it; no state follows from it."""


def _denied(state: State, event: ev.OrderDenied, recorded: Recorded) -> None:
    state.order_count += 1
    if event.source != CLOSE_ALL:
        count_message(state=state, terms=event.terms, recorded=recorded)
        count_reject(state=state, account_id=event.terms.account_id, reasons=event.verdict.reasons, recorded=recorded)
    state.orders[event.order_id] = Order(
        order_id=event.order_id,
        terms=event.terms,
        source=event.source,
        group="",
        routing=None,
        state=OrderState.DENIED,
        quantity=event.terms.quantity,
        accepted_at_us=recorded.recorded_at_us,
        seq=recorded.seq,
        reasons=event.verdict.reasons,
    )


def _accepted(state: State, event: ev.OrderAccepted, recorded: Recorded) -> None:
    state.order_count += 1
    order = accepted_order(event=event, at_us=recorded.recorded_at_us, seq=recorded.seq)
    account_id = event.terms.account_id
    state.orders[order.order_id] = order
    if event.source not in NO_MESSAGES:
        count_message(state=state, terms=event.terms, recorded=recorded, notional=event.notional)
        state.activity[account_id].accept()
    state.overrides.pop(event.verdict.terms_hash, None)
    state.open_orders.setdefault(account_id, set()).add(order.order_id)
    state.reserved[account_id] = state.reserved.get(account_id, ZERO) + event.margin_reserved
    work(state=state, order=order, lots=order.quantity, price=_price_of(event))
    if event.conversion_rate is not None:
        quote = state.instruments[event.terms.symbol].quote
        state.rates.setdefault((quote, state.accounts[account_id].currency), event.conversion_rate)
    if order.terms.oco_group:
        state.oco.setdefault((account_id, order.terms.oco_group), set()).add(order.order_id)
    if order.terms.time_in_force in ENDING:
        state.expiring.add(order.order_id)
    if order.guaranteed:
        state.guaranteed.setdefault(account_id, set()).add(order.order_id)
    if order.rests:
        state.resting[event.terms.symbol].add(order_id=order.order_id, terms=order.terms, seq=order.seq)
    elif event.terms.stop_price is not None or event.terms.type is OrderType.TRAILING_STOP:
        file_stop(state=state, order=order)


def _price_of(event: ev.OrderAccepted) -> Decimal | None:
    """Return the price that an order is valued at until it deals: its own, else the market's when it came."""
    terms = event.terms
    if terms.limit_price is not None:
        return terms.limit_price
    if terms.stop_price is not None:
        return terms.stop_price
    return event.arrival_ask if terms.side is Side.BUY else event.arrival_bid


def _rerouted(state: State, event: ev.OrderRerouted, recorded: Recorded) -> None:
    order = state.orders[event.order_id]
    order.routing = event.routing
    order.text = event.routing.text


def _triggered(state: State, event: ev.OrderTriggered, recorded: Recorded) -> None:
    order = state.orders[event.order_id]
    order.triggered = True
    _wait_no_more(state, order)
    if order.rests:
        order.seq = recorded.seq  # From now on it stands where it came into the book, also once it is made smaller.
        state.resting[order.terms.symbol].add(order_id=order.order_id, terms=order.terms, seq=order.seq)


def _filled(state: State, event: ev.OrderFilled, recorded: Recorded) -> None:
    order = state.orders[event.order_id]
    order.filled += event.quantity
    order.notional += event.quantity * event.price
    order.fills, order.misses = order.fills + 1, 0
    order.ahead += event.ahead if event.book == "B" else -event.ahead
    if event.maker:
        known = state.crossed_at.get(event.symbol)
        state.crossed_at[event.symbol] = CrossedAt(last=event.price, static=known.static if known else event.price)
    order.commission += event.commission
    order.commission_accrued += event.commission_accrued
    count_turnover(state=state, event=event, at_us=recorded.recorded_at_us)
    account_id = event.account_id
    works = not order.state.final  # A corrected fill may belong to an order that has ended.
    if works:
        bind(state=state, order=order, lots=-event.quantity)
    result = event.realised - event.commission - event.premium
    state.balances[account_id] = state.balances.get(account_id, ZERO) + result
    activity, currency = activity_of(state=state, account_id=account_id), state.accounts[account_id].currency
    if order.source in NO_EXECUTIONS:
        activity.result(at_us=recorded.recorded_at_us, amount=result)
    else:
        activity.execution(at_us=recorded.recorded_at_us, result=result)
    state.results_today.add(at_us=recorded.recorded_at_us, currency=currency, amount=result)
    state.rates[(state.instruments[event.symbol].quote, currency)] = event.conversion_rate
    if event.book == "A" and not event.venue_booked:
        take_settled(books=state.venue_books, event=event, currency=currency)
    held = state.positions.get(event.position_id)
    worked = event.quantity if works and not order.terms.reduce_only else ZERO
    move_position(state=state, event=event, at_us=recorded.occurred_at_us, seq=recorded.seq, worked=worked)
    if event.venue_fill_id:
        dealt = state.children[event.cl_ord_id].dealt[event.venue_fill_id]
        dealt.client, dealt.client_seq, dealt.at_us = event, recorded.seq, recorded.recorded_at_us
    if order.quantity - order.filled <= 0:
        _end(state, order, OrderState.FILLED)
    elif not order.state.final:
        if order.state is not OrderState.IN_DOUBT:  # Another leg of it may be.
            order.state = OrderState.PARTIALLY_FILLED
        _refresh_iceberg(state, order, event, recorded)
    if held is not None and held.side is not event.side and state.open_orders.get(account_id):
        bind_anew(
            state=state, account_id=account_id, symbol=event.symbol, price=event.price, now_us=recorded.recorded_at_us
        )


def _refresh_iceberg(state: State, order: Order, event: ev.OrderFilled, recorded: Recorded) -> None:
    """Show the next slice at the back of the queue once the one in sight is gone."""
    display = order.terms.display_quantity
    if display is None or not order.rests or not event.maker:
        return  # What it took itself was never in sight.
    order.shown -= event.quantity
    if order.shown <= 0:
        order.shown, order.seq = min(display, order.leaves), recorded.seq
        book = state.resting[event.symbol]
        book.remove(order_id=order.order_id)
        book.add(order_id=order.order_id, terms=order.terms, seq=order.seq)


def _order_cancelled(state: State, event: ev.OrderCancelled, recorded: Recorded) -> None:
    order = state.orders[event.order_id]
    order.text = event.reason
    reserve(state=state, order=order, lots=-order.leaves)
    _end(state, order, OrderState(event.outcome))


def _margin_called(state: State, event: ev.MarginCalled, recorded: Recorded) -> None:
    state.margin_called.add(event.account_id)


def _margin_restored(state: State, event: ev.MarginRestored, recorded: Recorded) -> None:
    state.margin_called.discard(event.account_id)


def _end(state: State, order: Order, final: OrderState) -> None:
    order.state, order.margin_per_lot = final, ZERO
    working = state.open_orders[order.terms.account_id]
    working.discard(order.order_id)
    if not working:
        state.reserved[order.terms.account_id] = (
            ZERO  # What divisions left over would keep an exact sum from being free.
        )
    state.expiring.discard(order.order_id)
    if order.guaranteed:
        part(groups=state.guaranteed, group=order.terms.account_id, order_id=order.order_id)
    state.held.pop(order.order_id, None)
    if order.terms.oco_group:
        part(groups=state.oco, group=(order.terms.account_id, order.terms.oco_group), order_id=order.order_id)
    _wait_no_more(state, order)
    state.resting[order.terms.symbol].remove(order_id=order.order_id)


def _wait_no_more(state: State, order: Order) -> None:
    stops = state.stops.get(order.terms.symbol)
    if stops is not None:
        stops.discard(order_id=order.order_id)


HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    ev.InstrumentConfigured: _instrument,
    ev.GroupConfigured: _group,
    ev.AccountConfigured: _account,
    ev.VenueConfigured: _venue,
    ev.StrategyConfigured: _strategy,
    ev.LimitsConfigured: _limits,
    ev.PricingConfigured: _pricing,
    ev.RoutingConfigured: _routing,
    ev.AccountScored: _account_scored,
    ev.VenueScored: _venue_scored,
    ev.TradingStateChanged: _trading_state,
    ev.CommandRefused: _nothing,
    ev.OrderShadowed: _nothing,
    ev.OrderDenied: _denied,
    ev.OrderAccepted: _accepted,
    ev.OrderRerouted: _rerouted,
    **VENUE_HANDLERS,
    **MONEY_HANDLERS,
    **CONTROL_HANDLERS,
    **DEALER_HANDLERS,
    **CORRECTION_HANDLERS,
    **LEAVING_HANDLERS,
    **EXPIRY_HANDLERS,
    ev.OrderFilled: _filled,
    **AMENDMENT_HANDLERS,
    ev.OrderTriggered: _triggered,
    ev.OrderCancelled: _order_cancelled,
    ev.MarginCalled: _margin_called,
    ev.MarginRestored: _margin_restored,
    ev.StoppedOut: _nothing,
}
