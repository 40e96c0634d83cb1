"""The margin cases G1 to G20 as somebody outside would try them: by commands to a desk, to the cent."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_CEILING
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import Account, ClientCategory, PositionMode
from piggy.core.conversion import Touch, conversion
from piggy.core.desk import Desk
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.money import round_money
from piggy.core.orders import OrderTerms, Side
from piggy.core.swaps import SwapRates
from piggy.messaging import codec
from tests.core.floor import CLEARED, EURUSD, SECOND_US, Floor, canonical, names, only


def instrument(
    symbol: str, asset_class: AssetClass, *, quote: str = "USD", size: int = 1, digits: int = 2
) -> Instrument:
    return Instrument(
        symbol=symbol,
        asset_class=asset_class,
        base=symbol[:3],
        quote=quote,
        contract_size=D(size),
        price_digits=digits,
        tick_size=D(1).scaleb(-digits),
        margin_percent=D(0),
    )


EURNOK = instrument("EURNOK", AssetClass.FX_MINOR, quote="NOK", size=100_000, digits=5)
USDJPY = instrument("USDJPY", AssetClass.FX_MAJOR, quote="JPY", size=100_000, digits=3)
GBPUSD = instrument("GBPUSD", AssetClass.FX_MAJOR, size=100_000, digits=5)
GOLD = instrument("XAUUSD", AssetClass.GOLD)
DAX = instrument("DAX", AssetClass.INDEX_MAJOR, quote="EUR")
IBEX = instrument("IBEX", AssetClass.INDEX_MINOR, quote="EUR")
BRENT = instrument("BRENT", AssetClass.COMMODITY)
SHARE = instrument("ACME", AssetClass.SHARE)
BITCOIN = instrument("BTCUSD", AssetClass.CRYPTO)
INDEX = instrument("US500", AssetClass.INDEX_MAJOR)


def floor_of(*instruments: Instrument, **group: Any) -> Floor:
    """A floor without markups that lends more than any regulator lets it."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0, leverage_max=D(500), **group)
    for each in instruments:
        floor.do(cmd.ConfigureInstrument(instrument=each))
        floor.do(cmd.RecordDailyVolume(symbol=each.symbol, business_date=date(2023, 11, 13), lots=D(100_000)))
    return floor


def account(floor: Floor, amount: str, *, name: str = "client", currency: str = "USD", **more: Any) -> None:
    floor.do(
        cmd.ConfigureAccount(
            account=Account(account_id=name, group="b", owner_id="o", currency=currency, **more), clearance=CLEARED
        )
    )
    floor.do(cmd.CreditAccount(account_id=name, amount=D(amount), reference=name))


def say(floor: Floor, symbol: str, bid: str, ask: str) -> None:
    """Quote until it is believed, whatever was true before."""
    for _ in range(6):
        floor.quote("LP1", bid, ask, size="1000", symbol=symbol)


def buy(floor: Floor, symbol: str, lots: str, name: str = "client", side: Side = Side.BUY, **more: Any) -> Any:
    floor.now_us += 2 * SECOND_US
    for each in floor.desk.state.instruments:
        if quote := floor.desk.market.quote_of(venue="LP1", symbol=each):
            floor.quote("LP1", str(quote.bids[0].price), str(quote.asks[0].price), size="1000", symbol=each)
    return floor.do(
        cmd.PlaceOrder(terms=OrderTerms(account_id=name, symbol=symbol, side=side, quantity=D(lots), **more))
    )


def funds(floor: Floor, name: str = "client") -> Any:
    return floor.desk.moment(now_us=floor.now_us).funds(name)


