"""The event log to Parquet: files that are added and never changed, each a run of the log within one business date.

    <folder>/tenant=acorn/date=2026-11-20/000000000001-000000004711.parquet

A file's name says which events it holds, so the files themselves say how far the export has come: run again it goes on,
run twice it adds nothing, and a late correction is in a file of the day that it was recorded (INV-23).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from apps.audit import selectors as audit
from apps.reports.selectors.files import Piece, UnableToReadFiles, folder_of, pieces
from apps.reports.services.columns import UnableToTabulate, table
from piggy.core.rollover import business_date
from piggy.messaging.chain import Row
from piggy.messaging.log_pages import UnableToRead

FILE_ROWS_MAX = 100_000
UNFINISHED = ".part"
TIP = b"piggy.hash"


class UnableToExport(Exception):
    """Nothing was added: the files are not of this log, or somebody else is exporting it."""


# All that keeps one broker's log from being exported, and says nothing of another's.
CAUSES = (UnableToExport, UnableToReadFiles, UnableToTabulate, UnableToRead, OSError)


class Exported(NamedTuple):
    """What one run added; `seq` is the last event that the files now hold."""

    events: int
    files: int
    seq: int


def export(*, tenant: str, folder: Path) -> Exported:
    """Add what `tenant`'s log holds beyond the files under `folder`.

    Raises UnableToExport, UnableToReadFiles, UnableToTabulate, and UnableToRead where the log itself is not whole.
    """
    home = folder_of(folder=folder, tenant=tenant)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(home):
        found = pieces(folder=folder, tenant=tenant)
        done = found[-1].last if found else 0
        if found:
            _must_continue(tenant, found[-1])
        return write(home=home, rows=audit.events(tenant=tenant, after=done), done=done)


def write(*, home: Path, rows: Iterable[Row], done: int = 0) -> Exported:
    """Write rows of the log, the first of them `done` + 1, as files under a tenant's folder."""
    events = files = 0
    for day, run in _runs(rows):
        seqs = run[0].recorded.seq, run[-1].recorded.seq
        if seqs[0] != done + 1:
            raise UnableToExport(f"event {done + 1} should follow, not {seqs[0]}")
        _write(home / f"date={day.isoformat()}", seqs, table(rows=run), run[-1].hash)
        events, files, done = events + len(run), files + 1, seqs[1]
    return Exported(events, files, done)


def _runs(rows: Iterable[Row]) -> Iterator[tuple[date, list[Row]]]:
    """Cut the log where the business date changes or a file is full."""
    run: list[Row] = []
    today: date | None = None
    for row in rows:
        day = business_date(at_us=row.recorded.recorded_at_us)
        if run and today is not None and (day != today or len(run) >= FILE_ROWS_MAX):
            yield today, run
            run = []
        today = day
        run.append(row)
    if run and today is not None:
        yield today, run


def _write(day: Path, seqs: tuple[int, int], made: Any, tip: bytes) -> None:
    import pyarrow.parquet as pq

    day.mkdir(mode=0o700, exist_ok=True)
    final = day / f"{seqs[0]:012d}-{seqs[1]:012d}.parquet"
    part = final.with_suffix(UNFINISHED)
    pq.write_table(made.replace_schema_metadata({TIP: tip.hex()}), part, compression="zstd")
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    part.chmod(0o400)
    # A link fails where a file is there already: nothing that was exported is ever replaced.
    os.link(part, final)
    part.unlink()
    _settle(day)


def _settle(day: Path) -> None:
    handle = os.open(day, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _must_continue(tenant: str, last: Piece) -> None:
    """The last exported event has to be the log's own, else these files belong to another log."""
    import pyarrow.parquet as pq

    try:
        kept = (pq.read_schema(last.path).metadata or {}).get(TIP, b"").decode()
    except (ValueError, OSError) as error:
        raise UnableToExport(f"{last.path} is spoilt, take it away and export again: {error}") from error
    row = next(audit.events(tenant=tenant, after=last.last - 1, until=last.last), None)
    if row is None or row.hash.hex() != kept:
        raise UnableToExport(f"{last.path.name} is not of this log: event {last.last} has another hash there")


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnableToExport(f"another process is exporting {home.name}") from error
        for part in home.glob(f"*/*{UNFINISHED}"):
            part.unlink()
        yield
