"""The edge of every HTTP request: its id, its broker, its log line, its policy.

Sync on purpose: one thread, one tenant.
"""

from __future__ import annotations

import math
import re
import time
import uuid
from collections.abc import Callable

import structlog
from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse

from apps.common import probes
from apps.common.throttles import Logins
from apps.tenants import selectors, services

Respond = Callable[[HttpRequest], HttpResponse]
REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}\Z")
ADMIN = "/admin/"
# Programs, monitors and a dealer's halt: they ask in a moment again, and what they ask of the database takes none.
PROMPT = ("/api/", "/desk/actions/", "/desk/previews/", "/readyz", "/internal/")
PROMPT_S_MAX = 4.0
# How a field, and Python, say of a text that it is no number they could keep.
NO_VALUE = ("Field '", "Exceeds the limit", "year ")
ADMIN_POLICY = {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}

log = structlog.get_logger("piggy.web")


class RequestId:
    """Give every request an id, keep the caller's when it is harmless, and return it in X-Request-Id."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if REQUEST_ID.match(given) else uuid.uuid4().hex  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):  # type: ignore[attr-defined]
            response = self.respond(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response


class Promptness:
    """Do not let who is to be answered at once wait for a database that does not answer."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(PROMPT):
            return self.respond(request)
        with services.patience(seconds=PROMPT_S_MAX):
            return self.respond(request)


class Probes:
    """Answer monitors and the proxy before there is a tenant: they call by address, not by domain."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = probes.BY_PATH.get(request.path)
        return answer(request) if answer and request.method == "GET" else self.respond(request)


class TenantByHost:
    """Set the connection to the broker whose domain was asked for; nobody's host is answered 404."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        connection.set_schema_to_public()
        # HTTP_HOST itself: X-Forwarded-Host is never believed, and two Host headers arrive joined by a comma.
        tenant = selectors.tenant_of_host(raw=request.META.get("HTTP_HOST", ""))
        if tenant is None:
            body = {"code": "not_found", "field": None, "message": "Not found."}
            return JsonResponse({**body, "request_id": getattr(request, "request_id", "")}, status=404)
        request.tenant = tenant  # type: ignore[attr-defined]
        connection.set_tenant(tenant)
        try:
            with structlog.contextvars.bound_contextvars(tenant=tenant.schema_name):
                return self.respond(request)
        finally:
            connection.set_schema_to_public()


class AdminPolicy:
    """Loosen the content policy for the admin only: its theme evaluates Alpine expressions. Refuse odd keys there."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.respond(request)
        if request.path.startswith(ADMIN):
            response._csp_replace = ADMIN_POLICY  # type: ignore[attr-defined]
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 400 to a key or number that no row has: Django's own forms and actions ask for it all the same."""
        if not (request.path.startswith(ADMIN) and _is_no_value(error)):
            return None
        log.warning("value_unusable", path=request.path, error=str(error)[:200])
        return HttpResponseBadRequest("A value in this request is none of ours.", content_type="text/plain")


def _is_no_value(error: Exception) -> bool:
    """Whether it says that a text is no number, key or day that there could be."""
    if isinstance(error, ValidationError):
        return getattr(error, "code", None) == "invalid"
    if isinstance(error, OverflowError | RecursionError):
        # Django's own field for JSON reads what nests without end until there is no room for more.
        return True
    return isinstance(error, ValueError) and str(error).startswith(NO_VALUE)


class LoginPace:
    """Keep who makes names up from having passwords looked at without end: each takes long on purpose."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path != settings.LOGIN_URL or request.method != "POST":
            return self.respond(request)
        pace = Logins()
        if pace.allow_request(request, None):  # type: ignore[arg-type]
            return self.respond(request)
        log.warning("logins_too_many", address=request.META.get("REMOTE_ADDR", ""))
        wait_s = math.ceil(pace.wait() or 1)
        said = "Too many logins from your address; try again in a minute."
        return HttpResponse(said, status=429, content_type="text/plain", headers={"Retry-After": str(wait_s)})


class RequestLog:
    """One line per request, with who, what and how long; never a body."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started_s = time.perf_counter()
        response = self.respond(request)
        took_ms = (time.perf_counter() - started_s) * 1_000
        probes.count_request(method=request.method or "", status=response.status_code, took_ms=took_ms)
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            took_ms=round(took_ms, 1),
            user_id=getattr(getattr(request, "user", None), "pk", None),
        )
        return response
