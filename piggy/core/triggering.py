"""Triggering: a stop whose price was reached comes alive.

Whoever else closes a position, in a stop-out or for good, lets its guaranteed stops go first.
"""

from __future__ import annotations

import copy
from decimal import Decimal

from piggy.core import events as ev
from piggy.core.execution import Execution, position_id_of
from piggy.core.guarantees import stops_of
from piggy.core.market import BestQuote
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms
from piggy.core.positions import Position
from piggy.core.retrying import may_rest
from piggy.core.state import Order
from piggy.core.waiting_stops import rises
from piggy.core.working import carry_out, plan, street_price


def trigger(*, order: Order, best: BestQuote, execution: Execution) -> None:
    """Make a stop deal as what it is from now on, at the consolidated prices of `best`, which has both sides."""
    assert best.bid is not None, "nothing is triggered off quotes"
    assert best.ask is not None, "nothing is triggered off quotes"
    execution.events.append(
        ev.OrderTriggered(
            order_id=order.order_id, bid=best.bid.price, ask=best.ask.price, stop_price=order.terms.stop_price
        )
    )
    triggered = copy.copy(order)
    triggered.triggered = True
    work(order=triggered, execution=execution, enters=True)


def keep_guarantees(*, account_id: str, symbol: str, execution: Execution) -> bool:
    """Deal the account's guaranteed stops that the market has reached before anybody closes what they stand for.

    Return whether there was one, which may have to wait for a venue first: then so must the rest.
    """
    reached = _guarantees_reached(account_id=account_id, symbol=symbol, execution=execution)
    best = execution.moment.market.best(symbol=symbol, now_us=execution.moment.now_us)
    for stop in reached:
        if best is not None and not waits(order=stop, execution=execution):
            trigger(order=stop, best=best, execution=execution)
    return bool(reached)


def owed_lots(*, position: Position, execution: Execution) -> Decimal:
    """Return the lots of a position that are owed the price of a guaranteed stop which has to wait for a venue."""
    stops = _guarantees_reached(
        account_id=position.account_id, symbol=position.symbol, position_id=position.position_id, execution=execution
    )
    return sum((execution.free(stop) for stop in stops), ZERO)


def _guarantees_reached(
    *, account_id: str, symbol: str, execution: Execution, position_id: str | None = None
) -> list[Order]:
    moment = execution.moment
    best = moment.market.best(symbol=symbol, now_us=moment.now_us)
    if best is None or best.bid is None or best.ask is None:
        return []
    stops = stops_of(state=moment.state, account_id=account_id, symbol=symbol, position_id=position_id)
    return [
        stop
        for stop in stops
        if execution.free(stop) > 0
        and not stop.triggered
        and is_reached(terms=stop.terms, price=street_price(terms=stop.terms, moment=moment))
    ]


def waits(*, order: Order, execution: Execution) -> bool:
    """Return whether a stop has to wait for the other of its pair, and a guaranteed one for any lots it stands for.

    A venue that has them may give them back, and then they are still to be closed at its price.
    """
    if execution.waits(order):
        return True
    if not order.guaranteed:
        return False
    account = execution.moment.account(order.terms.account_id)
    position = execution.position(position_id_of(account=account, order=order))
    lots = position.lots - execution.under_way(position=position) if position else ZERO
    return lots < execution.free(order)


def is_reached(*, terms: OrderTerms, price: Decimal | None) -> bool:
    """A buy stop is reached by the client's ask, a sell stop by the client's bid; if touched works the other way.

    `price` is what the client would deal at in the street, None off quotes.
    """
    stop = terms.stop_price
    if stop is None or price is None:
        return False
    return price >= stop if rises(terms=terms) else price <= stop


def work(*, order: Order, execution: Execution, enters: bool = False) -> None:
    """Deal what can be dealt; what `enters` the book now and may not wait there, or not take, ends.

    Of an owner's own orders that it would meet it makes what its self-trade prevention says, as one that comes would.
    """
    made = plan(order=order, quantity=execution.free(order), execution=execution)
    if enters and order.terms.post_only and made.takes:
        execution.cancel(order=order, outcome="cancelled", reason="post only: it would have taken liquidity")
    elif made.lots > 0 or made.interrupts or not may_rest(order) or (enters and made.acts):
        execution.events.append(ev.OrderRerouted(order_id=order.order_id, routing=made.decision))
        carry_out(order=order, plan=made, execution=execution)
