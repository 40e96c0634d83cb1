"""Synthetic crosses: priced off their legs, dealt by the house, sent to nobody."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, Group, Venue
from piggy.core.desk import Desk
from piggy.core.hedging import HedgePolicy
from piggy.core.instruments import AssetClass, CrossKind, CrossTerms, Instrument, OptionKind, OptionTerms
from piggy.core.market import Level, VenueQuote
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.core.quotes import Market
from piggy.core.routing_rules import DealerWait, RoutingPolicy, RoutingRule
from tests.core.floor import EURUSD, SECOND_US, Floor, names, only

D = Decimal
NOW_US = 1_000_000_000


def pair(symbol: str, *, digits: int = 5, **terms: Any) -> Instrument:
    given_terms: dict[str, Any] = {
        "symbol": symbol,
        "asset_class": AssetClass.FX_MAJOR,
        "base": symbol[:3],
        "quote": symbol[3:],
        "contract_size": D(100_000),
        "price_digits": digits,
        "tick_size": D(1).scaleb(-digits),
    }
    return Instrument(**(given_terms | terms))


def made_of(first: str, second: str, kind: CrossKind) -> CrossTerms:
    return CrossTerms(first=first, second=second, kind=kind)


GBPUSD, USDJPY = pair("GBPUSD"), pair("USDJPY", digits=3)
EURGBP = pair("EURGBP", cross=made_of("EURUSD", "GBPUSD", CrossKind.DIVIDE))
EURJPY = pair("EURJPY", digits=3, cross=made_of("EURUSD", "USDJPY", CrossKind.MULTIPLY))
ALL = {each.symbol: each for each in (EURUSD, GBPUSD, USDJPY, EURGBP, EURJPY)}
change = msgspec.structs.replace


def quoted(venue: str, symbol: str, bid: str, ask: str, *, size: str = "1", at: int = NOW_US) -> VenueQuote:
    bids, asks = ((Level(D(price), D(size)),) if price else () for price in (bid, ask))
    return VenueQuote(venue=venue, symbol=symbol, bids=bids, asks=asks, venue_at_us=at, received_at_us=at)


def market_of(*quotes: VenueQuote, instruments: dict[str, Instrument] = ALL) -> Market:
    market = Market()
    market.configure_crosses(instruments=instruments)
    market.update_many(quotes=quotes)
    return market


def shown(market: Market, symbol: str) -> tuple[str, ...] | None:
    """Return (bid, lots, ask, lots) as text, '' for an empty side."""
    best = market.best(symbol=symbol, now_us=NOW_US)
    if best is None:
        return None
    sides = ((str(side.price), str(side.size)) if side else ("", "") for side in (best.bid, best.ask))
    return tuple(text for side in sides for text in side)


LEGS = (
    quoted("LP1", "EURUSD", "1.1000", "1.1002"),
    quoted("LP2", "GBPUSD", "1.2500", "1.2504"),
    quoted("LP2", "USDJPY", "150", "151"),
)


def test_a_cross_is_made_of_the_sides_that_would_be_dealt_and_rounded_against_its_taker() -> None:
    """1.1/1.2504 = 0.879718…, 1.1002/1.25 = 0.88016; of EURJPY no more than the dollars of the second leg buy."""
    market = market_of(*LEGS)
    assert shown(market, "EURGBP") == ("0.87971", "1.00", "0.88016", "1.00")
    assert shown(market, "EURJPY") == ("165.000", "0.90", "166.131", "0.90")
    best = market.best(symbol="EURGBP", now_us=NOW_US)
    assert best and best.bid and best.ask and best.bid.venue == best.ask.venue == "LP1+LP2"
    assert market.depth(symbol="EURGBP", now_us=NOW_US) == ((best.bid,), (best.ask,))
    assert market.trusted(symbol="EURGBP", now_us=NOW_US, k=1, band_bps=D(1))
    assert market.symbols() == ("EURGBP", "EURJPY", "EURUSD", "GBPUSD", "USDJPY")


def test_what_a_venue_quotes_of_a_cross_itself_is_not_used() -> None:
    market = market_of(*LEGS, quoted("LP1", "EURGBP", "0.8790", "0.8800"))
    assert shown(market, "EURGBP") == ("0.87971", "1.00", "0.88016", "1.00")


def test_a_side_needs_its_leg_sides_and_a_whole_step_of_lots() -> None:
    market = market_of(*LEGS)
    market.update(quote=quoted("LP2", "GBPUSD", "1.25", ""))
    assert shown(market, "EURGBP") == ("", "", "0.88016", "1.00")
    market.update(quote=quoted("LP2", "GBPUSD", "", "1.2504"))
    market.update(quote=quoted("LP1", "EURUSD", "", "1.1002"))
    assert shown(market, "EURGBP") is None
    assert market.depth(symbol="EURGBP", now_us=NOW_US) == ((), ())
    market.withdraw(venue="LP1")
    assert shown(market, "EURGBP") is None
    market.update(quote=quoted("LP1", "EURUSD", "1.1000", "1.1002", size="0.009"))
    assert shown(market, "EURJPY") is None
    coarse = ALL | {"EURJPY": change(EURJPY, tick_size=D(166))}
    assert shown(market_of(*LEGS, instruments=coarse), "EURJPY") == ("", "", "332", "0.90")


def test_a_lot_counts_the_units_of_its_own_symbol() -> None:
    """0.2 lots of euros, 20,000 of them, buy 5 ounces of gold, half a lot of 10; a leg's lot of 100 is ten."""
    gold = pair("XAUUSD", digits=2, contract_size=D(100))
    cross = pair("XAUEUR", digits=2, contract_size=D(10), cross=made_of("XAUUSD", "EURUSD", CrossKind.DIVIDE))
    market = market_of(
        quoted("LP1", "XAUUSD", "4000", "4000", size="1"),
        quoted("LP1", "EURUSD", "1.0000", "1.0000", size="0.2"),
        instruments={each.symbol: each for each in (gold, EURUSD, cross)},
    )
    assert shown(market, "XAUEUR") == ("4000.00", "0.50", "4000.00", "0.50")
    market.update(quote=quoted("LP1", "EURUSD", "1.0000", "1.0000", size="50"))
    assert shown(market, "XAUEUR") == ("4000.00", "10.00", "4000.00", "10.00")


