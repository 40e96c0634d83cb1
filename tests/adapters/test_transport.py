"""The transport over a socket of loopback: an answer that does not end holds nobody up, and fills no memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from piggy.adapters import transport
from piggy.adapters.interface import Request, Response
from piggy.adapters.transport import HttpTransport

Asked = Callable[..., Response]


@pytest.fixture
def ask() -> Iterator[Asked]:
    """Ask a venue that answers with these parts, so many seconds apart, of so many bytes promised."""
    client, servers = HttpTransport(), list[socket.socket]()

    def asked(*parts: bytes, apart_s: float = 0.0, promised: int = 0, kind: str = "application/json") -> Response:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            line, _ = server.accept()
            with line:
                # What is left unread when it hangs up would take the answer away with it.
                asked_for = b""
                while not asked_for.endswith(b"{}"):
                    asked_for += line.recv(4_096)
                length = promised or sum(map(len, parts))
                line.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode())
                try:
                    for part in parts:
                        line.sendall(part)
                        time.sleep(apart_s)
                except OSError:
                    return  # It was hung up on.

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/order"
        return client.call(request=Request(method="POST", url=url, body="{}", places_order=True))

    yield asked
    client.close()
    for server in servers:
        server.close()


def test_an_answer_in_parts_is_one_text(ask: Asked) -> None:
    answer = ask(b'{"text": "', "é".encode(), b'"}')
    assert (answer.status, answer.text, answer.headers["content-type"]) == (200, '{"text": "é"}', "application/json")
    assert ask("é".encode("latin-1"), kind="text/html; charset=latin-1").text == "é"
    assert ask(b"\xff").text == "\ufffd"
    assert ask(b"x", kind="text/html; charset=of-nobody").text == "x"


@pytest.mark.parametrize("charset", ["hex", "idna"])
def test_an_answer_in_what_is_no_text_is_no_answer(charset: str, ask: Asked) -> None:
    """The driver is told of every failure; none is raised at it while an order may live."""
    answer = ask(b"\xff", kind=f"text/html; charset={charset}")
    assert (answer.status, answer.left, answer.text[:13]) == (0, True, "DecodingError")


def test_an_answer_that_trickles_for_ever_is_no_answer(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-07: each byte came in time, so that the one who had sent an order waited for it without end."""
    monkeypatch.setattr(transport, "ANSWER_S_MAX", 0.2)
    began_s = time.monotonic()
    answer = ask(*[b" "] * 600, apart_s=0.05)
    assert (answer.status, answer.left) == (0, True), "the order may well live there"
    assert time.monotonic() - began_s < 10


def test_an_answer_without_end_is_no_answer(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", 100)
    assert ask(b"x" * 100).status == 200
    answer = ask(*[b"x" * 64] * 50, apart_s=0.001, promised=10**9)
    assert (answer.status, answer.left) == (0, True)
