"""What busts move in the account's own currency: what was booked goes back at the rates that it was booked at."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import Account
from piggy.core.correction_events import OrderFillBusted
from piggy.core.orders import Side
from piggy.core.swaps import SwapFree, SwapRates
from tests.core.floor import CLEARED, SECOND_US, Floor, only
from tests.core.test_busting import bust, money, on_record
from tests.core.test_corrections import DAY_US
from tests.core.test_corrections import bust as bust_at_venue

D = Decimal
EUROS = "euros"


def floor_in_euros() -> Floor:
    """An account in euros: every profit in EURUSD is converted at the very price that moves."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    account = Account(account_id=EUROS, group="b", owner_id=EUROS, currency="EUR")
    floor.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id=EUROS, amount=D(100_000), reference="e"))
    return floor


def deal(floor: Floor, side: Side, lots: str, shift: str) -> None:
    for _ in range(5):  # A jump is believed only when it is said again.
        floor.quotes(shift)
    floor.place(EUROS, side, lots)


def owed(floor: Floor) -> Decimal:
    """What the books owe the client."""
    lines = [line for each in floor.log for line in ledger.postings(event=each.event, currency="EUR")]
    assert ledger.is_balanced(lines)
    return -sum((line.amount for line in lines if line.owner == EUROS), D(0))


def test_a_bust_of_an_opening_takes_back_what_its_close_brought_at_the_rate_of_the_close() -> None:
    """INV-23, G 20: one of two lots bought at 1.1 was sold at 1.2; without the purchase nothing was ever won."""
    floor = floor_in_euros()
    deal(floor, Side.BUY, "2", "0")
    deal(floor, Side.SELL, "1", "0.1")
    opened, closed = on_record(floor)
    won = money(floor, EUROS) - 100_000
    assert opened.conversion_rate - closed.conversion_rate > D("0.05") and won > 8_000
    (event,) = only(bust(floor, opened), OrderFillBusted)
    assert (event.realised, money(floor, EUROS)) == (-won, 100_000) and owed(floor) == 100_000
    assert floor.desk.state.positions[f"{EUROS}:EURUSD"].quantity == -1


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whatever_goes_first_nothing_is_left_of_fills_that_never_were(order: tuple[int, ...]) -> None:
    """Bought twice, sold in part; then all of it is taken back, one command each: every rate has moved between."""
    floor = floor_in_euros()
    for side, lots, shift in ((Side.BUY, "1", "0"), (Side.BUY, "2", "0.05"), (Side.SELL, "1.5", "-0.07")):
        deal(floor, side, lots, shift)
    fills = on_record(floor)
    for place in order:
        bust(floor, fills[place])
    assert floor.desk.state.positions == {} and (money(floor, EUROS), owed(floor)) == (100_000, 100_000)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_round_trip_that_never_was_leaves_nothing_even_once_it_was_over(
    at_once: bool, order: tuple[int, int]
) -> None:
    """The position's fills are no longer kept: what is dealt back counts at the rate of the latest."""
    floor = floor_in_euros()
    deal(floor, Side.BUY, "1", "0")
    deal(floor, Side.SELL, "1", "-0.1")
    assert floor.desk.state.positions == {} and money(floor, EUROS) < 91_000
    fills = [on_record(floor)[place] for place in order]
    for each in [fills] if at_once else [[fill] for fill in fills]:
        bust(floor, *each)
    assert floor.desk.state.positions == {} and (money(floor, EUROS), owed(floor)) == (100_000, 100_000)


def test_a_venues_bust_takes_back_what_the_house_made_good() -> None:
    """G 11, F-15: the loss that left the account below nothing never was, so neither was the write-off."""
    floor = Floor(slippage_bps_max=D(10_000))
    floor.open_account("poor", group="a", amount=1_000)
    floor.place("poor", Side.BUY, "0.2")
    floor.fill(floor.children()[0], "1.10010", fill_id="E1")
    for _ in range(5):
        floor.quotes("-0.1")
    floor.act()
    (leg,) = floor.children()
    (filled, written) = only(floor.fill(leg, "1.00000", fill_id="E2"), ev.OrderFilled | ev.NegativeBalanceWrittenOff)
    assert filled.written_off == written.amount == D("1003.00") and money(floor, "poor") == 0
    (back,) = only(bust_at_venue(floor, leg, "E2"), ev.NegativeBalanceWrittenOff)
    assert back.amount == -written.amount
    held = floor.desk.state.positions["poor:EURUSD"]
    at_open = money(floor, "poor") + (held.quantity * D("1.10013") - held.cost) * 100_000
    assert (held.quantity, at_open) == (D("0.2"), 1_000), "as if it had only bought at 1.10013"


def test_lots_that_come_back_to_a_working_order_bind_once() -> None:
    """P-17: what its order reserves is what its lots left would bind, one by one."""
    floor = Floor()
    floor.place("mixed1", Side.SELL, "1.37")
    (kept,) = on_record(floor)
    bust(floor, kept)
    order = floor.desk.state.orders[kept.order_id]
    assert not order.state.final and order.leaves == D("0.55")
    assert floor.desk.state.reserved["mixed1"] == order.margin_per_lot * order.leaves


