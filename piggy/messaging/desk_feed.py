"""A tenant's desk frames for a web process: one subscription, and the snapshots that fill what it missed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import redis.asyncio
from redis.exceptions import RedisError

from piggy.messaging import streams

log = logging.getLogger(__name__)

RECONNECT_S = 0.5


class DeskFeed:
    """Frames (JSON bytes) as the engine publishes them; what is lost in between is found in the snapshots."""

    def __init__(self, *, redis_url: str, tenant: str) -> None:
        self._redis: Any = redis.asyncio.Redis.from_url(redis_url, socket_connect_timeout=2, health_check_interval=10)
        self._tenant = tenant

    async def frames(self) -> AsyncIterator[bytes | None]:
        """Yield None after every (re)subscription, when the snapshots must be read, then each frame; never ends."""
        channel = streams.desk_channel(tenant=self._tenant)
        while True:
            pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
            try:
                await pubsub.subscribe(channel)
                yield None
                async for message in pubsub.listen():
                    yield cast("bytes", message["data"])
            except (RedisError, OSError) as error:
                log.warning("desk feed lost", extra={"tenant": self._tenant, "error": str(error)})
            finally:
                await _quietly_close(pubsub)
            await asyncio.sleep(RECONNECT_S)

    async def snapshot(self, *, panel: str) -> bytes | None:
        """Return the panel's latest snapshot frame, or None where there is none or Redis is away."""
        try:
            return cast(
                "bytes | None", await self._redis.get(streams.desk_snapshot_key(tenant=self._tenant, panel=panel))
            )
        except (RedisError, OSError) as error:
            log.warning("desk snapshot unreadable", extra={"tenant": self._tenant, "panel": panel, "error": str(error)})
            return None

    async def look_at(self, *, names: list[str]) -> None:
        """Ask the engine to show these closely; it stops when nobody asks again within FOCUS_LIFE_S."""
        until_s = time.time() + streams.FOCUS_LIFE_S
        try:
            await self._redis.zadd(streams.focus_key(tenant=self._tenant), dict.fromkeys(names, until_s))
        except (RedisError, OSError) as error:
            log.warning("desk focus not told", extra={"tenant": self._tenant, "error": str(error)})

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()


async def _quietly_close(pubsub: Any) -> None:
    try:
        await pubsub.aclose()
    except (RedisError, OSError) as error:
        log.info("desk feed closed late", extra={"error": str(error)})
