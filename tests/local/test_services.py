"""Killed servers, killed owners and stale files never stop the next start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from piggy.local import checks, processes
from piggy.local.postgres import UnableToStartPostgres, buffers_mib, kill_hard
from piggy.local.services import LocalServices

ROOT = Path(__file__).resolve().parents[2]
# Starts the servers, says so, and waits to be killed.
OWNER = (
    "import sys, time; from pathlib import Path; from piggy.local.services import LocalServices\n"
    "LocalServices(Path(sys.argv[1]), fast=True).start(); print('up', flush=True); time.sleep(600)"
)


@pytest.mark.parametrize(("memory", "buffers"), [(512, 128), (4_096, 512), (24_576, 1_024), (2_000_000, 1_024)])
def test_postgres_takes_an_eighth_of_the_memory_for_itself_and_no_more(memory: int, buffers: int) -> None:
    assert buffers_mib(memory_mib=memory) == buffers


def note(services: LocalServices, text: str) -> None:
    with psycopg.connect(services.owner_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES (%s)", [text])
    redis.Redis.from_url(services.redis_url).rpush("note", text)


def notes(services: LocalServices) -> list[str]:
    with psycopg.connect(services.owner_url) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM note")]


def killed_owner(home: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE, cwd=ROOT)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"up\n"
    owner.kill()
    owner.wait()


def wait_for(condition: object, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_app_role_is_bound_by_row_level_security(services: LocalServices) -> None:
    query = "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    with psycopg.connect(services.database_url) as connection:
        assert connection.execute(query).fetchone() == (False, False, False, False)
    with psycopg.connect(services.owner_url) as connection:
        assert connection.execute(query).fetchone() == (False, False, False, True)


def test_valkey_keeps_what_it_was_given(services: LocalServices) -> None:
    client = redis.Redis.from_url(services.redis_url)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_durability_is_on_unless_a_test_gives_it_up(home: Path) -> None:
    with LocalServices(home) as services, psycopg.connect(services.database_url) as connection:
        # F-22.
        checks.durable(url=services.database_url)
        with pytest.raises(checks.UnableToUseServer, match="Set: synchronous_commit = on"):
            checks.durable(url=services.database_url + "?options=-csynchronous_commit%3Doff")
        shown = [connection.execute(f"SHOW {name}").fetchone() for name in ("fsync", "synchronous_commit")]
        assert shown == [("on",), ("on",)]
        assert redis.Redis.from_url(services.redis_url).config_get("appendfsync") == {"appendfsync": "everysec"}


def test_a_second_user_of_the_same_home_shares_and_leaves_it_running(services: LocalServices) -> None:
    with LocalServices(services.home) as second:
        assert second.is_shared
        assert second.database_url == services.database_url
    assert services.postgres.is_up()
    assert services.valkey.is_up()


def test_servers_killed_together_come_back_with_their_data_on_the_same_addresses(services: LocalServices) -> None:
    note(services, "before")
    addresses = (services.database_url, services.redis_url)
    assert services.valkey.child is not None
    os.kill(services.valkey.child.pid, signal.SIGKILL)
    kill_hard(cluster=services.postgres)
    wait_for(lambda: services.postgres.child is not None and services.postgres.child.poll() is not None)
    wait_for(lambda: services.valkey.child is not None and services.valkey.child.poll() is not None)
    assert services.revive() == ["postgres", "valkey"]
    assert (services.database_url, services.redis_url) == addresses
    assert notes(services) == ["before"]
    assert redis.Redis.from_url(services.redis_url).lrange("note", 0, -1) == [b"before"]


def test_a_killed_owner_takes_its_servers_along_and_the_next_start_works(home: Path) -> None:
    killed_owner(home)
    with LocalServices(home, fast=True) as services:
        assert not services.is_shared
        note(services, "after")
        assert notes(services) == ["after"]
    assert services.postgres.running() == []
    assert services.valkey.running() == []


def test_busy_orphans_of_a_killed_postmaster_do_not_stop_the_next_start(services: LocalServices) -> None:
    busy = psycopg.connect(services.owner_url, autocommit=True)
    pid = busy.execute("SELECT pg_backend_pid()").fetchone()
    assert pid is not None
    os.kill(int(pid[0]), signal.SIGSTOP)  # A backend that hangs outlives its postmaster.
    assert services.postgres.child is not None
    os.kill(services.postgres.child.pid, signal.SIGKILL)
    services.postgres.child.wait()
    assert int(pid[0]) in services.postgres.running()
    assert services.revive() == ["postgres"]
    assert services.postgres.is_up()


def test_a_pid_file_that_names_a_foreign_living_process_is_cleared(home: Path) -> None:
    with LocalServices(home, fast=True) as services:
        data = services.postgres.data
        account = services.postgres.account
    sleeper = processes.spawn(argv=["sleep", "60"], identity=account)
    try:
        pid_file = data / "postmaster.pid"
        pid_file.write_text(f"{sleeper.pid}\n{data}\n1\n5432\n\n127.0.0.1\n")
        account.owns(pid_file)
        with LocalServices(home, fast=True) as services:
            assert services.postgres.is_up()
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_taken_port_is_left_to_its_holder(home: Path) -> None:
    with LocalServices(home, fast=True) as services:
        port = services.postgres.port
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # The server's last connections linger.
        holder.bind(("127.0.0.1", port))
        holder.listen()
        with LocalServices(home, fast=True) as services:
            assert services.postgres.port != port
            assert services.postgres.is_up()


def test_passwords_are_private_and_made_once(home: Path) -> None:
    with LocalServices(home, fast=True) as services:
        first = services.database_url.split("@")[0]
    assert (home / "services.json").stat().st_mode & 0o777 == 0o600
    with LocalServices(home, fast=True) as services:
        assert services.database_url.split("@")[0] == first


def test_data_of_other_passwords_are_left_alone_and_said_at_once(home: Path) -> None:
    with LocalServices(home, fast=True, with_valkey=False):
        pass
    (home / "services.json").unlink()
    began_s = time.monotonic()
    with pytest.raises(UnableToStartPostgres, match="other passwords"):
        LocalServices(home, fast=True, with_valkey=False).start()
    assert time.monotonic() - began_s < 20
    assert (home / "postgres" / "PG_VERSION").exists()


def test_an_interrupted_initdb_is_made_again(home: Path) -> None:
    (home / "postgres.part").mkdir()
    (home / "postgres.part" / "PG_VERSION").write_text("18")
    with LocalServices(home, fast=True, with_valkey=False) as services:
        assert services.postgres.is_up()
