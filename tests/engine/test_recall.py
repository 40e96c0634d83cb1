"""INV-02: a repeat that comes after its answer was forgotten is answered from the log, and the term goes on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import desk as desk_module
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.leaving_events import Gone, OrdersLetGo
from piggy.engine.loop import Item
from piggy.engine.recall import Recall, _trail
from piggy.messaging.client import Client
from tests.core.forgetful import small_blocks
from tests.engine.conftest import buy, envelope, running, running_engine, until
from tests.engine.ground import Ground
from tests.engine.test_engine import ask, open_desk


async def test_inv_02_a_repeat_whose_answer_was_forgotten_is_answered_from_the_log(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "ANSWERS_KEPT", 3)
    client = Client(redis_url=ground.services.redis_url)
    asked = envelope(buy())
    async with running_engine(ground, shard) as term:
        await open_desk(client, tenant)
        first = await ask(client, tenant, asked)
        for _ in range(5):
            await ask(client, tenant, envelope(buy()))
        token, rows = term.status.token, len(ground.log_rows(tenant=tenant))
        again = await ask(client, tenant, asked)
        changed = await ask(client, tenant, envelope(buy("0.20"), command_id=asked.command_id, body="other"))
        await ask(client, tenant, envelope(buy()))
        assert term.status.token == token, "the term went on"
    assert again.duplicate
    assert again.order == first.order
    assert changed.conflict
    assert len(ground.log_rows(tenant=tenant)) == rows + 1


async def test_an_order_that_left_comes_back_for_whoever_needs_it_and_is_not_there_for_others(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch)
    monkeypatch.setattr(desk_module, "ANSWERS_KEPT", 1)
    client = Client(redis_url=ground.services.redis_url)
    async with running(replace(ground.config(shard=shard, holder="here"), ended_kept_max=0)) as term:
        await open_desk(client, tenant)
        first, *_ = [(asked, await ask(client, tenant, asked)) for asked in (envelope(buy()) for _ in range(5))]
        assert term.loop is not None and first[1].order is not None
        order_id, desk = first[1].order.order_id, term.loop.desks[tenant]
        await until(lambda: desk.state.blocks_gone == 1 and len(desk.state.orders) == 1)
        again = await ask(client, tenant, first[0])
        cancel = await ask(client, tenant, envelope(cmd.CancelOrder(order_id=order_id, account_id="anna", reason="")))
        asked = envelope(override(order_id))
        granted, repeated = await ask(client, tenant, asked), await ask(client, tenant, asked)
        assert desk.state.overrides
        await until(lambda: order_id not in desk.state.orders)
    assert again.duplicate and again.order == first[1].order
    assert cancel.refused is not None and cancel.refused.code == "ORDER_NOT_OPEN"
    assert granted.refused is None and repeated.duplicate
    kinds = [row[3] for row in ground.log_rows(tenant=tenant)]
    assert kinds[-3:] == ["OrderBroughtBack", "OverrideGranted", "OrdersLetGo"]


async def test_no_signal_overtakes_one_of_its_strategy_that_is_looked_up_in_the_log(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alerts of one strategy are handled in order, also where an id that is new looks as if it were not."""
    client, quantities = Client(redis_url=ground.services.redis_url), ("0.11", "0.12", "0.13", "0.14")
    asked = {each: msgspec.structs.replace(envelope(buy(each)), principal="strategy:mean") for each in quantities}
    asked["0.13"] = msgspec.structs.replace(asked["0.13"], principal="strategy:other")
    async with running_engine(ground, shard) as term:
        await open_desk(client, tenant)
        assert term.loop is not None
        told: list[str] = []
        unsure = asked["0.11"].command_id
        monkeypatch.setattr(Desk, "perhaps_forgotten", lambda _, *, command_id: command_id == unsure)
        for each, named in asked.items():
            made = named.command
            heard = partial(lambda name, answer: told.append(name), each)
            term.loop.submit(item=Item(tenant, named, heard, make=lambda desk, now_us, made=made: made))
        await until(lambda: len(told) == len(quantities))
    assert told == ["0.13", "0.11", "0.12", "0.14"], "another strategy waits for nobody"


