"""Websockets and tenants: who knocks, and how a consumer touches the database.

Channels gives every consumer of a process the same thread and connection, so a schema set "at connect" is read by the
next consumer. Each database call here is one sync function that sets the schema, works and clears it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.utils.crypto import constant_time_compare
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.models import Device

from apps.tenants import selectors
from apps.tenants.services import in_tenant

P = ParamSpec("P")
R = TypeVar("R")
Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

log = structlog.get_logger("piggy.sockets")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose domain was called and who calls; `is_verified` is the second factor of that session."""

    tenant: str
    user: Any
    is_verified: bool


class TenantSockets:
    """Put `tenant` (schema name), `user`, `is_verified` and `session_key` in the scope.

    Foreign hosts and origins are refused with 403.
    """

    def __init__(self, inner: Asgi) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = _headers(scope)
        caller = await database_sync_to_async(identify)(
            hosts=headers.get("host", []), origins=headers.get("origin", []), session_key=_session_key(headers)
        )
        if caller is None:
            log.info("socket_refused", host=headers.get("host"), origin=headers.get("origin"))
            await send({"type": "websocket.close", "code": 4403})
            return
        scope = {**scope, "tenant": caller.tenant, "user": caller.user, "is_verified": caller.is_verified}
        with structlog.contextvars.bound_contextvars(tenant=caller.tenant):
            await self.inner({**scope, "session_key": _session_key(headers)}, receive, send)


def identify(*, hosts: list[str], origins: list[str], session_key: str) -> Caller | None:
    """Return who calls, or None when the host is nobody's or the page came from another broker's domain."""
    if len(hosts) != 1 or len(origins) != 1:
        return None
    tenant = selectors.tenant_of_host(raw=hosts[0])
    origin = selectors.tenant_of_host(raw=urlsplit(origins[0]).netloc)
    if tenant is None or origin is None or origin.schema_name != tenant.schema_name:
        return None
    with in_tenant(tenant.schema_name):
        user, is_verified = person_of(session_key)
    return Caller(tenant.schema_name, user, is_verified)


def tenant_call(function: Callable[Concatenate[str, P], R]) -> Callable[Concatenate[str, P], Awaitable[R]]:
    """Make an async call of a sync database function whose first argument is the tenant.

    It sets the schema, works and clears it in one go.
    """

    def inside(tenant: str, *args: P.args, **kwargs: P.kwargs) -> R:
        with in_tenant(tenant):
            return function(tenant, *args, **kwargs)

    return database_sync_to_async(inside)  # type: ignore[return-value]


def person_of(session_key: str) -> tuple[Any, bool]:
    """Return the user of a session of the current schema as Django's own middleware would,
    and whether the second factor was given."""
    session = SessionStore(session_key) if session_key else {}
    if SESSION_KEY not in session or session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return AnonymousUser(), False
    model = get_user_model()
    user = model.objects.filter(pk=model._meta.pk.to_python(session[SESSION_KEY]), is_active=True).first()
    if user is None or not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return AnonymousUser(), False
    device_id = session.get(DEVICE_ID_SESSION_KEY)
    device = Device.from_persistent_id(device_id) if device_id else None
    return user, device is not None and device.user_id == user.pk


def _headers(scope: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope.get("headers", []):
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _session_key(headers: dict[str, list[str]]) -> str:
    cookies: SimpleCookie = SimpleCookie("; ".join(headers.get("cookie", [])))
    morsel = cookies.get(settings.SESSION_COOKIE_NAME)
    return morsel.value if morsel else ""
