"""The compiled reader of refreshes against a naive one."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.inbound import ENTRIES_MAX, MarketDataBook
from piggy.adapters.fix.messages import SOH
from piggy.adapters.interface import SymbolMapping, UnableToReadReport

NAMES = ("EURUSD", "GBPUSD")
HEAD = "8=FIX.4.4|9=0|35=X|34=2|49=LP1|52=20261122-10:00:00.000|56=ACORN|"


def book() -> MarketDataBook:
    mappings = tuple(SymbolMapping(symbol=n, venue_symbol=n, units_per_lot=Decimal(100_000)) for n in NAMES)
    config = SessionConfig(
        tenant="acorn",
        venue="LP1",
        host="",
        port=1,
        sender_comp_id="A",
        target_comp_id="B",
        home=Path("unused"),
        symbols=mappings,
    )
    return MarketDataBook(config=config)


def refresh(entries: list[dict[str, str]]) -> str:
    body = "".join(f"{tag}={value}|" for entry in entries for tag, value in entry.items())
    return f"{HEAD}268={len(entries)}|{body}10=000|".replace("|", SOH)


def entry(rng: random.Random) -> dict[str, str]:
    """An entry with most of what it may hold, now and then a deletion, a withdrawal or only what changed."""
    found = {"279": rng.choice("0112")}
    if rng.random() < 0.9:
        found["269"] = rng.choice("0102")
    if rng.random() < 0.8:
        found["278"] = rng.choice("abcd")
    found["55"] = rng.choice(NAMES)
    if rng.random() < 0.85:
        found["270"] = rng.choice(("1.1", "1.10002", "0", "0.000"))
    if rng.random() < 0.85:
        found["271"] = rng.choice(("100000", "250000.5", "0"))
    if rng.random() < 0.2:
        found |= {"272": "20261122", "273": "10:00:01.5"}
    if rng.random() < 0.1:
        found["276"] = rng.choice("AB")
    return found


def naive(books: dict[str, dict[str, tuple[str, str, str]]], each: dict[str, str]) -> None:
    entries = books[each["55"]]
    key = each.get("278", f"{each.get('269', '')}@{each.get('270', '')}")
    side, price, size = entries.get(key, ("", "0", str(Decimal(10) * 100_000)))
    side, price, size = each.get("269", side), each.get("270", price), each.get("271", size)
    if each["279"] == "2" or each.get("276") == "B" or not Decimal(price) or not Decimal(size):
        entries.pop(key, None)
    elif side in "01" and side:
        entries[key] = (side, price, size)


@pytest.mark.parametrize("seed", range(20))
def test_refreshes_read_fast_and_slow_leave_the_same_book(seed: int) -> None:
    rng = random.Random(seed)
    fast, slow = book(), {name: {} for name in NAMES}
    for _ in range(50):
        entries = [entry(rng) for _ in range(rng.randrange(1, 8))]
        taken = fast.taken
        assert fast.apply(refresh(entries)) == {each["55"] for each in entries}
        assert fast.taken == taken + len(entries)
        for each in entries:
            naive(slow, each)
        assert {name: fast._books[name].entries for name in NAMES} == slow


@pytest.mark.parametrize("broken", ["x=1|", "=1|", "270|"])
def test_a_refresh_that_makes_no_sense_is_refused(broken: str) -> None:
    with pytest.raises(UnableToReadReport):
        book().apply(f"{HEAD}268=1|279=0|269=0|{broken}270=1|271=1|10=000|".replace("|", SOH))


def test_a_refresh_that_ends_too_early_is_refused() -> None:
    for length in range(60, 100):
        text = f"{HEAD}268=1|279=0|269=0|55=EURUSD|270=1|271=1".replace("|", SOH)[:length]
        with pytest.raises(UnableToReadReport):
            book().apply(text)


SNAPSHOT = HEAD.replace("35=X", "35=W")


def shown(books: MarketDataBook, name: str = "EURUSD") -> tuple[list[str], list[str]]:
    quote = books.quote(symbol=name, received_at_us=7)
    return [str(each.price) for each in quote.bids], [str(each.price) for each in quote.asks]


def bid(price: str, key: str = "", name: str = "EURUSD", action: str = "0", **more: str) -> dict[str, str]:
    named = {"278": key} if key else {}
    return {"279": action, "269": "0", **named, "55": name, "270": price, "271": "100000", **more}


def test_a_symbol_that_nobody_mapped_takes_nothing_from_the_others_of_its_message() -> None:
    books = book()
    assert books.apply(refresh([bid("1.1", "a"), bid("9", "n", "NOBODY"), bid("1.3", "g", "GBPUSD")])) == set(NAMES)
    assert shown(books) == (["1.1"], []) and shown(books, "GBPUSD") == (["1.3"], [])


@pytest.mark.parametrize("nonsense", ["NaN", "abc", "Infinity", "1e5", "1.1 ", "-", ".", "1.1.1", "\u0967"])
@pytest.mark.parametrize("tag", ["270", "271"])
def test_an_entry_without_a_price_or_size_is_withdrawn_and_the_others_are_shown(tag: str, nonsense: str) -> None:
    """F-19: made into a number when the book is shown, it once ended the thread that shows every broker's quotes."""
    books = book()
    books.apply(refresh([bid("1.1", "a"), bid("1.0", "b")]))
    assert books.apply(refresh([{**bid("1.2", "a", action="1"), tag: nonsense}])) == {"EURUSD"}
    assert shown(books) == (["1.0"], []) and len(books.faults) == 1
    side = {"269": "0", "270": "1.2", "271": "100000"}
    body = "".join(f"{t}={v}|" for each in ({**side, tag: nonsense}, {**side, "270": "1.0"}) for t, v in each.items())
    books.apply(f"{SNAPSHOT}55=EURUSD|268=2|{body}10=000|".replace("|", SOH))
    assert shown(books) == (["1.0"], []) and len(books.faults) == 2


