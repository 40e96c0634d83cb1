"""What may befall a running venue: killed, stopped for a while, emptied, restarted, its disk full; chosen by a seed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.flows.venue import RunningVenue, wait

PROGRAMS = ("engine", "fix", "projector", "web", "worker", "beat")
SERVERS = ("postgres", "valkey")
LPS = "simulator"
STOPPED_S, FULL_S = (0.5, 6.0), (2.0, 5.0)
BACK_S_MAX = 90.0
DISK_BYTES, BLOCK_BYTES = 1 << 30, 4096
FILLER = "filler"
# A file may not grow beyond this while there is no disk to fill: every further segment and page is refused.
FILE_BYTES_MAX = 8192


class Trouble(NamedTuple):
    """One thing that goes wrong; `name` is printed, and says how to do it by hand."""

    name: str
    make: Callable[[], None]


class Troubles:
    """Troubles of one venue. Each returns when the venue answers again, or fails with its logs."""

    def __init__(self, *, running: RunningVenue, chance: random.Random) -> None:
        self._running, self._chance = running, chance

    def essential(self) -> list[Trouble]:
        """Those that every run has: they hit the parts that carry orders."""
        kills = [self._kill(name) for name in ("engine", "fix", "valkey", "postgres")]
        stopped = self._stop(self._chance.choice(("engine", "fix", "postgres", "valkey")))
        return [*kills, Trouble("FLUSHALL", self._flush), stopped]

    def every(self) -> list[Trouble]:
        """All there are on this machine."""
        names = (*PROGRAMS, *SERVERS)
        return [
            *(self._kill(name) for name in names),
            *(self._stop(name) for name in (*names, LPS)),
            Trouble("FLUSHALL", self._flush),
            Trouble("restart of PostgreSQL", self._restart),
            Trouble("disk full" if self._has_disk() else "no file may grow (RLIMIT_FSIZE)", self._fill),
        ]

    def deck(self, *, count: int, only: str = "") -> list[Trouble]:
        """Return so many, in an order of luck: the essential ones, then each of the others, then any.

        With `only` all are of that name.
        """
        if only:
            return [card for card in self.every() if card.name == only] * count
        cards = self.essential()
        others = [card for card in self.every() if card.name not in {each.name for each in cards}]
        self._chance.shuffle(others)
        cards = (cards + others)[:count]
        cards += [self._chance.choice(self.every()) for _ in range(count - len(cards))]
        self._chance.shuffle(cards)
        return cards

    def _kill(self, name: str) -> Trouble:
        def make() -> None:
            old = self._running.kill(name)
            self._await(lambda: self._is_other(name, old))

        return Trouble(f"kill -9 {name}", make)

    def _stop(self, name: str) -> Trouble:
        def make() -> None:
            stopped = self._running.pids(name)
            _signal(stopped, signal.SIGSTOP)
            time.sleep(self._chance.uniform(*STOPPED_S))
            _signal(stopped, signal.SIGCONT)

        return Trouble(f"SIGSTOP {name}", make)

    def _flush(self) -> None:
        self._running.redis().flushall()

    def _restart(self) -> None:
        old = self._running.pid("postgres")
        os.kill(old, signal.SIGINT)
        self._await(lambda: self._is_other("postgres", old))

    def _fill(self) -> None:
        disk = self._running.home if self._has_disk() else None
        with _full_disk(disk) if disk else _short_files(lambda: self._pids_if_any("postgres")):
            time.sleep(self._chance.uniform(*FULL_S))

    def _pids_if_any(self, name: str) -> list[int]:
        try:
            return self._running.pids(name)
        except AssertionError:
            return []

    def _has_disk(self) -> bool:
        return self._running.home.is_mount()

    def _is_other(self, name: str, old: int) -> bool:
        try:
            return self._running.pid(name) != old
        except (AssertionError, StopIteration, ValueError):
            return False

    def _await(self, condition: Callable[[], bool]) -> None:
        wait(condition, seconds=BACK_S_MAX, what=self._running.logs)


@contextlib.contextmanager
def small_disk() -> Iterator[Path | None]:
    """Yield a folder on a disk of its own, None where this user may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="piggy-flows-disk-"))
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "tmpfs"]
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    try:
        yield folder if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
        folder.rmdir()


@contextlib.contextmanager
def _full_disk(disk: Path) -> Iterator[None]:
    """Leave no free byte on the venue's disk (F-21)."""
    filler = disk / FILLER
    try:
        with filler.open("wb") as file:
            at, chunk = 0, os.statvfs(disk).f_blocks * os.statvfs(disk).f_frsize
            # The venue writes meanwhile, so that there is always a little less than there was.
            while chunk >= BLOCK_BYTES:
                try:
                    os.posix_fallocate(file.fileno(), at, chunk)
                    at += chunk
                except OSError:
                    chunk //= 2
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def _short_files(pids: Callable[[], list[int]]) -> Iterator[None]:
    """Let PostgreSQL's processes, and those that they start, write nothing further on in a file (F-21)."""
    _limit_files(pids(), str(FILE_BYTES_MAX))
    try:
        yield
    finally:
        _limit_files(pids(), "unlimited")
        _limit_files(pids(), "unlimited")  # Those too that were started meanwhile by one that still had the limit.


def _limit_files(pids: list[int], limit: str) -> None:
    """Set how long a file a process may write, as the user that it runs as: a container's root may not do so itself."""
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):  # It has ended.
            owner = Path(f"/proc/{pid}").stat()
            other = owner.st_uid != os.getuid()
            done = subprocess.run(
                ["prlimit", "--pid", str(pid), f"--fsize={limit}:"],
                user=owner.st_uid if other else None,
                group=owner.st_gid if other else None,
                extra_groups=[] if other else None,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0 or not Path(f"/proc/{pid}").exists(), done.stderr


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
