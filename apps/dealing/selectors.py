"""Who may sit at the desk, and what its panels hold now."""

from __future__ import annotations

from typing import Any

import msgspec
import redis
from django.conf import settings

from apps.common.sockets import person_of
from apps.tenants import selectors as tenants
from apps.users import selectors as users
from piggy.messaging import streams

DESK_ROLES = ("admin", "dealer")

_redis = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2)


class PanelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A panel as the page lays it out: its stream, its title, the letter after `g`, and what is to be seen in it."""

    name: str
    title: str
    key: str
    hint: str


PANELS = (
    PanelInfo(name="exposure", title="Exposure by symbol", key="e", hint="lots · P&L in quote currency, sums in USD"),
    PanelInfo(name="quotes", title="Consolidated quotes", key="q", hint="Enter shows each LP"),
    PanelInfo(name="orders", title="Order blotter", key="o", hint="Enter shows the venues weighed"),
    PanelInfo(name="venues", title="LP health", key="l", hint=""),
)


def may_watch_desk(user: Any) -> bool:
    """Is `user` (request.user) verified staff with a role of the desk?"""
    return users.is_verified_staff(user, *DESK_ROLES)


def seat_of_session(tenant: str, session_key: str) -> str | None:
    """Return the name of whoever that session may seat at `tenant`'s desk, or None. Runs in the tenant's schema."""
    user, is_verified = person_of(session_key)
    return str(user) if is_verified and users.has_role(user, *DESK_ROLES) else None


def seated_sessions(tenant: str, session_keys: set[str]) -> set[str]:
    """Return those sessions that may still watch; none once the broker is suspended. Runs in the tenant's schema."""
    seated = {key for key in session_keys if seat_of_session(tenant, key)}
    return seated if tenant in tenants.active_schemas() else set()


def panel_snapshot(*, tenant: str, panel: str) -> bytes | None:
    """Return the latest snapshot frame (JSON) of a panel, or None where the engine has not spoken yet."""
    found = _redis.get(streams.desk_snapshot_key(tenant=tenant, panel=panel))
    assert found is None or isinstance(found, bytes), "a plain GET answers bytes"
    return found
