"""Officers of this world: one stops trading, in part or altogether, and another opens it again a moment later."""

from __future__ import annotations

import asyncio
import random

from piggy.core import commands as cmd
from piggy.core.accounts import TradingState
from piggy.messaging.identity import command_id_of
from piggy.simulator.world.clients import Client
from piggy.simulator.world.lp import SYMBOL
from piggy.simulator.world.opening import ACCOUNTS, LPS, MODES
from piggy.simulator.world.redis_stub import RedisStub

STOPPED_S_MAX = 2.0
SCOPES = (
    ("tenant", ("",)),
    ("group", tuple(mode.value.lower() for mode in MODES)),
    ("account", ACCOUNTS),
    ("symbol", (SYMBOL.symbol,)),
    ("venue", LPS),
)


class Officers:
    """Two people, as one alone cannot open what he stopped."""

    def __init__(self, *, tenant: str, redis: RedisStub, luck: random.Random) -> None:
        self._client = Client(account_id="officers", tenant=tenant, redis=redis, luck=luck)
        self._luck = luck

    async def watch(self, *, until_s: float) -> None:
        """Kill something now and then until `until_s`; in the end all is open again."""
        loop, number = asyncio.get_running_loop(), 0
        while loop.time() < until_s:
            await asyncio.sleep(self._luck.uniform(1.0, 6.0))
            scope, keys = self._luck.choice(SCOPES)
            key, number = self._luck.choice(keys), number + 1
            await self._set(scope, key, TradingState.KILLED, by="ines", number=number)
            await asyncio.sleep(self._luck.uniform(0.1, STOPPED_S_MAX))
            await self._set(scope, key, TradingState.ACTIVE, by="omar", number=number)

    async def _set(self, scope: str, key: str, state: TradingState, *, by: str, number: int) -> None:
        command = cmd.SetTradingState(scope=scope, key=key, state=state, reason=f"drill {number}", by=by)
        await self._client.ask(command_id_of("sim officers", by, str(number)), command)
