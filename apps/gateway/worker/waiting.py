"""Lines that have not logged on yet, so that many of them keep nobody else out, and guessing costs who guesses."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

from piggy.adapters.fix_clients.config import LOGON_S_MAX, REFUSED_S, WAITING_MAX

ADDRESSES_KEPT = 10_000


class Waiting:
    """Used by every line's thread."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._looked_at: set[str] = set()
        self._lines: dict[socket.socket, str] = {}
        self._next_s: dict[str, float] = {}

    def come(self, *, line: socket.socket, address: str) -> None:
        """Note a new line; where there are too many, hang up the oldest of the address that has most."""
        with self._lock:
            self._lines[line] = address
            if len(self._lines) <= WAITING_MAX:
                return
            [(crowd, _)] = Counter(self._lines.values()).most_common(1)
            oldest = next(each for each, found in self._lines.items() if found == crowd)
            del self._lines[oldest]
            self._lock.notify_all()
        # Its own thread closes it and only hears the end; a seal is nothing to wait for.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(oldest, socket.SHUT_RDWR)

    def go(self, *, line: socket.socket) -> None:
        """Forget a line that logged on or is gone."""
        with self._lock:
            self._lines.pop(line, None)

    @contextlib.contextmanager
    def turn(self, *, line: socket.socket, address: str) -> Iterator[None]:
        """Hold the one turn of an address to be looked at; after a refusal it is a while until the next.

        Raises ConnectionAbortedError where that takes too long, or at once where the line was hung up meanwhile:
        whoever waits keeps a thread and a file open, so that no more may wait than there are lines.
        """
        until_s = time.monotonic() + LOGON_S_MAX
        with self._lock:
            while (wait_s := self._wait_s(address)) > 0:
                left_s = until_s - time.monotonic()
                if left_s <= 0 or line not in self._lines:
                    raise ConnectionAbortedError("its turn did not come")
                self._lock.wait(min(wait_s, left_s))
            if line not in self._lines:
                raise ConnectionAbortedError("hung up for a newer line")
            self._looked_at.add(address)
        try:
            yield
        finally:
            with self._lock:
                self._looked_at.discard(address)
                self._lock.notify_all()

    def _wait_s(self, address: str) -> float:
        """Return how long nobody from there is looked at; looking ends with a notice."""
        return LOGON_S_MAX if address in self._looked_at else self._next_s.get(address, 0.0) - time.monotonic()

    def refused(self, *, address: str) -> None:
        """Note that a Logon from there was refused."""
        now_s = time.monotonic()
        with self._lock:
            if len(self._next_s) >= ADDRESSES_KEPT:
                self._next_s = {known: due_s for known, due_s in self._next_s.items() if due_s > now_s}
            self._next_s[address] = now_s + REFUSED_S
