"""Activity: what counts within a window of seconds (P-12, P-15), and within the last one to the microsecond (P-14)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from piggy.core.activity import (
    FEW_SECONDS,
    REJECT_SAMPLE_MIN,
    REJECT_WINDOW_S,
    SECOND_US,
    SECONDS_KEPT,
    Activity,
    LastSecond,
    Second,
    Windows,
)
from piggy.core.orders import OrderTerms, Side


@given(
    numbers=st.lists(st.integers(0, 12), max_size=8, unique=True).map(sorted),
    now_s=st.integers(8, 14),
    value_s=st.integers(1, 8),
    executions_s=st.integers(1, 8),
)
@example(numbers=[6, 9, 10], now_s=10, value_s=8, executions_s=2)
@example(numbers=[6, 9, 10], now_s=10, value_s=2, executions_s=8)
def test_each_window_counts_its_own_seconds_and_no_older_ones(
    numbers: list[int], now_s: int, value_s: int, executions_s: int
) -> None:
    activity = Activity()
    activity.seconds.extend(Second(number, notional=Decimal(number), executions=number) for number in numbers)
    assert activity.within(now_us=now_s * SECOND_US + 7, value_s=value_s, executions_s=executions_s) == (
        sum(number for number in numbers if number > now_s - value_s),
        sum(number for number in numbers if number > now_s - executions_s),
    )


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 3 * SECOND_US), st.sampled_from(["order", "fill", "ask", "ask back"]), st.integers(0, 2)
        ),
        max_size=60,
    ),
    windows=st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=2),
)
def test_windows_say_what_the_plain_sum_says(steps: list[tuple[int, str, int]], windows: list[tuple[int, int]]) -> None:
    """P-12, P-15: in whatever order there is dealing and asking, also by a clock that was set back."""
    activities = [Activity() for _ in range(3)]
    kept, now_us = Windows(), 1_700_000_000 * SECOND_US
    for at, (later_us, what, who) in enumerate(steps):
        now_us += later_us
        activity = activities[who]
        if what == "order":
            terms = OrderTerms(account_id=f"c{who}", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
            activity.message(at_us=now_us, seq=at, terms=terms, notional=Decimal(at) + Decimal("0.10"))
        elif what == "fill":
            activity.execution(at_us=now_us, result=Decimal(at))
        value_s, executions_s = windows[at % len(windows)]
        asked_us = now_us - 2 * SECOND_US if what == "ask back" else now_us
        told = kept.within(
            account_id=f"c{who}", activity=activity, now_us=asked_us, value_s=value_s, executions_s=executions_s
        )
        assert told == activity.within(now_us=asked_us, value_s=value_s, executions_s=executions_s)


@pytest.mark.parametrize("dealt_in_s", [FEW_SECONDS - 1, FEW_SECONDS, FEW_SECONDS + 1, SECONDS_KEPT])
@pytest.mark.parametrize("windows", [(5, 5), (5, 60), (60, 5), (FEW_SECONDS, FEW_SECONDS + 1)])
@pytest.mark.parametrize("asked_us", [0, 1, SECOND_US // 2, 5 * SECOND_US, 60 * SECOND_US, 90 * SECOND_US])
def test_however_many_seconds_there_are_their_windows_are_the_same(
    dealt_in_s: int, windows: tuple[int, int], asked_us: int
) -> None:
    """P-12, P-15: few are added up anew, of many the sum is kept; twice, for it is kept from the first time on."""
    activity, kept, began_us = Activity(), Windows(), 1_700_000_000 * SECOND_US + 1
    terms = OrderTerms(account_id="c", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
    for at in range(dealt_in_s):
        now_us = began_us + at * SECOND_US
        activity.message(at_us=now_us, seq=at, terms=terms, notional=Decimal(at) + Decimal("0.10"))
        activity.execution(at_us=now_us, result=Decimal(0))
    asked = {"now_us": now_us + asked_us, "value_s": windows[0], "executions_s": windows[1]}
    for _ in range(2):
        told = kept.within(account_id="c", activity=activity, **asked)
        assert repr(told) == repr(activity.within(**asked)) == repr(_plainly(activity, **asked))


def _plainly(activity: Activity, now_us: int, value_s: int, executions_s: int) -> tuple[Decimal, int]:
    value_us, executions_us = now_us - value_s * SECOND_US, now_us - executions_s * SECOND_US
    orders = [value for second in activity.seconds for at_us, value in second.orders or () if at_us > value_us]
    fills = [at_us for second in activity.seconds for at_us in second.fills or () if at_us > executions_us]
    return sum(orders, Decimal(0)), len(fills)


def test_what_is_over_is_summed_once_a_second() -> None:
    class Counted(Second):
        reads = 0

        def __getattribute__(self, name: str) -> object:
            if name == "notional":
                Counted.reads += 1
            return super().__getattribute__(name)

    activity, kept = Activity(), Windows()
    activity.seconds.extend(Counted(number, notional=Decimal(1)) for number in range(SECONDS_KEPT))
    now_us = (SECONDS_KEPT - 1) * SECOND_US
    for _ in range(10):
        told = kept.within(account_id="c", activity=activity, now_us=now_us, value_s=60, executions_s=60)
        assert told == (Decimal(SECONDS_KEPT), 0)
    assert Counted.reads == SECONDS_KEPT - 1 + 10


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([0, 1, 7, SECOND_US // 3, SECOND_US - 1, SECOND_US]), st.sampled_from("abc")),
        max_size=40,
    ),
    asked_us=st.integers(0, 2 * SECOND_US),
)
def test_the_last_second_holds_exactly_what_was_sent_less_than_a_second_ago(
    steps: list[tuple[int, str]], asked_us: int
) -> None:
    """P-14: beside a plain list of all messages; what is kept is never more than one second's."""
    kept, every, now_us = LastSecond(), list[tuple[int, str]](), 0
    for later_us, who in steps:
        now_us += later_us
        kept.message(at_us=now_us, who=who)
        every.append((now_us, who))
        assert list(kept.times) == [each for each in every if now_us - each[0] < SECOND_US]
        assert sum(kept.counts.values()) == len(kept.times) and all(kept.counts.values())
    now_us += asked_us
    recent = [who for at_us, who in every if now_us - at_us < SECOND_US]
    for who in "abcd":
        assert kept.lately(who=who, now_us=now_us) == (recent.count(who), len(recent))


