"""Touching: what moved prices and passing time do to orders and accounts, without anybody asking.

Stops trigger, resting limits deal, margin is called, accounts are stopped out (liquidation.py), orders expire.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from operator import attrgetter

from piggy.core import events as ev
from piggy.core import venue_cancels
from piggy.core.aftermath import settled
from piggy.core.auctioning import calls_due, end_calls, keep_sessions
from piggy.core.building import bases
from piggy.core.commands import ActOnPrices, ActOnTime
from piggy.core.conversion import Touch
from piggy.core.dealing import answer_overdue, is_overdue
from piggy.core.execution import Execution
from piggy.core.expiry import expire
from piggy.core.liquidation import watch_margin
from piggy.core.margining import margin_now
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import Side, TimeInForce
from piggy.core.overseeing import limits_due
from piggy.core.pricing import at_least_as_good, nearest_price
from piggy.core.profiles import builds_of
from piggy.core.rematching import rematch
from piggy.core.standing import NEVER_US, expires_at_us, is_group_stopped, may_deal
from piggy.core.state import Order, State
from piggy.core.supervising import left_behind
from piggy.core.triggering import is_reached, trigger, waits, work
from piggy.core.waiting_stops import AT_ONCE, WaitingStops
from piggy.core.working import marketable, street_price

Events = list[ev.AnyEvent]
# The second is of trailing stops that only follow: they can wait a few steps, and orders wait behind each step.
ORDERS_PER_STEP_MAX, FOLLOWED_PER_STEP_MAX = 500, 200
ENDING = (TimeInForce.DAY, TimeInForce.GTD)
ASKED_AGAIN_US = 1_000_000
NONE = WaitingStops()
_id = attrgetter("order_id")


def act_on_prices(*, command: ActOnPrices, moment: Moment) -> Events:
    """Do what the prices of `symbols` now call for; asking again with the same prices does nothing more."""
    execution, state = Execution(moment=moment), moment.state
    for symbol in filter(lambda each: moment.in_session(symbol=each), command.symbols):
        trigger_stops(symbol=symbol, execution=execution)
        _fill_touched(symbol=symbol, execution=execution)
        rematch(symbol=symbol, execution=execution)
    accounts = command.accounts
    if accounts is None:
        accounts = tuple(sorted(moment.watch.unsafe_holders(symbols=command.symbols, holders=state.holders)))
    for account_id in accounts:
        watch_margin(account_id=account_id, execution=execution)
    return settled(execution=execution)


def act_on_time(*, command: ActOnTime, moment: Moment) -> Events:
    """Expire what is due, options too; legs at venues are asked to end first. Ended news windows tax no more (P-17).

    Intraday limits that end give way to the group's own (P-28).
    """
    state, now_us = moment.state, moment.now_us
    execution = Execution(moment=moment)
    lost, reason = left_behind(state=state, now_us=now_us), "the client's connection was lost"
    venue_cancels.end(orders=lost, outcome="cancelled", reason=reason, execution=execution)
    over = [order for each in state.expiring if _is_over(order=(order := state.orders[each]), now_us=now_us)]
    for force in ENDING:
        mine = (order for order in sorted(over, key=_id) if order.terms.time_in_force is force)
        ended = [order for order in mine if execution.leaves(order) > 0]
        venue_cancels.end(orders=ended, outcome="expired", reason=f"{force.value} ended", execution=execution)
    expire(execution=execution)
    venue_cancels.give_up_waiting(execution=execution)
    answer_overdue(execution=execution)
    keep_sessions(execution=execution)
    end_calls(execution=execution)
    execution.events += [ev.LimitsReverted(group=group) for group in limits_due(state=state, now_us=now_us)]
    for account_id, symbol in sorted(key for key, until_us in state.news_until.items() if now_us >= until_us):
        margin = margin_now(state=state, account_id=account_id, symbol=symbol, now_us=now_us)
        execution.events.append(ev.SymbolMarginChanged(account_id=account_id, symbol=symbol, margin=margin))
    return settled(execution=execution)


class Deadlines:
    """When ActOnTime has something to do. Of all orders that end by themselves the earliest is remembered.

    A desk asks many times a second, and thousands of orders may be good for the day.
    """

    def __init__(self) -> None:
        self._next_us = 0

    def hear(self, *, order: Order) -> None:
        """Heed the time of an order that has just been accepted, or changed."""
        if order.terms.time_in_force in ENDING:
            self._next_us = min(self._next_us, expires_at_us(order=order))

    def time_is_up(self, *, state: State, now_us: int) -> bool:
        """Return whether ActOnTime has something to do."""
        return (
            self._order_is_over(state, now_us)
            or bool(state.news_until and now_us >= min(state.news_until.values()))
            or bool(state.phases and calls_due(state=state, now_us=now_us))
            or is_overdue(state=state, now_us=now_us)
            or venue_cancels.is_overdue(state=state, now_us=now_us)
            or bool(state.limit_changes and limits_due(state=state, now_us=now_us))
            or bool(state.disconnected and left_behind(state=state, now_us=now_us))
        )

    def _order_is_over(self, state: State, now_us: int) -> bool:
        if now_us < self._next_us:
            return False
        orders = [state.orders[order_id] for order_id in state.expiring]
        # One that venues were asked to end is looked at now and then, as they may keep it.
        again_us = now_us + ASKED_AGAIN_US
        times = ((order, expires_at_us(order=order)) for order in orders)
        ends = (max(at_us, again_us) if venue_cancels.is_asked(order=order) else at_us for order, at_us in times)
        self._next_us = min(ends, default=NEVER_US)
        return now_us >= self._next_us


def _is_over(*, order: Order, now_us: int) -> bool:
    """Whether the order's time is up and anything is left to be done about it."""
    return now_us >= expires_at_us(order=order) and not venue_cancels.is_asked(order=order)


