"""INV-20: how long an order may wait for its session is its age, whatever becomes of the clock."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from apps.liquidity.worker import link
from apps.liquidity.worker.link import Link

AGE_MS, HOUR_US = 200, 3_600_000_000


class Clock:
    """Both clocks of a worker: what sleeps puts them on, and UTC may be stepped besides."""

    def __init__(self) -> None:
        self.now_us, self.step_us, self.slept_s = 1_900_000_000_000_000, 0, 0.0

    def monotonic(self) -> float:
        return self.now_us / 1_000_000

    def wall_us(self) -> int:
        return self.now_us + self.step_us

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self.now_us += int(seconds * 1_000_000)


class Waiting(Link):
    """A link whose session never comes up, and what it refused."""

    def __init__(self) -> None:
        self.session: Any = SimpleNamespace(ready=False)
        self.refused: list[str] = []
        self._age_ms_max, self._stopping = AGE_MS, threading.Event()

    def _send(self, child: Any) -> None:
        raise AssertionError("nothing leaves")

    def _send_cancel(self, order: Any, row: Any, attempt: int) -> bool:
        return False

    def _ask_status(self, row: Any) -> None:
        """Nobody asks."""

    def _refuse(self, row: Any, text: str) -> None:
        self.refused.append(text)


@pytest.mark.parametrize(("step_us", "waits"), [(0, True), (-HOUR_US, True), (HOUR_US, False)])
def test_an_order_waits_for_its_session_no_longer_than_it_may_however_utc_is_stepped(
    monkeypatch: pytest.MonkeyPatch, step_us: int, waits: bool
) -> None:
    clock, waiting = Clock(), Waiting()
    asked_at_us, clock.step_us = clock.wall_us(), step_us
    monkeypatch.setattr(link.services, "claim_order", lambda **_: (None, True))
    monkeypatch.setattr(link, "wall_us", clock.wall_us)
    monkeypatch.setattr(link, "time", clock)
    waiting._place(SimpleNamespace(cl_ord_id="O1"), asked_at_us=asked_at_us)  # type: ignore[arg-type]
    assert waiting.refused == ["too old to be sent"]
    assert clock.slept_s == pytest.approx(AGE_MS / 1_000 if waits else 0, abs=link.WAIT_S)
