"""What the desk does where a price, one side of it, or a rate is missing: it waits, refuses, and never guesses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.bookbuild import SpreadAction, SpreadProfile
from piggy.core.desk import Desk
from piggy.core.limits import Limits
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.core.profiles import PriceProfile
from tests.core.floor import EURUSD, SECOND_US, START_US, Floor, canonical, names, only

D = Decimal
GBPUSD = msgspec.structs.replace(EURUSD, symbol="GBPUSD", base="GBP")


@pytest.fixture
def floor() -> Floor:
    return Floor()


def restarted(floor: Floor) -> Floor:
    """The same floor on a desk out of the log, which has not heard a price yet."""
    desk = Desk(tenant="acorn")
    for recorded in floor.log:
        desk.apply(recorded=recorded)
    floor.desk = desk
    return floor


def codes(events: list[ev.AnyEvent]) -> set[str]:
    (denied,) = events
    assert isinstance(denied, ev.OrderDenied)
    return {check.code for check in denied.verdict.reasons}


def test_a_desk_out_of_the_log_lets_nobody_open_before_there_is_a_price(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    again = restarted(floor)
    assert {"P-02", "P-17"} & codes(again.place("b1", Side.BUY, "1"))
    (refused,) = again.do(cmd.DebitAccount(account_id="b1", amount=D(1), reference="r"))
    assert isinstance(refused, ev.CommandRefused) and refused.code == "FUNDS_NOT_FREE"


@pytest.mark.parametrize("prices", [("1.10000", ""), ("", "1.10010")])
def test_one_side_of_a_price_is_not_a_price_to_deal_at(floor: Floor, prices: tuple[str, str]) -> None:
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, *prices)
    side = Side.BUY if prices[0] else Side.SELL
    events = floor.place("b1", side, "1")
    assert not only(events, ev.OrderFilled)


def test_a_trailing_stop_without_a_price_gets_its_first_stop_with_the_first_price(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    for venue in ("LP1", "LP2", "LP3"):
        floor.desk.status(status=VenueStatus(venue=venue, state=VenueState.DOWN, text="", at_us=floor.now_us))
    limits = Limits(price_age_ms_max=10**9, close_on_stale_price=True)
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    events = floor.place("b1", Side.SELL, "1", type=OrderType.TRAILING_STOP, trailing_distance=D("0.00050"))
    if only(events, ev.OrderAccepted):
        assert events[0].terms.stop_price is None
        assert not only(floor.act(), ev.OrderTriggered)
        for venue in ("LP1", "LP2", "LP3"):
            floor.desk.status(status=VenueStatus(venue=venue, state=VenueState.READY, text="", at_us=floor.now_us))
        floor.quotes()
        floor.act()
        assert floor.order(2).terms.stop_price == D("1.09949")


def test_an_account_with_something_that_has_no_price_is_neither_called_nor_stopped_out(floor: Floor) -> None:
    floor.do(cmd.ConfigureInstrument(instrument=GBPUSD))
    floor.quote("LP1", "1.25000", "1.25010", symbol="GBPUSD")
    for symbol in ("EURUSD", "GBPUSD"):
        terms = OrderTerms(account_id="b1", symbol=symbol, side=Side.BUY, quantity=D(1))
        floor.do(cmd.PlaceOrder(terms=terms))
    again = restarted(floor)
    again.quotes("-0.96000")
    assert not only(again.act(), ev.MarginCalled)
    again.quote("LP1", "1.25000", "1.25010", symbol="GBPUSD")
    again.quotes("-0.96000")
    assert only(again.act(), ev.MarginCalled)


def test_an_order_whose_money_cannot_be_converted_is_refused(floor: Floor) -> None:
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, quote="SEK")))
    (event,) = floor.place("b1", Side.BUY, "1")
    assert isinstance(event, ev.CommandRefused | ev.OrderDenied)


def test_a_venue_that_is_ready_keeps_its_quotes_and_one_that_is_down_loses_them(floor: Floor) -> None:
    ready = VenueStatus(venue="LP1", state=VenueState.READY, text="", at_us=floor.now_us)
    floor.desk.status(status=ready)
    assert floor.desk.market.quote_of(venue="LP1", symbol="EURUSD") is not None
    floor.desk.status(status=msgspec.structs.replace(ready, state=VenueState.DOWN))
    assert floor.desk.market.quote_of(venue="LP1", symbol="EURUSD") is None
    assert floor.desk.statuses["LP1"].state is VenueState.DOWN


def test_a_fill_of_an_older_log_without_its_margin_binds_what_its_lots_do(floor: Floor) -> None:
    """A fill used to carry margin per lot alone; folding it still gives the account's margin."""
    floor.place("b1", Side.BUY, "2")
    floor.place("b1", Side.SELL, "1")
    floor.place("b1", Side.SELL, "1")
    older = [
        msgspec.structs.replace(
            recorded, event=msgspec.structs.replace(recorded.event, symbol_margin=None, margin_per_lot=D(3_663))
        )
        if isinstance(recorded.event, ev.OrderFilled)
        else recorded
        for recorded in floor.log
    ]
    desk, bound = Desk(tenant="acorn"), []
    for recorded in older:
        desk.apply(recorded=recorded)
        if isinstance(recorded.event, ev.OrderFilled):
            bound.append(desk.state.used_margin["b1"])
    assert bound[-3:] == [7_326, 3_663, 0] or bound[-2:] == [3_663, 0]
    assert canonical(desk.state.positions) == canonical(floor.desk.state.positions)


