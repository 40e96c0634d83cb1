"""A group's price built of depth: shown, dealt at, judged by, triggered and valued at alike, whatever the mode."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import touching
from piggy.core.bookbuild import BuildMode, PriceBuild, SpreadAction, SpreadProfile, ThinBook
from piggy.core.building import DeepTouch
from piggy.core.conversion import Touch
from piggy.core.dealer_commands import DealAt
from piggy.core.desk import Desk
from piggy.core.funds import closing_price
from piggy.core.gatekeeping import context_of
from piggy.core.market import ClientPrice, Level, VenueQuote
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side
from piggy.core.profiles import GuaranteedStops, MarkupBand, PriceProfile
from piggy.engine.client_prices import prices_of
from tests.core.floor import EURUSD, SECOND_US, Floor, only
from tests.core.test_dealing import rules

D = Decimal
POINT = EURUSD.point
BASE = 110_000
Rows = list[tuple[int, int]]  # Points from BASE, and whole lots; best first.
# Averages of 3 lots: bid (-1 -1 -4) / 3 = -2, ask (10 10 16) / 3 = 12. The third lot is at -4 and 16.
BIDS: Rows = [(-1, 2), (-4, 2), (-9, 4)]
ASKS: Rows = [(10, 2), (16, 2), (21, 4)]
VWAP = PriceBuild(mode=BuildMode.VWAP, size_lots=D(3))
CUMULATIVE = PriceBuild(mode=BuildMode.CUMULATIVE, size_lots=D(3))
MIDPOINT = PriceBuild(mode=BuildMode.MIDPOINT)
# Of each mode the bid and ask before markup: of 3 lots, of 3 lots, and around 4.5.
SHOWN = [(VWAP, -2, 12), (CUMULATIVE, -4, 16), (MIDPOINT, 4, 5)]


def at(points: int) -> Decimal:
    return (BASE + points) * POINT


class Deep(Floor):
    """A floor whose LPs quote one level each, so that the book is as deep as there are levels; no markup."""

    def __init__(self, build: PriceBuild | None = None, *, bids: Rows = BIDS, asks: Rows = ASKS, **more: Any) -> None:
        super().__init__(bid_markup_points=0, ask_markup_points=0, internal_cross=False)
        for venue in ("LP2", "LP3"):
            self.quote(venue, "", "")
        self.book(bids, asks)
        for group in ("a", "b") if build or more else ():
            profile = PriceProfile(build=build, **more)
            self.do(cmd.ConfigurePricing(group=group, symbol="EURUSD", profile=profile))

    def book(self, bids: Rows, asks: Rows) -> None:
        """All of the depth is LP1's."""
        self.bids, self.asks = bids, asks
        sides = [tuple(Level(at(points), D(lots)) for points, lots in rows) for rows in (bids, asks)]
        self.desk.quote(
            quote=VenueQuote(
                venue="LP1", symbol="EURUSD", bids=sides[0], asks=sides[1], venue_at_us=self.now_us,
                received_at_us=self.now_us,
            )
        )  # fmt: skip

    def requote(self) -> None:
        self.book(self.bids, self.asks)

    def shown(self, account_id: str = "b1") -> ClientPrice:
        found = prices_of(desk=self.desk, names=[f"{account_id}|EURUSD".encode()], now_us=self.now_us)
        return found[account_id]["EURUSD"]

    def held(self, account_id: str = "b1") -> Any:
        (position_id,) = self.desk.state.positions_of[account_id]
        return self.desk.state.positions[position_id]

    def worth(self, account_id: str = "b1") -> Decimal | None:
        moment = self.desk.moment(now_us=self.now_us)
        return closing_price(state=self.desk.state, position=self.held(account_id), marks=moment.marks)


def fills(events: list[ev.AnyEvent]) -> list[tuple[Decimal, Decimal]]:
    return [(fill.price, fill.quantity) for fill in only(events, ev.OrderFilled)]


