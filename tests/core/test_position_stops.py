"""The stop of an open position: at a price, trailing the market, or guaranteed; one of them at a time."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.orders import OrderType, Side
from piggy.core.profiles import GuaranteedStops, PriceProfile
from tests.core.floor import Floor, names, only
from tests.core.test_exits import HELD, LIMIT, LOSS, STOP, TAKE, ask, exits_of, folded_again, fresh, refusal
from tests.core.test_exits import floor as floor

TRAIL = OrderType.TRAILING_STOP
FAR = D("0.00500")


def guarantee(floor: Floor) -> None:
    stops = GuaranteedStops(offered=True, premium_points=D(5), distance_points_min=D(10))
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(guaranteed_stops=stops)))


def stop(floor: Floor) -> Any:
    """Return the one stop that works."""
    works = [order for order in floor.desk.state.orders.values() if order.source in ("exits", "bracket")]
    (found,) = (order for order in works if not order.state.final and order.terms.type is not LIMIT)
    return found


def test_a_trailing_stop_begins_at_the_market_and_follows_it(floor: Floor) -> None:
    assert names(ask(floor, trailing_distance=FAR, take_profit=D("1.20000"))) == ["OrderAccepted", "OrderAccepted"]
    assert stop(floor).terms.stop_price == D("1.09499"), "behind the 1.09999 that its client would get"
    folded_again(floor)
    floor.quotes("0.01000")
    floor.act()
    assert stop(floor).terms.stop_price == D("1.10499")
    floor.quotes("0.00400")
    (fill,) = only(floor.act(), ev.OrderFilled)
    assert fill.side is Side.SELL and exits_of(floor) == [] and HELD not in floor.desk.state.positions
    folded_again(floor)


def test_the_same_distance_again_is_no_change_and_another_begins_anew(floor: Floor) -> None:
    ask(floor, trailing_distance=FAR)
    floor.quotes("0.01000")
    floor.act()
    fresh(floor)
    assert refusal(ask(floor, trailing_distance=FAR)) == "NO_CHANGE"
    assert names(ask(floor, trailing_distance=D("0.00200"))) == ["OrderAmended"]
    assert stop(floor).terms.stop_price == D("1.10799")


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ({"stop_loss": LOSS}, {"trailing_distance": FAR}, [TRAIL]),
        ({"trailing_distance": FAR}, {"stop_loss": LOSS}, [STOP]),
        ({"trailing_distance": FAR}, {"stop_loss": None}, []),
        ({"trailing_distance": FAR}, {"trailing_distance": None}, []),
        ({"stop_loss": LOSS}, {"trailing_distance": None, "take_profit": TAKE}, [LIMIT, STOP]),
        ({"stop_loss": LOSS}, {"stop_loss": None, "trailing_distance": FAR}, [TRAIL]),
        ({"trailing_distance": FAR}, {"stop_loss": LOSS, "trailing_distance": None}, [STOP]),
        ({"trailing_distance": FAR}, {"stop_loss": None, "trailing_distance": D("0.00700")}, [TRAIL]),
        ({"take_profit": TAKE}, {"trailing_distance": FAR}, [LIMIT, TRAIL]),
    ],
)
def test_a_position_has_one_stop_and_the_latest_takes_the_others_place(
    floor: Floor, before: dict[str, Any], after: dict[str, Any], kinds: list[OrderType]
) -> None:
    ask(floor, **before)
    fresh(floor)
    ask(floor, **after)
    assert [kind for kind, _, _ in exits_of(floor)] == kinds
    assert len({order.terms.oco_group for order in floor.desk.state.orders.values() if order.terms.oco_group}) == 1
    folded_again(floor)


def test_one_that_may_not_come_leaves_the_one_that_stands(floor: Floor) -> None:
    ask(floor, stop_loss=LOSS)
    fresh(floor)
    assert refusal(ask(floor, trailing_distance=D("0.000001"))) == "P-06"
    assert exits_of(floor) == [(STOP, LOSS, 1)]
    folded_again(floor)


def test_a_stop_is_guaranteed_as_it_is_set_or_afterwards_and_no_longer(floor: Floor) -> None:
    guarantee(floor)
    (accepted,) = ask(floor, stop_loss=LOSS, guaranteed_stop=True)
    assert isinstance(accepted, ev.OrderAccepted) and accepted.guarantee is not None and stop(floor).guaranteed
    fresh(floor)
    assert refusal(ask(floor, guaranteed_stop=True)) == "NO_CHANGE"
    ask(floor, guaranteed_stop=False)
    assert not stop(floor).guaranteed and floor.desk.state.guaranteed == {}
    fresh(floor)
    ask(floor, guaranteed_stop=True)
    assert stop(floor).guaranteed
    folded_again(floor)
    floor.quotes("-0.02000")
    (fill,) = only(floor.act(), ev.OrderFilled)
    assert fill.price == LOSS and fill.premium == 5, "five points of a lot, charged as it deals"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"guaranteed_stop": True}, "INCOMPLETE"),
        ({"guaranteed_stop": False, "stop_loss": None}, "INCOMPLETE"),
        ({"guaranteed_stop": True, "trailing_distance": FAR}, "INCOMPLETE"),
        ({"stop_loss": LOSS, "trailing_distance": FAR}, "TWO_STOPS"),
        ({"guaranteed_stop": True, "stop_loss": D("1.09998")}, "GUARANTEED_STOP"),
        ({"guaranteed_stop": True, "stop_loss": D("1.09998"), "take_profit": TAKE}, "GUARANTEED_STOP"),
    ],
)
def test_what_makes_no_stop_is_refused(floor: Floor, asked: dict[str, Any], code: str) -> None:
    guarantee(floor)
    assert refusal(ask(floor, **asked)) == code and exits_of(floor) == []


@pytest.mark.parametrize("before", [{}, {"stop_loss": LOSS}, {"trailing_distance": FAR}])
@pytest.mark.parametrize("guaranteed", [True, False])
def test_a_stop_at_nothing_is_no_stop_that_was_left_out(floor: Floor, before: dict[str, Any], guaranteed: bool) -> None:
    """It was taken for one that stands at its price: guaranteed there, and where none stood the desk broke on it."""
    guarantee(floor)
    if before:
        ask(floor, **before)
    stood = exits_of(floor)
    assert refusal(ask(floor, stop_loss=D(0), guaranteed_stop=guaranteed)) == "P-06" and exits_of(floor) == stood
    assert floor.desk.state.guaranteed == {}


def test_one_that_stands_and_trails_is_not_guaranteed(floor: Floor) -> None:
    guarantee(floor)
    ask(floor, stop_loss=LOSS)
    fresh(floor)
    assert refusal(ask(floor, trailing_distance=FAR, guaranteed_stop=True)) == "INCOMPLETE"
    assert exits_of(floor) == [(STOP, LOSS, 1)]


def test_where_none_is_offered_none_is_guaranteed(floor: Floor) -> None:
    assert refusal(ask(floor, stop_loss=LOSS, guaranteed_stop=True)) == "GUARANTEED_STOP"
    assert exits_of(floor) == []


def test_no_more_lots_are_guaranteed_than_the_position_has() -> None:
    """Two entries of half a lot, four tenths closed since: each stop alone would fit, both are more than is left."""
    floor = Floor()
    guarantee(floor)
    for _ in range(2):
        floor.place("b1", Side.BUY, "0.5", stop_loss=LOSS)
    floor.place("b1", Side.SELL, "0.4", reduce_only=True)
    fresh(floor)
    assert [lots for _, _, lots in exits_of(floor)] == [D("0.5"), D("0.5")]
    assert refusal(ask(floor, guaranteed_stop=True)) == "GUARANTEED_STOP"
    assert floor.desk.state.guaranteed == {}
    folded_again(floor)
