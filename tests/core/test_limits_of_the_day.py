"""P-28: limits of a group for part of a day, by two people with a reason, which end by themselves."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.limits import HOUSE_LIMITS, OF_THE_GROUP, LimitChange
from piggy.core.orders import OrderType, Side
from piggy.core.rollover import next_rollover_at_us
from tests.core.floor import SECOND_US, START_US, Floor, names, only


@pytest.fixture
def floor() -> Floor:
    return Floor()


def codes(events: list[ev.AnyEvent]) -> list[str]:
    """Return what refuses a new order or an amendment."""
    first = events[0]
    if isinstance(first, ev.CommandRefused):
        return [first.code]
    return [check.code for check in first.verdict.reasons] if isinstance(first, ev.OrderDenied) else []


def change(floor: Floor, **changes: Any) -> list[ev.AnyEvent]:
    asked: dict[str, Any] = {
        "group": "b",
        "limits": msgspec.structs.replace(HOUSE_LIMITS, order_volume_max_lots=D(2)),
        "reason": "election night",
        "asked_by": "ann",
        "approved_by": "ben",
    }
    return floor.do(cmd.ChangeLimits(**(asked | changes)))


def test_an_intraday_change_of_limits_falls_back_at_the_end_of_the_day(floor: Floor) -> None:
    """P-28."""
    ends_us = next_rollover_at_us(at_us=floor.now_us)
    (changed,) = change(floor)
    assert isinstance(changed, ev.LimitsChanged) and changed.change.reverts_at_us == ends_us
    assert (changed.change.before.order_volume_max_lots, changed.change.reason) == (D(1_000), "election night")
    assert codes(floor.place("b1", Side.BUY, "2.01")) == ["P-08"] and codes(floor.place("b1", Side.BUY, "2")) == []
    floor.now_us = ends_us - 1
    assert only(floor.act(), ev.LimitsReverted) == []
    floor.now_us = ends_us
    assert [event.group for event in only(floor.act(), ev.LimitsReverted)] == ["b"]
    floor.quotes()
    assert codes(floor.place("b1", Side.BUY, "2.01")) == [] and only(floor.act(), ev.LimitsReverted) == []


@pytest.mark.parametrize(("later_us", "code"), [(-1, ["P-08"]), (0, []), (1, [])])
def test_a_change_ends_at_its_time_for_an_order_that_comes_before_the_desk_looks(
    floor: Floor, later_us: int, code: list[str]
) -> None:
    """P-28 on NEW and REPLACE: the gate goes by the time, as it does for locates, overrides and reviews."""
    floor.place("b1", Side.BUY, "1", limit_price="1.09900")
    (changed,) = change(floor)
    assert isinstance(changed, ev.LimitsChanged)
    floor.now_us = changed.change.reverts_at_us + later_us - 2 * SECOND_US
    assert codes(floor.place("b1", Side.BUY, "2.01", limit_price="1.09900")) == code
    amend = cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D("2.02"))
    assert codes(floor.do(amend)) == code and "b" in floor.desk.state.limit_changes


def test_how_far_a_market_order_may_slip_ends_with_the_change(floor: Floor) -> None:
    (changed,) = change(floor, limits=msgspec.structs.replace(HOUSE_LIMITS, slippage_bps_max=D(7)))
    assert isinstance(changed, ev.LimitsChanged)
    ends_us = changed.change.reverts_at_us
    assert [floor.desk.moment(now_us=at_us).slippage_bps(group="b") for at_us in (ends_us - 1, ends_us)] == [7, 50]


@pytest.mark.parametrize(("lots", "code"), [("4.5", []), ("5", []), ("5.01", ["P-08"])])
def test_a_change_for_the_day_leaves_what_the_group_allows(floor: Floor, lots: str, code: list[str]) -> None:
    """P-07, P-28: the group takes orders of ten million; the retail default of 250,000 is not slipped in."""
    change(floor, limits=msgspec.structs.replace(HOUSE_LIMITS, order_volume_max_lots=D(5)))
    assert codes(floor.place("b1", Side.BUY, lots)) == code


def test_an_intraday_change_of_limits_is_ended_early_once(floor: Floor) -> None:
    """P-28."""
    change(floor)
    revert = cmd.RevertLimits(group="b", by="rick", reason="calm again")
    assert names(floor.do(revert)) == ["LimitsReverted"]
    assert floor.desk.state.effective_limits["b"].order_volume_max_lots == HOUSE_LIMITS.order_volume_max_lots
    assert floor.do(revert) == []


def test_limits_set_during_an_intraday_change_count_from_its_end(floor: Floor) -> None:
    """P-28."""
    change(floor, reverts_at_us=floor.now_us + 60 * SECOND_US)
    floor.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, order_volume_max_lots=D(3))))
    assert codes(floor.place("b1", Side.BUY, "2.01")) == ["P-08"]
    floor.now_us += 60 * SECOND_US
    floor.act()
    floor.quotes()
    assert codes(floor.place("b1", Side.BUY, "3")) == [] and codes(floor.place("b1", Side.BUY, "3.01")) == ["P-08"]


def test_what_a_change_for_the_day_leaves_alone_is_set_for_the_next_order_all_the_same(floor: Floor) -> None:
    """P-28: whoever has more volume for the evening is not out of reach of what else is tightened meanwhile."""
    floor.place("b1", Side.BUY, "1")
    own = floor.desk.state.effective_limits["b"]
    change(floor, limits=msgspec.structs.replace(own, order_volume_max_lots=D(2)))
    tighter = msgspec.structs.replace(HOUSE_LIMITS, position_net_max_lots=D(2), order_volume_max_lots=D("0.5"))
    floor.do(cmd.ConfigureLimits(group="b", limits=tighter))
    assert codes(floor.place("b1", Side.BUY, "1.01")) == ["P-18"], "and not P-08, which is the evening's"
    group = msgspec.structs.replace(floor.desk.state.groups["b"], order_notional_max=D(100_000))
    floor.do(cmd.ConfigureGroup(group=group))
    assert codes(floor.place("b1", Side.BUY, "0.99")) == ["P-07"]
    floor.do(cmd.RevertLimits(group="b", by="rick", reason="calm again"))
    assert codes(floor.place("b1", Side.BUY, "0.51")) == ["P-08"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_second_change_for_the_day_takes_the_place_of_the_first(floor: Floor, kept: bool) -> None:
    """P-28: what it keeps of the first holds on, what it leaves to the group's own follows those from then on."""
    own = floor.desk.state.effective_limits["b"]
    change(floor, limits=msgspec.structs.replace(own, order_volume_max_lots=D(2)))
    based_on = floor.desk.state.effective_limits["b"] if kept else own
    change(floor, limits=msgspec.structs.replace(based_on, position_net_max_lots=D(9)))
    floor.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, order_volume_max_lots=D(3))))
    holds = floor.desk.state.effective_limits["b"]
    assert (holds.order_volume_max_lots, holds.position_net_max_lots) == (2 if kept else 3, 9)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"group": "nobody"}, "GROUP_UNKNOWN"),
        ({"reason": ""}, "LIMIT_CHANGE_INVALID"),
        ({"approved_by": "ann"}, "LIMIT_CHANGE_INVALID"),
        ({"approved_by": ""}, "LIMIT_CHANGE_INVALID"),
        ({"reverts_at_us": START_US}, "LIMIT_CHANGE_INVALID"),
        ({"reverts_at_us": next_rollover_at_us(at_us=START_US) + 1}, "LIMIT_CHANGE_INVALID"),
    ],
)
def test_an_intraday_change_out_of_order_is_refused(floor: Floor, changes: dict[str, Any], code: str) -> None:
    """P-28."""
    assert codes(change(floor, **changes)) == [code]


