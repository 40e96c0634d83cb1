"""Exposure kept up fill by fill equals exposure counted from nothing."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from piggy.core.exposure import ExposureBook, SymbolExposure, currency_legs, notional
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.orders import Side
from piggy.core.positions import filled

fills = st.tuples(
    st.sampled_from(["a1", "a2", "a3"]),
    st.sampled_from(["EURUSD", "USDJPY"]),
    st.sampled_from(Side),
    st.integers(1, 500),
    st.sampled_from(["A", "B", "CROSS"]),
)


def eurusd() -> Instrument:
    return Instrument(
        symbol="EURUSD",
        asset_class=AssetClass.FX_MAJOR,
        base="EUR",
        quote="USD",
        contract_size=D(100_000),
        price_digits=5,
        tick_size=D("0.00001"),
    )


@given(st.lists(fills, max_size=30))
def test_incremental_exposure_equals_a_recount(history):
    book, positions = ExposureBook(), {}
    for account, symbol, side, quantity, where in history:
        before = positions.get((account, symbol))
        after = filled(
            position=before, side=side, quantity=D(quantity), price=D("1.1"), contract_size=D(1), book=where
        ).position
        positions[account, symbol] = after
        book.moved(symbol=symbol, group=account[:1], before=before, after=after)
    for symbol, exposure in book.symbols.items():
        recount = SymbolExposure()
        for (_, name), position in positions.items():
            if name == symbol:
                recount.count(position=position, times=1)
        assert exposure == recount
        assert exposure.client_net == exposure.a_net + exposure.b_net + exposure.cross_net
        assert book.group_symbols(group="a")[symbol] == exposure
    assert book.group_symbols(group="z") == {}


def test_vwaps_are_those_of_the_clients_on_each_side():
    exposure = SymbolExposure()
    assert (exposure.long_vwap, exposure.short_vwap) == (None, None)
    for side, quantity, price in ((Side.BUY, 1, "1.0"), (Side.BUY, 3, "1.2"), (Side.SELL, 2, "1.4")):
        fold = filled(position=None, side=side, quantity=D(quantity), price=D(price), contract_size=D(1))
        exposure.count(position=fold.position, times=1)
    assert (exposure.long_vwap, exposure.short_vwap) == (D("1.15"), D("1.4"))
    assert (exposure.gross, exposure.client_net, exposure.positions) == (D(6), D(2), 3)


def test_an_order_in_doubt_counts_whichever_way_is_worse():
    book = ExposureBook()
    long = filled(position=None, side=Side.BUY, quantity=D(10), price=D(1), contract_size=D(1)).position
    book.moved(symbol="EURUSD", group="g", before=None, after=long)
    book.covered(symbol="EURUSD", side=Side.BUY, quantity=D(6))
    exposure = book.symbols["EURUSD"]
    assert (exposure.uncovered, exposure.uncovered_worst) == (D(4), D(4))
    book.doubted(symbol="EURUSD", side=Side.BUY, quantity=D(3))
    assert exposure.uncovered_worst == D(4)
    book.doubted(symbol="EURUSD", side=Side.BUY, quantity=D(9))
    assert exposure.uncovered_worst == D(-8)
    book.doubted(symbol="EURUSD", side=Side.SELL, quantity=D(5))
    assert exposure.uncovered_worst == D(9)
    book.doubted(symbol="EURUSD", side=Side.SELL, quantity=D(-5))
    book.doubted(symbol="EURUSD", side=Side.BUY, quantity=D(-12))
    assert exposure.uncovered_worst == D(4)


def test_currency_legs_say_what_the_house_is_long_and_short():
    book = ExposureBook()
    long = filled(position=None, side=Side.BUY, quantity=D(2), price=D(1), contract_size=D(1)).position
    book.moved(symbol="EURUSD", group="g", before=None, after=long)
    instruments = {"EURUSD": eurusd()}
    legs = currency_legs(exposures=book.symbols, instruments=instruments, mids=lambda symbol: D("1.1"))
    assert legs == {"EUR": D(200_000), "USD": D(-220_000)}
    assert currency_legs(exposures=book.symbols, instruments=instruments, mids=lambda symbol: None) == {
        "EUR": D(200_000)
    }
    book.covered(symbol="EURUSD", side=Side.BUY, quantity=D(2))
    assert currency_legs(exposures=book.symbols, instruments=instruments, mids=lambda symbol: D("1.1")) == {}


def test_notional_is_the_clients_gross_or_the_houses_open_risk():
    exposure = SymbolExposure(client_long=D(5), client_short=D(2), venue_net=D(-1))
    pairs = [(exposure, D(110_000))]
    assert notional(pairs=pairs, gross=True) == D(770_000)
    assert notional(pairs=pairs, gross=False) == D(440_000)