@pytest.mark.parametrize(
    ("traded", "lots", "bid", "ask", "currency", "initial"),
    [
        pytest.param(EURUSD, "1", "1.09999", "1.10000", "USD", "3663.00", id="G1"),
        pytest.param(EURNOK, "1", "11.49999", "11.50000", "EUR", "5000.00", id="G2"),
        pytest.param(GOLD, "10", "1999.99", "2000.00", "USD", "1000.00", id="G3"),
        pytest.param(DAX, "1", "17999.99", "18000.00", "EUR", "900.00", id="G4 DAX"),
        pytest.param(IBEX, "1", "10999.99", "11000.00", "EUR", "1100.00", id="G4 IBEX"),
        pytest.param(BRENT, "100", "79.99", "80.00", "USD", "800.00", id="G5"),
        pytest.param(SHARE, "100", "149.99", "150.00", "USD", "3000.00", id="G6"),
        pytest.param(BITCOIN, "1", "59999.99", "60000.00", "USD", "30000.00", id="G7"),
    ],
)
def test_g1_to_g7_the_initial_margin_is_enough_to_the_cent(
    traded: Instrument, lots: str, bid: str, ask: str, currency: str, initial: str
) -> None:
    """G1 to G7: what is bound is the figure, whoever has it opens, and a cent less is refused."""
    for amount, refused in ((D(initial), []), (D(initial) - D("0.01"), ["P-17"])):
        floor = floor_of(traded)
        account(floor, str(amount), currency=currency)
        for venue in ("LP2", "LP3"):
            floor.desk.market.withdraw(venue=venue)
        say(floor, traded.symbol, bid, ask)
        first, *_ = buy(floor, traded.symbol, lots)
        if refused:
            assert isinstance(first, ev.OrderDenied)
            assert [check.code for check in first.verdict.reasons] == refused
        else:
            assert first.margin_reserved == funds(floor).used_margin == D(initial)


@pytest.mark.parametrize(
    ("side", "unit"), [(Side.BUY, "110003.00"), (Side.SELL, "109997.00")], ids=["ask and 3 points", "bid less 2 points"]
)
def test_g1_what_a_group_adds_to_the_price_is_margined_before_it_is_dealt(side: Side, unit: str) -> None:
    """G1, P-17: a market order binds what its fill will, so that a cent less than that is refused."""
    needed = (D(unit) * D("3.33") / 100).quantize(D("0.01"), rounding=ROUND_CEILING)
    for amount, passes in ((needed, True), (needed - D("0.01"), False)):
        floor = Floor()
        account(floor, str(amount))
        for venue in ("LP2", "LP3"):
            floor.desk.market.withdraw(venue=venue)
        say(floor, "EURUSD", "1.09999", "1.10000")
        first, *rest = buy(floor, "EURUSD", "1", side=side)
        assert isinstance(first, ev.OrderAccepted) is passes
        if passes:
            assert abs(first.margin_reserved - needed) <= D("0.01")
            assert abs(funds(floor).used_margin - needed) < D("0.01") and len(rest) == 1


@pytest.mark.parametrize(
    ("bid", "equity", "closes", "closes_inclusive"),
    [("15400.01", "400.01", False, False), ("15400.00", "400.00", False, True), ("15399.99", "399.99", True, True)],
)
@pytest.mark.parametrize("inclusive", [False, True])
def test_g8_g9_g10_half_of_the_margin_is_the_bar_and_nothing_of_another_account_counts(
    bid: str, equity: str, closes: bool, closes_inclusive: bool, inclusive: bool
) -> None:
    """G8: cash 1,000 and margin 800. G9: of two positions, one behind a stop, both count. G10: 10,000 elsewhere."""
    floor = floor_of(INDEX, stop_out_inclusive=inclusive)
    account(floor, "1000", position_mode=PositionMode.HEDGING)
    account(floor, "10000", name="second")
    say(floor, "US500", "15999.99", "16000.00")
    buy(floor, "US500", "0.5", stop_loss=D("15000.00"))
    buy(floor, "US500", "0.5")
    assert funds(floor).used_margin == 800
    say(floor, "US500", bid, str(D(bid) + D("0.01")))
    assert funds(floor).equity == D(equity)
    assert bool(only(floor.act(), ev.StoppedOut)) is (closes_inclusive if inclusive else closes)
    assert funds(floor, "second").equity == 10_000


