"""A tape's beginning: the market as it was, so that what comes next is judged as it was judged then."""

from __future__ import annotations

import zlib

import msgspec
import pytest

from piggy.core.quotefilter import Fault
from piggy.messaging import tape
from piggy.messaging.tape import Begun, UnableToReadTape, begun, desk_at, entries_of, pressed
from tests.core.floor import Floor


def test_a_feed_in_quarantine_is_back_where_it_was_as_soon_on_a_tape_as_it_was_live() -> None:
    floor = Floor()
    floor.quote("LP1", "1.40000", "1.40010")
    (start,) = entries_of(body=pressed(entries=[begun(desk=floor.desk, seq=0, at_us=floor.now_us, fresh=False)]))
    assert isinstance(start, Begun)
    again = Floor()
    again.desk = desk_at(state=floor.desk.state, begun=start)
    for each in (floor, again):
        told = []
        for _ in range(3):
            each.quote("LP1", "1.10000", "1.10010")
            told.append(each.desk.market.fault_of(venue="LP1", symbol="EURUSD"))
        assert [each is None for each in told] == [False, False, True], told


def test_a_tape_of_before_says_nothing_of_where_a_feed_last_counted() -> None:
    feed = ["LP1", "EURUSD", None, None, Fault.SPIKE, 2]
    body = zlib.compress(msgspec.msgpack.encode([[5, 7, 1_000, False, [feed], {}, [], []]]))
    (start,) = entries_of(body=body)
    assert isinstance(start, Begun)
    assert (start.feeds[0].fault, start.feeds[0].good, start.feeds[0].believed) == (Fault.SPIKE, 2, None)


def test_a_chunk_of_another_version_or_without_end_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes may say a gigabyte, and rows of another form may decode as ours."""
    body = pressed(entries=[])
    assert entries_of(body=body) == []
    with pytest.raises(UnableToReadTape, match="version"):
        entries_of(body=body, version=tape.TAPE_VERSION + 1)
    monkeypatch.setattr(tape, "CHUNK_BYTES_MAX", 1_000)
    assert entries_of(body=zlib.compress(b"\x90" + b"")) == []
    with pytest.raises(UnableToReadTape, match="more than 1000 bytes"):
        entries_of(body=zlib.compress(b"\x90" + b"\0" * 1_000))
