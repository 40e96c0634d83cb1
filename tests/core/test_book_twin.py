"""The compiled book and its naive twin give the same events: by call, by batch, and by a walk beforehand.

BOOK_COMMANDS sets how many random commands are tried: two million by default, any number in the long run.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from piggy.core.book import Book
from piggy.core.booktypes import Flag, Op
from tests.core.naive_book import Event, NaiveBook, Order

COMMANDS = int(os.environ.get("BOOK_COMMANDS", "2000000"))
ROUND = 50_000
FLAGS = [0] * 8 + [1, 2, 4, 8, 16, Flag.IOC | Flag.ALL_OR_NONE, Flag.POST_ONLY | Flag.FOK, Flag.POST_ONLY | Flag.MARKET]
Resting = tuple[int, int, int, int, int]


def queue_of(twin: NaiveBook, side: int) -> list[Resting]:
    return [(order.id, order.price, order.shown, order.leaves, order.owner) for order in twin.sides[side]]


def plain(events: list[Event]) -> list[Event]:
    return [tuple(map(int, event)) for event in events]  # type: ignore[misc]


def commands(seed: int, size: int) -> list[tuple[int, Order]]:
    """Return random commands on a narrow range of prices, where everything meets everything."""
    draw = np.random.default_rng(seed)
    number = np.arange(1, size + 1)
    op = draw.choice([int(Op.NEW), int(Op.CANCEL), int(Op.AMEND)], size, p=[0.5, 0.38, 0.12])
    back = draw.integers(0, np.minimum(number, 150) + 1)
    order_id = np.where((op == Op.NEW) & (draw.random(size) < 0.98), number, number - back)
    least = np.where((op == Op.AMEND) | (draw.random(size) < 0.02), 0, 1)
    columns = (
        order_id,
        draw.integers(0, 2, size),
        draw.integers(90, 111, size),
        draw.integers(least, 40),
        draw.choice(np.array(FLAGS, np.int64), size),
        draw.choice([0, 0, 1, 2], size),
        draw.integers(0, 4, size),
        draw.choice([0, 0, 0, 1, 3, 7, 60], size),
        draw.choice([0, 0, 0, 0, 5, 20], size),
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return list(zip(op.tolist(), (Order(*row) for row in rows), strict=True))


def called(book: Book, op: int, order: Order) -> list[Event]:
    if op == Op.CANCEL:
        return book.cancel(order_id=order.id)
    if op == Op.AMEND:
        return book.amend(order_id=order.id, price=order.price, qty=order.leaves)
    return book.submit(**terms_of(order), display=order.display)


def batched(book: Book, rows: list[tuple[int, Order]]) -> np.ndarray:
    orders = [order for _, order in rows]
    return book.run(
        op=np.array([op for op, _ in rows], np.int8),
        order_id=np.array([order.id for order in orders], np.int64),
        side=np.array([order.side for order in orders], np.int8),
        price=np.array([order.price for order in orders], np.int64),
        qty=np.array([order.leaves for order in orders], np.int64),
        flags=np.array([order.flags for order in orders], np.int32),
        owner=np.array([order.owner for order in orders], np.int64),
        stp=np.array([order.stp for order in orders], np.int8),
        display=np.array([order.display for order in orders], np.int64),
        minimum=np.array([order.minimum for order in orders], np.int64),
    )


def terms_of(order: Order) -> dict[str, int]:
    return {
        "order_id": order.id,
        "side": order.side,
        "price": order.price,
        "qty": order.leaves,
        "flags": order.flags,
        "owner": order.owner,
        "stp": order.stp,
        "minimum": order.minimum,
    }


@pytest.mark.parametrize("seed", range(max(COMMANDS // ROUND, 1)))
def test_the_book_and_its_twin_agree_on_every_event(seed: int) -> None:
    book, batch, twin = Book(), Book(), NaiveBook()
    rows = commands(seed, ROUND)
    expected: list[Event] = []
    for at, (op, order) in enumerate(rows):
        walked = book.walk(**terms_of(order)) if op == Op.NEW and order.id and not order.display else None
        events = called(book, op, order)
        assert walked in (None, events), (seed, at, order)
        twins = twin.run(op, Order(**vars(order)))
        assert events == twins, (seed, at, op, order)
        expected += twins
    got = batched(batch, rows)
    assert [tuple(row) for row in got.tolist()] == expected
    for side in range(2):
        assert book.queue(side=side) == batch.queue(side=side) == queue_of(twin, side)


def test_ids_that_all_hash_to_one_place_and_prices_that_share_a_hint_change_nothing() -> None:
    """The map fills bucket after bucket from the last one on, round its end, and closes up after each cancel."""
    unhash = pow(0x9E3779B97F4A7C15, -1, 2**64)
    alike = (unhash * (0xFFFFFFFF << 32 | low) % 2**64 for low in range(20_000))
    hostile = [order_id for order_id in alike if order_id < 2**63]
    rows = [
        (op, replace(order, id=order.id and hostile[order.id], price=order.price * 2_048 - 200_000))
        for op, order in commands(1_000_003, 5_000)
    ]
    book, batch, twin = Book(), Book(), NaiveBook()
    expected: list[Event] = []
    for op, order in rows:
        events = called(book, op, order)
        assert events == twin.run(op, replace(order)), order
        expected += events
    assert [tuple(row) for row in batched(batch, rows).tolist()] == expected
    for side in range(2):
        assert book.queue(side=side) == batch.queue(side=side) == queue_of(twin, side)


def test_a_queue_keeps_its_order_through_cancels_in_its_middle_and_icebergs_at_its_back() -> None:
    """One price, hundreds of orders: every order that leaves makes a hole, whole runs of the queue go."""
    rows = [(op, replace(order, price=100, side=0, flags=0)) for op, order in commands(1_000_004, 4_000)]
    book, twin = Book(), NaiveBook()
    for number, (op, order) in enumerate(rows):
        assert called(book, op, order) == twin.run(op, replace(order))
        if number % 40 == 39:
            seller = Order(**(vars(order) | {"id": 10_000 + number, "side": 1, "price": 100, "flags": 1}))
            assert called(book, Op.NEW, seller) == twin.run(Op.NEW, replace(seller))
    assert book.queue(side=0) == queue_of(twin, 0)
    assert len(book) > 300


def test_a_large_book_agrees_with_its_own_queue() -> None:
    """Growing pools, maps and trees moves every order; none is lost or out of place."""
    size = 50_000
    generator = np.random.default_rng(3)
    side = generator.integers(0, 2, size, dtype=np.int8)
    away = generator.integers(1, 100_000, size)
    price = 1_000_000 + np.where(side == 0, -away, away)
    book = Book()
    book.run(
        op=np.zeros(size, np.int8),
        order_id=np.arange(1, size + 1) * 4_294_967_296,
        side=side,
        price=price,
        qty=np.ones(size, np.int64),
    )
    bids = [row[1] for row in book.queue(side=0)]
    assert bids == sorted(price[side == 0].tolist(), reverse=True)
    for number in range(1, size + 1, 2):
        book.remove(order_id=number * 4_294_967_296)
    assert len(book) == size // 2
    assert all((number * 4_294_967_296 in book) == (number % 2 == 0) for number in range(1, size + 1))


class BookMachine(RuleBasedStateMachine):
    """Hypothesis looks for the shortest story in which the book and its twin part."""

    def __init__(self) -> None:
        super().__init__()
        self.book, self.twin, self.number = Book(), NaiveBook(), 0

    @rule(
        side=st.integers(0, 1),
        price=st.integers(97, 103),
        qty=st.integers(1, 12),
        flags=st.sampled_from(FLAGS),
        owner=st.integers(0, 2),
        stp=st.integers(0, 3),
        display=st.sampled_from([0, 0, 1, 3]),
        minimum=st.sampled_from([0, 0, 4]),
    )
    def place(self, **terms: int) -> None:
        self.number += 1
        order = Order(id=self.number, leaves=terms.pop("qty"), **terms)
        assert called(self.book, Op.NEW, order) == plain(self.twin.submit(replace(order)))

    @precondition(lambda self: self.number)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order_id = data.draw(st.integers(1, self.number))
        assert self.book.cancel(order_id=order_id) == plain(self.twin.cancel(order_id))

    @precondition(lambda self: self.number)
    @rule(data=st.data(), price=st.integers(97, 103), qty=st.integers(0, 12))
    def amend(self, data: st.DataObject, price: int, qty: int) -> None:
        order_id = data.draw(st.integers(1, self.number))
        events = self.book.amend(order_id=order_id, price=price, qty=qty)
        assert events == plain(self.twin.amend(order_id, price, qty))

    @invariant()
    def the_queues_are_the_same(self) -> None:
        for side in range(2):
            rows = queue_of(self.twin, side)
            assert self.book.queue(side=side) == rows
            assert len(self.book) == sum(map(len, self.twin.sides))


TestBookMachine = BookMachine.TestCase
TestBookMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
