"""A recorded hour of NASDAQ, order by order (LOBSTER format): price-time priority as the exchange kept it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from piggy.core.book import Book
from piggy.core.booktypes import Flag, Kind

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "books" / "lobster-aapl"
NEW, EXECUTED, HIDDEN = 1, 4, 5
ANONYMOUS = 10**12

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="recorded orders (../shared/data/books) are not here")


def rows(name: str) -> list[list[int]]:
    with next(FOLDER.glob(f"*_{name}_10.csv")).open() as lines:
        return [[int(float(cell)) for cell in row] for row in csv.reader(lines)]


def seeded(message: list[int], levels: list[int]) -> tuple[Book, dict[tuple[int, int], int]]:
    """Return a book of the first row's levels, each one order that nobody knows the id of but the first message's."""
    book, anonymous = Book(), {}
    for at in range(0, len(levels), 4):
        for side, price, qty in ((1, levels[at], levels[at + 1]), (0, levels[at + 2], levels[at + 3])):
            known = (side, price, qty) == (0, message[4], message[3])
            order_id = message[2] if known else ANONYMOUS + at * 2 + side
            book.add(order_id=order_id, side=side, price=price, qty=qty)
            anonymous[side, price] = order_id
    return book, anonymous


def follow(book: Book, anonymous: dict[tuple[int, int], int], number: int, message: list[int]) -> int:
    """Put one recorded message to the book; return 1 for an execution that met the order it met on the day."""
    _, kind, order_id, qty, price, direction = message
    side = 0 if direction == 1 else 1
    resting = order_id if order_id in book else anonymous.get((side, price), 0)
    if kind == NEW:
        book.submit(order_id=order_id, side=side, price=price, qty=qty)
    elif kind == EXECUTED and resting in book:
        taker = 2 * ANONYMOUS + number
        (fill,) = book.submit(order_id=taker, side=1 - side, price=price, qty=qty, flags=Flag.IOC)
        assert (fill[0], fill[2], fill[3], fill[4]) == (Kind.FILLED, resting, price, qty)
        return 1
    elif kind != HIDDEN and (order := book.order(order_id=resting)):
        book.shrink(order_id=resting, leaves=max(order[3] - qty, 0))
    return 0


def test_every_execution_is_at_the_front_of_the_best_queue_and_the_best_quote_is_right() -> None:
    """94 of 94 executions of orders that the excerpt knows; 954 of 998 best quotes (the rest needs older orders)."""
    messages, levels = rows("message"), rows("orderbook")
    book, anonymous = seeded(messages[0], levels[0])
    executions = right = seen = 0
    for number, (message, row) in enumerate(zip(messages[1:], levels[1:], strict=False)):
        executions += follow(book, anonymous, number, message)
        ask, bid = book.best(side=1), book.best(side=0)
        right += (ask and ask[0], bid and bid[0]) == (row[0], row[2])
        seen += 1
    assert (executions, right, seen) == (94, 954, 998)


def test_the_recorded_days_last_book_comes_out_as_far_as_the_excerpt_tells() -> None:
    """The best bid and ask of the last row, all ten levels of asks and six of bids, price and size.

    The other four bids had been joined by orders from before the excerpt, whose size was never told.
    """
    messages, levels = rows("message"), rows("orderbook")
    book, anonymous = seeded(messages[0], levels[0])
    for number, message in enumerate(messages[1:]):
        follow(book, anonymous, number, message)
    last = levels[-1]
    recorded = [
        {(last[at + 2 * side], last[at + 1 + 2 * side]) for at in range(0, len(last), 4)} for side in (0, 1)
    ]  # The file has the ask of each level first.
    mine = [{row[:2] for row in book.depth(side=1 - side, levels=10)} for side in (0, 1)]
    right = [len(theirs & ours) for theirs, ours in zip(recorded, mine, strict=True)]
    best_ask, best_bid = book.best(side=1), book.best(side=0)
    assert best_ask and best_bid and (best_ask[0], best_bid[0]) == (last[0], last[2])
    assert right == [10, 6], "asks and bids of ten levels each"


def test_a_recorded_book_of_500_levels_is_kept_change_by_change() -> None:
    """Bybit's XRPUSDT: a snapshot and 49 changes, each level one order; every depth equals the sorted recording."""
    archive = FOLDER.parent / "xrpusdt-ob500.data.zip"
    with ZipFile(archive) as files:
        lines = files.read(files.namelist()[0]).decode().splitlines()
    book = Book()
    recorded: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for message in map(json.loads, lines):
        for side, name in enumerate(("b", "a")):
            for price_text, size_text in message["data"][name]:
                price, size = int(price_text.replace(".", "")), int(size_text)
                order_id = price * 2 + side
                if order_id in book:
                    book.remove(order_id=order_id)
                recorded[side].pop(price, None)
                if size:
                    book.add(order_id=order_id, side=side, price=price, qty=size)
                    recorded[side][price] = size
            expected = sorted(recorded[side].items(), reverse=side == 0)
            assert [row[:2] for row in book.depth(side=side, levels=1_000)] == expected
    assert len(lines) == 50 and len(book) >= 1_000
