"""Stops that wait: those whose price came are found without a look at the others, and are the ones a naive look finds.

STOPS_RUNS sets how many random desks are tried.
"""

from __future__ import annotations

import hashlib
import os
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import touching
from piggy.core.accounts import BookMode, Group, TradingState
from piggy.core.auctions import AuctionPhase
from piggy.core.bookbuild import BuildMode, PriceBuild, SpreadAction, SpreadProfile, ThinBook
from piggy.core.desk import Desk
from piggy.core.execution import Execution
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.core.profiles import GuaranteedStops, MarkupBand, MarkupUnit, PriceProfile, PriceSchedule, WeekWindow
from piggy.core.waiting_stops import PriceClass, WaitingStops
from piggy.engine.snapshot import Held, digest, live_of, parts_of, restored
from tests.core import naive_stops
from tests.core.floor import SECOND_US, Floor, canonical, only
from tests.core.forgetful import ForgetfulFloor, small_blocks

D = Decimal
POINT = D("0.00001")
STOP, TRAILING, TOUCHED = OrderType.STOP, OrderType.TRAILING_STOP, OrderType.MARKET_IF_TOUCHED
SYMBOL = "EURUSD"


@pytest.fixture
def floor() -> Floor:
    return Floor()


def stops_of(floor: Floor) -> WaitingStops:
    return floor.desk.state.stops[SYMBOL]


class Restarts:
    """Snapshots of one desk, each standing on those before it."""

    def __init__(self) -> None:
        self.bodies: dict[bytes, bytes] = {}
        self.held = Held()

    def __call__(self, floor: Floor) -> None:
        """Let the desk come out of a snapshot; its venues say their quotes again."""
        parts = parts_of(desk=floor.desk, held=self.held, seq=len(floor.log))
        before, keeping = digest(state=floor.desk.state), floor.desk.keeping
        quotes = [floor.desk.market.quote_of(venue=name, symbol=SYMBOL) for name in ("LP1", "LP2", "LP3")]
        self.bodies |= {hashlib.sha256(body).digest(): body for body in parts.segments}
        live = live_of(body=parts.live)
        segments = [self.bodies[name.digest] for name in live.segments]
        floor.desk, self.held = restored(live=live, segments=segments)
        assert digest(state=floor.desk.state) == before
        floor.desk.keeping = keeping
        for quote in quotes:
            if quote is not None:
                floor.desk.quote(quote=msgspec.structs.replace(quote, received_at_us=floor.now_us))


ACCOUNTS = st.sampled_from(["a1", "b1", "b2", "mixed1", "dear1"])
SIDES = st.sampled_from(list(Side))
LOTS = st.sampled_from(["0.1", "0.5", "1", "1.5", "3"])
AWAY = st.integers(1, 60)
PAIRS = st.sampled_from([None, None, "p"])
KINDS = st.sampled_from([STOP, TRAILING, TOUCHED, OrderType.STOP_LIMIT])
OFFER = GuaranteedStops(premium_points=D(3), distance_points_min=D(5))
ALWAYS = (WeekWindow(weekdays=tuple(range(7)), start_minute=0, end_minute=0),)
NEVER = (WeekWindow(weekdays=(), start_minute=0, end_minute=0),)


@st.composite
def bands(draw: st.DrawFn) -> tuple[MarkupBand, ...]:
    starts = sorted(draw(st.sets(st.sampled_from(["0.5", "1", "1.00", "2"]), max_size=2)))
    markups, unit = st.integers(-20, 30).map(D), draw(st.sampled_from(MarkupUnit))
    return tuple(
        MarkupBand(bid=draw(markups) / 10, ask=draw(markups) / 10, from_lots=start, unit=unit)
        for start in sorted({D(0), *map(D, starts)})
    )


