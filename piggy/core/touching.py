"""Touching: what moved prices and passing time do to orders and accounts, without anybody asking.

Stops trigger, resting limits deal, margin is called, accounts are stopped out one position at a time: after each close
the account is looked at again, so no more is closed than needed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from decimal import Decimal

from piggy.core import events as ev
from piggy.core.aftermath import settled
from piggy.core.commands import ActOnPrices, ActOnTime
from piggy.core.execution import Execution
from piggy.core.funds import Funds, position_profit
from piggy.core.gatekeeping import Admission
from piggy.core.margin_watch import safe_bands
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.core.placing import take
from piggy.core.positions import Position
from piggy.core.rollover import next_rollover_at_us
from piggy.core.state import Order
from piggy.core.working import carry_out, marketable, plan, street_price

Events = list[ev.AnyEvent]
ORDERS_PER_STEP_MAX = 500
TRAILING_STEPS = 10


def act_on_prices(*, command: ActOnPrices, moment: Moment) -> Events:
    """Do what the prices of `symbols` now call for; asking again with the same prices does nothing more."""
    execution = Execution(moment=moment)
    accounts: set[str] = set()
    for symbol in command.symbols:
        if symbol not in moment.state.instruments:
            continue
        _trigger_stops(symbol=symbol, execution=execution)
        _fill_touched(symbol=symbol, execution=execution)
        accounts |= moment.watch.unsafe(accounts=moment.state.holders.get(symbol, set()))
    for account_id in sorted(accounts):
        _watch_margin(account_id=account_id, execution=execution)
    return settled(execution=execution)


def act_on_time(*, command: ActOnTime, moment: Moment) -> Events:
    """Expire what is due; lots out at a venue are waited for."""
    execution = Execution(moment=moment)
    for order_id in sorted(moment.state.expiring):
        order = moment.state.orders[order_id]
        if moment.now_us >= expires_at_us(order=order) and not order.routed:
            execution.cancel(order=order, outcome="expired", reason=f"{order.terms.time_in_force.value} ended")
    return execution.events


def expires_at_us(*, order: Order) -> int:
    """Return when the order ends by itself: its own time, or the end of the trading day it came in."""
    if order.terms.time_in_force is TimeInForce.GTD and order.terms.expires_at_us is not None:
        return order.terms.expires_at_us
    return next_rollover_at_us(at_us=order.accepted_at_us)


def _trigger_stops(*, symbol: str, execution: Execution) -> None:
    moment = execution.moment
    best = moment.market.best(symbol=symbol, now_us=moment.now_us)
    if best is None or best.bid is None or best.ask is None:
        return
    for order_id in sorted(moment.state.stops.get(symbol, ()))[:ORDERS_PER_STEP_MAX]:
        order = moment.state.orders[order_id]
        if order.terms.type is OrderType.TRAILING_STOP:
            _trail(order=order, execution=execution)
        if not _stop_reached(order=order, moment=moment):
            continue
        execution.events.append(
            ev.OrderTriggered(
                order_id=order_id, bid=best.bid.price, ask=best.ask.price, stop_price=order.terms.stop_price
            )
        )
        triggered = copy.copy(order)
        triggered.triggered = True
        _work(order=triggered, execution=execution)


def _stop_reached(*, order: Order, moment: Moment) -> bool:
    """A buy stop is reached by the client's ask, a sell stop by the client's bid; if touched works the other way."""
    stop, price = order.terms.stop_price, street_price(terms=order.terms, moment=moment)
    if stop is None or price is None:
        return False
    against = -1 if order.terms.type is OrderType.MARKET_IF_TOUCHED else 1
    return order.terms.side.sign * against * (price - stop) >= 0


def _trail(*, order: Order, execution: Execution) -> None:
    """Pull a trailing stop after the market, never back; moves below a tenth of its distance are not worth a line."""
    terms, price = order.terms, street_price(terms=order.terms, moment=execution.moment)
    if price is None or terms.trailing_distance is None:
        return
    behind = price + terms.side.sign * terms.trailing_distance
    stop = terms.stop_price if terms.stop_price is not None else behind + terms.side.sign * terms.trailing_distance
    if terms.side.sign * (stop - behind) * TRAILING_STEPS < terms.trailing_distance:
        return
    execution.events.append(
        ev.OrderAmended(
            order_id=order.order_id,
            quantity=order.quantity,
            limit_price=terms.limit_price,
            stop_price=behind,
            keeps_priority=True,
        )
    )


def _fill_touched(*, symbol: str, execution: Execution) -> None:
    state = execution.moment.state
    for side in (Side.BUY, Side.SELL):
        touched: list[Order] = []
        for order_id, _ in state.resting[symbol].best_first(side=side):
            order = state.orders[order_id]
            if len(touched) >= ORDERS_PER_STEP_MAX or not _reachable(order=order, execution=execution):
                break
            if execution.free(order) > 0 and marketable(order=order, moment=execution.moment):
                touched.append(order)
        for order in touched:
            if execution.free(order) > 0:
                _work(order=order, execution=execution)


def _reachable(*, order: Order, execution: Execution) -> bool:
    """Whether the street's raw price is inside the limit; past the first that is not, no better priced one follows."""
    levels = execution.moment.levels(symbol=order.terms.symbol, side=order.terms.side)
    limit = order.terms.limit_price
    return bool(levels) and limit is not None and order.terms.side.sign * (limit - levels[0].price) >= 0


