"""Lines that have not logged on yet, so that many of them keep nobody else out, and guessing costs who guesses."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter

from piggy.adapters.fix_clients.config import REFUSED_S, WAITING_MAX

ADDRESSES_KEPT = 10_000


class Waiting:
    """Used by every line's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
        # Its own thread closes it and only hears the end; a seal is nothing to wait for.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(oldest, socket.SHUT_RDWR)

    def go(self, *, line: socket.socket) -> None:
        """Forget a line that logged on or is gone."""
        with self._lock:
            self._lines.pop(line, None)

    def turn_s(self, *, address: str) -> float:
        """Return how long a Logon from there waits until it is looked at: nothing where none was refused of late."""
        now_s = time.monotonic()
        with self._lock:
            due_s = self._next_s.get(address)
            if due_s is None:
                return 0.0
            if due_s < now_s - REFUSED_S:
                del self._next_s[address]
                return 0.0
            self._next_s[address] = max(now_s, due_s) + REFUSED_S
            return max(0.0, due_s - now_s)

    def refused(self, *, address: str) -> None:
        """Note that a Logon from there was refused."""
        now_s = time.monotonic()
        with self._lock:
            if len(self._next_s) >= ADDRESSES_KEPT:
                self._next_s = {known: due_s for known, due_s in self._next_s.items() if due_s > now_s}
            self._next_s[address] = max(self._next_s.get(address, 0.0), now_s + REFUSED_S)
