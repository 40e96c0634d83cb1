"""The screening arrays agree with exact margin, never miss an account, and refuse to wrap."""

from __future__ import annotations

from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from piggy.core.instruments import AssetClass, Instrument
from piggy.core.margin_screen import Factor, MarginScreen, UnableToScreen

MICRO = 1_000_000


def instrument(symbol: str, *, digits: int = 5, size: int = 100_000) -> Instrument:
    return Instrument(
        symbol=symbol,
        asset_class=AssetClass.FX_MAJOR,
        base="EUR",
        quote="USD",
        contract_size=D(size),
        price_digits=digits,
        tick_size=D(1).scaleb(-digits),
    )


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def screen_of(rows: list[tuple[int, int, int]], *, accounts: int, rate: D = D(1)) -> MarginScreen:
    """Rows are (account, signed lot points, open price in points), at 3.33 %."""
    screen = MarginScreen(accounts=accounts)
    block = screen.add_block(instrument=instrument("EURUSD"), currency="USD", rate=rate)
    for account, lots, opened in rows:
        screen.add_rows(
            block=block, account=ints(account), lots=ints(lots), cost=ints(lots * opened), weight=ints(abs(lots) * 333)
        )
    return screen


def test_a_tick_revalues_what_it_touches():
    """One lot long from 1.1 at bid 1.101: 100.00 up; margin 3.33 % of 110,105.00 at the mid."""
    screen = screen_of([(0, 100, 110_000), (1, -100, 110_000)], accounts=3)
    assert list(screen.tick(symbol="EURUSD", bid=110_100, ask=110_110)) == [0, 1]
    assert list(screen.floating) == [100 * MICRO, -110 * MICRO, 0]
    assert list(screen.used) == [3_666_496_500, 3_666_496_500, 0]
    assert list(screen.tick(symbol="NOBODY", bid=1, ask=2)) == []


def test_an_account_is_found_when_its_level_is_reached():
    screen = screen_of([(0, 100, 110_000)], accounts=1)
    screen.balance[0] = 2_000 * MICRO
    assert list(screen.tick(symbol="EURUSD", bid=110_000, ask=110_000)) == []
    assert list(screen.tick(symbol="EURUSD", bid=109_800, ask=109_800)) == [0]
    screen.level[0] = 10
    assert list(screen.tick(symbol="EURUSD", bid=109_800, ask=109_800)) == []


def test_an_account_that_binds_nothing_is_found_when_nothing_is_left():
    screen = screen_of([(0, 100, 110_000)], accounts=1)
    screen.set_row(block=screen.blocks["EURUSD", "USD"], row=0, lots=100, cost=100 * 110_000, weight=0)
    assert list(screen.tick(symbol="EURUSD", bid=110_000, ask=110_000)) == []
    assert list(screen.tick(symbol="EURUSD", bid=109_999, ask=110_000)) == [0]


def test_a_fill_changes_a_row_and_a_flat_row_counts_for_nothing():
    screen = screen_of([(0, 100, 110_000)], accounts=1)
    block = screen.blocks["EURUSD", "USD"]
    screen.set_row(block=block, row=0, lots=200, cost=200 * 110_000, weight=200 * 333)
    screen.tick(symbol="EURUSD", bid=110_100, ask=110_100)
    assert screen.floating[0] == 200 * MICRO
    screen.set_row(block=block, row=0, lots=0, cost=0, weight=0)
    screen.tick(symbol="EURUSD", bid=110_100, ask=110_100)
    assert (screen.floating[0], screen.used[0]) == (0, 0)
    screen.balance[0] = -1
    assert len(screen.sweep().row) == 0, "an account without positions has nothing to close"
    for row in (-1, 1):
        with pytest.raises(UnableToScreen):
            screen.set_row(block=block, row=row, lots=0, cost=0, weight=0)


def test_rows_grow_past_the_first_room():
    screen = screen_of([(number, 100, 110_000) for number in range(200)], accounts=200)
    screen.tick(symbol="EURUSD", bid=110_001, ask=110_001)
    assert set(screen.floating.tolist()) == {1 * MICRO}


def test_a_conversion_rate_moves_profit_and_margin():
    screen = screen_of([(0, 100, 110_000)], accounts=1, rate=D("0.8"))
    screen.revalue(prices={"EURUSD": (110_100, 110_100)})
    assert screen.floating[0] == 80 * MICRO
    screen.convert(instrument=instrument("EURUSD"), currency="USD", rate=D("0.9"))
    screen.revalue(prices={"EURUSD": (110_100, 110_100)})
    assert screen.floating[0] == 90 * MICRO


