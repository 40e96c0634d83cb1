"""Positions are sums of fills, whatever their order, and lose nothing on the way."""

from __future__ import annotations

import itertools
from decimal import Decimal as D
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import positions
from piggy.core.orders import Side
from piggy.core.positions import (
    LIFE_FILLS_MAX,
    Fill,
    Life,
    Names,
    Position,
    UnableToFoldFill,
    busted,
    close_split,
    corrected,
    filled,
    floating,
    folded,
    opening_lots,
)
from piggy.core.restating import without

SIZE = D(100_000)
lots = st.integers(1, 5_000).map(lambda n: D(n) / 100)
prices = st.integers(100_000, 120_000).map(lambda n: D(n) / 100_000)
fills = st.builds(
    Fill,
    fill_id=st.uuids().map(str),
    side=st.sampled_from(Side),
    quantity=lots,
    price=prices,
    book=st.sampled_from(("A", "B", "CROSS")),
)


def buy(quantity: str, price: str, *, position: Position | None = None, **more: object):
    return filled(position=position, side=Side.BUY, quantity=D(quantity), price=D(price), contract_size=SIZE, **more)  # type: ignore[arg-type]


def sell(quantity: str, price: str, *, position: Position | None = None, **more: object):
    return filled(position=position, side=Side.SELL, quantity=D(quantity), price=D(price), contract_size=SIZE, **more)  # type: ignore[arg-type]


def held(fold) -> Position:
    assert fold.position is not None
    return fold.position


def test_a_first_fill_opens_a_position_at_its_price():
    fold = buy(
        "2", "1.1", account_id="a1", symbol="EURUSD", position_id="p1", book="A", at_us=7, margin_percent=D("3.33")
    )
    position = held(fold)
    assert (position.account_id, position.symbol, position.position_id) == ("a1", "EURUSD", "p1")
    assert (position.quantity, position.average_price, position.opened_at_us) == (D(2), D("1.1"), 7)
    assert (position.book, position.a_lots, position.rate_weight) == ("A", D(2), D("6.66"))
    assert (fold.realised_quote, fold.closed_lots, fold.opened_lots) == (D(0), D(0), D(2))


def test_a_second_fill_the_same_way_moves_the_average_to_the_vwap():
    position = held(buy("3", "1.2", position=buy("1", "1.0").position))
    assert position.average_price == D("1.15")
    assert position.side is Side.BUY
    assert position.lots == D(4)


def test_a_partial_close_realises_its_share_and_keeps_the_average():
    fold = sell("1", "1.2", position=buy("3", "1.1").position)
    assert fold.realised_quote == D("0.1") * SIZE
    assert (fold.closed_lots, fold.opened_lots) == (D(1), D(0))
    assert held(fold).average_price == D("1.1")
    assert held(fold).realised_quote == fold.realised_quote


def test_a_partial_close_keeps_the_margin_weight_of_what_stays():
    position = held(buy("3", "1.1", margin_percent=D(5)))
    position = held(buy("1", "1.1", position=position, margin_percent=D(10)))
    assert held(sell("3", "1.2", position=position)).rate_weight == D("6.25")


def test_what_a_fill_leaves_out_is_nothing():
    position = held(buy("1", "1.1"))
    assert (position.opened_at_us, position.news_until_us, position.rate_weight, position.book) == (0, 0, D(0), "B")


def test_a_full_close_leaves_nothing():
    fold = buy("3", "1.05", position=sell("3", "1.1").position)
    assert fold.position is None
    assert fold.realised_quote == D("0.15") * SIZE
    assert (fold.closed_lots, fold.opened_lots) == (D(3), D(0))


def test_a_reversal_closes_all_and_opens_the_rest_at_the_fill():
    first = buy("2", "1.1", account_id="a1", symbol="EURUSD", position_id="p1", at_us=1)
    fold = sell("5", "1.2", position=first.position, book="A", at_us=9)
    position = held(fold)
    assert (position.quantity, position.average_price, position.opened_at_us) == (D(-3), D("1.2"), 9)
    assert (position.account_id, position.symbol, position.position_id) == ("a1", "EURUSD", "p1")
    assert (position.a_lots, position.b_lots, position.realised_quote) == (D(3), D(0), D(0))
    assert (fold.realised_quote, fold.closed_lots, fold.opened_lots) == (D("0.2") * SIZE, D(2), D(3))
    assert held(sell("5", "1.2", position=first.position, position_id="p2")).position_id == "p2"


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity"])
def test_a_fill_that_cannot_be_is_a_defect(quantity):
    with pytest.raises(UnableToFoldFill):
        buy(quantity, "1.1")


