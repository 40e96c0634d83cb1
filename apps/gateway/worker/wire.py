"""One client's line: whole messages out, whatever comes in, and a bell that other threads may ring."""

from __future__ import annotations

import select
import socket
import time

from apps.gateway.worker import tls
from piggy.adapters.fix.messages import stamp
from piggy.adapters.fix_clients.session import frame

READ_BYTES = 65_536
SEND_S_MAX = 10.0


class Wire:
    """Used by one thread, but for `ring`."""

    def __init__(self, line: socket.socket, client: str, us: str) -> None:
        self._line, self._client, self._us = line, client, us
        self._bell, self._rope = socket.socketpair()
        self._rope.setblocking(False)
        # Not `select`, which cannot wait for a file past the thousandth.
        self._poll = select.poll()
        for each in (line, self._bell):
            self._poll.register(each, select.POLLIN)
        line.settimeout(SEND_S_MAX)

    def ring(self) -> None:
        """Wake who waits in `read`."""
        try:
            self._rope.send(b"!")
        except OSError:
            return  # It rings already, or nobody is there any more.

    def read(self, *, wait_s: float) -> bytes | None:
        """Return what came, b'' where nothing did in time or the bell rang, None at the end of the line."""
        if tls.holds_more(line=self._line):
            wait_s = 0
        ready = {number for number, _ in self._poll.poll(wait_s * 1_000)}
        if self._bell.fileno() in ready:
            self._bell.recv(4_096)
        if self._line.fileno() not in ready and not tls.holds_more(line=self._line):
            return b""
        return tls.receive(line=self._line, bytes_max=READ_BYTES, send_s_max=SEND_S_MAX)

    def send(self, *, kind: str, number: int, body: str, sent_us: int = 0, first_sent_us: int = 0) -> None:
        """Send a message; `first_sent_us` where it is sent again. Raises OSError."""
        now_us = sent_us or time.time_ns() // 1_000
        self._line.sendall(
            frame(
                kind=kind,
                number=number,
                sender=self._us,
                target=self._client,
                sent=stamp(now_us),
                body=body,
                first_sent=stamp(first_sent_us) if first_sent_us else "",
            )
        )

    def close(self) -> None:
        """Hang up."""
        self._line.close()
        self._bell.close()
        self._rope.close()