def trigger_stops(*, symbol: str, execution: Execution) -> None:
    """Let stops deal whose price has come, and trailing ones follow the market; none but these is looked at."""
    moment, dealt = execution.moment, 0
    best = moment.market.best(symbol=symbol, now_us=moment.now_us)
    if best is None or best.bid is None or best.ask is None:
        return
    reached, ahead = list[tuple[Order, Decimal]](), list[tuple[Order, Decimal]]()
    for order, price in _come(symbol=symbol, moment=moment):
        (reached if is_reached(terms=order.terms, price=price) else ahead).append((order, price))
    # Guaranteed stops before all others, then the oldest first; what one step leaves comes in the next.
    rested = dict[Side, Decimal]()
    for order, price in sorted(reached, key=lambda each: (not each[0].guaranteed, each[0].order_id)):
        if symbol in execution.called:
            return  # In a call nothing deals.
        if dealt >= ORDERS_PER_STEP_MAX or not may_deal(order=order, execution=execution):
            continue
        if not _could_meet(order, price, rested) and not waits(order=order, execution=execution):
            trigger(order=order, best=best, execution=execution)
            dealt += 1
            limit, side = order.terms.limit_price, order.terms.side
            if limit is not None and execution.free(order) > 0:
                rested[side] = max(limit, rested.get(side, limit), key=lambda each: side.sign * each)
    if ahead and symbol not in execution.called:
        _follow_all(ahead, execution)


def _follow_all(ahead: list[tuple[Order, Decimal]], execution: Execution) -> None:
    """Let trailing stops follow, at most so many: the furthest behind first, so that each has its turn in a long run.

    Were it the oldest, every tick would move them again, and never those beyond the bound.
    """
    moved = 0
    for order, price in sorted(ahead, key=_room):
        if moved >= FOLLOWED_PER_STEP_MAX:
            return
        if may_deal(order=order, execution=execution):
            follow(order=order, price=price, execution=execution)
            moved += 1


def _room(each: tuple[Order, Decimal]) -> tuple[Decimal, str]:
    """Return how much of its distance a trailing stop has left, the less the further it is behind, and its id."""
    order, price = each
    stop, distance = order.terms.stop_price, order.terms.trailing_distance or ZERO
    return AT_ONCE if stop is None else distance - abs(price - stop), order.order_id


def _could_meet(order: Order, price: Decimal, rested: Mapping[Side, Decimal]) -> bool:
    """Whether one that has come to rest in this step, at its side's best price, is better than the street's `price`.

    It is in the book in the next step, in which the other comes.
    """
    found = rested.get(order.terms.side.contra)
    return found is not None and at_least_as_good(price=found, limit=price, side=order.terms.side)


