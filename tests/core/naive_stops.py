"""The naive look at waiting stops, each of them at every price: the twin that the filed ones are held against."""

from __future__ import annotations

from decimal import Decimal

from piggy.core import touching
from piggy.core.execution import Execution
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import OrderType
from piggy.core.standing import may_deal
from piggy.core.state import Order, State
from piggy.core.triggering import is_reached, trigger, waits
from piggy.core.working import street_price

TRAILING = OrderType.TRAILING_STOP


def waiting(*, state: State, symbol: str) -> list[Order]:
    """Return every order that waits for a price, found among all there are."""
    live = [order for order in state.orders.values() if not order.state.final and not order.triggered]
    stops = [order for order in live if order.terms.stop_price is not None or order.terms.type is TRAILING]
    return [order for order in stops if order.terms.symbol == symbol and not order.rests]


def trigger_stops(*, symbol: str, execution: Execution) -> None:
    """Do what prices call for, as touching.py: stops deal, guaranteed ones first, then the oldest; then others follow,
    the furthest behind first.
    """
    moment, dealt = execution.moment, 0
    best = moment.market.best(symbol=symbol, now_us=moment.now_us)
    if best is None or best.bid is None or best.ask is None:
        return
    stops, rested = waiting(state=moment.state, symbol=symbol), list[tuple[int, Decimal]]()
    for order in sorted(stops, key=lambda each: (not each.guaranteed, each.order_id)):
        price = street_price(terms=order.terms, moment=moment)
        if price is None or not may_deal(order=order, execution=execution):
            continue
        reached = is_reached(terms=order.terms, price=price) and dealt < touching.ORDERS_PER_STEP_MAX
        # Whom it could meet came to rest in this step, and is not in the book before the next one, in which it comes.
        sign = order.terms.side.sign
        met = any(sign * (price - limit) >= 0 for side_sign, limit in rested if side_sign != sign)
        if reached and not met and not waits(order=order, execution=execution):
            trigger(order=order, best=best, execution=execution)
            dealt += 1
            if order.terms.limit_price is not None and execution.free(order) > 0:
                rested.append((sign, order.terms.limit_price))
    trailing = [order for order in stops if order.terms.type is TRAILING and may_deal(order=order, execution=execution)]
    left = sorted((-by, order.order_id) for order in trailing if (by := _behind(order, moment)) > 0)
    for _, order_id in left[: touching.FOLLOWED_PER_STEP_MAX]:
        order = moment.state.orders[order_id]
        price = street_price(terms=order.terms, moment=moment)
        assert price is not None, order
        touching.follow(order=order, price=price, execution=execution)


def _behind(order: Order, moment: Moment) -> Decimal:
    """Return how much further from the price than it is to be a trailing stop is; all there is where it has no stop."""
    terms, price = order.terms, street_price(terms=order.terms, moment=moment)
    assert terms.trailing_distance is not None, order
    if price is None:
        return ZERO
    if terms.stop_price is None:
        return Decimal("Infinity")
    return terms.side.sign * (terms.stop_price - price) - terms.trailing_distance
