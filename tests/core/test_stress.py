"""Options are margined by delta and by sixteen points of stress, per underlying."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core.stress import NettingSet, OptionLine, StressTerms, scenario_points, stress_margin, what_if

TERMS = StressTerms(price_range_percent=D(6), volatility_range_points=D(3), delta_percent=D("3.33"))


def option(quantity: str, *, call: bool = True, strike: str = "1.1") -> OptionLine:
    return OptionLine(
        symbol="EURUSD-C-1.1",
        quantity=D(quantity),
        contract_size=D(100_000),
        call=call,
        strike=D(strike),
        years=D("0.25"),
        volatility=D("0.1"),
    )


def netting_set(*options: OptionLine, units: str = "0") -> NettingSet:
    return NettingSet(spot=D("1.1"), rate=D("0.03"), carry=D("0.02"), options=options, units=D(units))


def margin(one: NettingSet, terms: StressTerms = TERMS):
    return stress_margin(netting_set=one, terms=terms, currency="USD")


def test_the_scan_has_sixteen_points():
    points = scenario_points(terms=TERMS)
    assert len(points) == 16
    assert points[0] == (D(0), D(3), D(100))
    assert points[13] == (D(-6), D(-3), D(100))
    assert points[14:] == ((D(18), D(0), D(33)), (D(-18), D(0), D(33)))
    crash = scenario_points(terms=msgspec.structs.replace(TERMS, price_range_percent=D(60)))[-1]
    assert D(-100) < crash[0] < D(-99), "a price cannot fall by more than itself"


def test_the_underlying_alone_is_charged_its_worst_move():
    """1,000 units at 1.1: 6 % is 66.00; a third of 18 % less: 65.34; delta margin 36.63."""
    found = margin(netting_set(units="1000"))
    assert (found.required, found.stress_loss, found.delta_margin) == (D("66.00"), D("66.0"), D("36.630"))
    assert margin(netting_set(units="-1000")).required == D("66.00")


def test_nothing_needs_nothing():
    assert margin(netting_set()).required == 0


def test_a_bought_option_cannot_lose_more_than_its_price():
    found = margin(netting_set(option("1")))
    worst = -min(found.scenarios)
    assert 0 < worst < D(2400)
    assert found.delta_units > 0


def test_a_sold_option_is_charged_for_the_move_against_it():
    found = margin(netting_set(option("-1")))
    assert found.required >= found.stress_loss > margin(netting_set(option("1"))).stress_loss
    assert found.short_floor == D(1100)


def test_a_sold_option_far_away_still_has_a_floor():
    found = margin(netting_set(option("-1", strike="2.5")))
    assert found.required == found.short_floor == D("1100.00")


def test_put_and_call_and_underlying_hedge_one_another():
    """A bought call, a sold put at the same strike and the underlying sold are worth the same whatever comes."""
    conversion = netting_set(option("1"), option("-1", call=False), units="-100000")
    found = margin(conversion)
    assert abs(found.delta_units) < D(600)
    assert found.stress_loss < D(60)
    assert what_if(netting_set=netting_set(option("-1")), line=option("1"), terms=TERMS, currency="USD") < 0


def test_what_if_is_the_difference_a_line_makes():
    before, line = netting_set(option("-1")), option("-2", strike="1.15")
    after = netting_set(option("-1"), line)
    assert what_if(netting_set=before, line=line, terms=TERMS, currency="USD") == (
        margin(after).required - margin(before).required
    )


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans(), st.sampled_from(["1.0", "1.1", "1.2"])), max_size=5))
def test_margin_of_a_set_is_never_more_than_of_its_lines_apart(lines):
    options = [option(str(lots), call=call, strike=strike) for lots, call, strike in lines]
    together = margin(netting_set(*options)).stress_loss
    apart = sum((margin(netting_set(one)).stress_loss for one in options), D(0))
    assert together <= apart + D("1E-6") * (1 + len(options))
    assert margin(netting_set(*options)).required == pytest.approx(margin(netting_set(*reversed(options))).required)