@pytest.mark.parametrize(("price", "closed"), [("3.50", False), ("3.49", True)])
def test_g8_margin_of_a_single_dollar_has_a_level_too(price: str, closed: bool) -> None:
    """G8: a share at 5.00 binds 1.00, of 2.00 that are there; 1.50 lower half of it is left."""
    floor = floor_of(SHARE)
    account(floor, "2.00")
    say(floor, "ACME", "5.00", "5.00")
    buy(floor, "ACME", "1")
    assert funds(floor).used_margin == 1
    say(floor, "ACME", price, price)
    assert bool(only(floor.act(), ev.StoppedOut)) is closed


def test_g11_a_gap_past_the_cash_is_made_good_once_in_the_ledger_and_after_a_crash() -> None:
    """G11: cash 1,000, loss 1,250 at the fill: balance 0.00, 250.00 from the house. G12: 5,000 elsewhere stay there."""
    floor = floor_of(INDEX)
    account(floor, "1000")
    account(floor, "5000", name="wallet")
    begun = len(floor.log)
    say(floor, "US500", "15999.99", "16000.00")
    buy(floor, "US500", "1")
    say(floor, "US500", "14750.00", "14750.01")
    events = floor.act()
    assert only(events, ev.OrderFilled)[0].realised == D("-1250.00")
    (written,) = only(events, ev.NegativeBalanceWrittenOff)
    assert (written.amount, floor.desk.state.balances["client"]) == (D("250.00"), 0)
    lines = {line.gl_account: line.amount for line in ledger.postings(event=written, currency="USD")}
    assert lines == {ledger.NEGATIVE_BALANCES: D("250.00"), ledger.CLIENT_MONEY: D("-250.00")}
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)
    floor.desk = again
    say(floor, "US500", "14700.00", "14700.01")
    assert floor.act() == [] and floor.desk.state.balances["client"] == 0
    assert floor.desk.state.balances["wallet"] == 5_000, "the same owner's"
    moved = (ledger.postings(event=recorded.event, currency="USD") for recorded in floor.log[begun:])
    assert {line.owner for lines in moved for line in lines if line.gl_account == ledger.CLIENT_MONEY} == {"client"}


def test_g13_g14_a_change_of_class_counts_for_new_orders_both_ways_and_is_in_the_log() -> None:
    floor = floor_of()
    account(floor, "10000")

    def become(category: ClientCategory) -> None:
        known = floor.desk.state.accounts["client"]
        changed = msgspec.structs.replace(
            known, category=category, category_evidence="statement 12", category_evidenced_on=date(2023, 11, 1)
        )
        assert names(floor.do(cmd.ConfigureAccount(account=changed))) == ["AccountConfigured"]

    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, margin_percent=D(1))))
    say(floor, "EURUSD", "1.09999", "1.10000")
    for venue in ("LP2", "LP3"):
        floor.desk.market.withdraw(venue=venue)
    bound = []
    for category in (ClientCategory.RETAIL, ClientCategory.PROFESSIONAL, ClientCategory.RETAIL):
        become(category)
        before = funds(floor).used_margin
        assert funds(floor).used_margin == sum(bound), "what is open stays as it was opened"
        buy(floor, "EURUSD", "1")
        bound.append(funds(floor).used_margin - before)
    assert bound == [D("3663.00"), D("1100.00"), D("3663.00")]
    told = only([recorded.event for recorded in floor.log], ev.AccountConfigured)[-1].account
    assert (told.category_evidence, told.category_evidenced_on) == ("statement 12", date(2023, 11, 1))


