"""Clients' own prices, with their groups' markups, for who shows them elsewhere; made only while somebody waits.

Who shows prices names account and symbol in a sorted set, and again before its time there is over. What changed is told
a few times a second, and all of it once a second: who hears nothing for longer must take back what was shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from piggy.core.desk import Desk
from piggy.core.market import AttributedLevel, ClientPrice
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.pricing import client_price
from piggy.engine.clock import Clock, is_wanted, pause
from piggy.messaging import codec, streams

log = logging.getLogger(__name__)

PRICES_S = 0.2
WHOLE_ROUNDS = 5
RECONNECT_S = 0.5
# Of one broker; each costs the engine some 20 us a round.
PAIRS_MAX = 2_000


class ClientPrices:
    """Watches every tenant that `desks` has at the moment."""

    def __init__(self, *, connection: redis.asyncio.Redis, desks: Mapping[str, Desk], clock: Clock) -> None:
        self._redis: Any = connection
        self._desks = desks
        self._clock = clock
        self._shown: dict[str, codec.ClientPrices] = {}
        self._rounds = 0

    async def run(self) -> None:
        """Tell prices, for ever."""
        while is_wanted():
            try:
                await self._tell()
            except (RedisError, OSError) as error:
                log.warning("client prices not told", extra={"error": str(error)})
                await pause(RECONNECT_S)
            await pause(PRICES_S)

    async def _tell(self) -> None:
        tenants = list(self._desks)
        if not tenants:
            return
        now_s = self._clock.now_us() / 1e6
        async with self._redis.pipeline(transaction=False) as pipe:
            for tenant in tenants:
                pipe.zremrangebyscore(streams.client_prices_wanted_key(tenant=tenant), "-inf", now_s)
                pipe.zrange(streams.client_prices_wanted_key(tenant=tenant), 0, PAIRS_MAX - 1)
            wanted = (await pipe.execute())[1::2]
        self._rounds += 1
        for tenant, names in zip(tenants, wanted, strict=True):
            desk = self._desks.get(tenant)
            told = self._news(tenant, desk, names) if desk is not None and names else {}
            if told:
                await self._redis.publish(streams.client_prices_channel(tenant=tenant), codec.encode(told))

    def _news(self, tenant: str, desk: Desk, names: Iterable[bytes]) -> codec.ClientPrices:
        prices = prices_of(desk=desk, names=names, now_us=self._clock.now_us())
        before, self._shown[tenant] = self._shown.get(tenant, {}), prices
        if self._rounds % WHOLE_ROUNDS == 0:
            return prices
        changed = {
            account_id: {
                symbol: price for symbol, price in mine.items() if before.get(account_id, {}).get(symbol) != price
            }
            for account_id, mine in prices.items()
        }
        return {account_id: mine for account_id, mine in changed.items() if mine}


def prices_of(*, desk: Desk, names: Iterable[bytes], now_us: int) -> codec.ClientPrices:
    """Return the price of each `account|symbol`; of unknown ones nothing."""
    moment = desk.moment(now_us=now_us)
    found: codec.ClientPrices = {}
    for name in names:
        account_id, _, symbol = name.decode().partition("|")
        if account_id in desk.state.accounts and symbol in desk.state.instruments:
            found.setdefault(account_id, {})[symbol] = _price(moment, account_id, symbol)
    return found


def _price(moment: Moment, account_id: str, symbol: str) -> ClientPrice:
    """Return the best price of each side as an order of this account would deal at it, markup and all."""
    best = moment.market.best(symbol=symbol, now_us=moment.now_us)
    if best is None:
        return ClientPrice()

    def of(level: AttributedLevel | None, side: Side) -> tuple[Any, Any]:
        markup = moment.markup(account_id=account_id, symbol=symbol, side=side)
        if level is None or markup is None:
            return None, ZERO
        levels = moment.levels(symbol=symbol, side=side)
        front = moment.front(account_id=account_id, symbol=symbol, side=side, levels=levels)
        price, lots = (front.price, front.lots) if front else (level.price, level.size)
        return client_price(raw=price, markup=markup, side=side), lots

    (bid, bid_lots), (ask, ask_lots) = of(best.bid, Side.SELL), of(best.ask, Side.BUY)
    return ClientPrice(bid, ask, bid_lots, ask_lots)
