"""Quotes and venue states from Redis to the desks; they are not events, and whoever missed some gets the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from piggy.core.desk import Desk
from piggy.core.market import VenueQuote
from piggy.engine.clock import is_wanted, pause
from piggy.messaging import codec, streams

log = logging.getLogger(__name__)

IDLE_S = 0.1
RECONNECT_S = 0.5


class MarketFeed:
    """Follows every tenant that `desks` has at the moment; `taped` hears each message first, then `saw` its batch."""

    def __init__(
        self,
        *,
        connection: redis.asyncio.Redis,
        desks: Mapping[str, Desk],
        saw: Callable[[str, list[codec.MarketData]], None] | None = None,
        taped: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._redis: Any = connection
        self._desks = desks
        self._saw = saw
        self._taped = taped

    async def run(self) -> None:
        """Hand market data to the desks, for ever."""
        while is_wanted():
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await self._listen(pubsub)
            except (RedisError, OSError) as error:
                log.warning("market data lost", extra={"error": str(error)})
                await pause(RECONNECT_S)

    async def _listen(self, pubsub: Any) -> None:
        channels: set[str] = set()
        while is_wanted():
            wanted = {streams.quotes_channel(tenant=tenant) for tenant in self._desks}
            if added := wanted - channels:
                await pubsub.subscribe(*added)
            if gone := channels - wanted:
                await pubsub.unsubscribe(*gone)
            channels = wanted
            if not channels:
                await pause(IDLE_S)
                continue
            message = await pubsub.get_message(timeout=0.5)
            if message is not None and message["type"] == "message":
                self._hear(streams.tenant_of(key=message["channel"].decode()), message["data"])
                # Of what has come already nothing is waited for; orders pass between one batch and the next.
                await pause(0)

    def _hear(self, tenant: str, data: bytes) -> None:
        desk = self._desks.get(tenant)
        if desk is None:
            return
        try:
            batch = codec.decode_market_data(data)
        except msgspec.DecodeError as error:
            log.warning("market data not understood", extra={"tenant": tenant, "error": str(error)})
            return
        if self._taped is not None:
            self._taped(tenant, data)
        if self._saw is not None:
            self._saw(tenant, batch)
        for each in batch:
            if isinstance(each, VenueQuote):
                desk.quote(quote=each)
            else:
                desk.status(status=each)
