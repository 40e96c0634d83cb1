"""The engine against real PostgreSQL and Valkey: answers after commit, once each, whatever goes away in between."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import redis

from piggy.core import commands as cmd
from piggy.core import desk, folding
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.answers import Answer
from piggy.core.orders import OrderState
from piggy.engine import dispatch, intake, term
from piggy.engine.intake import Intake
from piggy.engine.lease import Lease
from piggy.messaging import client as messaging_client
from piggy.messaging import codec, lanes, streams
from piggy.messaging.client import Client
from piggy.messaging.subscriber import VenueOrders
from tests.engine.conftest import buy, envelope, opening_commands, running, running_engine, until
from tests.engine.ground import Ground

UNACKNOWLEDGED = int(os.environ.get("UNACKNOWLEDGED", "50"))


async def ask(client: Client, tenant: str, asked: Any, wait_s: float = 10) -> Answer:
    answer = await asyncio.to_thread(client.ask, tenant=tenant, envelope=asked, wait_s=wait_s)
    assert answer is not None, "no answer"
    return answer


async def open_desk(client: Client, tenant: str) -> None:
    for command in opening_commands():
        await ask(client, tenant, envelope(command))


async def test_a_command_is_answered_after_it_is_in_the_log(ground: Ground, shard: str, tenant: str) -> None:
    client = Client(redis_url=ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        asked = envelope(buy())
        answer = await ask(client, tenant, asked)
    assert answer.order is not None
    assert answer.order.state is OrderState.DENIED, "there is no price"
    assert any(row[1] == asked.command_id for row in ground.log_rows(tenant=tenant))


async def test_inv_02_fifty_at_once_under_one_id_are_one_order(ground: Ground, shard: str, tenant: str) -> None:
    client = Client(redis_url=ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        asked = envelope(buy())
        answers = await asyncio.gather(*(ask(client, tenant, asked) for _ in range(50)))
        changed = await ask(client, tenant, envelope(buy("0.20"), command_id=asked.command_id, body="other"))
    assert changed.conflict
    assert sum(not answer.duplicate for answer in answers) == 1
    assert len({answer.order.order_id for answer in answers if answer.order}) == 1
    assert sum(row[1] == asked.command_id and row[2] == 0 for row in ground.log_rows(tenant=tenant)) == 1


async def test_a_desk_comes_back_from_its_log_and_knows_what_was_answered(
    ground: Ground, shard: str, tenant: str
) -> None:
    client = Client(redis_url=ground.services.redis_url)
    asked = envelope(buy())
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        first = await ask(client, tenant, asked)
    async with running_engine(ground, shard, holder="next") as term:
        again = await ask(client, tenant, asked)
        assert term.loop is not None
        assert set(term.loop.desks[tenant].state.accounts) == {"anna"}
    assert again.duplicate
    assert again.order == first.order


async def test_inv_13_redis_emptied_under_load_loses_no_answered_command(
    ground: Ground, shard: str, tenant: str
) -> None:
    client = Client(redis_url=ground.services.redis_url)
    wire = redis.Redis.from_url(ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        acknowledged: list[str] = []

        async def place() -> None:
            asked = envelope(buy())
            for _ in range(100):
                answer = await asyncio.to_thread(client.ask, tenant=tenant, envelope=asked, wait_s=0.5)
                if answer is not None:
                    acknowledged.append(asked.command_id)
                    return

        async def empty() -> None:
            for _ in range(5):
                await asyncio.sleep(0.1)
                await asyncio.to_thread(wire.flushall)

        for _ in range(3):
            await asyncio.gather(empty(), *(place() for _ in range(20)))
    firsts = [row[1] for row in ground.log_rows(tenant=tenant) if row[2] == 0]
    assert len(acknowledged) == 60
    assert set(acknowledged) <= set(firsts)
    assert len(firsts) == len(set(firsts))


async def test_an_answer_is_waited_for_past_the_patience_of_a_connection(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Redis client breaks off what is silent for some seconds; a caller may wait longer than that."""
    client = Client(redis_url=ground.services.redis_url)
    assert client._redis.connection_pool.make_connection().socket_timeout > messaging_client.WAIT_S_MAX
    monkeypatch.setattr(messaging_client, "WAIT_S_MAX", 0.05)
    wire = redis.Redis.from_url(ground.services.redis_url)
    asked = msgspec.structs.replace(envelope(buy()), reply_to="late")
    asking = asyncio.create_task(ask(client, "nobody", asked))
    await asyncio.sleep(0.3)
    wire.rpush(streams.reply_key(tenant="nobody", request_id="late"), codec.encode(Answer(command_id=asked.command_id)))
    assert (await asking).command_id == asked.command_id
    assert await asyncio.to_thread(client.ask, tenant="nobody", envelope=asked, wait_s=0.12) is None


