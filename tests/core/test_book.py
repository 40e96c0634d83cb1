"""The compiled book, told in sentences. Its twin and recorded days are next door."""

from __future__ import annotations

import numpy as np
import pytest

from piggy.core.book import Book, UnableToChangeBook
from piggy.core.booktypes import SIDES, STP_MODES, BookSide, Flag, Kind, Op, Reason, Stp
from piggy.core.orders import SelfTradePrevention, Side

BUY, SELL = BookSide.BUY, BookSide.SELL


def book_of(*orders: tuple[int, int, int, int], **terms: int) -> Book:
    """Return a book of (order_id, side, price, qty) orders."""
    book = Book()
    for order_id, side, price, qty in orders:
        book.add(order_id=order_id, side=side, price=price, qty=qty, **terms)
    return book


def test_a_buy_takes_the_cheapest_ask_first_and_the_oldest_of_equals() -> None:
    book = book_of((1, SELL, 101, 5), (2, SELL, 100, 3), (3, SELL, 100, 3))
    assert book.submit(order_id=9, side=BUY, price=101, qty=7) == [
        (Kind.FILLED, 9, 2, 100, 3, 0),
        (Kind.FILLED, 9, 3, 100, 3, 0),
        (Kind.FILLED, 9, 1, 101, 1, 4),
    ]
    assert book.queue(side=SELL) == [(1, 101, 4, 4, 0)]


def test_what_a_limit_order_does_not_get_rests() -> None:
    book = book_of((1, SELL, 100, 3))
    assert book.submit(order_id=2, side=BUY, price=100, qty=5)[-1] == (Kind.RESTED, 2, 0, 100, 2, 0)
    assert (book.best(side=BUY), book.best(side=SELL), len(book), 2 in book) == ((100, 2), None, 1, True)


@pytest.mark.parametrize(
    ("flags", "minimum", "reason", "left"),
    [
        (Flag.IOC, 0, Reason.IMMEDIATE, 2),
        (Flag.MARKET, 0, Reason.IMMEDIATE, 2),
        (Flag.FOK, 0, Reason.FILL_OR_KILL, 5),
        (0, 4, Reason.MINIMUM, 5),
    ],
)
def test_orders_that_may_not_rest_say_why_they_end(flags: int, minimum: int, reason: int, left: int) -> None:
    book = book_of((1, SELL, 100, 3))
    last = book.submit(order_id=2, side=BUY, price=100, qty=5, flags=flags, minimum=minimum)[-1]
    assert (last[0], last[1], last[4], last[5]) == (Kind.CANCELLED, 2, left, reason)
    assert (1 in book) == (left == 5)


def test_post_only_is_refused_where_it_would_trade() -> None:
    book = book_of((1, SELL, 100, 3))
    refused = book.submit(order_id=2, side=BUY, price=100, qty=1, flags=Flag.POST_ONLY)
    rested = book.submit(order_id=2, side=BUY, price=99, qty=1, flags=Flag.POST_ONLY)
    assert (refused[0][0], refused[0][5], rested[0][0]) == (Kind.REJECTED, Reason.POST_ONLY, Kind.RESTED)
    assert book.amend(order_id=2, price=100, qty=1)[0][5] == Reason.POST_ONLY
    assert book.order(order_id=2) == (2, 99, 1, 1, 0)


def test_an_iceberg_shows_its_next_part_at_the_back_of_the_queue() -> None:
    book = Book()
    book.submit(order_id=1, side=SELL, price=100, qty=10, display=4)
    book.submit(order_id=2, side=SELL, price=100, qty=4)
    assert book.depth(side=SELL) == [(100, 8, 2)]
    fills = book.submit(order_id=3, side=BUY, price=100, qty=9)
    assert [fill[2:5] for fill in fills] == [(1, 100, 4), (2, 100, 4), (1, 100, 1)]
    assert book.order(order_id=1) == (1, 100, 3, 5, 0)


def test_an_all_or_none_order_waits_for_one_order_that_is_large_enough() -> None:
    book = book_of((1, SELL, 100, 10), flags=Flag.ALL_OR_NONE)
    book.add(order_id=2, side=SELL, price=101, qty=5)
    assert book.submit(order_id=3, side=BUY, price=101, qty=4) == [(Kind.FILLED, 3, 2, 101, 4, 1)]
    assert (book.best(side=SELL), book.depth(side=SELL)) == ((101, 1), [(101, 1, 1)])
    assert book.submit(order_id=4, side=BUY, price=100, qty=10) == [(Kind.FILLED, 4, 1, 100, 10, 0)]


def test_amending_down_keeps_the_place_and_amending_up_loses_it() -> None:
    book = book_of((1, BUY, 100, 5), (2, BUY, 100, 5))
    assert book.amend(order_id=1, price=100, qty=3) == [(Kind.AMENDED, 1, 0, 100, 3, 0)]
    assert [row[0] for row in book.queue(side=BUY)] == [1, 2]
    book.amend(order_id=1, price=100, qty=4)
    assert [row[0] for row in book.queue(side=BUY)] == [2, 1]
    assert book.amend(order_id=1, price=100, qty=0)[0][0] == Kind.CANCELLED
    assert book.amend(order_id=1, price=100, qty=1)[0][5] == Reason.UNKNOWN
    assert book.amend(order_id=2, price=100, qty=-1)[0][5] == Reason.BAD_TERMS