price = st.decimals(min_value="0.5", max_value="200", places=4)


@given(price, price, price, price, st.sampled_from([CrossKind.MULTIPLY, CrossKind.DIVIDE]))
def test_no_cross_is_tighter_than_its_legs(a: Decimal, b: Decimal, c: Decimal, d: Decimal, kind: CrossKind) -> None:
    first, second = sorted((a, b)), sorted((c, d))
    instruments = ALL | {"EURGBP": change(EURGBP, cross=made_of("EURUSD", "GBPUSD", kind), lot_step=D("0.0001"))}
    quotes = (quoted("LP1", name, str(two[0]), str(two[1])) for name, two in (("EURUSD", first), ("GBPUSD", second)))
    best = market_of(*quotes, instruments=instruments).best(symbol="EURGBP", now_us=NOW_US)
    assert best and best.bid and best.ask
    x, y, u, v = (Fraction(each) for each in (*first, *second))
    bid, ask = (x * u, y * v) if kind is CrossKind.MULTIPLY else (x / v, y / u)
    tick = Fraction(EURGBP.tick_size)
    assert 0 <= bid - Fraction(best.bid.price) < tick
    assert 0 <= Fraction(best.ask.price) - ask < tick


def test_changes_are_told_once_crosses_included() -> None:
    market = market_of(LEGS[0], instruments={name: ALL[name] for name in ("EURUSD", "GBPUSD", "EURGBP")})
    assert market.changed() == {"EURUSD", "EURGBP"}
    assert market.changed() == set()
    market.update(quote=LEGS[1])
    assert market.changed() == {"GBPUSD", "EURGBP"}
    market.configure(venue=Venue(name="LP1", priority=3))
    assert market.changed() == {"EURUSD", "EURGBP"}


def test_the_levels_of_a_cross_stay_the_same_object_until_a_leg_changes() -> None:
    market = market_of(*LEGS)
    before = market.levels(symbol="EURGBP", bids=True, now_us=NOW_US)
    assert market.levels(symbol="EURGBP", bids=True, now_us=NOW_US) is before
    market.update(quote=quoted("LP2", "GBPUSD", "1.2501", "1.2504"))
    assert market.levels(symbol="EURGBP", bids=True, now_us=NOW_US) is not before
    assert market.levels(symbol="EURGBP", bids=True, now_us=NOW_US) == before


