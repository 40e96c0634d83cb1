"""Guaranteed stops: filled at exactly their price whatever the market did, for a premium, at the house's cost."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger, touching
from piggy.core.accounts import TradingState
from piggy.core.auctions import AuctionPhase
from piggy.core.correction_events import OrderFillBusted
from piggy.core.limits import HOUSE_LIMITS, Limits
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side, TimeInForce
from piggy.core.profiles import GuaranteedStops, PriceProfile, profile_fault
from piggy.core.risk import terms_hash
from piggy.messaging import codec
from tests.core.floor import SECOND_US, Floor, names, only
from tests.core.test_busting import bust, correct, on_record, refusal

D = Decimal
TERMS = GuaranteedStops(premium_points=D(10), distance_points_min=D(50))
PREMIUM_A_LOT = D(10)  # 10 points of 0.00001 on 100,000 units.
POINT_A_LOT = D(100_000)
SILENCE_US = 120 * SECOND_US


@pytest.fixture
def floor() -> Floor:
    return offering()


def offering(terms: GuaranteedStops = TERMS, **group: Any) -> Floor:
    made = Floor(**group)
    for name in ("a", "b", "mixed"):
        profile = PriceProfile(guaranteed_stops=terms)
        made.do(cmd.ConfigurePricing(group=name, symbol="*", profile=profile))
    return made


def jump(floor: Floor, shift: str) -> list[ev.AnyEvent]:
    """Let every LP quote `shift` away from where it began after a silence, so that it is no spike; the desk acts."""
    floor.now_us += SILENCE_US
    floor.quotes(shift)
    return floor.act()


def protected(floor: Floor, account_id: str, lots: str = "1", stop: str = "1.09900", **terms: Any) -> list[ev.AnyEvent]:
    """Buy at the market with a guaranteed stop-loss; venues fill at once."""
    events = floor.place(account_id, Side.BUY, lots, stop_loss=D(stop), guaranteed_stop=True, **terms)
    for leg in only(events, ev.ChildOrderCreated):
        events += floor.fill(leg, "1.10010")
    return events


def stop_of(floor: Floor, account_id: str) -> Any:
    (order_id,) = floor.desk.state.guaranteed[account_id]
    return floor.desk.state.orders[order_id]


def accounts(events: list[ev.AnyEvent]) -> dict[tuple[str, str], Decimal]:
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for event in events:
        for line in ledger.postings(event=event, currency="USD"):
            sums[(line.gl_account, line.owner)] += line.amount
    return sums


def refused(events: list[ev.AnyEvent]) -> Any:
    (denied,) = only(events, ev.OrderDenied)
    (check,) = (check for check in denied.verdict.reasons if check.code == "GUARANTEED_STOP")
    return check


def test_a_kept_position_closes_at_its_stop_and_the_ledger_names_what_the_gap_cost(floor: Floor) -> None:
    protected(floor, "b1")
    before = floor.desk.state.balances["b1"]
    events = jump(floor, "-0.05")
    (fill,) = only(events, ev.OrderFilled)
    assert (fill.price, fill.book, fill.quantity, fill.raw_price) == (D("1.09900"), "B", D(1), D("1.05001"))
    # The client would have sold at 1.05001 less two points of markup.
    assert (fill.premium, fill.guarantee_cost) == (PREMIUM_A_LOT, (D("1.09900") - D("1.04999")) * POINT_A_LOT)
    assert fill.markup_revenue == D(2), "the house's income of the markup is what it ever is"
    assert floor.desk.state.balances["b1"] == before + fill.realised - fill.premium
    assert fill.realised == (D("1.09900") - D("1.10013")) * POINT_A_LOT
    booked = accounts(events)
    assert booked[(ledger.GUARANTEED_STOPS, "")] == fill.guarantee_cost, "the loss is named"
    assert booked[(ledger.PREMIUM_INCOME, "")] == -PREMIUM_A_LOT, "the premium has its own posting"
    at_market = (D("1.04999") - D("1.10013")) * POINT_A_LOT
    assert booked[(ledger.HOUSE_DEALING, "")] == at_market + fill.markup_revenue, "as if it had dealt at the market"
    assert not sum(booked.values()) and not floor.desk.state.positions and not floor.desk.state.guaranteed


def test_a_passed_position_is_closed_at_venues_and_the_house_bears_the_difference(floor: Floor) -> None:
    protected(floor, "a1")
    events = jump(floor, "-0.05")
    (leg,) = only(events, ev.ChildOrderCreated)
    assert not only(events, ev.OrderFilled) and leg.quantity == 1
    events = floor.fill(leg, "1.04950")
    (fill,) = only(events, ev.OrderFilled)
    assert (fill.price, fill.raw_price, fill.book) == (D("1.09900"), D("1.04950"), "A")
    booked = accounts(events)
    passed_on = (D("1.04950") - D("1.10013")) * POINT_A_LOT
    assert booked[(ledger.PASSED_DEALING, "")] == passed_on, "as if the client had dealt where the LP did"
    assert booked[(ledger.GUARANTEED_STOPS, "")] == (D("1.09900") - D("1.04948")) * POINT_A_LOT
    assert floor.desk.state.exposure["EURUSD"].uncovered == 0


def test_what_no_venue_takes_the_house_gives_at_the_stop(floor: Floor) -> None:
    protected(floor, "a1")
    events = jump(floor, "-0.05")
    for _ in range(3):
        (leg,) = only(events, ev.ChildOrderCreated)
        events = floor.reject(leg)
    (fill,) = only(events, ev.OrderFilled)
    assert (fill.price, fill.book, fill.premium) == (D("1.09900"), "B", PREMIUM_A_LOT)
    assert floor.order(2).state is OrderState.FILLED and floor.desk.state.exposure["EURUSD"].uncovered == -1


def test_it_is_owed_in_a_halt_that_came_while_a_venue_had_it(floor: Floor) -> None:
    protected(floor, "a1")
    (leg,) = only(jump(floor, "-0.05"), ev.ChildOrderCreated)
    floor.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=TradingState.HALTED, reason="drill", by="ann"))
    for venue in ("LP1", "LP2", "LP3"):
        floor.desk.market.withdraw(venue=venue)
    events = floor.reject(leg)
    (fill,) = only(events, ev.OrderFilled)
    assert fill.price == D("1.09900") and fill.raw_price == D("1.05001"), "held against the last price there was"
    assert not only(events, ev.ChildOrderCreated)


def test_more_than_is_quoted_closes_all_the_same(floor: Floor) -> None:
    protected(floor, "b1", "6")
    (fill,) = only(jump(floor, "-0.05"), ev.OrderFilled)
    assert (fill.quantity, fill.premium) == (D(6), 6 * PREMIUM_A_LOT)
    floor = offering()
    protected(floor, "b1", "6")
    floor.now_us += SILENCE_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.05000", "1.05010", size="0.01")
    (fill,) = only(floor.act(), ev.OrderFilled)
    assert fill.quantity == 6


def test_a_better_market_at_the_venue_is_the_houses(floor: Floor) -> None:
    protected(floor, "a1")
    (leg,) = only(jump(floor, "-0.0012"), ev.ChildOrderCreated)
    (fill,) = only(floor.fill(leg, "1.10000"), ev.OrderFilled)
    assert fill.price == D("1.09900") and fill.guarantee_cost == (D("1.09900") - D("1.09998")) * POINT_A_LOT


def test_without_an_offer_no_stop_is_guaranteed() -> None:
    floor = Floor()
    assert "the limit is not set" in refused(protected(floor, "b1")).text
    closed = PriceProfile(
        guaranteed_stops=GuaranteedStops(premium_points=D(1), distance_points_min=D(0), offered=False)
    )
    floor = offering()
    floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=closed))
    assert "not offered" in refused(protected(floor, "b1")).text
    assert names(protected(floor, "a1"))[0] == "OrderAccepted", "other groups are"


@pytest.mark.parametrize(
    ("side", "terms", "value"),
    [
        (Side.BUY, {"stop_loss": D("1.09964")}, "49"),  # He pays 1.10013.
        (Side.SELL, {"stop_loss": D("1.10048")}, "49"),  # He gets 1.09999.
        (Side.BUY, {"stop_loss": D("1.10020")}, ""),  # Reached already.
        (Side.BUY, {"stop_loss": D("1.09851"), "limit_price": "1.09900"}, "49"),
        (Side.BUY, {"stop_loss": D("1.09964"), "limit_price": "1.11000"}, "49"),  # It would deal at the market.
        (Side.BUY, {"stop_loss": D("1.10151"), "type": OrderType.STOP, "stop_price": D("1.10200")}, "49"),
    ],
)
def test_a_stop_nearer_than_the_least_distance_is_refused_with_the_limit(
    floor: Floor, side: Side, terms: dict[str, Any], value: str
) -> None:
    check = refused(floor.place("b1", side, "1", guaranteed_stop=True, **terms))
    assert "too near the market" in check.text and (check.value, check.limit) == (value, "50")
    further = terms | {"stop_loss": terms["stop_loss"] - side.sign * D("0.00001")}
    if value:
        assert names(floor.place("b1", side, "1", guaranteed_stop=True, **further))[0] == "OrderAccepted"


def test_an_exit_may_be_moved_as_near_as_it_may_be_placed(floor: Floor) -> None:
    protected(floor, "b1")
    order_id = stop_of(floor, "b1").order_id

    def move(stop: str) -> list[ev.AnyEvent]:
        floor.now_us += 2 * SECOND_US
        floor.requote()
        return floor.do(cmd.AmendOrder(order_id=order_id, account_id="b1", stop_price=D(stop)))

    near = move("1.09950")  # He could sell at 1.09999.
    assert refusal([near[0]]) == "GUARANTEED_STOP" and names(near)[1] == "AmendmentDenied"
    assert names(move("1.09949")) == ["OrderAmended"]
    assert jump(floor, "-0.0003") == [], "he could sell at 1.09969"
    smaller = floor.do(cmd.AmendOrder(order_id=order_id, account_id="b1", quantity=D("0.5")))
    assert names(smaller) == ["OrderAmended"], "fewer lots are nearer to nothing"
    limited = floor.do(cmd.AmendOrder(order_id=order_id, account_id="b1", limit_price=D("1.102")))
    assert refusal([limited[0]]) == "GUARANTEED_STOP", "it deals at its stop and at nothing better"
    profile = PriceProfile(guaranteed_stops=GuaranteedStops(premium_points=D(99), distance_points_min=D(10)))
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=profile))
    assert names(move("1.09955")) == ["OrderAmended"]
    (fill,) = only(jump(floor, "-0.05"), ev.OrderFilled)
    assert fill.premium == PREMIUM_A_LOT / 2, "the premium is that of the day it was given"


@pytest.mark.parametrize(
    "terms",
    [
        {"type": OrderType.STOP, "stop_price": D("1.09900")},
        {"type": OrderType.STOP_LIMIT, "stop_price": D("1.09900"), "limit_price": "1.09800", "reduce_only": True},
        {"type": OrderType.TRAILING_STOP, "trailing_distance": D("0.00100"), "reduce_only": True},
        {"limit_price": "1.10500", "reduce_only": True},
        {"type": OrderType.STOP, "stop_price": D("1.09900"), "reduce_only": True, "stop_loss": D("1.2")},
        *(
            {"type": OrderType.STOP, "stop_price": D("1.09900"), "reduce_only": True} | more
            for more in (
                {"time_in_force": TimeInForce.FOK},
                {"time_in_force": TimeInForce.IOC},
                {"all_or_none": True},
                {"minimum_quantity": D("0.5")},
                {"limit_price": "1.12000"},
            )
        ),
    ],
)
def test_only_a_plain_stop_that_reduces_is_guaranteed(floor: Floor, terms: dict[str, Any]) -> None:
    floor.place("b1", Side.BUY, "1")
    assert refused(floor.place("b1", Side.SELL, "1", guaranteed_stop=True, **terms)).limit == ""


def test_only_a_quoted_open_market_is_guaranteed_against(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    limits = Limits(price_age_ms_max=500, close_on_stale_price=True)
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.do(cmd.ConfigureLimits(group="a", limits=HOUSE_LIMITS))
    stop = {"type": OrderType.STOP, "stop_price": D("1.09900"), "reduce_only": True}
    asked = OrderTerms(account_id="b1", symbol="EURUSD", side=Side.SELL, quantity=D(1), guaranteed_stop=True, **stop)
    floor.now_us += 2 * SECOND_US
    (denied,) = floor.do(cmd.PlaceOrder(terms=asked))
    assert "only while its market is open and quoted" in denied.verdict.checks[-1].text
    floor.do(cmd.ConfigureLimits(group="b", limits=HOUSE_LIMITS))
    floor.do(cmd.ChangePhase(symbol="EURUSD", phase=AuctionPhase.VOLATILITY_CALL, by="ann", reason="drill"))
    floor.requote()
    (denied,) = floor.do(cmd.PlaceOrder(terms=asked))
    assert denied.verdict.checks[-1].code == "GUARANTEED_STOP" and not denied.verdict.checks[-1].passed


def test_no_more_lots_are_guaranteed_than_there_are(floor: Floor) -> None:
    """Else a client whose price was reached could open more, and have it closed there before the desk looks."""
    floor.place("b1", Side.BUY, "1")
    stop = {"type": OrderType.STOP, "stop_price": D("1.09900"), "reduce_only": True, "guaranteed_stop": True}
    assert names(floor.place("b1", Side.SELL, "0.4", **stop)) == ["OrderAccepted"]
    check = refused(floor.place("b1", Side.SELL, "0.7", **stop))
    assert (check.value, check.limit) == ("0.7", "0.6")
    assert names(floor.place("b1", Side.SELL, "0.6", **stop)) == ["OrderAccepted"]
    floor.place("b1", Side.SELL, "0.8")
    left = [floor.desk.state.orders[order_id] for order_id in sorted(floor.desk.state.guaranteed["b1"])]
    assert [order.leaves for order in left] == [D("0.2")], "the latest went first"
    floor.now_us += SILENCE_US
    floor.quotes("-0.05")
    floor.place("b1", Side.BUY, "1")
    (fill,) = [fill for fill in only(floor.act(), ev.OrderFilled) if fill.premium]
    assert fill.quantity == D("0.2") and floor.desk.state.positions["b1:EURUSD"].quantity == 1


def test_an_entry_that_only_closes_has_no_stop_to_guarantee(floor: Floor) -> None:
    floor.place("b1", Side.SELL, "2")
    assert "OrderFilled" in names(protected(floor, "b1", "1.5")) and not floor.desk.state.guaranteed
    protected(floor, "b1", "2")
    assert stop_of(floor, "b1").quantity == D("1.5"), "of two lots bought, half a lot closed the rest of the short"


def test_an_entry_waits_while_the_market_is_past_its_stop(floor: Floor) -> None:
    """A jump over both prices would have the house buy back, dearer at once, what it just sold."""
    floor.place("b1", Side.BUY, "1", limit_price="1.09900", stop_loss=D("1.09800"), guaranteed_stop=True)
    assert jump(floor, "-0.05") == []
    events = floor.place("b2", Side.SELL, "1")
    assert {fill.account_id for fill in only(events, ev.OrderFilled)} == {"b2"}, "nor does another client meet it"
    (entry,) = only(jump(floor, "-0.0012"), ev.OrderFilled)
    assert entry.price == D("1.09893") and stop_of(floor, "b1").terms.stop_price == D("1.09800")


def test_an_entry_that_a_venue_dealt_past_its_stop_has_a_stop_that_is_not_guaranteed(floor: Floor) -> None:
    (_, leg) = floor.place("a1", Side.BUY, "1", stop_loss=D("1.09900"), guaranteed_stop=True)
    events = floor.fill(leg, "1.09890")
    (exit_,) = only(events, ev.OrderAccepted)
    assert exit_.terms.stop_price == D("1.09900") and exit_.guarantee is None and not exit_.terms.guaranteed_stop
    assert names(floor.fill(leg, "1.1"))[:1] != ["OrderFilled"] and not floor.desk.state.guaranteed


def test_a_guaranteed_stop_goes_before_a_stop_out_and_before_a_flattening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touching, "ORDERS_PER_STEP_MAX", 0)
    floor = offering()
    floor.do(cmd.DebitAccount(account_id="b1", amount=D(90_000), reference="out"))
    protected(floor, "b1")
    events = jump(floor, "-0.09")
    (fill,) = only(events, ev.OrderFilled)
    assert fill.price == D("1.09900") and not only(events, ev.StoppedOut)
    floor = offering()
    protected(floor, "b1")
    floor.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=TradingState.HALTED, reason="drill", by="ann"))
    assert not only(jump(floor, "-0.05"), ev.OrderFilled), "a halt is a halt"
    events = floor.do(cmd.FlattenPositions(scope="symbol", key="EURUSD", by="ben", reason="wind down"))
    (fill,) = only(events, ev.OrderFilled)
    assert fill.price == D("1.09900") and fill.premium == PREMIUM_A_LOT and not floor.desk.state.positions


def test_it_waits_for_lots_that_a_venue_has_and_deals_them_when_they_come_back(floor: Floor) -> None:
    protected(floor, "a1")
    (close,) = only(floor.place("a1", Side.SELL, "0.4", reduce_only=True), ev.ChildOrderCreated)
    assert not only(jump(floor, "-0.05"), ev.OrderFilled)
    floor.reject(close)
    for leg in list(floor.children()):
        floor.reject(leg)
    for leg in list(floor.children()):
        floor.reject(leg)
    events = jump(floor, "-0.06")
    filled = only(events, ev.OrderFilled)
    for leg in only(events, ev.ChildOrderCreated):
        filled += only(floor.fill(leg, "1.04"), ev.OrderFilled)
    assert {(fill.price, fill.quantity) for fill in filled} == {(D("1.09900"), D(1))}


def test_what_it_closed_stays_closed_whatever_its_venue_takes_back(floor: Floor) -> None:
    protected(floor, "a1")
    (leg,) = only(jump(floor, "-0.05"), ev.ChildOrderCreated)
    floor.fill(leg, "1.05", fill_id="X9")
    assert floor.order(2).state is OrderState.FILLED
    told = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "ref_fill_id": "X9", "occurred_at_us": floor.now_us}
    events = floor.do(cmd.RecordVenueBust(**told, report_id="B9", text="erroneous"))
    assert not only(events, OrderFillBusted) and not floor.desk.state.positions
    assert floor.desk.state.exposure["EURUSD"].venue_net == 1, "the house has the LP's side"


def test_a_person_takes_it_back_whole_and_deals_it_at_no_other_price(floor: Floor) -> None:
    protected(floor, "b1")
    before = floor.desk.state.balances["b1"]
    filled = jump(floor, "-0.05")
    fill = on_record(floor)[-1]
    assert refusal(correct(floor, fill, "1.09800")) == "GUARANTEED_STOP"
    events = bust(floor, fill)
    (taken,) = only(events, OrderFillBusted)
    assert floor.desk.state.balances["b1"] == before + only(filled, ev.OrderFilled)[0].realised + taken.realised
    booked = accounts(filled + events)
    assert not booked[(ledger.PREMIUM_INCOME, "")] and not booked[(ledger.GUARANTEED_STOPS, "")]
    assert not sum(booked.values()) and taken.premium == PREMIUM_A_LOT


def test_both_stops_of_an_entry_filled_in_parts_are_its_own(floor: Floor) -> None:
    (_, *legs) = floor.place("a1", Side.BUY, "3", stop_loss=D("1.09900"), guaranteed_stop=True)
    for leg in only(legs, ev.ChildOrderCreated):
        floor.fill(leg, "1.10010")
    stops = [floor.desk.state.orders[name] for name in floor.desk.state.guaranteed["a1"]]
    assert sum(stop.quantity for stop in stops) == 3 and len(stops) == 2


def test_orders_and_events_of_before_are_what_they_were() -> None:
    """An order without one has the hash it had; rows written before decode, and say nothing of guarantees."""
    plain = OrderTerms(account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D(1))
    assert b"guaranteed" not in codec.encode(plain)
    assert terms_hash(terms=plain) != terms_hash(terms=OrderTerms(**(told(plain) | {"guaranteed_stop": True})))
    for event in Floor().place("b1", Side.BUY, "1"):
        row = msgspec.msgpack.decode(codec.encode(event))
        assert not {"premium", "guarantee_cost", "guarantee"} & row.keys(), "what is nothing is not written"
        assert codec.decode_event(msgspec.msgpack.encode(row)) == event
    profile = PriceProfile(guaranteed_stops=GuaranteedStops(premium_points=D(-1), distance_points_min=D(0)))
    assert "from 0 to" in profile_fault(profile=profile)


def told(terms: OrderTerms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in terms.__struct_fields__}
