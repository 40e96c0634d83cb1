"""What cannot be used names the field that it is about, so that a form and a file say it beside the cell."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core.clearance import Calendar, Session, calendar_fault
from piggy.core.margin import MarginSettings, MarginTier, NewsWindow, settings_fault


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"percent": D(-1)}, "percent"),
        ({"hedged_ratio": D("NaN")}, "hedged_ratio"),
        ({"tiers": (MarginTier(above=D(-1), percent=D(5)),)}, "tiers[0].above"),
        ({"news": (NewsWindow(from_us=1, until_us=2, symbol="EURUSD", percent=D(-5)),)}, "news[0].percent"),
        ({"tier_basis": "weather"}, "tier_basis"),
        ({"news": (NewsWindow(from_us=2, until_us=2, symbol="EURUSD", percent=D(5)),)}, "news[0].until_us"),
    ],
)
def test_margin_says_which_field_it_cannot_use(changes: dict[str, Any], field: str) -> None:
    assert (settings_fault(settings=MarginSettings(**changes)) or "").startswith(f"{field}: ")


@pytest.mark.parametrize(("above", "percent"), [(D(10**15), D(0)), (D(0), D(10**6))])
def test_a_tier_reaches_as_far_as_exact_arithmetic_has_digits(above: D, percent: D) -> None:
    """Amounts to a thousand million million, percents to a million, and not a step further."""
    assert settings_fault(settings=MarginSettings(tiers=(MarginTier(above=above, percent=percent),))) is None


@pytest.mark.parametrize(
    ("above", "percent", "field"), [(D(10**15 + 1), D(0), "above"), (D(0), D(10**6 + 1), "percent")]
)
def test_beyond_that_a_tier_cannot_be_used(above: D, percent: D, field: str) -> None:
    fault = settings_fault(settings=MarginSettings(tiers=(MarginTier(above=above, percent=percent),)))
    assert (fault or "").startswith(f"tiers[0].{field}: ")


def test_margin_that_can_be_used_has_no_fault() -> None:
    windows = (NewsWindow(from_us=1, until_us=2, symbol="EURUSD", percent=D(50)),)
    assert settings_fault(settings=MarginSettings(news=windows)) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timezone": "Nowhere/Land"}, "timezone"),
        ({"sessions": (Session(opens=10, closes=10),)}, "sessions"),
        ({"opening_call_minutes": 600}, "opening_call_minutes"),
    ],
)
def test_a_calendar_says_which_field_it_cannot_use(changes: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"symbol": "EURUSD", "sessions": (Session(opens=0, closes=600),)}
    assert calendar_fault(calendar=Calendar(**given)) is None
    assert (calendar_fault(calendar=Calendar(**(given | changes))) or "").startswith(f"{field}: ")