@pytest.mark.parametrize("by_venue", [True, False])
def test_days_of_grace_begin_when_what_was_dealt_back_was_held(by_venue: bool) -> None:
    """A swap-free position that a bust of its close reopens is not fifty years old, nor after a further bust."""
    floor = Floor()
    floor.do(cmd.ConfigureSwaps(rates=SwapRates(symbol="EURUSD", long=D(-7), short=D(2))))
    free = SwapFree(grace_days=3, fee_per_lot=D(5))
    floor.do(cmd.ConfigureSwapFree(group="a", terms=free))
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010", fill_id="E1")
    floor.place("a1", Side.SELL, "1")
    (leg,) = floor.children()
    floor.fill(leg, "1.10000", fill_id="E2")
    closed_at_us = floor.now_us
    floor.now_us += 60 * SECOND_US
    bust_at_venue(floor, leg, "E2") if by_venue else bust(floor, on_record(floor)[-1])
    assert floor.desk.state.positions["a1:EURUSD"].opened_at_us == closed_at_us
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010", fill_id="E3")
    bust(floor, on_record(floor)[-1])
    assert floor.desk.state.positions["a1:EURUSD"].opened_at_us == closed_at_us
    floor.now_us += DAY_US
    assert only(floor.act(), ev.SwapCharged) == []
    floor.now_us += 5 * DAY_US
    assert [event.kind for event in only(floor.act(), ev.SwapCharged)] == ["admin_fee"]


@pytest.mark.parametrize("by_venue", [True, False])
def test_what_is_below_nothing_once_the_write_off_went_back_is_made_good_anew(by_venue: bool) -> None:
    """G 11: without the first close the second one ended it all, at a loss that the house bears as well."""
    floor = Floor(slippage_bps_max=D(10_000))
    floor.open_account("poor", group="a", amount=1_000)
    floor.place("poor", Side.BUY, "0.2")
    floor.fill(floor.children()[0], "1.10010", fill_id="E1")
    for _ in range(5):
        floor.quotes("-0.1")
    floor.act()
    (closing,) = floor.children()
    floor.fill(closing, "1.00000", fill_id="E2")
    floor.do(cmd.CreditAccount(account_id="poor", amount=D(700), reference="more"))
    first = on_record(floor)[-1]
    floor.place("poor", Side.SELL, "0.2")
    floor.fill(floor.children()[0], "0.99500", fill_id="E3")
    events = bust_at_venue(floor, closing, "E2") if by_venue else bust(floor, first)
    assert "poor:EURUSD" not in floor.desk.state.positions and money(floor, "poor") == 0
    assert sum(event.amount for event in only(events, ev.NegativeBalanceWrittenOff)) == D("-600.00")


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_round_trip_closed_at_several_rates_leaves_nothing_whichever_goes_first(order: tuple[int, ...]) -> None:
    """G 20: bought at two prices, sold at two rates, long over: each booking goes back as it was booked."""
    floor = floor_in_euros()
    dealt = ((Side.BUY, "1", "0"), (Side.BUY, "2", "0.07"), (Side.SELL, "1.3", "-0.05"), (Side.SELL, "1.7", "0.21"))
    for side, lots, shift in dealt:
        deal(floor, side, lots, shift)
    assert floor.desk.state.positions == {} and floor.desk.state.lives == {}
    fills = on_record(floor)
    for place in order:
        bust(floor, fills[place])
    assert floor.desk.state.positions == {} and (money(floor, EUROS), owed(floor)) == (100_000, 100_000)
    assert floor.desk.state.lives == {}, "nothing is left over that anybody must know of"


def test_a_close_that_never_was_reopens_its_lots_at_what_they_had_cost() -> None:
    """The client sees his position again as it was, and what its close had booked is gone to the last digit."""
    floor = floor_in_euros()
    deal(floor, Side.BUY, "0.03", "0")
    deal(floor, Side.SELL, "0.03", "0.1")
    bought, sold = on_record(floor)
    (event,) = only(bust(floor, sold), OrderFillBusted)
    assert (event.realised, event.realised_quote) == (-(sold.realised or 0), -(sold.realised_quote or 0))
    held = floor.desk.state.positions[f"{EUROS}:EURUSD"]
    assert (held.quantity, held.cost) == (D("0.03"), D("0.03") * bought.price)


def test_what_a_quotient_of_lots_leaves_over_stays_booked() -> None:
    """A sale of lots of two prices reopens them at their mean, which no number of digits holds."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    for side, lots, shift in ((Side.BUY, "0.07", "0"), (Side.BUY, "0.05", "0.00001"), (Side.SELL, "0.12", "0.0001")):
        floor.quotes(shift)
        floor.place("b1", side, lots)
    *bought, sold = on_record(floor)
    bust(floor, sold)
    held, profit = floor.desk.state.positions["b1:EURUSD"], floor.desk.state.exposure["EURUSD"].realised
    paid = sum((fill.quantity * fill.price for fill in bought), D(0))
    assert held.cost != paid, "the mean was to be one that is cut"
    assert profit - held.cost * 100_000 == -paid * 100_000
