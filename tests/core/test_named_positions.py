"""An order may name the position that it is for: one of its own account's, in its own symbol, and no other."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, Side
from tests.core.floor import EURUSD, SECOND_US, Floor, only

MINE, NETTED = "O000000001", "b1:EURUSD"
GBPUSD = msgspec.structs.replace(EURUSD, symbol="GBPUSD", base="GBP")


@pytest.fixture
def floor() -> Floor:
    """The hedging account h1 is long one lot, the netting account b1 two; h2 is flat."""
    made = Floor()
    for account_id in ("h1", "h2"):
        made.open_account(account_id, group="b", hedging=True)
    made.place("h1", Side.BUY, "1")
    made.place("b1", Side.BUY, "2")
    made.do(cmd.ConfigureInstrument(instrument=GBPUSD))
    return made


def codes(events: list[ev.AnyEvent]) -> list[str]:
    return [check.code for denied in only(events, ev.OrderDenied) for check in denied.verdict.reasons]


@pytest.mark.parametrize(
    ("account_id", "named"),
    [
        ("h2", MINE),
        ("h2", NETTED),
        ("h2", "O000000099"),
        ("h1", "nosuch"),
        ("h1", ""),
        ("b1", MINE),
        ("b1", "b2:EURUSD"),
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_a_position_that_is_not_the_accounts_own_is_neither_closed_nor_added_to(
    floor: Floor, account_id: str, named: str, side: Side
) -> None:
    before = floor.desk.state.positions.copy()
    assert codes(floor.place(account_id, side, "1", position_id=named)) == ["POSITION"]
    assert floor.desk.state.positions == before


def test_a_position_is_not_closed_at_the_price_of_another_symbol(floor: Floor) -> None:
    floor.now_us += 2 * SECOND_US
    floor.quote("LP1", "1.30000", "1.30010", symbol="GBPUSD")
    terms = OrderTerms(account_id="h1", symbol="GBPUSD", side=Side.SELL, quantity=D(1), position_id=MINE)
    assert codes(floor.do(cmd.PlaceOrder(terms=terms))) == ["POSITION"]
    assert floor.desk.state.balances["h1"] == 100_000


@pytest.mark.parametrize(("account_id", "named"), [("h1", MINE), ("b1", NETTED), ("b1", None), ("b2", "b2:EURUSD")])
def test_ones_own_position_may_be_named(floor: Floor, account_id: str, named: str | None) -> None:
    """A netting account has one name for it in a symbol, whether it holds it yet, as b2, or not."""
    assert only(floor.place(account_id, Side.SELL, "1", position_id=named), ev.OrderFilled)


@pytest.mark.parametrize("more", [{}, {"position_id": NETTED}])
def test_who_names_a_netted_position_is_held_against_the_orders_that_do_not(floor: Floor, more: dict[str, Any]) -> None:
    """P-18: two lots held, one ordered; another lot makes four."""
    floor.place("b1", Side.BUY, "1", limit_price="1.09500")
    limits = msgspec.structs.replace(HOUSE_LIMITS, position_net_max_lots=D(4))
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    assert codes(floor.place("b1", Side.BUY, "1.01", limit_price="1.09400", **more)) == ["P-18"]
    assert codes(floor.place("b1", Side.BUY, "1", limit_price="1.09400", **more)) == []


def gross(floor: Floor, most: str) -> None:
    floor.do(
        cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, position_gross_max_lots=D(most)))
    )


def test_where_longs_and_shorts_stand_side_by_side_orders_of_both_sides_are_gross(floor: Floor) -> None:
    """P-18: h1 holds one lot, bids for one and offers one; all of it may come to three."""
    gross(floor, "3")
    assert codes(floor.place("h1", Side.BUY, "1", limit_price="1.09500")) == []
    assert codes(floor.place("h1", Side.SELL, "1.01", limit_price="1.10500")) == ["P-18"]
    assert codes(floor.place("h1", Side.SELL, "1", limit_price="1.10500")) == []
    assert codes(floor.place("h1", Side.BUY, "0.01", limit_price="1.09500")) == ["P-18"]


def test_an_exit_of_the_other_side_opens_nothing_beside(floor: Floor) -> None:
    gross(floor, "2")
    exits = {"limit_price": "1.10500", "position_id": MINE}
    assert codes(floor.place("h1", Side.SELL, "0.5", **exits)) == []
    assert codes(floor.place("h1", Side.SELL, "0.5", reduce_only=True, **exits)) == []
    assert codes(floor.place("h1", Side.BUY, "1", limit_price="1.09500")) == []


def test_what_turns_a_position_round_is_gross_only_once(floor: Floor) -> None:
    """P-18: b1 is long two; who sells five is short three."""
    gross(floor, "3")
    assert codes(floor.place("b1", Side.SELL, "5.01")) == ["P-18"]
    assert codes(floor.place("b1", Side.SELL, "5")) == []
