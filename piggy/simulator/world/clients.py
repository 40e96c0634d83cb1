"""Clients of this world: they repeat every order under its id until they hear what became of it."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import msgspec
from redis.exceptions import RedisError

from piggy.core import commands as cmd
from piggy.core.answers import STORAGE_FULL, Answer, OrderView
from piggy.core.commands import AnyCommand, Envelope
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.messaging import codec, lanes, streams
from piggy.messaging.identity import command_id_of
from piggy.simulator.world.lp import SYMBOL
from piggy.simulator.world.redis_stub import RedisStub

ANSWER_S = 1.0
POLL_S = 0.01
SIZES = ("0.01", "0.10", "0.50", "1.00", "5.00", "25.00")
OTHER_BODY, SAME_TWICE, CANCEL, AMEND = 0.05, 0.15, 0.3, 0.2
STEP = Decimal("0.01")


class Client:
    """One account's owner. `heard` holds the answer to every command by its id, as it was first told."""

    def __init__(self, *, account_id: str, tenant: str, redis: RedisStub, luck: random.Random) -> None:
        self.heard: dict[str, Answer] = {}
        self.wrong: list[str] = []
        self.kept_out = 0
        self._account_id, self._tenant, self._redis, self._luck = account_id, tenant, redis, luck
        self._asked = 0

    async def trade(self, *, orders: int, until_s: float) -> None:
        """Place so many orders, or as many as there is time for, change some, cancel some."""
        for number in range(orders):
            await asyncio.sleep(self._luck.uniform(0.02, 0.6))
            if asyncio.get_running_loop().time() > until_s:
                return
            command_id = command_id_of("sim", self._account_id, str(number))
            command = cmd.PlaceOrder(terms=self._terms(number), source="sim")
            if self._luck.random() < SAME_TWICE:
                await asyncio.gather(self.ask(command_id, command), self.ask(command_id, command))
            answer = await self.ask(command_id, command)
            if self._luck.random() < OTHER_BODY:
                await self._try_another_body(command_id, number)
            if answer.order is not None and self._luck.random() < AMEND:
                await self._amend(answer.order, number)
            if answer.order is not None and self._luck.random() < CANCEL:
                await self._cancel(answer.order.order_id, number)

    async def ask(self, command_id: str, command: AnyCommand, request_hash: str = "") -> Answer:
        """Return the answer, however often it takes; any answer but the first says that it is a repeat."""
        request_hash = request_hash or repr(command)
        while True:
            answer = await self._once(
                Envelope(
                    command_id=command_id,
                    command=command,
                    principal=f"user:{self._account_id}",
                    request_hash=request_hash,
                )
            )
            if answer is not None and answer.refused is not None and answer.refused.code == STORAGE_FULL:
                self.kept_out += 1
                await asyncio.sleep(ANSWER_S)
                continue
            if answer is not None and not answer.conflict:
                first = self.heard.setdefault(command_id, answer)
                if _order_id(first) != _order_id(answer):
                    self.wrong.append(f"{command_id}: first {_order_id(first)}, then {_order_id(answer)}")
            if answer is not None:
                return answer

    async def _once(self, envelope: Envelope) -> Answer | None:
        self._asked += 1
        reply_to = f"{self._account_id}-{self._asked}"
        key = streams.reply_key(tenant=self._tenant, request_id=reply_to)
        told = codec.encode(msgspec.structs.replace(envelope, reply_to=reply_to))
        try:
            await self._redis.xadd(lanes.key_of(tenant=self._tenant, command=envelope.command), {streams.FIELD: told})
        except RedisError:
            await asyncio.sleep(POLL_S)
        loop = asyncio.get_running_loop()
        until = loop.time() + ANSWER_S
        while loop.time() < until:
            if self._redis.lists.get(key):
                return codec.decode_answer(self._redis.lists.pop(key)[0])
            await asyncio.sleep(POLL_S)
        return None

    async def _try_another_body(self, command_id: str, number: int) -> None:
        other = cmd.PlaceOrder(terms=self._terms(number), source="sim again")
        answer = await self.ask(command_id, other, request_hash="another body")
        if not answer.conflict:
            self.wrong.append(f"{command_id}: another body was taken")

    async def _cancel(self, order_id: str, number: int) -> None:
        command = cmd.CancelOrder(order_id=order_id, account_id=self._account_id)
        await self.ask(command_id_of("sim cancel", self._account_id, str(number)), command)

    async def _amend(self, order: OrderView, number: int) -> None:
        more = order.terms.quantity + self._luck.choice((-1, 1, 100_000)) * STEP
        command = cmd.AmendOrder(order_id=order.order_id, account_id=self._account_id, quantity=more)
        await self.ask(command_id_of("sim amend", self._account_id, str(number)), command)

    def _terms(self, number: int) -> OrderTerms:
        side = self._luck.choice((Side.BUY, Side.SELL))
        resting = self._luck.random() < 0.3
        away = Decimal(self._luck.randint(-30, 30)) / 100_000
        return OrderTerms(
            account_id=self._account_id,
            symbol=SYMBOL.symbol,
            side=side,
            quantity=Decimal(self._luck.choice(SIZES)),
            type=OrderType.LIMIT if resting else OrderType.MARKET,
            limit_price=SYMBOL.mid + away if resting else None,
            time_in_force=self._luck.choice((TimeInForce.GTC, TimeInForce.IOC)) if resting else TimeInForce.IOC,
            client_order_id=f"{self._account_id}-{number}",
        )


def _order_id(answer: Answer) -> str:
    return answer.order.order_id if answer.order is not None else ""
