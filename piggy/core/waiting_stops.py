"""Waiting stops: one symbol's orders that wait for a price, filed so that those whose price has come are in front.

All of a group that deal on one side, in one volume band of its profiles, deal at one price at any moment. Each such
class has two lines, one that a rising price reaches and one that a falling price does, ordered by what it has to reach:
where the first of a line is not reached, nobody in it is. A trailing stop stands in both: in one by its stop, in the
other by the price from which it follows the market. What is filed follows from the orders (stop_folding.py).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from piggy.core.orders import OrderTerms, OrderType, Side

# A trailing stop follows every tick, as on other platforms. So small a part of its distance further than it stands
# is the price that moves it: one that it stands behind already would move it nowhere, again and again.
TRAILING_PARTS = 1_000_000
AT_ONCE = Decimal("-Infinity")  # Any price has come to whoever waits for this one.
_BUY, _TOUCHED, _TRAILING = Side.BUY, OrderType.MARKET_IF_TOUCHED, OrderType.TRAILING_STOP


class PriceClass(NamedTuple):
    """Whose orders deal at one price; `from_lots` is where their volume band begins."""

    group: str
    side: Side
    from_lots: Decimal


class Place(NamedTuple):
    """How far a line's price has to come, negated where it falls, and whose place it is."""

    reach: Decimal
    order_id: str


Line = list[Place]
# The line that a rising price reaches, and the one that a falling price does.
Lines = tuple[Line, Line]


class WaitingStops:
    """The stops of one symbol; `file` and `discard` are the only ways to change it."""

    __slots__ = ("_lines", "_places")

    def __init__(self) -> None:
        self._lines: dict[PriceClass, Lines] = {}
        self._places: dict[str, tuple[PriceClass, tuple[Place | None, Place | None]] | None] = {}

    @classmethod
    def of_ids(cls, order_ids: Iterable[str]) -> WaitingStops:
        """Return them as a snapshot names them: not filed yet."""
        made = cls()
        made._places = dict.fromkeys(order_ids)
        return made

    def file(self, *, order_id: str, terms: OrderTerms, price_class: PriceClass) -> None:
        """Put an order where its present terms belong, wherever it was before."""
        self.discard(order_id=order_id)
        rising, falling = (None if reach is None else Place(reach, order_id) for reach in _reaches(terms))
        lines = self._lines.setdefault(price_class, ([], []))
        for line, place in zip(lines, (rising, falling), strict=True):
            if place is not None:
                insort(line, place)
        self._places[order_id] = (price_class, (rising, falling))

    def discard(self, *, order_id: str) -> None:
        """Take an order out; nothing happens where it does not wait."""
        known = self._places.pop(order_id, None)
        if known is None:
            return
        price_class, places = known
        lines = self._lines[price_class]
        for line, place in zip(lines, places, strict=True):
            if place is not None:
                del line[bisect_left(line, place)]
        if not (lines[0] or lines[1]):
            del self._lines[price_class]

    def fronts(self) -> list[tuple[PriceClass, str]]:
        """Return every class with one order of it."""
        return [(name, (rising or falling)[0].order_id) for name, (rising, falling) in self._lines.items()]

    def come(self, *, price_class: PriceClass, price: Decimal) -> Iterator[str]:
        """Yield the orders of a class whose price has come, to deal or to follow, now that it deals at `price`."""
        for line, reach in zip(self._lines[price_class], (price, -price), strict=True):
            for place in line:
                if place.reach > reach:
                    break
                yield place.order_id

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WaitingStops) and self._places == other._places

    def __repr__(self) -> str:
        return f"WaitingStops({sorted(self._lines.items())})"


def rises(*, terms: OrderTerms) -> bool:
    """Return whether a rising price reaches the stop: a buy's, and where it deals if touched a sell's."""
    return (terms.side is _BUY) is not (terms.type is _TOUCHED)


def _reaches(terms: OrderTerms) -> tuple[Decimal | None, Decimal | None]:
    """Return what a rising price, and what a falling one negated, has to reach; None where it would change nothing."""
    stop, distance, rising = terms.stop_price, terms.trailing_distance, rises(terms=terms)
    deals = None if stop is None else stop if rising else -stop
    follows = None
    if terms.type is _TRAILING and distance is not None:
        # The price is past where it was when the stop was put behind it. One that has no stop yet gets it.
        ahead = distance + distance / TRAILING_PARTS
        follows = AT_ONCE if stop is None else ahead - stop if rising else ahead + stop
    return (deals, follows) if rising else (follows, deals)