def test_what_is_no_cross_any_more_has_its_venues_prices_again() -> None:
    market = market_of(*LEGS, quoted("LP1", "EURGBP", "0.8790", "0.8800"))
    market.changed()
    market.configure_crosses(instruments=ALL)
    assert market.changed() == set(), "as it was"
    market.configure_crosses(instruments=ALL | {"EURGBP": pair("EURGBP")})
    assert market.changed() == {"EURGBP"}
    assert shown(market, "EURGBP") == ("0.8790", "1", "0.8800", "1")
    market.update(quote=quoted("LP2", "GBPUSD", "1.2501", "1.2504"))
    assert market.changed() == {"GBPUSD"}
    for leg in ("EURUSD", "GBPUSD"):
        market.configure_crosses(instruments={name: ALL[name] for name in ALL if name != leg})
        assert "EURGBP" not in market.changed() or shown(market, "EURGBP") == ("0.8790", "1", "0.8800", "1")


class Desked(Floor):
    """A floor that deals EURJPY and EURGBP as crosses, EURUSD at 1.10001/1.10010, USDJPY at 150/150.02."""

    def __init__(self, **group: Any) -> None:
        super().__init__(**({"internal_cross": False} | group))
        for instrument in (GBPUSD, USDJPY, EURGBP, EURJPY):
            assert names(self.do(cmd.ConfigureInstrument(instrument=instrument))) == ["InstrumentConfigured"]
        self.requote()

    def requote(self) -> None:
        super().requote()
        self.quote("LP3", "150.000", "150.020", "20", symbol="USDJPY")
        self.quote("LP3", "1.25000", "1.25010", "20", symbol="GBPUSD")

    def deal(self, account_id: str, lots: str, side: Side = Side.BUY, **terms: Any) -> list[ev.AnyEvent]:
        self.now_us += 2 * SECOND_US
        self.requote()
        asked = {"account_id": account_id, "symbol": "EURJPY", "side": side, "quantity": D(lots)} | terms
        return self.do(cmd.PlaceOrder(terms=OrderTerms(**asked)))


@pytest.fixture
def floor() -> Desked:
    return Desked()


def test_a_cross_is_kept_at_the_price_of_its_legs_and_says_whose_they_were(floor: Desked) -> None:
    """1.10010 x 150.02 = 165.0370…, up to 165.038, and 3 points of markup; the bid 1.10001 x 150 = 165.0015."""
    events = floor.deal("b1", "1")
    (fill,) = only(events, ev.OrderFilled)
    assert (fill.book, fill.counterparty, fill.raw_price, fill.price) == ("B", "LP1+LP3", D("165.038"), D("165.041"))
    accepted = only(events, ev.OrderAccepted)[0]
    assert accepted.routing.text == "group b: no venue deals a cross, all of it is kept"
    assert (accepted.routing.a_quantity, accepted.routing.b_quantity, accepted.routing.mode) == (0, 1, "B")
    assert all(not seen.rank for seen in accepted.routing.considered)
    (fill,) = only(floor.deal("b1", "1", Side.SELL), ev.OrderFilled)
    assert (fill.counterparty, fill.raw_price) == ("LP2+LP3", D("165.001"))
    assert not floor.desk.state.positions and not floor.children()


def test_a_group_that_keeps_a_part_keeps_all_of_a_cross(floor: Desked) -> None:
    events = floor.deal("mixed1", "1")
    assert [(fill.book, fill.quantity) for fill in only(events, ev.OrderFilled)] == [("B", 1)]
    assert not only(events, ev.ChildOrderCreated)


def test_flow_that_is_only_passed_on_is_refused_a_cross_and_told_why(floor: Desked) -> None:
    (denied,) = only(floor.deal("a1", "1"), ev.OrderDenied)
    ((code, text),) = [(check.code, check.text) for check in denied.verdict.reasons]
    assert (code, text) == ("CROSS", "no venue deals a cross, and this flow is only passed on")
    (denied,) = only(floor.deal("a1", "NaN"), ev.OrderDenied)
    assert "CROSS" not in [check.code for check in denied.verdict.reasons]


def test_flow_that_meets_other_clients_or_a_dealer_may_deal_in_a_cross() -> None:
    meeting = Desked(internal_cross=True)
    limit: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": D("165.000")}
    assert only(meeting.deal("a1", "1", **limit), ev.OrderAccepted)
    events = meeting.deal("b1", "1", Side.SELL, type=OrderType.LIMIT, limit_price=D("165.000"))
    assert {fill.book for fill in only(events, ev.OrderFilled)} == {"CROSS"}
    (closed,) = only(meeting.deal("a1", "1", Side.SELL), ev.OrderFilled)
    assert closed.book == "B", "what was crossed is closed too"
    waits = Desked()
    rule = RoutingRule(name="by hand", priority=1, book_mode=BookMode.A, dealer=DealerWait(timeout_s=10))
    waits.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    assert only(waits.deal("a1", "1"), ev.OrderAccepted)


