"""How often somebody may ask; the counter's name carries the tenant."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle, SimpleRateThrottle

from apps.common.names import tenant_key


class PerUser(SimpleRateThrottle):
    """Requests per user, or per address while nobody is logged in."""

    scope = "user"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Return the counter's name."""
        who = request.user.pk if request.user and request.user.is_authenticated else self.get_ident(request)
        return tenant_key(tenant=request.tenant.schema_name, name=f"throttle:{self.scope}:{who}")  # type: ignore[attr-defined]


class PerScope(ScopedRateThrottle):
    """Requests per user within a view's `throttle_scope`."""

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Return the counter's name."""
        who = request.user.pk if request.user and request.user.is_authenticated else self.get_ident(request)
        return tenant_key(tenant=request.tenant.schema_name, name=f"throttle:{self.scope}:{who}")  # type: ignore[attr-defined]
