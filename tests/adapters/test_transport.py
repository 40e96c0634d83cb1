"""The transport over a socket of loopback: an answer that does not end holds nobody up, and fills no memory."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace

import httpcore
import pytest

from piggy.adapters import timed, transport
from piggy.adapters.interface import Request, Response, Stream
from piggy.adapters.timed import TimedStream
from piggy.adapters.transport import Channel, HttpTransport, StreamEnded

Asked = Callable[..., Response]
Part = bytes | threading.Event
# An answer that would go on for a quarter of an hour at least is ended in a fraction of a second, or by a busy machine
# a little later.
ENDED_S_MAX = 60


class Venue:
    """A socket of loopback that answers each request with parts, so many seconds apart; at an event it waits."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._closed = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/order"

    def answers(self, parts: Iterable[Part], *, apart_s: float = 0.0, until: bytes = b"{}") -> None:
        def serve() -> None:
            line, _ = self._server.accept()
            with line, contextlib.suppress(OSError):  # It may be hung up on.
                # What is left unread when it hangs up would take the answer away with it.
                asked_for = b""
                while not asked_for.endswith(until):
                    asked_for += line.recv(4_096)
                for part in parts:
                    if isinstance(part, bytes):
                        line.sendall(part)
                    elif not part.wait(60):
                        return
                    if self._closed.wait(apart_s):
                        return

        threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._server.close()


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


@pytest.fixture
def ask(venue: Venue) -> Asked:
    """Ask a venue that answers with these parts, or with others behind `heads`, of so many bytes promised."""

    def asked(
        *parts: bytes,
        apart_s: float = 0.0,
        promised: int = 0,
        kind: str = "application/json",
        whole: Iterable[bytes] = (),
        endless: bytes = b"",
    ) -> Response:
        length = promised or sum(map(len, parts))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()
        said = itertools.chain(whole or (head, *parts), itertools.repeat(endless) if endless else ())
        venue.answers(said, apart_s=apart_s)
        client = HttpTransport()
        try:
            return client.call(request=Request(method="POST", url=venue.url, body="{}", places_order=True))
        finally:
            client.close()

    return asked


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


@pytest.mark.parametrize("what", ["head", "body", "promises"])
def test_an_answer_that_trickles_for_ever_is_no_answer(what: str, ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-07: each byte came in time, so that the one who had sent an order waited for it without end."""
    monkeypatch.setattr(transport, "ANSWER_S_MAX", 0.2)
    early = b"HTTP/1.1 103 Early\r\n\r\n"
    whole, endless = {"head": ([b"HTTP/1.1 200 OK\r\n"], b"X: y\r\n"), "promises": ([early], early)}.get(
        what, ((), b" ")
    )
    began_s = time.monotonic()
    answer = ask(b" ", apart_s=0.05, promised=10**9, whole=whole, endless=endless)
    assert (answer.status, answer.left) == (0, True), "the order may well live there"
    assert time.monotonic() - began_s < ENDED_S_MAX


def test_each_answer_of_a_kept_connection_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1_000.0]
    monkeypatch.setattr(timed, "time", SimpleNamespace(monotonic=lambda: now_s[0]))

    class Kept(httpcore.NetworkStream):
        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return b"x"

        def write(self, buffer: bytes, timeout: float | None = None) -> None: ...

    stream = TimedStream(stream=Kept(), answer_s=0.2)
    stream.write(b"GET")
    assert stream.read(1) == b"x"
    now_s[0] += 0.3
    with pytest.raises(httpcore.ReadTimeout):
        stream.read(1)
    stream.write(b"GET")
    assert stream.read(1) == b"x"
    now_s[0] += 0.3
    stream.lift()
    assert stream.read(1) == b"x"


def test_an_answer_without_end_is_no_answer(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", 100)
    assert ask(b"x" * 100).status == 200
    answer = ask(*[b"x" * 64] * 50, apart_s=0.001, promised=10**9)
    assert (answer.status, answer.left) == (0, True)


ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def opened(venue: Venue) -> Channel:
    return HttpTransport().open(stream=Stream(name="prices", url=venue.url, lines=True))


def test_a_stream_of_lines_outlives_the_time_of_an_answer(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    passed_s, later = [0.0], threading.Event()
    monkeypatch.setattr(timed, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed_s[0]))
    lines = (b'{"a"', b":1}\r\n\n", '{"b":"é"}\n{"c":3}'.encode())
    venue.answers([ENDLESS, later, *lines], apart_s=0.05, until=b"\r\n\r\n")
    channel = opened(venue)
    passed_s[0] = transport.ANSWER_S_MAX + 1
    later.set()
    assert [channel.receive(timeout_s=30) for _ in range(3)] == ['{"a":1}', '{"b":"é"}', '{"c":3}']
    with pytest.raises(StreamEnded):
        channel.receive(timeout_s=30)
    channel.close()


@pytest.mark.parametrize("status", [b"200 OK", b"503 Busy"])
def test_a_stream_whose_head_or_refusal_trickles_does_not_begin(
    status: bytes, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_S_MAX", 0.2)
    head = b"HTTP/1.1 %s\r\n" % status
    first, endless = (head, b"X: y\r\n") if status.startswith(b"2") else (head + b"\r\n", b"x")
    venue.answers(itertools.chain([first], itertools.repeat(endless)), apart_s=0.05, until=b"\r\n\r\n")
    began_s = time.monotonic()
    with pytest.raises(StreamEnded, match="ReadTimeout"):
        opened(venue)
    assert time.monotonic() - began_s < ENDED_S_MAX


def test_a_refusal_without_end_fills_no_memory(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", 100)
    venue.answers([b"HTTP/1.1 503 Busy\r\n\r\n", *[b"x" * 64] * 20], apart_s=0.001, until=b"\r\n\r\n")
    with pytest.raises(StreamEnded, match="more than 100 bytes"):
        opened(venue)


def test_a_line_without_end_ends_its_stream(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MESSAGE_BYTES_MAX", 100)
    venue.answers([ENDLESS, b"x" * 100 + b"\n", *[b"y" * 64] * 20], apart_s=0.01, until=b"\r\n\r\n")
    channel = opened(venue)
    assert channel.receive(timeout_s=30) == "x" * 100
    with pytest.raises(StreamEnded, match="more than 100 bytes"):
        channel.receive(timeout_s=30)
    channel.close()
