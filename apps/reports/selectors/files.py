"""Which files of the exported log there are, and SQL over them: DuckDB in memory, one question at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Context, Decimal, Inexact
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings

NAME = re.compile(r"^(\d{12})-(\d{12})\.parquet$")
THREADS = 2
MEMORY_MAX = "1GB"
NO_END = 2**63 - 1
# Columns of money that came after the first files were written.
LATER = ("premium", "guarantee_cost")
# As many digits as a column has; one more would be a rounding, which is an error here.
EXACT = Context(prec=38, traps=[Inexact])


class Piece(NamedTuple):
    """A file and the first and last event in it."""

    first: int
    last: int
    path: Path


class UnableToReadFiles(Exception):
    """Files are missing, overlap or are spoilt: figures made of them would be wrong and look right."""


class NothingThere(UnableToReadFiles):
    """An export has been and found no event, for the broker is new: there is nothing to tell of it yet."""


def default_folder() -> Path:
    """Return where this installation keeps the exported logs."""
    return Path(settings.PIGGY_HOME) / "pnl"


def folder_of(*, folder: Path, tenant: str) -> Path:
    """Return a tenant's own part of `folder`."""
    return folder / f"tenant={tenant}"


def pieces(*, folder: Path, tenant: str) -> list[Piece]:
    """Return a tenant's files in the order of the log. Raises UnableToReadFiles where one is missing."""
    home = folder_of(folder=folder, tenant=tenant)
    found = sorted(
        Piece(int(named[1]), int(named[2]), path)
        for path in home.glob("date=*/*.parquet")
        if (named := NAME.match(path.name))
    )
    done = 0
    for piece in found:
        if piece.first != done + 1:
            raise UnableToReadFiles(f"{home}: event {done + 1} should follow {done}, {piece.path.name} is next")
        done = piece.last
    return found


@contextmanager
def opened(*, folder: Path, tenant: str, as_of: int = NO_END) -> Iterator[Log]:
    """Open a tenant's exported log up to event `as_of`; what came later is not seen. Raises UnableToReadFiles."""
    wanted = [piece for piece in pieces(folder=folder, tenant=tenant) if piece.first <= as_of]
    if not wanted:
        if as_of > 0 and folder_of(folder=folder, tenant=tenant).exists():
            raise NothingThere("no event was in its log when it was exported last")
        raise UnableToReadFiles("nothing is exported yet; run `manage.py pnl export`")
    # Its import takes a quarter of a second, which no other request should pay.
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": THREADS, "memory_limit": MEMORY_MAX})
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        paths = [str(piece.path) for piece in wanted]
        try:
            files = connection.read_parquet(paths, hive_partitioning=False, union_by_name=True)
        except duckdb.Error as error:
            raise UnableToReadFiles(f"a file is spoilt, take it and those after it away and export: {error}") from error
        # Files of before have fewer columns; who asks finds nothing in them.
        for name in sorted({*LATER} - {*files.columns}):
            files = files.project(f"*, NULL::DECIMAL(38, 18) AS {name}")
        files.filter(f"seq <= {int(as_of)}").create_view("log")
        yield Log(connection, min(as_of, wanted[-1].last))
    finally:
        connection.close()


class Log:
    """An exported log as the view `log`; `seq` is the last event seen."""

    def __init__(self, connection: Any, seq: int) -> None:
        self._connection = connection
        self.seq = seq

    def last_date(self) -> date:
        """Return the business date of the last event seen."""
        found: date = self.rows("SELECT max(business_date) FROM log")[0][0]
        return found

    def run(self, statement: str, values: dict[str, Any] | None = None) -> None:
        """Do what returns nothing, as making a view."""
        self._connection.execute(statement, values or {})

    def rows(self, statement: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return every row; decimals are Decimal, exactly."""
        found: list[tuple[Any, ...]] = self._connection.execute(statement, values or {}).fetchall()
        return found


def exact(number: Any) -> Decimal:
    """Return a column's number without the zeros that fill it up: they would take digits off what it is used for."""
    return EXACT.create_decimal(number).normalize(EXACT) if number else Decimal(0)
