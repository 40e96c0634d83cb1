"""The compiled reader of refreshes against a naive one."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.inbound import MarketDataBook
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


@pytest.mark.parametrize("broken", ["x=1|", "=1|", "270|", "55=NOBODY|"])
def test_a_refresh_that_makes_no_sense_is_refused(broken: str) -> None:
    with pytest.raises(UnableToReadReport):
        book().apply(f"{HEAD}268=1|279=0|269=0|{broken}270=1|271=1|10=000|".replace("|", SOH))


def test_a_refresh_that_ends_too_early_is_refused() -> None:
    for length in range(60, 100):
        text = f"{HEAD}268=1|279=0|269=0|55=EURUSD|270=1|271=1".replace("|", SOH)[:length]
        with pytest.raises(UnableToReadReport):
            book().apply(text)
