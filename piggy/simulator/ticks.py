"""Recorded ticks: `<source>/<symbol>/<yyyymmdd>_quote.zip`, rows of ms since midnight, bid, ask; a source is an LP."""

from __future__ import annotations

import heapq
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

SUFFIX = "_quote.zip"
_SATURDAY = 5


class UnableToReadTicks(Exception):
    """The folder holds no recorded ticks of the kind described above."""


class Tick(NamedTuple):
    """One recorded quote; `at_us` is UTC microseconds."""

    at_us: int
    symbol: str
    bid: Decimal
    ask: Decimal


def sources(*, folder: Path) -> list[str]:
    """Return the names of the sources, sorted: the first is the first LP. Raises UnableToReadTicks."""
    found = sorted({path.parent.parent.name for path in folder.glob(f"*/*/*{SUFFIX}")})
    if not found:
        raise UnableToReadTicks(f"No <source>/<symbol>/<yyyymmdd>{SUFFIX} under {folder}.")
    return found


def first_common_weekday(*, folder: Path) -> str:
    """Return the first yyyymmdd, Monday to Friday, on which every source has EURUSD or, failing that, anything.

    The first full week is preferred: a file that starts a recording is often a part of a day.
    """
    days = [_days(folder, source) for source in sources(folder=folder)]
    common = sorted(day for day in set.intersection(*days) if _at(day).weekday() < _SATURDAY)
    if not common:
        raise UnableToReadTicks(f"The sources under {folder} have no weekday in common.")
    mondays = [day for day in common if _at(day).weekday() == 0]
    return (mondays or common)[0]


def symbols(*, folder: Path, source: str, date: str) -> list[str]:
    """Return the symbols, upper case, that `source` recorded on `date`."""
    return sorted(path.parent.name.upper() for path in (folder / source).glob(f"*/{date}{SUFFIX}"))


def ticks(*, folder: Path, source: str, date: str) -> Iterator[Tick]:
    """Yield the day's ticks of all symbols of one source in order of time."""
    paths = sorted((folder / source).glob(f"*/{date}{SUFFIX}"))
    yield from heapq.merge(*(read(path=path) for path in paths), key=lambda tick: tick.at_us)


def read(*, path: Path) -> Iterator[Tick]:
    """Yield the ticks of one file in its own order."""
    midnight_us = int(_at(path.name.removesuffix(SUFFIX)).timestamp()) * 1_000_000
    symbol = path.parent.name.upper()
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as rows:
        for row in rows:
            ms, bid, ask = row.decode("ascii").strip().split(",")[:3]
            yield Tick(midnight_us + int(Decimal(ms) * 1_000), symbol, Decimal(bid), Decimal(ask))


def _days(folder: Path, source: str) -> set[str]:
    paths = list((folder / source).glob(f"eurusd/*{SUFFIX}")) or list((folder / source).glob(f"*/*{SUFFIX}"))
    return {path.name.removesuffix(SUFFIX) for path in paths}


def _at(date: str) -> datetime:
    return datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC)
