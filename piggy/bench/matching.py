"""How many commands a second the price-time book takes: in batch, by single calls, and as it grows."""

from __future__ import annotations

from statistics import median
from time import perf_counter

from piggy.bench.flow import Commands, flow, seeding
from piggy.core.book import Book
from piggy.core.booktypes import Op

RESTING = 100_000
COMMANDS = 1_000_000
RUNS_MIN, RUNS_MAX = 3, 25


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return commands per second (medians) and `growth`, the cost per command at 1,000,000 resting over 1,000."""
    commands = max(int(COMMANDS * scale), 1_000)
    batch, events = _batch_s(resting=RESTING, commands=commands, seconds=seconds / 3)
    call = _call_s(resting=RESTING, commands=commands // 2, seconds=seconds / 6)
    small, _ = _batch_s(resting=1_000, commands=commands, seconds=seconds / 6)
    large, _ = _batch_s(resting=1_000_000, commands=commands, seconds=seconds / 6)
    return {
        "batch_per_s": round(1 / median(batch)),
        "call_per_s": round(1 / median(call)),
        "growth": round(median(large) / median(small), 3),
        "small_per_s": round(1 / median(small)),
        "large_per_s": round(1 / median(large)),
        "events_per_command": round(events / commands, 3),
        "load": f"{commands} commands on {RESTING} resting orders: 42 % cancels, 10 % crossing, events produced",
        "runs": len(batch),
    }


def _batch_s(*, resting: int, commands: int, seconds: float) -> tuple[list[float], int]:
    seeded = seeding(resting=resting, seed=1)
    stream = flow(seeded=seeded, commands=commands, seed=2)
    times: list[float] = []
    events = 0
    while len(times) < RUNS_MIN or (sum(times) * commands < seconds and len(times) < RUNS_MAX):
        book = Book(capacity=resting * 2)
        seeded.run(book=book)
        start = perf_counter()
        events = stream.run(book=book)
        times.append((perf_counter() - start) / commands)
    return times, events


def _call_s(*, resting: int, commands: int, seconds: float) -> list[float]:
    seeded = seeding(resting=resting, seed=1)
    stream = flow(seeded=seeded, commands=commands, seed=2)
    times: list[float] = []
    while len(times) < RUNS_MIN or (sum(times) * commands < seconds and len(times) < RUNS_MAX):
        book = Book(capacity=resting * 2)
        seeded.run(book=book)
        times.append(_calls(book=book, stream=stream) / commands)
    return times


def _calls(*, book: Book, stream: Commands) -> float:
    columns = (stream.op, stream.order_id, stream.side, stream.price, stream.qty, stream.flags)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    cancel, submit, asked = book.cancel, book.submit, int(Op.CANCEL)
    start = perf_counter()
    for op, order_id, side, price, qty, flags in rows:
        if op == asked:
            cancel(order_id=order_id)
        else:
            submit(order_id=order_id, side=side, price=price, qty=qty, flags=flags)
    return perf_counter() - start
