"""Crossing: which resting client orders an incoming one would meet in the internal book, in price-time order.

An iceberg shows one slice at a time and goes to the back of its price when the slice is gone. Orders of the same
beneficial owner never trade with each other; the incoming order's self-trade prevention says what happens instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby

import msgspec

from piggy.core.execution import Execution
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, OrderType, SelfTradePrevention
from piggy.core.pricing import at_least_as_good
from piggy.core.state import Order


class Cross(msgspec.Struct, frozen=True, kw_only=True):
    """A resting client order that fills part of the incoming one, at its own limit price."""

    order_id: str
    quantity: Decimal
    price: Decimal


class Meeting(msgspec.Struct, kw_only=True):
    """What an incoming order meets: fills, own orders to cancel, own orders to reduce together with it."""

    crosses: list[Cross] = []
    cancels: list[str] = []
    reductions: list[tuple[str, Decimal]] = []
    ends_incoming: bool = False

    @property
    def lots(self) -> Decimal:
        return sum([cross.quantity for cross in self.crosses], ZERO) if self.crosses else ZERO

    @property
    def reduced(self) -> Decimal:
        return sum([lots for _, lots in self.reductions], ZERO) if self.reductions else ZERO


def meet(*, order: Order, quantity: Decimal, street: Decimal | None, execution: Execution) -> Meeting:
    """Return what `quantity` lots of `order` meet at prices no worse for it than the street's `street`."""
    meeting = Meeting()
    owner = execution.moment.account(order.terms.account_id).owner_id
    left = quantity
    for price, resting, offered in _offers(terms=order.terms, street=street, execution=execution):
        if left <= 0 or meeting.ends_incoming:
            break
        lots = min(left, offered)
        if execution.moment.account(resting.terms.account_id).owner_id == owner:
            left -= _prevent(order=order, resting=resting, lots=lots, meeting=meeting)
            continue
        meeting.crosses.append(Cross(order_id=resting.order_id, quantity=lots, price=price))
        left -= lots
    return meeting


def meets_itself(*, terms: OrderTerms, street: Decimal | None, execution: Execution) -> bool:
    """Return whether an order of the same owner rests where this one would deal (P-22)."""
    owner = execution.moment.account(terms.account_id).owner_id
    accounts = (
        execution.moment.account(resting.terms.account_id)
        for _, resting, _ in _offers(terms=terms, street=street, execution=execution)
    )
    return any(account.owner_id == owner for account in accounts)


def _offers(
    *, terms: OrderTerms, street: Decimal | None, execution: Execution
) -> Iterator[tuple[Decimal, Order, Decimal]]:
    """Yield (price, resting order, lots it offers now), slice by slice, while worth crossing."""
    state = execution.moment.state
    resting_orders = state.resting[terms.symbol].best_first(side=terms.side.contra)
    for price, level in groupby(resting_orders, key=lambda pair: pair[1]):
        if not _worth_crossing(price=price, terms=terms, street=street):
            return
        queue: deque[tuple[Order, Decimal]] = deque()
        for order_id, _ in level:
            resting = state.orders[order_id]
            group = execution.moment.group_of(resting.terms.account_id)
            if group.internal_cross and execution.free(resting) > 0:
                queue.append((resting, execution.free(resting)))
        yield from _slices(price=price, queue=queue)


def _slices(*, price: Decimal, queue: deque[tuple[Order, Decimal]]) -> Iterator[tuple[Decimal, Order, Decimal]]:
    shown = {resting.order_id: resting.shown for resting, _ in queue}
    while queue:
        resting, left = queue.popleft()
        display = resting.terms.display_quantity
        offered = left if display is None else min(left, shown[resting.order_id])
        yield price, resting, offered
        if display is not None and left > offered:
            shown[resting.order_id] = min(display, left - offered)
            queue.append((resting, left - offered))


def _prevent(*, order: Order, resting: Order, lots: Decimal, meeting: Meeting) -> Decimal:
    """Apply the incoming order's self-trade prevention; return how many of its lots that uses up."""
    mode = order.terms.stp
    if mode is SelfTradePrevention.DECREMENT:
        meeting.reductions.append((resting.order_id, lots))
        return lots
    if mode is SelfTradePrevention.CANCEL_NEWEST:
        meeting.ends_incoming = True
        return ZERO
    meeting.cancels.append(resting.order_id)
    meeting.ends_incoming = mode is SelfTradePrevention.CANCEL_BOTH
    return ZERO


def _worth_crossing(*, price: Decimal, terms: OrderTerms, street: Decimal | None) -> bool:
    side, limit = terms.side, terms.limit_price
    priced = terms.type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    if priced and limit is not None and not at_least_as_good(price=price, limit=limit, side=side):
        return False
    # Without a street price there is nothing to compare with: a market order then deals with nobody.
    return at_least_as_good(price=price, limit=street, side=side) if street is not None else priced
