"""Amending exits: of an entry that is not filled yet, of a position one by one, and whether a stop is guaranteed."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.orders import OrderState, OrderType, TimeInForce
from piggy.core.profiles import GuaranteedStops, PriceProfile
from tests.core.floor import Floor, names, only
from tests.core.test_amending import BUY, LATER_US, SELL, amend, folded_again, fresh, refusal, resting


@pytest.fixture
def floor() -> Floor:
    return resting()


# Exits of an entry


def exits_of(floor: Floor) -> list[tuple[OrderType, D | None, D]]:
    waits = (order for order in floor.desk.state.orders.values() if order.source == "bracket" and not order.state.final)
    return [(each.terms.type, each.terms.limit_price or each.terms.stop_price, each.leaves) for each in waits]


def test_an_entry_gets_other_exits_and_keeps_its_place(floor: Floor) -> None:
    place = floor.order(1).seq
    (amended,) = amend(floor, take_profit=D("1.10500"), stop_loss=D("1.09000"))
    assert amended.keeps_priority and floor.order(1).seq == place
    (amended,) = amend(floor, take_profit=D("1.10600"))
    assert (floor.order(1).terms.take_profit, floor.order(1).terms.stop_loss) == (D("1.10600"), D("1.09000"))
    amend(floor, stop_loss=None)
    folded_again(floor)
    floor.quotes("-0.00600")
    floor.act()
    assert exits_of(floor) == [(OrderType.LIMIT, D("1.10600"), 1)]


def test_other_exits_are_for_what_is_not_dealt_yet() -> None:
    """What is dealt has its exits already: orders of their own, changed by their own ids."""
    floor = Floor()
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.09990", "1.10010", size="0.1")
    floor.place("b1", BUY, "1", limit_price="1.10013", stop_loss=D("1.09000"))
    dealt = floor.order(1).filled
    assert 0 < dealt < 1
    amend(floor, stop_loss=D("1.09500"))
    assert exits_of(floor)[0][1] == D("1.09000")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.09990", "1.10009", size="2")
    floor.act()
    assert {stop for _, stop, _ in exits_of(floor)} == {D("1.09000"), D("1.09500")}
    assert sum(lots for *_, lots in exits_of(floor)) == 1


@pytest.mark.parametrize(
    ("name", "price"),
    [("take_profit", "1.09500"), ("stop_loss", "1.09500"), ("stop_loss", "1.090001"), ("take_profit", "Infinity")],
)
def test_exits_on_the_wrong_side_of_their_entry_are_refused(floor: Floor, name: str, price: str) -> None:
    code, text = refusal(amend(floor, **{name: D(price)}))
    assert code == "P-06" and name.replace("_", " ") in text
    assert floor.order(1).terms.take_profit is floor.order(1).terms.stop_loss is None


def entered(floor: Floor) -> None:
    """b1 buys a lot with both exits: orders 2 and 3."""
    floor.place("b1", BUY, "1", take_profit=D("1.10500"), stop_loss=D("1.09500"))
    fresh(floor)


@pytest.mark.parametrize(
    ("number", "changes", "refused"),
    [
        (2, {"limit_price": D("1.13500")}, ""),
        (2, {"limit_price": D("1.10002")}, ""),
        (2, {"limit_price": D("1.10001")}, "P-06"),
        (3, {"stop_price": D("1.07000")}, ""),
        (3, {"stop_price": D("1.10000")}, ""),
        (3, {"stop_price": D("1.10001")}, "P-06"),
        (3, {"stop_price": D("1.095001")}, "P-06"),
    ],
)
def test_an_exit_is_moved_as_far_as_one_may_and_never_to_where_it_would_close_at_once(
    number: int, changes: dict[str, Any], refused: str
) -> None:
    """P-09 asks of an exit no more than when its entry came; the sides are those of an entry's exits."""
    floor = Floor()
    entered(floor)
    events = amend(floor, number, **changes)
    assert (events[0].code if isinstance(events[0], ev.CommandRefused) else "") == refused
    assert floor.order(2).terms.oco_group == floor.order(3).terms.oco_group is not None


