"""Expiry: an option whose time is over is settled in cash, once, at one price, for clients, house and venues alike."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.instruments import OptionKind
from piggy.core.ledger import HEDGING_RESULT, LP_SETTLEMENT, PASSED_DEALING, postings
from piggy.core.money import ZERO
from piggy.core.orders import OrderState, OrderTerms, OrderType, TimeInForce
from tests.core.expiry_floor import BUY, EXPIRES_US, SELL, Options, is_flat, settled
from tests.core.floor import only
from tests.core.hedging_floor import policy

D = Decimal


@pytest.fixture
def floor() -> Options:
    return Options()


def test_buyer_and_writer_get_the_intrinsic_value_and_pay_nothing(floor: Options) -> None:
    floor.trade("b1", BUY, "2")
    floor.trade("b2", SELL, "1")
    floor.trade("b2", BUY, "1", "P")
    before = dict(floor.desk.state.balances)
    fills = settled(floor.expire())
    text = "expired: settled at 0.00350, underlying 1.103505"
    assert [(f.symbol, f.side, f.quantity, f.price) for f in fills["b1"]] == [("C", SELL, D(2), D("0.00350"))]
    assert [(f.symbol, f.side, f.price) for f in fills["b2"]] == [("C", BUY, D("0.00350")), ("P", SELL, ZERO)]
    every = [fill for mine in fills.values() for fill in mine]
    assert {(f.commission, f.markup_revenue, f.premium, f.raw_price == f.price, f.book) for f in every} == {
        (ZERO, ZERO, ZERO, True, "B")
    }
    assert all(fill.benchmark_bid is None is fill.benchmark_ask for fill in every)
    assert {fill.reason for fill in fills["b1"]} == {text} and floor.order(4).reasons == ()
    gains = {name: floor.desk.state.balances[name] - was for name, was in before.items()}
    assert gains == {"a1": 0, "mixed1": 0, "b1": D("-3620.00"), "b2": D("1800.00") - D("2160.00")}
    assert is_flat(floor) and is_flat(floor, "P") and floor.desk.state.used_margin["b1"] == 0


def test_nothing_is_settled_a_microsecond_before_and_nothing_twice(floor: Options) -> None:
    floor.trade("b1", BUY, "1")
    floor.now_us = EXPIRES_US - 1
    floor.quotes("0.00345")
    assert settled(floor.act()) == {} and not floor.desk.state.expired
    floor.now_us += 1
    assert floor.desk.due(now_us=floor.now_us)[0] == cmd.ActOnTime()
    assert list(settled(floor.act())) == ["b1"]
    assert floor.do(cmd.ActOnTime()) == []
    assert not only(floor.later("0.00400"), ev.OrderFilled)
    assert cmd.ActOnTime() not in floor.desk.due(now_us=floor.now_us)


@pytest.mark.parametrize(
    ("kind", "shift", "gain"), [(OptionKind.CALL, "0.01", "1005"), (OptionKind.PUT, "-0.01", "994")]
)
def test_hedging_accounts_are_settled_position_by_position(kind: OptionKind, shift: str, gain: str) -> None:
    floor = Options()
    floor.open_account("h", group="b", hedging=True)
    symbol = "C" if kind is OptionKind.CALL else "P"
    for side, lots in ((BUY, "1"), (SELL, "2"), (BUY, "0.5")):
        floor.trade("h", side, lots, symbol)
    fills = settled(floor.expire(shift))["h"]
    assert [(f.side, f.quantity) for f in fills] == [(SELL, D(1)), (BUY, D(2)), (SELL, D("0.5"))]
    assert {f.price for f in fills} == {D(gain) / 100_000} and len({f.position_id for f in fills}) == 3
    assert is_flat(floor, symbol)


def test_each_part_is_settled_against_the_book_it_was_opened_in() -> None:
    floor = Options(internal_cross=True)
    floor.trade("mixed1", BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "0.02160")
    rests = {"type": OrderType.LIMIT, "limit_price": D("0.02155"), "time_in_force": TimeInForce.GTC}
    floor.trade("b1", SELL, "1", **rests)
    floor.trade("mixed1", BUY, "1", **rests)
    fills = settled(floor.expire())
    parts = {f.book: (f.quantity, f.counterparty) for f in fills["mixed1"]}
    assert parts == {"A": (D("0.40"), leg.venue), "CROSS": (D(1), "house"), "B": (D("0.60"), "house")}
    crossed = sum(f.realised_quote for f in fills["b1"]) + D("0.00350") * 100_000
    assert crossed == D("2155") and is_flat(floor)


def test_what_the_house_covered_at_venues_is_settled_too(floor: Options) -> None:
    floor.pass_on(BUY, "1")
    floor.trade("b1", BUY, "1")
    floor.do(cmd.CoverByHand(symbol="C", side=BUY, quantity=D(1), by="ann", reason="drill"))
    (leg,) = floor.children()
    floor.fill(leg, "0.02160")
    floor.trade("a1", SELL, "1")
    (closing,) = floor.children()
    floor.fill(closing, "0.02150")
    events = floor.expire()
    (at_venue,) = only(events, ev.VenueSettled)
    assert (at_venue.venue, at_venue.side, at_venue.quantity, at_venue.price) == (leg.venue, SELL, D(1), D("0.00350"))
    assert at_venue.realised == (D("0.00350") - D("0.02160")) * 100_000 == D(-1810) and at_venue.currency == "USD"
    lines = postings(event=at_venue, currency="USD")
    assert {(line.gl_account, line.owner, line.amount) for line in lines} == {
        (LP_SETTLEMENT, leg.venue, D(-1810)),
        (PASSED_DEALING, "", D(1810)),
        (PASSED_DEALING, "", D(-1810)),
        (HEDGING_RESULT, "", D(1810)),
    }
    assert is_flat(floor)


def test_a_short_position_at_a_venue_and_one_that_nets_out_are_settled() -> None:
    """What clients dealt there may net what the house hedged: no lots are left, but the house's profit is."""
    floor = Options()
    floor.pass_on(SELL, "1")
    floor.do(cmd.CoverByHand(symbol="C", side=BUY, quantity=D(1), by="ann", reason="drill"))
    (leg,) = floor.children()
    floor.fill(leg, "0.02160")
    floor.pass_on(SELL, "1", "P")
    events = only(floor.expire(), ev.VenueSettled)
    found = {(event.symbol, event.venue): (event.side, event.quantity, event.realised) for event in events}
    assert found["P", "LP1"] == (BUY, D(1), ZERO)
    assert sum(realised for _, _, realised in found.values()) == D(-1810)
    assert is_flat(floor) and is_flat(floor, "P")


