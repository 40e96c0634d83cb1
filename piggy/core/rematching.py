"""Rematching: orders that rest across from each other and did not meet when the later of them came.

All or none, or a minimum, was more than one of them had, and several together have it. Or a halt, a call or the other
of a pair kept one from dealing, and that is over. Whoever came last takes, at the prices of who was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from piggy.core.crossing import needs
from piggy.core.execution import Execution
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.pricing import at_least_as_good
from piggy.core.resting import RestingOrders
from piggy.core.standing import may_deal
from piggy.core.state import Order
from piggy.core.triggering import work

LOOKED_AT_MAX = 200  # Of each side, the best first.
TRIED_MAX = 20  # What other rules keep apart, as a routing rule may, is not asked about without end.


def rematch(*, symbol: str, execution: Execution) -> None:
    """Let those meet that could, the latest first."""
    resting = execution.moment.state.resting[symbol]
    facing = {side: list(_facing(side=side, resting=resting, execution=execution)) for side in Side}
    both = sorted((order for orders in facing.values() for order in orders), key=lambda each: -each.seq)
    tried = 0
    for order in both:
        if symbol in execution.called or tried == TRIED_MAX:
            return
        if not order.terms.post_only and _finds_enough(order, facing[order.terms.side.contra], execution):
            work(order=order, execution=execution)
            tried += 1


def _facing(*, side: Side, resting: RestingOrders, execution: Execution) -> Iterator[Order]:
    """Yield the orders of a side that the best of the other is priced to meet, and that may deal with others now."""
    best = next(resting.best_first(side=side.contra), None)
    if best is None:
        return
    state = execution.moment.state
    for order_id, price in islice(resting.best_first(side=side), LOOKED_AT_MAX):
        if not at_least_as_good(price=best[1], limit=price, side=side):
            return
        order = state.orders[order_id]
        crosses = state.groups[state.accounts[order.terms.account_id].group].internal_cross
        free = execution.free(order) > 0 and order_id not in execution.ending and not execution.waits(order)
        if crosses and free and may_deal(order=order, execution=execution):
            yield order


def _finds_enough(order: Order, others: list[Order], execution: Execution) -> bool:
    """Return whether clients on the other side, of other owners, have as many lots as the order insists on."""
    terms, moment, free = order.terms, execution.moment, execution.free(order)
    owner, limit = moment.account(terms.account_id).owner_id, terms.limit_price
    assert limit is not None, "only priced orders rest"
    found = ZERO
    for other in others:
        price = other.terms.limit_price
        assert price is not None, "only priced orders rest"
        theirs = moment.account(other.terms.account_id).owner_id
        if theirs != owner and at_least_as_good(price=price, limit=limit, side=terms.side):
            found += execution.free(other)
    return found > 0 and free > 0 and found >= needs(resting=order, open_=free, out=execution.sent(order))
