"""Prices by profile: what a client sees, and that slippage and improvement reach them alike."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Group
from piggy.core.bookbuild import SpreadAction, SpreadProfile
from piggy.core.commissions import Commission
from piggy.core.conversion import Touch
from piggy.core.orders import Side
from piggy.core.pricing import client_price, commission_plan, markup, raw_limit, worst_price
from piggy.core.profiles import (
    MarkupBand,
    MarkupUnit,
    PriceProfile,
    PriceSchedule,
    WeekWindow,
    band_for,
    profile_fault,
    profiles_of,
)
from tests.core.floor import EURUSD, Floor, names, only

POINT = EURUSD.point
GROUP = Group(name="g", bid_markup_points=2, ask_markup_points=3)
TOUCH = Touch(Decimal("1.10000"), Decimal("1.10010"), 0)


def points(*profiles: PriceProfile, side: Side = Side.BUY, **more: Any) -> Decimal | None:
    given_values: dict[str, Any] = {"group": GROUP, "instrument": EURUSD, "touch": TOUCH, "lots": Decimal(1)}
    found = markup(side=side, profiles=profiles, **(given_values | more))
    return None if found is None else found / POINT


def band(bid: Any, ask: Any, start: Any = 0, unit: MarkupUnit = MarkupUnit.POINTS) -> MarkupBand:
    return MarkupBand(bid=Decimal(bid), ask=Decimal(ask), from_lots=Decimal(start), unit=unit)


def test_without_a_profile_the_groups_own_points_hold() -> None:
    assert (points(), points(side=Side.SELL)) == (3, 2)
    assert (points(PriceProfile()), points(PriceProfile(), side=Side.SELL)) == (3, 2)


def test_the_most_specific_profile_that_says_something_wins() -> None:
    wide, narrow = PriceProfile(bands=(band(9, 9),)), PriceProfile(bands=(band(5, 6),))
    silent = PriceProfile(commission=Commission(rate=Decimal(4)))
    both = {("g", "EURUSD"): narrow, ("g", "*"): wide}
    assert profiles_of(profiles=both, group="g", symbol="EURUSD") == (narrow, wide)
    assert profiles_of(profiles=both, group="g", symbol="USDJPY") == (wide,)
    assert profiles_of(profiles=both, group="other", symbol="EURUSD") == ()
    assert profiles_of(profiles={}, group="g", symbol="EURUSD") == ()
    assert points(narrow, wide) == 6
    assert points(silent, wide) == 9
    assert commission_plan(group=GROUP, profiles=(narrow, silent)).rate == 4
    assert commission_plan(group=GROUP, profiles=(narrow,)) == Commission(rate=GROUP.commission_per_lot)


@given(starts=st.lists(st.integers(1, 50), unique=True, max_size=4).map(sorted), lots=st.integers(0, 60))
def test_the_band_is_the_last_one_that_the_size_reaches(starts: list[int], lots: int) -> None:
    bands = tuple(band(number, number, start) for number, start in enumerate([0, *starts]))
    naive = [each for each in bands if not each.from_lots > lots]
    assert band_for(bands=bands, lots=Decimal(lots)) == naive[-1]
    assert band_for(bands=bands[1:], lots=Decimal(0)) is None


def test_basis_points_are_of_the_price_seen_and_round_up_to_a_point() -> None:
    profile = PriceProfile(bands=(band("0.5", "1", unit=MarkupUnit.BPS),))
    assert points(profile) == 12  # 1.10010 x 0.0001 = 11.001 points
    assert points(profile, side=Side.SELL) == 6  # 1.1 x 0.00005 = 5.5 points
    assert points(profile, touch=None) == 0


@pytest.mark.parametrize(
    ("spread", "buy", "sell"),
    [
        (SpreadProfile(), 3, 2),
        (SpreadProfile(min_points=20), 6, 4),
        (SpreadProfile(target_points=4), -3, -3),
        (SpreadProfile(max_points=10, action=SpreadAction.ABSORB), 1, -1),
        (SpreadProfile(max_points=10, action=SpreadAction.PASS), 3, 2),
        (SpreadProfile(max_points=10, action=SpreadAction.REJECT), None, None),
    ],
)
def test_the_spread_a_client_sees_is_what_the_profile_allows(
    spread: SpreadProfile, buy: int | None, sell: int | None
) -> None:
    profile = PriceProfile(spread=spread)
    found = points(profile), points(profile, side=Side.SELL)
    assert found[0] is None if buy is None else found[0] is not None
    if found[0] is not None and found[1] is not None and spread.target_points:
        assert 10 + found[0] + found[1] == spread.target_points
    elif found[0] is not None and found[1] is not None and spread.min_points:
        assert 10 + found[0] + found[1] == spread.min_points
    elif found[0] is not None and found[1] is not None and spread.action is SpreadAction.ABSORB:
        assert 10 + found[0] + found[1] == spread.max_points
    else:
        assert found == (buy, sell)
    assert points(profile, firm=True) is not None, "a price that is owed is given"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def test_a_schedule_follows_the_clock_of_its_zone_over_the_change_of_time() -> None:
    night = WeekWindow(weekdays=(4,), start_minute=16 * 60 + 30, end_minute=30, zone="America/New_York")
    for winter, summer, open_ in (
        ("2026-01-09T21:29", "2026-07-10T20:29", False),
        ("2026-01-09T21:30", "2026-07-10T20:30", True),
        ("2026-01-10T05:29", "2026-07-11T04:29", True),
        ("2026-01-10T05:30", "2026-07-11T04:30", False),
        ("2026-01-08T22:00", "2026-07-09T22:00", False),
    ):
        assert night.covers(at_us=at(winter)) is night.covers(at_us=at(summer)) is open_
    day = WeekWindow(weekdays=(0, 1), start_minute=0, end_minute=60)
    assert day.covers(at_us=at("2026-01-05T00:59"))
    assert not day.covers(at_us=at("2026-01-05T01:00"))
    assert not day.covers(at_us=at("2026-01-07T00:30"))


def test_the_first_open_schedule_replaces_what_it_sets() -> None:
    always = WeekWindow(weekdays=tuple(range(7)), start_minute=0, end_minute=1_440)
    never = WeekWindow(weekdays=(), start_minute=0, end_minute=1_440)
    profile = PriceProfile(
        bands=(band(5, 6),),
        spread=SpreadProfile(target_points=40),
        schedules=(
            PriceSchedule(windows=(never,), bands=(band(50, 60),)),
            PriceSchedule(windows=(always,), bands=(band(7, 8),)),
        ),
    )
    assert profile.at(at_us=0) == ((band(7, 8),), SpreadProfile(target_points=40))
    wide = SpreadProfile(min_points=1)
    only_spread = PriceProfile(bands=(band(5, 6),), schedules=(PriceSchedule(windows=(always,), spread=wide),))
    assert only_spread.at(at_us=0) == ((band(5, 6),), wide)


def test_profiles_without_sense_are_refused_by_name() -> None:
    floor = Floor()

    def answer(profile: PriceProfile, group: str = "b", symbol: str = "EURUSD") -> Any:
        (event,) = floor.do(cmd.ConfigurePricing(group=group, symbol=symbol, profile=profile))
        return event

    bad_window = WeekWindow(weekdays=(1,), start_minute=-1, end_minute=5)
    bad_zone = WeekWindow(weekdays=(1,), start_minute=1, end_minute=5, zone="Atlantis/Capital")
    no_day = WeekWindow(weekdays=(7,), start_minute=1, end_minute=5)
    wide, below = SpreadProfile(min_points=3, max_points=2), SpreadProfile(target_points=-1)
    for profile, text in (
        (PriceProfile(bands=(band(10_000, 1, unit=MarkupUnit.BPS),)), "all of it"),
        (PriceProfile(spread=wide), "spread.min_points: the least"),
        (PriceProfile(spread=below), "below nothing"),
        (PriceProfile(schedules=(PriceSchedule(windows=(), spread=wide),)), "schedules[0].spread.min_points: "),
        (PriceProfile(schedules=(PriceSchedule(windows=(no_day,)),)), "Monday"),
        (PriceProfile(bands=(band("NaN", 1),)), "finite"),
        (PriceProfile(bands=(band("1000000001", 1),)), "from -1000000000"),
        (PriceProfile(bands=(band(1, "-1000000001"),)), "from -1000000000"),
        (PriceProfile(bands=(band(1, 1), band(1, 1))), "rise"),
        (PriceProfile(bands=(band(1, 1, 5),)), "starts at 0"),
        (PriceProfile(schedules=(PriceSchedule(windows=(bad_window,)),)), "one day"),
        (PriceProfile(schedules=(PriceSchedule(windows=(bad_zone,)),)), "Atlantis"),
        (PriceProfile(schedules=(PriceSchedule(windows=(), bands=(band(1, "Infinity"),)),)), "finite"),
        (PriceProfile(commission=Commission(rate=Decimal("NaN"))), "commission"),
    ):
        refused = answer(profile)
        assert (refused.code, text in refused.text) == ("PROFILE_UNUSABLE", True)
    assert answer(PriceProfile(), group="nobody").code == "GROUP_UNKNOWN"
    assert answer(PriceProfile(), symbol="NOTHING").code == "SYMBOL_UNKNOWN"
    assert isinstance(answer(PriceProfile()), ev.PricingConfigured)
    assert floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=PriceProfile())) == []
    floor.desk.state.profiles["b", "*"] = PriceProfile(spread=wide)
    again = cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(spread=wide))
    assert floor.do(again) == [], "what was once taken may be said again"
    assert profile_fault(profile=PriceProfile()) == ""


@given(
    raw=st.integers(100_000, 120_000),
    over=st.integers(-20, 50),
    side=st.sampled_from(list(Side)),
    off=st.integers(0, 9),
)
def test_the_raw_limit_is_the_exact_inverse_of_the_client_price(raw: int, over: int, side: Side, off: int) -> None:
    limit, amount = raw * POINT, over * POINT
    worst = raw_limit(limit=limit, markup=amount, side=side)
    assert client_price(raw=worst, markup=amount, side=side) == limit
    beyond = client_price(raw=worst + side.sign * POINT, markup=amount, side=side)
    assert side.sign * (beyond - limit) > 0
    protection = worst_price(price=limit, bps=Decimal(off), instrument=EURUSD, side=side)
    assert side.sign * (protection - limit) >= 0


@settings(max_examples=30, deadline=None)
@given(
    slips=st.lists(st.integers(-9, 9), min_size=1, max_size=5),
    side=st.sampled_from(list(Side)),
    unit=st.sampled_from(list(MarkupUnit)),
    moved=st.integers(-30, 30),
)
def test_slippage_and_improvement_reach_the_client_alike(
    slips: list[int], side: Side, unit: MarkupUnit, moved: int
) -> None:
    """The client's slippage is the venue's, point for point, both ways; not even the market moving on changes it."""
    floor = Floor(internal_cross=False)
    profile = PriceProfile(bands=(band("1.3", "1.7", unit=unit),), spread=SpreadProfile(min_points=12))
    floor.do(cmd.ConfigurePricing(group="a", symbol="EURUSD", profile=profile))
    raw = Decimal("1.10010") if side is Side.BUY else Decimal("1.10001")
    shown: set[Decimal] = set()
    for slip in slips:
        floor.quotes()
        events = floor.place("a1", side, "0.1")
        (leg,) = only(events, ev.ChildOrderCreated)
        floor.quotes(str(moved * POINT))
        (fill,) = only(floor.fill(leg, str(raw + slip * POINT)), ev.OrderFilled)
        assert fill.raw_price == raw + slip * POINT
        shown.add(fill.price - slip * POINT)
    assert len(shown) == 1, "less the venue's own slippage every fill has the one price that was seen"


def test_a_leg_from_before_markups_were_recorded_is_priced_now() -> None:
    floor = Floor()
    (leg,) = only(floor.place("a1", Side.BUY, "1"), ev.ChildOrderCreated)
    child = floor.desk.state.children[leg.cl_ord_id]
    child.created = ev.ChildOrderCreated(
        **{name: getattr(leg, name) for name in leg.__struct_fields__} | {"markup": None}
    )
    (fill,) = only(floor.fill(leg, "1.10010"), ev.OrderFilled)
    assert fill.price == Decimal("1.10013")


def test_a_larger_order_pays_the_markup_of_its_band() -> None:
    floor = Floor()
    profile = PriceProfile(bands=(band(0, 0), band(4, 7, 1)))
    floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=profile))
    prices = [only(floor.place("b1", Side.BUY, lots), ev.OrderFilled)[0].price for lots in ("0.99", "1")]
    assert prices == [Decimal("1.10010"), Decimal("1.10017")]


def test_a_spread_beyond_the_maximum_shows_no_price_and_fills_nothing() -> None:
    floor = Floor()
    spread = SpreadProfile(max_points=10, action=SpreadAction.REJECT)
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(spread=spread)))
    events = floor.place("b1", Side.BUY, "1")
    assert not only(events, ev.OrderFilled)
    assert "OrderDenied" in names(events) or "no price" in only(events, ev.OrderAccepted)[0].routing.text
    limit = floor.place("b1", Side.BUY, "1", limit_price="1.10500")
    assert not only(limit, ev.OrderFilled)


def test_a_spread_that_leaves_no_bid_shows_no_price() -> None:
    floor = Floor()
    profile = PriceProfile(spread=SpreadProfile(min_points=230_000))
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=profile))
    for side in Side:
        assert not only(floor.place("b1", side, "1"), ev.OrderFilled)
    moment = floor.desk.moment(now_us=floor.now_us)
    assert moment.markup(account_id="b1", symbol="EURUSD", side=Side.BUY) is None
    owed = moment.markup(account_id="b1", symbol="EURUSD", side=Side.BUY, firm=True)
    assert owed is not None and owed > 1


def test_a_position_is_marked_at_the_last_prices_when_nobody_quotes() -> None:
    floor = Floor()
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(bands=(band(10, 10),))))
    floor.place("b1", Side.BUY, "1")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "", "")
    moment = floor.desk.moment(now_us=floor.now_us)
    assert moment.markup(account_id="b1", symbol="EURUSD", side=Side.BUY) == 10 * POINT
    assert moment.funds("b1").floating == Decimal("-29.00")
