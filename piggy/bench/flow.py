"""A seeded flow of commands for a book of a given size: 42 % cancels, 10 % crossing, the rest joins the queues."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from piggy.core.book import Book
from piggy.core.booktypes import Flag, Kind, Op

CANCEL_SHARE, CROSS_SHARE = 0.42, 0.10
MIDDLE = 110_000
DEPTH_POINTS = 250


@dataclass(frozen=True, slots=True)
class Commands:
    """Columns of equal length, as `Book.run` takes them."""

    op: npt.NDArray[np.int8]
    order_id: npt.NDArray[np.int64]
    side: npt.NDArray[np.int8]
    price: npt.NDArray[np.int64]
    qty: npt.NDArray[np.int64]
    flags: npt.NDArray[np.int32]

    def run(self, *, book: Book, chunk: int = 10_000) -> int:
        """Run all commands on `book` in chunks; return the number of events they gave."""
        events = 0
        for start in range(0, len(self.op), chunk):
            part = slice(start, start + chunk)
            events += len(
                book.run(
                    op=self.op[part],
                    order_id=self.order_id[part],
                    side=self.side[part],
                    price=self.price[part],
                    qty=self.qty[part],
                    flags=self.flags[part],
                )
            )
        return events


def seeding(*, resting: int, seed: int) -> Commands:
    """Return the commands that build a book of `resting` orders, most of them near the middle."""
    generator = np.random.default_rng(seed)
    side = generator.integers(0, 2, resting, dtype=np.int8)
    away = generator.exponential(DEPTH_POINTS, resting).astype(np.int64) + 1
    return Commands(
        op=np.zeros(resting, np.int8),
        order_id=np.arange(1, resting + 1, dtype=np.int64),
        side=side,
        price=MIDDLE + np.where(side == 0, -away, away),
        qty=generator.integers(1, 100, resting, dtype=np.int64),
        flags=np.zeros(resting, np.int32),
    )


def flow(*, seeded: Commands, commands: int, seed: int) -> Commands:
    """Return `commands` that fit the seeded book: every cancel finds its order, every crossing order trades."""
    generator = random.Random(seed)
    book = Book()
    seeded.run(book=book)
    alive = _Alive(seeded.order_id.tolist())
    rows = []
    for order_id in range(len(seeded.op) + 1, len(seeded.op) + commands + 1):
        row = _row(generator, book, alive, order_id)
        for kind, _, maker_id, _, _, leaves in _submit(book, row):
            if kind == Kind.FILLED and leaves == 0:
                alive.discard(maker_id)
        rows.append(row)
    columns = list(zip(*rows, strict=True))
    types = (np.int8, np.int64, np.int8, np.int64, np.int64, np.int32)
    return Commands(*(np.array(column, dtype) for column, dtype in zip(columns, types, strict=True)))


Row = tuple[int, int, int, int, int, int]


def _row(generator: random.Random, book: Book, alive: _Alive, order_id: int) -> Row:
    draw, side = generator.random(), generator.randrange(2)
    if draw < CANCEL_SHARE:
        return Op.CANCEL, alive.pop(generator), 0, 0, 0, 0
    if draw < CANCEL_SHARE + CROSS_SHARE:
        touch = book.best(side=1 - side)
        if touch is not None:
            # Crossing orders are small while the book is below its size, so that it stays what the load says.
            qty = generator.randrange(1, 100 if len(alive.order_ids) > alive.resting else 20)
            return Op.NEW, order_id, side, touch[0], qty, Flag.IOC
    alive.add(order_id)
    away = int(generator.expovariate(1 / DEPTH_POINTS)) + 1
    return Op.NEW, order_id, side, MIDDLE + (away if side else -away), generator.randrange(1, 100), 0


def _submit(book: Book, row: Row) -> list[tuple[int, int, int, int, int, int]]:
    op, order_id, side, price, qty, flags = row
    if op == Op.CANCEL:
        return book.cancel(order_id=order_id)
    return book.submit(order_id=order_id, side=side, price=price, qty=qty, flags=flags)


class _Alive:
    """A set of order ids from which a random one can be drawn."""

    def __init__(self, order_ids: list[int]) -> None:
        self.order_ids = order_ids
        self.resting = len(order_ids)
        self.places = {order_id: place for place, order_id in enumerate(order_ids)}

    def add(self, order_id: int) -> None:
        self.places[order_id] = len(self.order_ids)
        self.order_ids.append(order_id)

    def discard(self, order_id: int) -> None:
        place, last = self.places.pop(order_id), self.order_ids.pop()
        if last != order_id:
            self.order_ids[place], self.places[last] = last, place

    def pop(self, generator: random.Random) -> int:
        order_id = generator.choice(self.order_ids)
        self.discard(order_id)
        return order_id