@pytest.mark.parametrize(
    ("changes", "order", "code"),
    [
        ({"order_value_max": D(50_000)}, {"lots": "0.46"}, "P-07"),
        ({"orders_open_max": 1}, {"lots": "0.1"}, "P-18"),
        ({"slippage_bps_max": D(5)}, {"lots": "0.1", "limit_price": "1.10100", "type": OrderType.MARKET}, "P-10"),
    ],
)
def test_what_a_groups_own_settings_say_is_changed_for_the_day_too(
    floor: Floor, changes: dict[str, Any], order: dict[str, Any], code: str
) -> None:
    """P-28: by two people with a reason, and its own hold again by themselves; a group changed meanwhile waits."""
    floor.place("b1", Side.BUY, "0.01", limit_price="1.09500")
    own = floor.desk.state.effective_limits["b"]
    asked = msgspec.structs.replace(own, **changes)
    assert codes(change(floor, limits=asked, approved_by="ann")) == ["LIMIT_CHANGE_INVALID"]
    assert codes(change(floor, limits=asked, reason="")) == ["LIMIT_CHANGE_INVALID"]
    change(floor, limits=asked)

    def placed() -> list[str]:
        terms = dict(order)
        return codes(floor.place("b1", Side.BUY, terms.pop("lots"), **terms))

    assert placed() == [code]
    changed = msgspec.structs.replace(floor.desk.state.groups["b"], version=2, ask_markup_points=4)
    floor.do(cmd.ConfigureGroup(group=changed))
    assert placed() == [code]
    floor.now_us = next_rollover_at_us(at_us=floor.now_us)
    assert len(only(floor.act(), ev.LimitsReverted)) == 1
    floor.quotes()
    assert placed() == []
    assert msgspec.structs.replace(floor.desk.state.effective_limits["b"], version=1) == own


def test_a_change_for_the_day_bounds_what_a_market_order_may_slip(floor: Floor) -> None:
    """P-10, P-28: the price that it may deal at, not only the one that it may ask for."""
    floor.quote("LP1", "1.10000", "1.10010", size="0.5")
    floor.quote("LP3", "1.09999", "1.10080", size="5")
    own = floor.desk.state.effective_limits["b"]
    change(floor, limits=msgspec.structs.replace(own, slippage_bps_max=D(5)))
    assert {fill.raw_price for fill in only(floor.place("b1", Side.BUY, "3"), ev.OrderFilled)} == {
        D("1.10010"),
        D("1.10011"),
    }
    floor.do(cmd.RevertLimits(group="b", by="rick", reason="calm again"))
    assert D("1.10080") in {fill.raw_price for fill in only(floor.place("b1", Side.BUY, "3"), ev.OrderFilled)}


def test_a_change_that_leaves_them_out_leaves_a_groups_own_settings_alone(floor: Floor) -> None:
    """P-28: also one that was recorded before changes stood for those."""
    own, nothing = floor.desk.state.groups["b"], dict.fromkeys(OF_THE_GROUP)
    change(floor, limits=msgspec.structs.replace(HOUSE_LIMITS, **nothing))
    now = floor.desk.state.effective_limits["b"]
    said = (own.order_notional_max, own.open_orders_max, own.slippage_bps_max)
    assert (now.order_value_max, now.orders_open_max, now.slippage_bps_max) == said
    after = msgspec.structs.replace(HOUSE_LIMITS, order_value_max=D(1))
    older = LimitChange(
        before=HOUSE_LIMITS, after=after, reason="x", asked_by="ann", approved_by="ben", from_us=0, reverts_at_us=1
    )
    assert older.over(own=HOUSE_LIMITS.for_group(group=own)).order_value_max == own.order_notional_max
