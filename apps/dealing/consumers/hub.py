"""One hub per process and tenant: one subscription, one fold, and groups of sockets that get the same text."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import msgspec
from django.conf import settings
from django.db import Error as DatabaseError

from apps.common.sockets import tenant_call
from apps.dealing import selectors
from apps.dealing.consumers.groups import MEMBERS_EACH, Group
from apps.dealing.consumers.outbox import MARKET, Outbox
from apps.dealing.consumers.panel import Panel, Taken, decode_frame, encode_rows
from piggy.messaging.desk_feed import DeskFeed
from piggy.messaging.streams import PANELS
from piggy.messaging.text_frames import frame_of

log = logging.getLogger(__name__)
seated_sessions = tenant_call(selectors.seated_sessions)

RELOAD_S = 0.2
READY_S_MAX = 2.0
PING_S = 10.0
RECHECK_S = 2.0
SLOW_CHECK_S = 1.0
BEAT_S = 0.02
PONG_S_MAX = 40.0

CODE_SIGNED_OUT, CODE_SLOW = 4401, 4408


class Member(Protocol):
    """A socket as the hub sees it."""

    outbox: Outbox
    session_key: str
    heard_at_s: float
    sight: dict[str, tuple[str, ...]]

    async def hang_up(self, code: int) -> None:
        """Close with a code; must return even where the other end does not read."""


class Hub:
    """Folds a tenant's frames for all sockets of this process; runs while it has any."""

    def __init__(self, *, tenant: str) -> None:
        self.tenant = tenant
        self.panels = {name: Panel(name=name) for name in PANELS}
        self.groups: list[Group] = []
        self._feed = DeskFeed(redis_url=settings.REDIS_URL, tenant=tenant)
        self._loaded = asyncio.Event()
        self._gap = asyncio.Event()
        self._news = asyncio.Event()
        self._work = (self._listen(), self._beat(), self._fill_gaps(), self._ping(), self._recheck(), self._drop_slow())
        self._tasks = [asyncio.create_task(self._kept_going(each)) for each in self._work]

    async def ready(self) -> None:
        """Wait until the snapshots were looked for once, or Redis is plainly away."""
        try:
            await asyncio.wait_for(self._loaded.wait(), READY_S_MAX)
        except TimeoutError:
            log.warning("desk without snapshots", extra={"tenant": self.tenant})

    @property
    def members(self) -> list[Member]:
        """Every socket of this tenant."""
        return [member for group in self.groups for member in group.members]

    def seat(self, member: Member) -> Group:
        """Put a socket into a group that has room, a new one if need be."""
        group = next((group for group in self.groups if len(group.members) < MEMBERS_EACH), None)
        if group is None:
            group = Group(panels=self.panels, number=len(self.groups))
            self.groups.append(group)
        group.members.add(member)
        return group

    async def look_at(self, names: list[str]) -> None:
        """Have the engine show these closely for a while."""
        await self._feed.look_at(names=names)

    async def stop(self) -> None:
        """End the subscription and every task."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._feed.close()

    async def _kept_going(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("desk hub task ended", extra={"tenant": self.tenant})
            for member in self.members:
                await member.hang_up(1011)

    async def _listen(self) -> None:
        async for data in self._feed.frames():
            if data is None:
                await self._reload(names=list(PANELS), whatever_their_seq=True)
                self._loaded.set()
            else:
                self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            frame = decode_frame(data)
            panel = self.panels[frame.panel]
        except (msgspec.DecodeError, KeyError) as error:
            log.warning("frame not understood", extra={"tenant": self.tenant, "error": str(error)})
            return
        taken = panel.take(frame=frame)
        if taken is Taken.FOLLOWS:
            rows = encode_rows(frame.rows)
            for group in self.groups:
                group.take(frame=frame, rows=rows)
            self._news.set()
        elif taken is Taken.REPLACED:
            self._resync_all(frame.panel)
        elif taken is Taken.GAP:
            self._gap.set()
        for name, seq in frame.seqs.items():
            if name in self.panels and not self.panels[name].hear_of(seq=seq):
                self._gap.set()

    async def _fill_gaps(self) -> None:
        while True:
            await self._gap.wait()
            self._gap.clear()
            while names := [name for name, panel in self.panels.items() if panel.waiting]:
                await self._reload(names=names, whatever_their_seq=False)
                await asyncio.sleep(RELOAD_S)

    async def _reload(self, *, names: list[str], whatever_their_seq: bool) -> None:
        for name in names:
            data = await self._feed.snapshot(panel=name)
            if data is None:
                continue
            try:
                frame = decode_frame(data)
            except msgspec.DecodeError as error:
                log.warning("snapshot not understood", extra={"tenant": self.tenant, "error": str(error)})
                continue
            if self.panels[name].adopt(frame=frame, whatever_its_seq=whatever_their_seq):
                self._resync_all(name)

    def _resync_all(self, name: str) -> None:
        for group in self.groups:
            group.forget(panel=name)
            for member in group.members:
                member.outbox.resync(panels=[name])

    async def _beat(self) -> None:
        """Tell news at once where there was none for a beat, else with the next beat; of the market what is due."""
        while True:
            await asyncio.sleep(BEAT_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), BEAT_S)
            self._news.clear()
            now_s = time.monotonic()
            for group in self.groups:
                group.beat(now_s=now_s)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            text = f'{{"type":"ping","at_us":{time.time_ns() // 1_000}}}'
            frame = frame_of(text=text)
            for member in self.members:
                member.outbox.put(lane=MARKET, text=text, frame=frame)

    async def _recheck(self) -> None:
        """Ask again whether each session may still look: revoked staff are gone within five seconds."""
        while True:
            await asyncio.sleep(RECHECK_S)
            keys = {member.session_key for member in self.members}
            try:
                seated = await seated_sessions(self.tenant, keys)
            except DatabaseError as error:
                log.warning("desk seats not checked", extra={"tenant": self.tenant, "error": str(error)})
                continue
            gone = [member for member in self.members if member.session_key in keys - seated]
            await asyncio.gather(*(member.hang_up(CODE_SIGNED_OUT) for member in gone))

    async def _drop_slow(self) -> None:
        while True:
            await asyncio.sleep(SLOW_CHECK_S)
            now_s = time.monotonic()
            slow = [each for each in self.members if each.outbox.too_slow() or now_s - each.heard_at_s > PONG_S_MAX]
            await asyncio.gather(*(member.hang_up(CODE_SLOW) for member in slow))


# By event loop, because a hub's tasks and connections belong to the loop that made them.
_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Hub]] = WeakKeyDictionary()


async def join(*, tenant: str, member: Member) -> tuple[Hub, Group]:
    """Add a socket to its tenant's hub, which is started for the first."""
    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    hub = hubs.get(tenant) or hubs.setdefault(tenant, Hub(tenant=tenant))
    group = hub.seat(member)
    await hub.ready()
    return hub, group


# Stops under way: nothing else keeps a task of asyncio's.
_stops: set[asyncio.Task[None]] = set()


async def leave(*, hub: Hub, member: Member) -> None:
    """Take a socket out; the last one stops the hub."""
    for group in hub.groups:
        group.members.discard(member)
    hubs = _hubs.get(asyncio.get_running_loop(), {})
    if not hub.members and hubs.get(hub.tenant) is hub:
        del hubs[hub.tenant]
        # Of its own: a task of the hub's that hangs up would wait for its own end, and to cancel it never came to one.
        stop = asyncio.create_task(hub.stop())
        _stops.add(stop)
        stop.add_done_callback(_stops.discard)
        await asyncio.shield(stop)