def test_a_fill_without_a_price_is_a_defect():
    with pytest.raises(UnableToFoldFill):
        buy("1", "NaN")


def test_a_close_follows_the_book_of_its_open():
    position = held(buy("1", "1.1", book="A"))
    position = held(buy("2", "1.1", position=position, book="B"))
    position = held(buy("3", "1.1", position=position, book="CROSS"))
    assert position.book == "CROSS"
    assert close_split(position=position, quantity=D(5)) == {"A": D(1), "CROSS": D(3), "B": D(1)}
    assert close_split(position=position, quantity=D(9)) == {"A": D(1), "CROSS": D(3), "B": D(2)}
    assert close_split(position=position, quantity=D(1)) == {"A": D(1)}
    left = held(sell("3", "1.1", position=position, book="B"))
    assert (left.a_lots, left.cross_lots, left.b_lots) == (D(0), D(3), D(0))


def test_lots_taxed_by_news_are_unwound_first():
    position = held(buy("2", "1.1"))
    position = held(buy("3", "1.1", position=position, news_lots=D(3), news_percent=D(20), news_until_us=50))
    position = held(buy("1", "1.1", position=position, news_lots=D(9), news_percent=D(10), news_until_us=90))
    assert (position.news_lots, position.news_percent, position.news_until_us) == (D(4), D(20), 90)
    assert held(sell("1", "1.1", position=position)).news_lots == D(3)
    assert held(sell("5", "1.1", position=position)).news_lots == D(0)
    reversed_ = held(sell("8", "1.1", position=position, news_lots=D(5), news_percent=D(20), news_until_us=90))
    assert (reversed_.quantity, reversed_.news_lots) == (D(-2), D(2))


def test_a_long_floats_at_the_bid_and_a_short_at_the_ask():
    long, short = held(buy("1", "1.1")), held(sell("1", "1.1"))
    quote = {"bid": D("1.2"), "ask": D("1.3"), "contract_size": SIZE}
    assert floating(position=long, **quote) == D("0.1") * SIZE
    assert floating(position=short, **quote) == D("-0.2") * SIZE


def total(history, mark: D) -> D:
    fold = folded(fills=history, contract_size=SIZE)
    open_ = floating(position=fold.position, bid=mark, ask=mark, contract_size=SIZE) if fold.position else D(0)
    return fold.realised_quote + open_


def net(history) -> D:
    position = folded(fills=history, contract_size=SIZE).position
    return position.quantity if position else D(0)


@given(st.lists(fills, max_size=4), prices)
def test_any_permutation_of_fills_gives_the_same_net_and_total_profit(history, mark):
    cash = -sum((fill.side.sign * fill.quantity * fill.price for fill in history), D(0))
    signed = sum((fill.side.sign * fill.quantity for fill in history), D(0))
    for order in itertools.permutations(history):
        assert net(order) == signed
        assert total(order, mark) == (cash + signed * mark) * SIZE


@given(st.lists(fills, min_size=1, max_size=30))
def test_lots_by_book_always_add_up_to_the_position(history):
    fold = folded(fills=history, contract_size=SIZE, account_id="a1", symbol="EURUSD")
    assert fold.opened_lots - fold.closed_lots == (fold.position.lots if fold.position else 0)
    if fold.position:
        position = fold.position
        assert position.a_lots + position.cross_lots + position.b_lots == position.lots
        assert min(position.a_lots, position.cross_lots, position.b_lots) >= 0
        assert sum(close_split(position=position, quantity=position.lots).values()) == position.lots


@given(st.lists(fills, min_size=1, max_size=8), st.randoms(use_true_random=False), prices)
def test_a_bust_and_a_correction_converge_in_any_order(history, random, mark):
    """A venue takes one fill back and corrects another; whenever that is heard, the same remains."""
    gone, wrong = random.choice(history), random.choice(history)
    right = Fill(fill_id=wrong.fill_id, side=wrong.side, quantity=wrong.quantity, price=mark)
    one = busted(fills=corrected(fills=history, fill=right), fill_id=gone.fill_id)
    other = corrected(fills=busted(fills=history, fill_id=gone.fill_id), fill=right)
    assert one == other
    assert busted(fills=one, fill_id=gone.fill_id) == one
    shuffled = list(one)
    random.shuffle(shuffled)
    assert (net(shuffled), total(shuffled, mark)) == (net(one), total(one, mark))