def test_a_sweep_orders_the_lowest_level_and_the_largest_loss_first():
    screen = screen_of([(0, 100, 110_000), (1, 100, 110_500), (1, 100, 111_000), (2, 100, 110_000)], accounts=3)
    screen.balance[:] = [1_000 * MICRO, 1_600 * MICRO, 90_000 * MICRO]
    screen.revalue(prices={"EURUSD": (110_000, 110_000)})
    found = screen.sweep()
    assert list(found.accounts) == [1, 0]
    assert list(found.account) == [1, 1, 0]
    assert list(found.row) == [2, 1, 0]
    assert [screen.keys[index] for index in found.block] == [("EURUSD", "USD")] * 3


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-(10**12), 10**12)), max_size=30), st.integers(1, 12))
@example(accounts=[(3, 50), (1, 7), (0, 9), (2, 70), (5, -1)], count=2)
def test_the_lowest_are_those_that_sorting_everybody_puts_first(accounts, count):
    screen = MarginScreen(accounts=1)
    screen.room(accounts=len(accounts))
    screen.room(accounts=1)  # There is enough already.
    for number, (used, balance) in enumerate(accounts):
        screen.used[number], screen.balance[number] = used * 1_000, balance
    holders = [number for number, (used, _) in enumerate(accounts) if used]
    first = sorted(holders, key=lambda number: (accounts[number][1] // (accounts[number][0] + 1), number))[:count]
    found = screen.lowest(count=count).tolist()
    assert len(found) == len(first)
    tenths = [[accounts[number][1] // (accounts[number][0] + 1) for number in each] for each in (found, first)]
    assert tenths[0] == tenths[1], "of equals any may be left out"


def test_what_could_leave_64_bits_is_refused():
    screen = screen_of([(0, 10**9, 110_000)], accounts=1)
    with pytest.raises(UnableToScreen, match="64 bits"):
        screen.tick(symbol="EURUSD", bid=110_000, ask=110_001)
    assert list(screen.floating) == [0]


@pytest.mark.parametrize("value", ["0", "-1", "NaN"])
def test_a_factor_must_be_a_number_above_zero(value):
    with pytest.raises(UnableToScreen):
        Factor.of(value=D(value))


def test_a_factor_has_eight_digits():
    assert Factor.of(value=D("0.0123456789")) == Factor(12_345_679, 10**9)
    assert Factor.of(value=D(10_000)) == Factor(10_000_000, 1_000)
    assert Factor.of(value=D(10**9)) == Factor(10**9, 1)


rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(-500, 500).filter(bool), st.integers(100_000, 120_000)),
    min_size=1,
    max_size=20,
)
ticks = st.lists(st.tuples(st.integers(100_000, 120_000), st.integers(0, 20)), min_size=1, max_size=5)


@given(rows, ticks, st.lists(st.integers(-1_000, 20_000), min_size=5, max_size=5))
def test_ticks_add_up_and_no_account_at_its_level_is_missed(held, prices, balances):
    screen = screen_of(held, accounts=5)
    screen.balance[:] = [balance * MICRO for balance in balances]
    found: set[int] = set()
    for bid, spread in prices:
        found = set(screen.tick(symbol="EURUSD", bid=bid, ask=bid + spread).tolist())
    bid, ask = prices[-1][0], sum(prices[-1])
    for account in range(5):
        mine = [(lots, opened) for owner, lots, opened in held if owner == account]
        floating = sum((D(lots * ((bid if lots > 0 else ask) - opened)) / 100 for lots, opened in mine), D(0))
        used = sum((D(abs(lots)) * (bid + ask) * D("3.33") / 20_000 for lots, _ in mine), D(0))
        assert abs(D(int(screen.floating[account])) / MICRO - floating) < D("0.01")
        assert abs(D(int(screen.used[account])) / MICRO - used) < D("0.01")
        if mine and (balances[account] + floating) * 2 <= used:
            assert account in found
    lived = (screen.floating.copy(), screen.used.copy())
    screen.revalue(prices={"EURUSD": (bid, ask)})
    assert np.array_equal(lived[0], screen.floating)
    assert np.array_equal(lived[1], screen.used)
