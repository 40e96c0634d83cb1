"""Records that controls ask for, intraday limits and alerts, through the desk, on NEW and REPLACE."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Venue
from piggy.core.desk import Desk
from piggy.core.instruments import AssetClass
from piggy.core.limits import HOUSE_LIMITS, LimitChange, Limits, UnableToSetLimit
from piggy.core.orders import OrderTerms, OrderType, Side
from tests.core.floor import EURUSD, SECOND_US, START_US, Floor, canonical, names, only
from tests.core.test_limits_of_the_day import change, codes

ACME = msgspec.structs.replace(
    EURUSD, symbol="ACME", asset_class=AssetClass.SHARE, base="ACME", contract_size=D(100), price_digits=2,
    tick_size=D("0.01"), margin_percent=D(20),
)  # fmt: skip
DAY = date(2023, 11, 13)
YEAR_US = 365 * 86_400 * SECOND_US


@pytest.fixture
def floor() -> Floor:
    return Floor()


@pytest.fixture
def shares() -> Floor:
    """A share at 100.00 with a daily volume of 100 lots, and 2 lots of it located for b1."""
    made = Floor(bid_markup_points=0, ask_markup_points=0)
    made.do(cmd.ConfigureInstrument(instrument=ACME))
    made.do(cmd.RecordDailyVolume(symbol="ACME", business_date=DAY, lots=D(100)))
    locate(made, "2")
    return made


def locate(floor: Floor, located: str, **changes: Any) -> list[ev.AnyEvent]:
    asked: dict[str, Any] = {
        "account_id": "b1",
        "symbol": "ACME",
        "lots": D(located),
        "reference": "lender 7",
        "until_us": START_US + 3_600 * SECOND_US,
        "by": "ann",
    }
    return floor.do(cmd.RecordLocate(**(asked | changes)))


def share_order(floor: Floor, side: Side, lots: str, **more: Any) -> list[ev.AnyEvent]:
    floor.now_us += 2 * SECOND_US
    floor.quote("LP1", "100.00", "100.02", size="500", symbol="ACME")
    asked = OrderTerms(account_id="b1", symbol="ACME", side=side, quantity=D(lots), **more)
    return floor.do(cmd.PlaceOrder(terms=asked))


def resting(floor: Floor, side: Side, lots: str, price: str) -> str:
    events = share_order(floor, side, lots, type=OrderType.LIMIT, limit_price=D(price))
    assert isinstance(events[0], ev.OrderAccepted)
    return events[0].order_id


def amended(floor: Floor, order_id: str, lots: str) -> list[ev.AnyEvent]:
    floor.now_us += 2 * SECOND_US
    floor.quote("LP1", "100.00", "100.02", size="500", symbol="ACME")
    return floor.do(cmd.AmendOrder(order_id=order_id, account_id="b1", quantity=D(lots)))


@pytest.mark.parametrize(("lots", "refused"), [("4.99", []), ("5", []), ("5.01", ["P-21"])])
def test_an_order_of_a_share_is_held_against_its_daily_volume(shares: Floor, lots: str, refused: list[str]) -> None:
    """P-21 on NEW and REPLACE: 5 % of 100 lots."""
    assert codes(share_order(shares, Side.BUY, lots)) == refused
    assert codes(amended(shares, resting(shares, Side.BUY, "1", "99.00"), lots)) == refused


def test_a_share_whose_volume_nobody_recorded_is_refused(floor: Floor) -> None:
    """P-21: unset refuses; a volume of another symbol is no help, nor is one of nothing."""
    floor.do(cmd.ConfigureInstrument(instrument=ACME))
    assert codes(share_order(floor, Side.BUY, "1")) == ["P-21"]
    floor.do(cmd.RecordDailyVolume(symbol="EURUSD", business_date=DAY, lots=D(100)))
    assert codes(share_order(floor, Side.BUY, "1")) == ["P-21"]
    floor.do(cmd.RecordDailyVolume(symbol="ACME", business_date=DAY, lots=D(0)))
    assert codes(share_order(floor, Side.BUY, "1")) == ["P-21"]


def test_the_daily_volume_is_the_mean_of_the_last_twenty_days_and_a_day_may_be_corrected(floor: Floor) -> None:
    for number in range(25):
        lots = D(10_000) if number < 5 else D(100)
        floor.do(cmd.RecordDailyVolume(symbol="EURUSD", business_date=DAY + timedelta(days=number), lots=lots))
    assert floor.desk.state.volume_averages["EURUSD"] == 100
    again = cmd.RecordDailyVolume(symbol="EURUSD", business_date=DAY + timedelta(days=24), lots=D(300))
    assert names(floor.do(again)) == ["DailyVolumeRecorded"] and floor.do(again) == []
    assert floor.desk.state.volume_averages["EURUSD"] == 110
    assert len(floor.desk.state.daily_volumes["EURUSD"]) == 20


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOSUCH"}, "SYMBOL_UNKNOWN"),
        ({"lots": D(-1)}, "VOLUME_INVALID"),
        ({"lots": D("NaN")}, "VOLUME_INVALID"),
    ],
)
def test_a_volume_that_is_none_is_refused(floor: Floor, changes: dict[str, Any], code: str) -> None:
    asked = {"symbol": "EURUSD", "business_date": DAY, "lots": D(1)} | changes
    assert codes(floor.do(cmd.RecordDailyVolume(**asked))) == [code]


@pytest.mark.parametrize(("lots", "refused"), [("1.99", []), ("2", []), ("2.01", ["P-23"])])
def test_a_short_sale_is_held_against_what_was_located(shares: Floor, lots: str, refused: list[str]) -> None:
    """P-23 on NEW and REPLACE."""
    order_id = resting(shares, Side.SELL, "1", "101.00")
    assert codes(amended(shares, order_id, lots)) == refused
    shares.do(cmd.CancelOrder(order_id=order_id, account_id="b1"))
    assert codes(share_order(shares, Side.SELL, lots)) == refused


def test_a_locate_cannot_be_used_twice(shares: Floor) -> None:
    """P-23: what is short already needs its locate too."""
    assert codes(share_order(shares, Side.SELL, "1.5")) == []
    assert codes(share_order(shares, Side.SELL, "1")) == ["P-23"]
    assert codes(share_order(shares, Side.SELL, "0.5")) == []


def test_without_a_locate_only_what_is_held_may_be_sold(shares: Floor) -> None:
    """P-23: unset refuses."""
    locate(shares, "0")
    assert shares.desk.state.locates[("b1", "ACME")] == {}
    assert codes(share_order(shares, Side.SELL, "0.01")) == ["P-23"]
    assert codes(share_order(shares, Side.BUY, "1")) == []
    assert codes(share_order(shares, Side.SELL, "1")) == []


def test_locates_add_up_and_end(shares: Floor) -> None:
    locate(shares, "1", reference="lender 8", until_us=START_US + 10 * SECOND_US)
    assert locate(shares, "1", reference="lender 8", until_us=START_US + 10 * SECOND_US) == []
    assert codes(share_order(shares, Side.SELL, "2.5", type=OrderType.LIMIT, limit_price=D("101"))) == []
    shares.do(cmd.CancelOrder(order_id="O000000001", account_id="b1"))
    shares.now_us = START_US + 8 * SECOND_US
    assert codes(share_order(shares, Side.SELL, "2.5", type=OrderType.LIMIT, limit_price=D("102"))) == ["P-23"]
    locate(shares, "0.5", reference="lender 9")
    assert set(shares.desk.state.locates[("b1", "ACME")]) == {"lender 7", "lender 9"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account_id": "nobody"}, "ACCOUNT_UNKNOWN"),
        ({"symbol": "NOSUCH"}, "SYMBOL_UNKNOWN"),
        ({"lots": D(-1)}, "LOCATE_INVALID"),
        ({"lots": D("NaN")}, "LOCATE_INVALID"),
        ({"reference": ""}, "LOCATE_INVALID"),
        ({"by": ""}, "LOCATE_INVALID"),
        ({"until_us": START_US}, "LOCATE_INVALID"),
    ],
)
def test_a_locate_needs_a_lender_a_person_and_a_time_to_come(shares: Floor, changes: dict[str, Any], code: str) -> None:
    assert codes(locate(shares, "1", **changes)) == [code]


def test_nobody_trades_before_the_controls_were_reviewed(floor: Floor) -> None:
    """P-30: what is not on record blocks; also an amendment, once the year is over."""
    floor.place("b1", Side.BUY, "1", limit_price="1.09500")
    floor.desk.state.review_due_at_us = None
    assert codes(floor.place("b1", Side.BUY, "1")) == ["P-30"]
    amendment = cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D("0.9"))
    assert codes(floor.do(amendment)) == ["P-30"]


@pytest.mark.parametrize(("after_us", "refused"), [(-1, []), (0, ["P-30"]), (1, ["P-30"])])
def test_a_review_holds_for_a_year_to_the_microsecond(floor: Floor, after_us: int, refused: list[str]) -> None:
    """P-30 on NEW and REPLACE."""
    floor.place("b1", Side.BUY, "1", limit_price="1.09500")
    floor.now_us = START_US + YEAR_US + after_us - 2 * SECOND_US
    assert codes(floor.place("b1", Side.BUY, "1")) == refused
    assert codes(floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D("0.9")))) == refused


def test_a_later_review_counts_and_an_earlier_one_changes_nothing(floor: Floor) -> None:
    floor.now_us += 10
    later = cmd.SignReview(signed_by="eve", reference="2024", signed_at_us=floor.now_us)
    (signed,) = floor.do(later)
    assert isinstance(signed, ev.ReviewSigned) and signed.due_at_us == floor.now_us + YEAR_US
    assert floor.do(later) == []
    assert floor.do(cmd.SignReview(signed_by="eve", reference="2022", signed_at_us=0)) == []
    for changes in ({"signed_by": ""}, {"reference": ""}, {"signed_at_us": floor.now_us + 1}):
        assert codes(floor.do(msgspec.structs.replace(later, **changes))) == ["REVIEW_INVALID"]


def alerts(floor: Floor) -> list[tuple[str, str, D, bool]]:
    """Let a second pass; return the alerts that it brings."""
    floor.now_us += SECOND_US
    floor.requote()
    found = only(floor.act(), ev.LimitUseChanged)
    return [(event.account_id, event.code, event.level_percent, event.raised) for event in found]


def test_an_alert_goes_out_at_each_level_once_and_is_taken_back(floor: Floor) -> None:
    """P-27: net lots against a cap of ten, within the five seconds allowed."""
    limits = msgspec.structs.replace(HOUSE_LIMITS, position_net_max_lots=D(4), window_s=2)
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.place("b1", Side.BUY, "1.99")
    assert alerts(floor) == []
    floor.place("b1", Side.BUY, "0.01")
    assert alerts(floor) == [("b1", "P-18", D(50), True)] and alerts(floor) == []
    floor.place("b1", Side.BUY, "2")
    assert alerts(floor) == [("b1", "P-18", D(100), True)]
    floor.place("b1", Side.SELL, "0.8")
    assert alerts(floor) == [("b1", "P-18", D(80), False)]
    floor.place("b1", Side.SELL, "3.2")
    assert alerts(floor) == [("b1", "P-18", D(0), False)] and floor.desk.state.alert_levels == {}


def test_losses_value_and_exposure_are_watched_too(floor: Floor) -> None:
    """P-27."""
    limits = msgspec.structs.replace(
        HOUSE_LIMITS, loss_daily_account_max=D(20), loss_daily_tenant_max=D(1_000_000), window_value_max=D(300_000),
        exposure_account_max=D(220_000), orders_open_max=None,
    )  # fmt: skip
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.place("b1", Side.BUY, "1")
    assert alerts(floor) == [("b1", "P-19", D(50), True)]
    floor.place("b1", Side.SELL, "1")
    found = alerts(floor)
    assert ("b1", "P-20", D(50), True) in found and ("b1", "P-12", D(50), True) in found
    assert ("b1", "P-19", D(0), False) in found
    floor.now_us += 120 * SECOND_US
    assert alerts(floor) == [("b1", "P-12", D(0), False)], "time alone empties the window"


def test_executions_that_near_the_throttle_are_told_before_it_latches(floor: Floor) -> None:
    """P-27 of P-15: the second of four deals is half of what the window lets through."""
    limits = msgspec.structs.replace(HOUSE_LIMITS, executions_max=4, executions_window_s=60)
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.place("b1", Side.BUY, "0.01")
    assert alerts(floor) == []
    floor.place("b1", Side.SELL, "0.02")
    assert alerts(floor) == [("b1", "P-15", D(50), True)]
    floor.now_us += 120 * SECOND_US
    assert alerts(floor) == [("b1", "P-15", D(0), False)]


def test_levels_are_the_groups_own_and_each_is_above_nothing(floor: Floor) -> None:
    limits = msgspec.structs.replace(HOUSE_LIMITS, position_net_max_lots=D(4), alert_percents=(D(10),))
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.place("b1", Side.BUY, "1")
    assert ("b1", "P-18", D(10), True) in alerts(floor)
    with pytest.raises(UnableToSetLimit):
        Limits(alert_percents=(D(0),))


@pytest.mark.parametrize(("count", "at_once"), [(8, 8), (60, 10), (1_000, 50)])
def test_who_dealt_is_looked_at_within_five_seconds_a_few_at_a_time(floor: Floor, count: int, at_once: int) -> None:
    """P-27: however many dealt, none waits longer than the control allows."""
    floor.desk._used |= dict.fromkeys(f"c{number}" for number in range(count))
    looked: list[str] = []
    for _ in range(5 * 10):
        floor.now_us += SECOND_US // 10
        for command in floor.desk.due(now_us=floor.now_us):
            if isinstance(command, cmd.ActOnLimits):
                assert len(command.accounts) <= at_once
                looked += command.accounts
    assert sorted(looked) == sorted(f"c{number}" for number in range(count))


def test_who_deals_without_end_keeps_nobody_waiting(floor: Floor) -> None:
    """P-27: who is looked at stands behind all others when he deals again."""
    names = [f"c{number}" for number in range(200)]
    seen: dict[str, int] = dict.fromkeys(names, 0)
    for turn in range(1, 100):
        floor.desk._used |= dict.fromkeys(names)
        floor.now_us += SECOND_US // 10
        for command in floor.desk.due(now_us=floor.now_us):
            for account_id in command.accounts if isinstance(command, cmd.ActOnLimits) else ():
                assert turn - seen[account_id] <= 20, "two seconds"
                seen[account_id] = turn
    assert min(seen.values()) >= 80


def test_an_account_that_nobody_knows_has_no_use_of_limits(floor: Floor) -> None:
    assert floor.do(cmd.ActOnLimits(accounts=("nobody",))) == []


def test_what_was_recorded_folds_to_the_same_state(shares: Floor) -> None:
    """INV-08."""
    share_order(shares, Side.SELL, "1")
    change(shares)
    shares.now_us += SECOND_US
    shares.act()
    again = Desk(tenant="acorn")
    for recorded in shares.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(shares.desk.state)
    assert isinstance(shares.desk.state.limit_changes["b"], LimitChange)


@pytest.mark.parametrize(("most", "refused"), [(2, []), (1, ["P-14"])])
def test_an_order_is_refused_when_no_venue_has_room_in_its_rate(floor: Floor, most: int, refused: list[str]) -> None:
    """P-14: each of the three venues was sent one order in this second."""
    limits = msgspec.structs.replace(
        HOUSE_LIMITS, venue_messages_per_s_max=most, duplicate_window_ms=0, window_value_max=D(10**9)
    )
    floor.do(cmd.ConfigureLimits(group="a", limits=limits))
    terms = OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=D(6))
    assert len(only(floor.do(cmd.PlaceOrder(terms=terms)), ev.ChildOrderCreated)) == 3
    assert codes(floor.do(cmd.PlaceOrder(terms=terms))) == refused
    floor.now_us += SECOND_US
    assert "P-14" not in codes(floor.do(cmd.PlaceOrder(terms=terms)))
    floor.do(cmd.ConfigureVenue(venue=Venue(name="LP4", quote_age_ms_max=600_000)))
    assert "P-14" not in codes(floor.do(cmd.PlaceOrder(terms=terms))), "one that was sent nothing has room"
