"""How often somebody may ask; the counter's name carries the tenant."""

from __future__ import annotations

from typing import Any

import structlog
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from apps.common.names import tenant_key
from piggy.messaging.addresses import crowd_of

log = structlog.get_logger("piggy.api")


class OpenWithoutRedis(SimpleRateThrottle):
    """Nothing is counted while Redis is away: reads go on from PostgreSQL, orders are answered 503 anyway."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Return whether the request may pass."""
        try:
            return super().allow_request(request, view)
        except RedisError as error:
            log.warning("throttle_without_redis", error=str(error))
            return True


class PerUser(OpenWithoutRedis):
    """Requests per user, or per address while nobody is logged in."""

    scope = "user"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Return the counter's name."""
        who = request.user.pk if request.user and request.user.is_authenticated else self.get_ident(request)
        return tenant_key(tenant=request.tenant.schema_name, name=f"throttle:{self.scope}:{who}")  # type: ignore[attr-defined]


class Outlooks(PerUser):
    """What the engine answers while it deals for nobody: with many positions one takes as long as many orders do."""

    scope = "outlook"


class Logins(OpenWithoutRedis):
    """Logins from an address, whoever it says it is: looking at a password is meant to take long."""

    scope = "login"

    def get_cache_key(self, request: Any, view: Any) -> str:
        """Return the counter's name."""
        crowd = crowd_of(address=self.get_ident(request) or "")
        return tenant_key(tenant=request.tenant.schema_name, name=f"throttle:{self.scope}:{crowd}")
