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
