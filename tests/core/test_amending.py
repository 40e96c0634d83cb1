"""Amending more than quantity and prices: time to work, distance of a trailing stop, exits, and who asks in vain."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.desk import Desk
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import TIME_MAX_US, OrderTerms, OrderType, Side, TimeInForce, good_till_us
from piggy.core.rollover import DAY_US, next_rollover_at_us
from tests.core.floor import SECOND_US, START_US, Floor, canonical, names, only

FIRST = "O000000001"
BUY, SELL = Side.BUY, Side.SELL
GTC, GTD, DAY = TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY
LATER_US = START_US + 3_600 * SECOND_US


@pytest.fixture
def floor() -> Floor:
    return resting()


def resting() -> Floor:
    """One lot of b1 rests at 1.09500, good till cancelled."""
    made = Floor()
    made.place("b1", BUY, "1", limit_price="1.09500")
    fresh(made)
    return made


def fresh(floor: Floor, seconds: int = 2) -> None:
    floor.now_us += seconds * SECOND_US
    floor.requote()


def amend(floor: Floor, number: int = 1, account_id: str = "b1", **changes: Any) -> list[ev.AnyEvent]:
    return floor.do(cmd.AmendOrder(order_id=f"O{number:09d}", account_id=account_id, **changes))


def refusal(events: list[ev.AnyEvent]) -> tuple[str, str]:
    refused = events[0]
    assert isinstance(refused, ev.CommandRefused), refused
    return refused.code, refused.text


def folded_again(floor: Floor) -> None:
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)


def ends_at(floor: Floor, at_us: int) -> bool:
    """Whether the order ends at that microsecond and not one before; the desk notices by itself."""
    floor.now_us = at_us - 1
    assert not only(floor.act(), ev.OrderCancelled)
    floor.now_us = at_us
    return [event.outcome for event in only(floor.act(), ev.OrderCancelled)] == ["expired"]


def test_a_time_to_expire_alone_makes_an_order_good_till_then_and_keeps_its_place(floor: Floor) -> None:
    place = floor.order(1).seq
    (amended,) = amend(floor, expires_at_us=LATER_US)
    assert amended.keeps_priority and floor.order(1).seq == place
    assert (floor.order(1).terms.time_in_force, floor.order(1).terms.expires_at_us) == (GTD, LATER_US)
    assert amended.terms == floor.order(1).terms
    folded_again(floor)
    assert ends_at(floor, LATER_US)


@pytest.mark.parametrize("hours", [2, 1, 3])
def test_a_date_is_moved_both_ways_and_the_latest_counts(floor: Floor, hours: int) -> None:
    amend(floor, time_in_force=GTD, expires_at_us=LATER_US)
    floor.act()
    at_us = START_US + hours * 3_600 * SECOND_US
    (amended,) = amend(floor, expires_at_us=at_us)
    assert amended.keeps_priority
    assert ends_at(floor, at_us)


def test_what_is_good_for_the_day_is_so_for_the_day_of_the_change() -> None:
    """An order of last week that is made good for the day lives to the end of this one."""
    floor = Floor()
    floor.place("b1", BUY, "1", limit_price="1.09500")
    floor.now_us += 7 * DAY_US
    fresh(floor)
    (amended,) = amend(floor, time_in_force=DAY)
    assert amended.keeps_priority and floor.order(1).day_from_us == floor.now_us
    folded_again(floor)
    ends_us = next_rollover_at_us(at_us=floor.now_us)
    fresh(floor, 60)
    amend(floor, quantity=D("0.9"))
    assert ends_at(floor, ends_us)


def test_what_was_good_for_the_day_goes_on_once_it_is_good_till_cancelled() -> None:
    floor = Floor()
    floor.place("b1", BUY, "1", limit_price="1.09500", time_in_force=DAY)
    amend(floor, time_in_force=GTC)
    assert not floor.desk.state.expiring
    floor.now_us += 3 * DAY_US
    assert not only(floor.act(), ev.OrderCancelled)
    folded_again(floor)


def test_another_way_to_end_leaves_no_time_behind(floor: Floor) -> None:
    amend(floor, expires_at_us=LATER_US)
    amend(floor, time_in_force=GTC)
    assert floor.order(1).terms.expires_at_us is None
    assert refusal(amend(floor, time_in_force=GTD))[1] == "good till date needs a time to come"
    amend(floor, expires_at_us=LATER_US)
    amend(floor, time_in_force=GTD)
    assert floor.order(1).terms.expires_at_us == LATER_US, "the same again is no change"


@pytest.mark.parametrize("force", [GTC, DAY])
def test_only_what_is_good_till_a_date_has_a_time(floor: Floor, force: TimeInForce) -> None:
    events = amend(floor, time_in_force=force, expires_at_us=LATER_US)
    assert refusal(events) == ("TIME_IN_FORCE", "only what is good till a date has a time to expire")
    assert events[0].field == "expires_at"  # type: ignore[union-attr]


@pytest.mark.parametrize("after_us", [-1, 0])
def test_no_order_is_made_to_end_in_the_past(floor: Floor, after_us: int) -> None:
    assert refusal(amend(floor, expires_at_us=floor.now_us + after_us))[0] == "P-06"
    assert floor.order(1).terms.time_in_force is GTC
    assert names(amend(floor, expires_at_us=floor.now_us + 1)) == ["OrderAmended"]


@pytest.mark.parametrize("terms", [{"time_in_force": DAY}, {"time_in_force": GTD, "expires_at_us": LATER_US}])
def test_an_order_whose_time_is_up_is_brought_back_by_nobody(terms: dict[str, Any]) -> None:
    """The desk says in a moment that it expired; it deals no more either."""
    floor = Floor()
    floor.place("b1", BUY, "1", limit_price="1.09500", **terms)
    floor.now_us = terms.get("expires_at_us") or next_rollover_at_us(at_us=floor.now_us)
    floor.requote()
    code, text = refusal(amend(floor, time_in_force=GTC))
    assert code == "ORDER_NOT_AMENDABLE" and text == f"the order's time is up: {terms['time_in_force'].value} ended"
    floor.act()
    assert refusal(amend(floor, time_in_force=GTC)) == ("ORDER_NOT_AMENDABLE", "the order is expired")


@pytest.mark.parametrize("force", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_works_already_does_not_become_at_once_or_never(floor: Floor, force: TimeInForce) -> None:
    events = amend(floor, time_in_force=force)
    assert refusal(events)[0] == "TIME_IN_FORCE" and events[0].field == "time_in_force"  # type: ignore[union-attr]
    floor.place("b1", BUY, "1", type=OrderType.STOP_LIMIT, stop_price=D("1.10100"), limit_price="1.10100")
    assert names(amend(floor, 2, time_in_force=force)) == ["OrderAmended"], "it has not begun to deal"
    assert names(amend(floor, 2, time_in_force=force)) == ["OrderAmended"], "it is that already"
    assert names(amend(floor, 2, time_in_force=GTC)) == ["OrderAmended"]


def test_of_a_stop_that_was_reached_the_stop_is_no_more_changed() -> None:
    floor = Floor()
    stop = {"type": OrderType.STOP_LIMIT, "stop_price": D("1.10100"), "limit_price": "1.09900"}
    floor.place("b1", BUY, "1", **stop)
    floor.quotes("0.00100")
    floor.act()
    assert floor.order(1).triggered and floor.order(1).rests
    fresh(floor)
    for given in (D("1.10200"), D("sNaN"), D("Infinity")):
        assert refusal(amend(floor, stop_price=given)) == ("ORDER_NOT_AMENDABLE", "its stop was reached already")
    assert names(amend(floor, stop_price=D("1.10100"), expires_at_us=LATER_US)) == ["OrderAmended"]


def test_the_same_again_changes_nothing_and_keeps_its_place(floor: Floor) -> None:
    amend(floor, expires_at_us=LATER_US)
    before = floor.order(1).terms
    own = ("quantity", "limit_price", "time_in_force", "expires_at_us", "take_profit", "stop_loss", "guaranteed_stop")
    (amended,) = amend(floor, **{name: getattr(before, name) for name in own})
    assert amended.keeps_priority and amended.terms is None and floor.order(1).terms == before
    folded_again(floor)


def test_out_at_a_venue_an_order_is_changed_once_the_venue_has_answered() -> None:
    """An amendment that races a fill: what is out may be dealt, so nothing of it changes."""
    floor = Floor()
    floor.place("a1", BUY, "1", limit_price="1.10013")
    (leg,) = floor.children()
    told = ("ORDER_NOT_AMENDABLE", "the order is routed: 1 lots of it are out at a venue")
    assert refusal(amend(floor, account_id="a1", expires_at_us=LATER_US)) == told
    floor.fill(leg, "1.10010", lots="0.4")
    floor.quotes("0.00100")
    floor.done(leg, filled="0.4")
    assert names(amend(floor, account_id="a1", expires_at_us=LATER_US)) == ["OrderAmended"]
    assert refusal(amend(floor, account_id="a1", quantity=D("0.4")))[0] == "QTY_BELOW_FILLED"
    assert refusal(amend(floor, account_id="b1", quantity=D(2)))[0] == "ORDER_UNKNOWN", "it is another's"
    floor.quotes()
    floor.act()
    floor.fill(floor.children()[0], "1.10010")
    assert refusal(amend(floor, account_id="a1", expires_at_us=LATER_US))[1] == "the order is filled"


# What only takes away


def behind(floor: Floor) -> None:
    """The market runs two percent away from an order, and its group may hold next to nothing any more."""
    limits = msgspec.structs.replace(
        HOUSE_LIMITS, order_volume_max_lots=D("0.01"), window_value_max=D(1),
        position_net_max_lots=D("0.01"), exposure_account_max=D(1),
    )  # fmt: skip
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.do(cmd.DebitAccount(account_id="b1", amount=D(96_300), reference="out"))
    floor.quotes("0.02200")


@pytest.mark.parametrize("changes", [{"quantity": D("0.5")}, {"expires_at_us": LATER_US}, {"time_in_force": DAY}, {}])
def test_what_only_takes_away_is_no_new_exposure(floor: Floor, changes: dict[str, Any]) -> None:
    """P-08, P-09, P-12, P-17, P-18, P-19 on REPLACE: fewer lots, or a shorter life."""
    behind(floor)
    bound = floor.desk.state.reserved["b1"]
    (amended,) = amend(floor, **changes)
    assert amended.verdict.passed and len(amended.verdict.checks) > 20
    assert floor.desk.state.reserved["b1"] == bound * floor.order(1).quantity


@pytest.mark.parametrize(
    "changes",
    [{"quantity": D("1.1")}, {"limit_price": D("1.09501")}, {"quantity": D("0.5"), "limit_price": D("1.09400")}],
)
def test_what_adds_or_moves_is_judged_as_a_new_order_is(floor: Floor, changes: dict[str, Any]) -> None:
    behind(floor)
    denied = amend(floor, **changes)[1]
    codes = [check.code for check in denied.verdict.reasons]  # type: ignore[union-attr]
    assert {"P-08", "P-09", "P-12", "P-18", "P-19"} <= set(codes)


@pytest.mark.parametrize("more", [{"expires_at_us": LATER_US + 1}, {"time_in_force": GTC}])
def test_a_longer_life_is_judged_as_a_new_order_is(floor: Floor, more: dict[str, Any]) -> None:
    amend(floor, expires_at_us=LATER_US)
    behind(floor)
    assert refusal(amend(floor, **more))[0] == "P-08"
    assert names(amend(floor, expires_at_us=LATER_US - 1)) == ["OrderAmended"]


def test_ioc_to_gtc_is_a_longer_life(floor: Floor) -> None:
    stop = {"type": OrderType.STOP, "stop_price": D("1.10100")}
    floor.place("b1", BUY, "1", time_in_force=TimeInForce.IOC, **stop)
    behind(floor)
    assert refusal(amend(floor, 2, time_in_force=GTC))[0] == "P-08"


def test_less_may_be_asked_while_a_scope_only_reduces_and_nothing_while_it_is_halted(floor: Floor) -> None:
    """P-01 on REPLACE."""
    for state, told in ((TradingState.REDUCING, ""), (TradingState.HALTED, "P-01")):
        floor.do(
            cmd.SetTradingState(
                scope="symbol", key="EURUSD", state=state, reason="drill", by="ann", cancel_working=False
            )
        )
        events = amend(floor, expires_at_us=LATER_US)
        assert (events[0].code if isinstance(events[0], ev.CommandRefused) else "") == told
        assert refusal(amend(floor, quantity=D(2)))[0] == "P-01"


def test_less_binds_no_more_than_its_share_though_a_lot_costs_more_by_now(floor: Floor) -> None:
    """P-17: the margin was doubled since; half the lots bind half of what was bound."""
    bound = floor.desk.state.reserved["b1"]
    instrument = floor.desk.state.instruments["EURUSD"]
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(instrument, margin_percent=D("6.66"))))
    (amended,) = amend(floor, quantity=D("0.5"))
    assert amended.margin_reserved is None and floor.desk.state.reserved["b1"] == bound / 2


# Trailing stops


@pytest.fixture
def trailing() -> Floor:
    """A stop of b1 that sells one lot 50 points below the bid, which is 1.10001 less two points of markup."""
    made = Floor()
    made.place("b1", SELL, "1", type=OrderType.TRAILING_STOP, trailing_distance=D("0.00050"))
    assert made.order(1).terms.stop_price == D("1.09949")
    made.quotes("0.00020")
    made.act()
    fresh(made)
    return made


@pytest.mark.parametrize(("distance", "stop"), [("0.00030", "1.09989"), ("0.00100", "1.09919"), ("0.05", "1.05019")])
def test_at_another_distance_a_stop_trails_anew_from_the_market(trailing: Floor, distance: str, stop: str) -> None:
    (amended,) = amend(trailing, trailing_distance=D(distance))
    assert trailing.order(1).terms.stop_price == amended.stop_price == D(stop)
    trailing.quotes("0.00040")
    trailing.act()
    assert trailing.order(1).terms.stop_price == D(stop) + D("0.00020"), "it follows at its new distance"
    folded_again(trailing)


def test_the_same_distance_leaves_the_stop_where_it_is(trailing: Floor) -> None:
    trailing.quotes("0.00010")
    amend(trailing, trailing_distance=D("0.00050"))
    assert trailing.order(1).terms.stop_price == D("1.09969")


def test_a_stop_that_is_given_beside_its_distance_is_where_it_begins(trailing: Floor) -> None:
    amend(trailing, trailing_distance=D("0.00100"), stop_price=D("1.09980"))
    assert trailing.order(1).terms.stop_price == D("1.09980")
    assert refusal(amend(trailing, stop_price=D("1.20000")))[0] == "P-09", "what is asked for is judged"


def test_a_stop_far_behind_its_market_may_change_in_lots(trailing: Floor) -> None:
    """P-09: nobody asked for the price to which the desk let it trail."""
    amend(trailing, trailing_distance=D("0.05"))
    assert names(amend(trailing, quantity=D(2))) == ["OrderAmended"]
    assert trailing.order(1).terms.stop_price == D("1.05019")


@pytest.mark.parametrize("distance", ["NaN", "sNaN", "Infinity", "1E+400", "0", "-1", "0.000001"])
def test_a_distance_that_is_none_is_refused(trailing: Floor, distance: str) -> None:
    before = trailing.order(1).terms
    assert refusal(amend(trailing, trailing_distance=D(distance)))[0] == "P-06"
    assert trailing.order(1).terms == before


def test_what_does_not_trail_gets_no_distance(floor: Floor) -> None:
    told = ("P-06", "a trailing stop, and nothing else, needs a distance")
    assert refusal(amend(floor, trailing_distance=D("0.00050"))) == told


@pytest.mark.parametrize(
    ("force", "expires_at_us", "told"),
    [(GTD, LATER_US, LATER_US), (GTD, 1 << 62, TIME_MAX_US), (GTD, -1, 0), (GTD, None, None), (GTC, LATER_US, None)],
)
def test_a_time_to_end_is_told_in_years_that_every_calendar_has(
    force: TimeInForce, expires_at_us: int | None, told: int | None
) -> None:
    """What was asked for may be any number, also of what the gate refused."""
    terms = OrderTerms(
        account_id="b1", symbol="EURUSD", side=BUY, quantity=D(1), time_in_force=force, expires_at_us=expires_at_us
    )
    assert good_till_us(terms=terms) == told