def test_a_close_is_dealt_even_where_new_flow_is_only_passed_on(floor: Desked) -> None:
    floor.deal("b1", "1")
    group = change(floor.desk.state.groups["b"], book_mode=BookMode.A)
    floor.do(cmd.ConfigureGroup(group=group))
    assert only(floor.deal("b1", "2", Side.SELL), ev.OrderDenied), "a part of it would be new"
    (fill,) = only(floor.deal("b1", "1", Side.SELL), ev.OrderFilled)
    assert (fill.book, fill.quantity) == ("B", 1)
    assert not floor.desk.state.positions


@pytest.mark.parametrize(
    ("side", "kept", "text"),
    [
        (Side.BUY, "0.3", "rule small: no venue deals a cross, 0.70 lots that may not be kept are not filled"),
        (Side.SELL, "1", "rule small: no venue deals a cross, all of it is kept"),
    ],
)
def test_what_a_rule_lets_the_house_not_keep_is_not_filled(floor: Desked, side: Side, kept: str, text: str) -> None:
    rule = RoutingRule(name="small", priority=1, book_mode=BookMode.B, b_net_max_lots=D("1.3"))
    floor.deal("b2", "1")
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    events = floor.deal("b1", "1", side)
    assert sum(fill.quantity for fill in only(events, ev.OrderFilled)) == D(kept)
    assert only(events, ev.OrderAccepted)[0].routing.text == text
    assert bool(only(events, ev.OrderCancelled)) is (kept != "1")
    assert not floor.children()


def test_no_leg_is_sent_even_to_a_venue_that_is_called_as_the_legs_are(floor: Desked) -> None:
    """What stands beside a made level is no venue's name to send to."""
    floor.do(cmd.ConfigureVenue(venue=Venue(name="LP1+LP3", quote_age_ms_max=600_000)))
    rule = RoutingRule(name="small", priority=1, book_mode=BookMode.B, b_net_max_lots=D("0.3"))
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    events = floor.deal("b1", "1")
    assert sum(fill.quantity for fill in only(events, ev.OrderFilled)) == D("0.3")
    assert not only(events, ev.ChildOrderCreated)
    covered = floor.do(cmd.CoverByHand(symbol="EURJPY", side=Side.BUY, quantity=D(1), by="dora", reason="to cover"))
    assert names(covered) == ["CommandRefused"] and not floor.children()


def test_a_cross_is_hedged_in_its_legs(floor: Desked) -> None:
    policy = HedgePolicy(key="EURJPY", symbol="EURJPY", threshold=D(3))
    (refused,) = floor.do(cmd.ConfigureHedging(policy=policy))
    assert isinstance(refused, ev.CommandRefused)
    assert (refused.code, refused.field) == ("POLICY_UNUSABLE", "symbol")


def test_what_a_leg_does_moves_stops_and_limits_of_the_cross(floor: Desked) -> None:
    floor.deal("b1", "1", type=OrderType.STOP, stop_price=D("166.000"))
    floor.deal("b2", "1", type=OrderType.LIMIT, limit_price=D("164.000"))
    assert floor.act() == []
    floor.quote("LP3", "151.000", "151.020", "20", symbol="USDJPY")
    assert [fill.account_id for fill in only(floor.act(), ev.OrderFilled)] == ["b1"]
    floor.quote("LP3", "149.000", "149.020", "20", symbol="USDJPY")
    assert [fill.account_id for fill in only(floor.act(), ev.OrderFilled)] == ["b2"]


def test_a_whole_order_is_kept_whole_or_not_at_all(floor: Desked) -> None:
    (fill,) = only(floor.deal("mixed1", "1", time_in_force=TimeInForce.FOK), ev.OrderFilled)
    assert (fill.book, fill.quantity) == ("B", 1)
    assert not only(floor.deal("mixed1", "9", time_in_force=TimeInForce.FOK), ev.OrderFilled)


def test_a_desk_that_comes_back_prices_its_crosses(floor: Desked) -> None:
    again = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=10))
    for venue, symbol in (("LP1", "EURUSD"), ("LP3", "USDJPY")):
        quote = floor.desk.market.quote_of(venue=venue, symbol=symbol)
        assert quote is not None
        again.quote(quote=quote)
    best = again.market.best(symbol="EURJPY", now_us=floor.now_us)
    assert best and best.ask and best.ask.venue == "LP1+LP3"


