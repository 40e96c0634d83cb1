"""The log takes whole batches, from the holder of the lease only, and tells when it was touched."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import OperationalError, errors, sql

from piggy.core.events import AccountCredited, Recorded
from piggy.engine import recovery
from piggy.engine.journal import Journal, Tip, UnableToWrite
from piggy.engine.lease import Lease, UnableToHoldLease, bound_writer
from piggy.messaging import log_pages
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, running
from tests.engine.ground import Ground


def credited(seq: int) -> Recorded:
    event = AccountCredited(
        account_id="anna", amount=Decimal("12.50"), currency="USD", reference=f"row {seq}", kind="deposit"
    )
    return Recorded(
        seq=seq,
        command_id=str(uuid.uuid4()),
        position=0,
        principal="treasury",
        request_hash="",
        occurred_at_us=1_700_000_000_123_456 + seq,
        recorded_at_us=1_700_000_000_654_321 + seq,
        recorded_mono_ns=seq,
        event=event,
    )


# Commands are unique, whoever writes.
TAKEN = """
INSERT INTO {}.event_log VALUES (99, %(command_id)s, 0, 'x', 2, '', '', now(), now(), 0, '', '', '')
"""


async def pen(
    ground: Ground, connect: Any, shard: str, *tenants: str, holder: str = "here", second: Any = None
) -> Journal:
    lease = Lease(connection=await connect(), shard=shard, holder=holder, life_s=60)
    journal = Journal(
        connection=await connect(),
        second=second,
        context_key=ground.context_key,
        shard=shard,
        token=await lease.acquire(),
    )
    journal.tips.update({tenant: Tip() for tenant in tenants})
    return journal


async def read_all(ground: Ground, connect: Any, tenant: str) -> list[Recorded]:
    rows = recovery.read(connection=await connect(), context_key=ground.context_key, tenant=tenant, tip=Tip())
    return [row.recorded async for row in rows]


async def test_a_batch_of_two_tenants_is_read_back_as_it_was_written(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    other = ground.add_tenant(shard=shard)
    journal = await pen(ground, connect, shard, tenant, other)
    written = {name: [credited(seq) for seq in range(1, 301)] for name in (tenant, other)}
    rows = {name: [journal.chain(tenant=name, recorded=each) for each in part] for name, part in written.items()}
    await journal.append(rows=rows)
    for name, part in written.items():
        assert await read_all(ground, connect, name) == part


async def test_inv_27_a_holder_with_an_old_token_writes_nothing(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    old = await pen(ground, connect, shard, tenant)
    new = await pen(ground, connect, shard, tenant)
    with pytest.raises(UnableToWrite, match="old"):
        await old.append(rows={tenant: [old.chain(tenant=tenant, recorded=credited(1))]})
    assert ground.log_rows(tenant=tenant) == []
    await new.append(rows={tenant: [new.chain(tenant=tenant, recorded=credited(1))]})
    assert len(ground.log_rows(tenant=tenant)) == 1


async def test_a_lease_is_refused_until_it_expires_and_then_the_token_grows(connect: Any, shard: str) -> None:
    first = Lease(connection=await connect(), shard=shard, holder="first", life_s=60)
    second = Lease(connection=await connect(), shard=shard, holder="second", life_s=60)
    assert await first.acquire() == 1
    with pytest.raises(UnableToHoldLease):
        await second.acquire()
    await first.release()
    assert await second.acquire() == 2
    with pytest.raises(UnableToHoldLease):
        await first.renew()


async def test_a_successor_does_not_wait_for_a_holder_that_stopped_in_the_midst_of_a_write(
    connect: Any, shard: str
) -> None:
    """F-29: what it had sent of its transaction keeps the lease's row locked, and its sync never comes."""
    writer, life_s = await connect(), 1
    await bound_writer(connection=writer, life_s=life_s)
    first = Lease(connection=await connect(), shard=shard, holder="first", life_s=life_s)
    second = Lease(connection=await connect(), shard=shard, holder="second", life_s=life_s)
    await first.acquire()
    pipeline = writer.pipeline()
    await pipeline.__aenter__()
    locked = await writer.execute("SELECT token FROM public.engine_lease WHERE shard = %s FOR KEY SHARE", (shard,))
    assert await locked.fetchone() == (1,)
    await asyncio.sleep(life_s + 0.1)
    async with asyncio.timeout(20):
        assert await second.acquire() == 2
    with pytest.raises(OperationalError):
        await pipeline.__aexit__(None, None, None)


