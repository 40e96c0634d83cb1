"""A shelf gives each entry once, packed or not, and the one that was taken out rather than the one packed away."""

from __future__ import annotations

import msgspec

from piggy.core.shelf import Shelf, packed


def test_everything_is_there_once_and_what_was_taken_out_stands_for_what_is_packed() -> None:
    shelf: Shelf[int] = Shelf(decode=msgspec.msgpack.decode, open_={"new": 3})
    shelf.put_away(
        blocks=packed(entries={name: msgspec.msgpack.encode(number) for name, number in (("a", 1), ("b", 2))})
    )
    shelf["a"] += 10
    assert dict(shelf.everything()) == {"new": 3, "a": 11, "b": 2}
    assert len(list(shelf.everything())) == 3
