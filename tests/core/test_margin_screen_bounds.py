"""The screening arrays at their edges: where 64 bits end, where a level is reached, how room is made."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core.margin_screen import Block, Factor, MarginScreen, UnableToScreen
from tests.core.test_margin_screen import MICRO, instrument, ints, screen_of

ONE, TWO = Factor(1, 1), Factor(2, 1)
HALF = 2**61


def block_of(*, profit: Factor, margin: Factor, lots: int, cost: int, weight: int) -> Block:
    screen, block = MarginScreen(accounts=1), Block(profit, margin)
    screen.add_rows(block=block, account=ints(0), lots=ints(lots), cost=ints(cost), weight=ints(weight))
    return block


@pytest.mark.parametrize(
    ("row", "bid", "ask"),
    [
        ({"profit": TWO, "margin": ONE, "lots": 2**30, "cost": 2**60, "weight": 0}, 1, 2**30),
        ({"profit": TWO, "margin": ONE, "lots": 0, "cost": -HALF, "weight": 0}, 1, 1),
        ({"profit": ONE, "margin": TWO, "lots": 0, "cost": 0, "weight": 2**30}, 2**30, 2**30),
    ],
    ids=["profit and cost", "cost alone", "margin"],
)
def test_a_block_is_refused_from_two_to_the_62nd_on_and_not_before(row: dict[str, Any], bid: int, ask: int) -> None:
    with pytest.raises(UnableToScreen, match="64 bits"):
        block_of(**row).revalued(bid=bid, ask=ask)
    less = row | ({"weight": row["weight"] - 1} if row["weight"] else {"cost": abs(row["cost"]) - 1})
    floating, used = block_of(**less).revalued(bid=bid, ask=ask)
    lots, cost, weight = (less[name] for name in ("lots", "cost", "weight"))
    assert floating[0] == (lots * bid - cost if lots else -cost) * row["profit"].numerator
    assert used[0] == weight * (bid + ask) * row["margin"].numerator


def test_a_block_without_rows_takes_any_price() -> None:
    huge = Factor(2**61, 1)
    screen, block = MarginScreen(accounts=1), Block(huge, ONE)
    screen.add_rows(block=block, account=ints(), lots=ints(), cost=ints(), weight=ints())
    assert [len(each) for each in block.revalued(bid=1, ask=2**62)] == [0, 0]
    assert (block.lots_max, block.cost_max, block.weight_max) == (0, 0, 0)


def test_a_fill_that_makes_a_row_too_large_is_refused_at_the_next_tick() -> None:
    screen = screen_of([(0, 100, 110_000), (0, 100, 110_000)], accounts=1)
    block = screen.blocks["EURUSD", "USD"]
    for lots, cost, weight in ((10**9, 0, 0), (0, 10**12, 0), (0, 0, 10**15)):
        screen.set_row(block=block, row=1, lots=lots, cost=cost, weight=weight)
        with pytest.raises(UnableToScreen, match="64 bits"):
            screen.tick(symbol="EURUSD", bid=110_000, ask=110_000)
        block.lots_max = block.cost_max = block.weight_max = 0


def test_rows_and_accounts_grow_by_doubling_so_that_adding_one_more_stays_cheap() -> None:
    screen = MarginScreen(accounts=1)
    block = screen.add_block(instrument=instrument("EURUSD"), currency="USD", rate=D(1))
    sizes, one = [], ints(1)
    for row in range(200):
        rows = screen.add_rows(block=block, account=one * 0, lots=one, cost=one, weight=one)
        assert rows == range(row, row + 1)
        sizes.append(len(block.account))
    assert sizes == [64] * 64 + [128] * 64 + [256] * 72
    assert screen.add_rows(block=block, account=ints(*[0] * 1_000), lots=one, cost=one, weight=one) == range(200, 1_200)
    assert len(block.account) == 1_200, "what is asked for at once is all there is room for"
    known = []
    for accounts in range(1, 10):
        screen.room(accounts=accounts)
        known.append(len(screen.balance))
        assert len({len(each) for each in (screen.balance, screen.floating, screen.used, screen.level)}) == 1
    assert known == [1, 2, 4, 4, 8, 8, 8, 8, 16]
    screen.room(accounts=100)
    assert len(screen.balance) == 100


@pytest.mark.parametrize(("level", "balance", "found"), [(49.9, 0, True), (50, 0, True), (50, 10_000, False)])
def test_an_account_is_looked_at_at_its_level_and_not_a_cent_above(level: float, balance: int, found: bool) -> None:
    """Four lots at 1.1 and 3.33 % use 14,652.00; the level is 50 % of that."""
    screen = screen_of([(0, 400, 110_000)], accounts=1)
    used = 14_652 * MICRO
    screen.balance[0] = used // 1_000 * round(level * 10) + balance
    assert (list(screen.tick(symbol="EURUSD", bid=110_000, ask=110_000)) == [0]) is found
    assert screen.used[0] == used


def test_a_rate_that_was_rounded_down_hides_nobody_at_the_level() -> None:
    """Ten lots lose half a dollar a unit; to eight digits of the rate that is a quarter of a cent less than is true."""
    rate = D("0.123456785")
    screen = screen_of([(0, 1_000, 110_000)], accounts=1, rate=rate)
    floating = D(10) * 100_000 * D("-0.5") * rate
    used = D(10) * 100_000 * D("0.6") * rate * D("3.33") / 100
    screen.level[0] = 10
    screen.balance[0] = int((used / 1_000 - floating) * MICRO)
    assert list(screen.tick(symbol="EURUSD", bid=60_000, ask=60_000)) == [0]
    assert D(int(screen.floating[0])) / MICRO > floating + D("0.002")


def test_a_sweep_names_rows_of_every_block_and_leaves_out_what_is_flat_or_safe() -> None:
    screen = screen_of([(0, 1, 110_000), (1, 100, 110_000), (2, 0, 110_000), (2, 100, 110_000)], accounts=3)
    other = screen.add_block(instrument=instrument("GBPUSD"), currency="USD", rate=D(1))
    screen.add_rows(
        block=other, account=ints(2, 1, 0), lots=ints(0, 100, 1), cost=ints(0, 0, 130_000), weight=ints(0, 333, 3)
    )
    screen.balance[:] = [0, 90_000 * MICRO, -1]
    screen.revalue(prices={"EURUSD": (109_000, 109_000), "GBPUSD": (129_999, 129_999)})
    found = screen.sweep()
    rows = [(int(a), screen.keys[b][0], int(r)) for a, b, r in zip(found.account, found.block, found.row, strict=True)]
    assert found.accounts.tolist() == [2, 0]
    assert sorted(rows) == [(0, "EURUSD", 0), (0, "GBPUSD", 2), (2, "EURUSD", 3)]


def test_the_smallest_position_is_valued_at_the_price_it_is_closed_at() -> None:
    screen = screen_of([(0, 1, 110_000), (1, -1, 110_000)], accounts=2)
    screen.tick(symbol="EURUSD", bid=110_000, ask=110_100)
    assert list(screen.floating) == [0, -MICRO]


def test_who_uses_no_margin_is_low_below_nothing_only_and_who_uses_any_may_be_at_nothing() -> None:
    screen = screen_of([(number, 0, 110_000) for number in range(3)], accounts=3)
    screen.balance[2], screen.used[1] = -1, 1
    assert list(screen.tick(symbol="EURUSD", bid=110_000, ask=110_000)) == [1, 2]
    assert screen.sweep().accounts.tolist() == [2, 1]
    assert screen.lowest(count=3).tolist() == [1]


def test_an_account_that_gained_and_lost_nothing_is_found_at_a_low_level_too() -> None:
    """Four lots at 0.05 %: what its margin was rounded by counts then."""
    screen = screen_of([(0, 400, 110_000)], accounts=1)
    screen.level[0], screen.balance[0] = 5, 14_652 * MICRO // 2_000
    assert list(screen.tick(symbol="EURUSD", bid=110_000, ask=110_000)) == [0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_lowest_levels_come_first_of_many(count: int) -> None:
    screen = MarginScreen(accounts=5_000)
    levels = [(number * 1_777 + 2_500) % 5_000 + 1 for number in range(5_000)]
    screen.used[:], screen.balance[:] = MICRO, [level * MICRO for level in levels]
    assert screen.lowest(count=count).tolist() == [levels.index(place) for place in range(1, count + 1)]


def test_the_lowest_level_is_found_among_the_smallest_accounts_too() -> None:
    """Ten percent of a tenth of a cent is more than 4.4 % of nine times as much."""
    screen = MarginScreen(accounts=2)
    screen.used[:], screen.balance[:] = [1_000, 9_000], [100, 400]
    assert screen.lowest(count=2).tolist() == [1, 0]
