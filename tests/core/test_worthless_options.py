"""Options that expire worthless: settled at nothing, they bind nothing, and nobody divides by it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core.margin import MarginSettings, MarginTier
from tests.core.expiry_floor import BUY, SELL, Options, is_flat, settled
from tests.core.test_busting import bust, on_record

D = Decimal
WORTHLESS = "-0.00400"  # EURUSD at 1.096, the call struck at 1.1.


def test_what_is_still_out_at_a_venue_when_a_position_is_settled_at_nothing_binds_as_before() -> None:
    """`apply` never refuses: the working order has no price of its own, and the settlement's is nothing."""
    floor = Options()
    floor.pass_on(BUY, "2")
    floor.trade("a1", BUY, "1")
    (leg,) = floor.children()
    order = floor.desk.state.orders[leg.order_id]
    each = order.margin_per_lot
    fills = settled(floor.expire(WORTHLESS))
    assert [fill.price for fill in fills["a1"]] == [0] and not is_flat(floor)
    assert order.leaves == 1 and floor.desk.state.reserved["a1"] == order.margin_per_lot == each > 0
    floor.done(leg)
    floor.later(WORTHLESS)
    assert is_flat(floor) and floor.desk.state.reserved["a1"] == 0


@pytest.mark.parametrize("basis", ["notional", "lots"])
def test_a_settlement_at_nothing_is_taken_back_and_settled_again_whatever_the_tiers(basis: str) -> None:
    floor = Options()
    tiers = (MarginTier(above=D("0.5"), percent=D(50)),)
    floor.do(cmd.ConfigureMargin(group="b", symbol="*", settings=MarginSettings(tiers=tiers, tier_basis=basis)))
    before = floor.desk.state.balances["b1"]
    floor.trade("b1", SELL, "1")
    sold, bound = floor.desk.state.positions["b1:C"], floor.desk.state.used_margin["b1"]
    assert len(settled(floor.expire(WORTHLESS))["b1"]) == 1
    won = floor.desk.state.balances["b1"]
    assert won == before + 2_150 - 7
    bust(floor, on_record(floor)[-1])
    held = floor.desk.state.positions["b1:C"]
    assert (held.quantity, held.cost, floor.desk.state.used_margin["b1"]) == (-1, sold.cost, bound)
    assert floor.desk.state.balances["b1"] == before - 7, "what it was sold for is not won yet"
    assert len(settled(floor.later(WORTHLESS))["b1"]) == 1
    assert is_flat(floor) and floor.desk.state.balances["b1"] == won
