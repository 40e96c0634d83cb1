"""F-34, F-05, INV-01, INV-03: a database out of a backup, or one whose end is lost, is not taken for all there was."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from piggy.core.answers import Answer
from piggy.core.desk import Desk
from piggy.engine import keeper
from piggy.engine import witness as witnesses
from piggy.engine.standby import Warm
from piggy.engine.status import Status
from piggy.engine.term import Term
from piggy.engine.unkept import Unkept
from piggy.engine.witness import Witness
from piggy.local.services import LocalServices
from piggy.messaging import witness
from piggy.messaging.client import Client
from piggy.messaging.witness import Acceptance
from tests.engine.conftest import buy, envelope, running, until
from tests.engine.ground import Ground
from tests.engine.test_engine import open_desk

TABLES = ("event_log", "engine_snapshot", "log_checkpoint")


class Restored:
    """A tenant's tables, put back to what they were."""

    def __init__(self, ground: Ground, tenant: str, shard: str) -> None:
        self.ground, self.tenant, self.config = ground, tenant, ground.config(shard=shard)
        self.client = Client(redis_url=ground.services.redis_url)
        self.copies: dict[str, list[Any]] = {}

    def everything(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.ground.services.postgres.url(role="postgres"), autocommit=True)

    def back_up(self) -> None:
        with self.everything() as database:
            for table in TABLES:
                database.execute(f"CREATE TABLE {self.tenant}.{table}_copy AS TABLE {self.tenant}.{table}")

    def restore(self, *tables: str) -> None:
        self.ground.tamper(tenant=self.tenant, statement="SELECT")
        with self.everything() as database:
            for table in tables:
                database.execute(f"DELETE FROM {self.tenant}.{table}")
                database.execute(f"INSERT INTO {self.tenant}.{table} TABLE {self.tenant}.{table}_copy")

    def end(self) -> int:
        return int(self.ground.log_rows(tenant=self.tenant)[-1][0])

    async def buy(self, wait_s: float = 5) -> Answer | None:
        ask = self.client.ask
        return await asyncio.to_thread(ask, tenant=self.tenant, envelope=envelope(buy()), wait_s=wait_s)

    async def bought(self, count: int) -> list[str]:
        answers = [await self.buy() for _ in range(count)]
        return [answer.order.order_id for answer in answers if answer is not None and answer.order is not None]

    async def witnessed(self) -> None:
        """Return when the file says what is committed."""
        end = self.end()
        await until(lambda: (seen := witness.seen(home=self.config.home, tenant=self.tenant)) and seen.seq >= end)

    async def keep(self, connection: Any) -> None:
        key = self.config.context_key
        await keeper.keep(connection=connection, context_key=key, tenant=self.tenant, home=self.config.home)


@pytest.fixture
def broker(ground: Ground, tenant: str, shard: str, monkeypatch: pytest.MonkeyPatch) -> Restored:
    monkeypatch.setattr(witnesses, "WRITE_S", 0.05)
    return Restored(ground, tenant, shard)


async def halted(broker: Restored, term: Term) -> str:
    """Return why the broker is halted; nothing is decided for it meanwhile."""
    end = broker.end()
    assert await broker.buy(wait_s=0.3) is None
    assert broker.end() == end
    return term.status.halted[broker.tenant]


