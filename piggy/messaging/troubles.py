"""What is wrong with a part of the machine, said where the dealers of the broker see it within seconds."""

from __future__ import annotations

import logging
import time
from typing import Any

import redis

from piggy.messaging import streams

# Redis may be emptied: a trouble that lasts is said again so often.
AGAIN_S = 2.0
TIMEOUT_S = 1.0

log = logging.getLogger(__name__)


class Troubles:
    """One process's own, by broker; `name` is what the dealers know it by. Never raises: who is in trouble goes on."""

    def __init__(self, *, redis_url: str, name: str) -> None:
        self._redis_url = redis_url
        self._name = name
        self._redis: Any = None
        self._said: dict[str, tuple[str, float]] = {}

    def say(self, *, tenant: str, text: str) -> None:
        """Show `text` to a broker's dealers until another is said; '' takes it away."""
        before, at_s = self._said.get(tenant, (None, 0.0))
        if text == before and (not text or time.monotonic() - at_s < AGAIN_S):
            return
        key = streams.troubles_key(tenant=tenant)
        try:
            if self._redis is None:
                self._redis = redis.Redis.from_url(self._redis_url, socket_timeout=TIMEOUT_S)
            if text:
                self._redis.hset(key, self._name, text)
            else:
                self._redis.hdel(key, self._name)
        except redis.RedisError as error:
            log.warning("trouble not told", extra={"tenant": tenant, "text": text, "error": str(error)})
            return
        self._said[tenant] = (text, time.monotonic())
