"""Crossing: which resting client orders an incoming one would meet in the internal book, in price-time order.

An iceberg shows one slice at a time and goes to the back of its price when the slice is gone. An order that is all or
none, or has a minimum, is passed over by who cannot fill that; once several together can, it deals (rematching.py).
Orders of the same beneficial owner never trade with each other; the incoming order's self-trade prevention says what
happens instead.

These are the rules of the compiled book (book.pyx), and a property test holds both to the same fills, queues and
reductions on random commands. The desk does not drive that book: it decides on top of what one command has decided so
far, with lots out at venues, prices bounded by the street and groups that do not cross, all of it in the fold. A copy
of the same orders in a second structure would be a second truth to keep in step on every event, for queues that are
short; the compiled book is for the long ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

import msgspec

from piggy.core.execution import Execution, position_id_of
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, OrderType, SelfTradePrevention
from piggy.core.pricing import at_least_as_good
from piggy.core.standing import dealable_lots, is_bound, may_deal
from piggy.core.state import Order

_price = itemgetter(1)
_PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED)
_CANCEL_NEWEST = SelfTradePrevention.CANCEL_NEWEST


class Cross(msgspec.Struct, frozen=True, kw_only=True):
    """A resting client order that fills part of the incoming one, at its own limit price."""

    order_id: str
    quantity: Decimal
    price: Decimal


class Meeting(msgspec.Struct, kw_only=True):
    """What an incoming order meets: fills, own orders to cancel, own orders to reduce together with it.

    `touched`: there was an order in its reach, whatever came of it.
    """

    crosses: list[Cross] = []
    cancels: list[str] = []
    reductions: list[tuple[str, Decimal]] = []
    ends_incoming: bool = False
    touched: bool = False

    @property
    def lots(self) -> Decimal:
        return sum([cross.quantity for cross in self.crosses], ZERO) if self.crosses else ZERO

    @property
    def reduced(self) -> Decimal:
        return sum([lots for _, lots in self.reductions], ZERO) if self.reductions else ZERO


def meet(*, terms: OrderTerms, quantity: Decimal, street: Decimal | None, execution: Execution) -> Meeting:
    """Return what `quantity` lots of an order meet at prices no worse for it than the street's `street`."""
    meeting = Meeting()
    resting = execution.moment.state.resting[terms.symbol]
    if not len(resting):
        return meeting
    owner, left = execution.moment.account(terms.account_id).owner_id, quantity
    for price, level in groupby(resting.best_first(side=terms.side.contra), key=_price):
        if left <= 0 or meeting.ends_incoming or not _worth_crossing(price=price, terms=terms, street=street):
            break
        left = _meet_level(
            price=price,
            order_ids=(order_id for order_id, _ in level),
            stp=terms.stp,
            owner=owner,
            left=left,
            meeting=meeting,
            execution=execution,
        )
    return meeting


def meets_itself(*, terms: OrderTerms, quantity: Decimal, street: Decimal | None, execution: Execution) -> bool:
    """Return whether the first order that this one would meet is of its own owner, and the newest is to go (P-22).

    One that meets its owner's order only after others deals with those, and then goes: that is the book's to do.
    """
    if terms.stp is not _CANCEL_NEWEST or terms.all_or_none:
        return False  # What is all or none would rest rather than deal with a part.
    meeting = meet(terms=terms, quantity=quantity, street=street, execution=execution)
    return meeting.ends_incoming and not meeting.crosses


