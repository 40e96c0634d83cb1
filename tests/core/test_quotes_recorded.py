"""Recorded days and books through the market, each held against a recomputation that knows nothing of it.

TICK_DAYS sets how many days of two brokers are tried (default 2).
"""

from __future__ import annotations

import csv
import heapq
import io
import json
import os
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import pytest

from piggy.core.accounts import Venue
from piggy.core.market import Level, VenueQuote
from piggy.core.quotefilter import AHEAD_MS_MAX
from piggy.core.quotes import Market

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DAYS = sorted(path.name for path in (DATA / "ticks" / "fxcm" / "eurusd").glob("*.zip"))[
    : int(os.environ.get("TICK_DAYS", "2"))
]
AGE_US = 5_000_000
TICKS_MAX = 40_000
STEPS_US = (-150_000, -99_000, -2_000, 2_000, 99_000, 150_000)
Side = dict[Decimal, Decimal]

needs_ticks = pytest.mark.skipif(not DAYS, reason="recorded ticks (../shared/data/ticks) are not here")
needs_books = pytest.mark.skipif(
    not (DATA / "books").exists(), reason="recorded books (../shared/data/books) are not here"
)


def ticks(broker: str, day: str) -> Iterator[tuple[int, str, Decimal, Decimal]]:
    with ZipFile(DATA / "ticks" / broker / "eurusd" / day) as archive, archive.open(archive.namelist()[0]) as raw:
        for at_ms, bid, ask in csv.reader(io.TextIOWrapper(raw)):
            yield int(at_ms) * 1000, broker, Decimal(bid), Decimal(ask)


def quote_at(
    at_us: int, venue: str, bids: list[tuple[Decimal, Decimal]], asks: list[tuple[Decimal, Decimal]]
) -> VenueQuote:
    return VenueQuote(
        venue=venue,
        symbol="X",
        bids=tuple(Level(*row) for row in bids),
        asks=tuple(Level(*row) for row in asks),
        venue_at_us=at_us,
        received_at_us=at_us,
    )


@needs_ticks
@pytest.mark.parametrize("day", DAYS)
def test_two_brokers_consolidate_to_what_a_naive_twin_finds(day: str) -> None:
    market, last = Market(), {}
    one = Decimal(1)
    for number, (at_us, venue, bid, ask) in enumerate(heapq.merge(ticks("oanda", day), ticks("fxcm", day))):
        if number == TICKS_MAX:
            break
        if bid > ask:
            continue
        assert market.update(quote=quote_at(at_us, venue, [(bid, one)], [(ask, one)])) is None
        last[venue] = (at_us, bid, ask)
        live = {name: row for name, row in last.items() if at_us - row[0] <= AGE_US}
        best = market.best(symbol="X", now_us=at_us)
        assert best and best.bid and best.ask
        assert (best.bid.price, best.bid.venue) == min(
            ((row[1], name) for name, row in live.items()), key=lambda row: (-row[0], row[1])
        )
        assert (best.ask.price, best.ask.venue) == min((row[2], name) for name, row in live.items())


def test_random_quotes_of_many_venues_consolidate_to_what_a_naive_twin_finds() -> None:
    """INV-20: the clock is stepped now and then, and asked of other moments than the newest quote's."""
    draw, market = random.Random(5), Market()
    venues = {
        f"LP{n}": Venue(name=f"LP{n}", priority=draw.randrange(3), quote_age_ms_max=draw.choice([1, 5]))
        for n in range(9)
    }
    last: dict[str, VenueQuote] = {}
    for venue in venues.values():
        market.configure(venue=venue)
    now_us, ahead_us = 0, AHEAD_MS_MAX * 1_000
    for _ in range(20_000):
        now_us += draw.choice(STEPS_US) if draw.random() < 0.01 else draw.randrange(300)
        bid = Decimal(draw.randrange(1000, 1010))
        sides = [[(bid, Decimal(draw.randrange(1, 4)))], [(bid + draw.randrange(5), Decimal(draw.randrange(1, 4)))]]
        sides[draw.randrange(2)] *= draw.random() < 0.95
        quote = quote_at(now_us, draw.choice(list(venues)), *sides)
        assert market.update(quote=quote) is None
        last[quote.venue] = quote
        asked_us = now_us + draw.choice([0, 0, 0, 700, -ahead_us, -ahead_us - 1])
        ages_us = {name: asked_us - each.received_at_us for name, each in last.items()}
        live = [q for q in last.values() if -ahead_us <= ages_us[q.venue] <= venues[q.venue].quote_age_ms_max * 1_000]
        best = market.best(symbol="X", now_us=asked_us)
        bids = [(-q.bids[0].price, -q.bids[0].size, venues[q.venue].priority, q.venue) for q in live if q.bids]
        asks = [(q.asks[0].price, -q.asks[0].size, venues[q.venue].priority, q.venue) for q in live if q.asks]
        shown = best and best.bid and (-best.bid.price, -best.bid.size, venues[best.bid.venue].priority, best.bid.venue)
        assert shown == min(bids, default=None)
        shown = best and best.ask and (best.ask.price, -best.ask.size, venues[best.ask.venue].priority, best.ask.venue)
        assert shown == min(asks, default=None)


def changed(side: Side, price: str, size: str) -> None:
    side[Decimal(price)] = Decimal(size)
    if not Decimal(size):
        del side[Decimal(price)]


def shown_is(market: Market, bids: Side, asks: Side, at_us: int) -> None:
    """Hand the book to the market as a venue's and compare what comes out with the sorted levels."""
    expected = sorted(bids.items(), reverse=True), sorted(asks.items())
    assert market.update(quote=quote_at(at_us, "V", *expected)) is None
    depth = market.depth(symbol="X", now_us=at_us)
    assert tuple([(level.price, level.size) for level in side] for side in depth) == expected
    best = market.best(symbol="X", now_us=at_us)
    tops = (best and best.bid and best.bid.price, best and best.ask and best.ask.price)
    assert tops == (max(bids, default=None), min(asks, default=None))


@needs_books
def test_a_recorded_bybit_book_of_500_levels_is_rebuilt() -> None:
    with ZipFile(DATA / "books" / "xrpusdt-ob500.data.zip") as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    market, bids, asks = Market(), {}, {}
    for message in map(json.loads, lines):
        if message["type"] == "snapshot":
            bids, asks = {}, {}
        for side, rows in ((bids, message["data"]["b"]), (asks, message["data"]["a"])):
            for price, size in rows:
                side.setdefault(Decimal(price), Decimal(0))
                changed(side, price, size)
        shown_is(market, bids, asks, message["ts"] * 1000)


@needs_books
@pytest.mark.parametrize(
    ("name", "size", "at", "ask", "micros"),
    [
        ("btcusdt-depth-snap.csv", "qty", "timestamp", "a", 1000),
        ("deribit_incremental_book_L2_BTC-PERPETUAL.csv", "amount", "timestamp", "ask", 1),
    ],
)
def test_recorded_snapshots_come_out_as_they_went_in(name: str, size: str, at: str, ask: str, micros: int) -> None:
    """Both excerpts hold one side only, and Binance's updates start long after the snapshot's last id."""
    bids: Side = {}
    asks: Side = {}
    at_us = 0
    with (DATA / "books" / name).open() as lines:
        for row in csv.DictReader(lines):
            side = asks if row["side"] == ask else bids
            side[Decimal(row["price"])] = Decimal(row[size])
            at_us = int(row[at]) * micros
    shown_is(Market(), bids, asks, at_us)
    assert bids or asks
