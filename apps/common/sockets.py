"""Websockets and tenants: who knocks, and how a consumer touches the database.

Channels gives every consumer of a process the same thread and connection, so a schema set "at connect" is read by the
next consumer. Each database call here is one sync function that sets the schema, works and clears it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

import structlog
from channels.db import database_sync_to_async
from django.apps import apps
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import parse_cookie
from django.utils import timezone
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
    """Return who calls, or None when the host is nobody's, its broker suspended, or the page another broker's."""
    if len(hosts) != 1 or len(origins) != 1:
        return None
    tenant = selectors.tenant_of_host(raw=hosts[0])
    origin = selectors.tenant_of_host(raw=_host_of(origins[0]))
    if tenant is None or origin is None or origin.schema_name != tenant.schema_name or tenant.suspended_at:
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
    return people_of({session_key}).get(session_key, (AnonymousUser(), False))


def people_of(session_keys: set[str]) -> dict[str, tuple[Any, bool]]:
    """Return the same for many sessions, by key, in as many queries as for one; without those that are nobody's."""
    model, store = get_user_model(), SessionStore()
    rows = Session.objects.filter(session_key__in=session_keys - {""}, expire_date__gt=timezone.now())
    sessions = {row.session_key: store.decode(row.session_data) for row in rows}
    known = {key: each for key, each in sessions.items() if _is_signed_in(each)}
    pks = {key: model._meta.pk.to_python(each[SESSION_KEY]) for key, each in known.items()}
    users = {user.pk: user for user in model.objects.filter(pk__in=set(pks.values()), is_active=True)}
    devices = _devices({each.get(DEVICE_ID_SESSION_KEY) or "" for each in known.values()})
    people: dict[str, tuple[Any, bool]] = {}
    for key, session in known.items():
        user, device = users.get(pks[key]), devices.get(session.get(DEVICE_ID_SESSION_KEY) or "")
        if user and _has_password_of(user, session.get(HASH_SESSION_KEY, "")):
            people[key] = user, device is not None and device.user_id == user.pk
    return people


def _has_password_of(user: Any, told: str) -> bool:
    """Whether the session began with the password that the user has, under this secret key or one before it."""
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(told, each) for each in hashes)


def _is_signed_in(session: dict[str, Any]) -> bool:
    return SESSION_KEY in session and session.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS


def _devices(names: set[str]) -> dict[str, Device]:
    """Return second factors by their persistent ids (app.model/pk), with one query for each kind of them."""
    pks: dict[str, list[int]] = {}
    for name in names:
        kind, _, pk = name.rpartition("/")
        if pk.isdecimal():
            pks.setdefault(kind, []).append(int(pk))
    found: dict[str, Device] = {}
    for kind, numbers in pks.items():
        with contextlib.suppress(LookupError, ValueError):
            model = apps.get_model(kind)
            if issubclass(model, Device):
                found |= {f"{kind}/{device.pk}": device for device in model.objects.filter(pk__in=numbers)}
    return found


def _headers(scope: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope.get("headers", []):
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _host_of(origin: str) -> str:
    """Return host and port of an Origin, '' where it is no address at all."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _session_key(headers: dict[str, list[str]]) -> str:
    """Return the session's key as Django's own middleware reads it, whatever other cookies look like."""
    key = parse_cookie("; ".join(headers.get("cookie", []))).get(settings.SESSION_COOKIE_NAME, "")
    return key if key.isascii() and key.isalnum() else ""
