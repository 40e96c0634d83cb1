"""Call auctions: one price for all crossing orders, and when continuous trading is interrupted for one.

The uncross follows the four usual steps, as in the published market models of Xetra and Euronext: most volume executed,
then least surplus, then market pressure, then nearest to the reference price. The limits that were entered are tried;
a price that nobody named is taken only where it executes as much and leaves less than any of them: so market orders
that meet each other deal near the reference, and not at a limit beside them that deals nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

import msgspec

BPS = 10_000
CALL_S_MAX = 86_400


class AuctionPhase(StrEnum):
    """A symbol's day: orders are collected in the calls and matched at once at their end."""

    OPENING_CALL = "opening_call"
    CONTINUOUS = "continuous"
    VOLATILITY_CALL = "volatility_call"
    CLOSING_CALL = "closing_call"
    CLOSED = "closed"


CALLS = (AuctionPhase.OPENING_CALL, AuctionPhase.VOLATILITY_CALL, AuctionPhase.CLOSING_CALL)


class AuctionRules(msgspec.Struct, frozen=True, kw_only=True):
    """When clients crossing a symbol are interrupted: further than so many basis points from the last price that
    clients met at (dynamic), or from the last auction's (static). The call lasts `call_s` seconds."""

    symbol: str
    dynamic_bps: int = 100
    static_bps: int = 300
    call_s: int = 120


class SymbolPhase(msgspec.Struct, frozen=True, kw_only=True):
    """Where in its day a symbol is, since when and, for a call that ends by itself, until when."""

    phase: AuctionPhase
    ends_at_us: int | None = None
    since_us: int = 0


class CrossedAt(msgspec.Struct, frozen=True, kw_only=True):
    """The prices that clients met at: the last one, and the last auction's (or the first ever)."""

    last: Decimal
    static: Decimal


class AuctionOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order in the call; integer points and lot points, `price` None for a market order. Side 0 buys, 1 sells."""

    order_id: int
    side: int
    qty: int
    price: int | None


class Uncross(msgspec.Struct, frozen=True, kw_only=True):
    """The auction price, what trades there, and the surplus left (positive: of buyers)."""

    price: int
    volume: int
    surplus: int


class AuctionFill(msgspec.Struct, frozen=True, kw_only=True):
    buy_order_id: int
    sell_order_id: int
    price: int
    qty: int


def rules_fault(*, rules: AuctionRules) -> str | None:
    """Return what is wrong with auction rules, None for those that can be used."""
    for name in ("dynamic_bps", "static_bps"):
        if not 0 < getattr(rules, name) < BPS:
            return f"{name}: a corridor is above 0 and below {BPS} basis points"
    if not 1 <= rules.call_s <= CALL_S_MAX:
        return f"call_s: a call lasts from 1 to {CALL_S_MAX} seconds"
    return None


def uncross(*, orders: Iterable[AuctionOrder], reference: int) -> Uncross | None:
    """Return the price at which the call would be matched now; None where nothing crosses.

    With market orders alone on both sides the reference price is taken.
    """
    book = _Book.of(list(orders))
    limits = sorted({*book.buys.prices, *book.sells.prices})
    named, unnamed = _fullest(book, limits), _fullest(book, _beside(limits, reference))
    if named and _merit(named[0]) >= _merit(unnamed[0]):
        best = _pressed(book, named, reference)
    else:
        best = min(unnamed, key=lambda each: (abs(each.price - reference), each.price))
    return best if best.volume else None


def matched(*, orders: Iterable[AuctionOrder], reference: int) -> tuple[AuctionFill, ...]:
    """Return the fills of the uncross, all at its price: market orders first, then by price, then as given."""
    book = list(orders)
    result = uncross(orders=book, reference=reference)
    if result is None:
        return ()
    buys = sorted((order for order in book if order.side == 0 and _reaches(order, result.price)), key=_priority)
    sells = sorted((order for order in book if order.side == 1 and _reaches(order, result.price)), key=_priority)
    return tuple(_paired(buys, sells, result))


def interrupts(*, price: int, reference: int, static_reference: int, dynamic_bps: int, static_bps: int) -> bool:
    """Tell whether a potential execution price must start a volatility call: outside of either corridor.

    The dynamic corridor is around the last price, the static one around the last auction's.
    """
    return abs(price - reference) * BPS > reference * dynamic_bps or (
        abs(price - static_reference) * BPS > static_reference * static_bps
    )


def _beside(limits: list[int], reference: int) -> list[int]:
    """Return the prices that stand for all that are no limit: between two of them, or beyond all, nothing changes."""
    beside = {reference, *(price for limit in limits for price in (limit - 1, limit + 1))}
    return sorted(price for price in beside.difference(limits) if price > 0 or not limits)


def _fullest(book: _Book, prices: list[int]) -> list[Uncross]:
    """Return those of `prices` at which most is executed, and of them those that leave the least."""
    tried = [_at(book, price) for price in prices]
    most = max(map(_merit, tried), default=None)
    return [each for each in tried if _merit(each) == most]


def _merit(tried: Uncross) -> tuple[int, int]:
    return tried.volume, -abs(tried.surplus)


class _Depth(NamedTuple):
    """The limits of one side, rising, the sum of lots before each and of all, and the lots at any price."""

    prices: list[int]
    sums: list[int]
    market: int

    @classmethod
    def of(cls, orders: list[AuctionOrder]) -> _Depth:
        limits = sorted((order.price, order.qty) for order in orders if order.price is not None)
        sums = list(accumulate((qty for _, qty in limits), initial=0))
        return cls([price for price, _ in limits], sums, sum(order.qty for order in orders if order.price is None))


class _Book(NamedTuple):
    buys: _Depth
    sells: _Depth

    @classmethod
    def of(cls, orders: list[AuctionOrder]) -> _Book:
        return cls(*(_Depth.of([order for order in orders if order.side == side]) for side in (0, 1)))


def _at(book: _Book, price: int) -> Uncross:
    buys, sells = book
    bought = buys.market + buys.sums[-1] - buys.sums[bisect_left(buys.prices, price)]
    sold = sells.market + sells.sums[bisect_right(sells.prices, price)]
    return Uncross(price=price, volume=min(bought, sold), surplus=bought - sold)


def _pressed(book: _Book, even: list[Uncross], reference: int) -> Uncross:
    # Buyers left over everywhere press the price up, sellers down; else the reference decides, kept within the range,
    # where no price executes less or leaves more than those at its ends.
    if all(candidate.surplus > 0 for candidate in even):
        return even[-1]
    if all(candidate.surplus < 0 for candidate in even):
        return even[0]
    return _at(book, min(max(reference, even[0].price), even[-1].price))


def _reaches(order: AuctionOrder, price: int) -> bool:
    if order.price is None:
        return True
    return order.price >= price if order.side == 0 else order.price <= price


def _priority(order: AuctionOrder) -> tuple[bool, int]:
    if order.price is None:
        return False, 0
    return True, order.price if order.side == 1 else -order.price


def _paired(buys: list[AuctionOrder], sells: list[AuctionOrder], result: Uncross) -> Iterable[AuctionFill]:
    left = {order.order_id: order.qty for order in (*buys, *sells)}
    buyers, sellers = iter(buys), iter(sells)
    buy, sell, volume = next(buyers), next(sellers), result.volume
    while volume:
        qty = min(left[buy.order_id], left[sell.order_id], volume)
        yield AuctionFill(buy_order_id=buy.order_id, sell_order_id=sell.order_id, price=result.price, qty=qty)
        left[buy.order_id] -= qty
        left[sell.order_id] -= qty
        volume -= qty
        if volume and left[buy.order_id] == 0:
            buy = next(buyers)
        if volume and left[sell.order_id] == 0:
            sell = next(sellers)
