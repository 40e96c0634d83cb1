"""HTTP of the fast door against who means ill: framing that two readers could read in two ways, floods, silence."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from piggy.engine import connections as connections_module
from piggy.engine.connections import Connections
from piggy.engine.http import BODY_BYTES_MAX, PART_BYTES, PIPELINED_MAX, Connection, Respond
from piggy.engine.http_messages import Request, Response

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"


class Wire:
    """A transport that keeps what is said."""

    def __init__(self) -> None:
        self.said = b""
        self.closed = self.aborted = self.paused = False

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", 1

    def write(self, data: bytes) -> None:
        self.said += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Socket:
    """A strategy's, that only keeps its place."""

    crowd = ""

    def __init__(self, owner: str) -> None:
        self.owner = owner


class Client:
    """One connection of a client; `asked` are the requests that came through, `answers` how each is answered."""

    def __init__(self, *, at_once: bool = True, connections: Connections | None = None) -> None:
        self.asked: list[Request] = []
        self.answers: list[Respond] = []
        self._at_once = at_once
        self.wire = Wire()
        self.connection = Connection(
            handler=self._handle, connections=connections or Connections(), upgrade=lambda _: Response(404, b"")
        )
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]

    def says(self, *data: bytes) -> list[int]:
        """Send the bytes; return the statuses of all answers so far."""
        for part in data:
            self.connection.data_received(part)
        return [int(part[:3]) for part in self.wire.said.split(b"HTTP/1.1 ")[1:]]

    def _handle(self, request: Request, respond: Respond) -> None:
        self.asked.append(request)
        self.answers.append(respond)
        if self._at_once:
            respond(Response(200, b"{}"))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (CHUNKED + b"Content-Length: 5\r\n\r\n2\r\nab\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400),
        (HEAD + b"Content-Length: 5, 5\r\n\r\nabcde", 400),
        (HEAD + b"Content-Length: +5\r\n\r\nabcde", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (HEAD + b"Host: b\r\n\r\n", 400),
        (HEAD + b"X: a\r\n b\r\n\r\n", 400),
        (HEAD + b"Content-Length : 5\r\n\r\nabcde", 400),
        (HEAD + b"X: a\x00b\r\n\r\n", 400),
        (b"POST /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\n\r\n", 400),
        (b"GET /x\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Type: text/plain\r\nContent-Type: application/json\r\n\r\n", 400),
        (HEAD + b"X-Piggy-Signature: a\r\nX-Piggy-Signature: b\r\n\r\n", 400),
        (HEAD + b"X-Piggy-Nonce: a\r\nX-Piggy-Nonce: b\r\n\r\n", 400),
        (HEAD + b"Expect: 100-continue\r\nX: " + b"a" * 16_384 + b"\r\n\r\n", 431),
        (HEAD + b"x:\r\n" * 101 + b"\r\n", 431),
        (b"GET /" + b"a" * 8_192 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 415),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 415),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", 415),
        (HEAD + f"Content-Length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode(), 413),
        (CHUNKED + b"\r\n40001\r\n" + b"a" * (BODY_BYTES_MAX + 1), 413),
        (HEAD + b"X: " + b"a" * 16_384 + b"\r\n\r\n", 431),
        (CHUNKED + b"\r\n2\r\nab\r\n0\r\nX: " + b"a" * 16_384 + b"\r\n\r\n", 431),
    ],
)
def test_what_may_be_read_in_two_ways_or_has_no_end_is_refused_and_its_connection_ends(
    request_: bytes, status: int
) -> None:
    client = Client()
    assert client.says(request_) == [status]
    assert client.wire.closed and client.asked == []
    assert client.says(HEAD + b"\r\n") == [status], "nothing that follows is read"
    if len(request_) < 1_000:
        slow = Client()
        assert slow.says(*(request_[at : at + 1] for at in range(len(request_)))) == [status] and slow.asked == []


