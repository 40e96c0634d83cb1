"""What an exchange streams through ccxt.pro: whole books, orders and fills of ours, each counted once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from piggy.adapters.ccxt import streaming
from piggy.adapters.ccxt.streaming import BOOKS, ORDERS, TRADES, Streamer
from piggy.adapters.interface import ReportKind, UnableToReadReport
from piggy.adapters.transport import StreamEnded
from tests.adapters.ccxt.test_mutations import CASES, NOW_US, ORDER
from tests.adapters.mutations import assert_survives, talk
from tests.adapters.recorded import play

CASE = CASES["ccxt"]
BOOK, TRADE, DOC = CASE.docs["book"], CASE.docs["trades"][0], CASE.docs["order"]


def streamed() -> Any:
    session = CASE.session
    answers = [CASE.markets, CASE.docs["balance"], BOOK, [BOOKS, ORDERS, TRADES]]
    streams, _ = play(session.connect(now_us=NOW_US), answers)
    named = [(one.name, one.url, one.hello) for one in streams]
    assert named == [(f"{BOOKS} BTC/USDT", BOOKS, ("BTC/USDT",)), (ORDERS, ORDERS, ()), (TRADES, TRADES, ())]
    session._working["o1-V1-1"] = ORDER
    return session


def kinds(session: Any, stream: str, doc: Any) -> list[ReportKind]:
    return [said.report.kind for said in session.hear(stream=stream, text=json.dumps(doc), now_us=NOW_US).reports]


def test_what_is_streamed_is_not_asked_for_and_working_orders_only_now_and_then():
    session = streamed()
    working = DOC | {"status": "open", "filled": "0", "remaining": "1"}
    assert play(session.tend(now_us=NOW_US), [working])[0] == ()
    assert play(session.tend(now_us=NOW_US + 1_000_000), [])[0] == ()
    assert len(play(session.tend(now_us=NOW_US + 5_000_000), [working])[1]) == 1


def test_a_fill_is_told_at_once_and_the_end_once_all_fills_were():
    session = streamed()
    assert kinds(session, ORDERS, [DOC | {"status": "open", "filled": "0", "remaining": "1"}]) == [ReportKind.ACK]
    assert kinds(session, ORDERS, [DOC]) == [], "it ended with a fill that was not told yet"
    assert kinds(session, TRADES, [TRADE]) == [ReportKind.FILL]
    assert kinds(session, TRADES, [TRADE]) == [ReportKind.FILL], "its key is the same, so that it counts once"
    assert kinds(session, ORDERS, [DOC]) == [ReportKind.DONE]
    assert kinds(session, ORDERS, [DOC]) == []


def test_an_end_that_overtakes_its_fills_is_asked_about():
    session = streamed()
    play(session.tend(now_us=NOW_US), [DOC | {"status": "open", "filled": "0", "remaining": "1"}])
    assert kinds(session, ORDERS, [DOC]) == []
    said, _ = play(session.tend(now_us=NOW_US + 1), [DOC, [TRADE]])
    assert [one.report.kind for one in said] == [ReportKind.FILL, ReportKind.DONE]


def test_a_fill_of_an_order_that_we_do_not_know_is_looked_up():
    session = streamed()
    session._working.clear()
    assert kinds(session, TRADES, [TRADE | {"order": "99"}]) == []
    other = DOC | {"id": "99", "clientOrderId": "o9-V1-1"}
    said, requests = play(session.tend(now_us=NOW_US), [[TRADE | {"order": "99"}], other])
    assert [request.url for request in requests] == ["fetch_my_trades", "fetch_order"]
    assert [one.report.cl_ord_id for one in said] == ["o9-V1-1"]


def test_a_book_with_a_gap_or_one_that_is_crossed_is_withdrawn():
    session = streamed()
    assert session.all_quotes()
    session.hear(stream=f"{BOOKS} BTC/USDT", text='{"gap": "BTC/USDT"}', now_us=NOW_US)
    assert (session.all_quotes(), session.unread[0]) == ([], 0)
    session.hear(stream=f"{BOOKS} BTC/USDT", text=json.dumps(BOOK), now_us=NOW_US)
    assert session.all_quotes()
    ghost = BOOK | {"bids": [["102", "1"], ["99", "1"]]}
    session.hear(stream=f"{BOOKS} BTC/USDT", text=json.dumps(ghost), now_us=NOW_US)
    assert (session.all_quotes(), session.unread[0]) == ([], 1)


def test_what_streams_say_is_read_right_or_named():
    def told(docs: list[Any]) -> Any:
        session = streamed()
        said = session.hear(stream=ORDERS, text=json.dumps([docs[0] | {"filled": "0"}]), now_us=NOW_US).reports
        return said + session.hear(stream=TRADES, text=json.dumps(docs[1]), now_us=NOW_US).reports

    for doc in ([TRADE],):
        assert_survives([doc], lambda docs: told([DOC | {"status": "open"}, *docs]))
    with pytest.raises(UnableToReadReport):
        streamed().hear(stream=ORDERS, text="<html>", now_us=NOW_US)
    assert talk(streamed().positions(now_us=NOW_US), [[]]) == ()


class Exchange:
    """ccxt.pro's face: a book, a gap, a book again, then the end."""

    def __init__(self, ccxt: Any) -> None:
        self.ccxt, self.closed = ccxt, False
        self.turns: Iterator[Any] = iter([BOOK, ccxt.ChecksumError("gap"), BOOK, ccxt.NetworkError("gone")])

    async def watch_order_book(self, symbol: str) -> Any:
        await asyncio.sleep(0)
        turn = next(self.turns)
        if isinstance(turn, Exception):
            raise turn
        return turn

    async def close(self) -> None:
        self.closed = True


class BaseError(Exception): ...


class NetworkError(BaseError): ...


class ChecksumError(NetworkError): ...


def test_a_gap_is_said_and_watched_on_and_the_end_of_a_stream_ends_it(monkeypatch: pytest.MonkeyPatch):
    names = {"BaseError": BaseError, "NetworkError": NetworkError, "ChecksumError": ChecksumError}
    fake = SimpleNamespace(**names, InvalidNonce=type("InvalidNonce", (NetworkError,), {}))
    monkeypatch.setattr(streaming, "import_module", lambda name: fake)
    made: list[Exchange] = []
    streamer = Streamer(make=lambda ccxt: made.append(Exchange(ccxt)) or made[-1])
    channel = streamer.channel(method=BOOKS, symbol="BTC/USDT")
    found = []
    deadline = time.monotonic() + 60
    with pytest.raises(StreamEnded, match="NetworkError: gone"):
        while time.monotonic() < deadline:
            if text := channel.receive(timeout_s=0.1):
                found.append(json.loads(text))
    assert found == [BOOK, {"gap": "BTC/USDT"}, BOOK]
    channel.close()
    channel.close()
    assert (streamer.ended, made[0].closed) == (True, True)