@pytest.mark.parametrize(("build", "bid", "ask"), SHOWN)
def test_what_is_shown_is_dealt_at_judged_by_and_valued_at(build: PriceBuild, bid: int, ask: int) -> None:
    floor = Deep(build, bands=(MarkupBand(bid=D(2), ask=D(3)),))
    price = floor.shown()
    lots = 2 if build is MIDPOINT else 3
    assert price == ClientPrice(at(bid - 2), at(ask + 3), D(lots), D(lots))
    terms = OrderTerms(account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D(1))
    moment = floor.desk.moment(now_us=floor.now_us)
    context = context_of(terms=terms, account=moment.account("b1"), instrument=EURUSD, moment=moment, replaces=None)
    assert context.notional == 100_000 * at(ask + 3), "the gate"
    assert floor.desk.what_if(terms=terms, now_us=floor.now_us).required == context.margin_required
    assert fills(floor.place("b1", Side.BUY, "2")) == [(at(ask + 3), 2)]
    assert floor.worth() == at(bid - 2)
    floating = floor.desk.moment(now_us=floor.now_us).funds("b1").floating
    assert floating == 200_000 * (bid - ask - 5) * POINT
    (closed,) = only(floor.place("b1", Side.SELL, "2"), ev.OrderFilled)
    assert (closed.price, closed.realised) == (at(bid - 2), floating)


@pytest.mark.parametrize(("build", "bid", "ask"), SHOWN)
def test_stops_and_limits_come_alive_by_the_price_that_is_shown(build: PriceBuild, bid: int, ask: int) -> None:
    """One point short of it they wait. A limit deals as soon as its price is shown."""
    floor = Deep(build)
    for stop in (ask, ask + 1):
        floor.place("b1", Side.BUY, "1", type=OrderType.STOP, stop_price=at(stop))
    assert [(fill.order_id, fill.price) for fill in only(floor.act(), ev.OrderFilled)] == [("O000000001", at(ask))]
    floor = Deep(build, asks=[(points + 9, lots) for points, lots in ASKS], bids=[(p + 9, n) for p, n in BIDS])
    for limit in (ask, ask - 1):
        assert not fills(floor.place("b1", Side.BUY, "1", limit_price=at(limit)))
    assert not fills(floor.act())
    floor.book(BIDS, ASKS)
    assert [(fill.order_id, fill.price) for fill in only(floor.act(), ev.OrderFilled)] == [("O000000001", at(ask))]


@pytest.mark.parametrize(
    ("build", "legs"),
    [(VWAP, ((10, 13), (16, 19))), (CUMULATIVE, ((10, 13), (16, 19))), (MIDPOINT, ((10, 8), (16, 14)))],
)
def test_the_a_book_deals_at_venues_and_gets_what_they_do(build: PriceBuild, legs: tuple[tuple[int, int], ...]) -> None:
    """Over their prices comes the markup and nothing for the depth, which they charge; a middle's owner gets his gain.

    Who swept 3 lots paid their average.
    """
    floor = Deep(build, bands=(MarkupBand(bid=D(3), ask=D(3)),))
    (leg,) = only(floor.place("a1", Side.BUY, "3"), ev.ChildOrderCreated)
    paid = [fills(floor.fill(leg, str(at(raw)), lots))[0][0] for (raw, _), lots in zip(legs, ("2", "1"), strict=True)]
    assert paid == [at(price) for _, price in legs]
    if build is VWAP:
        assert (2 * paid[0] + paid[1]) / 3 == floor.shown("a1").ask


def test_an_a_order_with_a_limit_never_pays_more_than_it() -> None:
    floor = Deep(VWAP, bands=(MarkupBand(bid=D(3), ask=D(3)),))
    (leg,) = only(floor.place("a1", Side.BUY, "3", limit_price=at(15)), ev.ChildOrderCreated)
    assert leg.limit_price == at(12)
    assert not only(floor.place("a1", Side.BUY, "1", limit_price=at(12)), ev.ChildOrderCreated)