def test_blanks_around_a_value_are_no_part_of_it() -> None:
    client = Client()
    assert client.says(HEAD + b"X-Piggy-Signature:\tab \t\r\nContent-Length:  2 \r\n\r\nab") == [200]
    (request,) = client.asked
    assert (request.body, request.headers["x-piggy-signature"]) == (b"ab", "ab")


def test_chunks_of_nothing_but_extensions_have_an_end() -> None:
    client = Client()
    client.says(CHUNKED + b"\r\n")
    for _ in range(40):
        client.says(b"1;" + b"x" * 65_536 + b"\r\na\r\n")
    assert client.says() == [413] and client.wire.closed


def test_a_trailer_is_no_header() -> None:
    """Behind a proxy, an address that the client says himself after his body would open the allow-list."""
    client = Client()
    trailers = b"X-Forwarded-For: 6.6.6.6\r\nX-Piggy-Signature: forged\r\nHost: b\r\n"
    assert client.says(CHUNKED + b"X-Forwarded-For: 9.9.9.9\r\n\r\n2\r\nab\r\n0\r\n" + trailers + b"\r\n") == [200]
    (request,) = client.asked
    assert (request.address, request.headers["host"], request.body) == ("9.9.9.9", "a", b"ab")
    assert "x-piggy-signature" not in request.headers


