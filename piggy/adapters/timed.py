"""HTTP whose answers have an end in time, their heads too: httpx bounds the wait for each part of one, and there is no
end to how many parts could come.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


class TimedStream(httpcore.NetworkStream):
    """A connection on which an answer has so many seconds from when the last of its request was written."""

    def __init__(self, *, stream: httpcore.NetworkStream, answer_s: float) -> None:
        self._stream = stream
        self._answer_s = answer_s
        self._until_s = math.inf

    def lift(self) -> None:
        """Bound no more what comes of this answer: it never ends."""
        self._until_s = math.inf

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what came. Raises httpcore.ReadTimeout also where the answer as a whole took too long."""
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout(f"an answer of more than {self._answer_s:g} s")
        bounded = left_s if timeout is None else min(timeout, left_s)
        return self._stream.read(max_bytes, timeout=None if math.isinf(bounded) else bounded)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send; the answer's time begins anew."""
        self._stream.write(buffer, timeout=timeout)
        self._until_s = time.monotonic() + self._answer_s

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the same under TLS, whose handshake Python bounds as a whole."""
        inner = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return TimedStream(stream=inner, answer_s=self._answer_s)

    def get_extra_info(self, info: str) -> Any:
        """Return what is asked of the connection."""
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, *, answer_s: float) -> None:
        self._answer_s = answer_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return TimedStream(stream=stream, answer_s=self._answer_s)


def client(*, timeout: httpx.Timeout | float, answer_s: float, **more: Any) -> httpx.Client:
    """Return a client of HTTP/1.1 that takes no settings from the environment. `timeout` (s) is of each part."""
    transport = httpx.HTTPTransport(trust_env=False)
    # httpx has no parameter for the way to the network, only what it stands on has.
    transport._pool = httpcore.ConnectionPool(
        ssl_context=httpx.create_ssl_context(trust_env=False),
        max_connections=100,
        max_keepalive_connections=20,
        keepalive_expiry=5.0,
        network_backend=_Backend(answer_s=answer_s),
    )
    return httpx.Client(transport=transport, timeout=timeout, trust_env=False, follow_redirects=False, **more)


def lift(*, answer: httpx.Response) -> None:
    """Let an answer whose head is here go on for ever."""
    stream = answer.extensions["network_stream"]
    assert isinstance(stream, TimedStream), "what `client` opens"
    stream.lift()
