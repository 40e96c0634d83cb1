"""What ccxt's own errors mean: only a refusal that it knows the words of is one; all else may well have been done."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, DefaultContext, getcontext
from typing import Any

import ccxt
import pytest

from piggy.adapters import transport as limits
from piggy.adapters.ccxt.transport import CcxtTransport
from piggy.adapters.interface import Request, VenueConfig
from piggy.adapters.transport import CALL_S_MAX
from tests.adapters.ccxt.test_ccxt import CONFIG
from tests.adapters.test_transport import ENDED_S_MAX, Venue, venue

__all__ = ["venue"]

ORDER = Request(method="POST", url="create_order", body="[]", places_order=True)


@pytest.fixture
def transport() -> CcxtTransport:
    config: VenueConfig = CONFIG
    return CcxtTransport(config=config)


def raising(error: Exception) -> Callable[..., Any]:
    def asked(*_: Any) -> Any:
        raise error

    return asked


@pytest.mark.parametrize(
    ("error", "status"),
    [
        *((kind("a field is missing"), 0) for kind in (KeyError, IndexError, TypeError, ValueError, AttributeError)),
        (ArithmeticError("no number"), 0),
        (ccxt.RequestTimeout("late"), 0),
        (ccxt.ExchangeError("words of nobody"), 500),
        (ccxt.InsufficientFunds("known"), 400),
        (ccxt.InvalidOrder("known"), 400),
        (ccxt.OrderNotFound("known"), 404),
        (ccxt.DuplicateOrderId("known"), 409),
        (ccxt.RateLimitExceeded("known"), 429),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_an_error_is_a_refusal_only_where_ccxt_knows_its_words(
    error: Exception, status: int, transport: CcxtTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-03: an order taken for refused that lives at the exchange would be dealt a second time elsewhere."""
    monkeypatch.setattr(transport, "_own", raising(error))
    answer = transport.call(request=ORDER)
    assert (answer.status, answer.left) == (status, True)


def test_ccxts_own_rounding_is_not_ours(transport: CcxtTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sets its thread's for good: a desk that is replayed there would come out of the same log with other cents."""
    monkeypatch.setattr(
        transport, "_own", lambda *_: ccxt.decimal_to_precision("1.25", ccxt.ROUND, 1, ccxt.DECIMAL_PLACES)
    )
    before = getcontext().copy()
    assert transport.call(request=ORDER).text == '"1.3"'
    now = getcontext()
    assert (now.rounding, now.traps) == (before.rounding, before.traps) == (ROUND_HALF_EVEN, DefaultContext.traps)


def test_ccxt_waits_no_longer_than_other_venues_do(transport: CcxtTransport) -> None:
    assert transport._exchange.timeout == CALL_S_MAX * 1_000


TIME = b'{"error":[],"result":{"unixtime":1700000000}}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def asked(transport: CcxtTransport, venue: Venue) -> Any:
    exchange = transport._exchange
    exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], venue.url)
    exchange.session.trust_env = False
    return transport.call(request=Request(method="GET", url="fetch_time", body="[]"))


def test_an_answer_in_parts_is_read_whole(transport: CcxtTransport, venue: Venue) -> None:
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(TIME)
    venue.answers([head, TIME[:9], TIME[9:]], apart_s=0.05, until=b"\r\n\r\n")
    answer = asked(transport, venue)
    assert (answer.status, answer.text) == (200, "1700000000000")


@pytest.mark.parametrize("what", ["head", "body", "large"])
def test_an_answer_without_end_is_no_answer(
    what: str, transport: CcxtTransport, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-07: all that is asked of an exchange waits for the one question that is under way."""
    monkeypatch.setattr(limits, "ANSWER_S_MAX", 20.0 if what == "large" else 0.3)
    monkeypatch.setattr(limits, "ANSWER_BYTES_MAX", 1_000)
    parts = {
        "head": itertools.chain([HEAD + b"X: "], itertools.repeat(b"y")),
        "body": itertools.chain([HEAD + b"Content-Length: 999\r\n\r\n"], itertools.repeat(b" ", 900)),
        "large": [HEAD + b"Content-Length: %d\r\n\r\n" % (630_000 + len(TIME)), *[b" " * 70_000] * 9, TIME],
    }
    venue.answers(parts[what], apart_s=0.2 if what == "body" else 0.05, until=b"\r\n\r\n")
    began_s = time.monotonic()
    answer = asked(transport, venue)
    assert (answer.status, answer.left) == (0, True)
    assert time.monotonic() - began_s < ENDED_S_MAX


def test_an_exchange_that_sends_on_and_on_is_followed_once(transport: CcxtTransport, venue: Venue) -> None:
    """F-07: each of thirty answers would have a whole answer's time."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    for answer in (moved, HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(TIME) + TIME):
        venue.answers([answer], until=b"\r\n\r\n")
    assert asked(transport, venue).status == 200
    for _ in range(2):
        venue.answers([moved], until=b"\r\n\r\n")
    answer = asked(transport, venue)
    assert (answer.status, answer.left) == (500, True)
