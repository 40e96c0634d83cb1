"""The tape: all that a desk decided upon and the event log does not hold, so that a day can be decided again.

The log says what was decided; the tape says of what: every market data message, when prices were taken as marks, every
command with the time it was decided at. Both together give the same events again, and under other rules other ones.
A chunk is a compressed list of entries; one that `starts` begins with all that the market then remembered.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from piggy.core.answers import Memory
from piggy.core.commands import AnyCommand
from piggy.core.conversion import Touch
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.market import VenueQuote, VenueStatus
from piggy.core.quotefilter import Fault
from piggy.core.state import State

TAPE_VERSION = 1
LEVEL = 1  # Three times faster than the default, for a tenth more bytes.
CHUNK_BYTES_MAX = 256 * 2**20


class UnableToReadTape(Exception):
    """A chunk is of another version, or not what was written."""


class Quoted(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """One message of market data as it came (codec.decode_market_data reads it)."""

    data: bytes


class Marked(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The best prices of what had changed were taken as marks."""

    at_us: int


class Looked(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The desk looked at what was due, and nothing came of it. Few of these are kept."""

    at_us: int


class Decided(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A command was decided at `at_us` and recorded `lag_us` later; its events are `events` rows from `first_seq`.

    `command` is None where it was refused before it reached the desk.
    """

    at_us: int
    lag_us: int
    command_id: str
    first_seq: int
    events: int
    command: AnyCommand | None


class FeedKept(msgspec.Struct, frozen=True, array_like=True):
    """What the market remembers of one venue's quotes of one symbol."""

    venue: str
    symbol: str
    quote: VenueQuote | None
    reference: VenueQuote | None
    fault: Fault | None
    good: int
    believed: VenueQuote | None = None


class Begun(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Where replaying may begin: after event `seq`, with this market. `fresh`: an engine had just begun.

    `closed` are the venues that took nothing new yet.
    """

    seq: int
    at_us: int
    fresh: bool
    feeds: list[FeedKept]
    marks: dict[str, tuple[Decimal, Decimal, int]]
    statuses: list[VenueStatus]
    closed: list[str]


class Remembered(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The desk took the prices of an engine before it as marks of what nobody had quoted since."""

    marks: dict[str, tuple[Decimal, Decimal, int]]


Entry = Quoted | Marked | Looked | Decided | Begun | Remembered


class Unasked(Desk):
    """A desk that nobody asks for an answer a second time, so that it keeps none."""

    def _remember(self, recorded: Recorded) -> None:
        pass


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


def pressed(*, entries: Sequence[Entry]) -> bytes:
    """Return a chunk."""
    return zlib.compress(_encoder.encode(entries), LEVEL)


def entries_of(*, body: bytes, version: int = TAPE_VERSION) -> list[Entry]:
    """Return what `pressed` was given. Raises UnableToReadTape."""
    if version != TAPE_VERSION:
        raise UnableToReadTape(f"The tape is of version {version}, this program reads {TAPE_VERSION}.")
    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(body, CHUNK_BYTES_MAX)
        if unpacker.unconsumed_tail:
            raise UnableToReadTape(f"A chunk has more than {CHUNK_BYTES_MAX} bytes.")
        return _decoder.decode(plain)
    except (zlib.error, msgspec.DecodeError) as error:
        raise UnableToReadTape(f"A chunk cannot be read: {error}") from error


def begun(*, desk: Desk, seq: int, at_us: int, fresh: bool) -> Begun:
    """Return where the desk stands, which has applied the log up to `seq`; prices that changed are marked first."""
    desk.moment(now_us=at_us)
    statuses = list(desk.statuses.values())
    return Begun(seq, at_us, fresh, list(_feeds(desk)), plain(marks=desk.marks), statuses, sorted(desk.entry.closed))


def plain(*, marks: Mapping[str, Touch]) -> dict[str, tuple[Decimal, Decimal, int]]:
    """Return marks as they are written: bid, ask and when the older of the two was received, by symbol."""
    return {symbol: (touch.bid, touch.ask, touch.at_us) for symbol, touch in marks.items()}


def touches(*, marks: Mapping[str, tuple[Decimal, Decimal, int]]) -> dict[str, Touch]:
    """Return what `plain` was given."""
    return {symbol: Touch(*touch) for symbol, touch in marks.items()}


def desk_at(*, state: State, begun: Begun) -> Desk:
    """Return a desk of `state`, which is the log up to `begun.seq`, with the market of that moment.

    It remembers no command that was done: a tape holds none twice.
    """
    desk = Unasked.resumed(state=state, memory=Memory(answers=[], filters=[], forgotten=0))
    for feed in begun.feeds:
        desk.market.restore(
            venue=feed.venue,
            symbol=feed.symbol,
            quote=feed.quote,
            reference=feed.reference,
            fault=feed.fault,
            good=feed.good,
            believed=feed.believed,
        )
    desk.market.changed()
    desk.marks.update(touches(marks=begun.marks))
    desk.statuses.update({status.venue: status for status in begun.statuses})
    desk.entry.closed = set(begun.closed)
    return desk


def _feeds(desk: Desk) -> Iterable[FeedKept]:
    for symbol, book in desk.market.books.items():
        for venue, feed in book.feeds.items():
            yield FeedKept(venue, symbol, *feed.dumped())
