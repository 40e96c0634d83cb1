"""What an exchange streams, through ccxt.pro: books with its own sequence and checksum rules, our orders and fills.

One exchange object for each connection, on a loop of its own: nothing that an old one left is shown in a new one.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

import msgspec

from piggy.adapters.ccxt.config import BOOK_LEVELS
from piggy.adapters.transport import StreamEnded

BOOKS, ORDERS, TRADES = "watch_order_book", "watch_orders", "watch_my_trades"
METHODS = {BOOKS: "watchOrderBook", ORDERS: "watchOrders", TRADES: "watchMyTrades"}
QUEUED_MAX, STOP_S_MAX = 10_000, 5.0
_BROKEN = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)

log = logging.getLogger(__name__)


class Streamer:
    """One connection of an exchange; `make` gives a new exchange object of ccxt.pro."""

    def __init__(self, *, make: Callable[[Any], Any]) -> None:
        self._ccxt = import_module("ccxt.pro")
        self._exchange = make(self._ccxt)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ccxt-streams", daemon=True)
        self._thread.start()
        self._open = 0

    def channel(self, *, method: str, symbol: str) -> ProChannel:
        """Watch a book, or our orders or fills of every symbol."""
        self._open += 1
        return ProChannel(streamer=self, method=method, symbol=symbol)

    @property
    def ended(self) -> bool:
        """Whether every channel was closed."""
        return not self._open

    def run(self, watch: Callable[[Any, Any], Coroutine[Any, Any, None]]) -> None:
        """Begin to watch on the loop."""
        asyncio.run_coroutine_threadsafe(watch(self._exchange, self._ccxt), self._loop)

    def leave(self) -> None:
        """Note that a channel was closed; the last one closes the connection."""
        self._open -= 1
        if self._open:
            return
        try:
            asyncio.run_coroutine_threadsafe(self._exchange.close(), self._loop).result(STOP_S_MAX)
        except (TimeoutError, self._ccxt.BaseError, *_BROKEN) as error:
            log.warning("an exchange's streams close badly", extra={"why": repr(error)})
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S_MAX)


class ProChannel:
    """One thing watched; every change comes as a JSON text, a hole in a book as `{"gap": symbol}`."""

    def __init__(self, *, streamer: Streamer, method: str, symbol: str) -> None:
        self._streamer, self._method, self._symbol = streamer, method, symbol
        self._texts: queue.Queue[str | None] = queue.Queue(maxsize=QUEUED_MAX)
        self._why = "the exchange ended the stream"
        self._closed = False
        streamer.run(self._watch)

    def receive(self, *, timeout_s: float) -> str | None:
        """Return the next change, None past the time. Raises StreamEnded."""
        try:
            text = self._texts.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if text is None:
            raise StreamEnded(self._why)
        return text

    def say(self, *, text: str) -> None:
        """Raises StreamEnded: ccxt says what is to be said."""
        raise StreamEnded("nothing can be said on a stream of ccxt")

    def close(self) -> None:
        """Stop watching."""
        if not self._closed:
            self._closed = True
            self._streamer.leave()

    async def _watch(self, exchange: Any, ccxt: Any) -> None:
        watched = (self._symbol,) if self._symbol else ()
        while not self._closed:
            try:
                value = await getattr(exchange, self._method)(*watched)
                self._put(self._text(value))
            except (ccxt.ChecksumError, ccxt.InvalidNonce) as error:
                # ccxt forgot the book, and asks for all of it when it is watched again.
                log.warning("a book of the exchange has a gap", extra={"symbol": self._symbol, "why": str(error)})
                self._put(msgspec.json.encode({"gap": self._symbol}).decode())
            except (ccxt.BaseError, OSError, asyncio.CancelledError, *_BROKEN) as error:
                self._why = f"{type(error).__name__}: {error}"[:400]
                self._put(None)
                return

    def _text(self, value: Any) -> str:
        if self._method == BOOKS:
            sides = {side: [list(row[:2]) for row in value[side][:BOOK_LEVELS]] for side in ("bids", "asks")}
            value = {**sides, "timestamp": value.get("timestamp")}
        return msgspec.json.encode(value, enc_hook=str).decode()

    def _put(self, text: str | None) -> None:
        try:
            self._texts.put_nowait(text)
        except queue.Full:
            # Nobody reads: what is lost would go unnoticed, so the stream ends.
            self._why = "changes are read too slowly"
            with self._texts.mutex:
                self._texts.queue.clear()
            self._texts.put_nowait(None)
            self._closed = True
