from __future__ import annotations

from piggy.adapters.budget import Budget
from piggy.adapters.interface import BudgetRule, Request

QUESTION = Request(method="GET", url="u", weight=20)
ORDER = Request(method="POST", url="u", weight=1, places_order=True)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_is_never_overspent_and_frees_itself():
    clock = Clock()
    budget = Budget(rules=(BudgetRule(100, 60.0),), clock=clock)
    spent = [budget.wait_s(request=QUESTION) for _ in range(5)]
    assert spent == [0, 0, 0, 0, 60.0], "a fifth of the window is kept for orders"
    assert budget.wait_s(request=ORDER) == 0
    clock.now = 60.0
    assert budget.wait_s(request=QUESTION) == 0


def test_orders_are_counted_by_themselves():
    clock = Clock()
    budget = Budget(rules=(BudgetRule(1_000, 60.0), BudgetRule(2, 10.0, True)), clock=clock)
    assert [budget.wait_s(request=ORDER) for _ in range(3)] == [0, 0, 10.0]
    assert budget.wait_s(request=QUESTION) == 0


def test_the_venues_own_count_is_believed_when_higher():
    clock = Clock()
    budget = Budget(rules=(BudgetRule(100, 60.0),), clock=clock)
    budget.learn(used=75)
    assert budget.wait_s(request=QUESTION) == 60.0
    budget.learn(used=1)
    assert budget.wait_s(request=ORDER) == 0


def test_a_closed_venue_is_asked_nothing():
    clock = Clock()
    budget = Budget(rules=(), clock=clock)
    budget.close_for(seconds=3)
    assert budget.wait_s(request=ORDER) == 3
    clock.now = 3
    assert budget.wait_s(request=ORDER) == 0