@pytest.mark.parametrize(
    ("instrument", "field"),
    [
        (change(EURJPY, cross=made_of("EURCHF", "USDJPY", CrossKind.MULTIPLY)), "cross.first"),
        (change(EURJPY, cross=made_of("EURUSD", "USDCHF", CrossKind.MULTIPLY)), "cross.second"),
        (change(EURJPY, cross=made_of("EURJPY", "USDJPY", CrossKind.MULTIPLY)), "cross.first"),
        (change(EURJPY, cross=made_of("EURUSD", "EURJPY", CrossKind.MULTIPLY)), "cross.second"),
        (change(EURJPY, cross=made_of("EURGBP", "USDJPY", CrossKind.MULTIPLY)), "cross.first"),
        (change(EURJPY, cross=made_of("GBPUSD", "USDJPY", CrossKind.MULTIPLY)), "cross.first"),
        (change(EURJPY, cross=made_of("EURUSD", "GBPUSD", CrossKind.MULTIPLY)), "cross.second"),
        (change(EURJPY, cross=made_of("EURUSD", "USDJPY", CrossKind.DIVIDE)), "cross.second"),
        (change(EURGBP, cross=made_of("EURUSD", "GBPUSD", CrossKind.MULTIPLY)), "cross.second"),
        (pair("EURUSX", base="EUR", quote="JPY", cross=made_of("OPTION", "USDJPY", CrossKind.MULTIPLY)), "cross.first"),
        (change(EURUSD, quote="CHF"), "symbol"),
        (change(USDJPY, base="CHF"), "symbol"),
        (change(EURUSD, cross=made_of("EURGBP", "GBPUSD", CrossKind.MULTIPLY)), "cross.first"),
        (change(GBPUSD, cross=made_of("GBPNZD", "NZDUSD", CrossKind.MULTIPLY)), "symbol"),
    ],
)
def test_a_cross_whose_legs_do_not_fit_is_refused_and_so_is_a_leg_that_would_not(
    floor: Desked, instrument: Instrument, field: str
) -> None:
    option = OptionTerms(underlying="EURUSD", kind=OptionKind.CALL, strike=D(1), expires_at_us=1)
    for each in (pair("OPTION", base="EUR", quote="USD", option=option), pair("GBPNZD"), pair("NZDUSD")):
        floor.do(cmd.ConfigureInstrument(instrument=each))
    (refused,) = floor.do(cmd.ConfigureInstrument(instrument=instrument))
    assert isinstance(refused, ev.CommandRefused)
    assert (refused.code, refused.field) == ("CROSS_UNUSABLE", field)


def test_an_option_is_no_cross_and_a_leg_changes_what_crosses_do_not_ask_of_it(floor: Desked) -> None:
    option = OptionTerms(underlying="EURUSD", kind=OptionKind.CALL, strike=D(1), expires_at_us=1)
    (refused,) = floor.do(cmd.ConfigureInstrument(instrument=change(EURJPY, option=option)))
    assert isinstance(refused, ev.CommandRefused) and refused.field == "cross"
    dearer = change(EURUSD, margin_percent=D(5))
    assert names(floor.do(cmd.ConfigureInstrument(instrument=dearer))) == ["InstrumentConfigured"]


def test_what_a_symbol_is_made_of_stays_while_positions_are_open(floor: Desked) -> None:
    floor.deal("b1", "1")
    (refused,) = floor.do(cmd.ConfigureInstrument(instrument=change(EURJPY, cross=None)))
    assert isinstance(refused, ev.CommandRefused)
    assert (refused.code, refused.field) == ("POSITIONS_OPEN", "cross")
    floor.deal("b1", "1", Side.SELL)
    assert names(floor.do(cmd.ConfigureInstrument(instrument=change(EURJPY, cross=None)))) == ["InstrumentConfigured"]
    assert floor.desk.market.best(symbol="EURJPY", now_us=floor.now_us) is None


def test_a_row_of_the_log_from_before_there_were_crosses_is_read(floor: Desked) -> None:
    told = msgspec.to_builtins(ev.InstrumentConfigured(instrument=EURUSD))
    del told["instrument"]["cross"]
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=ev.InstrumentConfigured)
    assert read.instrument == EURUSD


def test_a_group_may_be_told_of_a_cross_that_nobody_quotes(floor: Desked) -> None:
    floor.desk.market.withdraw(venue="LP3")
    floor.do(cmd.ConfigureGroup(group=Group(name="new", book_mode=BookMode.B)))
    asked = OrderTerms(account_id="b1", symbol="EURJPY", side=Side.BUY, quantity=D(1))
    assert only(floor.do(cmd.PlaceOrder(terms=asked)), ev.OrderDenied)