def test_f_32_a_log_that_answers_slowly_makes_no_signal_dear() -> None:
    """Of 5,000 signals a second, thousands may wait while PostgreSQL says nothing; each one that comes looks for its
    own among them, and a strategy with none of them has no end of that."""
    recall = Recall(connection=SimpleNamespace(), context_key=b"")  # type: ignore[arg-type]
    named, many = envelope(buy()), 3_000
    made = partial(Item, "acorn", make=lambda desk, now_us: buy())
    for number in range(many):
        recall.look_up(made(msgspec.structs.replace(named, principal=f"strategy:{number % 100}")))
    mine = made(msgspec.structs.replace(named, principal="strategy:mine"))
    began_s = time.thread_time()  # not what other threads of this process spend
    assert not any(recall.is_ahead(mine) for _ in range(many))
    assert time.thread_time() - began_s < 0.1
    assert recall.is_ahead(made(msgspec.structs.replace(named, principal="strategy:7")))


class SilentLog(Recall):
    """A log in which nothing is found; nobody hears so before it is let."""

    def __init__(self) -> None:
        super().__init__(connection=SimpleNamespace(), context_key=b"")  # type: ignore[arg-type]
        self.may_say = asyncio.Event()

    async def read(self, **_: Any) -> list[Recorded]:
        await self.may_say.wait()
        return []


class Asked:
    """A loop with a desk that misses an order which left, and what becomes of an item."""

    def __init__(self, *missed: str) -> None:
        desk: Any = SimpleNamespace(missed=lambda command: missed, state=SimpleNamespace(orders={}))
        self.desks = {"acorn": desk}
        self.settles = asyncio.Event()
        self.submitted: list[Item] = []
        self.heard: list[Any] = []
        self.item = Item("acorn", envelope(buy()), self.heard.append)

    async def settled(self) -> None:
        await self.settles.wait()

    def submit(self, *, item: Item) -> None:
        self.submitted.append(item)

    def running(self, log: SilentLog) -> asyncio.Task[None]:
        log.look_up(self.item)
        return asyncio.create_task(log.run(loop=self, tell=lambda done: None))  # type: ignore[arg-type]


async def test_what_is_decided_already_is_committed_before_anything_is_told_of_it() -> None:
    asked, log = Asked(), SilentLog()
    task = asked.running(log)
    log.may_say.set()
    await asyncio.sleep(0.02)
    assert not asked.submitted and not asked.heard
    asked.settles.set()
    await until(lambda: asked.submitted == [asked.item], task=task)
    assert asked.item.looked_up, "it is not looked up again"
    task.cancel()


async def test_a_command_whose_order_is_not_in_the_log_is_not_decided_without_it() -> None:
    asked, log = Asked("O1"), SilentLog()
    log.may_say.set()
    asked.settles.set()
    task = asked.running(log)
    await until(lambda: asked.heard == [None], task=task)
    assert not asked.submitted
    task.cancel()


async def test_who_waits_for_the_log_hears_of_the_terms_end() -> None:
    asked, log = Asked(), SilentLog()
    task = asked.running(log)
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asked.heard == [None]


def test_an_order_that_left_twice_is_as_it_left_last() -> None:
    left = [SimpleNamespace(event=OrdersLetGo(orders=(Gone(order_id="O1", trail=trail),))) for trail in (b"1", b"2")]
    assert _trail(left, "O1") == b"2"  # type: ignore[arg-type]
    assert _trail(left, "O2") == b""  # type: ignore[arg-type]


def override(order_id: str) -> cmd.GrantOverride:
    return cmd.GrantOverride(
        order_id=order_id,
        codes=frozenset({"P-12"}),
        reason="known",
        requested_by="dora",
        authorised_by="eve",
        expires_at_us=time.time_ns() // 1_000 + 60_000_000,
    )
