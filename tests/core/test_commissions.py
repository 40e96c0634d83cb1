"""Commissions against a twin that charges one unit of turnover at a time."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.commissions import (
    TURNOVER_MAX,
    Charge,
    Charged,
    Commission,
    CommissionBasis,
    TurnoverTier,
    charge,
    chargeable,
    commission_fault,
)
from piggy.core.money import ZERO, minor_unit, round_money
from piggy.core.orders import Side
from piggy.core.profiles import PriceProfile
from tests.core.floor import Floor, only

UNIT = Decimal(1_000)
TIERS = (TurnoverTier(from_turnover=5 * UNIT, rate=Decimal(4)), TurnoverTier(from_turnover=9 * UNIT, rate=Decimal(1)))
bases = st.sampled_from([CommissionBasis.PER_LOT, CommissionBasis.PER_MILLION, CommissionBasis.BPS])


def fee(plan: Commission, lots: Any, notional: Any, **more: Any) -> Charge:
    given_values = {"turnover": ZERO, "accrued": ZERO, "charged": ZERO, "currency": "USD"} | more
    return charge(plan=plan, lots=Decimal(lots), notional=Decimal(notional), **given_values)


def naive(plan: Commission, units: int, start: int) -> Decimal:
    """Charge each unit of turnover at the rate of the tier that it falls in; one unit is a hundredth of a lot."""
    total = ZERO
    for number in range(start, start + units):
        rate = plan.rate
        for tier in plan.tiers:
            if number * UNIT >= tier.from_turnover:
                rate = tier.rate
        each = {
            CommissionBasis.PER_LOT: Decimal("0.01"),
            CommissionBasis.PER_MILLION: UNIT / 1_000_000,
            CommissionBasis.BPS: UNIT / 10_000,
        }[plan.basis]
        total += each * rate
    return total


@given(basis=bases, units=st.integers(1, 20), start=st.integers(0, 15), tiered=st.booleans())
def test_tiers_are_marginal(basis: CommissionBasis, units: int, start: int, tiered: bool) -> None:
    plan = Commission(basis=basis, rate=Decimal(7), tiers=TIERS if tiered else ())
    found = fee(plan, Decimal(units) / 100, units * UNIT, turnover=start * UNIT)
    assert abs(found.accrued - naive(plan, units, start)) < Decimal("1E-20")


@given(
    basis=bases,
    parts=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    minimum=st.sampled_from([None, Decimal("0.15"), Decimal(3)]),
    currency=st.sampled_from(["USD", "JPY", "BTC"]),
)
@example(basis=CommissionBasis.BPS, parts=[1, 10, 12], minimum=None, currency="JPY")
@example(basis=CommissionBasis.PER_LOT, parts=[1, 1], minimum=Decimal(3), currency="USD")
def test_an_order_in_pieces_pays_what_it_pays_whole(
    basis: CommissionBasis, parts: list[int], minimum: Decimal | None, currency: str
) -> None:
    plan = Commission(basis=basis, rate=Decimal(7), tiers=TIERS, minimum=minimum)
    total = sum(parts)
    whole = fee(plan, Decimal(total) / 100, total * UNIT, currency=currency)
    accrued = charged = turnover = ZERO
    for part in parts:
        some = fee(
            plan,
            Decimal(part) / 100,
            part * UNIT,
            turnover=turnover,
            accrued=accrued,
            charged=charged,
            currency=currency,
        )
        assert some.due >= 0
        assert some.due == some.due.quantize(minor_unit(currency=currency))
        accrued, charged, turnover = accrued + some.accrued, charged + some.due, turnover + part * UNIT
    assert charged == whole.due
    assert minimum is None or charged >= minimum.quantize(minor_unit(currency=currency))


def test_a_fixed_commission_is_once_per_order_at_the_rate_of_its_turnover() -> None:
    plan = Commission(basis=CommissionBasis.FIXED, rate=Decimal(7), tiers=TIERS)
    assert fee(plan, 1, 100) == Charge(Decimal(7), Decimal(7))
    assert fee(plan, 1, 100, accrued=Decimal(7), charged=Decimal(7)) == Charge(ZERO, ZERO)
    assert fee(plan, 1, 100, turnover=9 * UNIT).due == 1


def test_lots_that_do_not_pay_cost_nothing_though_a_minimum_stands() -> None:
    assert fee(Commission(minimum=Decimal(5)), 0, 0) == Charge(ZERO, ZERO)


@pytest.mark.parametrize(("charged", "lots"), [(Charged.OPEN, 3), (Charged.CLOSE, 2), (Charged.BOTH, 5)])
def test_opening_and_closing_lots_pay_as_the_plan_says(charged: Charged, lots: int) -> None:
    assert chargeable(plan=Commission(charged=charged), opened=Decimal(3), closed=Decimal(2)) == lots


def test_a_plan_without_sense_is_named() -> None:
    assert commission_fault(plan=Commission(tiers=TIERS)) == ""
    assert "finite" in commission_fault(plan=Commission(rate=Decimal("NaN")))
    assert "rise" in commission_fault(plan=Commission(tiers=TIERS[::-1]))


def test_a_desk_charges_by_profile_on_the_months_turnover() -> None:
    floor = Floor()
    tiers = (TurnoverTier(from_turnover=Decimal(110_014), rate=Decimal(20)),)
    plan = Commission(basis=CommissionBasis.PER_MILLION, rate=Decimal(100), tiers=tiers, charged=Charged.OPEN)
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(commission=plan)))
    (first,) = only(floor.place("b1", Side.BUY, "1"), ev.OrderFilled)
    (second,) = only(floor.place("b1", Side.BUY, "1"), ev.OrderFilled)
    (close,) = only(floor.place("b1", Side.SELL, "2"), ev.OrderFilled)
    assert first.price == Decimal("1.10013"), "110,013 USD, all below the tier"
    assert first.commission == Decimal("11.00")
    assert second.commission == Decimal("2.20"), "1 USD at 100 and the rest at 20 per million"
    assert close.commission == 0
    assert floor.desk.state.turnover["b1"][1] == 2 * Decimal("110013") + 200_000 * close.price
    floor.now_us += 31 * 86_400 * 1_000_000
    floor.quotes()
    (later,) = only(floor.place("b1", Side.BUY, "1"), ev.OrderFilled)
    assert later.commission == Decimal("11.00"), "a new month starts at the first rate"


numbers = st.decimals(min_value=0, max_value=10_000, places=4)
turnovers = st.one_of(
    st.decimals(min_value=0, max_value=2_000_000, places=2), st.decimals(min_value=0, max_value=TURNOVER_MAX, places=0)
)


@st.composite
def plans(draw: st.DrawFn) -> Commission:
    """Any plan that may be set: no tiers, tiers from nothing on, tiers far apart, tiers that cost nothing."""
    starts = sorted(draw(st.sets(turnovers, max_size=4)))
    rates = st.one_of(st.just(ZERO), numbers)
    tiers = tuple(TurnoverTier(from_turnover=start, rate=draw(rates)) for start in starts)
    minimum = draw(st.sampled_from([None, ZERO, Decimal("0.005"), Decimal(12)]))
    return Commission(basis=draw(bases), rate=draw(rates), tiers=tiers, minimum=minimum)


def exact(plan: Commission, lots: Decimal, notional: Decimal, turnover: Decimal) -> Fraction:
    """Give every tier the part of the turnover that falls in it, in exact fractions."""
    steps = [(Fraction(0), plan.rate), *((Fraction(tier.from_turnover), tier.rate) for tier in plan.tiers)]
    begins, ends = Fraction(turnover), Fraction(turnover) + Fraction(notional)
    cost = Fraction(0)
    for at, (start, rate) in enumerate(steps):
        end = steps[at + 1][0] if at + 1 < len(steps) else ends
        cost += max(Fraction(0), min(ends, end) - max(begins, start)) * Fraction(rate)
    units = {
        CommissionBasis.PER_LOT: Fraction(lots) / Fraction(notional),
        CommissionBasis.PER_MILLION: Fraction(1, 10**6),
    }
    return cost * units.get(plan.basis, Fraction(1, 10**4))


@given(
    plan=plans(),
    cut=st.lists(st.integers(1, 5_000), min_size=1, max_size=6),
    price=st.decimals(min_value="0.00001", max_value=100_000, places=5),
    turnover=turnovers,
    currency=st.sampled_from(["USD", "JPY", "BHD", "BTC"]),
)
@example(plan=Commission(tiers=(TurnoverTier(from_turnover=ZERO, rate=Decimal(3)),)), cut=[1], price=Decimal(1), turnover=ZERO, currency="USD")  # fmt: skip # noqa: E501
def test_any_plan_charges_what_exact_fractions_say_however_the_order_is_cut(
    plan: Commission, cut: list[int], price: Decimal, turnover: Decimal, currency: str
) -> None:
    """A twin without rounding: at huge turnovers too, in currencies of none, two, three and eight digits."""
    assert commission_fault(plan=plan) == ""
    accrued = charged = worth = ZERO
    for part in cut:
        lots = Decimal(part) / 100
        some = fee(
            plan, lots, lots * price, turnover=turnover + worth, accrued=accrued, charged=charged, currency=currency
        )
        accrued, charged, worth = accrued + some.accrued, charged + some.due, worth + lots * price
        assert min(some.accrued, some.due) >= 0, "nothing is ever paid back for dealing more"
    owed = exact(plan, Decimal(sum(cut)) / 100, worth, turnover)
    assert abs(Fraction(accrued) - owed) < Fraction(len(cut), 10**11)
    assert charged == round_money(amount=max(accrued, plan.minimum or ZERO), currency=currency)


TIER = TurnoverTier(from_turnover=ZERO, rate=Decimal(1))


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        (Commission(rate=Decimal("-0.01")), "from 0 to 1000000"),
        (Commission(rate=Decimal(1_000_000)), ""),
        (Commission(rate=Decimal("1000000.01")), "from 0 to 1000000"),
        (Commission(basis=CommissionBasis.BPS, rate=Decimal(10_000)), ""),
        (Commission(basis=CommissionBasis.BPS, rate=Decimal("10000.01")), "from 0 to 10000"),
        (Commission(minimum=ZERO), ""),
        (Commission(minimum=Decimal("-0.01")), "the minimum"),
        (Commission(minimum=Decimal(1_000_000)), ""),
        (Commission(minimum=Decimal("1000000.01")), "the minimum"),
        (Commission(minimum=Decimal("Infinity")), "finite"),
        (Commission(tiers=(TIER,)), ""),
        (Commission(tiers=(TIER, TIER)), "rise"),
        (Commission(tiers=(TurnoverTier(from_turnover=Decimal(-1), rate=ZERO),)), "rise"),
        (Commission(tiers=(TurnoverTier(from_turnover=TURNOVER_MAX, rate=ZERO),)), ""),
        (Commission(tiers=(TurnoverTier(from_turnover=TURNOVER_MAX + 1, rate=ZERO),)), "rise"),
        (Commission(tiers=(TurnoverTier(from_turnover=ZERO, rate=Decimal("-1")),)), "from 0"),
        (Commission(tiers=(TurnoverTier(from_turnover=ZERO, rate=Decimal("1E+30")),)), "from 0"),
        (Commission(basis=CommissionBasis.FIXED, tiers=(TIER,)), "at none"),
        (Commission(basis=CommissionBasis.FIXED, rate=Decimal(2), tiers=(TIER,)), ""),
        (Commission(basis=CommissionBasis.FIXED), ""),
    ],
)
def test_a_plan_that_pays_clients_or_means_nothing_is_refused(plan: Commission, fault: str) -> None:
    """A rate of 1E+30 would end every order of its group in arithmetic that has no digits left."""
    found = commission_fault(plan=plan)
    assert fault in found and bool(found) is bool(fault)
    floor = Floor()
    events = floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(commission=plan)))
    assert bool(only(events, ev.CommandRefused)) is bool(fault)