def test_an_answer_to_head_has_no_body_that_somebody_would_take_for_the_next_answers_beginning() -> None:
    client = Client()
    assert client.says(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n") == [200]
    assert client.wire.said.endswith(b"Content-Length: 2\r\n\r\n") and not client.wire.closed
    assert client.says(HEAD + b"\r\n") == [200, 200] and client.wire.said.endswith(b"\r\n\r\n{}")


def test_who_speaks_http_1_0_is_told_that_the_line_stays_and_never_to_go_on() -> None:
    """RFC 9110, 10.1.1; without that word he waits for the line's end."""
    client, head = Client(), b"POST /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
    assert client.says(head + b"Connection: keep-alive\r\n\r\nab") == [200] and not client.wire.closed
    assert b"\r\nConnection: keep-alive\r\n" in client.wire.said
    assert client.says(head + b"\r\nab") == [200, 200] and client.wire.closed
    assert client.wire.said.count(b"\r\nConnection: close\r\n") == 1


@pytest.mark.parametrize(
    "more", [b"\r\n", b"Content-Length: 2\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
)
def test_who_offers_another_protocol_besides_is_answered_in_this_one(more: bytes) -> None:
    """Clients that would rather speak HTTP/2 offer it with their first request (RFC 9110, 7.8)."""
    offer = HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    client = Client()
    assert client.says(offer + more + offer + more + HEAD + b"\r\n") == [200, 200, 200]
    assert client.says(HEAD + b"\r\n") == [200] * 4 and not client.wire.closed
    assert [request.body for request in client.asked[:2]] == [b"ab" if b"ab" in more else b""] * 2


def test_only_the_last_word_of_the_proxy_on_this_machine_counts() -> None:
    """Whether it goes on with the line that it was sent, or says a line of its own."""
    client = Client()
    client.says(HEAD + b"X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\n\r\n")
    client.says(HEAD + b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
    assert [request.address for request in client.asked] == ["9.9.9.9", "9.9.9.9"]


def test_the_host_of_an_address_in_full_counts_and_not_the_one_beside_it() -> None:
    client = Client()
    client.says(b"GET http://b/y?z HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [(request.headers["host"], request.path) for request in client.asked] == [("b", "/y")]


@pytest.mark.parametrize(
    "more", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], ids=["length", "chunks"]
)
def test_a_handshake_with_a_body_is_answered_and_not_only_hung_up_on(more: bytes) -> None:
    client = Client()
    head = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    assert client.says(head + more) == [400] and client.wire.closed
    for other in (head.replace(b"GET", b"POST"), head.replace(b"/1.1", b"/1.0"), head.replace(b"ket", b"ket, h2c")):
        assert Client().says(other + b"\r\n") == [400]


def test_a_status_says_what_its_reader_needs_to_go_on() -> None:
    """RFC 9110: how to prove oneself, what is read, which method is meant."""
    said = {status: Response(status, b"", allow="GET" if status == 405 else "") for status in (401, 405, 415, 426)}
    assert b"\r\nWWW-Authenticate: Piggy-Signature\r\n" in said[401].encode()
    assert b"\r\nAllow: GET\r\n" in said[405].encode(connection="close")
    assert b"\r\nAccept: application/json, text/plain\r\n" in said[415].encode(connection="close")
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in said[426].encode(connection="close")


def test_a_request_in_single_bytes_is_the_same_request() -> None:
    client = Client()
    whole = HEAD + b"Content-Length: 2\r\n\r\nab" + HEAD + b"\r\n"
    assert client.says(*(whole[at : at + 1] for at in range(len(whole)))) == [200, 200]
    assert [request.body for request in client.asked] == [b"ab", b""]


def test_answers_keep_the_order_of_their_requests_and_nobody_is_told_to_go_on_in_between() -> None:
    client = Client(at_once=False)
    waits = HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert client.says(waits) == [100]
    assert client.says(b"ab", waits) == [100], "the first answer is still to come"
    client.says(b"cd")
    client.answers[1](Response(409, b"{}"))
    assert client.says() == [100]
    client.answers[0](Response(200, b"{}"))
    assert client.says() == [100, 200, 409]


def test_who_has_said_all_and_closes_his_side_hears_the_answers_to_it() -> None:
    client = Client(at_once=False)
    client.says(HEAD + b"\r\n", HEAD + b"\r\n")
    assert client.connection.eof_received()
    client.answers[0](Response(200, b"{}"))
    assert not client.wire.closed
    client.answers[1](Response(409, b"{}"))
    assert client.says() == [200, 409] and client.wire.closed
    assert not Client().connection.eof_received(), "nothing is open that nobody needs"


def test_who_does_not_read_the_answers_is_not_read_from_until_he_does() -> None:
    client = Client()
    client.connection.pause_writing()
    assert client.wire.paused
    client.says(HEAD + b"\r\n")
    assert client.wire.paused, "an answer more does not open it"
    client.connection.resume_writing()
    assert not client.wire.paused


async def test_thousands_of_requests_in_one_packet_keep_nobody_else_waiting() -> None:
    """Each costs little, and all of them at once more than the lease lasts."""
    client, wanted = Client(), 10 * PIPELINED_MAX
    client.says((HEAD + b"\r\n") * wanted)
    assert len(client.asked) < PIPELINED_MAX + PART_BYTES // len(HEAD) and client.wire.paused
    client.connection.eof_received()
    assert not client.wire.closed, "what has come is still answered"
    for _ in range(10):
        await asyncio.sleep(0)
    assert client.says() == [200] * wanted and client.wire.closed


async def test_a_line_is_handed_over_open_also_where_its_turn_was_over() -> None:
    taken: list[bytes] = []
    client = Client()
    successor: Any = SimpleNamespace(begin=lambda *, transport, handshake, rest: taken.append(rest))
    client.connection._upgrade = lambda _: successor
    offer = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    client.says((HEAD + b"\r\n") * 2 * PIPELINED_MAX + offer + b"frames" * PART_BYTES)
    assert client.wire.paused and not taken
    for _ in range(5):
        await asyncio.sleep(0)
    assert taken == [b"frames" * PART_BYTES] and not client.wire.paused


async def test_no_answers_are_made_for_who_reads_none() -> None:
    client = Client()
    client.wire.write = lambda _: client.connection.pause_writing()  # type: ignore[method-assign]
    client.says((HEAD + b"\r\n") * 10 * PIPELINED_MAX)
    await asyncio.sleep(0.01)
    first = len(client.asked)
    assert first <= 1 + PART_BYTES // len(HEAD) and client.wire.paused
    client.connection.resume_writing()
    assert first < len(client.asked) <= 2 * first + 1 and client.wire.paused


def test_who_waits_for_too_many_answers_is_not_read_from_until_one_is_there() -> None:
    client = Client(at_once=False)
    client.says(*[HEAD + b"\r\n"] * PIPELINED_MAX)
    assert client.wire.paused
    client.connection.pause_writing()
    client.answers[0](Response(200, b"{}"))
    assert client.wire.paused, "not while what was said is unread"
    client.connection.resume_writing()
    assert not client.wire.paused


def test_inv_26_a_crowd_that_takes_every_place_loses_some_and_keeps_nobody_else_out(monkeypatch: Any) -> None:
    """Half-sent requests from behind our proxy: the oldest of whose address has most go, those at work never."""
    monkeypatch.setattr(connections_module, "CONNECTIONS_MAX", 6)
    monkeypatch.setattr(connections_module, "EVICTED_MAX", 2)
    connections = Connections()

    def line(address: str, *, whole: bool = False) -> Client:
        client = Client(at_once=False, connections=connections)
        said = b"X-Forwarded-For: " + address.encode() + b"\r\nContent-Length: 2\r\n\r\n" + b"ab" * whole
        client.says(HEAD + said)
        return client

    busy = line("6.6.6.6", whole=True)
    crowd = [line("6.6.6.6") for _ in range(3)]
    others = [line("9.9.9.9"), line("9.9.9.9", whole=True)]
    newcomer = line("8.8.8.8", whole=True)
    assert len(newcomer.asked) == 1
    assert [each.wire.aborted for each in crowd] == [True, True, False]
    assert not any(each.wire.aborted for each in (busy, *others))
    busy.answers[0](Response(200, b"{}"))
    assert busy.connection.crowd == "6.6.6.6", "it only keeps a place now"


def test_f_32_a_tenant_has_no_more_sockets_than_are_left_for_the_others(monkeypatch: Any) -> None:
    monkeypatch.setattr(connections_module, "SOCKETS_MAX", 9)
    connections = Connections()

    def fill(tenant: str) -> int:
        before = len(connections.open)
        while connections.may_stay(tenant=tenant):
            connections.open[Socket(tenant)] = None  # type: ignore[index]
        return len(connections.open) - before

    connections.open[Client().connection] = None
    assert [fill("acorn"), fill("birch"), fill("cedar"), fill("acorn")] == [5, 2, 1, 0]


def test_where_every_place_is_at_work_the_next_hears_503(monkeypatch: Any) -> None:
    monkeypatch.setattr(connections_module, "CONNECTIONS_MAX", 1)
    connections = Connections()
    first = Client(at_once=False, connections=connections)
    first.says(HEAD + b"\r\n")
    second = Client(connections=connections)
    assert second.says() == [503] and second.wire.closed and not first.wire.aborted


def test_a_place_is_free_again_when_its_connection_is_gone(monkeypatch: Any) -> None:
    monkeypatch.setattr(connections_module, "CONNECTIONS_MAX", 1)
    connections = Connections()
    for _ in range(3):
        client = Client(at_once=False, connections=connections)
        assert client.says(HEAD + b"\r\n") == [] and len(client.asked) == 1
        client.connection.connection_lost(None)
    assert connections.open == {}


def test_nobody_changes_the_protocol_before_the_answers_that_come_first() -> None:
    client = Client(at_once=False)
    asked = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    client.says(HEAD + b"\r\n", asked)
    client.answers[0](Response(200, b"{}"))
    assert client.says() == [200, 400] and client.wire.closed


def test_whose_request_is_at_work_loses_no_place_for_beginning_another() -> None:
    client = Client(at_once=False)
    client.says(HEAD + b"\r\n", HEAD + b"Content-Length: 2\r\n\r\n")
    assert client.connection.crowd == ""
    client.answers[0](Response(200, b"{}"))
    assert client.connection.crowd == "127.0.0.1"