async def test_f_29_every_write_of_an_engine_ends_with_a_lease_at_the_latest(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, append = list[tuple[int, str]](), Journal.append

    async def look_and_append(self: Journal, *, rows: Any) -> set[str]:
        for hand in () if seen else self._hands:
            found = await hand.context._connection.execute("SELECT current_setting('transaction_timeout', true)")
            ((timeout,),) = await found.fetchall()
            seen.append((hand.context._connection.info.server_version, timeout))
        return await append(self, rows=rows)

    monkeypatch.setattr(Journal, "append", look_and_append)
    config = ground.config(shard=shard)
    async with running(config):
        client = Client(redis_url=ground.services.redis_url)
        assert await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(buy()), wait_s=5) is not None
    assert len(seen) == 2
    assert all(timeout == f"{config.lease_life_s}s" for version, timeout in seen if version >= 170_000)


async def test_nothing_of_a_batch_is_kept_when_one_row_is_refused(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    other = ground.add_tenant(shard=shard)
    journal = await pen(ground, connect, shard, tenant, other)
    good = journal.chain(tenant=tenant, recorded=credited(1))
    bad = journal.chain(tenant=other, recorded=credited(1))
    with pytest.raises(UnableToWrite):
        await journal.append(rows={tenant: [good], other: [bad, bad]})
    assert ground.log_rows(tenant=tenant) == ground.log_rows(tenant=other) == []


@pytest.mark.parametrize(("is_set", "counts"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
async def test_inv_01_what_is_acknowledged_is_on_the_disk_whatever_the_server_is_set_to(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch, is_set: str, counts: str
) -> None:
    """Where the role or the server does not wait for its disk, a power cut would take back what clients were told."""
    config, seen, append = ground.config(shard=shard), set[str](), Journal.append
    config = replace(config, database_url=f"{config.database_url}?options=-csynchronous_commit%3D{is_set}")

    async def look_and_append(self: Journal, *, rows: Any) -> set[str]:
        for hand in () if seen else self._hands:
            found = await (await hand.context._connection.execute("SHOW synchronous_commit")).fetchone()
            seen.add(str(found and found[0]))
        return await append(self, rows=rows)

    monkeypatch.setattr(Journal, "append", look_and_append)
    async with running(config):
        client = Client(redis_url=ground.services.redis_url)
        assert await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(buy()), wait_s=5) is not None
    assert seen == {counts}


@pytest.mark.parametrize("fails", [False, True])
async def test_inv_01_a_batch_written_beside_another_is_kept_only_after_that_one(
    ground: Ground, connect: Any, shard: str, tenant: str, fails: bool
) -> None:
    journal = await pen(ground, connect, shard, tenant, second=await connect())
    first, second = ([journal.chain(tenant=tenant, recorded=credited(seq))] for seq in (1, 2))
    with psycopg.connect(ground.services.postgres.url(role="postgres")) as everything:
        # Somebody else's row under the first one's command, neither kept nor gone, makes the first one wait.
        everything.execute(TAKEN.format(tenant), {"command_id": first[0].recorded.command_id})
        running = [asyncio.create_task(journal.append(rows={tenant: rows})) for rows in (first, second)]
        await asyncio.wait(running, timeout=0.3)
        assert not any(each.done() for each in running)
        assert ground.log_rows(tenant=tenant) == [], "the second is written, and waits"
        everything.execute(sql.SQL("COMMIT" if fails else "ROLLBACK"))
        outcomes = await asyncio.gather(*running, return_exceptions=True)
    if fails:
        assert [type(outcome) for outcome in outcomes] == [UnableToWrite, UnableToWrite]
        assert [row[0] for row in ground.log_rows(tenant=tenant)] == [99]
    else:
        assert outcomes == [set(), set()]
        assert [row[0] for row in ground.log_rows(tenant=tenant)] == [1, 2]


async def test_inv_01_what_follows_a_batch_that_failed_is_not_written(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    """Also where that is known already: its rows would stand behind a gap."""
    journal = await pen(ground, connect, shard, tenant, second=await connect())
    first, second = (journal.chain(tenant=tenant, recorded=credited(seq)) for seq in (1, 2))
    with pytest.raises(UnableToWrite, match="unique"):
        await journal.append(rows={tenant: [first, first]})
    with pytest.raises(UnableToWrite, match="The batch before was not written"):
        await journal.append(rows={tenant: [second]})
    assert ground.log_rows(tenant=tenant) == []
    assert journal.committed == {}


async def test_inv_27_of_a_tenant_that_was_moved_nothing_is_said_to_be_committed(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    """The witness would tell the next engine that events are missing which never were."""
    other = ground.add_tenant(shard=shard)
    journal = await pen(ground, connect, shard, tenant, other)
    rows = {name: [journal.chain(tenant=name, recorded=credited(1))] for name in (tenant, other)}
    with ground.as_owner() as owner:
        owner.execute("UPDATE tenants_tenant SET shard = 'elsewhere' WHERE schema_name = %s", (tenant,))
    assert await journal.append(rows=rows) == {tenant}
    assert journal.committed == {other: (1, rows[other][0].hash)}
    assert ground.log_rows(tenant=tenant) == []


async def test_inv_02_a_command_is_in_the_log_once(ground: Ground, connect: Any, shard: str, tenant: str) -> None:
    journal = await pen(ground, connect, shard, tenant)
    rows = [journal.chain(tenant=tenant, recorded=credited(seq)) for seq in (1, 2)]
    again = msgspec.structs.replace(rows[1].recorded, command_id=rows[0].recorded.command_id)
    with pytest.raises(UnableToWrite, match="unique"):
        await journal.append(rows={tenant: [rows[0], msgspec.structs.replace(rows[1], recorded=again)]})
    assert ground.log_rows(tenant=tenant) == []


async def test_the_database_refuses_to_change_history(ground: Ground, connect: Any, shard: str, tenant: str) -> None:
    journal = await pen(ground, connect, shard, tenant)
    await journal.append(rows={tenant: [journal.chain(tenant=tenant, recorded=credited(1))]})
    connection = await connect()
    for statement in ("UPDATE {}.event_log SET type = 'x'", "DELETE FROM {}.event_log", "TRUNCATE {}.event_log"):
        with pytest.raises(errors.InsufficientPrivilege):
            await connection.execute(statement.format(tenant))


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM {}.event_log WHERE seq = 5",
        "UPDATE {}.event_log SET payload = payload || '\\x00' WHERE seq = 5",
        "UPDATE {}.event_log SET principal = 'mallory' WHERE seq = 5",
        "UPDATE {}.event_log SET recorded_at = recorded_at + interval '1 microsecond' WHERE seq = 5",
        "UPDATE {0}.event_log SET payload = (SELECT payload FROM {0}.event_log WHERE seq = 6) WHERE seq = 5",
    ],
)
async def test_inv_09_a_reader_stops_at_the_first_row_that_was_touched(
    ground: Ground, connect: Any, shard: str, tenant: str, change: str
) -> None:
    journal = await pen(ground, connect, shard, tenant)
    await journal.append(rows={tenant: [journal.chain(tenant=tenant, recorded=credited(seq)) for seq in range(1, 11)]})
    ground.tamper(tenant=tenant, statement=change.format(tenant))
    with pytest.raises(recovery.UnableToRead) as caught:
        await read_all(ground, connect, tenant)
    assert caught.value.seq == 5


async def test_inv_09_a_reader_stops_at_a_last_row_that_is_too_short_to_be_one(
    ground: Ground, connect: Any, shard: str, tenant: str
) -> None:
    journal = await pen(ground, connect, shard, tenant)
    await journal.append(rows={tenant: [journal.chain(tenant=tenant, recorded=credited(seq)) for seq in range(1, 11)]})
    emptied = "UPDATE {}.event_log SET hash = '', prev_hash = '', payload = '', principal = '' WHERE seq = 10"
    ground.tamper(tenant=tenant, statement=emptied.format(tenant))
    with pytest.raises(recovery.UnableToRead, match="event 10 is cut short"):
        await read_all(ground, connect, tenant)


@pytest.mark.parametrize("until", [1, 3, 4, 7, 8, 9, 19, 20, 2**63 - 1])
async def test_a_log_is_read_whole_whatever_it_is_cut_into(
    ground: Ground, connect: Any, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch, until: int
) -> None:
    journal = await pen(ground, connect, shard, tenant)
    rows = [journal.chain(tenant=tenant, recorded=credited(seq)) for seq in range(1, 21)]
    await journal.append(rows={tenant: rows})
    _cut_small(monkeypatch)
    assert await _read_to(ground, connect, tenant, until) == min(20, until)


@pytest.mark.parametrize(("first", "last"), [(1, 1), (2, 2), (4, 6), (4, 7), (7, 7), (8, 8), (9, 11), (2, 13), (1, 19)])
async def test_inv_09_a_gap_is_not_the_end_of_a_log_wherever_the_log_is_cut(
    ground: Ground, connect: Any, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch, first: int, last: int
) -> None:
    journal = await pen(ground, connect, shard, tenant)
    rows = [journal.chain(tenant=tenant, recorded=credited(seq)) for seq in range(1, 21)]
    await journal.append(rows={tenant: rows})
    ground.tamper(tenant=tenant, statement=f"DELETE FROM {tenant}.event_log WHERE seq BETWEEN {first} AND {last}")
    _cut_small(monkeypatch)
    with pytest.raises(recovery.UnableToRead, match=f"event {first} is missing, the log goes on at {last + 1}"):
        await _read_to(ground, connect, tenant, 2**63 - 1)


def _cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages of seven rows, in sheets of three."""
    assert log_pages.SHEETS.count(str(log_pages.SHEET_ROWS)) == 2
    monkeypatch.setattr(log_pages, "SHEETS", log_pages.SHEETS.replace(str(log_pages.SHEET_ROWS), "3"))
    monkeypatch.setattr(recovery, "PAGE_ROWS", 7)


@pytest.mark.parametrize("written", [15, 17, 28])
async def test_inv_09_what_is_written_between_two_pages_is_no_gap(
    ground: Ground, connect: Any, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """A page that ended where the log did is followed by what came after it, not by the page behind it."""
    journal, connection = await pen(ground, connect, shard, tenant), await connect()

    async def write(first: int, last: int) -> None:
        rows = [journal.chain(tenant=tenant, recorded=credited(seq)) for seq in range(first, last + 1)]
        await journal.append(rows={tenant: rows})

    async def grown(query: Any, asked: Any = None, **more: Any) -> Any:
        if isinstance(asked, dict) and asked["after"] == 14:
            await write(11, written)
        return await execute(query, asked, **more)

    await write(1, 10)
    _cut_small(monkeypatch)
    execute = connection.execute
    monkeypatch.setattr(connection, "execute", grown)
    assert await _read_to(ground, connect, tenant, 2**63 - 1, connection=connection) == written


async def _read_to(ground: Ground, connect: Any, tenant: str, until: int, connection: Any = None) -> int:
    tip, connection = Tip(), connection or await connect()
    found = recovery.pages(connection=connection, context_key=ground.context_key, tenant=tenant, tip=tip, until=until)
    async for page in found:
        for _ in log_pages.rows(tenant=tenant, page=page, tip=tip):
            pass
    return tip.seq
