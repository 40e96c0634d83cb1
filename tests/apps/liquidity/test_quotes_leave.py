"""F-19: the quotes of one venue that cannot be read stop nobody else's."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings

from apps.liquidity.worker import supervisor
from apps.liquidity.worker.supervisor import Supervisor


class Shown:
    """Takes what is published, and says stop after a few rounds."""

    def __init__(self, stopping: threading.Event) -> None:
        self.stopping = stopping
        self.batches: list[tuple[str, list[Any]]] = []

    def publish_market_data(self, *, tenant: str, batch: list[Any]) -> None:
        self.batches.append((tenant, batch))
        if len(self.batches) >= 4:
            self.stopping.set()


def link(name: str, *, raises: bool = False) -> SimpleNamespace:
    def quotes() -> list[str]:
        if raises:
            raise ArithmeticError("no number")
        return [f"{name} quote"]

    said = {"changed_quotes": quotes, "all_quotes": quotes, "status": lambda: f"{name} status"}
    return SimpleNamespace(**said, status_changed=False)


@override_settings(PIGGY_HOME="unused", REDIS_URL="redis://127.0.0.1:1")
def test_a_venue_that_cannot_be_shown_takes_nobody_else_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STATE_S", 0.0)
    watched = Supervisor()
    shown = watched._client = Shown(watched._stopping)  # type: ignore[assignment]
    watched._links = {("acorn", "BAD"): link("BAD", raises=True), ("birch", "LP2"): link("LP2")}  # type: ignore[dict-item]
    thread = threading.Thread(target=watched._publish, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert shown.batches[:2] == [("acorn", ["BAD status"]), ("birch", ["LP2 status", "LP2 quote"])]
    assert shown.batches[2:] == shown.batches[:2], "and it goes on"