def _meet_level(
    *,
    price: Decimal,
    order_ids: Iterable[str],
    stp: SelfTradePrevention,
    owner: str,
    left: Decimal,
    meeting: Meeting,
    execution: Execution,
) -> Decimal:
    """Meet the orders of one price in their order; return what is left of the incoming one."""
    state, hidden = execution.moment.state, deque[tuple[Order, Decimal]]()
    for order_id in order_ids:
        if left <= 0 or meeting.ends_incoming:
            return left
        resting = state.orders[order_id]
        account, free = state.accounts[resting.terms.account_id], execution.free(resting)
        bound = is_bound(terms=resting.terms, account=account)
        open_ = _reducible(resting, free, meeting, execution) if bound else free
        if open_ <= 0 or not state.groups[account.group].internal_cross:
            continue
        if order_id in execution.ending or _other_deals(resting, meeting, execution):
            continue
        if not may_deal(order=resting, execution=execution):
            continue
        meeting.touched = True
        offered = _offered(resting, open_)
        if needs(resting=resting, open_=free, out=execution.sent(resting)) > min(left, offered):
            continue
        if account.owner_id == owner:
            left -= _prevent(stp=stp, resting=resting, lots=min(left, open_), meeting=meeting)
            continue
        lots = min(left, offered)
        meeting.crosses.append(Cross(order_id=order_id, quantity=lots, price=price))
        left -= lots
        if resting.terms.display_quantity is not None and open_ > lots:
            hidden.append((resting, open_ - lots))
    while hidden and left > 0 and not meeting.ends_incoming:
        resting, open_ = hidden.popleft()
        assert resting.terms.display_quantity is not None, "only icebergs come back"
        lots = min(left, open_, resting.terms.display_quantity)
        meeting.crosses.append(Cross(order_id=resting.order_id, quantity=lots, price=price))
        left -= lots
        if open_ > lots:
            hidden.append((resting, open_ - lots))
    return left


def _other_deals(resting: Order, meeting: Meeting, execution: Execution) -> bool:
    """Return whether the other of an either-or pair deals already, or is out at a venue: then this one does not."""
    pair = (resting.terms.account_id, resting.terms.oco_group)
    if not pair[1]:
        return False
    met = (execution.moment.state.orders[cross.order_id].terms for cross in meeting.crosses)
    return any((terms.account_id, terms.oco_group) == pair for terms in met) or execution.waits(resting)


def _reducible(resting: Order, free: Decimal, meeting: Meeting, execution: Execution) -> Decimal:
    """Return what a resting order may close of its position, with what was met of that before taken off."""
    state = execution.moment.state
    account = state.accounts[resting.terms.account_id]
    position_id = position_id_of(account=account, order=resting)
    met = (cross for cross in meeting.crosses if state.orders[cross.order_id].terms.account_id == account.account_id)
    gone = sum(
        (
            cross.quantity
            for cross in met
            if position_id_of(account=account, order=state.orders[cross.order_id]) == position_id
        ),
        ZERO,
    )
    position = execution.position(position_id)
    most = dealable_lots(order=resting, quantity=free + gone, position=position, execution=execution)
    return min(free, most - gone)


def _offered(resting: Order, open_: Decimal) -> Decimal:
    """Return the lots in sight: all, or what is left of an iceberg's slice."""
    return open_ if resting.terms.display_quantity is None else min(open_, resting.shown)


def needs(*, resting: Order, open_: Decimal, out: Decimal) -> Decimal:
    """Return the least lots that a resting order, of which `open_` may deal, may be filled with at once.

    What is `out` at a venue may come back.
    """
    if resting.terms.all_or_none:
        return open_ + out
    minimum = resting.terms.minimum_quantity
    # Self-trade prevention may have made it smaller than its minimum: then that is all of it.
    return ZERO if minimum is None else min(minimum - resting.filled, open_)


def _prevent(*, stp: SelfTradePrevention, resting: Order, lots: Decimal, meeting: Meeting) -> Decimal:
    """Apply the incoming order's self-trade prevention; return how many of its lots that uses up."""
    if stp is SelfTradePrevention.DECREMENT:
        meeting.reductions.append((resting.order_id, lots))
        return lots
    if stp is _CANCEL_NEWEST:
        meeting.ends_incoming = True
        return ZERO
    meeting.cancels.append(resting.order_id)
    meeting.ends_incoming = stp is SelfTradePrevention.CANCEL_BOTH
    return ZERO


def _worth_crossing(*, price: Decimal, terms: OrderTerms, street: Decimal | None) -> bool:
    side, limit = terms.side, terms.limit_price
    priced = limit is not None and terms.type in _PRICED
    if limit is not None and not at_least_as_good(price=price, limit=limit, side=side):
        return False
    # Without a street price there is nothing to compare with: a market order then deals with nobody.
    return at_least_as_good(price=price, limit=street, side=side) if street is not None else priced
