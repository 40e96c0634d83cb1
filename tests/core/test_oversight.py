"""The people's side of the gate: kill, alerts, limit changes, disconnects, reviews."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core.limits import Limits
from piggy.core.oversight import (
    KillPlan,
    LimitChange,
    UnableToChangeLimits,
    alerts_reached,
    change_limits,
    disconnect_due,
    kill_plan,
    limits_at,
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
    ("before", "after", "levels"),
    [("49.99", "50", [50]), ("50", "79.99", []), ("10", "100", [50, 80, 100]), ("99", "101", [100]), ("90", "60", [])],
)
def test_an_alert_goes_out_once_on_the_way_up(before, after, levels):
    """P-27."""
    assert list(alerts_reached(before=D(before), after=D(after), limit=D(100))) == levels


def test_a_change_of_limits_reverts_by_itself():
    """P-28."""
    assert change_limits(change=CHANGE) is CHANGE.after
    assert [limits_at(change=CHANGE, now_us=at_us).version for at_us in (99, 100, 199, 200)] == [1, 2, 2, 1]


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"approved_by": ""}, {"approved_by": "dealer"}, {"reverts_at_us": 100}]
)
def test_a_change_of_limits_needs_a_reason_a_second_person_and_an_end(wrong):
    with pytest.raises(UnableToChangeLimits):
        change_limits(change=msgspec.structs.replace(CHANGE, **wrong))


def test_a_client_who_drops_off_loses_working_orders_after_the_grace():
    """P-29."""
    assert not disconnect_due(disconnected_at_us=None, grace_s=30, now_us=10**9)
    assert not disconnect_due(disconnected_at_us=0, grace_s=30, now_us=29_999_999)
    assert disconnect_due(disconnected_at_us=0, grace_s=30, now_us=30_000_000)
    assert not disconnect_due(disconnected_at_us=7, grace_s=30, now_us=30_000_006)


def test_a_signed_review_holds_for_a_year_and_an_unsigned_one_not_at_all():
    """P-30."""
    assert review_due_at_us(signed_at_us=5, signed_by="compliance") == 5 + 365 * 86_400 * 1_000_000
    assert review_due_at_us(signed_at_us=5, signed_by="") is None
    assert review_due_at_us(signed_at_us=None, signed_by="compliance") is None