def _work(*, order: Order, execution: Execution) -> None:
    made = plan(order=order, quantity=execution.free(order), execution=execution)
    if made.lots > 0 or not order.rests:
        execution.events.append(ev.OrderRerouted(order_id=order.order_id, routing=made.decision))
        carry_out(order=order, plan=made, execution=execution)


def _watch_margin(*, account_id: str, execution: Execution) -> None:
    moment = execution.moment
    funds, group = moment.funds(account_id), moment.group_of(account_id)
    level = funds.level_percent
    if not funds.priced or level is None:
        return
    called = account_id in moment.state.margin_called
    if level <= group.margin_call_percent and not called:
        execution.events.append(
            ev.MarginCalled(
                account_id=account_id, equity=funds.equity, used_margin=funds.used_margin, level_percent=level
            )
        )
    elif level > group.margin_call_percent and called:
        execution.events.append(ev.MarginRestored(account_id=account_id, level_percent=level))
    elif not called:
        bands = safe_bands(
            state=moment.state, account_id=account_id, funds=funds, marks=moment.marks, pairs=moment.pairs
        )
        if bands is not None:
            moment.watch.trust(account_id=account_id, bands=bands)
    if level <= group.stop_out_percent:
        _stop_out(account_id=account_id, funds=funds, level=level, execution=execution)


def _stop_out(*, account_id: str, funds: Funds, level: Decimal, execution: Execution) -> None:
    """Close the largest loser that has a live price and no close under way."""
    moment = execution.moment
    losers = sorted(_closable(account_id=account_id, moment=moment), key=lambda pair: (pair[0], pair[1].position_id))
    if not losers:
        return
    _, position = losers[0]
    execution.events.append(
        ev.StoppedOut(
            account_id=account_id,
            equity=funds.equity,
            used_margin=funds.used_margin,
            level_percent=level,
            positions=(position.position_id,),
        )
    )
    terms = OrderTerms(
        account_id=account_id,
        symbol=position.symbol,
        side=position.side.contra,
        quantity=position.lots,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
        position_id=position.position_id,
        tag="stop_out",
    )
    # A stop-out is the desk's own close: it passes no gate, for a gate that refused it would make the loss larger.
    verdict = ev.Verdict(
        terms_hash="",
        config_version=moment.state.config_version,
        checks=(ev.Check(code="STOP_OUT", passed=True, value=f"{level:.2f}", text="closed by the desk"),),
    )
    take(
        order_id=execution.new_order_id(),
        terms=terms,
        source="stop_out",
        admission=Admission(verdict=verdict, margin_required=ZERO),
        execution=execution,
    )


def _closable(*, account_id: str, moment: Moment) -> Iterable[tuple[Decimal, Position]]:
    state = moment.state
    closing = {
        state.orders[order_id].terms.symbol
        for order_id in state.open_orders.get(account_id, ())
        if state.orders[order_id].source == "stop_out"
    }
    for position_id in state.positions_of.get(account_id, ()):
        position = state.positions[position_id]
        if position.symbol in closing or not moment.levels(symbol=position.symbol, side=position.side.contra):
            continue
        profit = position_profit(state=state, position=position, marks=moment.marks, pairs=moment.pairs)
        if profit is not None:
            yield profit, position
