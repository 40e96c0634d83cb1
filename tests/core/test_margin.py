"""What positions and orders bind: netting, hedging, tiers, news, working orders, what-if."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core.accounts import Account, Group
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.leverage_rules import ESMA_2018, percent_of_leverage
from piggy.core.margin import (
    Holding,
    MarginTerms,
    MarginTier,
    NewsWindow,
    account_margin,
    holding_of,
    lot_value,
    margin_terms,
    new_net_lots,
    news_window,
    reaches,
    required_for,
    symbol_margin,
)
from piggy.core.orders import Side
from piggy.core.positions import filled

TERMS = MarginTerms(percent=D(5))
VALUE = D(1000)
lots = st.integers(0, 1_000).map(lambda n: D(n) / 100)
holdings = st.builds(Holding, long_lots=lots, short_lots=lots, buy_working=lots, sell_working=lots).map(
    lambda h: msgspec.structs.replace(
        h, long_weight=h.long_lots * TERMS.percent, short_weight=h.short_lots * TERMS.percent
    )
)


def long(quantity: str) -> Holding:
    return Holding(long_lots=D(quantity), long_weight=D(quantity) * 5)


def margin(holding: Holding, terms: MarginTerms = TERMS) -> D:
    return symbol_margin(holding=holding, terms=terms, lot_value=VALUE)


def test_nothing_binds_nothing():
    assert margin(Holding()) == 0


def test_opposite_positions_bind_their_net_and_the_hedged_share():
    hedged = Holding(long_lots=D(3), long_weight=D(15), short_lots=D(1), short_weight=D(5))
    assert margin(hedged) == D(100)
    assert margin(hedged, MarginTerms(percent=D(5), hedged_ratio=D("0.5"))) == D(125)
    turned = Holding(long_lots=D(1), long_weight=D(5), short_lots=D(3), short_weight=D(15))
    assert margin(turned) == D(100)
    dearer = Holding(long_lots=D(3), long_weight=D(15), short_lots=D(1), short_weight=D(9))
    assert margin(dearer, MarginTerms(percent=D(5), hedged_ratio=D(1))) == D(190), "the dearer side's weight is hedged"
    even = Holding(long_lots=D(2), long_weight=D(10), short_lots=D(2), short_weight=D(10))
    assert margin(even) == 0


def test_working_orders_count_as_filled_the_dearer_way():
    """P-17."""
    both = Holding(long_lots=D(1), long_weight=D(5), buy_working=D(2), sell_working=D(5))
    assert margin(both) == D(200), "five sold against one held leaves four short"
    assert margin(msgspec.structs.replace(both, sell_working=D(1))) == D(150)
    assert margin(Holding(long_lots=D(4), long_weight=D(20), sell_working=D(4))) == D(200), "a close may not fill"


def test_positions_of_a_hedging_account_are_summed_by_side():
    def fold(side, quantity):
        return filled(
            position=None, side=side, quantity=D(quantity), price=D(1), contract_size=D(1), margin_percent=D(5)
        ).position

    holding = holding_of(positions=[fold(Side.BUY, 3), fold(Side.SELL, 1), fold(Side.SELL, 1)], sell_working=D(2))
    assert holding == Holding(long_lots=D(3), long_weight=D(15), short_lots=D(2), short_weight=D(10), sell_working=D(2))


def test_tiers_charge_only_what_reaches_into_them():
    tiers = (MarginTier(above=D(5000), percent=D(20)), MarginTier(above=D(2000), percent=D(10)))
    terms = MarginTerms(percent=D(5), tiers=tiers)
    assert margin(long("2"), terms) == D(100)
    assert margin(long("5"), terms) == D(100 + 300)
    assert margin(long("6"), terms) == D(100 + 300 + 200)
    by_lots = MarginTerms(percent=D(5), tiers=(MarginTier(above=D(2), percent=D(10)),), tier_basis="lots")
    assert margin(long("3"), by_lots) == D(200)
    cheaper = MarginTerms(percent=D(5), tiers=(MarginTier(above=D(1), percent=D(4)),))
    assert margin(long("3"), cheaper) == D(150), "a tier below the base takes nothing away"
    of_nothing = symbol_margin(holding=long("3"), terms=terms, lot_value=D(0))
    assert of_nothing == 0, "what is worth nothing reaches into no band"


@pytest.mark.parametrize(("opened_at", "banded", "taxed"), [("2", 340, 1000), ("5", 400, 1000), ("12", 600, 1000)])
def test_bands_and_windows_ask_no_more_than_theirs_of_what_was_opened_under_other_settings(opened_at, banded, taxed):
    """Three of five lots reach into a band of 10 percent, or all five into a window of 20; both were put on top."""
    held = Holding(long_lots=D(5), long_weight=5 * D(opened_at))
    assert margin(held, MarginTerms(percent=D(5), tiers=(MarginTier(above=D(2000), percent=D(10)),))) == D(banded)
    assert margin(msgspec.structs.replace(held, news_lots=D(5), news_percent=D(20)), MarginTerms(percent=D(5))) == taxed
    less = msgspec.structs.replace(held, short_lots=D(4), short_weight=D(20), news_lots=D(1), news_percent=D(20))
    assert margin(less, MarginTerms(percent=D(5))) == 200, "one lot is left of five against four"


def test_a_news_window_taxes_only_new_net_volume():
    window = NewsWindow(symbol="EURUSD", from_us=100, until_us=200, percent=D(20))
    wider = NewsWindow(symbol="EURUSD", from_us=150, until_us=160, percent=D(30))

    def find(at_us, symbol="EURUSD"):
        return news_window(windows=[window, wider], symbol=symbol, at_us=at_us)

    assert [find(99), find(100), find(150), find(199), find(200), find(150, "GBPUSD")] == [
        None,
        window,
        wider,
        window,
        None,
        None,
    ]
    old = filled(position=None, side=Side.BUY, quantity=D(2), price=D(1), contract_size=D(1), margin_percent=D(5))
    lots = new_net_lots(net_before=D(2), net_after=D(3))
    new = filled(
        position=old.position,
        side=Side.BUY,
        quantity=D(1),
        price=D(1),
        contract_size=D(1),
        margin_percent=D(5),
        news_lots=lots,
        news_percent=window.percent,
        news_until_us=window.until_us,
    )
    assert margin(holding_of(positions=[new.position], now_us=199)) == D(300), "two lots at 5 %, one at 20 %"
    assert margin(holding_of(positions=[new.position], now_us=200)) == D(150), "and after the window all at 5 %"


@pytest.mark.parametrize(
    ("before", "after", "lots"), [(2, 3, 1), (-2, -3, 1), (3, 2, 0), (2, -1, 1), (-1, 4, 4), (0, 2, 2), (2, 2, 0)]
)
def test_only_growth_of_the_net_is_new_net_volume(before, after, lots):
    assert new_net_lots(net_before=D(before), net_after=D(after)) == D(lots)


def test_what_if_says_what_an_order_would_bind():
    def needed(holding, side, quantity, news="0"):
        return required_for(
            holding=holding, terms=TERMS, lot_value=VALUE, side=side, quantity=D(quantity), news_percent=D(news)
        )

    assert needed(Holding(), Side.BUY, "1") == D(50)
    assert needed(long("2"), Side.SELL, "2") == 0
    assert needed(long("2"), Side.SELL, "5") == D(50), "three short instead of two long"
    assert needed(long("2"), Side.BUY, "1", "20") == D(200), "the new lot pays the window's percent"
    assert needed(long("2"), Side.SELL, "1", "20") == 0


def test_an_account_in_the_base_currency_needs_no_price():
    instrument = Instrument(
        symbol="EURUSD",
        asset_class=AssetClass.FX_MAJOR,
        base="EUR",
        quote="USD",
        contract_size=D(100_000),
        price_digits=5,
        tick_size=D("0.00001"),
    )

    def value(currency, rate):
        return lot_value(instrument=instrument, price=D("1.1"), rate=D(rate), account_currency=currency)

    assert value("EUR", "0.9") == D(100_000)
    assert value("GBP", "0.8") == D(88_000)


@pytest.mark.parametrize(
    ("own", "leverage", "expected"), [("7", "30", "7"), ("1", "10", "10.00"), ("1", "500", "3.33")]
)
def test_the_dearest_of_instrument_group_and_regulator_holds(own, leverage, expected):
    instrument = Instrument(
        symbol="EURUSD",
        asset_class=AssetClass.FX_MAJOR,
        base="EUR",
        quote="USD",
        contract_size=D(1),
        price_digits=5,
        tick_size=D("0.00001"),
        margin_percent=D(own),
    )
    terms = margin_terms(
        instrument=instrument,
        account=Account(account_id="a", group="g", owner_id="o", currency="USD"),
        group=Group(name="g", leverage_max=D(leverage)),
        rules=ESMA_2018,
        hedged_ratio=D("0.5"),
    )
    assert (terms.percent, terms.hedged_ratio) == (D(expected), D("0.5"))


def test_leverage_is_written_as_regulators_write_it():
    assert [percent_of_leverage(leverage=D(n)) for n in (30, 20, 10, 5, 2)] == [
        D("3.33"),
        D("5.00"),
        D("10.00"),
        D("20.00"),
        D("50.00"),
    ]


def test_an_account_is_rounded_once_and_has_no_level_while_nothing_is_used():
    found = account_margin(balance=D(1000), credit=D(50), floating=D("-0.005"), used=D("100.005"), currency="USD")
    assert (found.equity, found.used, found.free) == (D("1050.00"), D("100.00"), D("950.00"))
    assert (found.maintenance, found.level_percent) == (D("50.00"), D(1050))
    idle = [account_margin(balance=D(each), floating=D(0), used=D(0), currency="USD") for each in ("0", "-0.01")]
    assert [each.level_percent for each in idle] == [None, None]
    assert [reaches(margin=each, level_percent=D(50), inclusive=True) for each in idle] == [False, True]


@given(holdings, st.sampled_from(Side), lots)
def test_what_if_is_the_difference_it_makes(holding, side, quantity):
    field = "buy_working" if side is Side.BUY else "sell_working"
    after = msgspec.structs.replace(holding, **{field: getattr(holding, field) + quantity})
    needed = required_for(holding=holding, terms=TERMS, lot_value=VALUE, side=side, quantity=quantity)
    assert needed == max(D(0), margin(after) - margin(holding))
    assert needed <= quantity * TERMS.percent * VALUE / 100, "never more than the order alone"


@given(holdings)
def test_margin_is_that_of_the_worst_outcome_of_the_working_orders(holding):
    nets = [
        holding.long_lots + bought - holding.short_lots - sold
        for bought in (0, holding.buy_working)
        for sold in (0, holding.sell_working)
        if not (bought and sold)
    ]
    assert margin(holding) == pytest.approx(max(abs(net) for net in nets) * 5 * VALUE / 100)
