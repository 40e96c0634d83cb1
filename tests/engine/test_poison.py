"""F-24: what nobody can carry out is a dead letter, alone: whoever stood beside it is served, whatever it broke."""

from __future__ import annotations

import uuid
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from psycopg import OperationalError, sql

from piggy.core import commands as cmd
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.orders import Side
from piggy.engine import context, intake, recovery, term
from piggy.engine.journal import Journal, UnableToWrite
from piggy.engine.pen import Pen
from piggy.engine.standby import Warm
from piggy.engine.status import Status
from piggy.engine.witness import Witness
from piggy.messaging import codec, lanes
from piggy.messaging.chain import Row
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, running, running_engine, until
from tests.engine.ground import Ground
from tests.engine.test_engine import ask, open_desk
from tests.engine.test_journal import credited, pen, read_all
from tests.engine.test_shards import move

apply = Desk.apply


def fill(occurred_at_us: int) -> cmd.RecordVenueFill:
    return cmd.RecordVenueFill(
        venue="LP1",
        cl_ord_id="O1-LP1-1",
        venue_order_id="V1",
        fill_id="F1",
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(1),
        price=Decimal("1.1"),
        occurred_at_us=occurred_at_us,
    )


def waiting(ground: Ground, tenant: str) -> int:
    wire = redis.Redis.from_url(ground.services.redis_url)
    return sum(int(wire.xlen(key)) for key in lanes.keys(tenant=tenant))


def in_log(ground: Ground, tenant: str) -> set[str]:
    return {row[1] for row in ground.log_rows(tenant=tenant)}


async def test_f_24_what_the_log_could_not_give_back_as_it_was_is_not_taken_up(
    ground: Ground, shard: str, tenant: str
) -> None:
    """One of these in the log would halt its tenant, or end every term that reads it or tries to write it."""
    client = Client(redis_url=ground.services.redis_url)
    good, changed = envelope(buy()), msgspec.structs.replace
    bad = [
        changed(good, command_id=str(uuid.uuid4()).upper()),
        changed(good, command_id=f"urn:uuid:{uuid.uuid4()}"),
        changed(good, command_id=str(uuid.uuid4()), principal="an\x1fna"),
        changed(good, command_id=str(uuid.uuid4()), request_hash="\0"),
        envelope(fill(2**63 - 1)),
        envelope(fill(-1)),
    ]
    async with running_engine(ground, shard) as engine:
        await open_desk(client, tenant)
        token = engine.status.token
        client.tell_all(tenant=tenant, envelopes=[*bad, good])
        await until(lambda: waiting(ground, tenant) == 0)
        assert (engine.status.state, engine.status.token) == ("ACTIVE", token)
    letters = ground.dead_letters(tenant=tenant)
    assert {codec.decode_envelope(bytes(payload)).command_id for payload, *_ in letters} == {
        each.command_id for each in bad
    }
    assert all(reason.startswith("not understood") and deliveries == 1 for _, reason, deliveries in letters)
    assert good.command_id in in_log(ground, tenant)
    async with running_engine(ground, shard, holder="next") as successor:
        assert not successor.status.halted


