"""What a session keeps of orders: the latest, however long it lives."""

from __future__ import annotations

import pytest

from piggy.adapters import latest
from piggy.adapters.latest import Latest


def test_the_latest_stay_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "KEPT_MAX", 2)
    known = Latest[str, int]()
    known["a"], known["b"] = 1, 2
    known["a"] = 3
    assert known.setdefault("c", 4) == 4
    assert known == {"a": 3, "c": 4}, "b was set before a was again"
    assert known.setdefault("a", 9) == 3
