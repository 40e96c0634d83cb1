"""A broker is renamed, or leaves for good: what must be kept is kept, nothing else of it stays (T-22)."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.conf import settings

from apps.audit import selectors as audit
from apps.dealing.services import removing
from apps.tenants import selectors
from apps.tenants.backend import setup
from apps.tenants.backend.shards import NOBODYS
from apps.tenants.services import in_tenant
from apps.trading.models import ChildOrder
from piggy import projector
from piggy.messaging import streams, witness
from piggy.messaging.witness import Seen
from tests.apps import records
from tests.apps.operating import manage

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = "select count(*) from pg_namespace where nspname = 'elm'"
ROWS = "select count(*) from public.tenants_tenant where schema_name = 'elm'"
DOMAINS = "select domain from public.tenants_domain order by domain"
# One server has the databases of all test workers.
HERE = "database = (select oid from pg_database where datname = current_database())"
TURNS = f"select count(*) from pg_locks where locktype = 'advisory' and granted and objid = %s and {HERE}"
DROPS = f"select count(*) from pg_locks where locktype = 'relation' and not granted and {HERE}"
POSITION = """
insert into elm.trading_position select (jsonb_populate_record(null::elm.trading_position, %s::jsonb)).*
"""
LONG = dict.fromkeys(("cost", "a_lots", "cross_lots", "b_lots", "realised", "margin", "last_seq"), 0) | {
    "position_id": "A1:EURUSD", "account_id": "A1", "symbol": "EURUSD", "quantity": 1,
    "opened_at": "2030-01-01T00:00:00Z", "updated_at": "2030-01-01T00:00:00Z",
}  # fmt: skip


@pytest.fixture
def elm(acorn: Any, owner_sql: Callable[..., list[Any]]) -> Iterator[redis.Redis]:
    """A third broker with a log of three events, a key, a file, and a witness; its Redis."""
    made = manage("tenant", "create", "elm", "--name", "Elm", "--domain", "elm.localhost")
    assert made.returncode == 0, made.stderr
    selectors.forget_hosts()
    with in_tenant("elm"):
        records.write(records.credited("1000"), records.credited("2000"), records.accepted())
    wire = redis.Redis.from_url(settings.REDIS_URL)
    for tenant in ("elm", "acorn"):
        wire.xadd(streams.commands_key(tenant=tenant), {"e": "x"})
        wire.set(f":cache:{{{tenant}}}:1:throttle", "1")
    home = Path(settings.PIGGY_HOME)
    witness.tell(home=home, said=Seen(tenant="elm", seq=3, hash=b"x", orders=1, hedges=0, seen_at_us=1))
    for path in (Path(settings.MEDIA_ROOT) / "elm" / "kyc" / "a", home / "fix" / "elm" / "LP1" / "store"):
        path.parent.mkdir(parents=True)
        path.write_text("a passport")
    yield wire
    wire.delete(streams.commands_key(tenant="acorn"), ":cache:{acorn}:1:throttle")
    wire.close()
    owner_sql("drop schema if exists elm cascade")
    owner_sql("delete from public.tenants_domain where domain = 'elm.localhost'")
    owner_sql("delete from public.tenants_tenant where schema_name = 'elm'")
    owner_sql("delete from guard.removed_broker where schema_name = 'elm'")
    selectors.forget_hosts()


def test_t_22_of_a_broker_that_is_removed_only_its_records_stay(
    elm: redis.Redis, owner_sql: Callable[..., list[Any]], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    remove = ("remove", "elm", "--by", "ann", "--reason", "left us", "--folder", str(kept), "--at-once")

    def is_refused_for(why: str) -> bool:
        refused = manage(*remove)
        return (refused.returncode, kept.exists(), why in refused.stderr) == (1, False, True)

    assert is_refused_for("suspend it first")
    owner_sql("update public.tenants_tenant set suspended_at = now() where schema_name = 'elm'")
    assert is_refused_for("elm has 3 events that its tables do not show yet"), "or it may hold what nobody sees"
    assert projector.catch_up(tenant="elm") == 3
    assert is_refused_for("elm has orders that work"), "they may still be filled"
    for table in ("order", "position"):
        owner_sql(f"alter table elm.trading_{table} no force row level security")
    owner_sql("update elm.trading_order set state = 'cancelled'")
    owner_sql(POSITION, [json.dumps(LONG)])
    assert is_refused_for("elm has positions")
    owner_sql("update elm.trading_position set quantity = 0")
    with in_tenant("elm"):
        terms = {"symbol": "EURUSD", "side": "buy", "quantity": 1, "limit_price": 1, "time_in_force": "ioc"}
        told = {"last_seq": 3, "created_at": records.AT, "updated_at": records.AT}
        leg = ChildOrder.objects.create(order_id="H1", venue="LP1", attempt=1, state="in_doubt", **terms, **told)
        assert is_refused_for("elm has orders at venues"), "a hedge's leg is of no client"
        leg.state = "cancelled"
        leg.save()
    for table in ("order", "position"):
        owner_sql(f"alter table elm.trading_{table} force row level security")
    remove = (*remove[:5], " ", *remove[6:])
    assert is_refused_for("Say who removes it, and why")
    remove = (*remove[:5], "left us", *remove[6:])

    command = [sys.executable, "manage.py", *remove]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert owner_sql(SCHEMAS) == owner_sql(ROWS) == [(0,)]
    assert "elm.localhost" not in {domain for (domain,) in owner_sql(DOMAINS)}
    assert not list(elm.scan_iter("*elm*"))
    assert not list(Path(settings.PIGGY_HOME).rglob("*elm*"))
    selectors.forget_hosts()
    assert selectors.tenant_of_host(raw="elm.localhost") is None
    # The records, each as its digest says; and nothing of anybody else was touched.
    told = json.loads((kept / "removed.json").read_text())
    assert (told["by"], told["reason"], told["schema"]) == ("ann", "left us", "elm")
    for name, digest in told["tables"].items():
        assert hashlib.sha256(gzip.decompress((kept / f"{name}.csv.gz").read_bytes())).hexdigest() == digest
    rows = list(csv.DictReader(gzip.decompress((kept / "event_log.csv.gz").read_bytes()).decode().splitlines()))
    assert [row["seq"] for row in rows] == ["1", "2", "3"]
    assert (kept / "files" / "kyc" / "a").read_text() == "a passport"
    assert {"trading_position", "event_log", "log_checkpoint", "users_user"} <= told["tables"].keys()
    assert len(list(elm.scan_iter("*{acorn}*"))) == 2
    assert "acorn" in selectors.active_schemas()
    assert "No broker is called oak" in manage("remove", "oak", *remove[2:]).stderr
    # What signs a strategy's signals is made of the broker's name, and so are the heads of its log.
    again = manage("tenant", "create", "elm", "--domain", "elm.localhost")
    assert (again.returncode, "elm was removed: secrets" in again.stderr, owner_sql(SCHEMAS)) == (1, True, [(0,)])


def _write(schema: str) -> None:
    with in_tenant(schema):
        records.write(records.accepted("O2"))


def test_t_22_one_that_could_not_be_archived_is_off_and_whole(
    elm: redis.Redis, owner_sql: Callable[..., list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is there is never written to; what was begun goes on with another."""
    owner_sql("update public.tenants_tenant set suspended_at = now() where schema_name = 'elm'")
    owner_sql("alter table elm.projection_cursor no force row level security")
    owner_sql("insert into elm.projection_cursor values ('trading', 3)")
    remove = ("remove", "elm", "--by", "ann", "--reason", "left us", "--at-once", "--folder")
    refused = manage(*remove, str(tmp_path))
    assert refused.returncode == 1
    state = "select shard, is_active, setup_error from public.tenants_tenant where schema_name = 'elm'"
    assert owner_sql(state) == [("main", True, "")]
    # An engine that has not heard of it yet fills an order between the look at the tables and the end of the log.
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(removing.tenants, "is_removed", lambda schema: False)
        meanwhile.setattr(removing.tenants, "switch_off", lambda schema: _write(schema))
        with pytest.raises(removing.UnableToRemoveTenant, match="came into its log"):
            removing.remove(
                schema="elm", folder=tmp_path / "late", by="ann", reason="left us", at=datetime.now(UTC), wait_s=0
            )
    assert audit.seq_end(tenant="elm") == 3, "what switches it off is undone too"
    assert not (tmp_path / "late").exists()
    # A set-up that succeeds would switch it on again.
    owner_sql("update public.tenants_tenant set setup_error = 'x' where schema_name = 'elm'")
    leads_nowhere = Path(settings.MEDIA_ROOT) / "elm" / "kyc" / "b"
    leads_nowhere.symlink_to("nowhere")
    refused = manage(*remove, str(tmp_path / "half"))
    assert (refused.returncode, "kyc/b" in refused.stderr) == (1, True)
    assert owner_sql(state) == [(NOBODYS, False, "")]
    assert (tmp_path / "half" / "event_log.csv.gz").exists() and not (tmp_path / "half" / "removed.json").exists()
    # By then nobody projects it any more.
    owner_sql("update elm.projection_cursor set seq = 2")
    leads_nowhere.unlink()
    assert manage(*remove, str(tmp_path / "new")).returncode == 0
    assert owner_sql(SCHEMAS) == [(0,)]