def test_working_orders_end_and_legs_are_asked_to(floor: Options) -> None:
    floor.trade("b1", BUY, "1", type=OrderType.LIMIT, limit_price=D("0.02100"))
    floor.trade("b2", SELL, "1", type=OrderType.STOP, stop_price=D("0.02100"))
    floor.trade("a1", BUY, "1")
    (leg,) = floor.children()
    floor.do(cmd.CoverByHand(symbol="C", side=BUY, quantity=D(1), by="ann", reason="drill"))
    floor.now_us = EXPIRES_US
    floor.quotes()
    events = floor.do(cmd.ActOnTime())
    assert {(event.outcome, event.reason) for event in only(events, ev.OrderCancelled)} == {
        ("expired", "the option expired")
    }
    assert len(only(events, ev.OrderCancelled)) == 2
    asked = only(events, ev.ChildCancelRequested)
    assert [(event.reason, event.keeps_order) for event in asked] == [
        ("the option expired", False),
        ("the option expired", True),
    ], "the client's leg, and the house's own"
    assert [floor.order(number).state for number in (1, 2)] == [OrderState.EXPIRED] * 2
    floor.done(leg)
    assert floor.order(3).state is OrderState.EXPIRED and floor.order(3).text == "the option expired"


def test_an_order_whose_cancel_the_venue_refused_ends_with_its_leg(floor: Options) -> None:
    floor.trade("a1", BUY, "1", type=OrderType.LIMIT, limit_price=D("0.02160"), time_in_force=TimeInForce.GTC)
    (leg,) = floor.children()
    floor.expire()
    refused = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "text": "too late", "occurred_at_us": floor.now_us}
    floor.do(cmd.RecordVenueCancelReject(**refused))
    floor.quote_option("C")
    assert not only(floor.act(), ev.ChildOrderCreated)
    events = floor.fill(leg, "0.02160", "0.4") + floor.done(leg, "0.4")
    (ended,) = only(events, ev.OrderCancelled)
    assert (ended.outcome, ended.reason, ended.leaves) == ("expired", "the option expired", D("0.6"))
    assert [f.quantity for f in settled(floor.later())["a1"]] == [D("0.4")] and is_flat(floor)


def test_an_order_whose_own_time_is_over_ends_once(floor: Options) -> None:
    until = {"time_in_force": TimeInForce.GTD, "expires_at_us": EXPIRES_US}
    floor.trade("a1", BUY, "1", type=OrderType.LIMIT, limit_price=D("0.02160"), **until)
    floor.trade("b1", BUY, "1", type=OrderType.LIMIT, limit_price=D("0.02100"), **until)
    floor.now_us = EXPIRES_US
    floor.quotes()
    events = floor.do(cmd.ActOnTime())
    assert [event.reason for event in only(events, ev.ChildCancelRequested)] == ["gtd ended"]
    assert [(event.order_id, event.reason) for event in only(events, ev.OrderCancelled)] == [
        (floor.order(2).order_id, "gtd ended")
    ]


