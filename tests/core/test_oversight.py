"""The people's side of the gate: kill, alerts, limit changes, disconnects, reviews."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core.limits import LimitChange, Limits
from piggy.core.oversight import (
    KillPlan,
    UnableToChangeLimits,
    alert_level,
    checked_change,
    disconnect_due,
    kill_plan,
    review_due_at_us,
)

CHANGE = LimitChange(
    before=Limits(version=1),
    after=Limits(version=2),
    reason="election night",
    asked_by="dealer",
    approved_by="head of risk",
    from_us=100,
    reverts_at_us=200,
)


def test_a_kill_cancels_at_once_and_flattens_only_when_asked():
    """P-25."""
    asked = {"working": ["o2", "o1"], "open_positions": ["p2", "p1"]}
    assert kill_plan(**asked) == KillPlan(cancel=("o1", "o2"), flatten=())
    assert kill_plan(**asked, cancel_working=False, flatten=True) == KillPlan(cancel=(), flatten=("p1", "p2"))


@pytest.mark.parametrize(
    ("value", "limit", "level"),
    [("0", "0", 0), ("1", "0", 100), ("49.99", "100", 0), ("50", "100", 50), ("79.99", "100", 50), ("80", "100", 80),
     ("99.99", "100", 80), ("100", "100", 100), ("101", "100", 100), ("1000000", "1E+999999", 0)],
)  # fmt: skip
def test_an_alert_level_is_reached_at_its_percent(value, limit, level):
    """P-27."""
    assert alert_level(value=D(value), limit=D(limit), levels=(D(80), D(50), D(100))) == level


@pytest.mark.parametrize("wrong", [{}, {"reverts_at_us": 101}, {"reverts_at_us": 300}])
def test_a_change_of_limits_in_order_is_taken(wrong):
    """P-28."""
    change = msgspec.structs.replace(CHANGE, **wrong)
    assert checked_change(change=change, day_ends_at_us=300) is change


@pytest.mark.parametrize(
    "wrong",
    [{"reason": ""}, {"approved_by": ""}, {"approved_by": "dealer"}, {"reverts_at_us": 100}, {"reverts_at_us": 301}],
)
def test_a_change_of_limits_needs_a_reason_a_second_person_and_an_end_within_the_day(wrong):
    with pytest.raises(UnableToChangeLimits):
        checked_change(change=msgspec.structs.replace(CHANGE, **wrong), day_ends_at_us=300)


def test_a_client_who_drops_off_loses_working_orders_after_the_grace():
    """P-29."""
    assert not disconnect_due(disconnected_at_us=None, grace_s=30, now_us=10**9)
    assert not disconnect_due(disconnected_at_us=0, grace_s=30, now_us=29_999_999)
    assert disconnect_due(disconnected_at_us=0, grace_s=30, now_us=30_000_000)
    assert not disconnect_due(disconnected_at_us=7, grace_s=30, now_us=30_000_006)


def test_a_signed_review_holds_for_a_year():
    """P-30."""
    assert review_due_at_us(signed_at_us=5) == 5 + 365 * 86_400 * 1_000_000
