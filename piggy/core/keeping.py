"""Keeping: which lots of an order the house fills itself, on a copy of the consolidated book.

What is kept takes nothing out of that book, for nobody was asked: the next order meets all of it again, and so does
what a resting limit has left, until it is filled at its price or better. So it is on other B books too, which copy the
LPs' book for every fill, or fill any volume at the price shown; only one order that takes at once pays for its depth.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.bookbuild import BuiltSide, Levels
from piggy.core.execution import Execution, position_id_of
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.positions import Position, filled, kept_lots
from piggy.core.pricing import at_least_as_good, client_price
from piggy.core.routing import on_step
from piggy.core.state import Order


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """Lots that the house fills itself at one level of the consolidated book.

    Of a build of `size_lots` they are dealt at its price, which is `over` above the level's, or below it.
    """

    quantity: Decimal
    raw: Decimal
    venue: str
    over: Decimal = ZERO
    size_lots: Decimal | None = None


def keeps_of(
    *,
    levels: Levels,
    quantity: Decimal,
    side: Side,
    limit: Decimal,
    instrument: Instrument,
    front: BuiltSide | None = None,
) -> tuple[Keep, ...]:
    """Return B-book fills on a copy of the consolidated book: the whole steps quoted at each level, best first.

    The lots of a `front` are dealt at its price, all others at their own.
    """
    keeps: list[Keep] = []
    left = quantity
    if front is not None:
        if not at_least_as_good(price=front.price, limit=limit, side=side):
            return ()
        within, levels = _parted(levels=levels, lots=front.lots)
        for level in within:
            lots = left if left <= level.size else on_step(lots=level.size, instrument=instrument)
            if lots > 0:
                over = front.price - level.price
                keeps.append(Keep(quantity=lots, raw=level.price, venue=level.venue, over=over, size_lots=front.lots))
                left -= lots
    for level in levels:
        if left <= 0 or not at_least_as_good(price=level.price, limit=limit, side=side):
            break
        # A client who held a part of a step could never close it.
        lots = left if left <= level.size else on_step(lots=level.size, instrument=instrument)
        if lots > 0:
            keeps.append(Keep(quantity=lots, raw=level.price, venue=level.venue))
            left -= lots
    return tuple(keeps)


def once_crossed(
    *, order: Order, position: Position | None, lots: Decimal, bounded: bool, execution: Execution
) -> tuple[Position | None, Decimal]:
    """Return what is left of the position that an order takes off once `lots` of it have met other clients, and the
    clients' signed net lots in the symbol's B book then, with all that this command has dealt before.

    Where no rule has `bounded` the B book, nobody asks for its net, and it is 0.
    """
    if not (lots or bounded):
        return position, ZERO
    moment, terms, rest = execution.moment, order.terms, position
    if lots and position is not None and position.side is not terms.side:
        price, size = position.average_price, moment.instrument(terms.symbol).contract_size
        rest = filled(
            position=position, side=terms.side, quantity=lots, price=price, contract_size=size, book="CROSS"
        ).position
    net = moment.state.exposure[terms.symbol].b_net + execution.kept.get(terms.symbol, ZERO)
    return rest, net + kept_lots(position=rest) - kept_lots(position=position)


def at_venues(*, order: Order, position: Position | None, execution: Execution) -> tuple[Decimal, Decimal]:
    """Return the lots of an order's position that venues are closing, and those that they are opening for it to close.

    Both are the A book's. A second close that still counted in A what is on its way out would send it twice; one that
    took for new what is on its way in would keep a close of what was passed on.
    """
    moment, terms = execution.moment, order.terms
    account, orders = moment.account(terms.account_id), moment.state.orders
    wanted, net, owed = position_id_of(account=account, order=order), ZERO, ZERO
    for order_id in moment.state.open_orders.get(terms.account_id, ()):
        other = orders[order_id]
        sent, ahead = execution.sent(other), execution.owed(other)
        # Of most the first says it all, and an account may have hundreds.
        if (sent or ahead) and position_id_of(account=account, order=other) == wanted:
            net += sent if other.terms.side is terms.side else -sent
            owed += ZERO if other.terms.side is terms.side else ahead
    if net >= 0:
        return net, ZERO
    held = position.lots if position is not None and position.side is terms.side else ZERO
    return ZERO, max(ZERO, -net - held - owed)


def _parted(*, levels: Levels, lots: Decimal) -> tuple[Levels, Levels]:
    """Return the first `lots` of a side, and the rest of it."""
    within: list[AttributedLevel] = []
    rest: list[AttributedLevel] = []
    for level in levels:
        part = min(lots, level.size)
        lots -= part
        if part:
            within.append(msgspec.structs.replace(level, size=part))
        if part < level.size:
            rest.append(msgspec.structs.replace(level, size=level.size - part))
    return tuple(within), tuple(rest)


def guaranteed_keep(
    *, order: Order, quantity: Decimal, levels: Levels, execution: Execution, front: BuiltSide | None = None
) -> Keep:
    """Return what the house takes over at a guaranteed stop: all of it, whatever is quoted and how much of it.

    The market that it is held against is the price shown, else the last best there was, else the stop itself.
    """
    if levels:
        over = front.price - levels[0].price if front else ZERO
        return Keep(quantity=quantity, raw=levels[0].price, venue=levels[0].venue, over=over)
    mark, stop = execution.moment.marks.get(order.terms.symbol), order.terms.stop_price
    assert stop is not None, "a guaranteed stop has its price"
    last = stop if mark is None else mark.ask if order.terms.side is Side.BUY else mark.bid
    return Keep(quantity=quantity, raw=last, venue="")


def keep_lots(*, order: Order, keep: Keep, markup: Decimal, execution: Execution) -> None:
    """Fill the client from the house: at the level's price and his markup, or at his guaranteed stop."""
    market = client_price(raw=keep.raw + keep.over, markup=markup, side=order.terms.side)
    kept = f"kept at {keep.venue}'s price" if keep.size_lots is None else f"kept at the price of {keep.size_lots} lots"
    stop = order.terms.stop_price if order.guaranteed else None
    execution.fill(
        order=order,
        quantity=keep.quantity,
        raw=keep.raw,
        price=market if stop is None else stop,
        book="B",
        counterparty=keep.venue,
        reason=kept if stop is None else f"guaranteed; the market was at {market}",
        market=market,
    )
