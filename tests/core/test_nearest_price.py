"""Resting limits deal as soon as the price that their client is shown is inside them, not only the street's."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, Group
from piggy.core.bookbuild import SpreadAction, SpreadProfile
from piggy.core.conversion import Touch
from piggy.core.desk import Desk
from piggy.core.orders import Side
from piggy.core.pricing import client_price, markup, nearest_price
from piggy.core.profiles import MarkupBand, MarkupUnit, PriceProfile, PriceSchedule, WeekWindow, profiles_of
from tests.core.floor import EURUSD, Floor, only

D = Decimal
NOTHING = MarkupBand(bid=D(0), ask=D(0))


@pytest.mark.parametrize(
    ("profile", "falls", "rises"),
    [
        (PriceProfile(bands=(NOTHING,), spread=SpreadProfile(target_points=0)), 2, 3),
        (PriceProfile(bands=(MarkupBand(bid=D(-3), ask=D(-3)),)), 4, 4),
        (PriceProfile(bands=(NOTHING,)), 7, 7),
    ],
)
def test_a_resting_limit_deals_as_soon_as_the_price_that_is_shown_is_inside(
    profile: PriceProfile, falls: int, rises: int
) -> None:
    """The spread drawn in to the middle, or a markup below nothing, shows a better price than the street has."""
    floor = Floor(internal_cross=False)
    floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=profile))
    for account_id, side, limit in (("b1", Side.BUY, "1.10003"), ("b2", Side.SELL, "1.10008")):
        floor.place(account_id, side, "1", limit_price=limit)
    filled: list[tuple[str, Decimal]] = []
    for moved in (0, 1 - falls, -falls, rises - 1, rises):
        floor.quotes(str(moved * EURUSD.point))
        events = only(floor.act(), ev.OrderFilled)
        assert bool(events) is (moved in (-falls, rises)), moved
        filled += [(event.account_id, event.price) for event in events]
    assert filled == [("b1", D("1.10003")), ("b2", D("1.10008"))]


@pytest.mark.parametrize(("has_profile", "heard"), [(True, True), (False, True), (True, False), (False, False)])
def test_while_one_side_is_quoted_a_limit_deals_at_what_its_client_is_shown_of_it(
    has_profile: bool, heard: bool
) -> None:
    """A group's own markup below nothing, and a profile's, on a desk that has heard of both sides before or has not."""
    floor = Floor(internal_cross=False, bid_markup_points=-3, ask_markup_points=-3)
    if has_profile:
        profile = PriceProfile(bands=(MarkupBand(bid=D(-3), ask=D(-3)),))
        floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=profile))
    for account_id, limit in (("b1", "1.10003"), ("b2", "1.10002")):
        assert only(floor.place(account_id, Side.BUY, "1", limit_price=limit), ev.OrderAccepted)
    floor.act()
    if not heard:
        floor.desk = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=1))
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "", "1.10007")
    assert not only(floor.act(), ev.OrderFilled)
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "", "1.10006")
    (bought,) = only(floor.act(), ev.OrderFilled)
    assert bought.price == D("1.10003")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10000", "")
    assert not only(floor.act(), ev.OrderFilled), "nothing is offered"
    assert floor.desk.state.resting["EURUSD"]


amounts = st.integers(-40, 40).map(Decimal)
points = st.none() | st.integers(0, 60)
some_bands = st.lists(
    st.builds(MarkupBand, bid=amounts, ask=amounts, unit=st.sampled_from(MarkupUnit)), max_size=1
).map(tuple)
some_spreads = st.none() | st.builds(
    SpreadProfile, min_points=points, max_points=points, target_points=points, action=st.sampled_from(SpreadAction)
)
some_profiles = st.dictionaries(
    st.tuples(st.sampled_from(["b", "vip"]), st.sampled_from(["EURUSD", "*", "GBPUSD"])),
    st.builds(
        PriceProfile,
        bands=some_bands,
        spread=some_spreads,
        schedules=st.builds(
            PriceSchedule,
            windows=st.just((WeekWindow(weekdays=tuple(range(7)), start_minute=0, end_minute=720),)),
            bands=some_bands,
            spread=some_spreads,
        ).map(lambda each: (each,)),
    ),
    max_size=4,
)
groups_of_two = st.builds(
    lambda a, b, c, d: [
        Group(name="b", book_mode=BookMode.B, bid_markup_points=a, ask_markup_points=b),
        Group(name="vip", book_mode=BookMode.B, bid_markup_points=c, ask_markup_points=d),
    ],
    *[st.integers(-40, 40)] * 4,
)


@given(
    groups_of_two, some_profiles, st.integers(0, 30), st.sampled_from(Side), st.sampled_from([0, 13 * 3_600_000_000])
)
def test_nobody_deals_better_than_the_nearest_price(
    groups: list[Group], profiles: dict[tuple[str, str], PriceProfile], spread: int, side: Side, at_us: int
) -> None:
    """What is waiting beyond it need not be looked at; what is inside may be due."""
    touch = Touch(D("1.10000"), D("1.10000") + spread * EURUSD.point, 0)
    nearest = nearest_price(touch=touch, instrument=EURUSD, side=side, groups=groups, profiles=profiles)
    for group in groups:
        found = profiles_of(profiles=profiles, group=group.name, symbol="EURUSD")
        paid = markup(group=group, profiles=found, instrument=EURUSD, side=side, touch=touch, at_us=at_us)
        if paid is not None:
            raw = touch.ask if side is Side.BUY else touch.bid
            assert side.sign * (client_price(raw=raw, markup=paid, side=side) - nearest) >= 0
