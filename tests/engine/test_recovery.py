"""Recovery out of snapshots: the newest that holds good, a bad one passed over, and the same desk as from zero."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from piggy.engine import fold_version, keeper, recovery, snapshot, snapshot_store
from piggy.engine.clock import Clock
from piggy.engine.journal import Journal, Tip
from piggy.engine.lease import Lease
from piggy.engine.status import Status
from piggy.engine.term import STANDBY_S, Term, serve
from piggy.messaging import tree_heads
from piggy.messaging.client import Client
from piggy.messaging.identity import command_id_of
from piggy.messaging.merkle import root_of
from tests.engine.conftest import buy, envelope, running
from tests.engine.ground import Ground
from tests.engine.test_engine import open_desk
from tests.engine.test_snapshot import busy_floor


class Ledger:
    """A tenant's log that is written bit by bit, and kept in between."""

    def __init__(self, ground: Ground, tenant: str, journal: Journal, reader: Any, home: Path) -> None:
        self.ground, self.tenant, self.journal, self.reader, self.home = ground, tenant, journal, reader, home
        self.log = [_with_uuid(recorded) for recorded in busy_floor(seed=21).log]
        self.journal.tips[tenant] = Tip()

    @property
    def place(self) -> dict[str, Any]:
        return {"connection": self.reader, "context_key": self.ground.context_key, "tenant": self.tenant}

    async def write(self, *, until: int) -> None:
        part = self.log[self.journal.tips[self.tenant].seq : until]
        rows = [self.journal.chain(tenant=self.tenant, recorded=each) for each in part]
        await self.journal.append(rows={self.tenant: rows})

    async def keep(self) -> keeper.Kept:
        return await keeper.keep(**self.place, home=self.home)

    async def digests(self) -> tuple[str, str]:
        desk, tip = await recovery.recover(**self.place)
        again, end = await recovery.recover(**self.place, use_snapshots=False)
        assert tip == end
        return snapshot.digest(state=desk.state), snapshot.digest(state=again.state)

    async def found_at(self) -> int:
        found = await snapshot_store.newest(**self.place)
        return found.tip.seq if found else 0

    def change(self, statement: str) -> None:
        with psycopg.connect(self.ground.services.postgres.url(role="postgres"), autocommit=True) as everything:
            everything.execute(sql.SQL(statement).format(schema=sql.Identifier(self.tenant)))  # type: ignore[arg-type]


def _with_uuid(recorded: Any) -> Any:
    return msgspec.structs.replace(recorded, command_id=command_id_of(recorded.command_id))


@pytest.fixture
async def ledger(ground: Ground, connect: Any, shard: str, tenant: str, tmp_path: Path) -> Ledger:
    lease = Lease(connection=await connect(), shard=shard, holder="here", life_s=60)
    token = await lease.acquire()
    journal = Journal(connection=await connect(), context_key=ground.context_key, shard=shard, token=token)
    return Ledger(ground, tenant, journal, await connect(), tmp_path)


async def test_inv_08_a_desk_out_of_the_table_is_the_desk_out_of_the_whole_log(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "FINAL_KEPT", 3)
    for until in (60, 130, 200, 230):
        await ledger.write(until=until)
        await ledger.keep()
    await ledger.write(until=len(ledger.log))
    assert await ledger.found_at() == 230
    with_snapshot, from_zero = await ledger.digests()
    assert with_snapshot == from_zero


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE {schema}.log_checkpoint SET frontier = sha256(frontier)",
        "UPDATE {schema}.log_checkpoint SET frontier = ''",
        "UPDATE {schema}.log_checkpoint SET frontier = sha256('x'), root = sha256('x')",
        "UPDATE {schema}.log_checkpoint SET seq = 1024, frontier = sha256('x'), root = sha256('x')",
    ],
)
async def test_a_head_that_was_written_over_is_not_grown_into_one_that_we_sign(ledger: Ledger, harm: str) -> None:
    """Its frontier is under no signature of its own; all that follows it would be of no log."""
    await ledger.write(until=64)
    await ledger.keep()
    ledger.change(harm)
    await ledger.write(until=100)
    await ledger.keep()
    with psycopg.connect(ledger.ground.services.postgres.url(role="postgres")) as everything:
        name = sql.Identifier(ledger.tenant)
        rows = everything.execute(sql.SQL("SELECT hash FROM {}.event_log ORDER BY seq").format(name)).fetchall()
        root = everything.execute(sql.SQL("SELECT root FROM {}.log_checkpoint WHERE seq = 100").format(name)).fetchone()
    assert root is not None and root[0] == root_of(entries=[row[0] for row in rows])


