"""Start, find and end operating-system processes; leave none behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
PORTS_FREE = range(15_000, 32_000)  # Below the ephemeral range, so that no outgoing connection takes one meanwhile.
STOP_POLL_S = 0.05

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class UnableToStopProcess(Exception):
    """A process outlived SIGKILL; the message names it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The account a server runs as; both None means our own."""

    uid: int | None = None
    gid: int | None = None

    def owns(self, path: Path) -> None:
        """Hand `path` (one file or directory) to this account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def may_enter(self, path: Path) -> bool:
        """Tell by trying whether this account reaches `path` and may enter or run it."""
        if self.uid is None:
            return os.access(path, os.X_OK)
        return spawn(argv=["test", "-x", str(path)], identity=self).wait() == 0


def spawn(
    *,
    argv: Sequence[str],
    identity: Identity = Identity(),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    output: int = subprocess.DEVNULL,
    death_signal: signal.Signals | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, so that a Ctrl-C at our terminal does not reach it.

    `death_signal` is what the kernel sends it when the thread that started it dies (Linux), even by kill -9.
    LD_LIBRARY_PATH is taken away: the wheels bring their own libraries.
    """
    clean = {name: value for name, value in (env or os.environ).items() if name != "LD_LIBRARY_PATH"}
    return subprocess.Popen(
        list(argv),
        cwd=cwd or "/",
        env=clean,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        user=identity.uid,
        group=identity.gid,
        extra_groups=[] if identity.uid is not None else None,
        preexec_fn=_leash(death_signal) if death_signal and _libc else None,
    )


def _leash(death_signal: signal.Signals) -> Callable[[], None]:
    """Return what the child runs after it has changed user (a change of user would undo it)."""
    parent, libc = os.getpid(), _libc

    def set_death_signal() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal


def is_alive(pid: int) -> bool:
    """Tell whether `pid` is a process that still runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = _stat(pid)
    return stat is None or stat[0] != "Z"


def started_at(pid: int) -> str:
    """Return a text that is the same only for the same run of `pid`; empty when it is gone.

    A process id is used again sooner or later; with its start time it is not.
    """
    if not is_alive(pid):
        return ""
    if stat := _stat(pid):
        return stat[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def _stat(pid: int) -> list[str] | None:
    """Return /proc/<pid>/stat from the state on; the name before it may hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def at_home_in(*, directory: Path, program: str) -> list[int]:
    """Return the processes of `program` whose working directory is `directory`.

    PostgreSQL (every backend too) and Valkey work inside their data directory, so this finds orphans without any
    pid file. Empty where there is no /proc.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            inside = os.readlink(entry / "cwd").removesuffix(" (deleted)") == str(directory.resolve())
            name = (entry / "comm").read_text().strip()
        except OSError:
            continue
        if inside and name == program[:15]:
            found.append(int(entry.name))
    return found


def stop(*, pids: Sequence[int], steps: Sequence[tuple[signal.Signals, float]], group: bool = False) -> None:
    """End `pids`: send each signal in turn and wait its seconds for all to go; raises UnableToStopProcess."""
    left = [pid for pid in pids if is_alive(pid)]
    for step, seconds in steps:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.killpg if group else os.kill)(pid, step)
        until = time.monotonic() + seconds
        while left and time.monotonic() < until:
            time.sleep(STOP_POLL_S)
            left = [pid for pid in left if is_alive(pid)]
        if not left:
            return
    raise UnableToStopProcess(f"processes {left} do not end")


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*, wanted: int | None = None) -> int:
    """Return `wanted` if it is free, else another free loopback port."""
    if wanted is not None and port_is_free(wanted):
        return wanted
    offset = int.from_bytes(os.urandom(4)) % len(PORTS_FREE)
    for step in range(len(PORTS_FREE)):
        port = PORTS_FREE[(offset + step) % len(PORTS_FREE)]
        if port_is_free(port):
            return port
    raise OSError("no free loopback port")