@pytest.mark.parametrize("report", ["ack", "reject", "done"])
def test_what_a_venue_says_of_an_order_we_never_sent_is_kept_for_a_person(floor: Floor, report: str) -> None:
    """F-14."""
    common: dict[str, Any] = {"venue": "LP1", "cl_ord_id": "nobody", "occurred_at_us": 1}
    said: cmd.AnyCommand = {
        "ack": cmd.RecordVenueAck(venue_order_id="V", **common),
        "reject": cmd.RecordVenueReject(code="0", text="no", **common),
        "done": cmd.RecordVenueDone(filled=D(0), text="over", **common),
    }[report]
    (kept,) = floor.do(said)
    assert isinstance(kept, ev.VenueReportSuspended) and kept.code == "unknown_order"


@pytest.mark.parametrize(("lots", "price"), [("0", "1.1"), ("-1", "1.1"), ("1", "0"), ("1", "-1"), ("NaN", "1.1")])
def test_a_fill_that_cannot_be_is_kept_for_a_person(floor: Floor, lots: str, price: str) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    kept, _ = floor.fill(leg, price, lots=lots)
    assert isinstance(kept, ev.VenueReportSuspended) and kept.code == "bad_numbers"
    assert floor.order(1).filled == 0


def test_amending_what_is_not_there_or_below_what_is_filled_is_refused(floor: Floor) -> None:
    assert names(floor.do(cmd.AmendOrder(order_id="O9", account_id="b1", quantity=D(1)))) == ["CommandRefused"]
    floor.place("b1", Side.BUY, "7", limit_price="1.10014")
    filled = floor.order(1).filled
    assert 0 < filled < 7
    (refused,) = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=filled))
    assert isinstance(refused, ev.CommandRefused) and refused.code == "QTY_BELOW_FILLED"


def test_the_latest_65_orders_are_remembered_for_duplicates(floor: Floor) -> None:
    floor.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(floor.desk.state.effective_limits["b"])))
    for number in range(70):
        floor.place("b1", Side.BUY, "0.01", limit_price=str(D("1.09000") + D(number) / 100_000))
    assert len(floor.desk.state.activity["b1"].latest) == 64


NO_PRICE = PriceProfile(spread=SpreadProfile(max_points=1, action=SpreadAction.REJECT))


def shown(floor: Floor, profile: PriceProfile) -> None:
    """From now on group b sees EURUSD so."""
    floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=profile))


def test_a_stop_is_not_reached_while_its_client_is_shown_no_price(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", type=OrderType.STOP, stop_price=D("1.10100"))
    shown(floor, NO_PRICE)
    floor.quotes("0.00200")
    assert not only(floor.act(), ev.OrderTriggered)
    shown(floor, PriceProfile())
    floor.quotes("0.00201")
    assert only(floor.act(), ev.OrderTriggered)


def test_a_trailing_stop_does_not_follow_a_price_that_its_client_is_not_shown(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", type=OrderType.TRAILING_STOP, trailing_distance=D("0.00050"))
    before = floor.order(2).terms.stop_price
    shown(floor, NO_PRICE)
    floor.quotes("0.00200")
    floor.act()
    assert floor.order(2).terms.stop_price == before


def test_a_trailing_stop_placed_while_no_price_is_shown_starts_with_the_first_one(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    shown(floor, NO_PRICE)
    (accepted,) = floor.place("b1", Side.SELL, "1", type=OrderType.TRAILING_STOP, trailing_distance=D("0.00050"))
    assert isinstance(accepted, ev.OrderAccepted) and accepted.terms.stop_price is None
    floor.quotes("0.00001")
    assert not only(floor.act(), ev.OrderAmended)
    shown(floor, PriceProfile())
    floor.quotes()
    floor.act()
    assert floor.order(2).terms.stop_price is not None


def test_without_a_rate_nothing_is_filled_and_nothing_made_larger(floor: Floor) -> None:
    """The symbol's quote currency turned into one without a rate while an order waited, as old logs may say."""
    floor.place("b1", Side.BUY, "1", limit_price="1.09990")
    turned = ev.InstrumentConfigured(instrument=msgspec.structs.replace(EURUSD, quote="SEK"))
    told = msgspec.structs.replace(floor.log[-1], seq=len(floor.log) + 1, command_id="old", position=0, event=turned)
    floor.log.append(told)
    floor.desk.apply(recorded=told)
    floor.desk.state.rates.clear()
    refused, *_ = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D("1.5")))
    assert isinstance(refused, ev.CommandRefused)
    bound = floor.desk.state.reserved["b1"]
    (smaller,) = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D("0.5")))
    assert isinstance(smaller, ev.OrderAmended) and floor.desk.state.reserved["b1"] == bound / 2 > 0
    floor.quotes("-0.00100")
    (no_rate,) = floor.do(cmd.ActOnPrices(symbols=("EURUSD",)))
    assert isinstance(no_rate, ev.CommandRefused) and no_rate.code == "NO_RATE"
    assert floor.order(1).filled == 0


def test_time_ends_what_is_due_and_leaves_what_is_not(floor: Floor) -> None:
    """Two orders with an end of their own: at the end of the first the second works on."""
    for seconds in (100, 200):
        floor.place(
            "b1", Side.BUY, "1", limit_price="1.09900", time_in_force=TimeInForce.GTD,
            expires_at_us=START_US + seconds * SECOND_US,
        )  # fmt: skip
    floor.now_us = START_US + 150 * SECOND_US
    floor.act()
    assert (floor.order(1).state, floor.order(2).state) == ("expired", "working")


def test_a_doubt_told_twice_is_one_doubt(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    doubt = cmd.RecordVenueDoubt(venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="lost", occurred_at_us=floor.now_us)
    assert names(floor.do(doubt)) == ["ChildOrderInDoubt"]
    assert floor.do(doubt) == []
