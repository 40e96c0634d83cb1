"""Stop-out on the desk: one ladder, closed once, never on a bad price."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, ClientCategory, StopOutMode, TradingState
from piggy.core.bookbuild import SpreadAction, SpreadProfile
from piggy.core.clearance import Calendar, Session
from piggy.core.commissions import Commission, CommissionBasis, TurnoverTier
from piggy.core.margin import MarginSettings
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.core.profiles import PriceProfile
from tests.core.floor import CLEARED, SECOND_US, Floor, names, only
from tests.core.test_desk_margin import trade_option, with_option


def floor_of(**group: Any) -> Floor:
    return Floor(bid_markup_points=0, ask_markup_points=0, **group)


@pytest.fixture
def floor() -> Floor:
    return floor_of()


def poor(floor: Floor, group: str = "b", *, lots: str = "1", hedging: bool = False) -> None:
    floor.open_account("poor", group=group, amount=4_000, hedging=hedging)
    floor.place("poor", Side.BUY, lots)


def fall(floor: Floor, points: int, times: int = 1) -> None:
    """A jump is believed only when it is said again."""
    for _ in range(times):
        floor.quotes(str(D(-points) / 100_000))


def test_only_the_lots_it_takes_are_closed(floor: Floor) -> None:
    """G17: after the close the level holds again, and nothing more is due."""
    poor(floor)
    fall(floor, 2_300, 5)
    preview = floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us)
    events = floor.act()
    assert names(events)[:2] == ["MarginCalled", "StoppedOut"]
    (fill,) = only(events, ev.OrderFilled)
    assert preview is not None and [rung.quantity for rung in preview.rungs] == [fill.quantity]
    assert D(0) < fill.quantity < 1
    funds = floor.desk.moment(now_us=floor.now_us).funds("poor")
    assert funds.level_percent is not None and funds.level_percent > 50


def test_margin_is_called_once_until_it_is_restored(floor: Floor) -> None:
    poor(floor)
    fall(floor, 400)
    assert names(floor.act()) == ["MarginCalled"]
    fall(floor, 420)
    assert floor.act() == []
    fall(floor, 0)
    assert names(floor.act()) == ["MarginRestored"]
    fall(floor, 400)
    assert names(floor.act()) == ["MarginCalled"]


def test_a_margin_call_is_over_once_nothing_is_held(floor: Floor) -> None:
    """Else the next position of a poor account would be called by nobody."""
    poor(floor)
    fall(floor, 400)
    assert names(floor.act()) == ["MarginCalled"]
    floor.place("poor", Side.SELL, "0.5")
    assert "poor" in floor.desk.state.margin_called
    (restored,) = only(floor.place("poor", Side.SELL, "0.5"), ev.MarginRestored)
    assert restored.level_percent is None and floor.desk.state.margin_called == set()
    floor.place("poor", Side.BUY, "0.9")
    fall(floor, 900, 5)
    assert names(floor.act()) == ["MarginCalled"]


def test_who_is_called_and_stopped_out_of_everything_at_once_is_called_no_more(floor: Floor) -> None:
    poor(floor)
    fall(floor, 5_000, 5)
    assert {"MarginCalled", "StoppedOut", "MarginRestored"} <= set(names(floor.act()))
    assert floor.desk.state.margin_called == set()


@pytest.mark.parametrize("mode", list(StopOutMode))
@pytest.mark.parametrize("basis", [CommissionBasis.PER_LOT, CommissionBasis.PER_MILLION])
def test_the_preview_is_what_then_happens_commission_included(mode: StopOutMode, basis: CommissionBasis) -> None:
    """Its closes are orders of their own, and tiers go on from the turnover of the one before."""
    floor = floor_of(stop_out_mode=mode)
    tiers = (TurnoverTier(from_turnover=D(115_000), rate=D(90)),)
    plan = Commission(basis=basis, rate=D(60), tiers=tiers, minimum=D("1.25"))
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(commission=plan)))
    poor(floor, lots="0.6", hedging=True)
    floor.place("poor", Side.BUY, "0.4")
    fall(floor, 2_300, 5)
    preview = floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us)
    assert preview is not None
    closes = only(floor.act(), ev.OrderFilled)
    told = [(rung.position_id, rung.quantity, rung.price, rung.realised, rung.commission) for rung in preview.rungs]
    assert told == [(f.position_id, f.quantity, f.price, f.realised, f.commission) for f in closes]
    assert all(fill.commission > 0 for fill in closes)
    assert preview.after.balance == floor.desk.state.balances["poor"]
    level = floor.desk.moment(now_us=floor.now_us).funds("poor").level_percent
    assert level is not None and preview.after.level_percent is not None and level > 50
    assert abs(level - preview.after.level_percent) < D("0.001"), "margin is shown to the cent"


@pytest.mark.parametrize(("inclusive", "closed"), [(True, True), (False, False)])
def test_at_the_level_exactly_the_group_decides(inclusive: bool, closed: bool) -> None:
    """G8."""
    floor = floor_of(stop_out_inclusive=inclusive)
    floor.do(cmd.ConfigureMargin(group="b", symbol="*", settings=MarginSettings(percent=D(10))))
    floor.open_account("poor", group="b", amount=12_000)
    floor.place("poor", Side.BUY, "1")
    for _ in range(5):  # Equity is 12,000 less 9 of spread less the fall; half of the margin is 5,500.50.
        floor.quotes("-0.064905")
    level = floor.desk.moment(now_us=floor.now_us).funds("poor").level_percent
    assert level == 50
    assert bool(only(floor.act(), ev.StoppedOut)) is closed


def test_fair_takes_the_same_share_of_every_position() -> None:
    floor = floor_of(stop_out_mode=StopOutMode.FAIR)
    poor(floor, lots="0.6", hedging=True)
    floor.place("poor", Side.BUY, "0.4")
    fall(floor, 2_300, 5)
    events = floor.act()
    closes = only(events, ev.OrderFilled)
    assert [fill.position_id for fill in closes] == ["O000000001", "O000000002"]
    assert abs(closes[0].quantity / D("0.6") - closes[1].quantity / D("0.4")) < D("0.03")
    assert only(events, ev.StoppedOut)[0].positions == ("O000000001", "O000000002")


def test_the_largest_loser_goes_first(floor: Floor) -> None:
    poor(floor, lots="0.4", hedging=True)
    floor.place("poor", Side.BUY, "0.6")
    fall(floor, 2_300, 5)
    (stopped,) = only(floor.act(), ev.StoppedOut)
    assert stopped.positions == ("O000000002",)


def test_hedged_positions_that_bind_nothing_are_called_and_go_when_nothing_is_left(floor: Floor) -> None:
    """Of 100.00 dollars 9 of spread are lost at once and 91 at a spread of 91 points: at nothing nothing happens."""
    floor.do(cmd.ConfigureMargin(group="b", symbol="*", settings=MarginSettings(hedged_ratio=D(0))))
    floor.open_account("h1", group="b", amount=4_000, hedging=True)
    for side in (Side.BUY, Side.SELL):
        floor.place("h1", side, "1")
    assert floor.desk.state.used_margin["h1"] == 0
    floor.do(cmd.DebitAccount(account_id="h1", amount=D(3_900), reference="out"))
    for ask, over in (("1.10060", False), ("1.10061", False), ("1.10062", True)):
        for venue in ("LP1", "LP2", "LP3"):
            floor.quote(venue, "1.09970", ask)
        done = floor.act()
        assert [stop.level_percent for stop in only(done, ev.StoppedOut)] == ([D(0)] if over else [])
        assert ("MarginCalled" in names(done)) is over
    assert not floor.desk.state.positions_of["h1"] and floor.desk.state.balances["h1"] == 0


def test_a_gap_is_closed_at_its_price_and_the_rest_written_off(floor: Floor) -> None:
    """G11."""
    poor(floor)
    fall(floor, 6_500, 5)
    events = floor.act()
    assert only(events, ev.OrderFilled)[0].price == D("1.03501")
    assert only(events, ev.NegativeBalanceWrittenOff)[0].amount == D("2509.00")
    assert floor.desk.state.balances["poor"] == 0 and floor.act() == []


def test_a_close_out_at_a_venue_is_waited_for_and_never_sent_twice(floor: Floor) -> None:
    """INV-17, G19."""
    floor.open_account("poor", group="a", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    fall(floor, 6_500, 5)
    assert only(floor.act(), ev.ChildOrderCreated)
    legs = len(floor.children())
    for more in (6_600, 6_700):
        fall(floor, more, 5)
        assert only(floor.act(), ev.ChildOrderCreated) == []
    assert len(floor.children()) == legs
    for leg in floor.children():
        floor.fill(leg, "1.03000")
    assert floor.desk.state.positions == {} and floor.desk.state.balances["poor"] == 0


def test_a_clients_close_out_at_a_venue_counts_as_gone(floor: Floor) -> None:
    floor.open_account("poor", group="a", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("poor", Side.SELL, "0.9")
    fall(floor, 3_900, 5)
    events = floor.act()
    assert [leg.quantity for leg in only(events, ev.ChildOrderCreated)] in ([], [D("0.10")])
    preview = floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us)
    assert preview is not None and preview.before.used < 400


def test_an_exit_never_closes_what_the_stop_out_is_closing(floor: Floor) -> None:
    floor.open_account("poor", group="a", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("poor", Side.SELL, "1", type=OrderType.STOP, stop_price=D("1.09500"), reduce_only=True)
    fall(floor, 6_500, 5)
    floor.act()
    assert sum(leg.quantity for leg in floor.children()) == 1


def test_a_stale_price_queues_until_the_first_good_tick(floor: Floor) -> None:
    """G18."""
    poor(floor)
    fall(floor, 2_300, 5)
    floor.desk.moment(now_us=floor.now_us)
    floor.now_us += 700 * SECOND_US
    assert only(floor.do(cmd.ActOnPrices(symbols=("EURUSD",))), ev.StoppedOut) == []
    preview = floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us)
    assert preview is not None and preview.queued == ("poor:EURUSD",) and preview.rungs == ()
    fall(floor, 2_300)
    assert only(floor.act(), ev.StoppedOut)


@pytest.mark.parametrize(
    ("bid", "ask"),
    [("0.99000", "0.99010"), ("0", "1.07710"), ("NaN", "1.07710"), ("1.07700", "NaN"), ("1.08000", "1.07700")],
    ids=["spike of 10 %", "zero", "NaN", "NaN ask", "crossed"],
)
def test_on_a_bad_feed_nobody_opens_and_nobody_is_stopped_out_until_three_good_ticks(
    floor: Floor, bid: str, ask: str
) -> None:
    """F-19: every venue says it; a price that would stop the account out is believed on its third good tick only."""
    poor(floor)
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, bid, ask)
    assert floor.act() == []
    terms = OrderTerms(account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D("0.01"))

    def refused() -> bool:
        floor.now_us += 2 * SECOND_US
        (first, *_) = floor.do(cmd.PlaceOrder(terms=terms))
        return isinstance(first, ev.OrderDenied) and "P-11" in {check.code for check in first.verdict.reasons}

    good: list[bool] = []
    for _ in range(3):
        assert refused() and only(floor.act(), ev.StoppedOut) == []
        for venue in ("LP1", "LP2", "LP3"):
            # Near the spike itself, or near what was true before: in quarantine a quote is good beside the one before.
            floor.quote(venue, "1.07700", "1.07710") if bid[:4] != "0.99" else floor.quote(venue, bid, ask)
        good.append(bool(only(floor.act(), ev.StoppedOut)))
    assert good == [False, False, True] and not refused()


def test_out_of_session_a_close_waits(floor: Floor) -> None:
    poor(floor)
    floor.do(cmd.ConfigureCalendar(calendar=Calendar(symbol="EURUSD", sessions=())))
    fall(floor, 2_300, 5)
    assert names(floor.act()) == ["MarginCalled"]
    always = Calendar(symbol="EURUSD", sessions=(Session(opens=0, closes=7 * 24 * 60),))
    floor.do(cmd.ConfigureCalendar(calendar=always))
    fall(floor, 2_310)
    assert names(floor.act())[0] == "StoppedOut"


def test_while_no_price_is_shown_a_close_waits_and_is_not_tried_for_ever(floor: Floor) -> None:
    poor(floor)
    spread = SpreadProfile(max_points=20, action=SpreadAction.REJECT)
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(spread=spread)))
    for ask, closes in (("1.07100", False), ("1.07010", True)):
        for venue in ("LP1", "LP2", "LP3") * 4:
            floor.quote(venue, "1.07000", ask)
        done = floor.act()
        assert [len(only(done, kind)) for kind in (ev.StoppedOut, ev.OrderFilled)] == [closes, closes]
        floor.now_us += SECOND_US


def test_a_close_that_no_venue_may_take_waits_without_a_line_until_one_may(floor: Floor) -> None:
    poor(floor, "a")
    for leg in floor.children():
        floor.fill(leg, str(leg.limit_price))
    for venue in ("LP1", "LP2", "LP3"):
        halted = cmd.SetTradingState(scope="venue", key=venue, state=TradingState.HALTED, reason="drill", by="ann")
        floor.do(halted)
    fall(floor, 3_000, times=4)
    assert names(floor.act()) == ["MarginCalled"]
    preview = floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us)
    assert preview is not None and len(preview.queued) == 1 and not preview.rungs
    for points in (3_001, 3_002):
        fall(floor, points)
        assert floor.act() == []
    opened = msgspec.structs.replace(halted, state=TradingState.ACTIVE, by="ben")
    floor.do(opened)
    fall(floor, 3_003)
    assert [leg.venue for leg in only(floor.act(), ev.ChildOrderCreated)] == ["LP3"]


def test_one_venue_alone_cannot_stop_anybody_out() -> None:
    floor = floor_of(stop_out_quorum=2, stop_out_band_bps=D(10))
    poor(floor)
    floor.desk.market.withdraw(venue="LP2")
    floor.desk.market.withdraw(venue="LP3")
    for _ in range(5):
        floor.quote("LP1", "1.07700", "1.07710")
    assert names(floor.act()) == ["MarginCalled"]
    for _ in range(5):
        floor.quote("LP3", "1.07699", "1.07712")
    assert names(floor.act())[0] == "StoppedOut"


def test_an_account_filled_a_moment_ago_is_judged_when_the_fill_is_known(floor: Floor) -> None:
    poor(floor)
    floor.place("poor", Side.SELL, "1", type=OrderType.STOP, stop_price=D("1.09500"), reduce_only=True)
    fall(floor, 2_300, 5)
    events = floor.act()
    assert only(events, ev.StoppedOut) == [] and only(events, ev.OrderTriggered)
    assert floor.desk.state.positions == {}


def test_an_account_with_options_closes_its_largest_loser_whole(floor: Floor) -> None:
    with_option(floor)
    floor.open_account("poor", group="b", amount=9_000)
    trade_option(floor, "poor", Side.SELL, "1")
    floor.place("poor", Side.SELL, "0.1")
    for price in ("0.05", "0.08"):
        for _ in range(6):
            floor.quote("LP1", price, str(D(price) + D("0.0001")), symbol="EURUSD-C")
    events = floor.act()
    assert only(events, ev.StoppedOut)[0].positions == ("poor:EURUSD-C",)
    assert only(events, ev.OrderFilled)[0].quantity == 1


def test_a_position_that_cannot_be_priced_or_converted_gives_no_preview(floor: Floor) -> None:
    poor(floor)
    marks = dict(floor.desk.marks)
    floor.desk.marks.clear()
    assert floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us) is None
    floor.desk.marks.update(marks)
    assert floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us) is not None


def test_a_position_without_a_rate_is_not_priced(floor: Floor) -> None:
    poor(floor)
    instrument = floor.desk.state.instruments["EURUSD"]
    floor.desk.state.instruments["EURUSD"] = msgspec.structs.replace(instrument, quote="SEK")
    assert floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us) is None


def test_g13_a_retail_client_is_closed_out_and_protected_by_law_and_a_professional_by_contract() -> None:
    """G13: a group may promise more than the rules of the client's category, never less."""
    floor = floor_of(stop_out_percent=D(20), negative_balance_protection=False)
    professional = Account(
        account_id="pro", group="b", owner_id="pro", currency="USD", category=ClientCategory.PROFESSIONAL
    )
    floor.do(cmd.ConfigureAccount(account=professional, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="pro", amount=D(4_000), reference="gift pro"))
    poor(floor)
    floor.place("pro", Side.BUY, "1")
    fall(floor, 2_300, 5)
    assert {event.account_id for event in only(floor.act(), ev.StoppedOut)} == {"poor"}, "1,690 of 3,663: below 50 %"
    fall(floor, 30_000, 5)
    events = floor.act()
    assert {event.account_id for event in only(events, ev.StoppedOut)} == {"poor", "pro"}
    assert {event.account_id for event in only(events, ev.NegativeBalanceWrittenOff)} == {"poor"}
    assert floor.desk.state.balances["poor"] == 0 > floor.desk.state.balances["pro"]


def test_g15_a_bonus_is_refused_to_a_retail_client_and_no_other(floor: Floor) -> None:
    """G15."""
    professional = Account(
        account_id="pro", group="b", owner_id="pro", currency="USD", category=ClientCategory.PROFESSIONAL
    )
    floor.do(cmd.ConfigureAccount(account=professional, clearance=CLEARED))
    for account_id, expected in (("b1", ["CommandRefused"]), ("pro", ["AccountCredited"])):
        bonus = cmd.CreditAccount(account_id=account_id, amount=D(10), reference=f"bonus {account_id}", kind="bonus")
        events = floor.do(bonus)
        assert names(events) == expected
        assert [event.code for event in only(events, ev.CommandRefused)] == ["INCENTIVE_FORBIDDEN"] * (
            account_id == "b1"
        )
