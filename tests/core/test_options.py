"""Option prices and greeks against published values, identities and finite differences."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from piggy.core import options
from piggy.core.options import black_76, black_scholes, decimal_price, erfc, implied_volatility, normal_cdf

TABLE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "margin" / "py_vollib_bs_table.json"


@pytest.mark.parametrize(
    ("source", "call", "spot", "strike", "years", "rate", "volatility", "carry", "price", "digits"),
    [
        ("Hull, Options, Futures and Other Derivatives, ex. 15.6", True, 42, 40, 0.5, 0.10, 0.20, 0, 4.76, 2),
        ("Hull, the same, put", False, 42, 40, 0.5, 0.10, 0.20, 0, 0.81, 2),
        ("Haug, Option Pricing Formulas, 1.1.1 stock", True, 60, 65, 0.25, 0.08, 0.30, 0, 2.1334, 4),
        ("Haug, 1.1.2 Merton index put", False, 100, 95, 0.5, 0.10, 0.20, 0.05, 2.4648, 4),
        ("Haug, 1.1.5 Garman-Kohlhagen currency", True, 1.56, 1.6, 0.5, 0.06, 0.12, 0.08, 0.0291, 4),
    ],
)
def test_published_prices_are_reproduced(source, call, spot, strike, years, rate, volatility, carry, price, digits):
    found = black_scholes(
        call=call, spot=spot, strike=strike, years=years, rate=rate, volatility=volatility, carry=carry
    )
    assert round(float(found.price), digits) == price, source


@pytest.mark.parametrize("call", [True, False])
def test_a_published_price_on_a_future_is_reproduced(call):
    """Haug, Option Pricing Formulas, 1.1.3 Black-76: at the money call and put are worth the same."""
    found = black_76(call=call, forward=19, strike=19, years=0.75, rate=0.10, volatility=0.28)
    assert round(float(found.price), 4) == 1.7011
    assert float(found.rho) == pytest.approx(-0.75 * float(found.price))


@pytest.mark.skipif(not TABLE.exists(), reason="the recorded table (../shared/data/margin) is not here")
def test_the_recorded_table_of_101_options_is_reproduced():
    """Values of the MIT-licensed py_vollib test data, given to ten digits."""
    table = json.loads(TABLE.read_text())
    values = np.array(table["data"], dtype=np.float64)
    column = dict(zip(table["columns"], values.T, strict=True))
    for kind, name, price in ((True, "C", "bs_call"), (False, "P", "bs_put")):
        found = black_scholes(
            call=kind, spot=column["S"], strike=column["K"], years=column["t"], rate=column["R"], volatility=column["v"]
        )
        assert len(found.price) == 101
        for letter, figures in zip(
            "DGTVR", (found.delta, found.gamma, found.theta, found.vega, found.rho), strict=True
        ):
            np.testing.assert_allclose(figures, column[name + letter], rtol=2e-9, atol=2e-8)
        np.testing.assert_allclose(found.price, column[price], rtol=2e-9, atol=2e-8)


def test_the_error_function_is_right_to_the_last_digits():
    points = np.linspace(-8, 26, 20_001)
    truth = np.array([math.erfc(point) for point in points])
    np.testing.assert_allclose(erfc(values=points), truth, rtol=4e-15)
    assert float(normal_cdf(values=0)) == 0.5


spots = st.floats(0.5, 200)
markets = {
    "spot": spots,
    "moneyness": st.floats(0.6, 1.6),
    "years": st.floats(0.02, 3),
    "rate": st.floats(-0.02, 0.15),
    "volatility": st.floats(0.05, 1.0),
    "carry": st.floats(0, 0.1),
}


@given(**markets)
def test_put_call_parity_holds(spot, moneyness, years, rate, volatility, carry):
    """Call less put is the forward's present value, and so are their sensitivities."""
    strike = spot * moneyness
    call, put = (
        black_scholes(call=kind, spot=spot, strike=strike, years=years, rate=rate, volatility=volatility, carry=carry)
        for kind in (True, False)
    )
    forward = spot * math.exp(-carry * years) - strike * math.exp(-rate * years)
    assert float(call.price - put.price) == pytest.approx(forward, abs=1e-12 * spot * 10)
    assert float(call.delta - put.delta) == pytest.approx(math.exp(-carry * years))
    assert float(call.gamma) == float(put.gamma)
    assert float(call.vega) == float(put.vega)


@given(call=st.booleans(), **markets)
def test_greeks_are_the_slopes_of_the_price(call, spot, moneyness, years, rate, volatility, carry):
    terms = {
        "spot": spot,
        "strike": spot * moneyness,
        "years": years,
        "rate": rate,
        "volatility": volatility,
        "carry": carry,
    }

    def slope(name: str, step: float) -> float:
        up, down = (
            float(black_scholes(call=call, **(terms | {name: terms[name] + way * step})).price) for way in (1, -1)
        )
        return (up - down) / (2 * step)

    found = black_scholes(call=call, **terms)
    near = {"rel": 1e-4, "abs": 1e-5 * spot}
    assert float(found.delta) == pytest.approx(slope("spot", spot * 1e-5), rel=1e-4, abs=1e-5)
    assert float(found.vega) == pytest.approx(slope("volatility", 1e-5), **near)
    assert float(found.rho) == pytest.approx(slope("rate", 1e-5), **near)
    assert float(found.theta) == pytest.approx(-slope("years", 1e-5), **near)
    deltas = [float(black_scholes(call=call, **(terms | {"spot": spot * (1 + way * 1e-5)})).delta) for way in (1, -1)]
    assert float(found.gamma) == pytest.approx((deltas[0] - deltas[1]) / (2 * spot * 1e-5), rel=1e-3, abs=1e-4 / spot)


