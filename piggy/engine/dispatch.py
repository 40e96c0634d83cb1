"""What leaves the engine over Redis, always after its commit. All of it can be lost and is then made good.

Replies and acknowledgements come again with the redelivered command, child orders are put again from the desk's own
state, and whoever missed a committed seq polls PostgreSQL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from piggy.core.desk import Desk
from piggy.core.events import ChildCancelRequested, ChildOrderCreated
from piggy.engine.clock import is_wanted, pause
from piggy.engine.loop import Done
from piggy.messaging import codec, streams
from piggy.messaging.codec import CancelChild, VenueOrder

log = logging.getLogger(__name__)

RECONNECT_S = 0.5
# Whoever follows the log hears of its end this often, however many batches there are.
TIPS_S = 0.02
# Of many brokers that often would be thousands a second, for those who take what is new a few times a second.
TIP_EACH_S = 0.002
DRAINED_S = 0.002
PUT_AGAIN_S = 1.0
GRACE_S = 2.5
PUT_AGAIN_MAX = 500


@dataclass(slots=True, eq=False)
class Outbound:
    """What committed batches left to be sent: child orders, entries and askers to settle, and where each log ends."""

    children: list[tuple[str, VenueOrder]] = field(default_factory=list)
    settled: list[Done] = field(default_factory=list)
    tips: dict[str, int] = field(default_factory=dict)


class Dispatch:
    """Sends in one pipeline what batches left; `sent` counts child orders put on venue streams."""

    def __init__(
        self, *, connection: redis.asyncio.Redis, desks: Mapping[str, Desk], settled: Callable[[], Awaitable[None]]
    ) -> None:
        self.sent = 0
        self.failures = 0
        self._redis: Any = connection
        self._desks = desks
        self._settled = settled
        self._outbound = Outbound()
        self._wake = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None
        self._tips_told = 0
        self._sending = asyncio.Lock()
        self._entries: dict[tuple[str, str], bytes] = {}
        self._gone_since_s: dict[tuple[str, str], float] = {}
        self._looked_to: dict[str, int] = {}

    def tell(self, done: list[Done]) -> None:
        """Queue the consequences of a committed batch. Somebody waits for all but the tips, which may come together."""
        outbound = self._outbound
        for each in done:
            item = each.item
            for recorded in each.recorded:
                outbound.tips[item.tenant] = recorded.seq
                if isinstance(recorded.event, ChildOrderCreated):
                    outbound.children.append((item.tenant, recorded.event))
                elif isinstance(recorded.event, ChildCancelRequested):
                    outbound.children.append((item.tenant, _cancel(recorded.event)))
            if each.answer is not None and (item.entry_id is not None or item.envelope.reply_to):
                outbound.settled.append(each)
        if outbound.children or outbound.settled:
            self._wake.set()
        elif outbound.tips and self._later is None:
            later_s = max(TIPS_S, self._tips_told * TIP_EACH_S)
            self._later = asyncio.get_running_loop().call_later(later_s, self._wake.set)

    async def run(self) -> None:
        """Send as batches come; while Redis is away what was queued is dropped, as the module says."""
        while is_wanted():
            await self._wake.wait()
            async with self._sending:
                self._wake.clear()
                outbound, self._outbound = self._outbound, Outbound()
                self._tips_told = len(outbound.tips)
                if self._later is not None:
                    self._later.cancel()
                    self._later = None
                try:
                    await self._send(outbound)
                except (RedisError, OSError) as error:
                    self.failures += 1
                    log.warning("dispatch failed", extra={"error": str(error), "tenants": len(outbound.tips)})
                    await pause(RECONNECT_S)

    async def put_again(self) -> None:
        """Once a second put unsent child orders whose stream entry is gone back on their venue's stream."""
        while is_wanted():
            try:
                for tenant, desk in list(self._desks.items()):
                    await self._put_missing(tenant, desk)
            except (RedisError, OSError) as error:
                self.failures += 1
                log.warning("child orders not put again", extra={"error": str(error)})
            await pause(PUT_AGAIN_S)

    async def _send(self, outbound: Outbound) -> None:
        children = outbound.children
        async with self._redis.pipeline(transaction=False) as pipe:
            # Child orders first: they are what the market waits for.
            for tenant, child in children:
                pipe.xadd(streams.venue_key(tenant=tenant, venue=child.venue), _entry(child))
            for each in outbound.settled:
                _settle(pipe, each)
            for tenant, seq in outbound.tips.items():
                pipe.publish(streams.committed_channel(tenant=tenant), str(seq))
            results = await pipe.execute(raise_on_error=False)
        for (tenant, child), entry_id in zip(children, results, strict=False):
            if isinstance(entry_id, bytes):
                self._entries[(tenant, _name(child))] = entry_id
                self.sent += 1

    async def drained(self) -> None:
        """Return when what was queued for sending before this call is sent or dropped."""
        queued = self._outbound
        while queued is self._outbound and self._wake.is_set():
            await pause(DRAINED_S)
        async with self._sending:
            pass

    async def _put_missing(self, tenant: str, desk: Desk) -> None:
        unsent = self._some(tenant, _unsent(desk))
        # The desk is ahead of the log, and what was just committed is on its way.
        await self._settled()
        await self.drained()
        waiting = _unsent(desk).keys()
        for key in [key for key in self._entries if key[0] == tenant and key[1] not in waiting]:
            del self._entries[key]
            self._gone_since_s.pop(key, None)
        unsent = {name: child for name, child in unsent.items() if name in waiting}
        if not unsent:
            return
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, child in unsent.items():
                entry_id = self._entries.get((tenant, name), b"0-0")
                pipe.xrange(streams.venue_key(tenant=tenant, venue=child.venue), entry_id, entry_id)
            found = await pipe.execute()
        gone = [child for child, entries in zip(unsent.values(), found, strict=True) if not entries]
        missing = [child for child in gone if self._is_overdue((tenant, _name(child)))]
        for child in missing:
            made = desk.state.open_children.get(child.cl_ord_id)
            # The entry is new and the order is not: what has grown too old is to be refused, not sent.
            at = {streams.MADE_AT_US: str(made.created_at_us)} if made is not None else {}
            stream = streams.venue_key(tenant=tenant, venue=child.venue)
            entry_id = await self._redis.xadd(stream, _entry(child) | at)
            self._entries[(tenant, _name(child))] = entry_id
            self._gone_since_s.pop((tenant, _name(child)), None)
        if missing:
            log.info("child orders put again", extra={"tenant": tenant, "count": len(missing)})

    def _some(self, tenant: str, unsent: dict[str, VenueOrder]) -> dict[str, VenueOrder]:
        """Return as many as one round takes, of more the next ones: behind a venue that is away others wait too."""
        at = self._looked_to.get(tenant, 0)
        at = at if at < len(unsent) else 0
        self._looked_to[tenant] = at + PUT_AGAIN_MAX
        return dict(islice(unsent.items(), at, at + PUT_AGAIN_MAX))

    def _is_overdue(self, name: tuple[str, str]) -> bool:
        """A worker that took an entry needs a moment until the venue's answer is here; what was never put has none."""
        if name not in self._entries:
            return True
        now_s = asyncio.get_running_loop().time()
        return now_s - self._gone_since_s.setdefault(name, now_s) >= GRACE_S