def test_t_22_a_removal_that_is_killed_has_lost_no_file_and_is_finished_by_the_next(
    elm: redis.Redis, owner_sql: Callable[..., list[Any]], tmp_path: Path
) -> None:
    """Files went before the schema once: who was killed in between, and began anew, had no file in the new folder."""
    owner_sql("update public.tenants_tenant set suspended_at = now() where schema_name = 'elm'")
    owner_sql("alter table elm.projection_cursor no force row level security")
    owner_sql("insert into elm.projection_cursor values ('trading', 3)")
    remove = ("remove", "elm", "--by", "ann", "--reason", "left us", "--at-once", "--folder")
    media = Path(settings.MEDIA_ROOT) / "elm"
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as holder:
        holder.execute("lock table elm.engine_snapshot in access share mode")
        command = [sys.executable, "manage.py", *remove, str(tmp_path / "killed")]
        killed = subprocess.Popen(command, cwd=ROOT)
        try:
            until_s = time.monotonic() + 240
            while owner_sql(DROPS) == [(0,)]:
                assert killed.poll() is None and time.monotonic() < until_s
                time.sleep(0.05)
            # Set-up would make the schema again, of nobody, if it had looked up whose it migrates just before.
            assert owner_sql(TURNS, [setup.SETUP_LOCK]) == [(1,)]
        finally:
            killed.kill()
            killed.wait()
    assert (media / "kyc" / "a").exists() and list(elm.scan_iter("*{elm}*"))
    assert (tmp_path / "killed" / "removed.json").exists(), "its records were whole before anything went"
    assert manage(*remove, str(tmp_path / "next")).returncode == 0
    assert (tmp_path / "next" / "files" / "kyc" / "a").read_text() == "a passport"
    assert owner_sql(SCHEMAS) == [(0,)]
    # Killed after the schema went: what is left of it goes, and no folder is made.
    (media / "kyc").mkdir(parents=True)
    elm.set(":cache:{elm}:1:throttle", "1")
    again = manage(*remove, str(tmp_path / "third"))
    assert (again.returncode, again.stdout) == (0, "elm was removed before; its records were kept then\n")
    assert not media.exists() and not list(elm.scan_iter("*{elm}*")) and not (tmp_path / "third").exists()