def test_lots_beyond_the_size_deal_at_their_own_levels() -> None:
    floor = Deep(VWAP)
    events = floor.place("b1", Side.BUY, "7")
    assert fills(events) == [(at(12), 2), (at(12), 1), (at(16), 1), (at(21), 3)]
    raws = [(fill.raw_price, fill.reason) for fill in only(events, ev.OrderFilled)]
    assert raws == [
        (at(10), "kept at the price of 3 lots"), (at(16), "kept at the price of 3 lots"),
        (at(16), "kept at LP1's price"), (at(21), "kept at LP1's price"),
    ]  # fmt: skip
    floor = Deep(VWAP)
    assert fills(floor.place("b1", Side.BUY, "7", limit_price=at(16))) == [(at(12), 2), (at(12), 1), (at(16), 1)]
    assert fills(floor.place("b1", Side.BUY, "1", limit_price=at(11))) == []


def test_a_market_orders_protection_reaches_from_the_price_it_was_shown() -> None:
    """A deep price further from the top than a market order may slip would be one at which nobody can deal."""
    floor = Deep(PriceBuild(mode=BuildMode.CUMULATIVE, size_lots=D(3)), asks=[(10, 2), (700, 2)])
    assert fills(floor.place("b1", Side.BUY, "1")) == [(at(700), 1)]
    (leg,) = only(floor.place("a1", Side.BUY, "3"), ev.ChildOrderCreated)
    assert leg.limit_price >= at(700)


def test_a_thin_book_is_priced_for_what_there_is_and_says_for_how_much() -> None:
    """Falling back to the top would show a better price the less there is."""
    floor = Deep(PriceBuild(mode=BuildMode.VWAP, size_lots=D(20)), bids=[(-1, 2), (-5, 2)], asks=[(10, 2), (20, 2)])
    assert floor.shown() == ClientPrice(at(-3), at(15), D(4), D(4))
    (accepted,) = only(events := floor.place("b1", Side.BUY, "6"), ev.OrderAccepted)
    assert fills(events) == [(at(15), 2), (at(15), 2)]
    assert accepted.routing.text.endswith("; the book has only 4 lots")
    assert floor.worth() == at(-3)


REJECTING = msgspec.structs.replace(VWAP, thin=ThinBook.REJECT)


def test_a_thin_book_that_is_to_be_rejected_shows_no_price_and_deals_nothing() -> None:
    """What is held stays valued all the same."""
    floor = Deep(REJECTING)
    floor.place("b1", Side.BUY, "2")
    assert floor.shown().ask == at(12)
    floor.book([(-1, 2)], ASKS)
    assert floor.shown() == ClientPrice()
    events = floor.place("b1", Side.BUY, "1")
    assert not fills(events)
    assert only(events, ev.OrderAccepted)[0].routing.text.startswith("no price is shown")
    moment = floor.desk.moment(now_us=floor.now_us)
    assert moment.markup(account_id="b1", symbol="EURUSD", side=Side.BUY) is None
    assert moment.markup(account_id="b1", symbol="EURUSD", side=Side.BUY, firm=True) == 0, "a fill that is owed"
    assert floor.worth() == at(-1)
    floor.book(BIDS, ASKS)
    assert floor.shown().ask == at(12)
    floor.book([], ASKS)
    assert floor.shown() == ClientPrice(), "half a book is too thin"
    floor.book([], [])
    assert floor.shown() == ClientPrice()
    assert floor.worth() == at(-2)


def test_nobody_is_closed_out_while_the_book_is_too_thin_to_show_a_price() -> None:
    floor = Deep(REJECTING)
    floor.open_account("b9", group="b", amount=4_000)
    floor.place("b9", Side.BUY, "1")
    floor.now_us += 120 * SECOND_US
    floor.book([(-3_500, 2)], [(-3_490, 4)])
    assert not fills(floor.act())
    floor.book([(-3_500, 2), (-3_503, 2)], [(-3_490, 4)])
    assert [price for price, _ in fills(floor.act())] == [at(-3_501)]


def test_a_level_below_the_top_moves_what_is_held() -> None:
    floor = Deep(VWAP)
    floor.place("b1", Side.BUY, "1")
    assert floor.worth() == at(-2)
    floor.book([(-1, 2), (-10, 2)], ASKS)
    assert floor.worth() == at(-4)
    floor.book([], [])
    assert floor.worth() == at(-4), "the last one stands while nothing is quoted"


