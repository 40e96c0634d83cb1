"""What a gateway streams of one contract's prices: rows of depth by their place, or the best level field by field."""

from __future__ import annotations

from decimal import Decimal

from piggy.adapters.ibkr.config import TICK_PRICES, TICK_SIZES
from piggy.adapters.ibkr.inbound import Fields, part_of
from piggy.adapters.reading import unreadable

INSERT, UPDATE, DELETE = "0", "1", "2"
ASK, BID = "0", "1"
_OPERATIONS = {word: word for word in (INSERT, UPDATE, DELETE)}


class Ladder:
    """Depth of both sides. A row is named by its place, so one row lost shifts all behind it: that is a gap."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[str, str]]] = {BID: [], ASK: []}

    def take(self, *, fields: Fields) -> bool:
        """Take one row; False where it does not fit, and the ladder is worth nothing. Raises UnableToReadReport."""
        part = part_of(fields)
        rows, place = part.word("side", self._rows), part.whole("row")
        operation = part.word("operation", _OPERATIONS)
        row = (fields["price"], fields["size"])
        if operation != DELETE and (part.number("price") <= 0 or part.size("size") < 0):
            unreadable(part.what, "price", fields["price"])
        if place < 0 or place > len(rows) - (operation != INSERT):
            return False
        if operation == INSERT:
            rows.insert(place, row)
        elif operation == UPDATE:
            rows[place] = row
        else:
            del rows[place]
        return True

    def clear(self) -> None:
        """Forget every row."""
        for rows in self._rows.values():
            rows.clear()

    @property
    def bids(self) -> list[tuple[str, str]]:
        """Price and size of each bid price; makers at one price are one level."""
        return _levels(self._rows[BID])

    @property
    def asks(self) -> list[tuple[str, str]]:
        """Price and size of each ask price."""
        return _levels(self._rows[ASK])


class Top:
    """The best level: prices and sizes come one by one; a price that is not above zero withdraws its side."""

    def __init__(self) -> None:
        self._prices: dict[str, str] = {}
        self._sizes: dict[str, str] = {}

    def take(self, *, fields: Fields) -> bool:
        """Take a price or a size; always True, as nothing depends on what came before. Raises UnableToReadReport."""
        part = part_of(fields)
        part.number_or("price", Decimal(0))
        part.number_or("size", Decimal(0))
        if side := TICK_PRICES.get(fields["tick"]) if "price" in fields else "":
            self._prices[side], self._sizes[side] = fields["price"], fields["size"]
        elif side := TICK_SIZES.get(fields["tick"]) if "price" not in fields else "":
            self._sizes[side] = fields["size"]
        return True

    def clear(self) -> None:
        """Forget both sides."""
        self._prices.clear()
        self._sizes.clear()

    @property
    def bids(self) -> list[tuple[str, str]]:
        """The best bid, if any."""
        return self._level("bids")

    @property
    def asks(self) -> list[tuple[str, str]]:
        """The best ask, if any."""
        return self._level("asks")

    def _level(self, side: str) -> list[tuple[str, str]]:
        price, size = self._prices.get(side) or "0", self._sizes.get(side) or "0"
        return [(price, size)] if Decimal(price) > 0 and Decimal(size) > 0 else []


def _levels(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    sizes: dict[str, Decimal] = {}
    for price, size in rows:
        sizes[price] = sizes.get(price, Decimal(0)) + Decimal(size)
    return [(price, f"{size:f}") for price, size in sizes.items() if size]