spreads = st.none() | st.builds(
    SpreadProfile,
    min_points=st.none() | st.integers(0, 15),
    max_points=st.integers(15, 40),
    action=st.sampled_from(SpreadAction),
)
schedules = st.builds(
    PriceSchedule, windows=st.sampled_from([ALWAYS, NEVER]), bands=st.just(()) | bands(), spread=spreads
)
profiles = st.builds(
    PriceProfile,
    bands=st.just(()) | bands(),
    spread=spreads,
    schedules=st.lists(schedules, max_size=2).map(tuple),
    guaranteed_stops=st.just(OFFER),
    build=st.none()
    | st.just(PriceBuild(mode=BuildMode.MIDPOINT))
    | st.builds(
        PriceBuild,
        mode=st.sampled_from([BuildMode.VWAP, BuildMode.CUMULATIVE]),
        size_lots=st.sampled_from([D(1), D(3), D(8)]),
        thin=st.sampled_from(ThinBook),
    ),
)


class StopsMachine(RuleBasedStateMachine):
    """Stops of every kind come, move and go, groups and profiles change, and the desk comes back out of a snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        small_blocks(self.patch)
        for bound in ("ORDERS_PER_STEP_MAX", "FOLLOWED_PER_STEP_MAX"):
            self.patch.setattr(touching, bound, 3)
        self.floor = ForgetfulFloor(internal_cross=False)
        dear = Group(name="dear", book_mode=BookMode.B, bid_markup_points=9, ask_markup_points=9)
        self.floor.do(cmd.ConfigureGroup(group=dear))
        self.floor.do(cmd.ConfigureLimits(group="dear", limits=self.floor.desk.state.effective_limits["b"]))
        self.floor.open_account("dear1", group="dear")
        self.restart = Restarts()

    def teardown(self) -> None:
        self.patch.undo()
        again = Desk(tenant="acorn")
        for recorded in self.floor.log:
            again.apply(recorded=recorded)
        assert canonical(again.state.stops) == canonical(self.floor.desk.state.stops)

    @initialize()
    def stops_are_guaranteed(self) -> None:
        for group in ("a", "b", "mixed", "dear"):
            self.floor.do(cmd.ConfigurePricing(group=group, symbol="*", profile=PriceProfile(guaranteed_stops=OFFER)))

    def near(self, away: int) -> Decimal:
        return self.floor.desk.marks[SYMBOL].bid + away * POINT

    @rule(stops=st.lists(st.tuples(ACCOUNTS, SIDES, LOTS, AWAY, PAIRS, KINDS), min_size=1, max_size=8))
    def stops_are_placed(self, stops: list[tuple[str, Side, str, int, str | None, OrderType]]) -> None:
        for account, side, lots, away, pair, kind in stops:
            terms: dict[str, Any] = {"type": kind, "oco_group": pair}
            if kind is TRAILING:
                terms["trailing_distance"] = away * POINT
            else:
                terms["stop_price"] = self.near((side.sign if kind is not TOUCHED else -side.sign) * (away + 10))
            if kind is OrderType.STOP_LIMIT:
                terms["limit_price"] = terms["stop_price"]
            self.floor.place(account, side, lots, **terms)

    @rule(account=ACCOUNTS, side=SIDES, lots=LOTS, away=AWAY)
    def an_entry_with_exits(self, account: str, side: Side, lots: str, away: int) -> None:
        far = side.sign * (away + 20)
        self.floor.place(
            account, side, lots, stop_loss=self.near(-far), take_profit=self.near(far), guaranteed_stop=away % 2 == 0
        )

    @rule(data=st.data(), lots=LOTS, away=st.integers(-60, 60))
    def one_is_amended(self, data: st.DataObject, lots: str, away: int) -> None:
        if order := self.any_of(data):
            account_id, price = order.terms.account_id, self.near(away)
            changes = data.draw(st.sampled_from([{"stop_price": price}, {"quantity": order.filled + D(lots)}]))
            self.floor.do(cmd.AmendOrder(order_id=order.order_id, account_id=account_id, **changes))

    @rule(data=st.data())
    def one_is_cancelled(self, data: st.DataObject) -> None:
        if order := self.any_of(data):
            self.floor.do(cmd.CancelOrder(order_id=order.order_id, account_id=order.terms.account_id))

    def any_of(self, data: st.DataObject) -> Any:
        open_ = sorted(naive_stops.waiting(state=self.floor.desk.state, symbol=SYMBOL), key=lambda each: each.order_id)
        return data.draw(st.sampled_from(open_)) if open_ else None

    @rule(group=st.sampled_from(["a", "b", "mixed", "dear"]), symbol=st.sampled_from([SYMBOL, "*"]), profile=profiles)
    def a_group_is_priced_otherwise(self, group: str, symbol: str, profile: PriceProfile) -> None:
        self.floor.do(cmd.ConfigurePricing(group=group, symbol=symbol, profile=profile))

    @rule(account=ACCOUNTS, group=st.sampled_from(["a", "b", "mixed", "dear"]))
    def an_account_changes_its_group(self, account: str, group: str) -> None:
        known = self.floor.desk.state.accounts[account]
        self.floor.do(cmd.ConfigureAccount(account=msgspec.structs.replace(known, group=group)))

    @rule(
        where=st.sampled_from([("group", "b"), ("symbol", SYMBOL), ("account", "b1"), ("firm", "")]),
        state=st.sampled_from([TradingState.HALTED, TradingState.REDUCING, TradingState.ACTIVE, TradingState.ACTIVE]),
    )
    def trading_stops_or_goes_on(self, where: tuple[str, str], state: TradingState) -> None:
        by = "ben" if state is TradingState.ACTIVE else "ann"
        self.floor.do(cmd.SetTradingState(scope=where[0], key=where[1], state=state, reason="drill", by=by))

    @rule(phase=st.sampled_from([AuctionPhase.OPENING_CALL, AuctionPhase.CONTINUOUS, AuctionPhase.CONTINUOUS]))
    def a_call_begins_or_ends(self, phase: AuctionPhase) -> None:
        self.floor.do(cmd.ChangePhase(symbol=SYMBOL, phase=phase, reason="drill", by="ann"))

    @rule(shift=st.integers(-90, 90), wide=st.integers(0, 30), acts=st.booleans())
    def prices_move(self, shift: int, wide: int, acts: bool) -> None:
        self.floor.now_us += 120 * SECOND_US
        for venue in ("LP1", "LP2", "LP3"):
            bid = D("1.10000") + shift * POINT
            shift -= 1
            self.floor.quote(venue, str(bid), str(bid + (10 + wide) * POINT))
        self.what_comes_is_what_a_naive_look_finds()
        if acts:
            self.floor.act()

    @rule(data=st.data(), fills=st.booleans())
    def a_venue_answers(self, data: st.DataObject, fills: bool) -> None:
        if legs := self.floor.children():
            leg = data.draw(st.sampled_from(legs))
            self.floor.fill(leg, str(leg.limit_price)) if fills else self.floor.reject(leg)

    @rule(data=st.data())
    def one_that_left_comes_back(self, data: st.DataObject) -> None:
        here, gone = self.floor.desk.state.orders, range(1, self.floor.desk.state.order_count + 1)
        if names := [name for number in gone if (name := f"O{number:09d}") not in here]:
            self.floor.bring_back(data.draw(st.sampled_from(names)))

    @rule()
    def the_desk_starts_again(self) -> None:
        self.restart(self.floor)

    @invariant()
    def what_comes_is_what_a_naive_look_finds(self) -> None:
        moment = self.floor.desk.moment(now_us=self.floor.now_us)
        fast, naive = Execution(moment=moment), Execution(moment=moment)
        touching.trigger_stops(symbol=SYMBOL, execution=fast)
        naive_stops.trigger_stops(symbol=SYMBOL, execution=naive)
        assert fast.events == naive.events

    @invariant()
    def all_that_wait_are_filed(self) -> None:
        state = self.floor.desk.state
        waiting = {order.order_id for order in naive_stops.waiting(state=state, symbol=SYMBOL)}
        assert set(state.stops.get(SYMBOL, ())) == waiting
        held = {name for names in state.guaranteed.values() for name in names}
        assert held == {order.order_id for order in state.orders.values() if order.guaranteed and not order.state.final}
        assert all(state.guaranteed.values())


StopsMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("STOPS_RUNS", "30")), stateful_step_count=40, deadline=None
)
TestStops = StopsMachine.TestCase


def jump(floor: Floor, shift: str) -> list[ev.AnyEvent]:
    """Let every LP quote `shift` away from where it began after a silence, so that it is no spike; the desk acts."""
    floor.now_us += 120 * SECOND_US
    floor.quotes(shift)
    return floor.act()


def triggered(events: list[ev.AnyEvent]) -> list[str]:
    return [event.order_id for event in only(events, ev.OrderTriggered)]


def test_however_many_wait_one_price_is_asked_for_each_that_they_deal_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[OrderTerms] = []
    price_of = touching.street_price

    def counted(*, terms: OrderTerms, moment: Any) -> Any:
        asked.append(terms)
        return price_of(terms=terms, moment=moment)

    monkeypatch.setattr(touching, "street_price", counted)
    monkeypatch.setattr(touching, "is_reached", None)
    floor = Floor()
    for number in range(30):
        side = list(Side)[number % 2]
        lots, price = f"{number % 15 + 1}e-2", D("1.10005") + side.sign * (40 + number) * POINT
        floor.now_us += SECOND_US
        assert only(floor.place("b1", side, lots, type=STOP, stop_price=price), ev.OrderAccepted)
    floor.act()
    assert {(terms.account_id, terms.side) for terms in asked} == {("b1", Side.BUY), ("b1", Side.SELL)}
    asked.clear()
    assert not jump(floor, "0.0001") and len(asked) == 2, "nobody else is looked at"


def test_an_amended_stop_waits_where_it_is_now(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "0.1", type=STOP, stop_price=D("1.10500"))
    floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", stop_price=D("1.10100")))
    assert triggered(jump(floor, "0.00200")) == ["O000000001"] and not stops_of(floor)


def test_a_stop_goes_with_its_account_into_another_group(floor: Floor) -> None:
    """What it is reached by is the price of the group that it is in now; a limit that rests is not concerned."""
    floor.place("b1", Side.BUY, "0.1", type=STOP, stop_price=D("1.10217"))
    floor.place("b1", Side.BUY, "0.1", limit_price="1.09000")
    floor.do(cmd.ConfigureGroup(group=Group(name="dear", book_mode=BookMode.B, ask_markup_points=9)))
    known = floor.desk.state.accounts["b1"]
    floor.do(cmd.ConfigureAccount(account=msgspec.structs.replace(known, group="dear")))
    assert stops_of(floor).fronts() == [(PriceClass("dear", Side.BUY, D(0)), "O000000001")]
    assert triggered(jump(floor, "0.00200")) == ["O000000001"], "1.10210 and nine points reach it, and three do not"


@pytest.mark.parametrize(("symbol", "scheduled"), [(SYMBOL, False), ("*", False), ("*", True)])
def test_each_volume_band_reaches_its_stops_at_its_own_price(floor: Floor, symbol: str, scheduled: bool) -> None:
    """Also bands that are configured while stops wait, and those that only a schedule has."""
    for lots in ("0.5", "2"):
        floor.place("b1", Side.BUY, lots, type=STOP, stop_price=D("1.10217"))
    floor.place("a1", Side.BUY, "2", type=STOP, stop_price=D("1.10900"))
    some = (MarkupBand(bid=D(1), ask=D(1)), MarkupBand(bid=D(9), ask=D(9), from_lots=D(1)))
    profile = PriceProfile(schedules=(PriceSchedule(windows=ALWAYS, bands=some),) if scheduled else (), bands=some)
    if scheduled:
        profile = msgspec.structs.replace(profile, bands=())
    floor.do(cmd.ConfigurePricing(group="b", symbol=symbol, profile=profile))
    classes = {price_class for price_class, _ in stops_of(floor).fronts()}
    assert classes == {
        PriceClass(*each) for each in [("b", Side.BUY, D(0)), ("b", Side.BUY, D(1)), ("a", Side.BUY, D(0))]
    }
    assert triggered(jump(floor, "0.00200")) == ["O000000002"]


def test_prices_of_another_symbol_move_no_stops(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "2", type=STOP, stop_price=D("1.10217"))
    gold = msgspec.structs.replace(floor.desk.state.instruments[SYMBOL], symbol="GBPUSD", base="GBP")
    floor.do(cmd.ConfigureInstrument(instrument=gold))
    some = (MarkupBand(bid=D(1), ask=D(1)), MarkupBand(bid=D(9), ask=D(9), from_lots=D(1)))
    floor.do(cmd.ConfigurePricing(group="b", symbol="GBPUSD", profile=PriceProfile(bands=some)))
    assert stops_of(floor).fronts() == [(PriceClass("b", Side.BUY, D(0)), "O000000001")]


def test_a_trailing_stop_of_no_price_yet_gets_it_with_the_first() -> None:
    terms = OrderTerms(
        account_id="b1", symbol=SYMBOL, side=Side.SELL, quantity=D("0.1"), type=TRAILING, trailing_distance=D("0.005")
    )
    stops = WaitingStops()
    stops.file(order_id="O1", terms=terms, price_class=PriceClass("b", Side.SELL, D(0)))
    assert list(stops.come(price_class=PriceClass("b", Side.SELL, D(0)), price=D("0.0001"))) == ["O1"]


@pytest.mark.parametrize("side", list(Side))
def test_a_trailing_stop_follows_every_tick_and_stands_where_the_price_stands(floor: Floor, side: Side) -> None:
    """As a client of any other platform has it: its distance behind the best price there was, to the tick."""
    floor.place("b1", side, "0.1", type=TRAILING, trailing_distance=D("0.00500"))
    ahead = -side.sign
    street = D("1.10013") if side is Side.BUY else D("1.09999")
    for points in ("0.00001", "0.00002", "0.00050"):
        (moved,) = only(jump(floor, str(ahead * D(points))), ev.OrderAmended)
        assert moved.stop_price == street + ahead * D(points) + side.sign * D("0.00500")
        assert not jump(floor, str(ahead * D(points)))
    assert not jump(floor, "0"), "it never goes back"
    assert triggered(jump(floor, str(side.sign * D("0.00450")))) == ["O000000001"]


@pytest.mark.parametrize("where", [("group", "b"), ("symbol", SYMBOL), ("firm", "")])
def test_where_nothing_may_be_dealt_no_price_is_asked_for(
    floor: Floor, where: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.place("b1", Side.BUY, "0.1", type=STOP, stop_price=D("1.10100"))
    halted = cmd.SetTradingState(scope=where[0], key=where[1], state=TradingState.HALTED, reason="drill", by="ann")
    floor.do(halted)
    monkeypatch.setattr(touching, "street_price", None)
    assert not jump(floor, "0.00200")
    monkeypatch.undo()
    floor.do(msgspec.structs.replace(halted, state=TradingState.ACTIVE, by="ben"))
    assert triggered(jump(floor, "0.00201")) == ["O000000001"]


def test_a_desk_out_of_a_snapshot_files_its_stops_anew(floor: Floor) -> None:
    for price in ("1.10300", "1.10200"):
        floor.place("b1", Side.BUY, "0.1", type=STOP, stop_price=D(price))
    floor.place("b1", Side.SELL, "0.1", type=TRAILING, trailing_distance=D("0.00500"))
    before = stops_of(floor)
    Restarts()(floor)
    assert stops_of(floor) is not before and stops_of(floor) == before and stops_of(floor) != WaitingStops()
    assert repr(stops_of(floor)) == repr(before) and len(before) == 3 and "O000000001" in before
    assert triggered(jump(floor, "0.00200")) == ["O000000002"]


def test_what_does_not_wait_is_discarded_without_a_word() -> None:
    stops = WaitingStops.of_ids(["O1"])
    stops.discard(order_id="O2")
    stops.discard(order_id="O1")
    assert not stops and stops.fronts() == [] and stops != ["O1"]
