"""Base classes of the API and its one shape of error: {code, field, message, request_id}."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import structlog
from django.core.exceptions import PermissionDenied
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import TimeoutError as RedisSilent
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from apps.tenants.selectors import brand_of

log = structlog.get_logger("piggy.api")

DATABASE_AWAY = (OperationalError, InterfaceError)
AWAY, AWAY_RETRY_S = "The database does not answer.", 1
# What the desk shows is kept there; nothing that was acknowledged is (F-03).
SCREENS_AWAY, NO_SCREENS = (RedisAway, RedisSilent), "What the desk last showed cannot be fetched."
# What PostgreSQL cannot hold or compare, wherever it came in: a zero byte in an address or a cookie, a number past all.
UNUSABLE, NOT_KEPT = "unusable", "A value in this request cannot be looked for or kept."
# What a page says of a code, in a title and a sentence: what happened, and what to do.
PAGES = {
    "not_found": ("There is nothing here", "The address is mistyped, or what it named is gone."),
    "permission_denied": (
        "Not for your role",
        "You are signed in, and your role may not open this. An admin can change that.",
    ),
    "csrf_failed": ("This page was open too long", "Nothing was saved. Go back, reload the page and send it again."),
    "unavailable": (
        "Not reachable for a moment",
        "The database does not answer. Nothing was saved; try again in a moment.",
    ),
    "desk_away": ("Not reachable for a moment", f"{NO_SCREENS} Try again in a moment."),
    "internal": (
        "Something failed here",
        "It is logged under the number below; what you sent may not have been saved.",
    ),
    UNUSABLE: ("That cannot be looked for", NOT_KEPT),
}


class Refused(exceptions.APIException):
    """A well-formed request that the rules refuse: 422 unless `status` says otherwise."""

    def __init__(self, *, code: str, message: str, field: str | None = None, status: int = 422) -> None:
        super().__init__(detail=message, code=code)
        self.field = field
        self.status_code = status


class Unavailable(exceptions.APIException):
    """A part behind us does not answer; try again after `retry_after_s`."""

    status_code = 503
    default_code = "unavailable"
    default_detail = "A service behind this one does not answer."

    def __init__(self, *, message: str, code: str = "unavailable", retry_after_s: int = 1) -> None:
        super().__init__(detail=message, code=code)
        self.wait = retry_after_s


class StrictInput(serializers.Serializer):
    """A serializer that refuses fields it does not know (mass assignment); at least `fields_min` must be given."""

    fields_min: ClassVar[int] = 0

    def to_internal_value(self, data: Any) -> Any:
        """Return the valid values; 400 names an unknown field."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({unknown[0]: [exceptions.ErrorDetail("Unknown field.", "unknown_field")]})
        return super().to_internal_value(data)


class ApiView(APIView):
    """A view that parses with `Input`, makes one call and renders."""

    Input: ClassVar[type[serializers.Serializer]]

    def valid(self, request: Request) -> dict[str, Any]:
        """Return the request's body as checked by `Input`."""
        given = self.Input(data=request.data)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Say of every answer, also of a refusal, that nobody on its way keeps it: it is one person's."""
        response.headers.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)

    @staticmethod
    def tenant(request: Request) -> str:
        """Return the schema of the request's broker."""
        return str(request.tenant.schema_name)  # type: ignore[attr-defined]


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER: every refusal in one shape, absent and foreign objects alike, never a trace."""
    request_id = _request_id(context.get("request"))
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, DATABASE_AWAY):
        log.error("database_is_away", error=str(error))
        error = Unavailable(message=AWAY, retry_after_s=AWAY_RETRY_S)
    elif isinstance(error, UnicodeDecodeError):
        # Bodies are read by our own parser; of a header it is the token.
        error = exceptions.AuthenticationFailed("Invalid token.")
    elif isinstance(error, DataError):
        log.warning("value_unusable", error=str(error))
        error = Refused(code=UNUSABLE, message=NOT_KEPT, status=400)
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    code, field, message = _first(error)
    if isinstance(error, exceptions.NotFound):
        message = "Not found."
    body = {"code": code, "field": field, "message": message, "request_id": request_id}
    headers = {}
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait))  # type: ignore[attr-defined]
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]
    return Response(body, status=error.status_code, headers=headers)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404, in the same shape."""
    return _plain(request, code="not_found", message="Not found.", status=404)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403: who asks is known, and may not."""
    message = "You do not have permission to perform this action."
    return _plain(request, code="permission_denied", message=message, status=403)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: mostly a page that was left open past its session."""
    log.warning("csrf_refused", path=request.path, reason=reason)
    return _plain(request, code="csrf_failed", message="The token of this form is missing or old.", status=403)


def failed(request: HttpRequest) -> HttpResponse:
    """Django's handler500: says nothing but the id to look for in the logs; a lost database or Redis is 503."""
    error = sys.exc_info()[1]
    if isinstance(error, DataError):
        return _plain(request, code=UNUSABLE, message=NOT_KEPT, status=400)
    if isinstance(error, DATABASE_AWAY):
        return _plain(request, code="unavailable", message=AWAY, status=503, retry_after_s=AWAY_RETRY_S)
    if isinstance(error, SCREENS_AWAY):
        return _plain(request, code="desk_away", message=NO_SCREENS, status=503, retry_after_s=AWAY_RETRY_S)
    return _plain(request, code="internal", message="Something failed here; it is logged.", status=500)


def _plain(
    request: HttpRequest, *, code: str, message: str, status: int, retry_after_s: int | None = None
) -> HttpResponse:
    """Answer a program in the API's shape, and a person who opened an address in a browser with a page."""
    body = {"code": code, "field": None, "message": message, "request_id": _request_id(request)}
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
        return JsonResponse(body, status=status, headers=headers)
    title, said = PAGES.get(code, ("Something failed", message))
    shown = {**body, "title": title, "message": said, "status": status, "brand": brand_of(request)}
    # Without the request: what every template is given asks the database, which may be what failed.
    return HttpResponse(render_to_string("common/error.html", shown), status=status, headers=headers)


def _request_id(request: Any) -> str:
    request = getattr(request, "_request", request)
    return str(getattr(request, "request_id", ""))


def _first(error: exceptions.APIException) -> tuple[str, str | None, str]:
    """Return code, field and message of the first thing wrong."""
    detail: Any = error.detail
    path: list[str] = []
    while isinstance(detail, dict | list):
        if isinstance(detail, dict):
            name, detail = next(iter(detail.items()))
            if name != "non_field_errors":
                path.append(str(name))
        else:
            detail = detail[0] if detail else ""
    field = getattr(error, "field", None) or ".".join(path) or None
    return str(getattr(detail, "code", error.default_code)), field, str(detail)
