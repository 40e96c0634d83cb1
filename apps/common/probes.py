"""Is the process alive, is it ready, and its figures."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

REDIS_TIMEOUT_S = 1.0

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


def healthz() -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def readyz() -> HttpResponse:
    """PostgreSQL and Redis answer too; 503 names which does not."""
    state = {"postgres": _postgres_answers(), "redis": _redis_answers()}
    is_ready = all(state.values())
    return JsonResponse({"status": "ready" if is_ready else "waiting", **state}, status=200 if is_ready else 503)


def metrics() -> HttpResponse:
    """The process's figures in Prometheus' text form."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


BY_PATH: dict[str, Callable[[], HttpResponse]] = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}


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
