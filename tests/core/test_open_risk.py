"""P-19: open risk in all symbols, converted into one currency, and the routes that it closes."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Venue
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.money import ZERO
from piggy.core.open_risk import OpenRisk
from piggy.core.orders import OrderTerms, OrderType, Side
from tests.core.floor import EURUSD, SECOND_US, Floor, names, only

USDJPY = Instrument(
    symbol="USDJPY", asset_class=AssetClass.FX_MAJOR, base="USD", quote="JPY", contract_size=D(100_000),
    price_digits=3, tick_size=D("0.001"), margin_percent=D("3.33"),
)  # fmt: skip
XAUUSD = msgspec.structs.replace(
    EURUSD, symbol="XAUUSD", asset_class=AssetClass.GOLD, base="XAU", contract_size=D(100), tick_size=D("0.01")
)
SYMBOLS = {each.symbol: each for each in (EURUSD, USDJPY, XAUUSD)}
moves = st.tuples(
    st.sampled_from(sorted(SYMBOLS)),
    st.integers(-300, 300).map(D),
    st.integers(0, 50).map(D),
    st.integers(0, 50).map(D),
    st.none() | st.integers(1, 5_000).map(D),
)
RATES = {"USD": D(1), "JPY": D("0.01")}


@given(st.lists(moves, max_size=25), st.sampled_from(sorted(SYMBOLS)), st.none() | st.integers(0, 9).map(D))
def test_sums_kept_up_move_by_move_equal_a_recount(history: list[Any], symbol_now: str, asked: D | None) -> None:
    risk = OpenRisk()
    lots: dict[str, list[D]] = {symbol: [ZERO, ZERO, ZERO] for symbol in SYMBOLS}
    prices: dict[str, D] = {}
    for symbol, net, buys, sells, price in history:
        risk.move(instrument=SYMBOLS[symbol], net=net, buys=buys, sells=sells, price=price)
        lots[symbol] = [lots[symbol][0] + net, lots[symbol][1] + buys, lots[symbol][2] + sells]
        prices[symbol] = prices.get(symbol, ZERO) if price is None else price
        if not any(lots[symbol]):
            prices.pop(symbol)
    worth = {
        symbol: max(abs(net + buys), abs(net - sells)) * prices.get(symbol, ZERO) * SYMBOLS[symbol].contract_size
        for symbol, (net, buys, sells) in lots.items()
    }
    converted = {symbol: amount * RATES[SYMBOLS[symbol].quote] for symbol, amount in worth.items()}
    assert risk.worth(into="USD", rate=RATES.get) == sum(converted.values())
    net, buys, sells = lots[symbol_now]
    counted = max(abs(net + buys), abs(net - sells)) if asked is None else asked
    now = risk.worth(into="USD", rate=RATES.get, instrument=SYMBOLS[symbol_now], unit=D(7), lots=asked)
    assert now == sum(converted.values()) - converted[symbol_now] + counted * 7
    missing = any(worth[symbol] for symbol in SYMBOLS if SYMBOLS[symbol].quote == "JPY")
    assert (risk.worth(into="USD", rate={"USD": D(1)}.get) is None) == missing
    elsewhere = any(worth[symbol] for symbol in SYMBOLS if SYMBOLS[symbol].quote == "JPY" and symbol != symbol_now)
    now = risk.worth(into="USD", rate={"USD": D(1)}.get, instrument=SYMBOLS[symbol_now], unit=D(7))
    assert (now is None) == elsewhere


@pytest.mark.parametrize(
    ("net", "buys", "sells", "lots"),
    [
        ("0", "1", "0.5", "1"),
        ("0", "0.5", "1", "1"),
        ("0", "1", "1", "1"),
        ("2", "0", "0.5", "2"),
        ("-2", "0.5", "0", "2"),
        ("-0.3", "0.1", "0.2", "0.5"),
        ("0.3", "0.2", "0.1", "0.5"),
    ],
)
def test_the_most_it_can_come_to_is_unsigned_and_counts_the_heavier_side(
    net: str, buys: str, sells: str, lots: str
) -> None:
    """What may still be bought and what may still be sold never happen against each other."""
    risk = OpenRisk()
    risk.move(instrument=EURUSD, net=D(net), buys=D(buys), sells=D(sells), price=D("1.1"))
    assert risk.symbols["EURUSD"].lots == D(lots)
    assert risk.worth(into="USD", rate=RATES.get) == D(lots) * D(110_000)


@pytest.fixture
def floor() -> Floor:
    """Three symbols in two currencies; nothing is marked up."""
    made = Floor(bid_markup_points=0, ask_markup_points=0)
    for instrument in (USDJPY, XAUUSD):
        made.do(cmd.ConfigureInstrument(instrument=instrument))
    return made


def limits(floor: Floor, group: str = "b", **changes: D) -> None:
    floor.do(cmd.ConfigureLimits(group=group, limits=msgspec.structs.replace(HOUSE_LIMITS, **changes)))


def order(floor: Floor, symbol: str, side: Side, lots: str, account_id: str = "b1", **terms: Any) -> list[ev.AnyEvent]:
    """Place an order of `symbol` two seconds later: EURUSD at 1.1, USDJPY at 160, XAUUSD at 2,000."""
    floor.now_us += 2 * SECOND_US
    for name, price in (("EURUSD", "1.10000"), ("USDJPY", "160.000"), ("XAUUSD", "2000.00")):
        for venue in ("LP1", "LP2", "LP3"):
            floor.quote(venue, price, price, "50", name)
    asked = OrderTerms(account_id=account_id, symbol=symbol, side=side, quantity=D(lots), **terms)
    return floor.do(cmd.PlaceOrder(terms=asked))


def refused(events: list[ev.AnyEvent]) -> dict[str, ev.Check]:
    return {check.code: check for denied in only(events, ev.OrderDenied) for check in denied.verdict.reasons}


@pytest.mark.parametrize("whose", ["account", "tenant", "firm"])
def test_all_symbols_count_in_one_currency(floor: Floor, whose: str) -> None:
    """P-19: 1 EURUSD (110,000) + 1 USDJPY (100,000) + 1 XAUUSD (200,000); 0.01 more comes to 411,100."""
    order(floor, "EURUSD", Side.BUY, "1")
    order(floor, "USDJPY", Side.SELL, "1")
    order(floor, "XAUUSD", Side.BUY, "1")
    limits(floor, **{f"exposure_{whose}_max": D("411099.99")})
    check = refused(order(floor, "EURUSD", Side.BUY, "0.01"))["P-19"]
    assert whose in check.text and D(check.value) == D(411_100)
    limits(floor, **{f"exposure_{whose}_max": D(411_100)})
    assert "OrderFilled" in names(order(floor, "EURUSD", Side.BUY, "0.01"))


def test_what_works_elsewhere_counts_as_filled_the_worse_way_and_exits_do_not(floor: Floor) -> None:
    """P-19: a buy limit of 1 XAUUSD and a sell limit of 2 come to 2 lots at the later price: they are not added."""
    kind = {"type": OrderType.LIMIT}
    order(floor, "XAUUSD", Side.BUY, "1", limit_price=D("1990.00"), **kind)
    order(floor, "XAUUSD", Side.SELL, "2", limit_price=D("2010.00"), **kind)
    assert floor.desk.state.account_risks["b1"].sums == {"USD": D("402000.00")}
    order(floor, "EURUSD", Side.BUY, "1")
    order(floor, "EURUSD", Side.SELL, "1", limit_price=D("1.10900"), reduce_only=True, **kind)
    assert floor.desk.state.account_risks["b1"].sums["USD"] == D(512_000)
    for order_id in ("O000000001", "O000000002", "O000000004"):
        floor.do(cmd.CancelOrder(order_id=order_id, account_id="b1"))
    assert floor.desk.state.account_risks["b1"].sums["USD"] == D(110_000)


def test_a_close_passes_whatever_is_open_elsewhere_and_gives_room_back(floor: Floor) -> None:
    order(floor, "XAUUSD", Side.BUY, "1")
    limits(floor, exposure_account_max=D(200_000))
    assert set(refused(order(floor, "EURUSD", Side.BUY, "0.01"))) == {"P-19"}
    order(floor, "XAUUSD", Side.SELL, "0.5")
    assert not refused(order(floor, "EURUSD", Side.BUY, "0.01"))


def test_without_a_rate_of_what_is_open_nothing_new_passes(floor: Floor) -> None:
    order(floor, "USDJPY", Side.BUY, "1")
    floor.desk.state.rates.clear()
    del floor.desk.marks["USDJPY"]
    floor.desk.moment(now_us=floor.now_us).rates.clear()
    terms = OrderTerms(account_id="b2", symbol="EURUSD", side=Side.BUY, quantity=D("0.01"))
    assert set(refused(floor.do(cmd.PlaceOrder(terms=terms)))) == {"P-19"}
    limits(floor, exposure_account_max=D(1))
    alerts = only(floor.do(cmd.ActOnLimits(accounts=("b1",))), ev.LimitUseChanged)
    assert "P-19" not in {alert.code for alert in alerts}


def test_a_venue_without_room_is_passed_over_and_none_with_room_refuses(floor: Floor) -> None:
    """P-19: with 250,000 allowed a venue takes one lot of gold at 2,000, and none once all three have one."""
    limits(floor, "a", exposure_venue_max=D(250_000))
    for turn, venue in enumerate(("LP1", "LP2", "LP3")):
        order(floor, "XAUUSD", Side.BUY, "1", account_id="a1")
        (leg,) = floor.children()
        assert leg.venue == venue
        floor.fill(leg, "2000.00")
        event = floor.order(turn + 1)
        told = {seen.venue: seen.text for seen in event.routing.considered}
        assert [name for name, text in told.items() if text == "its exposure limit is reached"] == [
            "LP1", "LP2", "LP3"
        ][:turn]  # fmt: skip
    assert set(refused(order(floor, "XAUUSD", Side.BUY, "1", account_id="a1"))) == {"P-19"}
    assert not refused(order(floor, "EURUSD", Side.BUY, "0.4", account_id="a1"))
    order(floor, "XAUUSD", Side.SELL, "1", account_id="a1")
    assert floor.children()[-1].venue == "LP1"


def test_a_leg_that_lives_at_a_venue_counts_as_filled_until_it_ends(floor: Floor) -> None:
    """F-06: the lots at an LP that nobody hears from are counted as if they were dealt."""
    order(floor, "XAUUSD", Side.BUY, "1", account_id="a1")
    (leg,) = floor.children()
    floor.do(
        cmd.RecordVenueDoubt(venue="LP1", cl_ord_id=leg.cl_ord_id, text="session lost", occurred_at_us=floor.now_us)
    )
    risks = floor.desk.state.venue_risks
    assert risks["LP1"].symbols["XAUUSD"].lots == 1 and risks["LP1"].sums["USD"] == leg.limit_price * 100
    floor.reject(leg)
    assert risks["LP1"].sums["USD"] == 0 and risks["LP2"].sums["USD"] == leg.limit_price * 100


def test_alerts_watch_what_is_open_in_all_symbols(floor: Floor) -> None:
    """P-27: half of an exposure limit is used by two symbols of which neither alone comes to it."""
    limits(floor, exposure_account_max=D(420_000), position_net_max_lots=D(1_000), window_value_max=D(10**9))
    order(floor, "EURUSD", Side.BUY, "1")
    order(floor, "USDJPY", Side.BUY, "1")
    look = cmd.ActOnLimits(accounts=("b1",))
    (told,) = floor.do(look)
    assert isinstance(told, ev.LimitUseChanged)
    assert (told.code, told.value, told.text) == ("P-19", D(210_000), "exposure in all symbols")
    order(floor, "USDJPY", Side.SELL, "1")
    order(floor, "EURUSD", Side.SELL, "1")
    assert [(told.code, told.raised) for told in only(floor.do(look), ev.LimitUseChanged)] == [("P-19", False)]


def test_an_order_that_was_let_in_goes_on_where_no_limit_is_set_any_more(floor: Floor) -> None:
    order(floor, "XAUUSD", Side.BUY, "1", account_id="a1")
    floor.do(cmd.ConfigureLimits(group="a", limits=msgspec.structs.replace(HOUSE_LIMITS, exposure_venue_max=None)))
    floor.reject(floor.children()[0])
    assert [leg.venue for leg in floor.children()] == ["LP2"]
    assert set(refused(order(floor, "EURUSD", Side.BUY, "0.1", account_id="a1"))) == {"P-19"}


def test_a_venue_whose_risk_cannot_be_converted_is_passed_over(floor: Floor) -> None:
    for account_id in ("a2", "a3"):
        floor.open_account(account_id, group="a")
    order(floor, "USDJPY", Side.BUY, "1", account_id="a1")
    floor.fill(floor.children()[0], "160.000")
    asked = cmd.PlaceOrder(terms=terms_of(floor, "a2"))
    unconvertible(floor)
    assert not refused(floor.do(asked)), "another has room"
    assert [leg.venue for leg in floor.children()] == ["LP2"]
    for name in ("LP2", "LP3"):
        floor.do(cmd.ConfigureVenue(venue=Venue(name=name, enabled=False)))
    asked, kept = (cmd.PlaceOrder(terms=terms_of(floor, account_id)) for account_id in ("a3", "b2"))
    unconvertible(floor)
    assert set(refused(floor.do(asked))) == {"P-19"}, "who knows whether this one has"
    assert not refused(floor.do(kept)), "no venue is sent it"


def unconvertible(floor: Floor) -> None:
    """From now on no rate leads from yen to anything."""
    floor.desk.moment(now_us=floor.now_us).rates.clear()
    floor.desk.state.rates.clear()
    del floor.desk.marks["USDJPY"]


def terms_of(floor: Floor, account_id: str) -> OrderTerms:
    floor.now_us += 2 * SECOND_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "2000.00", "2000.00", "50", "XAUUSD")
    return OrderTerms(account_id=account_id, symbol="XAUUSD", side=Side.BUY, quantity=D("0.01"))


def test_who_has_nothing_open_has_no_exposure_to_tell_of(floor: Floor) -> None:
    limits(floor, exposure_account_max=D(1))
    assert floor.do(cmd.ActOnLimits(accounts=("b2",))) == []


def test_a_leg_that_makes_a_venues_risk_smaller_fits_however_little_room_there_is(floor: Floor) -> None:
    order(floor, "XAUUSD", Side.BUY, "1", account_id="a1")
    floor.fill(floor.children()[0], "2000.00")
    limits(floor, "a", exposure_venue_max=D(1))
    order(floor, "XAUUSD", Side.SELL, "1", account_id="a1")
    (leg,) = floor.children()
    assert leg.venue == "LP1" and floor.order(2).free == 0