def test_another_build_counts_at_once_and_is_known_again_after_a_restart() -> None:
    floor = Deep()
    floor.place("b1", Side.BUY, "1")
    assert floor.worth() == at(-1)
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(build=CUMULATIVE)))
    assert floor.worth() == at(-4)
    assert isinstance(floor.desk.marks["EURUSD"], DeepTouch)
    floor.desk = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=1))
    floor.requote()
    assert floor.worth() == at(-4)
    floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=PriceProfile()))
    assert floor.worth() == at(-4), "inherited"
    best = PriceProfile(build=PriceBuild(mode=BuildMode.BEST))
    floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=best))
    assert floor.worth() == at(-1), "taken back"


def test_a_limit_beyond_what_anybody_is_shown_is_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target of nothing shows 6, the middle of the third lots; around the best, which others may have, 4."""
    floor = Deep(CUMULATIVE, spread=SpreadProfile(target_points=0))
    floor.place("b1", Side.BUY, "1", limit_price=at(3))
    floor.place("b1", Side.BUY, "1", limit_price=at(5))
    looked_at: list[str] = []
    monkeypatch.setattr(touching, "marketable", lambda *, order, moment: looked_at.append(order.order_id))
    floor.act()
    assert set(looked_at) == {"O000000002"}


@pytest.mark.parametrize(("build", "deals_at"), [(VWAP, 12), (CUMULATIVE, 16), (MIDPOINT, 10)])
def test_a_desk_that_has_only_heard_one_side_deals_at_what_that_side_makes(build: PriceBuild, deals_at: int) -> None:
    """A middle that nobody knows gives nothing."""
    floor = Deep(build, asks=[(points + 100, lots) for points, lots in ASKS])
    floor.place("b1", Side.BUY, "1", limit_price=at(deals_at))
    floor.desk = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=1))
    floor.book([], [(points + 1, lots) for points, lots in ASKS])
    assert not fills(floor.act())
    floor.book([], ASKS)
    assert fills(floor.act()) == [(at(deals_at), 1)]


def test_a_mark_without_its_depth_values_at_its_own_prices() -> None:
    """As a tape's first marks are, and one from before anything was built."""
    for build, ask in ((VWAP, 10), (CUMULATIVE, 10), (MIDPOINT, 5)):
        floor = Deep(build)
        floor.place("b1", Side.SELL, "1")
        marks = {"EURUSD": Touch(at(-1), at(10), 0)}
        assert closing_price(state=floor.desk.state, position=floor.held(), marks=marks) == at(ask)


def test_a_guaranteed_stop_is_held_against_the_price_that_is_shown() -> None:
    terms = GuaranteedStops(premium_points=D(0), distance_points_min=D(10))
    floor = Deep(CUMULATIVE, guaranteed_stops=terms)
    floor.place("b1", Side.BUY, "1", stop_loss=at(-100), guaranteed_stop=True)
    floor.now_us += 120 * SECOND_US
    floor.book([(points - 200, lots) for points, lots in BIDS], ASKS)
    (fill,) = only(floor.act(), ev.OrderFilled)
    assert (fill.price, fill.guarantee_cost) == (at(-100), 100_000 * 104 * POINT)


def test_a_dealer_fills_at_the_price_that_is_shown_and_the_record_has_the_street() -> None:
    floor = Deep(VWAP)
    floor.do(rules())
    floor.place("b1", Side.BUY, "1")
    (fill,) = only(floor.do(cmd.FillByDealer(order_id="O000000001", by="ann", at=DealAt.REQUESTED)), ev.OrderFilled)
    assert (fill.price, fill.raw_price) == (at(12), at(10))


def test_a_profile_of_before_has_no_build() -> None:
    told = msgspec.to_builtins(ev.PricingConfigured(group="b", symbol="*", profile=PriceProfile()))
    del told["profile"]["build"]
    assert msgspec.convert(told, ev.PricingConfigured).profile == PriceProfile()


builds = st.one_of(
    st.none(),
    st.just(MIDPOINT),
    st.builds(
        PriceBuild,
        mode=st.sampled_from([BuildMode.VWAP, BuildMode.CUMULATIVE]),
        size_lots=st.integers(1, 9).map(Decimal),
    ),
)
depths = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 4)), min_size=1, max_size=4, unique_by=lambda row: row[0]
).map(sorted)
spreads = st.none() | st.builds(
    SpreadProfile,
    target_points=st.none() | st.integers(0, 40),
    max_points=st.none() | st.integers(0, 40),
    action=st.sampled_from(SpreadAction),
)
bands = st.just(()) | st.integers(-6, 6).map(lambda points: (MarkupBand(bid=D(points), ask=D(points)),))