def _settle(pipe: Any, each: Done) -> None:
    item = each.item
    if item.envelope.reply_to:
        key = streams.reply_key(tenant=item.tenant, request_id=item.envelope.reply_to)
        pipe.rpush(key, codec.encode(each.answer))
        pipe.expire(key, streams.REPLY_LIFE_S)
    if item.entry_id is not None:
        pipe.xack(item.entry_key, streams.ENGINE_GROUP, item.entry_id)
        pipe.xdel(item.entry_key, item.entry_id)


def _entry(message: object) -> dict[Any, Any]:
    return {streams.FIELD: codec.encode(message)}


def _unsent(desk: Desk) -> dict[str, VenueOrder]:
    """Return what venues should have heard of and have not answered; an order and its cancel have different names."""
    asked: list[VenueOrder] = [*desk.unsent_children(), *map(_cancel, desk.unanswered_cancels())]
    return {_name(each): each for each in asked}


def _name(order: VenueOrder) -> str:
    return f"cancel {order.cl_ord_id}" if isinstance(order, CancelChild) else order.cl_ord_id


def _cancel(event: ChildCancelRequested) -> CancelChild:
    return CancelChild(
        order_id=event.order_id,
        cl_ord_id=event.cl_ord_id,
        venue=event.venue,
        symbol=event.symbol,
        side=event.side,
        quantity=event.quantity,
    )
