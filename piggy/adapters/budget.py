"""What we may still ask of a venue: sliding windows of weight, kept a little under the venue's own count."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from piggy.adapters.interface import BudgetRule, Request

# Questions leave this much of every window to orders.
KEPT_FOR_ORDERS_PERCENT = 20


class Budget:
    """Thread-safe; `clock` gives seconds."""

    def __init__(self, *, rules: tuple[BudgetRule, ...], clock: Callable[[], float]) -> None:
        self._rules = rules
        self._clock = clock
        self._spent: list[deque[tuple[float, int]]] = [deque() for _ in rules]
        self._sums = [0 for _ in rules]
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def wait_s(self, *, request: Request) -> float:
        """Return 0 and spend, or how many seconds to wait before asking again."""
        with self._lock:
            now = self._clock()
            lacking = (self._lacking(n, request, now) for n in range(len(self._rules)))
            wait = max(0.0, self._closed_until - now, *lacking)
            if not wait:
                for n, rule in enumerate(self._rules):
                    if weight := _weight(rule, request):
                        self._spent[n].append((now, weight))
                        self._sums[n] += weight
            return wait

    def close_for(self, *, seconds: float) -> None:
        """Ask nothing for a while: the venue said so (429, 418, Retry-After)."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + seconds)

    def learn(self, *, used: int) -> None:
        """Take the venue's own count of the first rule where it is higher: others may use the same address."""
        with self._lock:
            if self._rules and (unseen := used - self._sums[0]) > 0:
                self._spent[0].append((self._clock(), unseen))
                self._sums[0] += unseen

    def _lacking(self, n: int, request: Request, now: float) -> float:
        rule, spent = self._rules[n], self._spent[n]
        while spent and spent[0][0] <= now - rule.window_s:
            self._sums[n] -= spent.popleft()[1]
        weight = _weight(rule, request)
        limit = rule.limit if request.places_order else rule.limit * (100 - KEPT_FOR_ORDERS_PERCENT) // 100
        if not weight or not spent or self._sums[n] + weight <= limit:
            return 0.0
        return spent[0][0] + rule.window_s - now


def _weight(rule: BudgetRule, request: Request) -> int:
    if rule.orders:
        return 1 if request.places_order else 0
    return request.weight