@pytest.mark.parametrize(
    ("stp", "events"),
    [
        (Stp.CANCEL_NEWEST, [(Kind.CANCELLED, 9, 0, 100, 5, Reason.SELF_TRADE)]),
        (Stp.CANCEL_OLDEST, [(Kind.CANCELLED, 1, 9, 100, 3, Reason.SELF_TRADE), (Kind.FILLED, 9, 2, 100, 5, 4)]),
        (
            Stp.CANCEL_BOTH,
            [(Kind.CANCELLED, 1, 9, 100, 3, Reason.SELF_TRADE), (Kind.CANCELLED, 9, 0, 100, 5, Reason.SELF_TRADE)],
        ),
        (Stp.DECREMENT, [(Kind.DECREMENTED, 9, 1, 100, 3, 0), (Kind.FILLED, 9, 2, 100, 2, 7)]),
    ],
)
def test_nobody_trades_with_himself(stp: int, events: list[tuple[int, ...]]) -> None:
    book = Book()
    book.add(order_id=1, side=SELL, price=100, qty=3, owner=7)
    book.add(order_id=2, side=SELL, price=100, qty=9, owner=8)
    before = book.queue(side=SELL)
    assert book.walk(order_id=9, side=BUY, price=100, qty=5, owner=7, stp=stp) == events
    assert book.queue(side=SELL) == before
    assert book.submit(order_id=9, side=BUY, price=100, qty=5, owner=7, stp=stp) == events


@pytest.mark.parametrize(
    "terms",
    [
        {"order_id": 0},
        {"qty": 0},
        {"side": 2},
        {"stp": 4},
        {"flags": 32},
        {"price": 1 << 58},
        {"display": -1},
        {"minimum": -1},
        {"display": 2, "flags": Flag.ALL_OR_NONE},
        {"flags": Flag.POST_ONLY | Flag.IOC},
    ],
)
def test_terms_that_contradict_themselves_are_refused(terms: dict[str, int]) -> None:
    asked = {"order_id": 5, "side": 0, "price": 100, "qty": 3} | terms
    (event,) = Book().submit(**asked)
    assert (event[0], event[5]) == (Kind.REJECTED, Reason.BAD_TERMS)


def test_an_id_that_rests_cannot_come_again_and_one_that_does_not_cannot_be_cancelled() -> None:
    book = book_of((1, BUY, 100, 5))
    assert book.submit(order_id=1, side=BUY, price=99, qty=1)[0][5] == Reason.DUPLICATE
    assert book.cancel(order_id=2) == [(Kind.REJECTED, 2, 0, 0, 0, Reason.UNKNOWN)]


def test_recorded_fills_are_applied_with_primitive_changes() -> None:
    book = Book()
    book.add(order_id=1, side=SELL, price=100, qty=10, display=4, shown=2)
    book.add(order_id=2, side=SELL, price=100, qty=1)
    assert book.depth(side=SELL) == [(100, 3, 2)]
    book.take(order_id=1, qty=2)
    assert [row[:4] for row in book.queue(side=SELL)] == [(2, 100, 1, 1), (1, 100, 4, 8)]
    book.shrink(order_id=1, leaves=3)
    assert (book.order(order_id=1), book.remove(order_id=1)) == ((1, 100, 3, 3, 0), 3)
    book.shrink(order_id=2, leaves=0)
    assert (len(book), book.order(order_id=2)) == (0, None)


def test_a_change_that_does_not_fit_the_book_is_loud() -> None:
    book = book_of((1, SELL, 100, 5))
    for change in (
        lambda: book.add(order_id=1, side=SELL, price=100, qty=5),
        lambda: book.add(order_id=2, side=SELL, price=100, qty=5, flags=Flag.IOC),
        lambda: book.take(order_id=1, qty=6),
        lambda: book.take(order_id=2, qty=1),
        lambda: book.shrink(order_id=1, leaves=6),
        lambda: book.remove(order_id=2),
    ):
        with pytest.raises(UnableToChangeBook):
            change()


def test_prices_may_be_negative_and_far_apart() -> None:
    prices = (-(1 << 57), -40, -1, 0, 1, 63, 64, 110_000, 1 << 57)
    book = book_of(*((number, SELL, price, 1) for number, price in enumerate(prices, start=1)))
    assert [row[1] for row in book.queue(side=SELL)] == sorted(prices)
    assert [price for price, _, _ in book.depth(side=SELL, levels=3)] == sorted(prices)[:3]
    for number in (1, 9, 5, 2, 8):
        book.remove(order_id=number)
    assert [row[1] for row in book.queue(side=SELL, limit=2)] == [-1, 0]


def test_a_batch_needs_columns_of_one_length_and_known_commands() -> None:
    def run(size: int, **more: object) -> object:
        one = np.ones(1, np.int64)
        op = np.array([7], np.int8)
        return Book().run(op=op, order_id=one, side=op, price=one, qty=np.ones(size, np.int64), **more)  # type: ignore[arg-type]

    assert run(1)[0].tolist() == [Kind.REJECTED, 1, 0, 1, 1, Reason.BAD_TERMS]  # type: ignore[index]
    for columns in ({"size": 2}, {"size": 1, "owner": np.ones(2, np.int64)}):
        with pytest.raises(ValueError, match="one length"):
            run(**columns)  # type: ignore[arg-type]
    nothing = np.ones(0, np.int64)
    empty = Book().run(op=np.ones(0, np.int8), order_id=nothing, side=np.ones(0, np.int8), price=nothing, qty=nothing)
    assert empty.shape == (0, 6)


def test_the_words_of_the_core_map_to_the_numbers_of_the_book() -> None:
    assert (SIDES[Side.BUY], SIDES[Side.SELL]) == (0, 1)
    assert STP_MODES[SelfTradePrevention.DECREMENT] == Stp.DECREMENT
    assert [int(op) for op in Op] == [0, 1, 2]
