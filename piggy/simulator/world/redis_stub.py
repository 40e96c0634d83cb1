"""As much of Redis as engine and workers use, in memory, with its troubles: away, emptied, an answer lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

Fields = dict[bytes, bytes]


@dataclass(slots=True)
class _Pending:
    consumer: str
    delivered_at: float
    deliveries: int = 1


@dataclass(slots=True)
class _Stream:
    entries: dict[bytes, Fields] = field(default_factory=dict)
    groups: dict[str, dict[bytes, _Pending]] = field(default_factory=dict)
    unread: dict[str, list[bytes]] = field(default_factory=dict)


class RedisStub:
    """One server. `away` makes every call fail; `lost_answer` is the share of calls that are done and then fail."""

    def __init__(self, *, luck: random.Random, now_us: Callable[[], int]) -> None:
        self.away = False
        self.lost_answer = 0.0
        self.lists: dict[str, list[bytes]] = {}
        self._streams: dict[str, _Stream] = {}
        self._luck = luck
        self._now_us = now_us
        self._serial = 0
        self._news = asyncio.Event()

    def flush(self) -> None:
        """FLUSHALL: streams, groups and answers are gone."""
        self._streams.clear()
        self.lists.clear()
        self._tell()

    def pipeline(self, transaction: bool = True) -> PipelineStub:
        return PipelineStub(self)

    async def call(self, work: Callable[[], Any]) -> Any:
        """Do one round trip."""
        await asyncio.sleep(self._luck.uniform(0.0001, 0.002))
        if self.away:
            raise RedisConnectionError("away")
        result = work()
        if self._luck.random() < self.lost_answer:
            raise RedisConnectionError("the answer was lost")
        return result

    async def xadd(self, key: str, fields: Fields) -> bytes:
        found: bytes = await self.call(lambda: self.add(key, fields))
        return found

    async def xgroup_create(self, key: str, group: str, **_: object) -> None:
        await self.call(lambda: self._make_group(key, group))

    async def xreadgroup(
        self, group: str, consumer: str, streams: dict[str, str], count: int = 100, block: int = 0
    ) -> list[Any]:
        until = self._now() + block / 1_000
        while True:
            found: list[Any] = await self.call(lambda: self._read(group, consumer, list(streams), count))
            if found or self._now() >= until:
                return found
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), max(0.001, until - self._now()))
            except TimeoutError:
                return []

    async def xpending_range(self, key: str, group: str, *, count: int, idle: int, **_: object) -> list[dict[str, Any]]:
        def work() -> list[dict[str, Any]]:
            pending = self._group(key, group)
            return [
                {"message_id": entry_id, "times_delivered": each.deliveries}
                for entry_id, each in pending.items()
                if (self._now() - each.delivered_at) * 1_000 >= idle
            ][:count]

        found: list[dict[str, Any]] = await self.call(work)
        return found

    async def xclaim(
        self, key: str, group: str, consumer: str, idle_ms: int, ids: list[bytes], retrycount: int | None = None
    ) -> list[Any]:
        def work() -> list[Any]:
            pending, entries = self._group(key, group), self._streams[key].entries
            known = [entry_id for entry_id in ids if entry_id in pending]
            for entry_id in known:
                deliveries = pending[entry_id].deliveries + 1 if retrycount is None else retrycount
                pending[entry_id] = _Pending(consumer, self._now(), deliveries)
            return [(entry_id, entries.get(entry_id)) for entry_id in known]

        found: list[Any] = await self.call(work)
        return found

    async def xack(self, key: str, group: str, entry_id: bytes) -> None:
        await self.call(lambda: self.ack(key, group, entry_id))

    def add(self, key: str, fields: Fields) -> bytes:
        """Append to a stream at once."""
        self._serial += 1
        entry_id = f"{self._now_us() // 1_000}-{self._serial}".encode()
        stream = self._streams.setdefault(key, _Stream())
        stream.entries[entry_id] = dict(fields)
        for unread in stream.unread.values():
            unread.append(entry_id)
        self._tell()
        return entry_id

    def ack(self, key: str, group: str, entry_id: bytes) -> None:
        """Forget that an entry is pending."""
        if key in self._streams:
            self._streams[key].groups.get(group, {}).pop(entry_id, None)

    def delete(self, key: str, entry_id: bytes) -> None:
        """Drop an entry."""
        if key in self._streams:
            self._streams[key].entries.pop(entry_id, None)

    def entry(self, key: str, entry_id: bytes) -> list[Any]:
        """Return the entry as XRANGE id id would."""
        stream = self._streams.get(key)
        return [(entry_id, stream.entries[entry_id])] if stream and entry_id in stream.entries else []

    def push(self, key: str, value: bytes) -> None:
        """Append to a list."""
        self.lists.setdefault(key, []).append(value)

    def _read(self, group: str, consumer: str, keys: list[str], count: int) -> list[Any]:
        found = []
        for key in keys:
            pending, stream = self._group(key, group), self._streams[key]
            ids, stream.unread[group] = stream.unread[group][:count], stream.unread[group][count:]
            live = [entry_id for entry_id in ids if entry_id in stream.entries]
            for entry_id in live:
                pending[entry_id] = _Pending(consumer, self._now())
            if live:
                found.append([key.encode(), [(entry_id, stream.entries[entry_id]) for entry_id in live]])
        return found

    def _make_group(self, key: str, group: str) -> None:
        stream = self._streams.setdefault(key, _Stream())
        if group in stream.groups:
            raise ResponseError("BUSYGROUP")
        stream.groups[group], stream.unread[group] = {}, list(stream.entries)

    def _group(self, key: str, group: str) -> dict[bytes, _Pending]:
        stream = self._streams.get(key)
        if stream is None or group not in stream.groups:
            raise ResponseError(f"NOGROUP {key}")
        return stream.groups[group]

    def _tell(self) -> None:
        self._news.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class PipelineStub:
    """Several calls in one round trip."""

    def __init__(self, server: RedisStub) -> None:
        self._server = server
        self._work: list[Callable[[], Any]] = []

    async def __aenter__(self) -> PipelineStub:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._work.clear()

    def xadd(self, key: str, fields: Fields) -> None:
        self._work.append(lambda: self._server.add(key, fields))

    def xack(self, key: str, group: str, entry_id: bytes) -> None:
        self._work.append(lambda: self._server.ack(key, group, entry_id))

    def xdel(self, key: str, entry_id: bytes) -> None:
        self._work.append(lambda: self._server.delete(key, entry_id))

    def xrange(self, key: str, first: bytes, last: bytes) -> None:
        self._work.append(lambda: self._server.entry(key, first))

    def rpush(self, key: str, value: bytes) -> None:
        self._work.append(lambda: self._server.push(key, value))

    def expire(self, key: str, seconds: int) -> None:
        """Nobody waits that long here."""

    def publish(self, channel: str, value: str) -> None:
        """Listeners poll the store here."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        work, self._work = self._work, []
        found: list[Any] = await self._server.call(lambda: [each() for each in work])
        return found