def test_what_a_clock_that_was_set_back_leaves_in_the_future_counts_no_more() -> None:
    kept = LastSecond()
    for _ in range(5):
        kept.message(at_us=3_600 * SECOND_US, who="a")
    assert kept.lately(who="a", now_us=0) == (0, 0)
    kept.message(at_us=0, who="b")
    assert (list(kept.times), kept.counts) == ([(0, "b")], {"b": 1})


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([0, 1, 400_000, SECOND_US - 1, SECOND_US, 3 * SECOND_US]), st.booleans()), max_size=40
    ),
    windows=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    asked_us=st.integers(0, 3 * SECOND_US),
)
def test_a_window_counts_what_is_younger_than_it_to_the_microsecond(
    steps: list[tuple[int, bool]], windows: tuple[int, int], asked_us: int
) -> None:
    """P-12, P-15: beside a plain list of all orders and fills, wherever on the clock the window begins."""
    activity, kept, now_us = Activity(), Windows(), 1_700_000_000 * SECOND_US
    orders, fills = list[tuple[int, Decimal]](), list[int]()
    value_s, executions_s = windows
    for at, (later_us, is_order) in enumerate(steps):
        now_us += later_us
        if is_order:
            terms = OrderTerms(account_id="c", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
            activity.message(at_us=now_us, seq=at, terms=terms, notional=Decimal(at) + 1)
            orders.append((now_us, Decimal(at) + 1))
        else:
            activity.execution(at_us=now_us, result=Decimal(0))
            fills.append(now_us)
        for now in (now_us, now_us + asked_us):
            asked = {"now_us": now, "value_s": value_s, "executions_s": executions_s}
            expected = (
                sum(value for at_us, value in orders if now - at_us < value_s * SECOND_US),
                sum(now - at_us < executions_s * SECOND_US for at_us in fills),
            )
            assert activity.within(**asked) == expected
            assert kept.within(account_id="c", activity=activity, **asked) == expected


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([0, 1, SECOND_US - 1, SECOND_US, 7 * SECOND_US]), st.booleans()),
        min_size=REJECT_SAMPLE_MIN,
        max_size=2 * REJECT_SAMPLE_MIN,
    ),
    asked_us=st.sampled_from([0, 1, 16 * SECOND_US - 1, 16 * SECOND_US, 29 * SECOND_US]),
)
def test_the_share_of_rejects_is_of_the_last_half_minute_to_the_microsecond(
    steps: list[tuple[int, bool]], asked_us: int
) -> None:
    """P-16: beside a plain list of all messages, wherever on the clock the half minute begins."""
    activity, every, now_us = Activity(), list[tuple[int, bool]](), 1_700_000_000 * SECOND_US
    for later_us, refused in steps:
        now_us += later_us
        terms = OrderTerms(account_id="c", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
        activity.message(at_us=now_us, seq=1, terms=terms, notional=Decimal(not refused))
        if refused:
            activity.reject(at_us=now_us)
        every.append((now_us, refused))
    now_us += asked_us
    recent = [refused for at_us, refused in every if now_us - at_us < REJECT_WINDOW_S * SECOND_US]
    expected = Decimal(100 * sum(recent)) / len(recent) if len(recent) >= REJECT_SAMPLE_MIN else 0
    assert activity.rejects_percent(now_us=now_us) == expected


def test_a_reject_counts_until_half_a_minute_later_to_the_microsecond() -> None:
    """P-16: not as long as its second of the clock does."""
    activity, at_us = Activity(), 1_700_000_000 * SECOND_US + 600_000
    terms = OrderTerms(account_id="c", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
    for later_us in [0] * 10 + [1] * REJECT_SAMPLE_MIN:
        activity.message(at_us=at_us + later_us, seq=1, terms=terms, notional=Decimal(0))
        if not later_us:
            activity.reject(at_us=at_us)
    ends_us = at_us + REJECT_WINDOW_S * SECOND_US
    assert activity.rejects_percent(now_us=ends_us - 1) == Decimal(1_000) / (REJECT_SAMPLE_MIN + 10)
    assert (activity.rejects_percent(now_us=ends_us), activity.rejects_percent(now_us=ends_us + 1)) == (0, 0)
