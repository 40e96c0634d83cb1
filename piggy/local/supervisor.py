"""Keep a list of programs running: start in order, restart what crashes, stop in reverse, leave none behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from piggy.local import keys, processes

RESTART_S_MIN, RESTART_S_MAX = 0.5, 30.0
HEALTHY_S = 30.0  # After this long a program has earned a fresh count of its crashes.
LOG_BYTES_MAX = 20_000_000
LEFTOVER_STEPS = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run; `stop_s` is how long it may take to end by itself, `tier` when: the highest tier ends first."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 10.0
    tier: int = 0


@dataclass(slots=True)
class _Run:
    """One program's present life."""

    program: Program
    child: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    crashes: int = 0
    due: float = 0.0


class Supervisor:
    """Runs programs in sessions of their own; they get SIGTERM from the kernel should we be killed."""

    def __init__(
        self, *, programs: Sequence[Program], env: Mapping[str, str], home: Path, cwd: Path, say: Callable[[str], None]
    ) -> None:
        self._runs = [_Run(program) for program in programs]
        self._env, self._home, self._cwd, self._say = dict(env), home, cwd, say
        self._is_noted = True

    def pids(self) -> dict[str, int]:
        """Return the process ids by name of what runs now."""
        return {run.program.name: run.child.pid for run in self._runs if run.child and run.child.poll() is None}

    def start(self) -> None:
        """Start every program, in order, after ending what an earlier supervisor left."""
        end_leftovers(home=self._home)
        for run in self._runs:
            self._launch(run)

    def tick(self) -> None:
        """Look after the programs once; to be called a few times a second."""
        now = time.monotonic()
        for run in self._runs:
            if run.child is not None and run.child.poll() is not None:
                self._mourn(run, now)
            elif run.child is None and run.due and now >= run.due:
                self._launch(run)
        if not self._is_noted:
            self._note()

    def stop(self) -> None:
        """Stop everything, tier after tier; what takes too long is killed with its children.

        Those of one tier end together, the last started is told first.
        """
        for run in self._runs:
            run.due = 0.0
        for tier in sorted({run.program.tier for run in self._runs}, reverse=True):
            self._stop_together([run for run in reversed(self._runs) if run.program.tier == tier and run.child])
        self._register.unlink(missing_ok=True)

    def _stop_together(self, runs: Sequence[_Run]) -> None:
        if not runs:
            return
        pids = [run.child.pid for run in runs if run.child]
        patience_s = max(run.program.stop_s for run in runs)
        processes.stop(pids=pids, steps=((signal.SIGTERM, patience_s), (signal.SIGKILL, 3.0)))
        for run in runs:
            if run.child is not None:
                _kill_group(run.child.pid)
                run.child.wait()
                run.child = None

    @property
    def _register(self) -> Path:
        return self._home / "processes.json"

    def _launch(self, run: _Run) -> None:
        log = self._home / "log" / f"{run.program.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            run.child = processes.spawn(
                argv=run.program.argv,
                cwd=self._cwd,
                env={**self._env, **run.program.env},
                output=output.fileno(),
                death_signal=signal.SIGTERM,
            )
        run.began, run.due = time.monotonic(), 0.0
        self._is_noted = False
        self._note()

    def _mourn(self, run: _Run, now: float) -> None:
        """Plan the next start of a program that ended by itself."""
        assert run.child is not None
        code = run.child.returncode
        _kill_group(run.child.pid)
        run.child = None
        run.crashes = 1 if now - run.began > HEALTHY_S else run.crashes + 1
        wait_s = min(RESTART_S_MAX, RESTART_S_MIN * 2 ** (run.crashes - 1))
        run.due = now + wait_s
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        log = self._home / "log" / f"{run.program.name}.log"
        self._say(f"{run.program.name} {how}; starts again in {wait_s:.1f} s, its log is {log}")

    def _note(self) -> None:
        """Write down who runs, for `down`, `status` and the next start after a kill -9; a full disk is tried again."""
        living = [
            {"name": name, "pid": pid, "started_at": processes.started_at(pid)} for name, pid in self.pids().items()
        ]
        keys.replace(path=self._register, text=json.dumps(living))
        self._is_noted = True


def registered(*, home: Path) -> dict[str, int]:
    """Return the programs of the last supervisor that still run, by name."""
    try:
        noted = json.loads((home / "processes.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {
        entry["name"]: entry["pid"]
        for entry in noted
        if entry["started_at"] and processes.started_at(entry["pid"]) == entry["started_at"]
    }


def end_leftovers(*, home: Path) -> list[str]:
    """End what a killed supervisor left running; returns the names."""
    left = registered(home=home)
    processes.stop(pids=list(left.values()), steps=LEFTOVER_STEPS, group=True)
    return list(left)


def _kill_group(pid: int) -> None:
    """End the children of a program that is gone; its group keeps its number."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