async def test_f_34_an_older_copy_of_the_log_is_refused_until_a_person_accepts_it_and_then_numbers_nothing_twice(
    broker: Restored, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(broker.config) as term:
        await open_desk(broker.client, broker.tenant)
        first = await broker.bought(2)
        broker.back_up()
        kept = broker.end()
        lost = await broker.bought(3)
        await broker.witnessed()
        assert term.status.halted == {}
    seen = witness.seen(home=broker.config.home, tenant=broker.tenant)
    assert seen is not None and (seen.seq, seen.orders) == (broker.end(), 5)
    broker.restore("event_log", "log_checkpoint", "engine_snapshot")
    with caplog.at_level(logging.CRITICAL):
        async with running(broker.config) as term:
            told = await halted(broker, term)
            assert f"ends at event {kept}" in told and f"event {seen.seq}" in told
            assert [each.message for each in caplog.records] == ["tenant halted"], "said once, aloud"
            assert witness.seen(home=broker.config.home, tenant=broker.tenant) == seen, "nobody forgets meanwhile"
            accept(broker, kept=kept, lost=seen)
            await until(lambda: broker.tenant in term.loop.desks if term.loop else False)
            again = await broker.bought(1)
            assert term.status.halted == {}
            await broker.witnessed()
    assert int(again[0][1:]) > 100_000 and not {*again} & {*first, *lost}
    assert broker.ground.log_rows(tenant=broker.tenant)[kept][3] == "NumbersSkipped"
    async with running(broker.config) as term:
        assert int((await broker.bought(1))[0][1:]) == int(again[0][1:]) + 1
    types = [row[3] for row in broker.ground.log_rows(tenant=broker.tenant)]
    assert types.count("NumbersSkipped") == 1


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.005, 1.0), (0.125, 2.5), (0.25, 3.0)])
async def test_f_34_the_witness_of_many_brokers_leaves_the_disk_to_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took_s: float, pause_s: float
) -> None:
    """Fifty files a second are a fifth of what a disk can do, and every order waits for it."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise asyncio.CancelledError

    mine = Witness(home=tmp_path)
    times_s = iter([8.0, 8.0 + took_s])
    monkeypatch.setattr(witnesses, "time", SimpleNamespace(monotonic=lambda: next(times_s)))
    monkeypatch.setattr(mine, "write", lambda: None)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await mine.keep(committed={}, desks={})
    assert pauses == [1.0, pytest.approx(pause_s)]


async def test_f_34_who_ends_cleanly_leaves_a_witness_of_its_last_second_too(
    broker: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnesses, "WRITE_S", 3_600)
    async with running(broker.config) as term:
        await open_desk(broker.client, broker.tenant)
        await broker.bought(1)
        await term.drain()
        seen = witness.seen(home=broker.config.home, tenant=broker.tenant)
    assert seen is not None and (seen.seq, seen.orders) == (broker.end(), 1)


def test_f_34_of_all_brokers_the_folder_waits_for_the_disk_once_and_what_it_did_not_take_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    put, settle, full = witness.put, witness.settle, [OSError("no space left on device")]

    def puts(**asked: Any) -> None:
        put(**asked)
        done.append(asked["said"].tenant)

    def settles(**asked: Any) -> None:
        done.append("disk")
        if full:
            raise full.pop()
        settle(**asked)

    monkeypatch.setattr(witness, "put", puts)
    monkeypatch.setattr(witness, "settle", settles)
    unkept = Unkept()
    mine = Witness(home=tmp_path, unkept=unkept)
    for name in ("elm", "fir", "oak"):
        mine.saw(tenant=name, seq=7, digest=b"x", desk=Desk(tenant=name))
    mine.write()
    assert unkept.names() == ["elm/witness", "fir/witness", "oak/witness"]
    assert "no space left on device" in unkept.of(tenant="fir")["witness"]
    mine.write()
    assert unkept.names() == [] and unkept.of(tenant="fir") == {}
    mine.write()
    assert done == ["elm", "fir", "oak", "disk"] * 2, "nothing is written that is there"
    mine.saw(tenant="fir", seq=8, digest=b"y", desk=Desk(tenant="fir"))
    mine.write()
    assert done[8:] == ["fir", "disk"]
    found = [witness.seen(home=tmp_path, tenant=name) for name in ("elm", "fir", "oak")]
    assert [each and each.seq for each in found] == [7, 8, 7]


@pytest.mark.parametrize(("there_seq", "is_given_up", "kept_seq"), [(9, False, 9), (6, False, 7), (9, True, 7)])
def test_f_34_what_another_engine_of_the_same_folder_saw_since_stays_unless_it_was_given_up(
    tmp_path: Path, there_seq: int, is_given_up: bool, kept_seq: int
) -> None:
    there = witness.Seen(tenant="elm", seq=there_seq, hash=b"z", orders=3, hedges=0, seen_at_us=1)
    witness.tell(home=tmp_path, said=there)
    mine = Witness(home=tmp_path)
    mine._given_up |= {"elm": there} if is_given_up else {}
    mine.saw(tenant="elm", seq=7, digest=b"x", desk=Desk(tenant="elm"))
    mine.write()
    found = witness.seen(home=tmp_path, tenant="elm")
    assert found is not None and found.seq == kept_seq


def test_f_34_another_event_under_the_same_number_is_another_log(tmp_path: Path) -> None:
    mine, desk = Witness(home=tmp_path), Desk(tenant="elm")
    for digest in (b"x", b"y"):
        mine.saw(tenant="elm", seq=7, digest=digest, desk=desk)
        mine.write()
    found = witness.seen(home=tmp_path, tenant="elm")
    assert found is not None and found.hash == b"y"


def accept(broker: Restored, *, kept: int, lost: witness.Seen, home: Path | None = None) -> None:
    with broker.everything() as database:
        row = database.execute(f"SELECT hash FROM {broker.tenant}.event_log WHERE seq = {kept}").fetchone()
    assert row is not None
    said = Acceptance(
        tenant=broker.tenant, log_seq=kept, log_hash=row[0], lost_seq=lost.seq, lost_hash=lost.hash, by="ann",
        reason="the disk died",
    )  # fmt: skip
    witness.tell(home=home or broker.config.home, said=said)


async def test_another_end_of_the_log_than_the_acknowledged_one_is_refused_though_it_is_longer(
    broker: Restored,
) -> None:
    async with running(broker.config):
        await open_desk(broker.client, broker.tenant)
        broker.back_up()
        await broker.bought(1)
        await broker.witnessed()
    broker.restore("event_log")
    path = witness.path_of(home=broker.config.home, tenant=broker.tenant)
    said = path.read_bytes()
    path.unlink()
    async with running(broker.config):
        await broker.bought(3)
    path.write_bytes(said)
    async with running(broker.config) as term:
        assert "was acknowledged" in await halted(broker, term)


@pytest.mark.parametrize("table", ["log_checkpoint", "engine_snapshot"])
async def test_a_head_or_a_snapshot_of_more_than_the_log_has_is_noticed_without_a_witness(
    broker: Restored, connect: Any, table: str
) -> None:
    async with running(broker.config):
        await open_desk(broker.client, broker.tenant)
        broker.back_up()
        kept = broker.end()
        await broker.bought(1)
    signed = broker.end()
    await broker.keep(await connect())
    broker.restore(*(name for name in TABLES if name != table))
    # An engine that ran for less than a second may have written none.
    witness.path_of(home=broker.config.home, tenant=broker.tenant).unlink(missing_ok=True)
    async with running(broker.config) as term:
        told = await halted(broker, term)
        assert f"ends at event {kept}" in told and f"is of {signed}" in told


async def test_a_database_put_back_beneath_a_running_engine_is_noticed_though_no_file_was_written(
    broker: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-04: as after a failover to a replica that had not heard everything."""
    async with running(broker.config) as term:
        await open_desk(broker.client, broker.tenant)
        broker.back_up()
        await broker.bought(1)
        await broker.witnessed()
        witness.path_of(home=broker.config.home, tenant=broker.tenant).unlink()
        broker.restore("event_log")
        with broker.everything() as database:
            database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'piggy_app'")
        await until(lambda: broker.tenant in term.status.halted)


