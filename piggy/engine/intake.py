"""What comes into the engine over Redis, and the desks' own timers: all of it ends as items in the loop."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from piggy.core.commands import ActOnPrices, AnyCommand, Envelope
from piggy.engine import leaving
from piggy.engine.clock import Clock, is_wanted, pause
from piggy.engine.dead_letters import DeadLetters
from piggy.engine.loop import Done, Item, Loop
from piggy.messaging import codec, lanes, streams
from piggy.messaging.chain import SEPARATOR

log = logging.getLogger(__name__)

READ_MAX = 500
READ_BLOCK_MS = 100
RECONNECT_S = 0.5
PENDING_IDLE_MS = 2_000
DELIVERIES_MAX = 5
# What came again and again was not carried out: it, or what was claimed with it, ended the engine. From now on each is
# claimed alone and waited for, so that only the one whose turn it was has a delivery more.
SUSPECT_DELIVERIES, SUSPECT_S_MAX, SUSPECT_LOOK_S = 2, 0.5, 0.002
TIMER_S = 0.02
NUL = "\0"
# The year 10000.
OCCURRED_AT_US_END = 253_402_300_800_000_000
# At some thousand a second this much waits for no more than the half second that a cancel may take.
BACKLOG_MAX = 1_000


class Intake:
    """Reads every tenant the loop has a desk for; the consumer is named after the shard, so a successor inherits it."""

    def __init__(
        self,
        *,
        connection: redis.asyncio.Redis,
        loop: Loop,
        clock: Clock,
        shard: str,
        letters: DeadLetters,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.dead = 0
        self._new_id = new_id
        self._letters = letters
        self._redis: Any = connection
        self._loop = loop
        self._clock = clock
        self._consumer = shard
        self._in_flight: set[tuple[str, bytes]] = set()
        self._alone: tuple[str, bytes] | None = None
        self._claiming = asyncio.Lock()
        self._caught_up: set[str] = set()
        self._due: set[str] = set()
        self._letting_go: set[str] = set()

    def settled(self, done: list[Done]) -> None:
        """Forget entries that the loop is through with; those without an answer come again by `claim_pending`."""
        for each in done:
            if each.item.entry_id is not None:
                place = each.item.entry_key, each.item.entry_id
                self._in_flight.discard(place)
                if place == self._alone and each.answer is not None:
                    self._alone = None

    async def read_commands(self) -> None:
        """Feed new stream entries to the loop, for ever; survives a Redis that was away or emptied.

        What was delivered before and never acknowledged goes first: of two settings, or of a halt and its end, the
        later one must be the last word.
        """
        while is_wanted():
            tenants = list(self._loop.desks)
            try:
                await self._catch_up(tenants)
                if readable := self._readable(tenants):
                    await self._read(tenants, readable)
                else:
                    await pause(READ_BLOCK_MS / 1_000)
            except (RedisError, OSError) as error:
                # Also one that refuses to write, and so to deliver: the fast door and the venues need no stream.
                log.warning("commands unreadable", extra={"error": str(error)})
                # What Redis delivered may not have arrived.
                self._caught_up.clear()
                await pause(RECONNECT_S)

    async def claim_pending(self) -> None:
        """Take again what was delivered and never acknowledged; after DELIVERIES_MAX deliveries it is a dead letter."""
        while is_wanted():
            await pause(PENDING_IDLE_MS / 1_000)
            try:
                for key in _lanes(list(self._loop.desks)):
                    async with self._claiming:
                        await self._claim(key, PENDING_IDLE_MS)
            except (RedisError, OSError) as error:
                log.warning("pending commands unreadable", extra={"error": str(error)})

    async def watch_timers(self) -> None:
        """Give each desk its own due commands, one round at a time."""
        while is_wanted():
            now_us, off_ms = self._clock.now_us(), self._clock.off_ms()
            for tenant, desk in list(self._loop.desks.items()):
                if tenant in self._due:
                    continue
                for command in desk.due(now_us=now_us):
                    if off_ms and not isinstance(command, ActOnPrices):
                        # An expiry by a clock that jumped could not be taken back.
                        continue
                    self._submit_own(tenant, command)
            await pause(TIMER_S)

    def _submit_own(self, tenant: str, command: AnyCommand) -> None:
        """Give the desk its own command; letting go of what is over can wait, and nothing waits for it."""
        leaves = leaving.command_id(tenant=tenant, command=command)
        waits_for, name = (self._letting_go, leaves) if leaves else (self._due, tenant)
        if leaves in self._letting_go:
            return
        waits_for.add(name)
        envelope = Envelope(command_id=leaves or self._new_id(), command=command, principal="engine")
        self._loop.submit(item=Item(tenant, envelope, respond=lambda _: waits_for.discard(name)))

    async def _catch_up(self, tenants: list[str]) -> None:
        """Take, of tenants that are new here, what another engine or term took and did not acknowledge."""
        keys = _lanes(tenants)
        self._caught_up.intersection_update(keys)
        for key in keys:
            if key not in self._caught_up:
                # The lease says that nobody else works on this shard, so the first look need not wait for idleness.
                async with self._claiming:
                    if await self._claim(key, 0):
                        self._caught_up.add(key)

    async def _read(self, tenants: list[str], readable: dict[str, str]) -> None:
        try:
            found = await self._redis.xreadgroup(
                streams.ENGINE_GROUP, self._consumer, readable, count=READ_MAX, block=READ_BLOCK_MS
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._make_groups(tenants)
            return
        for key, entries in found.items() if isinstance(found, dict) else found or ():
            batches = entries if entries and isinstance(entries[0], tuple) else [e for b in entries for e in b]
            for entry_id, fields in batches:
                await self._accept(key.decode(), entry_id, fields, redelivered=False)

    def _readable(self, tenants: list[str]) -> dict[str, str]:
        """Return the streams to read: of a tenant that has too much waiting only the urgent one."""
        full = {tenant for tenant in tenants if self._loop.is_full(tenant=tenant, places=BACKLOG_MAX)}
        keys = (key for tenant in tenants for key in lanes.keys(tenant=tenant)[: 1 if tenant in full else 2])
        return {key: ">" for key in keys if key in self._caught_up}

    async def _claim(self, key: str, idle_ms: int) -> bool:
        """Claim page after page, as long as there is room: what waits behind the first is as old, and not another's.

        Returns whether there was room for all of it.
        """
        tenant, after = streams.tenant_of(key=key), "-"
        while True:
            try:
                pending = await self._redis.xpending_range(
                    key, streams.ENGINE_GROUP, min=after, max="+", count=READ_MAX, idle=idle_ms
                )
            except ResponseError as error:
                log.info("no pending commands to claim", extra={"stream": key, "error": str(error)})
                return True
            is_through = await self._claim_each(key, pending, is_first=not idle_ms)
            if not is_through or len(pending) < READ_MAX:
                return True
            if self._loop.is_full(tenant=tenant, places=BACKLOG_MAX):
                return False
            after = f"({pending[-1]['message_id'].decode()}"

    async def _claim_each(self, key: str, pending: list[dict[str, Any]], *, is_first: bool) -> bool:
        """Take these again; returns False where one that was suspect is still under way.

        A first look leaves the suspect to the next one: all that is new waits for it.
        """
        for each in pending:
            entry_id, blameless = each["message_id"], self._loop.blameless
            # A delivery does not count that ended in a term's end for which it was not to blame.
            deliveries = each["times_delivered"] - ((key, entry_id) in blameless)
            is_suspect = SUSPECT_DELIVERIES <= deliveries < DELIVERIES_MAX
            if (key, entry_id) in self._in_flight or (is_suspect and (is_first or self._loop.is_holding)):
                continue
            # While nothing can be written it is no fault of the command that it comes again.
            counted = deliveries + (not (self._loop.storage.is_full or self._loop.storage.is_away))
            # It counts before it is carried out, which may end us; where Redis fails to bring it, it was not delivered.
            blameless.add((key, entry_id))
            claimed = await self._redis.xclaim(
                key, streams.ENGINE_GROUP, self._consumer, 0, [entry_id], retrycount=counted
            )
            blameless.discard((key, entry_id))
            fields = claimed[0][1] if claimed else None
            if not fields:
                await self._redis.xack(key, streams.ENGINE_GROUP, entry_id)
            elif deliveries >= DELIVERIES_MAX and not self._is_done(key, fields):
                await self._bury(key, entry_id, fields, f"not carried out in {deliveries} deliveries", deliveries)
            else:
                self._alone = (key, entry_id) if is_suspect else None
                await self._accept(key, entry_id, fields, redelivered=True)
                if is_suspect and not await self._is_through(key, entry_id):
                    return False
        return True

    def _is_done(self, key: str, fields: dict[bytes, bytes]) -> bool:
        """Whether the desk has carried it out, and only acknowledging it failed each time: that is no dead letter."""
        desk = self._loop.desks.get(streams.tenant_of(key=key))
        try:
            envelope = codec.decode_envelope(fields.get(streams.FIELD, b""))
        except ValueError:
            return False
        hashed = {"command_id": envelope.command_id, "request_hash": envelope.request_hash}
        return desk is not None and desk.answer(**hashed) is not None

    async def _is_through(self, key: str, entry_id: bytes) -> bool:
        """Wait until the loop is through with an entry, for a while; return whether it is.

        What was answered is acknowledged before the next is tried, which may end the term: else it would come again,
        and be counted for it.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SUSPECT_S_MAX
        while (key, entry_id) in self._in_flight and loop.time() < until_s:
            await pause(SUSPECT_LOOK_S)
        if self._alone is None:
            # Where Redis fails to hear that it was answered, it is no fault of the command either.
            self._loop.blameless.add((key, entry_id))
            await self._forget(key, entry_id)
            self._loop.blameless.discard((key, entry_id))
        return (key, entry_id) not in self._in_flight

    async def _accept(self, key: str, entry_id: bytes, fields: dict[bytes, bytes], *, redelivered: bool) -> None:
        try:
            envelope = _storable(codec.decode_envelope(fields.get(streams.FIELD, b"")))
        except ValueError as error:
            await self._bury(key, entry_id, fields, f"not understood: {error}", 1)
            return
        self._in_flight.add((key, entry_id))
        tenant = streams.tenant_of(key=key)
        self._loop.submit(item=Item(tenant, envelope, entry_key=key, entry_id=entry_id, redelivered=redelivered))

    async def _bury(self, key: str, entry_id: bytes, fields: dict[bytes, bytes], reason: str, deliveries: int) -> None:
        tenant = streams.tenant_of(key=key)
        log.error("command is a dead letter", extra={"tenant": tenant, "reason": reason})
        payload = fields.get(streams.FIELD, b"")
        try:
            await self._letters.bury(
                tenant=tenant,
                stream=key,
                entry=entry_id.decode(),
                payload=payload,
                reason=reason,
                deliveries=deliveries,
            )
        except psycopg.Error as error:
            # It stays on the stream and comes again: better twice than gone.
            log.warning("dead letter not kept", extra={"tenant": tenant, "error": str(error)})
            return
        await self._forget(key, entry_id)
        self.dead += 1

    async def _forget(self, key: str, entry_id: bytes) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(key, streams.ENGINE_GROUP, entry_id)
            pipe.xdel(key, entry_id)
            await pipe.execute()

    async def _make_groups(self, tenants: list[str]) -> None:
        for key in (key for tenant in tenants for key in lanes.keys(tenant=tenant)):
            try:
                await self._redis.xgroup_create(key, streams.ENGINE_GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


def _lanes(tenants: list[str]) -> list[str]:
    return [key for tenant in tenants for key in lanes.keys(tenant=tenant)]


def _storable(envelope: Envelope) -> Envelope:
    """Return an envelope that the log takes and gives back as it is. Raises ValueError."""
    if str(uuid.UUID(envelope.command_id)) != envelope.command_id:
        raise ValueError("command_id is not as a UUID is written")
    for text in (envelope.principal, envelope.request_hash):
        if NUL in text or SEPARATOR in text:
            raise ValueError("principal and request_hash hold neither NUL nor a separator")
    if not 0 <= getattr(envelope.command, "occurred_at_us", 0) < OCCURRED_AT_US_END:
        raise ValueError("occurred_at_us is no time of a calendar")
    return envelope