def test_f_05_of_what_is_taken_away_the_copy_and_its_names_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "media" / "kyc").mkdir(parents=True)
    (tmp_path / "media" / "kyc" / "a").write_text("a passport")
    sync, synced = os.fsync, set[int]()

    def noted(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    removing.keep_files(media=tmp_path / "media", folder=tmp_path / "kept")
    kept = tmp_path / "kept"
    wanted = [kept.parent, kept, kept / "files", kept / "files" / "kyc", kept / "files" / "kyc" / "a"]
    assert {path.stat().st_ino for path in wanted} <= synced
    assert (wanted[-1]).read_text() == "a passport"


def test_t_22_a_renamed_broker_is_found_under_its_new_names_only(
    acorn: Any, birch: Any, owner_sql: Callable[..., list[Any]]
) -> None:
    before = owner_sql(DOMAINS)
    try:
        for wrong, why in (
            (("--name", "Oak", "--domain", "birch.localhost"), "another broker"),
            (("--name", "Oak", "--domain", "a b"), "Not a host name"),
            (("--name", "o" * 81, "--domain", "oak.localhost"), "CommandError: name: Ensure this value has at most 80"),
            ((), "Say a name"),
        ):
            refused = manage("tenant", "rename", "acorn", *wrong)
            assert (refused.returncode, why in refused.stderr, owner_sql(DOMAINS) == before) == (1, True, True)
        new = ("--domain", "Trade.Oak.example", "--domain", "oak.localhost")
        done = manage("tenant", "rename", "acorn", "--name", "Oak Markets", *new)
        assert done.returncode == 0, done.stderr
        selectors.forget_hosts()
        assert selectors.tenant_of_host(raw="acorn.localhost") is None
        for host in ("trade.oak.example", "oak.localhost:8000"):
            found = selectors.tenant_of_host(raw=host)
            assert found is not None
            assert (found.schema_name, found.name) == ("acorn", "Oak Markets")
        primary = owner_sql("select domain from public.tenants_domain where is_primary and domain like '%%oak%%'", [])
        assert primary == [("trade.oak.example",)]
        refused = manage("tenant", "rename", "template", "--name", "x")
        assert "No broker" in refused.stderr
    finally:
        done = manage("tenant", "rename", "acorn", "--name", "Acorn Markets", "--domain", "acorn.localhost")
        assert done.returncode == 0, done.stderr
        selectors.forget_hosts()
    assert owner_sql(DOMAINS) == before
