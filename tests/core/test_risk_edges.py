"""The gate at its edges: the last number that is one, the first limit that is none, the strictest of many states."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core.accounts import TradingState
from piggy.core.controls_order import well_formed
from piggy.core.gate import NUMBERS, numbers_are_sane, unpriced
from piggy.core.limits import HOUSE_LIMITS, OF_THE_GROUP, Limits, UnableToSetLimit
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.core.risk import refusal
from tests.core.gate_cases import SHARE, TERMS, context, refused

REDUCTION = {"position_net": D(5), "side": Side.SELL}


@pytest.mark.parametrize("states", [("halted", "reducing"), ("reducing", "halted"), ("killed", "active", "reducing")])
def test_the_strictest_state_wins_in_whatever_order_they_stand(states: tuple[str, ...]) -> None:
    """P-01: what reduces passes while only reducing, and not where anything above it is halted."""
    assert refused(states=tuple(map(TradingState, states)), **REDUCTION) == ["P-01"]
    assert refused(states=(TradingState.REDUCING, TradingState.ACTIVE), **REDUCTION) == []


def test_the_share_of_a_volume_of_one_lot_is_a_share() -> None:
    """P-21."""
    thin = {"instrument": SHARE, "daily_volume_lots": D(1)}
    assert refused(**thin, quantity=D("0.05")) == [] and refused(**thin, quantity=D("0.06")) == ["P-21"]
    assert refused(instrument=SHARE, daily_volume_lots=D(0), quantity=D("0.01")) == ["P-21"]


@pytest.mark.parametrize(
    "percents", [("0",), ("50", "0"), ("0", "50"), ("-1",), ("NaN",), ("Infinity",), ("50", "NaN")]
)
def test_an_alert_level_is_a_number_above_nothing(percents: tuple[str, ...]) -> None:
    """P-27."""
    with pytest.raises(UnableToSetLimit, match="alert_percents"):
        Limits(alert_percents=tuple(map(D, percents)))


def test_an_alert_level_may_be_any_part_of_a_percent() -> None:
    """P-27."""
    assert Limits(alert_percents=(D("0.5"), D(1))).alert_percents == (D("0.5"), D(1))


@pytest.mark.parametrize("name", ["window_s", "executions_window_s"])
@pytest.mark.parametrize(("seconds", "usable"), [(0, False), (1, True), (60, True), (61, False)])
def test_a_window_is_as_long_as_is_remembered_and_never_nothing(name: str, seconds: int, usable: bool) -> None:
    """P-12, P-15: a window of nothing would let everything through, one of an hour would forget the most of it."""
    if usable:
        assert getattr(Limits(**{name: seconds}), name) == seconds
        return
    with pytest.raises(UnableToSetLimit, match=f"{name}: from 1 to 60 seconds"):
        Limits(**{name: seconds})


def test_the_largest_number_that_means_anything_is_one() -> None:
    """P-06: a million million."""
    largest = OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=D(10) ** 12, type=OrderType.MARKET)
    assert numbers_are_sane(terms=largest)
    for number, sane in (("1E-18", True), ("9.99E-19", False)):
        assert numbers_are_sane(terms=msgspec.structs.replace(largest, limit_price=D(number))) is sane


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("number", ["0", "-1", "NaN", "1000000000001"])
def test_a_number_that_means_nothing_is_named(name: str, number: str) -> None:
    """P-06."""
    words = name.replace("_", " ")
    said = well_formed(context=context(**{name: D(number)})).text
    assert said == f"the {words} must be finite, above zero and at most a million million"


@pytest.mark.parametrize(
    "spoilt",
    [
        {"limit_price": D("1.100001")},
        {"type": OrderType.STOP, "limit_price": None, "stop_price": D("1.100001")},
        {"type": OrderType.TRAILING_STOP, "limit_price": None, "trailing_distance": D("0.000001")},
        {"take_profit": D("1.200001")},
        {"stop_loss": D("1.000001"), "take_profit": D("1.2")},
    ],
    ids=["limit price", "stop price", "trailing distance", "take profit", "stop loss"],
)
def test_a_price_between_two_ticks_is_named(spoilt: dict[str, object], request: pytest.FixtureRequest) -> None:
    """P-06."""
    said = well_formed(context=context(**spoilt)).text
    assert said.startswith(f"the {request.node.callspec.id} must be a multiple of 0.0000")


def test_what_set_up_gives_a_new_group_is_written_down() -> None:
    assert [getattr(HOUSE_LIMITS, name) for name in OF_THE_GROUP] == [None] * 3, "the group's own settings say those"
    named = ("order_volume_max_lots", "position_net_max_lots", "position_gross_max_lots")
    assert [getattr(HOUSE_LIMITS, name) for name in named] == [1_000, 5_000, 10_000]
    exposures = [getattr(HOUSE_LIMITS, f"exposure_{whose}_max") for whose in ("account", "tenant", "venue", "firm")]
    assert exposures == [D(1_000_000_000)] * 4
    assert (HOUSE_LIMITS.loss_daily_account_max, HOUSE_LIMITS.loss_daily_tenant_max) == (1_000_000, 10_000_000)


@pytest.mark.parametrize(
    ("spoilt", "text"),
    [
        ({"bid": None}, "no live price for EURUSD"),
        ({"ask": None}, "no live price for EURUSD"),
        ({}, "no live price to convert USD to USD"),
    ],
)
def test_why_an_order_has_no_value_is_said(spoilt: dict[str, None], text: str) -> None:
    assert unpriced(context=context(**spoilt)) == text


def test_a_refusal_without_a_context_knows_no_configuration() -> None:
    assert refusal(order_id="O1", terms=TERMS, at_us=1, code="P-02", text="no such account").config_version == 0
