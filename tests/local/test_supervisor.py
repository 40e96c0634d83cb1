"""Programs are restarted, stopped to the last grandchild, and never outlive a killed supervisor."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from piggy.local import keys, processes
from piggy.local.supervisor import Program, Supervisor, end_leftovers, registered

ROOT = Path(__file__).resolve().parents[2]
SLEEP = ("sleep", "600")
# Ignores SIGTERM and has a child of its own, whose number it prints.
STUBBORN = ("sh", "-c", "trap '' TERM; sleep 600 & echo $! ; while true; do sleep 1; done")
WATCH = """
import os, sys, time
from pathlib import Path
from piggy.local.supervisor import Program, Supervisor
home = Path(sys.argv[1])
one = Program(name="one", argv=("sleep", "600"))
keeper = Supervisor(programs=[one], env=dict(os.environ), home=home, cwd=home, say=print)
keeper.start()
print(keeper.pids()["one"], flush=True)
time.sleep(600)
"""


def keeper_of(home: Path, *programs: Program, say: Callable[[str], None] = print) -> Supervisor:
    return Supervisor(programs=programs, env=dict(os.environ), home=home, cwd=home, say=say)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_program_runs_again_and_it_is_said(home: Path) -> None:
    said: list[str] = []
    keeper = keeper_of(home, Program(name="one", argv=SLEEP), say=said.append)
    keeper.start()
    try:
        first = keeper.pids()["one"]
        os.kill(first, signal.SIGKILL)

        def is_back() -> bool:
            keeper.tick()
            return keeper.pids().get("one", first) != first

        until(is_back)
        assert "one was ended by SIGKILL" in said[0]
    finally:
        keeper.stop()


def test_who_runs_is_noted_as_soon_as_a_full_disk_allows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-21: `down`, and the next start after a kill, go by that note."""
    keeper, write, is_full = keeper_of(home, Program(name="one", argv=SLEEP)), keys.replace, True

    def replace(**wanted: Any) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(**wanted)

    monkeypatch.setattr(keys, "replace", replace)
    try:
        with pytest.raises(OSError, match="space"):
            keeper.start()
        with pytest.raises(OSError, match="space"):
            keeper.tick()
        assert registered(home=home) == {}
        is_full = False
        keeper.tick()
        assert registered(home=home) == keeper.pids()
        assert keeper.pids().keys() == {"one"}
    finally:
        keeper.stop()


def test_a_program_that_keeps_crashing_is_started_ever_more_rarely(home: Path) -> None:
    said: list[str] = []
    keeper = keeper_of(home, Program(name="one", argv=("false",)), say=said.append)
    keeper.start()

    def crashed_three_times() -> bool:
        keeper.tick()
        return len(said) >= 3

    until(crashed_three_times)
    keeper.stop()
    assert ["0.5 s" in said[0], "1.0 s" in said[1], "2.0 s" in said[2]] == [True, True, True]


def test_stop_leaves_no_grandchild(home: Path) -> None:
    keeper = keeper_of(home, Program(name="stubborn", argv=STUBBORN, stop_s=0.3))
    keeper.start()
    log = home / "log" / "stubborn.log"
    until(lambda: log.exists() and log.read_text().strip().isdigit())
    grandchild = int(log.read_text())
    keeper.stop()
    until(lambda: not processes.is_alive(grandchild))
    assert registered(home=home) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux")
def test_programs_die_with_a_supervisor_that_is_killed(home: Path) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(home)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert keeper.stdout is not None
    pid = int(keeper.stdout.readline())
    keeper.kill()
    keeper.wait()
    until(lambda: not processes.is_alive(pid))


def test_what_a_killed_supervisor_left_is_ended_and_strangers_are_not(home: Path) -> None:
    keeper = keeper_of(home, Program(name="one", argv=SLEEP))
    keeper.start()
    assert end_leftovers(home=home) == ["one"]
    stranger = processes.spawn(argv=SLEEP)
    try:
        note = (home / "processes.json").read_text().replace(str(keeper._runs[0].child.pid), str(stranger.pid))  # type: ignore[union-attr]
        (home / "processes.json").write_text(note)
        assert end_leftovers(home=home) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