@given(call=st.booleans(), **markets)
def test_implied_volatility_finds_the_volatility_that_made_the_price(
    call, spot, moneyness, years, rate, volatility, carry
):
    terms = {"call": call, "spot": spot, "strike": spot * moneyness, "years": years, "rate": rate, "carry": carry}
    made = black_scholes(**terms, volatility=volatility)
    assume(float(made.vega) > 1e-3 * spot)
    assert float(implied_volatility(price=made.price, **terms)) == pytest.approx(volatility, rel=1e-6)


def test_no_volatility_is_made_up_where_none_fits():
    found = implied_volatility(
        price=[1.0, 101.0, 10.45, 10.45], call=True, spot=100, strike=[90, 90, 100, 100], years=[1, 1, 0, 1], rate=0.05
    )
    assert np.isnan(found[:3]).all(), "under intrinsic value, above the spot, expired"
    assert found[3] == pytest.approx(0.2, abs=1e-4)


def test_the_solver_stands_far_from_the_money(monkeypatch):
    terms = {"call": False, "spot": 100, "strike": [100, 99, 30, 900, 50], "years": 0.1, "rate": 0.0}
    made = black_scholes(**terms, volatility=[0.01, 0.05, 0.5, 3.0, 10.0])
    found = implied_volatility(price=made.price, **terms)
    np.testing.assert_allclose(black_scholes(**terms, volatility=found).price, made.price, atol=1e-10)
    monkeypatch.setattr(options, "SOLVER_ROUNDS", 3)
    hurried = implied_volatility(price=made.price, **terms)
    assert np.isfinite(hurried).all(), "a solver cut short gives its best guess"


@pytest.mark.parametrize(("call", "expected"), [(True, [0, 0, 10]), (False, [10, 0, 0])])
def test_at_expiry_an_option_is_worth_its_exercise(call, expected):
    found = black_scholes(call=call, spot=[90, 100, 110], strike=100, years=0, rate=0.05, volatility=0.2)
    np.testing.assert_allclose(found.price, expected, atol=1e-9)
    for figures in (found.gamma, found.vega, found.rho):
        assert not figures.any()


def test_a_price_becomes_exact_money_at_the_border():
    price = decimal_price(price=np.float64(2.13337), tick=Decimal("0.0005"))
    assert price == Decimal("2.1335")
    assert isinstance(price, Decimal)


@pytest.mark.parametrize(
    "terms",
    [
        # Deep out of the money the last digit of the difference is below nothing.
        (
            True,
            "2.720067203950675",
            "4.332629516019937",
            "7.131343490705605e-4",
            "-0.327662947340129",
            "0.4553060338308",
        ),
        (False, 100, 100, 1, "0.05", 0),
        (False, 100, 100, 0, 0, 0),
    ],
)
def test_no_option_costs_less_than_nothing_nor_minus_nothing(terms):
    call, *numbers = terms
    spot, strike, years, rate, volatility = (float(number) for number in numbers)
    found = black_scholes(call=call, spot=spot, strike=strike, years=years, rate=rate, volatility=volatility)
    assert math.copysign(1, float(found.price)) == 1


@pytest.mark.parametrize("call", [True, False])
@pytest.mark.parametrize(
    "extreme",
    [{"rate": 1_000}, {"rate": -1_000}, {"volatility": 1e6}, {"volatility": 1e-300}, {"spot": 0}, {"years": 1e9},
     {"spot": 1e-9, "strike": 1e9}, {"spot": 1e9, "strike": 1e-9}, {"years": 0, "volatility": 0}],
)  # fmt: skip
def test_extreme_inputs_give_numbers(call, extreme):
    """A worthless asset has no gamma, and a price never leaves the bounds that need no model."""
    terms = {"spot": 100, "strike": 100, "years": 1, "rate": 0, "volatility": 0.2} | extreme
    with np.errstate(all="ignore"):
        found = black_scholes(call=call, **terms)
    values = [getattr(found, name) for name in ("price", "delta", "gamma", "theta", "vega", "rho")]
    assert all(np.isfinite(value) for value in values)
    assert 0 <= found.gamma < 1e300 and 0 <= abs(found.delta) <= 1 and found.price >= 0
    if call:
        assert found.price <= terms["spot"]


def test_a_price_below_a_tick_is_nothing_and_not_minus_nothing():
    assert str(decimal_price(price=-1e-17, tick=Decimal("0.01"))) == "0.00"
