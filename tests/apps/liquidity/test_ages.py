"""INV-20: how long an order may wait for its session is its age, whatever becomes of the clock."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from apps.liquidity.worker import link
from apps.liquidity.worker.link import Link

AGE_MS, HOUR_US = 200, 3_600_000_000


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
    asked_at_us = link.wall_us()
    monkeypatch.setattr(link.services, "claim_order", lambda **_: (None, True))
    monkeypatch.setattr(link, "wall_us", lambda: time.time_ns() // 1_000 + step_us)
    waiting, began_s = Waiting(), time.monotonic()
    waiting._place(SimpleNamespace(cl_ord_id="O1"), asked_at_us=asked_at_us)  # type: ignore[arg-type]
    took_ms = (time.monotonic() - began_s) * 1_000
    assert waiting.refused == ["too old to be sent"]
    assert (took_ms >= AGE_MS / 2) is waits and took_ms < 10 * AGE_MS
