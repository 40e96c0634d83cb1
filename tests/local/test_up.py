"""One `up` at a time, on ports that are free, with nothing to find out for the newcomer."""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from piggy.local import bootstrap, commands, environment, programs, schema, up

LOGINS = """broker  login         password  token  authenticator
acorn   dealer@acorn  secret    -      otpauth://totp/x
acorn   bob@acorn     secret    token  -

# The current code of a member of staff: python manage.py demo_code dealer@acorn
"""


def test_a_second_up_says_who_runs(home: Path) -> None:
    with up.only_one(place=home), pytest.raises(up.UnableToStart, match="already running"), up.only_one(place=home):
        pass
    with up.only_one(place=home):
        assert (home / "up.pid").read_text().isdigit()


def test_a_taken_port_moves_unless_it_was_asked_for(home: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        env = environment.complete(env={"PIGGY_WEB_PORT": port}, place=home)
        assert up.choose_ports(given={}, env=env)["PIGGY_WEB_PORT"] != port
        with pytest.raises(up.UnableToStart, match=port):
            up.choose_ports(given={"PIGGY_WEB_PORT": port}, env=env)


def test_no_two_of_our_programs_are_given_one_port(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What moves keeps off what another was asked to have, and off every door of every shard."""
    taken = {8_000, 8_011}
    monkeypatch.setattr(up.processes, "port_is_free", lambda port: port not in taken)

    def chosen(**given: str) -> tuple[str, str]:
        made = up.choose_ports(given=given, env=environment.complete(env=given, place=home))
        return made["PIGGY_WEB_PORT"], made["PIGGY_EDGE_PORT"]

    assert chosen() == ("8020", "8010")
    assert chosen(PIGGY_FIX_PORT="8020") == ("8040", "8010"), "the clients' FIX door is there"
    assert chosen(PIGGY_WEB_PORT="8010") == ("8010", "8030")
    assert chosen(PIGGY_SHARDS="main,second") == ("8020", "8030"), "the second engine's door is taken"
    with pytest.raises(up.UnableToStart, match="PIGGY_EDGE_PORT"):
        chosen(PIGGY_SHARDS="main,second", PIGGY_EDGE_PORT="8010")
    with pytest.raises(up.UnableToStart, match="PIGGY_FIX_PORT"):
        chosen(PIGGY_FIX_PORT="8011")


@pytest.mark.parametrize("value", ["0", "70000", "-1", "eight"])
def test_a_port_that_is_none_is_named(home: Path, value: str) -> None:
    given = {"PIGGY_WEB_PORT": value}
    with pytest.raises(up.UnableToStart, match="PIGGY_WEB_PORT must be between 1 and 65535"):
        up.choose_ports(given=given, env=environment.complete(env=given, place=home))


def test_the_screen_shows_a_dealer_and_the_way_to_a_code() -> None:
    assert up.excerpt(text=LOGINS) == [
        "  acorn   dealer@acorn  secret",
        "  The current code of a member of staff: python manage.py demo_code dealer@acorn",
    ]


def test_no_program_is_given_the_owner_and_flow_can_be_off(home: Path) -> None:
    env = environment.complete(env={"FLOW": "0"}, place=home)
    names = [program.name for program in programs.of(env=env, python=Path("python"))]
    assert names == ["simulator", "engine", "projector", "fix", "worker", "beat", "web"]
    assert all("DATABASE_OWNER_URL" not in program.env for program in programs.of(env=env, python=Path("python")))


def test_each_shard_has_an_engine_with_a_door_of_its_own_and_one_worker_serves_all(home: Path) -> None:
    env = environment.complete(env={"PIGGY_SHARDS": "main,second"}, place=home)
    made = {program.name: program.env for program in programs.of(env=env, python=Path("python"))}
    door = int(env["PIGGY_EDGE_PORT"])
    assert made["engine"] == {}
    assert made["engine-second"] == {"PIGGY_SHARD": "second", "PIGGY_EDGE_PORT": str(door + 1)}
    assert made["fix"] == {"PIGGY_SHARD": "*", "PIGGY_DATABASE_POOL_SIZE_MAX": "100"}


def test_unknown_arguments_are_usage_errors() -> None:
    assert commands.run(name="down", arguments=["--hard"]) == commands.USAGE


def test_a_home_that_cannot_be_written_is_named_with_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """F-21: root writes wherever permissions forbid it, but in no file."""
    nowhere = home / "file" / "home"
    (home / "file").touch()
    monkeypatch.setenv("PIGGY_HOME", str(nowhere))
    assert commands.run(name="up", arguments=[]) == commands.FAILED
    assert str(nowhere) in (told := capsys.readouterr().err) and "PIGGY_HOME=dir" in told
    monkeypatch.setattr(bootstrap, "HOME", nowhere)
    monkeypatch.setattr(sys, "argv", ["bootstrap"])
    assert bootstrap.main() == 1
    assert str(nowhere) in (told := capsys.readouterr().err) and "PIGGY_HOME=dir" in told


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        ("", ["setup_database", "demo"]),
        ("schema of-before; demo of-before", ["setup_database", "sync_engine", "demo"]),
        ("schema now; demo of-before", ["demo"]),
        ("schema now; demo now", []),
    ],
)
def test_an_older_database_is_migrated_and_its_engine_told_what_it_may_lack(
    home: Path, monkeypatch: pytest.MonkeyPatch, left: str, asked: list[str]
) -> None:
    """A log from before a rule knows nothing of what the rule asks for, and its accounts would be refused."""
    states, ran = [left], []
    monkeypatch.setattr(up.schema, "digest", lambda **_: "now")
    monkeypatch.setattr(up.schema, "state", lambda **_: states[-1])
    monkeypatch.setattr(up.schema, "put_state", lambda text, **_: states.append(text))
    monkeypatch.setattr(up.schema, "manage", lambda name, **_: ran.append(name))
    monkeypatch.setattr(up.schema, "switched_off", lambda **_: [])
    (home / "logins.txt").touch()
    up.prepare(env={"DATABASE_OWNER_URL": ""}, place=home, stopped=threading.Event())
    assert (ran, states[-1]) == (asked, "schema now; demo now")


def test_who_stops_during_a_migration_waits_for_none_of_it_and_sees_no_traceback(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches ours alone: the command ends by our word, and nothing else is begun."""
    (home / "manage.py").write_text("import time; print('begun', flush=True); time.sleep(60)")
    monkeypatch.setattr(schema, "ROOT", home)
    stopped = threading.Event()
    log = home / "log" / "migrate.log"
    log.parent.mkdir()

    def stop() -> None:
        until = time.monotonic() + 30
        while "begun" not in log.read_text() and time.monotonic() < until:
            time.sleep(0.05)
        stopped.set()

    log.touch()
    threading.Thread(target=stop).start()
    began = time.monotonic()
    with pytest.raises(schema.Stopped, match="setup_database"):
        schema.manage("setup_database", env={}, python=Path(sys.executable), log=log, stopped=stopped)
    assert time.monotonic() - began < 40
    assert log.read_text() == "begun\n", "in a session of its own, and ended by a signal that it need not tell of"
    monkeypatch.setattr(up.schema, "state", lambda **_: "")
    with pytest.raises(schema.Stopped):
        up.prepare(env={"DATABASE_OWNER_URL": ""}, place=home, stopped=stopped)


def test_f_27_while_a_broker_is_off_every_start_tries_it_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran, said = [], []
    monkeypatch.setattr(up.schema, "digest", lambda **_: "now")
    monkeypatch.setattr(up.schema, "state", lambda **_: "schema of-before; demo of-before")
    monkeypatch.setattr(up.schema, "put_state", lambda text, **_: said.append(text))
    monkeypatch.setattr(up.schema, "manage", lambda name, **_: ran.append(name))
    monkeypatch.setattr(up.schema, "switched_off", lambda **_: ["elm IS OFF"])
    up.prepare(env={"DATABASE_OWNER_URL": ""}, place=home, stopped=threading.Event())
    assert (ran, said) == (["setup_database", "sync_engine"], [])
    assert "elm IS OFF" in capsys.readouterr().out