@pytest.mark.parametrize("stamp", ["10:00:00.1Z", "morning", "99:99:99"])
def test_a_time_that_is_none_leaves_the_time_of_arrival(stamp: str) -> None:
    books = book()
    books.apply(refresh([bid("1.1", "a", **{"272": "20261122", "273": stamp})]))
    assert books.quote(symbol="EURUSD", received_at_us=7).venue_at_us == 7


def test_a_change_or_deletion_may_name_its_entry_and_no_symbol() -> None:
    """Ids are of the whole session; what names an entry of another symbol than the one before it is found all the
    same, and what nobody knows is nobody's: a level left over would be dealt at."""
    books = book()
    books.apply(refresh([bid("1.1", "a"), bid("1.3", "g", "GBPUSD")]))
    unnamed = {"279": "2", "278": "g"}
    assert books.apply(refresh([bid("1.2", "a", action="1"), unnamed])) == set(NAMES)
    assert shown(books) == (["1.2"], []) and shown(books, "GBPUSD") == ([], [])
    assert books.apply(refresh([{"279": "2", "278": "a"}])) == {"EURUSD"} and shown(books) == ([], [])
    assert books.apply(refresh([{"279": "1", "278": "x", "269": "0", "270": "5", "271": "1"}])) == set()
    assert books.apply(refresh([bid("1.1"), {"279": "2", "269": "0", "270": "1.1"}])) == {"EURUSD"}
    assert shown(books) == ([], []), "without an id the symbol before it is meant"


def test_an_entry_that_takes_the_place_of_another_leaves_none_of_it() -> None:
    books = book()
    books.apply(refresh([bid("1.1", "a")]))
    assert books.apply(refresh([{"279": "1", "280": "a", "278": "b", "270": "1.2"}])) == {"EURUSD"}
    assert shown(books) == (["1.2"], [])
    books.apply(refresh([{"279": "2", "278": "b"}]))
    assert shown(books) == ([], [])


def test_a_refresh_without_ids_changes_what_the_snapshot_showed() -> None:
    """Levels of an LP that names them by side and price alone, not a second book beside the first."""
    books = book()
    levels = "269=0|270=1.1|271=100000|269=0|270=1.0|271=100000|269=0|270=1.0|271=50000|"
    books.apply(f"{SNAPSHOT}55=EURUSD|268=3|{levels}10=000|".replace("|", SOH))
    assert shown(books)[0] == ["1.1", "1.0", "1.0"]
    books.apply(refresh([bid("1.1", action="1") | {"271": "300000"}]))
    best = books.quote(symbol="EURUSD", received_at_us=7).bids[0]
    assert (str(best.price), str(best.size)) == ("1.1", "3") and len(shown(books)[0]) == 3
    books.apply(refresh([bid("1.1", action="2")]))
    assert shown(books)[0] == ["1.0", "1.0"]


def test_a_book_that_its_lp_takes_nothing_out_of_is_dropped_before_it_grows_for_ever() -> None:
    books = book()
    books.apply(refresh([bid("1.3", "g", "GBPUSD")]))
    for number in range(ENTRIES_MAX):
        books.apply(refresh([bid(f"1.{number:05}1", f"k{number}")]))
    assert len(shown(books)[0]) == ENTRIES_MAX and not books.faults
    assert books.apply(refresh([bid("2", "more")])) == {"EURUSD"}
    assert shown(books) == ([], []) and shown(books, "GBPUSD") == (["1.3"], [])
    assert "more than 1000 entries" in books.faults.pop()
    head = HEAD.replace("35=X", "35=i")
    for number in range(2 * ENTRIES_MAX + 5):
        quoted = f"117=q|295=1|299=e{number}|55=EURUSD|188=1.1|134=1|10=000|"
        books.apply(f"{head}{quoted}".replace("|", SOH))
        assert len(books._books["EURUSD"].entries) <= ENTRIES_MAX and len(books._quoted) <= 2 * ENTRIES_MAX
    assert len(books.faults) == 2
