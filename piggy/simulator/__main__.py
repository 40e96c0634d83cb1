"""The range: `python -m piggy.simulator`. Stops on SIGTERM or SIGINT; in step mode it obeys lines on stdin."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping

import quickfix as fix

from piggy.adapters.fix.dictionary import write_loose
from piggy.simulator import ticks
from piggy.simulator.acceptor import Acceptor
from piggy.simulator.config import RangeConfig
from piggy.simulator.feed import GeneratedFeed, TickFeed


class Range:
    """All LPs of one process with their feeds."""

    def __init__(self, *, config: RangeConfig) -> None:
        self._config = config
        self._stopped = threading.Event()
        dictionary = config.home / "FIX44.xml"
        write_loose(path=dictionary)
        self.acceptors = {
            lp.name: Acceptor(config=lp, range_config=config, dictionary=str(dictionary)) for lp in config.lps
        }
        self._tick_feeds = dict(self._tick_feeds_of(config))
        self._generated = list(self._generated_of(config))

    def start(self) -> None:
        """Open all ports, then quote."""
        for acceptor in self.acceptors.values():
            acceptor.start()
        feeds: list[GeneratedFeed | TickFeed] = [*self._generated, *self._tick_feeds.values()]
        for feed in feeds if self._config.speed else ():
            threading.Thread(target=feed.run, args=(self._stopped,), daemon=True).start()

    def stop(self) -> None:
        """Stop quoting and log out."""
        self._stopped.set()
        for acceptor in self.acceptors.values():
            acceptor.stop()

    def play_until(self, at_us: int) -> str:
        """Replay to an instant; return how many market data messages each LP has sent in all, as text."""
        for feed in self._tick_feeds.values():
            feed.play_until(at_us)
        return " ".join(f"{name}={acceptor.sent}" for name, acceptor in self.acceptors.items())

    def _tick_feeds_of(self, config: RangeConfig) -> list[tuple[str, TickFeed]]:
        if config.ticks is None:
            return []
        date = config.ticks_date or ticks.first_common_weekday(folder=config.ticks)
        sources = ticks.sources(folder=config.ticks)
        return [
            (lp.name, TickFeed(config=config, source=source, date=date, acceptor=self.acceptors[lp.name]))
            for lp, source in zip(config.lps, sources, strict=False)
        ]

    def _generated_of(self, config: RangeConfig) -> list[GeneratedFeed]:
        # A symbol that was recorded anywhere is quoted by its recorders only: an invented price beside a real one of
        # another year would cross the market.
        recorded = (
            {path.parent.name.upper() for path in config.ticks.glob(f"*/*/*{ticks.SUFFIX}")} if config.ticks else set()
        )
        symbols = {symbol.symbol: symbol for symbol in config.symbols if symbol.symbol not in recorded}
        return [GeneratedFeed(lp=lp, symbols=symbols, acceptor=self.acceptors[lp.name]) for lp in config.lps]


def main(env: Mapping[str, str]) -> None:
    """Run the range until a signal; with TICKS_SPEED=step also until stdin ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    config = RangeConfig.from_env(env)
    config.home.mkdir(parents=True, exist_ok=True)
    whole = Range(config=config)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    whole.start()
    ports = ", ".join(f"{lp.name} on {config.port(lp)}" for lp in config.lps)
    sys.stdout.write(f"ready: {ports}\n")
    sys.stdout.flush()
    if not config.speed:
        # Beside this thread, for a signal does not end a read of stdin.
        threading.Thread(target=_obey, args=(whole, stopped), daemon=True).start()
    stopped.wait()
    whole.stop()


def _obey(whole: Range, stopped: threading.Event) -> None:
    for line in sys.stdin:
        word, _, at_us = line.strip().partition(" ")
        if word != "until":
            break
        sys.stdout.write(f"at {at_us} {whole.play_until(int(at_us))}\n")
        sys.stdout.flush()
    stopped.set()


if __name__ == "__main__":
    try:
        main(os.environ)
    except fix.ConfigError as error:
        sys.exit(f"The simulator cannot start: {error}")
    sys.stdout.flush()
    # QuickFIX's threads run on, and must not meet what an ordinary end of the interpreter takes from under them.
    os._exit(0)