async def test_f_27_snapshots_of_two_programs_stand_side_by_side_while_one_follows_the_other(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither reads the other's, and neither takes it away before a day is over: a deploy may be taken back."""
    monkeypatch.setattr(snapshot, "FINAL_KEPT", 3)
    for until in (60, 100):
        await ledger.write(until=until)
        await ledger.keep()
    with monkeypatch.context() as changed:
        for module in (snapshot_store, fold_version):
            changed.setattr(module, "fold_version", lambda: "changed")
        assert await ledger.found_at() == 0
        for until in (150, 200, 230):
            await ledger.write(until=until)
            await ledger.keep()
        assert await ledger.found_at() == 230
    assert await ledger.found_at() == 100, "whoever takes the deploy back need not begin at the first event"
    with_snapshot, from_zero = await ledger.digests()
    assert with_snapshot == from_zero
    ledger.change(
        "UPDATE {schema}.engine_snapshot SET created_at = created_at - interval '25 h' WHERE fold = 'changed'"
    )
    await ledger.keep()
    with monkeypatch.context() as changed:
        for module in (snapshot_store, fold_version):
            changed.setattr(module, "fold_version", lambda: "changed")
        assert await ledger.found_at() == 0


@pytest.mark.parametrize("name", ["piggy.core.folding", "piggy.core.leaving", "piggy.messaging.upcasting"])
def test_f_27_what_reads_an_event_differently_makes_another_fold(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of upcasting that is mended would else count only for what no snapshot holds yet."""
    source, today = fold_version._source, fold_version.fold_version()
    mended = tmp_path / "mended.py"
    mended.write_bytes(source(name).read_bytes() + b"\n# mended\n")
    monkeypatch.setattr(fold_version, "_source", lambda each: mended if each == name else source(each))
    assert fold_version.fold_version.__wrapped__() != today
    assert fold_version.fold_version() == today


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE {schema}.engine_snapshot SET body = set_byte(body, 100, 7) WHERE part = 0 AND seq = 150",
        "UPDATE {schema}.engine_snapshot SET body = set_byte(body, 100, 7) WHERE part > 0 AND seq = 150",
        "DELETE FROM {schema}.engine_snapshot WHERE part > 0 AND seq = 150",
        "UPDATE {schema}.engine_snapshot SET mac = (SELECT mac FROM {schema}.engine_snapshot WHERE part = 0 "
        "AND seq = 100) WHERE part = 0 AND seq = 150",
    ],
)
async def test_a_harmed_snapshot_is_passed_over_for_the_one_before_it(
    ledger: Ledger, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "FINAL_KEPT", 0)
    for until in (100, 150):
        await ledger.write(until=until)
        await ledger.keep()
    assert await ledger.found_at() == 150
    ledger.change(harm)
    assert await ledger.found_at() == 100
    with_snapshot, from_zero = await ledger.digests()
    assert with_snapshot == from_zero


async def test_a_snapshot_of_another_history_is_not_used(ledger: Ledger) -> None:
    await ledger.write(until=100)
    await ledger.keep()
    ledger.ground.tamper(
        tenant=ledger.tenant,
        statement=f"UPDATE {ledger.tenant}.event_log SET hash = set_byte(hash, 0, 1) WHERE seq = 100",
    )
    assert await ledger.found_at() == 0
    with pytest.raises(recovery.UnableToRead):
        await recovery.recover(**ledger.place)


async def test_inv_09_of_events_that_are_not_there_no_head_is_signed(ledger: Ledger) -> None:
    await ledger.write(until=10)
    with pytest.raises(recovery.UnableToRead, match="events after 0 are missing"):
        await keeper.sign_head(**ledger.place, home=ledger.home, tip=Tip(11, bytes(32)))


async def test_every_round_signs_a_head_that_covers_the_log(ledger: Ledger) -> None:
    for until in (37, 100):
        await ledger.write(until=until)
        await ledger.keep()
    key = tree_heads.signing_key(home=ledger.home)
    assert (ledger.home / tree_heads.KEY_FILE).stat().st_mode & 0o777 == 0o600
    with psycopg.connect(ledger.ground.services.postgres.url(role="postgres")) as everything:
        heads = everything.execute(
            f"SELECT seq, root, (extract(epoch from signed_at) * 1000000)::bigint, key_id, signature"
            f" FROM {ledger.tenant}.log_checkpoint ORDER BY seq"
        ).fetchall()
        hashes = [
            bytes(row[0])
            for row in everything.execute(f"SELECT hash FROM {ledger.tenant}.event_log ORDER BY seq").fetchall()
        ]
    assert [head[0] for head in heads] == [37, 100]
    for seq, root, signed_at_us, key_id, signature in heads:
        assert bytes(root) == root_of(entries=hashes[:seq])
        head = tree_heads.Head(
            tenant=ledger.tenant, seq=seq, root=bytes(root), signed_at_us=signed_at_us, key_id=key_id,
            signature=bytes(signature),
        )  # fmt: skip
        assert tree_heads.is_signed(head=head, trusted=tree_heads.public_key(key=key))
        forged = tree_heads.Head(
            tenant="other", seq=seq, root=bytes(root), signed_at_us=signed_at_us, key_id=key_id,
            signature=bytes(signature),
        )  # fmt: skip
        assert not tree_heads.is_signed(head=forged, trusted=tree_heads.public_key(key=key))


async def test_an_engine_has_its_log_kept_when_it_has_grown_enough(
    ground: Ground, shard: str, tenant: str, tmp_path: Path
) -> None:
    client = Client(redis_url=ground.services.redis_url)
    config = replace(ground.config(shard=shard), snapshot_events=5, home=tmp_path)
    key = tmp_path / tree_heads.KEY_FILE
    reader = await psycopg.AsyncConnection.connect(ground.services.database_url, autocommit=True)
    async with running(config):
        await open_desk(client, tenant)
        place = {"connection": reader, "context_key": ground.context_key, "tenant": tenant}
        async with asyncio.timeout(30):
            # The head is signed after the snapshot is written, and neither is once the engine has ended.
            while (found := await snapshot_store.newest(**place)) is None or not key.exists():
                await asyncio.sleep(0.2)
    await reader.close()
    assert found.tip.seq >= 5


async def test_who_follows_has_the_first_snapshot_of_its_own_program_made_and_no_other(
    ground: Ground, shard: str, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-27: before a deploy's new engine takes over, or whoever starts after it would read the log from zero."""
    monkeypatch.setattr("piggy.engine.term.PRICES_S_MAX", 0)
    client = Client(redis_url=ground.services.redis_url)
    keeps_none = replace(ground.config(shard=shard), snapshot_events=10**9, home=tmp_path)
    follows = Term(config=replace(keeps_none, snapshot_events=5, holder="next"), clock=Clock(), status=Status())
    reader = await psycopg.AsyncConnection.connect(ground.services.database_url, autocommit=True)
    place = {"connection": reader, "context_key": ground.context_key, "tenant": tenant}
    async with running(keeps_none):
        await open_desk(client, tenant)
        following = asyncio.create_task(serve(term=follows))
        async with asyncio.timeout(30):
            while follows.status.state != "STANDBY":
                await asyncio.sleep(0)
        found = await snapshot_store.newest(**place)
        assert found is not None, "a deploy that waits for /warmz would end an engine too soon"
        assert found.tip.seq >= 5
        assert follows.loop is None
        while not follows._housekeeping._is_free():
            await asyncio.sleep(0.05)
        for _ in range(6):
            await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(buy("0.01")), wait_s=5)
        async with asyncio.timeout(20):
            while follows.status.progress[tenant] <= found.tip.seq + 5:
                await asyncio.sleep(STANDBY_S)
        await asyncio.sleep(2 * STANDBY_S)
        assert follows._housekeeping._process is None, "that is the business of who holds the lease"
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await reader.close()