async def test_what_is_in_the_way_of_every_commit_counts_for_no_command(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-04: PostgreSQL breaks off more often than that, with the same order first in line each time."""
    monkeypatch.setattr(intake, "DELIVERIES_MAX", 3)
    monkeypatch.setattr(intake, "PENDING_IDLE_MS", 50)
    monkeypatch.setattr(term, "BACK_OFF_S", 0.05)
    client, asked, broken = Client(redis_url=ground.services.redis_url), envelope(buy()), []
    write = Pen.write

    async def write_or_break(self: Pen, wanted: Any) -> list[int]:
        if len(broken) < intake.DELIVERIES_MAX + 2 and any(step.name.startswith(b"append") for step, _ in wanted):
            broken.append(wanted)
            raise OperationalError("terminating connection due to administrator command")
        return await write(self, wanted)

    async with running_engine(ground, shard) as engine:
        await open_desk(client, tenant)
        monkeypatch.setattr(Pen, "write", write_or_break)
        client.tell(tenant=tenant, envelope=asked)
        await until(lambda: waiting(ground, tenant) == 0)
        assert not engine.status.storage.is_away
    assert len(broken) == intake.DELIVERIES_MAX + 2
    assert ground.dead_letters(tenant=tenant) == []
    assert asked.command_id in in_log(ground, tenant)


async def test_a_table_that_is_locked_for_long_buries_no_command(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-04: as by making an index. PostgreSQL itself ends each write that lasts longer than the lease (F-29)."""
    monkeypatch.setattr(intake, "DELIVERIES_MAX", 2)
    monkeypatch.setattr(intake, "PENDING_IDLE_MS", 50)
    monkeypatch.setattr(term, "BACK_OFF_S", 0.05)
    client, asked = Client(redis_url=ground.services.redis_url), envelope(buy())
    config = replace(ground.config(shard=shard), lease_life_s=1)
    monkeypatch.setattr(term, "RENEW_S", 0.3)
    async with running(config) as engine:
        await open_desk(client, tenant)
        with psycopg.connect(ground.services.postgres.url(role="postgres")) as everything:
            everything.execute(sql.SQL("LOCK TABLE {}.event_log IN SHARE MODE").format(sql.Identifier(tenant)))
            client.tell(tenant=tenant, envelope=asked)
            token = engine.status.token
            await until(lambda: engine.status.token > token + intake.DELIVERIES_MAX + 1, seconds=40)
            everything.rollback()
        await until(lambda: waiting(ground, tenant) == 0)
    assert ground.dead_letters(tenant=tenant) == []
    assert asked.command_id in in_log(ground, tenant)


async def test_an_event_that_cannot_be_folded_halts_its_tenant_only(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-27: as after a change of the program that forgot what an old log may hold; until it comes back and is whole."""
    monkeypatch.setattr(term, "TENANTS_S", 0.3)
    other, client = ground.add_tenant(shard=shard), Client(redis_url=ground.services.redis_url)
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        await open_desk(client, other)

    def apply_or_break(desk: Desk, *, recorded: Recorded) -> None:
        if desk.state.tenant == tenant and recorded.seq == 3:
            raise KeyError("what was always there")
        apply(desk, recorded=recorded)

    monkeypatch.setattr(Desk, "apply", apply_or_break)
    async with running_engine(ground, shard, holder="next") as engine:
        assert "event 3" in engine.status.halted[tenant]
        assert set(engine.status.halted) == {tenant}
        await ask(client, other, envelope(buy()))
        shown = (engine.status.halted, engine.status.progress, engine.status.goals)
        assert move(ground, schema=tenant, source=shard, target=f"{shard}-2")
        await until(lambda: not any(tenant in each for each in shown))
        monkeypatch.setattr(Desk, "apply", apply)
        assert move(ground, schema=tenant, source=f"{shard}-2", target=shard)
        await ask(client, tenant, envelope(buy()))


async def test_an_event_of_which_nobody_can_tell_who_wrote_it_halts_its_tenant_only(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    journal = await pen(ground, connect, shard, tenant)
    unclear = msgspec.structs.replace(credited(1), principal="an\x1fna")
    await journal.append(rows={tenant: [journal.chain(tenant=tenant, recorded=unclear)]})
    with pytest.raises(recovery.UnableToRead) as caught:
        await read_all(ground, connect, tenant)
    assert caught.value.seq == 1


async def test_f_20_a_log_that_we_are_refused_a_look_at_is_not_taken_for_an_empty_one(
    ground: Ground, connect: Any, shard: str, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our clock is far behind PostgreSQL's, or the key is another: no row is seen, and no error told."""
    journal, link = await pen(ground, connect, shard, tenant), await connect()
    await journal.append(rows={tenant: [journal.chain(tenant=tenant, recorded=credited(1))]})
    with pytest.raises(recovery.UnableToEnter):
        await recovery.last_seq(connection=link, context_key=bytes(32), tenant=tenant)
    warm = Warm(config=ground.config(shard=shard), status=Status(), witness=Witness(home=tmp_path))
    monkeypatch.setattr(context, "CONTEXT_LIFE_S", -600)
    with pytest.raises(recovery.UnableToEnter):
        await warm.take(connection=link, tenant=tenant)
    with monkeypatch.context() as patch:
        patch.setattr(context, "CONTEXT_LIFE_S", 300)
        await warm.follow(connection=link)
    with pytest.raises(recovery.UnableToEnter):
        await warm.take(connection=link, tenant=tenant)


async def test_f_24_what_was_decided_and_changes_nothing_is_no_dead_letter_however_often_nobody_heard_of_it(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each term ends between deciding and telling it, and others are written in between: so it was not to blame."""
    monkeypatch.setattr(intake, "DELIVERIES_MAX", 3)
    monkeypatch.setattr(intake, "PENDING_IDLE_MS", 50)
    monkeypatch.setattr(term, "BACK_OFF_S", 0.05)
    client, ended = Client(redis_url=ground.services.redis_url), []
    unchanged = envelope(cmd.LetOrderGo(order_id="O000000001", times=0))
    append = Journal.append

    async def append_or_end(self: Journal, *, rows: dict[str, list[Row]]) -> set[str]:
        if len(ended) <= intake.DELIVERIES_MAX and not any(rows.values()):
            ended.append(rows)
            raise UnableToWrite("The lease is lost.")
        return await append(self, rows=rows)

    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        monkeypatch.setattr(Journal, "append", append_or_end)
        client.tell(tenant=tenant, envelope=unchanged)
        await until(lambda: waiting(ground, tenant) == 0, seconds=30)
    assert len(ended) > intake.DELIVERIES_MAX
    assert ground.dead_letters(tenant=tenant) == []