def test_the_exits_of_a_seller_are_on_the_other_sides() -> None:
    floor = Floor()
    floor.place("b1", SELL, "1", take_profit=D("1.09500"), stop_loss=D("1.10500"))
    fresh(floor)
    for number, name, wrong, right in ((2, "limit", "1.10010", "1.10009"), (3, "stop", "1.10010", "1.10011")):
        assert refusal(amend(floor, number, **{f"{name}_price": D(wrong)}))[0] == "P-06"
        assert names(amend(floor, number, **{f"{name}_price": D(right)})) == ["OrderAmended"]


def test_without_a_price_an_exit_is_not_moved() -> None:
    """P-11: nobody knows on which side it is."""
    floor = Floor()
    entered(floor)
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "", "")
    assert refusal(amend(floor, 2, limit_price=D("1.10600")))[0] == "P-11"


def test_the_bond_of_two_exits_outlives_their_changes() -> None:
    floor = Floor()
    entered(floor)
    amend(floor, 2, limit_price=D("1.10200"), expires_at_us=LATER_US)
    amend(floor, 3, stop_price=D("1.09900"))
    floor.quotes("0.00300")
    assert only(floor.act(), ev.OrderFilled)
    assert (floor.order(2).state, floor.order(3).state) == (OrderState.FILLED, OrderState.CANCELLED)
    folded_again(floor)


def test_a_pair_stays_a_pair(floor: Floor) -> None:
    for price in ("1.09000", "1.08950"):
        floor.place("b1", BUY, "0.5", limit_price=price, oco_group="pair")
    fresh(floor)
    amend(floor, 2, expires_at_us=LATER_US, take_profit=D("1.12000"))
    floor.quotes("-0.01050")
    floor.act()
    assert (floor.order(2).state, floor.order(3).state) == (OrderState.FILLED, OrderState.CANCELLED)


# Guaranteed stops


@pytest.fixture
def offered() -> Floor:
    """Guaranteed stops ten points away from the market, for five."""
    made = Floor()
    stops = GuaranteedStops(offered=True, premium_points=D(5), distance_points_min=D(10))
    made.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(guaranteed_stops=stops)))
    return made


def test_a_stop_is_guaranteed_later_and_no_more(offered: Floor) -> None:
    entered(offered)
    (amended,) = amend(offered, 3, guaranteed_stop=True)
    assert offered.order(3).guaranteed and offered.desk.state.guaranteed == {"b1": {"O000000003"}}
    assert amended.guarantee == offered.order(3).guarantee is not None
    folded_again(offered)
    assert refusal(amend(offered, 3, stop_price=D("1.09995")))[0] == "GUARANTEED_STOP"
    for force in (TimeInForce.IOC, TimeInForce.FOK):
        assert refusal(amend(offered, 3, time_in_force=force))[0] == "GUARANTEED_STOP"
    amend(offered, 3, guaranteed_stop=False)
    assert not offered.order(3).guaranteed and offered.desk.state.guaranteed == {}
    folded_again(offered)


def test_an_entry_s_stop_is_guaranteed_as_long_as_it_has_one(offered: Floor) -> None:
    offered.place("b1", BUY, "1", limit_price="1.09900")
    fresh(offered)
    assert refusal(amend(offered, guaranteed_stop=True))[0] == "GUARANTEED_STOP"
    assert refusal(amend(offered, guaranteed_stop=True, stop_loss=D("1.09895")))[0] == "GUARANTEED_STOP"
    amend(offered, guaranteed_stop=True, stop_loss=D("1.09700"))
    assert offered.order(1).guarantee is not None and offered.order(1).terms.guaranteed_stop
    assert refusal(amend(offered, stop_loss=D("1.09895")))[0] == "GUARANTEED_STOP", "it is asked of each new price"
    assert names(amend(offered, take_profit=D("1.11000"))) == ["OrderAmended"]
    amend(offered, limit_price=D("1.09910"))
    amend(offered, stop_loss=None)
    assert offered.order(1).guarantee is None and not offered.order(1).terms.guaranteed_stop
    folded_again(offered)


def test_an_entry_that_comes_to_its_market_by_a_change_has_its_new_guarantee(offered: Floor) -> None:
    offered.place("b1", BUY, "1", limit_price="1.09900")
    fresh(offered)
    amend(offered, limit_price=D("1.10013"), stop_loss=D("1.09800"), guaranteed_stop=True)
    (stop,) = offered.desk.state.guaranteed["b1"]
    assert offered.desk.state.orders[stop].terms.stop_price == D("1.09800")
    folded_again(offered)
