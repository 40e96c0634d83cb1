"""Keeping: which lots of an order the house fills itself, on a copy of the consolidated book."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.execution import Execution
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel
from piggy.core.orders import Side
from piggy.core.pricing import at_least_as_good, client_price
from piggy.core.routing import on_step
from piggy.core.state import Order


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """Lots that the house fills itself at one level of the consolidated book."""

    quantity: Decimal
    raw: Decimal
    venue: str


def keeps_of(
    *, levels: tuple[AttributedLevel, ...], quantity: Decimal, side: Side, limit: Decimal, instrument: Instrument
) -> tuple[Keep, ...]:
    """Return B-book fills on a copy of the consolidated book: the whole steps quoted at each level, best first."""
    keeps: list[Keep] = []
    left = quantity
    for level in levels:
        if left <= 0 or not at_least_as_good(price=level.price, limit=limit, side=side):
            break
        # A client who held a part of a step could never close it.
        lots = left if left <= level.size else on_step(lots=level.size, instrument=instrument)
        if lots > 0:
            keeps.append(Keep(quantity=lots, raw=level.price, venue=level.venue))
            left -= lots
    return tuple(keeps)


def guaranteed_keep(
    *, order: Order, quantity: Decimal, levels: tuple[AttributedLevel, ...], execution: Execution
) -> Keep:
    """Return what the house takes over at a guaranteed stop: all of it, whatever is quoted and how much of it.

    The market that it is held against is the best price there is, else the last there was, else the stop itself.
    """
    if levels:
        return Keep(quantity=quantity, raw=levels[0].price, venue=levels[0].venue)
    mark, stop = execution.moment.marks.get(order.terms.symbol), order.terms.stop_price
    assert stop is not None, "a guaranteed stop has its price"
    last = stop if mark is None else mark.ask if order.terms.side is Side.BUY else mark.bid
    return Keep(quantity=quantity, raw=last, venue="")


def keep_lots(*, order: Order, keep: Keep, markup: Decimal, execution: Execution) -> None:
    """Fill the client from the house: at the level's price and his markup, or at his guaranteed stop."""
    market = client_price(raw=keep.raw, markup=markup, side=order.terms.side)
    stop = order.terms.stop_price if order.guaranteed else None
    execution.fill(
        order=order,
        quantity=keep.quantity,
        raw=keep.raw,
        price=market if stop is None else stop,
        book="B",
        counterparty=keep.venue,
        reason=f"kept at {keep.venue}'s price" if stop is None else f"guaranteed; the market was at {market}",
        market=market,
    )