async def test_f_03_a_redis_that_takes_nothing_refuses_loudly_and_the_engine_lives_on(
    ground: Ground, shard: str, tenant: str
) -> None:
    """`noeviction`: what is on the streams stays, what would be new is refused.

    Where all writing is refused, as by a disk that is full or by a replica, even reading for a group is; and streams
    that are gone cannot be made again. The fast door and the desks' timers need none of it.
    """
    client, wire = Client(redis_url=ground.services.redis_url), redis.Redis.from_url(ground.services.redis_url)
    refusals = (("maxmemory", messaging_client.UnableToStore), ("min-replicas-to-write", messaging_client.UnableToTell))
    async with running_engine(ground, shard) as term:
        await open_desk(client, tenant)
        token = term.status.token
        for setting, error in refusals:
            before: Any = wire.config_get(setting)
            wire.delete(*lanes.keys(tenant=tenant))
            wire.config_set(setting, "1")
            try:
                with pytest.raises(error):
                    await ask(client, tenant, envelope(buy()))
                await asyncio.sleep(0.3)
                assert (term.status.state, term.status.token) == ("ACTIVE", token)
            finally:
                wire.config_set(setting, before[setting])
            await ask(client, tenant, envelope(buy()))


async def test_a_poison_message_is_a_dead_letter_and_the_others_go_on(ground: Ground, shard: str, tenant: str) -> None:
    client = Client(redis_url=ground.services.redis_url)
    wire = redis.Redis.from_url(ground.services.redis_url)
    async with running_engine(ground, shard):
        wire.xadd(streams.commands_key(tenant=tenant), {streams.FIELD: b"\xc1 no message"})
        await open_desk(client, tenant)
        await until(lambda: wire.xlen(streams.commands_key(tenant=tenant)) == 0)
    ((payload, reason, deliveries),) = ground.dead_letters(tenant=tenant)
    assert (bytes(payload), deliveries) == (b"\xc1 no message", 1)
    assert "not understood" in reason


