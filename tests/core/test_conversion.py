"""Conversion is off live quotes, on the side that flatters nobody, and says what it was made of."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from piggy.core.conversion import Touch, conversion, currency_pairs
from piggy.core.instruments import AssetClass, Instrument

BOOK = {
    "EURUSD": Touch(D("1.1000"), D("1.1002"), 30),
    "GBPUSD": Touch(D("1.2500"), D("1.2504"), 20),
    "USDJPY": Touch(D("150.00"), D("150.02"), 10),
}


def instrument(symbol: str, asset_class: AssetClass = AssetClass.FX_MAJOR) -> Instrument:
    return Instrument(
        symbol=symbol,
        asset_class=asset_class,
        base=symbol[:3],
        quote=symbol[3:6],
        contract_size=D(100_000),
        price_digits=5,
        tick_size=D("0.00001"),
    )


PAIRS = currency_pairs(instruments=[instrument(name) for name in ("EURUSD", "GBPUSD", "USDJPY")])


def rate(source: str, target: str, *, gain: bool = True, quotes=BOOK.get):
    return conversion(source=source, target=target, gain=gain, pairs=PAIRS, quotes=quotes)


def test_only_currency_pairs_convert_and_the_first_of_two_wins():
    pairs = currency_pairs(
        instruments=[instrument("EURUSD"), instrument("EURUSD.r"), instrument("XAUUSD", AssetClass.GOLD)]
    )
    assert pairs == {("EUR", "USD"): "EURUSD"}


def test_the_same_currency_is_one_to_one_and_made_of_nothing():
    found = rate("USD", "USD")
    assert (found.rate, found.legs) == (D(1), ())


def test_a_gain_is_sold_at_the_bid_and_a_loss_bought_at_the_ask():
    gain, loss = rate("EUR", "USD"), rate("EUR", "USD", gain=False)
    assert (gain.rate, gain.legs[0].side, gain.at_us) == (D("1.1"), "bid", 30)
    assert (loss.rate, loss.legs[0].side) == (D("1.1002"), "ask")


def test_an_inverse_pair_is_used_upside_down():
    gain, loss = rate("JPY", "USD"), rate("JPY", "USD", gain=False)
    assert gain.rate == round(1 / D("150.02"), 12)
    assert loss.rate == round(1 / D("150.00"), 12)
    assert (gain.legs[0].side, loss.legs[0].side) == ("ask", "bid")


def test_a_cross_goes_through_the_dollar_and_is_as_old_as_its_older_leg():
    """G-20: a GBP account's JPY profit: rate, sides and times are stored, and a re-run is exact."""
    found = rate("JPY", "GBP")
    assert found.rate == round(1 / D("150.02") / D("1.2504"), 12)
    assert [(leg.symbol, leg.side, leg.price, leg.at_us) for leg in found.legs] == [
        ("USDJPY", "ask", D("150.02"), 10),
        ("GBPUSD", "ask", D("1.2504"), 20),
    ]
    assert found.at_us == 10
    stored = {leg.symbol: BOOK[leg.symbol] for leg in found.legs}
    assert rate("JPY", "GBP", quotes=stored.get) == found


def test_without_a_live_path_there_is_no_rate():
    assert rate("USD", "XXX") is None
    assert rate("XXX", "USD") is None
    assert rate("JPY", "XXX") is None
    assert rate("XXX", "JPY") is None
    assert rate("EUR", "USD", quotes=lambda symbol: None) is None
    assert rate("USD", "EUR", quotes=lambda symbol: None) is None


@given(st.sampled_from(["EUR", "GBP", "JPY", "USD"]), st.sampled_from(["EUR", "GBP", "JPY", "USD"]))
def test_a_loss_never_costs_less_than_a_gain_brings(source, target):
    assert rate(source, target, gain=False).rate >= rate(source, target, gain=True).rate


def test_money_of_the_accounts_own_currency_needs_no_rate_of_any_time():
    same = conversion(source="USD", target="USD", gain=True, pairs={}, quotes=BOOK.get)
    assert same is not None and (same.rate, same.at_us, same.legs) == (1, 0, ())
