"""A worker behind the Redis of another installation deals at no venue."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import override_settings

from apps.liquidity.worker.supervisor import Supervisor
from piggy.messaging import installation


@override_settings(PIGGY_HOME="unused")
def test_no_link_stands_while_the_redis_is_another_installations(acorn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its streams is not ours to send to a venue."""
    watched = Supervisor()
    matched: list[dict[Any, Any]] = []

    def match(wanted: dict[Any, Any]) -> None:
        matched.append(wanted)
        watched._stopping.set()

    monkeypatch.setattr(watched, "_wanted", lambda: {("acorn", "LP1"): "a config"})
    monkeypatch.setattr(watched, "_match", match)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        for whose in ("another", ""):
            client.delete(installation.KEY)
            if whose:
                client.set(installation.KEY, whose)
            watched._claim = None
            watched._stopping.clear()
            watched._watch()
        client.delete(installation.KEY)
    assert matched == [{}, {("acorn", "LP1"): "a config"}]
