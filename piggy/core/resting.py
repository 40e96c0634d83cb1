"""Resting orders: clients' limit orders of one symbol waiting in price-time order, across all groups.

The sort key puts the best price first and, within a price, the earliest event; so the front is always `orders[0]`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from piggy.core.orders import OrderTerms, Side

Key = tuple[Decimal, int, str]


class RestingOrders:
    """Both sides of one symbol; `add` and `remove` are the only ways to change it."""

    __slots__ = ("_keys", "_sides")

    def __init__(self) -> None:
        self._sides: dict[Side, list[Key]] = {Side.BUY: [], Side.SELL: []}
        self._keys: dict[str, tuple[Side, Key]] = {}

    def add(self, *, order_id: str, terms: OrderTerms, seq: int) -> None:
        """Put an order at the back of its price; `seq` is the event that gave it its place."""
        assert terms.limit_price is not None, "only priced orders rest"
        key = (-terms.side.sign * terms.limit_price, seq, order_id)
        insort(self._sides[terms.side], key)
        self._keys[order_id] = (terms.side, key)

    def remove(self, *, order_id: str) -> None:
        """Take an order out; nothing happens where it does not rest."""
        found = self._keys.pop(order_id, None)
        if found is None:
            return
        side, key = found
        orders = self._sides[side]
        del orders[bisect_left(orders, key)]

    def places(self) -> dict[str, tuple[Side, Key]]:
        """Return every order's place, from which `of_places` makes the same queue again."""
        return dict(self._keys)

    @classmethod
    def of_places(cls, places: dict[str, tuple[Side, Key]]) -> RestingOrders:
        """Return the queue in which each order has the place it had."""
        made = cls()
        made._keys = dict(places)
        for side, orders in made._sides.items():
            orders.extend(sorted(key for mine, key in places.values() if mine is side))
        return made

    def best_first(self, *, side: Side) -> Iterator[tuple[str, Decimal]]:
        """Yield (order id, limit price) of one side in price-time order."""
        for key, _, order_id in self._sides[side]:
            yield order_id, -side.sign * key

    def __repr__(self) -> str:
        return f"RestingOrders({self._sides})"

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._keys

    def __len__(self) -> int:
        return len(self._keys)
