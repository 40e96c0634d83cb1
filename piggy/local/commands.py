"""What `manage.py` does before any Django setting exists: up, down, status, doctor."""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence

from piggy.local import checks, environment, processes, runtime, schema, services, supervisor, up
from piggy.local.postgres import UnableToStartPostgres
from piggy.local.valkey import UnableToStartValkey

OK, FAILED, USAGE, DEPENDENCY_DOWN = 0, 1, 2, 5
DOWN_STEPS = ((signal.SIGTERM, 90.0), (signal.SIGKILL, 5.0))
DEPENDENCIES = (checks.UnableToUseServer, UnableToStartPostgres, UnableToStartValkey, runtime.UnableToFindServer)
FAILURES = (up.UnableToStart, schema.UnableToMigrate, runtime.UnableToFindSeat)


def run(*, name: str, arguments: Sequence[str]) -> int:
    """Run one command by name; returns the exit code of ecosystem conventions: 0, 1, 2, 5."""
    table: dict[str, Callable[[bool], int]] = {"up": _up, "down": _down, "status": _status, "doctor": _doctor}
    unknown = [argument for argument in arguments if argument != "--json"]
    if unknown or (arguments and name in ("up", "down")):
        print(f"usage: manage.py {name}{'' if name in ('up', 'down') else ' [--json]'}", file=sys.stderr)
        return USAGE
    try:
        return table[name]("--json" in arguments)
    except DEPENDENCIES as error:
        print(f"\n{error}", file=sys.stderr)
        return DEPENDENCY_DOWN
    except FAILURES as error:
        print(f"\n{error}", file=sys.stderr)
        return FAILED


def _up(_as_json: bool) -> int:
    try:
        return up.up(env=os.environ)
    except OSError as error:
        # A folder that cannot be written, a full disk: what stands in the way is in it, and no line of ours.
        place = environment.home(env=os.environ)
        raise up.UnableToStart(f"{error}. Data are kept in {place}; PIGGY_HOME=dir names another folder.") from error


def _down(_as_json: bool) -> int:
    """Stop a running `up` and wait for it; ends what a killed one left."""
    place = environment.home(env=os.environ)
    if pid := running_up():
        processes.stop(pids=[pid], steps=DOWN_STEPS)
        print(f"stopped (process {pid})")
    elif left := supervisor.end_leftovers(home=place):
        print(f"ended what was left: {', '.join(left)}")
    else:
        print("nothing runs")
    return OK


def running_up() -> int | None:
    """Return the process id of the running `up`: the one that holds the lock."""
    try:
        with up.only_one(place=environment.home(env=os.environ)):
            return None
    except up.UnableToStart:
        return int((environment.home(env=os.environ) / "up.pid").read_text())
    except FileNotFoundError:
        return None


def _status(as_json: bool) -> int:
    """Show what runs; exit code 1 when nothing does."""
    place = environment.home(env=os.environ)
    pid = running_up()
    names = supervisor.registered(home=place)
    if as_json:
        print(json.dumps({"up": pid, "programs": names}))
    else:
        print(f"up: process {pid}" if pid else "up: not running")
        for name, number in names.items():
            print(f"  {name:<10} process {number}")
    return OK if pid else FAILED


def _doctor(as_json: bool) -> int:
    """Check what this machine offers; exit code 1 when something needed is missing."""
    account = runtime.identity()
    place = environment.home(env=os.environ)
    found: dict[str, tuple[bool, str]] = {
        "python": (sys.version_info[:2] >= (3, 11), sys.version.split()[0]),
        "compiler": (
            any(map(shutil.which, ("c++", "g++", "clang++"))),
            "QuickFIX is compiled here; Debian: g++ python3-dev",
        ),
        "servers run as": (True, "yourself" if account.uid is None else f"uid {account.uid}, because you are root"),
        "data are in": (True, str(services.place_of(home=place))),
        "pango": (
            ctypes.util.find_library("pango-1.0") is not None,
            "PDFs need it; Debian: libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0",
        ),
        "chromium": (any(map(shutil.which, ("chromium", "google-chrome"))), "browser tests need it"),
    }
    optional = {"pango", "chromium"}
    if as_json:
        print(json.dumps({name: {"ok": ok, "about": about} for name, (ok, about) in found.items()}))
    else:
        for name, (ok, about) in found.items():
            print(f"{'ok     ' if ok else 'MISSING'} {name:<15} {about}")
    return OK if all(ok for name, (ok, _) in found.items() if name not in optional) else FAILED
