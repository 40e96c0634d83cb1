"""What the disk does while a bench runs: small durable writes to a file of its own, each timed.

A commit waits for the same device. Where a write of eight kilobytes takes a third of a second, no commit is faster, and
a bench that does not say so blames the engine.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

PROBE_S = 0.02
PROBE_BYTES = 8_192
FILE_PROBES = 500


class Stall(NamedTuple):
    """A durable write that took long, in seconds of `time.perf_counter`."""

    began_s: float
    ended_s: float


class DiskWatch:
    """Writes from a thread while the block lasts; `stalls` are the writes that took at least `stall_ms`, in order."""

    def __init__(self, *, directory: Path, stall_ms: float) -> None:
        self.stalls: list[Stall] = []
        self._path = directory / "disk.probe"
        self._stall_s = stall_ms / 1_000
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def between(self, *, began_s: float, ended_s: float) -> list[Stall]:
        """Return the stalls that touch this time."""
        return [stall for stall in list(self.stalls) if stall.ended_s > began_s and stall.began_s < ended_s]

    def _run(self) -> None:
        file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            # The file is as large as it will be, so that a write changes nothing but its own bytes.
            os.pwrite(file, bytes(PROBE_BYTES * FILE_PROBES), 0)
            os.fsync(file)
            number = 0
            while not self._stopped.wait(PROBE_S):
                os.pwrite(file, number.to_bytes(8, "big") * (PROBE_BYTES // 8), number % FILE_PROBES * PROBE_BYTES)
                began_s = time.perf_counter()
                os.fdatasync(file)
                ended_s = time.perf_counter()
                if ended_s - began_s >= self._stall_s:
                    self.stalls.append(Stall(began_s, ended_s))
                number += 1
        finally:
            os.close(file)


def stalled_percent(*, stalls: Sequence[Stall], began_s: float, ended_s: float) -> float:
    """Return the share of a time that stalls took."""
    lost_s = sum(min(stall.ended_s, ended_s) - max(stall.began_s, began_s) for stall in stalls)
    return 100 * max(0.0, lost_s) / (ended_s - began_s)


def apart_from(
    *, stalls: Sequence[Stall], due_s: Sequence[float], latencies_ms: Sequence[float], drain_s_min: float
) -> list[float]:
    """Return the latencies of requests that waited for no stall, nor behind those that did.

    What a stall held up is worked off after it, for as long as it lasted, and at least for `drain_s_min`.
    """
    begins = [stall.began_s for stall in stalls]
    ends: list[float] = []
    for began_s, ended_s in stalls:
        ends.append(max(ended_s + max(ended_s - began_s, drain_s_min), ends[-1] if ends else 0.0))
    kept = []
    for due, late_ms in zip(due_s, latencies_ms, strict=True):
        before = bisect_right(begins, due + late_ms / 1_000)
        if not before or ends[before - 1] <= due:
            kept.append(late_ms)
    return kept