def test_lots_on_their_way_out_wait_for_the_venue_and_late_fills_get_the_same_price(floor: Options) -> None:
    floor.pass_on(BUY, "2")
    floor.trade("a1", SELL, "0.5")
    (leg,) = floor.children()
    assert [f.quantity for f in settled(floor.expire())["a1"]] == [D("1.5")]
    assert cmd.ActOnTime() not in floor.desk.due(now_us=floor.now_us)
    floor.fill(leg, "0.02150", "0.2")
    floor.done(leg, "0.2")
    events = floor.later("0.00900")
    assert [(f.quantity, f.price) for f in settled(events)["a1"]] == [(D("0.3"), D("0.00350"))]
    assert [(e.quantity, e.side, e.price) for e in only(events, ev.VenueSettled)] == [(D("0.2"), BUY, D("0.00350"))]
    assert is_flat(floor)


def test_a_fill_that_a_venue_takes_back_afterwards_leaves_nothing(floor: Options) -> None:
    floor.trade("a1", BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "0.02160", fill_id="X1")
    floor.expire()
    before = floor.desk.state.balances["a1"]
    bust = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "ref_fill_id": "X1", "report_id": "B1", "text": "annulled"}
    floor.do(cmd.RecordVenueBust(**bust, occurred_at_us=floor.now_us))
    floor.later("0.00500")
    assert is_flat(floor) and floor.desk.state.balances["a1"] - before == D(1810) + 7, "never bought, never settled"


def test_nobody_deals_in_it_afterwards(floor: Options) -> None:
    """Neither client, nor stop-out, flattening, hedge or dealer: while it waits for a price it only waits."""
    floor.open_account("poor", group="b", amount=5_000)
    floor.trade("poor", BUY, "10")
    floor.do(cmd.ConfigureHedging(policy=policy(key="C", symbol="C")))
    floor.now_us = EXPIRES_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "0.01650", "0.01660", "50", symbol="C")
    assert "C" in floor.desk.state.hedge_policies and not only(floor.act(), ev.HedgeProposed)
    assert floor.desk.state.expired["C"].price is None
    assert floor.desk.moment(now_us=floor.now_us).funds("poor").equity < 0 and "poor" in floor.desk.state.margin_called
    assert not [each for each in floor.log if isinstance(each.event, ev.StoppedOut)]
    floor.do(cmd.SetTradingState(scope="account", key="poor", state=TradingState.KILLED, reason="drill", by="ann"))
    assert floor.do(cmd.FlattenPositions(scope="account", key="poor", by="ben", reason="drill")) == []
    floor.do(cmd.SetTradingState(scope="account", key="poor", state=TradingState.ACTIVE, reason="drill", by="ben"))
    (refused,) = floor.do(cmd.CoverByHand(symbol="C", side=BUY, quantity=D(1), by="ann", reason="drill"))
    assert refused.code == "TRADING_STOPPED"
    terms = OrderTerms(account_id="poor", symbol="C", side=SELL, quantity=D(10), reduce_only=True)
    (denied,) = floor.do(cmd.PlaceOrder(terms=terms))
    assert [check.code for check in denied.verdict.reasons] == ["P-05"]
    assert list(settled(floor.later("0.00345"))) == ["poor"] and is_flat(floor)


def test_a_hedge_that_waits_for_a_dealer_is_withdrawn(floor: Options) -> None:
    floor.do(cmd.ConfigureHedging(policy=policy(key="C", symbol="C", automatic=False)))
    floor.trade("b1", BUY, "10")
    (proposed,) = only(floor.act(), ev.HedgeProposed)
    floor.now_us = EXPIRES_US
    (withdrawn,) = floor.do(cmd.ApproveHedge(hedge_id=proposed.hedge_id, by="ann"))
    assert (withdrawn.hedge_id, withdrawn.outcome) == (proposed.hedge_id, "withdrawn")
    floor.expire()
    assert is_flat(floor)


def test_an_order_that_an_expired_option_left_working_deals_nothing(floor: Options) -> None:
    """A dealer or an auction may still hold one in the same step: what stands may not deal."""
    floor.trade("b1", BUY, "1", type=OrderType.LIMIT, limit_price=D("0.02100"))
    floor.desk.state.expired["C"] = ev.OptionExpired(symbol="C", underlying="EURUSD", expires_at_us=EXPIRES_US)
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "0.02090", "0.02099", "50", symbol="C")
    assert not only(floor.do(cmd.ActOnPrices(symbols=("C",))), ev.OrderFilled)
