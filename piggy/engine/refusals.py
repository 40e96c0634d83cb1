"""Signals refused before they became commands: the last of each strategy, put where its desk can see why nothing came.

What is the same within a second is one line with a count, and of lines there are at most so many a second, a list and a
week: who is let in nowhere can make neither this process nor Redis larger. What somebody proved to have sent stands
apart from what nobody did, so that guesses push no line of the strategy's own away. No proof is kept, nor any body.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from piggy.engine.clock import is_wanted, pause
from piggy.engine.signals import UnableToAcceptSignal
from piggy.messaging import streams

log = logging.getLogger(__name__)

PUT_S = 1.0
# Of lists a tenant's desk, of lines a list and a second of each kind; names and reasons are cut.
KEPT, PENDING_MAX, NAME_MAX, TEXT_MAX = 50, 200, 60, 200
LIFE_S = 7 * 86_400

_encode = msgspec.json.Encoder().encode
Line = dict[str, str | int]


class Refusals:
    """What was refused since it was last put away."""

    def __init__(self) -> None:
        self._pending: dict[bool, dict[tuple[str, ...], Line]] = {True: {}, False: {}}

    def note(
        self,
        *,
        tenant: str,
        strategy_id: str,
        known: bool,
        error: UnableToAcceptSignal,
        address: str,
        signal_id: str = "",
    ) -> None:
        """Remember a refusal: under its strategy's name, or among those of names that no strategy has."""
        name, why = strategy_id[:NAME_MAX], (error.why or str(error))[:TEXT_MAX]
        pending = self._pending[error.proven]
        key = (tenant, name if known else "", name, error.code, why, error.field, address)
        line = pending.get(key)
        if line is None:
            if len(pending) >= PENDING_MAX:
                return
            line = pending[key] = {
                "strategy_id": name,
                "status": error.status,
                "code": error.code,
                "field": error.field[:NAME_MAX],
                "why": why,
                "address": address[:NAME_MAX],
                "times": 0,
            }
        line |= {"at_us": time.time_ns() // 1_000, "times": int(line["times"]) + 1, "signal_id": signal_id}

    async def run(self, *, connection: redis.asyncio.Redis) -> None:
        """Put away what was refused, once a second, for ever."""
        while is_wanted():
            await pause(PUT_S)
            try:
                await self.put(connection=connection)
            except (RedisError, OSError) as error:
                log.warning("refused signals not kept", extra={"error": str(error)})

    async def put(self, *, connection: Any) -> None:
        """Put away what was refused since, newest first in each list; what Redis does not take is lost."""
        for proven, pending in self._pending.items():
            lines, self._pending[proven] = dict(pending), {}
            lists: dict[str, list[bytes]] = {}
            for (tenant, under, *_), line in lines.items():
                key = streams.refused_key(tenant=tenant, strategy_id=under, proven=proven)
                lists.setdefault(key, []).append(_encode(line))
            for key, encoded in lists.items():
                async with connection.pipeline(transaction=True) as pipe:
                    pipe.lpush(key, *encoded)
                    pipe.ltrim(key, 0, KEPT - 1)
                    pipe.expire(key, LIFE_S)
                    await pipe.execute()
