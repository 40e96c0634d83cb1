"""A web process is ready only when every desk speaks and every LP in use quotes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client, RequestFactory

from apps.common import probes
from piggy.messaging import streams

TENANTS = ("acorn", "birch")
NOW_US = 1_900_000_000_000_000


@pytest.fixture
def speak(redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Speak as a live engine with one LP; keywords change what the LP's row says. No time passes meanwhile."""
    monkeypatch.setattr(probes, "time", SimpleNamespace(time_ns=lambda: NOW_US * 1_000))
    kept = [streams.desk_snapshot_key(tenant=tenant, panel=panel) for tenant in TENANTS for panel in streams.PANELS]

    def say(*, age_s: float = 0, **row: object) -> None:
        at_us = NOW_US - int(age_s * 1_000_000)
        lp = {"venue": "LP1", "enabled": True, "state": "ready", "quote_age_ms": 40} | row
        for tenant in TENANTS:
            for panel, rows in (("summary", {"desk": {"seq": 7}}), ("venues", {"LP1": lp})):
                frame = {"panel": panel, "at_us": at_us, "rows": rows}
                redis_server.set(streams.desk_snapshot_key(tenant=tenant, panel=panel), json.dumps(frame))

    yield say
    redis_server.delete(*kept)


def told() -> tuple[int, dict[str, Any]]:
    answer = probes.readyz(RequestFactory().get("/readyz"))
    return answer.status_code, json.loads(answer.content)


def test_a_venue_where_all_speak_is_ready(acorn: Any, speak: Any) -> None:
    speak()
    assert told() == (200, {"status": "ready", "postgres": True, "redis": True, "desks": True, "venues": True})


def test_without_an_engine_nothing_is_ready(acorn: Any, speak: Any) -> None:
    assert told() == (503, {"status": "waiting", "postgres": True, "redis": True, "desks": False, "venues": True})
    speak(age_s=6)
    assert told()[1]["desks"] is False


@pytest.mark.parametrize("row", [{"state": "down"}, {"quote_age_ms": None}, {"quote_age_ms": 6_000}])
def test_an_lp_that_does_not_quote_is_waited_for(acorn: Any, speak: Any, row: dict[str, object]) -> None:
    speak(**row)
    assert told() == (503, {"status": "waiting", "postgres": True, "redis": True, "desks": True, "venues": False})
    speak(**row, enabled=False)
    assert told()[0] == 200


@pytest.mark.parametrize(
    ("domain", "status"), [("acorn.localhost", 200), ("mallory.example", 404), ("", 404), ("acorn.localhost,x", 404)]
)
def test_the_proxy_may_make_certificates_for_brokers_domains_alone(acorn: Any, domain: str, status: int) -> None:
    answer = Client(headers={"host": "web:8000"}).get("/internal/tls-permission", {"domain": domain})
    assert answer.status_code == status