@given(st.lists(fills, min_size=1, max_size=8), fills, prices)
def test_trading_a_fill_back_at_its_price_is_a_bust(history, extra, mark):
    back = Fill(fill_id="back", side=extra.side.contra, quantity=extra.quantity, price=extra.price)
    assert net([*history, extra, back]) == net(history)
    assert total([*history, extra, back], mark) == total(history, mark)


@given(st.lists(fills, min_size=1, max_size=12), st.data(), prices, st.integers(0, 4))
def test_a_position_without_a_fill_comes_to_what_the_others_come_to(history, data, mark, kept):
    """Whichever fill is taken out, of whichever life, and however long the memory: net and total profit are exact."""
    history = [msgspec.structs.replace(fill, fill_id=str(number)) for number, fill in enumerate(history)]
    life, now, realised = Life(), None, D(0)
    with patch.object(positions, "LIFE_FILLS_MAX", kept):
        for fill in history:
            before = now
            fold = filled(
                position=now, side=fill.side, quantity=fill.quantity, price=fill.price, contract_size=SIZE,
                book=fill.book, at_us=fill.at_us,
            )  # fmt: skip
            now, realised = fold.position, realised + fold.realised_quote
            life.take(fill=fill, before=before, after=now, contract_size=SIZE)
        gone = data.draw(st.sampled_from(history))
        restated = without(life=life, gone=gone, position=now, contract_size=SIZE, names=Names(), currency="USD")
    others = [fill for fill in history if fill is not gone]
    assert (restated.position.quantity if restated.position else 0) == net(others)
    open_ = floating(position=restated.position, bid=mark, ask=mark, contract_size=SIZE) if restated.position else D(0)
    assert realised + restated.realised_quote + open_ == total(others, mark)


def test_the_fills_of_a_life_are_the_position():
    """Refolding what is kept of a position gives it again, also after it turned and after the oldest were summed."""
    life, now = Life(), None
    for number in range(300):
        fill = Fill(
            fill_id=str(number),
            side=Side.BUY if number % 5 else Side.SELL,
            quantity=D(number % 7 + 1),
            price=D(100 + number % 11),
        )
        before = now
        now = filled(
            position=now, side=fill.side, quantity=fill.quantity, price=fill.price, contract_size=SIZE
        ).position
        life.take(fill=fill, before=before, after=now, contract_size=SIZE)
        again = life.base
        for kept in life.fills:
            again = filled(
                position=again, side=kept.side, quantity=kept.quantity, price=kept.price, contract_size=SIZE
            ).position
        assert again == now
    assert len(life.fills) == LIFE_FILLS_MAX


def test_a_part_takes_its_share_of_the_cost_with_it():
    five = filled(position=None, side=Side.BUY, quantity=D(5), price=D("1.1"), contract_size=SIZE).position
    fold = filled(position=five, side=Side.SELL, quantity=D(2), price=D("1.2"), contract_size=SIZE)
    assert fold.realised_quote == D(20_000) and fold.position.cost == D("3.3")


@pytest.mark.parametrize(
    ("held", "side", "quantity", "opens"),
    [(None, Side.BUY, 1, 1), (2, Side.BUY, 1, 1), (2, Side.SELL, 1, 0), (2, Side.SELL, 2, 0), (2, Side.SELL, 5, 3)],
)
def test_what_is_more_than_the_other_side_holds_opens(held: int | None, side: Side, quantity: int, opens: int):
    position = None
    if held:
        position = filled(position=None, side=Side.BUY, quantity=D(held), price=D(1), contract_size=SIZE).position
    assert opening_lots(position=position, side=side, quantity=D(quantity)) == opens


def test_a_close_is_not_taxed_by_a_news_window_however_it_moves_the_net():
    """Of a hedged account, whose net grows as its short position is closed."""
    short = filled(position=None, side=Side.SELL, quantity=D(2), price=D(1), contract_size=SIZE).position
    fold = filled(
        position=short, side=Side.BUY, quantity=D(1), price=D(1), contract_size=SIZE,
        news_lots=D(1), news_percent=D(30), news_until_us=9,
    )  # fmt: skip
    assert (fold.position.news_lots, fold.position.news_percent, fold.position.news_until_us) == (0, 0, 0)