def test_g17_the_largest_loss_goes_first_and_closing_stops_where_half_is_reached() -> None:
    """G17: in steps, each looked at anew; what is left open is as much as the rule lets be."""
    floor = floor_of(INDEX)
    account(floor, "1000", position_mode=PositionMode.HEDGING)
    say(floor, "US500", "15999.99", "16000.00")
    buy(floor, "US500", "0.4")
    say(floor, "US500", "16099.99", "16100.00")
    buy(floor, "US500", "0.6")
    say(floor, "US500", "15300.00", "15300.01")
    before = funds(floor)
    events = floor.act()
    (stopped,) = only(events, ev.StoppedOut)
    assert stopped.positions == ("O000000002",), "480.00 lost of 0.6, 280.00 of 0.4"
    (fill,) = only(events, ev.OrderFilled)
    after = funds(floor)
    assert after.equity == before.equity == D("240.00")
    assert after.level_percent is not None and after.level_percent >= 50
    per_lot = D(16_100) * 5 / 100
    assert (after.used_margin + per_lot * INDEX.lot_step) / 2 > after.equity, "a step less was not enough"
    assert D(0) < fill.quantity < D("0.6") and floor.act() == []


def test_g19_whoever_comes_first_closes_and_nobody_closes_twice() -> None:
    """G19: the client's close and the stop-out at the same tick, in either order."""
    for client_first in (True, False):
        floor = floor_of(INDEX)
        account(floor, "1000")
        say(floor, "US500", "15999.99", "16000.00")
        buy(floor, "US500", "1")
        say(floor, "US500", "15000.00", "15000.01")
        if not client_first:
            floor.act()
        events = buy(floor, "US500", "1", side=Side.SELL, reduce_only=True)
        events += floor.act()
        closed = [recorded.event for recorded in floor.log if isinstance(recorded.event, ev.OrderFilled)][1:]
        assert sum(fill.quantity for fill in closed) == 1 and {fill.side for fill in closed} == {Side.SELL}
        assert floor.desk.state.positions == {}
        assert bool(only(events, ev.OrderDenied)) is not client_first


def test_g20_rate_time_and_side_of_a_conversion_are_in_the_fill_and_a_rerun_is_exact() -> None:
    """G20: an account in pounds, a loss in yen through the dollar; the night's charge keeps its quotes too."""
    floor = floor_of(USDJPY, GBPUSD)
    account(floor, "10000", currency="GBP")
    say(floor, "USDJPY", "150.000", "150.020")
    say(floor, "GBPUSD", "1.25000", "1.25040")
    buy(floor, "USDJPY", "1")
    say(floor, "USDJPY", "149.500", "149.520")
    (fill,) = only(buy(floor, "USDJPY", "1", side=Side.SELL), ev.OrderFilled)
    assert fill.realised_quote == D("-52000.000")
    assert [(leg.symbol, leg.side, leg.price, leg.at_us) for leg in fill.conversion] == [
        ("USDJPY", "bid", D("149.500"), floor.now_us),
        ("GBPUSD", "bid", D("1.25000"), floor.now_us),
    ]
    kept = codec.decode_event(codec.encode(fill))
    stored = {leg.symbol: Touch(leg.price, leg.price, leg.at_us) for leg in kept.conversion}
    pairs = {("USD", "JPY"): "USDJPY", ("GBP", "USD"): "GBPUSD"}
    again = conversion(source="JPY", target="GBP", gain=False, pairs=pairs, quotes=stored.get)
    assert again is not None and again.rate == kept.conversion_rate
    assert round_money(amount=kept.realised_quote * again.rate, currency="GBP") == kept.realised == D("-278.26")
    floor.do(cmd.ConfigureSwaps(rates=SwapRates(symbol="USDJPY", long=D(-7), short=D(2))))
    buy(floor, "USDJPY", "1")
    floor.now_us += 86_400 * SECOND_US
    (night,) = only(floor.act(), ev.SwapCharged)
    assert [(leg.symbol, leg.side) for leg in night.conversion] == [("USDJPY", "bid"), ("GBPUSD", "bid")]
    assert night.conversion_rate == again.rate and all(leg.at_us < floor.now_us for leg in night.conversion)


def test_g20_money_of_the_accounts_own_currency_is_converted_by_nothing() -> None:
    floor = floor_of()
    account(floor, "10000")
    (fill,) = only(buy(floor, "EURUSD", "0.1"), ev.OrderFilled)
    assert (fill.conversion_rate, fill.conversion) == (1, ())
