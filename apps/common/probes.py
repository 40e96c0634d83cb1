"""Is the process alive, is it ready, and its figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from apps.tenants.selectors import active_schemas, tenant_of_host
from piggy.messaging import lanes, streams

REDIS_TIMEOUT_S = 1.0
# The engine speaks every second, an LP several times a second; this long a silence is no delay.
SILENCE_US_MAX = 5_000_000

log = structlog.get_logger("piggy.probes")
requests_total = Counter("piggy_http_requests_total", "HTTP requests.", ["method", "status"])
request_ms = Histogram(
    "piggy_http_request_ms", "Time of a request in ms.", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 3_000)
)


def count_request(*, method: str, status: int, took_ms: float) -> None:
    """Count one answered request."""
    requests_total.labels(method if method in _METHODS else "other", str(status)).inc()
    request_ms.observe(took_ms)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Is the venue live? PostgreSQL and Redis answer, every broker's desk speaks, and every LP in use quotes.

    503 says which of them does not; names of brokers and LPs go to the log only, for anybody may ask.
    """
    state = {"postgres": _postgres_answers(), "redis": _redis_answers(), "desks": False, "venues": False}
    if state["postgres"] and state["redis"]:
        silent = _silent_parts()
        state["desks"], state["venues"] = not silent["desks"], not silent["venues"]
    is_ready = all(state.values())
    return JsonResponse({"status": "ready" if is_ready else "waiting", **state}, status=200 if is_ready else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    """The process's figures in Prometheus' text form."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def tls_permission(request: HttpRequest) -> HttpResponse:
    """May the proxy make a certificate for `?domain=`? Only for a broker's own (`docker/Caddyfile`)."""
    connection.set_schema_to_public()
    is_ours = tenant_of_host(raw=request.GET.get("domain", "")) is not None
    return JsonResponse({"ours": is_ours}, status=200 if is_ours else 404)


BY_PATH: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
    "/internal/tls-permission": tls_permission,
}


def _postgres_answers() -> bool:
    try:
        connection.set_schema_to_public()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, psycopg.Error) as error:
        log.warning("postgres_is_away", error=str(error))
        return False
    return True


def _redis_answers() -> bool:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=REDIS_TIMEOUT_S)
    try:
        return bool(client.ping())
    except redis.RedisError as error:
        log.warning("redis_is_away", error=str(error))
        return False
    finally:
        client.close()


def _silent_parts() -> dict[str, list[str]]:
    """Return which desks and LPs have nothing to say, from what each desk last showed its dealers."""
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=REDIS_TIMEOUT_S)
    silent: dict[str, list[str]] = {"desks": [], "venues": []}
    try:
        for tenant in active_schemas():
            summary, venues = (_snapshot(client, tenant, panel) for panel in ("summary", "venues"))
            waiting = sum(client.xlen(key) for key in lanes.keys(tenant=tenant))
            if _is_silent(summary) or (waiting and not _row(summary)["seq"]):
                silent["desks"].append(tenant)
            silent["venues"] += [f"{tenant}/{name}" for name, row in venues["rows"].items() if _is_mute(row, venues)]
    except redis.RedisError as error:
        log.warning("redis_is_away", error=str(error))
        return {"desks": ["?"], "venues": ["?"]}
    finally:
        client.close()
    if silent["desks"] or silent["venues"]:
        log.info("venue_is_not_live", **silent)
    return silent


def _snapshot(client: redis.Redis, tenant: str, panel: str) -> dict[str, Any]:
    found = client.get(streams.desk_snapshot_key(tenant=tenant, panel=panel))
    return msgspec.json.decode(found) if isinstance(found, bytes) else {"at_us": 0, "rows": {}}


def _row(summary: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = summary["rows"].get("desk") or {"seq": 0}
    return row


def _is_silent(frame: dict[str, Any]) -> bool:
    return bool(time.time_ns() // 1_000 - frame["at_us"] > SILENCE_US_MAX)


def _is_mute(row: dict[str, Any], frame: dict[str, Any]) -> bool:
    """Is an LP that should be heard not logged on, or without a fresh quote?"""
    if not row["enabled"]:
        return False
    age_us = (row["quote_age_ms"] or 0) * 1_000 + time.time_ns() // 1_000 - frame["at_us"]
    return bool(row["state"] != "ready" or row["quote_age_ms"] is None or age_us > SILENCE_US_MAX)
