"""The desks' own timers: what may wait is asked for once, and what may not never waits for it (INV-17)."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from piggy.core.commands import ActOnPrices, AnyCommand, LetOrdersGo
from piggy.engine import intake
from piggy.engine.clock import Clock
from piggy.engine.intake import Intake
from piggy.engine.loop import Item

PRICES = ActOnPrices(symbols=("EURUSD",), accounts=())


class BusyLoop:
    """Takes items and answers none by itself, as under a backlog."""

    def __init__(self, desk: Any) -> None:
        self.desks = {"acorn": desk}
        self.items: list[Item] = []

    def submit(self, *, item: Item) -> None:
        self.items.append(item)

    def asked(self, kind: type) -> int:
        return sum(type(item.envelope.command) is kind for item in self.items)

    def answer_all(self) -> None:
        items, self.items = self.items, []
        for item in items:
            assert item.respond is not None, "timers hear what came of it"
            item.respond(None)


class DueDesk:
    """Always has a block of orders to let go, and prices to act on where it is told so."""

    prices = False

    def due(self, *, now_us: int) -> tuple[AnyCommand, ...]:
        return (LetOrdersGo(block=0, before_us=1), *((PRICES,) if self.prices else ()))


async def test_a_block_that_waits_to_go_is_asked_for_once_and_keeps_no_stop_out_waiting(monkeypatch: Any) -> None:
    monkeypatch.setattr(intake, "TIMER_S", 0)
    desk = DueDesk()
    loop = BusyLoop(desk)
    nobody = cast("Any", None)
    timers = asyncio.create_task(
        Intake(connection=nobody, loop=cast("Any", loop), clock=Clock(), shard="", letters=nobody).watch_timers()
    )
    try:
        await rounds()
        assert (loop.asked(LetOrdersGo), loop.asked(ActOnPrices)) == (1, 0)
        desk.prices = True
        await rounds()
        assert (loop.asked(LetOrdersGo), loop.asked(ActOnPrices)) == (1, 1), "the next prices wait for these"
        loop.answer_all()
        await rounds()
        assert (loop.asked(LetOrdersGo), loop.asked(ActOnPrices)) == (1, 1)
    finally:
        timers.cancel()


async def rounds() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
