"""The broker's people on a busy day: dealers, the treasury, who watches the house's risk, who puts fills right."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec

from piggy.core import commands as cmd
from piggy.core.accounts import TradingState
from piggy.core.answers import Answer
from piggy.core.auctions import AuctionPhase
from piggy.core.bust_commands import BustFills, CorrectFill, FillOnRecord
from piggy.core.correction_events import OrderFillBusted
from piggy.core.dealer_commands import DealAt, RejectReason
from piggy.core.desk import Desk
from piggy.core.events import NegativeBalanceWrittenOff, OrderFilled, Recorded
from piggy.messaging.identity import command_id_of
from piggy.simulator.world.clients import Client
from piggy.simulator.world.day import SYMBOLS
from piggy.simulator.world.store import Store

PEOPLE = 5
PAUSE_S_MAX = 0.5
STOPPED_S_MAX = 2.0


class Staff:
    """Everybody of the broker; each act is a command under an id of its own, repeated until it is answered."""

    def __init__(self, *, client: Client, desk: Callable[[], Desk | None], store: Store, luck: random.Random) -> None:
        self.client = client
        self.done: Counter[str] = Counter()
        self._desk, self._store, self._luck = desk, store, luck
        self._number = 0

    async def work(self, *, until_s: float) -> None:
        """Do something every now and then until `until_s`, each of them by himself."""
        await asyncio.gather(*(self._work(until_s) for _ in range(PEOPLE)))

    async def _work(self, until_s: float) -> None:
        kinds: list[Callable[[Desk], Awaitable[None]]] = [
            self.deal,
            self.deal,
            self.deal,
            self.answer_requotes,
            self.pay,
            self.cover,
            self.look_at_hedges,
            self.put_right,
            self.put_right,
            self.call_auction,
            self.flatten,
        ]
        loop = asyncio.get_running_loop()
        while loop.time() < until_s:
            await asyncio.sleep(self._luck.uniform(0.02, PAUSE_S_MAX))
            desk = self._desk()
            if desk is not None:
                await self._luck.choice(kinds)(desk)

    async def deal(self, desk: Desk) -> None:
        """A dealer answers an order that waits for one."""
        held = sorted(desk.state.held)
        if not held:
            return
        order_id, by = self._luck.choice(held), self._luck.choice(("dora", "dirk"))
        price = desk.state.held[order_id].price
        away = Decimal(self._luck.randint(-5, 5)).scaleb(price.as_tuple().exponent)  # type: ignore[arg-type]
        command = self._luck.choice(
            (
                cmd.ClaimOrder(order_id=order_id, by=by),
                cmd.FillByDealer(order_id=order_id, by=by, at=self._luck.choice(tuple(DealAt))),
                cmd.RequoteOrder(order_id=order_id, by=by, price=price + away, valid_ms=1_000, reason="price moved"),
                cmd.PassOrderOn(order_id=order_id, by=by),
                cmd.RejectByDealer(order_id=order_id, by=by, reason=RejectReason.NEWS),
            )
        )
        await self._ask(command)

    async def answer_requotes(self, desk: Desk) -> None:
        """A client takes or declines a dealer's other price."""
        for order_id in sorted(desk.state.held):
            held, order = desk.state.held[order_id], desk.state.orders.get(order_id)
            if held.requote is not None and order is not None:
                await self._ask(
                    cmd.AnswerRequote(
                        order_id=order_id, account_id=order.terms.account_id, accept=self._luck.random() < 0.7
                    )
                )
                return

    async def pay(self, desk: Desk) -> None:
        """Money comes in or is asked for."""
        account_id = self._luck.choice(sorted(desk.state.accounts))
        amount = Decimal(self._luck.randint(1, 2_000_000)).scaleb(-2)
        if desk.state.accounts[account_id].currency == "JPY":
            amount = amount.quantize(Decimal(1)) + 1
        kind = self._luck.choice((cmd.CreditAccount, cmd.DebitAccount))
        await self._ask(kind(account_id=account_id, amount=amount, reference=f"row {self._number}"))

    async def cover(self, desk: Desk) -> None:
        """A dealer covers the house by hand."""
        symbol = self._luck.choice(SYMBOLS).symbol
        await self._ask(cmd.CoverByHand(symbol=symbol, by="dora", reason="risk"))

    async def look_at_hedges(self, desk: Desk) -> None:
        """A dealer lets a proposed hedge go out, or not."""
        waiting = sorted(each for each in desk.state.open_hedges if not desk.state.hedges[each].approved)
        if waiting and self._luck.random() < 0.7:
            await self._ask(cmd.ApproveHedge(hedge_id=waiting[0], by="dora"))
        elif waiting:
            await self._ask(cmd.RejectHedge(hedge_id=waiting[0], by="dora", reason="not now"))

    async def put_right(self, desk: Desk) -> None:
        """Take a fill of a client back, with the other side of it, or deal it anew at another price."""
        fills = standing_fills(log=self._store.events(tenant=desk.state.tenant))
        if not fills:
            return
        fill = self._luck.choice(list(fills.values()))
        if self._luck.random() < 0.5:
            both = tuple(each for each in fills.values() if each.fill_id == fill.fill_id)
            await self._ask(BustFills(fills=both, reason="bad tick", by="dora", batch=f"batch {self._number}"))
        else:
            away = Decimal(self._luck.randint(-20, 20)).scaleb(fill.price.as_tuple().exponent)  # type: ignore[arg-type]
            await self._ask(CorrectFill(fill=fill, price=fill.price + away, reason="bad tick", by="dora"))

    async def call_auction(self, desk: Desk) -> None:
        """A symbol goes through a call, or is closed and opened again."""
        symbol, phase = self._luck.choice(SYMBOLS).symbol, self._luck.choice((*AuctionPhase,))
        await self._ask(cmd.ChangePhase(symbol=symbol, phase=phase, reason="drill", by="omar", call_s=1))
        await asyncio.sleep(self._luck.uniform(0.1, STOPPED_S_MAX))
        await self._ask(
            cmd.ChangePhase(symbol=symbol, phase=AuctionPhase.CONTINUOUS, reason="drill is over", by="omar")
        )

    async def flatten(self, desk: Desk) -> None:
        """One kills an account, another closes what it holds and opens it again."""
        key = self._luck.choice(sorted(desk.state.accounts))
        reason = f"drill {self._number}"
        await self._ask(
            cmd.SetTradingState(scope="account", key=key, state=TradingState.KILLED, reason=reason, by="ines")
        )
        await self._ask(cmd.FlattenPositions(scope="account", key=key, reason=reason, by="omar"))
        await self._ask(
            cmd.SetTradingState(scope="account", key=key, state=TradingState.ACTIVE, reason=reason, by="omar")
        )

    async def _ask(self, command: Any) -> Answer:
        self._number += 1
        answer = await self.client.ask(command_id_of("sim staff", str(self._number)), command)
        refused = answer.refused.code if answer.refused is not None else "done"
        self.done[f"{type(command).__name__} {refused}"] += 1
        return answer


def standing_fills(*, log: Any) -> dict[int, FillOnRecord]:
    """Return the clients' fills that stand by their seq, read out of the log as the dealers' page reads them."""
    found: dict[int, FillOnRecord] = {}
    latest = 0
    recorded: Recorded
    for recorded in log:
        event: Any = recorded.event
        if isinstance(event, OrderFilled):
            told = {name: getattr(event, name) for name in FillOnRecord.__struct_fields__ if hasattr(event, name)}
            latest = recorded.seq
            found[latest] = FillOnRecord(seq=recorded.seq, at_us=recorded.recorded_at_us, **told)
        elif isinstance(event, NegativeBalanceWrittenOff) and event.amount > 0 and latest in found:
            if found[latest].account_id == event.account_id:
                found[latest] = msgspec.structs.replace(found[latest], written_off=event.amount)
        elif isinstance(event, OrderFillBusted):
            found.pop(event.supersedes, None)
    return found
