"""The websocket door: the broker by host, the origin by its domains, the person by session; then the routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from channels.routing import URLRouter
from django.apps import apps
from django.urls import re_path

from apps.common.sockets import TenantSockets

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def websockets() -> Asgi:
    """Return the application: `websocket_urlpatterns` of every app's consumers behind the tenant's door."""
    routes: list[Any] = []
    for config in apps.get_app_configs():
        if config.name.startswith("apps.") and find_spec(f"{config.name}.consumers"):
            routes += import_module(f"{config.name}.consumers").websocket_urlpatterns
    return TenantSockets(URLRouter([*routes, re_path(r"", _nowhere)]))  # type: ignore[arg-type]


async def _nowhere(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Refuse an address that nobody has; the router itself would raise."""
    await send({"type": "websocket.close", "code": 4404})
