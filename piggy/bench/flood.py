"""An LP that does nothing but quote, as fast as whoever listens can take it: prepared FIX text on a plain socket.

    python -m piggy.bench.flood PORT SENDER TARGET FIRST

FIRST is the sequence number that the other side expects next.

A simulated LP in Python builds some thousand quotes a second; to find what the worker can take, something must be
faster than it. Four symbols, three levels a side, every message a refresh of six entries.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal

from piggy.adapters.fix.messages import SOH, fields

POINTS = {"EURUSD": 110_000, "GBPUSD": 127_000, "AUDUSD": 66_000, "NZDUSD": 60_000}
DIGITS = 5
LEVELS, VARIANTS, BURST = 3, 50, 200


class Flood:
    """One session over one connection; `seq` is the number of the last message sent."""

    def __init__(self, *, link: socket.socket, sender: str, target: str, seq: int) -> None:
        self.seq = seq
        self._link = link
        self._names = f"49={sender}{SOH}56={target}{SOH}"
        self._buffer = b""
        self._bodies = [body(symbol, variant) for variant in range(VARIANTS) for symbol in POINTS]

    def serve(self) -> None:
        """Answer the log-on, wait to be asked for quotes, then send them until the other side goes."""
        while not self._read():
            pass
        self._link.setblocking(False)
        at = 0
        while True:
            stamp = self._stamp()
            burst = b"".join(
                self._message("X", self._bodies[(at + number) % len(self._bodies)], stamp) for number in range(BURST)
            )
            at += BURST
            self._send(burst)
            with contextlib.suppress(BlockingIOError):
                self._read()

    def _read(self) -> bool:
        """Take what came; return whether quotes were asked for. Raises ConnectionError at the end."""
        data = self._link.recv(65_536)
        if not data:
            raise ConnectionError("the other side closed")
        self._buffer += data
        asked = False
        while (end := self._buffer.find(b"\x0110=")) >= 0 and len(self._buffer) >= end + 8:
            text, self._buffer = self._buffer[: end + 8].decode(), self._buffer[end + 8 :]
            values = fields(text)
            if values["35"] == "A":
                self._send(self._message("A", f"98=0{SOH}108={values['108']}{SOH}", self._stamp()))
            elif values["35"] == "1":
                self._send(self._message("0", f"112={values['112']}{SOH}", self._stamp()))
            elif values["35"] == "x":
                unsupported = f"45={values['34']}{SOH}372=x{SOH}380=3{SOH}58=nothing is listed here{SOH}"
                self._send(self._message("j", unsupported, self._stamp()))
            asked = asked or values["35"] == "V"
        return asked

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._link.send(view) :]
            except BlockingIOError:
                time.sleep(0.0005)

    def _message(self, kind: str, text: str, stamp: str) -> bytes:
        self.seq += 1
        inner = f"35={kind}{SOH}34={self.seq}{SOH}{self._names}52={stamp}{SOH}{text}".encode()
        whole = b"8=FIX.4.4\x019=%d\x01" % len(inner) + inner
        return whole + b"10=%03d\x01" % (sum(whole) % 256)

    def _stamp(self) -> str:
        return f"{datetime.now(UTC):%Y%m%d-%H:%M:%S.%f}"[:-3]


def body(symbol: str, variant: int) -> str:
    """Return a refresh of every level of one symbol (35=X), a little different in each variant."""
    entries = []
    for side, sign in (("0", -1), ("1", 1)):
        for level in range(LEVELS):
            price = Decimal(POINTS[symbol] + sign * (2 + level + variant % 3)).scaleb(-DIGITS)
            entries.append(
                f"279=1{SOH}269={side}{SOH}278={symbol}.{side}{level}{SOH}55={symbol}{SOH}270={price}{SOH}"
                f"271={100_000 * (level + 1 + variant)}{SOH}"
            )
    return f"262=flood{SOH}268={len(entries)}{SOH}" + "".join(entries)


def main(port: int, sender: str, target: str, first: int) -> None:
    """Serve one connection after another until a signal."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.create_server(("127.0.0.1", port)) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        seq = first - 1
        while True:
            link, _ = server.accept()
            flood = Flood(link=link, sender=sender, target=target, seq=seq)
            with link, contextlib.suppress(OSError):
                flood.serve()
            seq = flood.seq


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