async def test_f_24_a_command_that_always_fails_is_a_dead_letter_after_five_deliveries(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> list[Any]:
        raise ZeroDivisionError("a defect in deciding")

    monkeypatch.setitem(desk.DECISIONS, cmd.ReportConnection, fail)
    monkeypatch.setattr(intake, "PENDING_IDLE_MS", 50)
    may_come_again, claim = asyncio.Event(), Intake._claim

    async def claim_later(self: Intake, key: str, idle_ms: int) -> bool:
        return await claim(self, key, idle_ms) if may_come_again.is_set() or not idle_ms else True

    monkeypatch.setattr(Intake, "_claim", claim_later)
    client = Client(redis_url=ground.services.redis_url)
    wire = redis.Redis.from_url(ground.services.redis_url)
    poison = envelope(cmd.ReportConnection(account_id="anna", connected=True))
    async with running_engine(ground, shard) as term:
        await open_desk(client, tenant)
        await asyncio.to_thread(client.tell, tenant=tenant, envelope=poison)
        assert await ask(client, tenant, envelope(buy())), "the others go on, before it is a dead letter"
        may_come_again.set()
        await until(lambda: sum(wire.xlen(key) for key in lanes.keys(tenant=tenant)) == 0)
        assert term.status.state == "ACTIVE"
    ((payload, reason, deliveries),) = ground.dead_letters(tenant=tenant)
    assert codec.decode_envelope(bytes(payload)) == poison
    assert deliveries == 5, reason


async def test_f_24_a_command_that_ends_the_engine_each_time_takes_none_of_those_around_it_along(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(state: Any, event: Any, recorded: Any) -> None:
        if event.reference == "poison":
            raise ZeroDivisionError("a defect in folding")
        credit(state, event, recorded)

    credit = folding.HANDLERS[ev.AccountCredited]
    monkeypatch.setitem(folding.HANDLERS, ev.AccountCredited, fails)
    monkeypatch.setattr(intake, "PENDING_IDLE_MS", 50)
    monkeypatch.setattr(intake, "DELIVERIES_MAX", 3)
    monkeypatch.setattr(term, "BACK_OFF_S", 0.01)
    client = Client(redis_url=ground.services.redis_url)
    wire = redis.Redis.from_url(ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
    poison = envelope(cmd.CreditAccount(account_id="anna", amount=Decimal(1), reference="poison"))
    others = [envelope(buy()) for _ in range(20)]
    client.tell_all(tenant=tenant, envelopes=[*others[:10], poison, *others[10:]])
    async with running_engine(ground, shard):
        await until(lambda: sum(wire.xlen(key) for key in lanes.keys(tenant=tenant)) == 0, seconds=30)
    ((payload, _, _),) = ground.dead_letters(tenant=tenant)
    assert codec.decode_envelope(bytes(payload)) == poison
    assert {each.command_id for each in others} <= {row[1] for row in ground.log_rows(tenant=tenant)}


def reads_begun(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count from now on how often the engine begins to read."""
    begun, readable = list[None](), Intake._readable

    def look(self: Intake, tenants: list[str]) -> dict[str, str]:
        begun.append(None)
        return readable(self, tenants)

    monkeypatch.setattr(Intake, "_readable", look)
    return lambda: len(begun)


async def test_inv_26_a_kill_comes_through_while_nothing_else_is_read(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(redis_url=ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        monkeypatch.setattr(intake, "BACKLOG_MAX", -1)
        # A read under way still asks for all; it is over once the next one begins.
        begun = reads_begun(monkeypatch)
        await until(lambda: begun() > 0)
        assert await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(buy()), wait_s=0.5) is None
        kill = cmd.SetTradingState(scope="tenant", key="", state=TradingState.KILLED, reason="storm", by="tess")
        await ask(client, tenant, envelope(kill))
        monkeypatch.undo()
        await ask(client, tenant, envelope(buy()))


async def test_a_changed_log_halts_its_tenant_only(ground: Ground, shard: str, tenant: str) -> None:
    other = ground.add_tenant(shard=shard)
    client = Client(redis_url=ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        await open_desk(client, other)
    ground.tamper(tenant=tenant, statement=f"DELETE FROM {tenant}.event_log WHERE seq = 2")
    async with running_engine(ground, shard) as term:
        assert set(term.status.halted) == {tenant}
        assert await ask(client, other, envelope(buy()))


async def test_a_new_tenant_is_served_within_seconds(ground: Ground, shard: str, tenant: str) -> None:
    client = Client(redis_url=ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, ground.add_tenant(shard=shard))


async def test_a_worker_that_died_finds_its_child_orders_again(ground: Ground, tenant: str) -> None:
    wire = redis.Redis.from_url(ground.services.redis_url)
    url = ground.services.redis_url
    cancel = codec.CancelChild(
        order_id="o", cl_ord_id=uuid.uuid4().hex, venue="LP1", symbol="EURUSD", side="buy", quantity="1"
    )
    wire.xadd(streams.venue_key(tenant=tenant, venue="LP1"), {streams.FIELD: codec.encode(cancel)})
    first = VenueOrders(redis_url=url, tenant=tenant, venue="LP1", consumer="w")
    assert first.read(block_ms=10) == []
    read = first.read(block_ms=10)
    assert [each.order.cl_ord_id for each in read if each.order] == [cancel.cl_ord_id]
    second = VenueOrders(redis_url=url, tenant=tenant, venue="LP1", consumer="w")
    assert [each.entry_id for each in second.read(block_ms=10)] == [read[0].entry_id]
    second.ack(entry_id=read[0].entry_id)
    assert wire.xlen(streams.venue_key(tenant=tenant, venue="LP1")) == 0


async def test_f_03_a_worker_reads_on_once_redis_takes_something_again(ground: Ground, tenant: str) -> None:
    """Reading for a group is writing: all of it is refused, at the first look already and with a group to make."""
    wire: Any = redis.Redis.from_url(ground.services.redis_url)
    worker = VenueOrders(redis_url=ground.services.redis_url, tenant=tenant, venue="LP1", consumer="w")
    for setting in ("maxmemory", "min-replicas-to-write"):
        before = wire.config_get(setting)
        wire.config_set(setting, "1")
        try:
            assert worker.read(block_ms=10) == []
        finally:
            wire.config_set(setting, before[setting])
    cancel = codec.CancelChild(
        order_id="o", cl_ord_id=uuid.uuid4().hex, venue="LP1", symbol="EURUSD", side="buy", quantity="1"
    )
    wire.xadd(streams.venue_key(tenant=tenant, venue="LP1"), {streams.FIELD: codec.encode(cancel)})
    assert worker.read(block_ms=10) == []
    assert [each.order.cl_ord_id for each in worker.read(block_ms=10) if each.order] == [cancel.cl_ord_id]


async def test_inv_11_what_was_done_and_never_acknowledged_is_done_once(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine ends between the commit and XACK: the entries come again, to its successor, and change nothing.

    UNACKNOWLEDGED says how many; the contract's size is 1,000.
    """
    client = Client(redis_url=ground.services.redis_url)
    wire = redis.Redis.from_url(ground.services.redis_url)
    asked = [envelope(opening_commands()[0]) for _ in range(UNACKNOWLEDGED)]
    ids = {each.command_id for each in asked}
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "_settle", lambda pipe, each: None)
        async with running_engine(ground, shard):
            client.tell_all(tenant=tenant, envelopes=asked)
            await until(lambda: ids <= {row[1] for row in ground.log_rows(tenant=tenant)})
    key = lanes.key_of(tenant=tenant, command=asked[0].command)
    assert wire.xpending(key, streams.ENGINE_GROUP)["pending"] == UNACKNOWLEDGED
    monkeypatch.setattr(intake, "DELIVERIES_MAX", 1)
    async with running_engine(ground, shard, holder="next"):
        await until(lambda: wire.xlen(key) == 0)
    assert ground.dead_letters(tenant=tenant) == [], "what was carried out is none, however often it comes"
    assert wire.xpending(key, streams.ENGINE_GROUP)["pending"] == 0
    firsts = [row[1] for row in ground.log_rows(tenant=tenant) if row[2] == 0]
    assert sorted(firsts) == sorted(ids)


async def test_f_08_an_engine_that_cannot_reach_its_lease_steps_down_within_its_life(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds_s, given_up_s = list[float](), list[float]()
    timeout, config = asyncio.timeout, replace(ground.config(shard=shard), lease_life_s=2)

    def noted(delay: float | None) -> asyncio.Timeout:
        bounds_s.append(delay or 0.0)
        return timeout(delay)

    async def lost(_self: Lease) -> None:
        given_up_s.append(bounds_s[-1])  # Nothing else was bounded since: there was no pause in between.
        await asyncio.sleep(3_600)

    async with running(config) as serving:
        token = serving.status.token
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "timeout", noted)
            patch.setattr(Lease, "renew", lost)
            await until(lambda: serving.status.state != "ACTIVE")
            assert serving.loop is None, "nobody decides any more"
            assert term.RENEW_S + given_up_s[0] <= config.lease_life_s
        await until(lambda: serving.status.state == "ACTIVE")
        assert serving.status.token > token
