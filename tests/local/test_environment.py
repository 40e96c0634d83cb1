"""Keys are made once and kept private; addresses of other servers are never mixed with ours."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core import management

import manage
from piggy.local import environment


def test_keys_are_made_once_and_private(home: Path) -> None:
    first = environment.complete(env={}, place=home)
    again = environment.complete(env={}, place=home)
    assert first["PIGGY_CONTEXT_KEY"] == again["PIGGY_CONTEXT_KEY"]
    assert len(bytes.fromhex(first["PIGGY_SIGNAL_KEY"])) == 32
    for name in ("secrets.env", "keks.json"):
        assert (home / name).stat().st_mode & 0o777 == 0o600
    assert {path.name for path in home.iterdir()} == {"secrets.env", "keks.json"}, "no password of an LP in the clear"


def test_f_05_a_key_outlives_a_power_cut_from_the_moment_that_it_is_given_out(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sealed meanwhile, in a database on another disk, would open with no key."""
    sync, synced = os.fsync, list[tuple[bool, bool]]()

    def noted(handle: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(handle).st_mode), (home / "keks.json").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    environment.key_file(place=home)
    assert synced == [(False, False), (True, True)], "the text first, then its name"


def test_an_installation_with_keys_of_its_own_is_given_no_other(home: Path) -> None:
    assert environment.complete(env={}, place=home)["PIGGY_KEK_FILE"] == str(home / "keks.json")
    assert "PIGGY_KEK_FILE" not in environment.complete(env={"PIGGY_KMS_URL": "https://keys"}, place=home)


def test_what_the_environment_says_stands(home: Path) -> None:
    whole = environment.complete(env={"PIGGY_WEB_PORT": "9000", "PIGGY_EDGE_PORT": ""}, place=home)
    assert (whole["PIGGY_WEB_PORT"], whole["PIGGY_EDGE_PORT"]) == ("9000", "8010")


def test_the_addresses_of_up_are_found_by_other_commands(home: Path) -> None:
    whole = environment.complete(
        env={"DATABASE_URL": "postgresql://a", "DATABASE_OWNER_URL": "postgresql://o"}, place=home
    )
    environment.remember(env=whole, place=home)
    found = {"PIGGY_HOME": str(home)}
    environment.recall(env=found)
    assert (found["DATABASE_URL"], found["DATABASE_OWNER_URL"]) == ("postgresql://a", "postgresql://o")
    assert found["PIGGY_SECRET_KEY"] == whole["PIGGY_SECRET_KEY"]


def test_another_database_is_not_mixed_with_our_owner(home: Path) -> None:
    environment.remember(env={"DATABASE_OWNER_URL": "postgresql://ours"}, place=home)
    found = {"PIGGY_HOME": str(home), "DATABASE_URL": "postgresql://other"}
    environment.recall(env=found)
    assert "DATABASE_OWNER_URL" not in found


@pytest.mark.parametrize(
    ("command", "before_up"), [("bench", True), ("certify", True), ("sim", True), ("migrate", False)]
)
def test_only_commands_that_need_no_server_run_before_the_first_up(
    command: str, before_up: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys and addresses without which no settings load."""
    monkeypatch.setattr(management, "execute_from_command_line", lambda words: None)
    monkeypatch.setattr("sys.argv", ["manage.py", command])
    with patch.dict(os.environ, {"PIGGY_HOME": str(home)}, clear=True):
        manage.main()
        named = {name for name in ("DATABASE_URL", "REDIS_URL", "PIGGY_CONTEXT_KEY") if os.environ.get(name)}
    assert len(named) == (3 if before_up else 0)


def test_what_is_not_configured_is_said_in_a_line(home: Path) -> None:
    """As `manage.py log verify` in a terminal that does not know where the installation is."""
    command = [sys.executable, "manage.py", "log", "verify"]
    env = {"PATH": os.environ["PATH"], "PIGGY_HOME": str(home)}
    done = subprocess.run(
        command, cwd=Path(manage.__file__).parent, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("manage.py: PIGGY_CONTEXT_KEY must be set.")
    assert len(done.stderr.splitlines()) == 1


def test_a_command_goes_on_in_the_environment_that_make_made_or_says_that_there_is_none(tmp_path: Path) -> None:
    """What is told to type begins with `python`: for whoever typed `make run` alone, that of the machine."""
    shutil.copy(Path(manage.__file__), tmp_path)
    bare = [sys.executable, "-S", str(tmp_path / "manage.py"), "demo_code", "dealer@acorn"]
    told = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 1 and "`make run`" in told.stderr and "Traceback" not in told.stderr
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    told = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [str(tmp_path / "manage.py"), "demo_code", "dealer@acorn"]
