"""Show what set-up does, how long it has taken and why it takes long; standard library only."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WORD_EVERY_S = 20.0
# `make` says when it began, so that set-up and start are one clock for the person who waits.
_began_s = time.time() - int(os.environ.get("PIGGY_BEGAN_AT_S") or time.time())
_started = time.monotonic() - _began_s


class UnableToSetUp(Exception):
    """A step of the set-up failed; the message says what to do about it."""


def say(text: str) -> None:
    """Print one plain line with the seconds since the start."""
    print(f"[{elapsed_s():5.0f} s] {text}", flush=True)


def elapsed_s() -> float:
    """Return the seconds since `make`, or this process, began."""
    return time.monotonic() - _started


@dataclass(slots=True, kw_only=True)
class Step:
    """A command of the set-up that runs on its own, with its output in a log file."""

    name: str
    argv: Sequence[str]
    log: Path
    why_long: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    child: subprocess.Popen[bytes] | None = None
    began: float = 0.0

    def start(self) -> Step:
        """Start the command and return at once."""
        say(f"{self.name}{f' ({self.why_long})' if self.why_long else ''} ...")
        self.began = time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self.child = subprocess.Popen(
                list(self.argv),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=self.cwd,
                env={**os.environ, **self.env},
            )
        return self

    def wait(self) -> bool:
        """Wait for its end, with a word now and then; returns whether it went well."""
        assert self.child is not None
        spoke = time.monotonic()
        while self.child.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - spoke > WORD_EVERY_S:
                spoke = time.monotonic()
                say(f"  still: {self.name}, {spoke - self.began:.0f} s so far{self._because()}")
        if self.child.returncode == 0:
            say(f"  done: {self.name}, {time.monotonic() - self.began:.0f} s")
        return self.child.returncode == 0

    def require(self) -> None:
        """Wait for its end; raises UnableToSetUp with the end of its log when it failed."""
        if not self.wait():
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
            raise UnableToSetUp(f"{self.name} failed; the end of {self.log}:\n{tail}")

    def stop(self) -> None:
        """End the command if it still runs."""
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            self.child.wait()

    def _because(self) -> str:
        return f" ({self.why_long})" if self.why_long else ""


def fingerprint(*, files: Iterable[Path], extra: str = "") -> str:
    """Return a digest of these files' contents and of the Python that reads them."""
    digest = hashlib.sha256(f"{sys.version_info[:3]}{extra}".encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def is_stamped(*, stamp: Path, value: str) -> bool:
    """Tell whether this very work was finished before."""
    return stamp.is_file() and stamp.read_text() == value


def put_stamp(*, stamp: Path, value: str) -> None:
    """Remember that the work is finished; written last, so that an interrupted set-up goes on."""
    half = stamp.with_name(f"{stamp.name}.part")
    half.write_text(value)
    half.replace(stamp)