async def test_f_34_a_standby_that_followed_a_log_whose_end_is_gone_does_not_go_on_with_a_gap(
    broker: Restored, connect: Any, tmp_path: Path
) -> None:
    """Beneath a warm desk, without a connection lost; neither had the one that dies the same folder."""
    link, status = await connect(), Status()
    warm = Warm(config=broker.config, status=status, witness=Witness(home=tmp_path))
    async with running(broker.config):
        await open_desk(broker.client, broker.tenant)
        broker.back_up()
        await broker.bought(1)
        end = broker.end()
        await warm.follow(connection=link)
    assert warm.desks.keys() == {broker.tenant} and not status.halted
    broker.restore("event_log")
    kept = broker.end()
    assert await warm.take(connection=link, tenant=broker.tenant) is None
    assert f"ends at event {kept}, but event {end}" in status.halted[broker.tenant]
    # Whoever accepts it goes on from the log as it is, and not from the desk that knew more.
    accept(broker, kept=kept, lost=warm._witness._seen[broker.tenant], home=tmp_path)
    found = await warm.take(connection=link, tenant=broker.tenant)
    assert found is not None and found[1].seq == kept and broker.tenant in warm.accepted


async def test_a_desk_that_knew_more_than_an_accepted_log_is_made_anew(
    broker: Restored, connect: Any, tmp_path: Path
) -> None:
    link = await connect()
    warm = Warm(config=broker.config, status=Status(), witness=Witness(home=tmp_path))
    async with running(broker.config):
        await open_desk(broker.client, broker.tenant)
        broker.back_up()
        await broker.bought(1)
        await warm.follow(connection=link)
    broker.restore("event_log")
    accept(broker, kept=broker.end(), lost=warm._witness._seen[broker.tenant], home=tmp_path)
    found = await warm.take(connection=link, tenant=broker.tenant)
    assert found is not None and (found[1].seq, found[0].state.order_count) == (broker.end(), 0)


