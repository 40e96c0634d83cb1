"""Activity: what counts within a window of seconds (P-12, P-15)."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from piggy.core.activity import SECOND_US, Activity, Second


@given(
    numbers=st.lists(st.integers(0, 12), max_size=8, unique=True).map(sorted),
    now_s=st.integers(8, 14),
    value_s=st.integers(1, 8),
    executions_s=st.integers(1, 8),
)
def test_each_window_counts_its_own_seconds_and_no_older_ones(
    numbers: list[int], now_s: int, value_s: int, executions_s: int
) -> None:
    activity = Activity()
    activity.seconds.extend(Second(number, notional=Decimal(number), executions=number) for number in numbers)
    assert activity.within(now_us=now_s * SECOND_US + 7, value_s=value_s, executions_s=executions_s) == (
        sum(number for number in numbers if number > now_s - value_s),
        sum(number for number in numbers if number > now_s - executions_s),
    )
