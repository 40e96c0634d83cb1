"""How many venue quotes a second the market takes, the best bid and offer known after each."""

from __future__ import annotations

import random
from decimal import Decimal
from statistics import median
from time import perf_counter

from piggy.core.market import Level, VenueQuote
from piggy.core.quotes import Market

VENUES, SYMBOLS = 20, 100
ROUNDS = 4  # Few enough to stay in cache, as quotes that were just decoded do.
MIDDLE, POINT = 110_000, Decimal("0.00001")
RUNS_MIN, RUNS_MAX = 5, 200


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return the median of `updates_per_s`; `read_per_s` also asks for the best quote after every update."""
    quotes = stream(symbols=max(int(SYMBOLS * scale), 1), seed=7)
    updates = _rates(quotes, seconds=seconds / 2, read=False)
    reads = _rates(quotes, seconds=seconds / 2, read=True)
    return {
        "updates_per_s": round(median(updates)),
        "read_per_s": round(median(reads)),
        "load": f"{len(quotes)} top-of-book quotes of {VENUES} venues x {len(quotes) // VENUES // ROUNDS} symbols",
        "runs": len(updates),
    }


def stream(*, symbols: int, seed: int) -> list[VenueQuote]:
    """Return seeded quotes, every venue of every symbol wandering around one middle, in random order."""
    generator = random.Random(seed)
    quotes: list[VenueQuote] = []
    feeds = [(f"LP{venue}", f"S{symbol}") for venue in range(VENUES) for symbol in range(symbols)]
    for _ in range(ROUNDS):
        generator.shuffle(feeds)
        for venue, symbol in feeds:
            bid = MIDDLE + generator.randrange(-20, 20)
            at_us = len(quotes) * 2
            quotes.append(
                VenueQuote(
                    venue=venue,
                    symbol=symbol,
                    bids=(Level(bid * POINT, Decimal(generator.randrange(1, 50))),),
                    asks=(Level((bid + generator.randrange(5, 30)) * POINT, Decimal(generator.randrange(1, 50))),),
                    venue_at_us=at_us,
                    received_at_us=at_us,
                )
            )
    return quotes


def _rates(quotes: list[VenueQuote], *, seconds: float, read: bool) -> list[float]:
    market = Market()
    market.update_many(quotes=quotes)
    rates: list[float] = []
    spent = 0.0
    while len(rates) < RUNS_MIN or (spent < seconds and len(rates) < RUNS_MAX):
        start = perf_counter()
        if read:
            for quote in quotes:
                market.update(quote=quote)
                market.best(symbol=quote.symbol, now_us=quote.received_at_us)
        else:
            market.update_many(quotes=quotes)
        took = perf_counter() - start
        spent += took
        rates.append(len(quotes) / took)
    return rates