def follow(*, order: Order, price: Decimal, execution: Execution) -> None:
    """Pull a trailing stop after the market, which is at `price` for its client."""
    terms = order.terms
    assert terms.trailing_distance is not None, "no other stop follows"
    execution.events.append(
        ev.OrderAmended(
            order_id=order.order_id,
            quantity=order.quantity,
            limit_price=terms.limit_price,
            stop_price=price + terms.side.sign * terms.trailing_distance,
            keeps_priority=True,
        )
    )


def _come(*, symbol: str, moment: Moment) -> Iterator[tuple[Order, Decimal]]:
    """Yield the stops whose price has come, each with the price that its client deals at."""
    state, stops = moment.state, moment.state.stops.get(symbol, NONE)
    for price_class, front in stops.fronts():
        if is_group_stopped(state=state, group=price_class.group, symbol=symbol):
            continue
        price = street_price(terms=state.orders[front].terms, moment=moment)
        if price is not None:
            for order_id in stops.come(price_class=price_class, price=price):
                yield state.orders[order_id], price


def _fill_touched(*, symbol: str, execution: Execution) -> None:
    """Work the resting limits that a price has come to, the best first, at most so many that this does anything to.

    Of each group so many more are looked at in vain: what some group cannot deal now, say as its venues are off, keeps
    no other group's orders from being reached.
    """
    moment, state = execution.moment, execution.moment.state
    for side in (Side.BUY, Side.SELL):
        nearest, worked, in_vain = None, 0, Counter[str]()
        for order_id, _ in state.resting[symbol].best_first(side=side):
            order = state.orders[order_id]
            nearest = nearest or _nearest(symbol=symbol, side=side, moment=moment)
            if worked >= ORDERS_PER_STEP_MAX or not _reachable(order=order, nearest=nearest):
                break
            if symbol in execution.called:
                return
            group = state.accounts[order.terms.account_id].group
            if in_vain[group] >= ORDERS_PER_STEP_MAX or not _is_free(order=order, execution=execution):
                continue
            known = len(execution.events)
            if marketable(order=order, moment=moment):
                work(order=order, execution=execution)
                if len(execution.events) > known:
                    worked += 1
                else:
                    in_vain[group] += 1


def _is_free(*, order: Order, execution: Execution) -> bool:
    """Return whether a resting order that is not to end has lots that it may deal now, and waits for nobody."""
    if order.order_id in execution.ending or execution.waits(order):
        return False
    return execution.free(order) > 0 and may_deal(order=order, execution=execution)


def _reachable(*, order: Order, nearest: Decimal | None) -> bool:
    """Whether anybody's price may be inside the limit; past the first where none is, no better priced one follows."""
    limit = order.terms.limit_price
    return nearest is not None and limit is not None and order.terms.side.sign * (limit - nearest) >= 0


def _nearest(*, symbol: str, side: Side, moment: Moment) -> Decimal | None:
    """Return a price that nobody deals better than now; None while the street has none on this side."""
    levels, state = moment.levels(symbol=symbol, side=side), moment.state
    if not levels:
        return None
    price, instrument = levels[0].price, moment.instrument(symbol)
    best_for = min if side is Side.BUY else max

    def nearest(seen: Touch, base: Touch, now: Decimal) -> Decimal:
        mine = nearest_price(
            touch=seen, instrument=instrument, side=side, groups=state.groups.values(), profiles=state.profiles
        )
        return mine + now - (base.ask if side is Side.BUY else base.bid)

    # Markups go by the last price that had both sides, and are put on the one there is.
    touch = moment.touch(symbol) or Touch(price, price, 0)
    found = nearest(touch, touch, price)
    for build in builds_of(profiles=state.profiles, symbol=symbol) if moment.market.is_deep else ():
        base, seen = bases(touch=moment.deep(touch, symbol), build=build, tick=instrument.tick_size)
        front = moment.front_of(build=build, symbol=symbol, side=side, levels=levels)
        found = best_for(found, nearest(seen, base, front.price if front else price))
    return found
