"""Every Redis key of a tenant that is no more: streams, panels, caches, quotas."""

from __future__ import annotations

import redis

SCAN_EACH = 1_000


def forget(*, redis_url: str, tenant: str) -> int:
    """Delete every key that carries the tenant's hash tag; return how many. Raises redis.RedisError."""
    link = redis.Redis.from_url(redis_url, socket_connect_timeout=2)
    try:
        # Schema names hold no character that a pattern means otherwise.
        names = list(link.scan_iter(match=f"*{{{tenant}}}:*", count=SCAN_EACH))
        for at in range(0, len(names), SCAN_EACH):
            link.unlink(*names[at : at + SCAN_EACH])
    finally:
        link.close()
    return len(names)
