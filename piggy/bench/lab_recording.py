"""A made-up day kept in a file, as the log's pages and the tape's chunks: making it takes as long as living it.

It is made anew whenever the program that decides it changes.
"""

from __future__ import annotations

import gc
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from piggy.bench.lab_day import TENANT, Day, Pen
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.engine.journal import Row
from piggy.engine.lab.running import Recording, Request
from piggy.local.environment import home
from piggy.messaging import log_pages, tape
from piggy.messaging.chain import NUMBERS, Tip
from piggy.messaging.log_pages import EPOCH_US, LENGTH, PAGE_ROWS
from piggy.messaging.tape import Begun, Entry

PACKAGES = Path(__file__).parent.parent
DECIDES = ("core", "engine", "messaging", "bench")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`pages` of the log (zlib), the first `opening` of which are the opening's, and `chunks` of the tape."""

    events: int
    opening: int
    pages: list[bytes]
    chunks: list[bytes]


class PagePen(Pen):
    """Keeps the log in pages, as PostgreSQL hands it out, and nothing else of it."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[bytes] = []
        self.opening = 0
        self._page: list[bytes] = []

    def chain(self, *, tenant: str, recorded: Recorded) -> Row:
        """Return the row that follows, and keep what is written of it."""
        row = super().chain(tenant=tenant, recorded=recorded)
        self.rows.clear()
        self.chained.clear()
        self._page.append(written(row=row))
        if len(self._page) == PAGE_ROWS:
            self.cut()
        return row

    def opened(self) -> None:
        """The day begins with a page of its own."""
        self.cut()
        self.opening = len(self.pages)

    def cut(self) -> None:
        """End the page."""
        if self._page:
            self.pages.append(zlib.compress(b"".join(self._page), tape.LEVEL))
            self._page = []


class File(Recording):
    """A kept day, read as a tenant's log and tape are read."""

    def __init__(self, *, path: Path) -> None:
        self.tenant = TENANT
        self._kept = msgspec.msgpack.decode(path.read_bytes(), type=Kept)

    async def chunks(self, *, request: Request) -> list[int]:
        """Return the names of all chunks."""
        return list(range(len(self._kept.chunks)))

    async def entries(self, *, chunk: int) -> list[Entry]:
        """Return a chunk's entries."""
        return tape.entries_of(body=self._kept.chunks[chunk])

    async def desk(self, *, begun: Begun) -> tuple[Desk, Tip]:
        """Return the desk as it was when the day began."""
        desk, tip = Desk(tenant=TENANT), Tip()
        for page in self._kept.pages[: self._kept.opening]:
            for row in log_pages.rows(tenant=TENANT, page=zlib.decompress(page), tip=tip):
                desk.apply(recorded=row.recorded)
        assert tip.seq == begun.seq, f"the opening ends at {tip.seq}, the tape begins after {begun.seq}"
        return tape.desk_at(state=desk.state, begun=begun), tip

    async def pages(self, *, tip: Tip) -> AsyncIterator[bytes]:
        """Yield the day's pages."""
        for page in self._kept.pages[self._kept.opening :]:
            yield zlib.decompress(page)


def recording(*, orders: int) -> tuple[Path, int, int]:
    """Return the file of a day of so many orders, its events and its bytes; it is made where there is none."""
    place = home(env=os.environ) / "bench"
    path = place / f"lab-{orders}-{program()}.day"
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        for old in place.glob(f"lab-{orders}-*.day"):
            old.unlink(missing_ok=True)
        _make(path, orders)
    kept = msgspec.msgpack.decode(path.read_bytes(), type=Kept)
    return path, kept.events, sum(map(len, kept.chunks))


def program() -> str:
    """Return 12 hex digits that change with the source of all that decides a day or writes it down."""
    digest = hashlib.sha256()
    for source in _sources():
        digest.update(source.relative_to(PACKAGES).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:12]


def written(*, row: Row) -> bytes:
    """Return a row as it stands in a page."""
    of = row.recorded
    texts = "\x1f".join((of.command_id, row.type, of.principal, of.request_hash)).encode()
    occurred_at_us, recorded_at_us = of.occurred_at_us - EPOCH_US, of.recorded_at_us - EPOCH_US
    numbers = NUMBERS.pack(
        of.seq, of.position, row.version, occurred_at_us, recorded_at_us, of.recorded_mono_ns, len(texts)
    )
    covered = b"".join((row.prev_hash, numbers, texts, row.payload))
    return LENGTH.pack(len(covered), row.hash) + covered


def _make(path: Path, orders: int) -> None:
    pen = PagePen()
    gc.disable()
    try:
        day = Day(orders=orders, pen=pen)
    finally:
        gc.enable()
    pen.cut()
    kept = Kept(events=pen.tips[TENANT].seq - day.opened, opening=pen.opening, pages=pen.pages, chunks=day.chunks)
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.msgpack.encode(kept))
    beside.replace(path)


def _sources() -> Iterator[Path]:
    for package in DECIDES:
        yield from sorted(each for each in (PACKAGES / package).rglob("*.p*") if each.suffix in (".py", ".pyx", ".pxd"))