async def test_a_witness_that_cannot_be_read_halts_its_broker_only(broker: Restored, shard: str) -> None:
    """And only until somebody has seen to it."""
    other = broker.ground.add_tenant(shard=shard)
    async with running(broker.config):
        await open_desk(broker.client, broker.tenant)
        await open_desk(broker.client, other)
        await broker.witnessed()
    path = witness.path_of(home=broker.config.home, tenant=broker.tenant)
    said = path.read_bytes()
    for harm in (lambda: path.write_bytes(said[:20]), lambda: (path.unlink(), path.mkdir())):
        harm()
        async with running(broker.config) as term:
            assert str(path) in await halted(broker, term)
            assert set(term.loop.desks if term.loop else ()) == {other}
            path.rmdir() if path.is_dir() else path.unlink()
            path.write_bytes(said)
            await until(lambda term=term: broker.tenant in term.loop.desks if term.loop else False)
            assert term.status.halted == {}


async def test_f_05_a_postgresql_whose_last_writes_never_reached_the_disk_is_not_taken_for_all_there_was(
    tmp_path: Path, shard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-22: a disk that says synced and is not: PostgreSQL ends its recovery where its log is torn, without a word."""
    monkeypatch.setattr(witnesses, "WRITE_S", 0.05)
    with LocalServices(tmp_path, fast=True) as services:
        ground = Ground(services=services)
        ground.prepare()
        broker = Restored(ground, ground.add_tenant(shard=shard), shard)
        async with running(broker.config):
            await open_desk(broker.client, broker.tenant)
            torn, place = wal_end(broker)
            kept = broker.end()
            await broker.bought(3)
            await broker.witnessed()
        acknowledged = broker.end()
        assert services.postgres.child is not None
        services.postgres.child.kill()
        services.postgres.child.wait()
        with (services.postgres.data / "pg_wal" / torn).open("r+b") as segment:
            segment.seek(place)
            segment.write(bytes(1 << 20))
        assert services.revive() == ["postgres"]
        assert broker.end() == kept
        async with running(broker.config) as term:
            told = await halted(broker, term)
        assert f"ends at event {kept}" in told and f"event {acknowledged}" in told


def wal_end(broker: Restored) -> tuple[str, int]:
    """Write everything else out, and return in which file, and where there, the next write begins."""
    with broker.everything() as database:
        database.execute("CHECKPOINT")
        found = database.execute("SELECT * FROM pg_walfile_name_offset(pg_current_wal_insert_lsn())").fetchone()
    assert found is not None
    return str(found[0]), int(found[1])
