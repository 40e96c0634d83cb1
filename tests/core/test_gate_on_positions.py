"""The gate before an account that holds something already: what is open counts in full, what is bound counts once."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, Side
from piggy.core.positions import netted_id
from tests.core.floor import Floor
from tests.core.test_desk_margin import trade_option, with_option
from tests.core.test_desk_stopout import floor_of
from tests.core.test_open_risk import refused

PERCENT = D("3.33") / 100


@pytest.fixture
def floor() -> Floor:
    return floor_of()


def bound(floor: Floor, account_id: str, side: Side, lots: str, symbol: str = "EURUSD", **terms: Any) -> D:
    """Return the margin that an order would bind."""
    asked = OrderTerms(account_id=account_id, symbol=symbol, side=side, quantity=D(lots), **terms)
    required = floor.desk.what_if(terms=asked, now_us=floor.now_us).required
    assert required is not None
    return required


@pytest.mark.parametrize(("lots", "refused_by"), [("0.49", set()), ("0.5", set()), ("0.51", {"P-18"})])
def test_both_ways_count_towards_the_gross_cap(floor: Floor, lots: str, refused_by: set[str]) -> None:
    """P-18: a lot long and a lot short are two lots gross and none net."""
    limits = msgspec.structs.replace(HOUSE_LIMITS, position_gross_max_lots=D("2.5"))
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.open_account("both", group="b", hedging=True)
    for side in Side:
        floor.place("both", side, "1")
    assert set(refused(floor.place("both", Side.BUY, lots))) == refused_by


@pytest.mark.parametrize(("side", "most"), [(Side.BUY, "0.5"), (Side.SELL, "2.5")], ids=["added to", "turned"])
def test_a_netted_position_is_gross_what_it_would_be_either_way(floor: Floor, side: Side, most: str) -> None:
    """P-18: a lot is held long and one and a half may be, either way."""
    limits = msgspec.structs.replace(HOUSE_LIMITS, position_gross_max_lots=D("1.5"))
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.place("b1", Side.BUY, "1")
    assert set(refused(floor.place("b1", side, str(D(most) + D("0.01"))))) == {"P-18"}
    assert not refused(floor.place("b1", side, most))


def test_what_netting_would_set_off_is_not_gross_on_both_sides(floor: Floor) -> None:
    """P-18: a sale that waits is no lot beside one that is bought; of a hedging account it is."""
    limits = msgspec.structs.replace(HOUSE_LIMITS, position_gross_max_lots=D(1))
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.open_account("both", group="b", hedging=True)
    for account_id, refused_by in (("b1", set()), ("both", {"P-18"})):
        floor.place(account_id, Side.SELL, "1", limit_price="1.11000")
        assert set(refused(floor.place(account_id, Side.BUY, "1"))) == refused_by


@pytest.mark.parametrize(("lots", "refused_by"), [("0.6", set()), ("0.61", {"P-18"})])
def test_what_waits_on_its_own_side_is_gross_once(floor: Floor, lots: str, refused_by: set[str]) -> None:
    """P-18: four tenths wait, and a lot there may be."""
    limits = msgspec.structs.replace(HOUSE_LIMITS, position_gross_max_lots=D(1))
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.open_account("both", group="b", hedging=True)
    floor.place("both", Side.BUY, "0.4", limit_price="1.09000")
    assert set(refused(floor.place("both", Side.BUY, lots))) == refused_by


@pytest.mark.parametrize("named", [None, netted_id(account_id="b1", symbol="EURUSD")])
def test_a_netted_position_is_turned_by_what_is_beyond_it_named_or_not(floor: Floor, named: str | None) -> None:
    """P-17: three lots sold where one is held long leave two short, which bind one lot more."""
    floor.place("b1", Side.BUY, "1")
    assert bound(floor, "b1", Side.SELL, "3", position_id=named) == D(110_001) * PERCENT


def test_of_two_positions_only_the_named_one_is_closed(floor: Floor) -> None:
    """P-17: what names a position closes that; what names none hedges, which binds both legs."""
    floor.open_account("two", group="b", hedging=True)
    for _ in range(2):
        floor.place("two", Side.BUY, "1")
    first, _ = sorted(floor.desk.state.positions_of["two"])
    assert bound(floor, "two", Side.SELL, "0.5") == D("0.5") * 110_001 * PERCENT
    assert bound(floor, "two", Side.SELL, "0.5", position_id=first) == 0
    assert bound(floor, "two", Side.BUY, "0.5", position_id=first) == D("0.5") * 110_010 * PERCENT


def test_a_second_short_option_binds_what_it_adds(floor: Floor) -> None:
    with_option(floor)
    trade_option(floor, "b1", Side.SELL, "1")
    first, second = (bound(floor, account_id, Side.SELL, "1", symbol="EURUSD-C") for account_id in ("b2", "b1"))
    assert abs(second - first) < first / 10


@pytest.mark.parametrize(("lots", "refused_by"), [("1.9", "P-22"), ("2", "")])
def test_an_amendment_meets_others_with_what_it_has_left(floor: Floor, lots: str, refused_by: str) -> None:
    """P-22: a lot is dealt; what is left passes over a whole lot to its owner's own, unless it can fill that."""
    floor.place("b1", Side.BUY, "1.5", limit_price="1.10004")
    floor.place("b2", Side.SELL, "1")
    assert floor.order(1).filled == 1
    floor.place("b2", Side.SELL, "1", limit_price="1.10006", all_or_none=True)
    floor.place("b1", Side.SELL, "1", limit_price="1.10006")
    amended = cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D(lots), limit_price=D("1.10006"))
    event, *_ = floor.do(amended)
    assert getattr(event, "code", "") == refused_by
