"""A rate lets a second's worth through at once and then one at a time, each name for itself."""

from __future__ import annotations

from typing import Any

from piggy.engine import rates
from piggy.engine.rates import Rates

SECOND_NS = 1_000_000_000


def test_a_second_s_worth_comes_at_once_and_then_one_at_a_time() -> None:
    limit = Rates(per_s_max=10)
    assert [limit.take(name="mean", now_ns=SECOND_NS) for _ in range(12)] == [True] * 10 + [False] * 2
    assert limit.take(name="other", now_ns=SECOND_NS)
    later_ns = SECOND_NS + SECOND_NS // 10
    assert [limit.take(name="mean", now_ns=later_ns) for _ in range(2)] == [True, False]


def test_who_did_not_come_for_long_has_saved_nothing_up() -> None:
    limit = Rates(per_s_max=10)
    limit.take(name="mean", now_ns=0)
    assert [limit.take(name="mean", now_ns=60 * SECOND_NS) for _ in range(12)] == [True] * 10 + [False] * 2


def test_no_limit_lets_everything_through() -> None:
    limit = Rates(per_s_max=0)
    assert all(limit.take(name="mean", now_ns=0) for _ in range(1_000))


def test_names_that_may_come_again_are_forgotten(monkeypatch: Any) -> None:
    monkeypatch.setattr(rates, "NAMES_KEPT", 100)
    limit = Rates(per_s_max=1)
    for number in range(100):
        limit.take(name=str(number), now_ns=0)
    assert limit.take(name="one more", now_ns=2 * SECOND_NS)
    assert len(limit) == 1
