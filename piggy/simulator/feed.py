"""What drives an LP's quotes: the generator by the clock, recorded ticks by the clock, or ticks step by step."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from piggy.simulator import ticks
from piggy.simulator.acceptor import Acceptor
from piggy.simulator.config import TICK_LOTS, LpConfig, RangeConfig, SymbolConfig
from piggy.simulator.quotes import Generator, LpBook, Rung
from piggy.simulator.ticks import Tick

REFRESH_S = 1.0


class GeneratedFeed:
    """Quotes every symbol of one LP `quotes_per_s` times a second, spread evenly over the second."""

    def __init__(self, *, lp: LpConfig, symbols: dict[str, SymbolConfig], acceptor: Acceptor) -> None:
        self._names = sorted(symbols)
        self._pause_s = 1 / max(1, lp.quotes_per_s * len(symbols))
        self._generator = Generator(lp=lp, symbols=symbols)
        self._acceptor = acceptor

    def run(self, stopped: threading.Event) -> None:
        """Quote until `stopped`."""
        due = time.monotonic()
        while self._names:
            for name in self._names:
                book = self._generator.book(symbol=name, at_us=time.time_ns() // 1_000)
                self._acceptor.quote(book)
                due += self._pause_s
                if stopped.wait(max(0.0, due - time.monotonic())):
                    return


class TickFeed:
    """Replays one source through one LP; every tick is a book of one level of `TICK_LOTS` a side.

    At night minutes pass between two ticks. The LP stands by its price meanwhile and says so every `REFRESH_S`, else
    its quote would count as stale.
    """

    def __init__(self, *, config: RangeConfig, source: str, date: str, acceptor: Acceptor) -> None:
        assert config.ticks is not None
        self._folder = config.ticks
        self._speed = config.speed
        self._source = source
        self._date = date
        self._acceptor = acceptor
        self._units = {symbol.symbol: symbol.units_per_lot for symbol in config.symbols}
        self._ticks = self._read()
        self._next = next(self._ticks, None)
        self._said: dict[str, tuple[float, LpBook]] = {}

    def run(self, stopped: threading.Event) -> None:
        """Replay at the chosen speed, the day over and over, until `stopped`."""
        while not stopped.is_set() and self._next is not None:
            day_us, started = self._next.at_us, time.monotonic()
            while self._next is not None:
                due = started + (self._next.at_us - day_us) / 1e6 / self._speed
                if not self._stand_by(until=due, stopped=stopped):
                    return
                self._play(self._next)
                self._next = next(self._ticks, None)
            self._ticks = self._read()
            self._next = next(self._ticks, None)

    def play_until(self, at_us: int) -> None:
        """Replay at once everything up to and including the instant `at_us`."""
        while self._next is not None and self._next.at_us <= at_us:
            self._play(self._next)
            self._next = next(self._ticks, None)

    def _stand_by(self, *, until: float, stopped: threading.Event) -> bool:
        """Wait for the next tick, saying again what was said `REFRESH_S` ago; False once `stopped`."""
        while True:
            again = min((at for at, _ in self._said.values()), default=until) + REFRESH_S
            if stopped.wait(max(0.0, min(until, again) - time.monotonic())):
                return False
            if time.monotonic() >= until:
                return True
            for at, book in list(self._said.values()):
                if time.monotonic() - at >= REFRESH_S:
                    self._say(book)

    def _play(self, tick: Tick) -> None:
        size = TICK_LOTS * self._units[tick.symbol]
        bids, asks = (Rung(tick.bid, size),), (Rung(tick.ask, size),)
        self._say(LpBook(symbol=tick.symbol, bids=bids, asks=asks, at_us=tick.at_us))

    def _say(self, book: LpBook) -> None:
        self._said[book.symbol] = time.monotonic(), book
        self._acceptor.quote(book)

    def _read(self) -> Iterator[Tick]:
        found = ticks.ticks(folder=self._folder, source=self._source, date=self._date)
        return (tick for tick in found if tick.symbol in self._units)
