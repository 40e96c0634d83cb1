"""HTTP of the fast door against who sends too slowly: a request has an end in time, and who sent it hears why."""

from __future__ import annotations

import time

import pytest

from piggy.engine.http import IDLE_S_MAX, PARTING_S_MAX, REQUEST_S_MAX
from piggy.engine.http_messages import Response
from tests.engine.test_http import HEAD, Client


@pytest.mark.parametrize(
    ("said", "allowed_s"),
    [(b"POST /x HTTP/1.1\r\nHo", REQUEST_S_MAX), (HEAD + b"Content-Length: 9\r\n\r\na", REQUEST_S_MAX)],
    ids=["head", "body"],
)
def test_who_sends_a_byte_now_and_then_hears_408_all_the_same_and_is_dropped(said: bytes, allowed_s: int) -> None:
    client = Client()
    begun_s = time.monotonic()
    client.says(said)
    client.connection.tick(now_s=begun_s + allowed_s - 1)
    assert client.says(b"x") == []
    over_s = time.monotonic() + allowed_s
    client.connection.tick(now_s=over_s)
    assert client.says(b"\r\n\r\n") == [408], "the bytes between have not given him more time"
    assert b"Connection: close\r\n" in client.wire.said
    assert (client.asked, client.wire.closed, client.wire.aborted) == ([], True, False), "what was said is to arrive"
    client.connection.tick(now_s=over_s + PARTING_S_MAX + 1)
    assert client.wire.aborted, "who reads nothing of it keeps no place"


def test_who_waits_for_an_answer_gets_it_though_his_next_request_is_too_slow() -> None:
    client = Client(at_once=False)
    client.says(HEAD + b"Content-Length: 0\r\n\r\n" + b"POST /x HT")
    over_s = time.monotonic() + REQUEST_S_MAX
    client.connection.tick(now_s=over_s)
    assert not (client.wire.said or client.wire.closed)
    client.answers[0](Response(200, b"{}"))
    assert client.says(b"x") == [200, 408]
    assert client.wire.closed


def test_who_reads_no_answers_is_dropped_without_one_more() -> None:
    client = Client()
    client.says(b"POST /x HT")
    client.connection.pause_writing()
    client.connection.tick(now_s=time.monotonic() + REQUEST_S_MAX)
    assert (client.wire.said, client.wire.aborted) == (b"", True)


def test_who_is_idle_is_dropped_after_a_while() -> None:
    client, now_s = Client(), time.monotonic()
    client.says(HEAD + b"\r\n")
    client.connection.tick(now_s=now_s + IDLE_S_MAX - 1)
    assert not client.wire.aborted
    client.connection.tick(now_s=time.monotonic() + IDLE_S_MAX + 1)
    assert client.wire.aborted
    assert client.says() == [200], "of a request that was never begun nothing is said"


def test_who_never_says_a_word_is_dropped_without_one() -> None:
    client = Client()
    client.connection.tick(now_s=time.monotonic() + REQUEST_S_MAX + 1)
    assert (client.wire.said, client.wire.aborted) == (b"", True)
