"""An end for every answer of an exchange, in time and in size: ccxt's own HTTP bounds the wait for each part of one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from piggy.adapters import transport

PART_BYTES = 65_536
# To where an exchange may have moved. Each has a time of its own, and requests would follow thirty.
REDIRECTS_MAX = 1
# What an answer remembers its line by; its connection may have let go of it.
LINE = "_line"


class _InTime:
    sock: Any

    def getresponse(self) -> HTTPResponse:
        line = self.sock
        with _in_time(line):
            answer: HTTPResponse = super().getresponse()  # type: ignore[misc]
        setattr(answer, LINE, line)
        return answer


class _Http(_InTime, HTTPConnection):  # type: ignore[misc]
    pass


class _Https(_InTime, HTTPSConnection):  # type: ignore[misc]
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


def bound(*, session: Any) -> None:
    """Bound all that a session of requests reads; what takes longer or is larger ends in its own exceptions."""
    for scheme in ("http://", "https://"):
        pools = session.get_adapter(scheme).poolmanager
        pools.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    session.hooks["response"].append(_whole)
    session.max_redirects = REDIRECTS_MAX


@contextlib.contextmanager
def _in_time(line: Any) -> Iterator[None]:
    """Cut a line on which an answer does not end. Raises TimeoutError then: cut, it could look as if it had ended."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        with contextlib.suppress(OSError):
            # Not the method of a line under TLS, which takes its state away beneath whoever reads.
            socket.socket.shutdown(line, socket.SHUT_RDWR)

    timer = threading.Timer(transport.ANSWER_S_MAX, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if late.is_set():
            raise TimeoutError(f"an answer of more than {transport.ANSWER_S_MAX:g} s")


def _whole(answer: Any, **_: Any) -> None:
    """Read the body, as requests does after this where it was not. Raises what ccxt takes for a silent exchange."""
    parts, size, why = list[bytes](), 0, ""
    # Through a proxy of the environment's other connections are made, which know no line.
    line = getattr(answer.raw, LINE, None)
    try:
        with _in_time(line) if line is not None else contextlib.nullcontext():
            for part in answer.iter_content(PART_BYTES):
                parts.append(part)
                size += len(part)
                if size > transport.ANSWER_BYTES_MAX:
                    why = f"an answer of more than {transport.ANSWER_BYTES_MAX} bytes"
                    break
    except TimeoutError as error:
        why = str(error)
    if why:
        answer.close()
        raise import_module("requests").exceptions.Timeout(why)
    answer._content = b"".join(parts)
