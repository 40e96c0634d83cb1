"""The only door out: child orders to a venue's worker, and wake-ups for whoever follows a tenant's log."""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple, cast

import msgspec
import redis

from piggy.messaging import codec, streams

log = logging.getLogger(__name__)

PENDING_IDLE_MS = 5_000
RECONNECT_S = 0.5


class Delivery(NamedTuple):
    """One stream entry; `order` is None where the entry cannot be decoded (acknowledge it after parking `data`).

    `asked_at_us` is when the order was made (UTC), also of one that was put on the stream once more.
    """

    entry_id: bytes
    order: codec.VenueOrder | None
    data: bytes
    asked_at_us: int


class VenueOrders:
    """A worker's view of one venue stream: at-least-once, so that the worker dedupes by ClOrdID.

    A worker that comes back under its old `consumer` name, or another one after 5 s, gets what was never acknowledged.
    """

    def __init__(self, *, redis_url: str, tenant: str, venue: str, consumer: str) -> None:
        self._redis = redis.Redis.from_url(redis_url, socket_connect_timeout=2, health_check_interval=30)
        self._key = streams.venue_key(tenant=tenant, venue=venue)
        self._consumer = consumer
        self._claim_at = 0.0

    def read(self, *, count: int = 100, block_ms: int = 500) -> list[Delivery]:
        """Return new and abandoned entries, oldest first; empty after `block_ms` or while Redis is away."""
        try:
            return self._found(count, block_ms)
        except redis.RedisError as error:
            # Also one that refuses to write, and so to deliver.
            log.warning("venue stream unreadable", extra={"stream": self._key, "error": str(error)})
            time.sleep(RECONNECT_S)
        return []

    def ack(self, *, entry_id: bytes) -> None:
        """Forget an entry whose order is durably sent or settled; where Redis is away it comes again, deduped."""
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.xack(self._key, streams.WORKER_GROUP, entry_id)
                pipe.xdel(self._key, entry_id)
                pipe.execute()
        except redis.RedisError as error:
            log.warning("venue entry not acknowledged", extra={"stream": self._key, "error": str(error)})

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def _found(self, count: int, block_ms: int) -> list[Delivery]:
        try:
            return self._abandoned(count) or self._new(count, block_ms)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
        self._make_group()
        return []

    def _abandoned(self, count: int) -> list[Delivery]:
        if time.monotonic() < self._claim_at:
            return []
        # The first look takes over at once: there is one worker per session (its lease), so what is pending is ours.
        idle_ms = PENDING_IDLE_MS if self._claim_at else 0
        self._claim_at = time.monotonic() + PENDING_IDLE_MS / 1_000
        found = self._redis.xautoclaim(
            self._key, streams.WORKER_GROUP, self._consumer, min_idle_time=idle_ms, start_id="0-0", count=count
        )
        return [_delivery(entry_id, fields) for entry_id, fields in found[1] if fields]

    def _new(self, count: int, block_ms: int) -> list[Delivery]:
        found = cast(
            "Any",
            self._redis.xreadgroup(streams.WORKER_GROUP, self._consumer, {self._key: ">"}, count=count, block=block_ms),
        )
        batches = found.values() if isinstance(found, dict) else [entries for _, entries in found or ()]
        return [_delivery(entry_id, fields) for entries in batches for entry_id, fields in entries]

    def _make_group(self) -> None:
        try:
            self._redis.xgroup_create(self._key, streams.WORKER_GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


class Subscriber:
    """A listener to pub/sub channels; what is missed while away is never sent again (the log is the truth)."""

    def __init__(self, *, redis_url: str, channels: list[str]) -> None:
        self._redis: Any = redis.Redis.from_url(redis_url, socket_connect_timeout=2, health_check_interval=10)
        self._channels = channels
        self._pubsub: Any = None

    def wait(self, *, timeout_s: float) -> tuple[str, bytes] | None:
        """Return the next (channel, payload), or None past `timeout_s` seconds or while Redis is away."""
        try:
            if self._pubsub is None:
                self._pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
                self._pubsub.subscribe(*self._channels)
            message = self._pubsub.get_message(timeout=timeout_s)
        except redis.RedisError as error:
            log.warning("subscription lost", extra={"error": str(error)})
            self._pubsub = None
            time.sleep(min(timeout_s, RECONNECT_S))
            return None
        return (
            None if message is None or message["type"] != "message" else (message["channel"].decode(), message["data"])
        )

    def close(self) -> None:
        """Give the connections back."""
        if self._pubsub is not None:
            self._pubsub.close()
        self._redis.close()


def _delivery(entry_id: bytes, fields: dict[bytes, bytes]) -> Delivery:
    data, at_us = fields.get(streams.FIELD, b""), asked_at_us(entry_id=entry_id, fields=fields)
    try:
        return Delivery(entry_id, codec.decode_venue_order(data), data, at_us)
    except msgspec.DecodeError:
        return Delivery(entry_id, None, data, at_us)


def asked_at_us(*, entry_id: bytes, fields: dict[bytes, bytes]) -> int:
    """Return when the order of an entry was made (UTC us): when it was put, or before that where the entry says so."""
    put_at_us = int(entry_id.split(b"-")[0]) * 1_000
    return min(put_at_us, int(fields.get(streams.MADE_AT_US, put_at_us)))
