"""The last prices of what nobody quotes now, over a change of engines: a share's at the weekend, an absent venue's.

A position without a price makes its account's equity unknown, and whose equity is unknown cannot be stopped out. So the
prices that a desk values by are put beside the commands, and its successor takes those of which no quote has come in
its first minute; it is what it would have valued by, had it lived on. They open nothing and deal at nothing: for that a
quote has to be live. Redis may lose them; then what is not quoted has no price, as for a desk that is new.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from piggy.core.conversion import Touch
from piggy.core.desk import Desk
from piggy.engine.clock import Clock, is_wanted, pause
from piggy.engine.tape import Reel
from piggy.messaging import streams, tape

log = logging.getLogger(__name__)

# Venues' workers log on again within seconds; what a venue says itself is better than what it said before.
PATIENCE_S = 60.0
KEEP_S = 5.0
SECOND_US = 1_000_000

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, tuple[Decimal, Decimal, int]])


class LastMarks:
    """Keeps the marks of every tenant that `desks` has at the moment; of a desk that is new here it remembers first."""

    def __init__(
        self, *, connection: redis.asyncio.Redis, desks: Mapping[str, Desk], reels: Mapping[str, Reel], clock: Clock
    ) -> None:
        self._redis: Any = connection
        self._desks = desks
        self._reels = reels
        self._clock = clock
        self._since_us: dict[str, int] = {}
        self._remembered: set[str] = set()

    async def run(self) -> None:
        """Remember once a desk, and keep what it has from then on, for ever."""
        while is_wanted():
            for tenant in self._since_us.keys() - self._desks.keys():
                del self._since_us[tenant]
                self._remembered.discard(tenant)
            for tenant in list(self._desks):
                try:
                    await self._look(tenant)
                except (RedisError, OSError) as error:
                    log.warning("marks not kept", extra={"tenant": tenant, "error": str(error)})
            await pause(min(KEEP_S, PATIENCE_S))

    async def _look(self, tenant: str) -> None:
        now_us, key = self._clock.now_us(), streams.marks_key(tenant=tenant)
        if tenant not in self._remembered:
            # Until then what is there is more than this desk knows.
            if now_us - self._since_us.setdefault(tenant, now_us) < PATIENCE_S * SECOND_US:
                return
            self._remember(tenant, await self._redis.get(key))
            self._remembered.add(tenant)
        desk = self._desks.get(tenant)
        if desk is not None and desk.marks:
            await self._redis.set(key, _encoder.encode(tape.plain(marks=desk.marks)))

    def _remember(self, tenant: str, data: bytes | None) -> None:
        desk = self._desks.get(tenant)
        if desk is None or data is None:
            return
        marks = usable(data=data, now_us=self._clock.now_us())
        if found := desk.remember(marks=marks):
            if (reel := self._reels.get(tenant)) is not None:
                reel.remembered({symbol: marks[symbol] for symbol in found})
            log.info("valued by the last prices of before", extra={"tenant": tenant, "symbols": found[:20]})


def usable(*, data: bytes, now_us: int) -> dict[str, Touch]:
    """Return the marks of what an engine wrote that are prices, and not of the future; of anything else nothing."""
    try:
        marks = _decoder.decode(data)
    except msgspec.DecodeError as error:
        log.error("marks of before cannot be read", extra={"error": str(error)})
        return {}
    return {
        symbol: Touch(bid, ask, at_us)
        for symbol, (bid, ask, at_us) in marks.items()
        if bid.is_finite() and ask.is_finite() and bid > 0 and ask > 0 and at_us <= now_us
    }