def naive(rows: Rows, build: PriceBuild | None, sign: int, other: int) -> tuple[int, list[int]]:
    """Return the price of a side in points before markup, and of each lot what it is dealt at, lot by lot."""
    single = [points for points, lots in rows for _ in range(lots)]
    if build is None:
        return single[0], single
    if build.size_lots is None:
        middle = sign * -(-sign * (single[0] + other) // 2)
        return middle, [points + middle - single[0] for points in single]
    front = single[: int(build.size_lots)]
    worst = build.mode is BuildMode.CUMULATIVE
    price = front[-1] if worst else sign * -(-sign * sum(front) // len(front))
    return price, [price] * len(front) + single[len(front) :]


@settings(max_examples=60, deadline=None)
@given(builds, depths, depths, st.integers(1, 9), st.sampled_from(Side), st.integers(0, 5))
def test_a_naive_twin_deals_every_lot_at_the_same_price(
    build: PriceBuild | None, down: Rows, up: Rows, lots: int, side: Side, over: int
) -> None:
    """And who takes the size or more of an average pays what the street would have, but for the rounding."""
    bids, asks = [(-away, n) for away, n in down], [(10 + away, n) for away, n in up]
    floor = Deep(build, bids=bids, asks=asks, bands=(MarkupBand(bid=D(over), ask=D(over)),))
    mine, other = (asks, bids) if side is Side.BUY else (bids, asks)
    price, each = naive(mine, build, side.sign, other[0][0])
    seen = floor.shown().ask if side is Side.BUY else floor.shown().bid
    assert seen == at(price + side.sign * over)
    found = [paid for paid, quantity in fills(floor.place("b1", side, str(lots))) for _ in range(int(quantity))]
    assert found == [at(points + side.sign * over) for points in each[:lots]]
    single = [points for points, n in mine for _ in range(n)][:lots]
    if build and build.mode is BuildMode.VWAP and build.size_lots:
        size = min(int(build.size_lots), sum(n for _, n in mine))
        gained = sum(found) - sum(at(points + side.sign * over) for points in single)
        assert len(single) < size or 0 <= side.sign * gained < size * POINT


@settings(max_examples=60, deadline=None)
@given(builds, spreads, bands, depths, depths, st.sampled_from(Side), st.booleans(), st.integers(-9, 9))
def test_a_resting_limit_deals_exactly_when_the_price_shown_is_inside(
    build: PriceBuild | None, spread: SpreadProfile | None, band: Any, down: Rows, up: Rows, side: Side, one: bool,
    away: int,
) -> None:  # fmt: skip
    """Whichever way depth, spread and markup lean, with both sides live and with one."""
    bids, asks = [(-points, n) for points, n in down], [(10 + points, n) for points, n in up]
    far = [(points - 300 * side.sign, n) for points, n in bids], [(points + 300 * side.sign, n) for points, n in asks]
    floor = Deep(build, bids=bids, asks=asks, spread=spread, bands=band)
    if one:
        floor.book([] if side is Side.BUY else bids, asks if side is Side.BUY else [])
    seen = floor.shown().ask if side is Side.BUY else floor.shown().bid
    floor.now_us += 120 * SECOND_US
    floor.book(*far)
    floor.shown()
    limit = (seen or at(0)) + away * POINT
    floor.place("b1", side, "1", limit_price=limit)
    resting = floor.desk.state.orders["O000000001"].state is OrderState.WORKING
    floor.now_us += 120 * SECOND_US
    floor.book(bids, asks)
    floor.shown()
    if one:
        floor.book([] if side is Side.BUY else bids, asks if side is Side.BUY else [])
    now = floor.shown().ask if side is Side.BUY else floor.shown().bid
    events = floor.act()
    if resting:
        assert bool(fills(events)) is (now is not None and side.sign * (limit - now) >= 0)
