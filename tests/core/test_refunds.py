"""Commission of orders that lost a fill: what stands pays what it would have paid alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core.commissions import Charge, Charged, Commission, CommissionBasis, given_back
from piggy.core.orders import Side
from piggy.core.profiles import PriceProfile
from tests.core.floor import Floor
from tests.core.test_busting import bust, correct, on_record

D = Decimal


def paid(floor: Floor) -> Decimal:
    """What the latest order has paid."""
    order = floor.order(floor.desk.state.order_count)
    return order.commission


def of_two_fills(**plan: Any) -> Floor:
    """An order that took two lots from each of two LPs."""
    floor = Floor()
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(commission=Commission(**plan))))
    floor.place("b1", Side.BUY, "4")
    assert len(on_record(floor)) == 2
    return floor


@pytest.mark.parametrize("first", [0, 1])
def test_a_minimum_stays_while_a_fill_stands_whichever_it_was_booked_by(first: int) -> None:
    floor = of_two_fills(rate=D(7), minimum=D(20))
    fills = on_record(floor)
    assert [fill.commission for fill in fills] == [20, 8]
    bust(floor, fills[first])
    assert paid(floor) == 20
    bust(floor, fills[1 - first])
    assert paid(floor) == 0 and floor.desk.state.balances["b1"] == 100_000


@pytest.mark.parametrize("first", [0, 1])
def test_a_fixed_charge_goes_back_with_the_last_fill(first: int) -> None:
    floor = of_two_fills(basis=CommissionBasis.FIXED, rate=D(9))
    fills = on_record(floor)
    assert [fill.commission for fill in fills] == [9, 0]
    bust(floor, fills[first])
    assert paid(floor) == 9
    bust(floor, fills[1 - first])
    assert paid(floor) == 0 and floor.desk.state.balances["b1"] == 100_000


@pytest.mark.parametrize("first", [0, 1])
def test_a_correction_charges_no_minimum_twice(first: int) -> None:
    floor = of_two_fills(rate=D(1), minimum=D(20))
    correct(floor, on_record(floor)[first], "1.10020")
    assert paid(floor) == 20


def test_what_pays_nothing_keeps_nothing() -> None:
    """Two lots closed free of charge and two that opened: without the opening nothing was to be paid."""
    floor = Floor()
    floor.place("b1", Side.SELL, "2")
    plan = Commission(rate=D(7), minimum=D(20), charged=Charged.OPEN)
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(commission=plan)))
    floor.place("b1", Side.BUY, "4")
    *_, closed, opened = on_record(floor)
    assert (closed.commission, opened.commission, paid(floor)) == (0, 20, 20)
    bust(floor, opened)
    assert paid(floor) == 0


def test_what_accrued_nothing_gives_back_what_it_paid() -> None:
    """A rate of nothing with a minimum, and fills of before accruals were kept."""
    gone = given_back(
        plan=Commission(), before=Charge(D(0), D(14)), gone=Charge(D(0), D(7)), stands=True, currency="USD"
    )
    assert gone == 7


def test_a_minimum_that_came_later_takes_nothing() -> None:
    plan = Commission(rate=D(1), minimum=D(50))
    gone = given_back(plan=plan, before=Charge(D(4), D(4)), gone=Charge(D(2), D(2)), stands=True, currency="USD")
    assert gone == 0
