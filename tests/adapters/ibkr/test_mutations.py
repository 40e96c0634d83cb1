"""Every field of a gateway's messages gone or odd: named, or read right; never a fill that was none."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from typing import Any

import pytest

from piggy.adapters.ibkr import transport as transport_module
from piggy.adapters.ibkr.asks import ASKS
from piggy.adapters.ibkr.config import LAYOUTS, TICKERS
from piggy.adapters.ibkr.inbound import SEPARATOR
from piggy.adapters.ibkr.session import IbkrSession
from piggy.adapters.ibkr.transport import Line, TwsTransport
from piggy.adapters.interface import Reports, Response, UnableToReadReport
from tests.adapters.ibkr.test_ibkr import (
    CONFIG,
    GREETING,
    NOW_US,
    ORDER,
    TERMS,
    connected,
    executed,
    opened,
    refused,
    row,
    stood,
    wire,
)
from tests.adapters.mutations import facts, read_or_named
from tests.adapters.recorded import child_of, play

ODD = ("", "?", "NaN", "Infinity", "-1", "1E+400", "9" * 500, "1.7976931348623157E308", "\ud800")


def submitted_session() -> IbkrSession:
    session = connected()
    play(session.submit(child=child_of("EURUSD", price="1.1"), now_us=NOW_US), [[opened(), stood("Submitted")]])
    return session


KNOWING = submitted_session()


def broken_of(text: str) -> list[str]:
    """Return the message cut short at every length, and with each field replaced by each oddity."""
    parts = text.split(SEPARATOR)
    cut = [SEPARATOR.join(parts[:length]) for length in range(1, len(parts))]
    odd = [
        SEPARATOR.join((*parts[:place], value, *parts[place + 1 :])) for place in range(1, len(parts)) for value in ODD
    ]
    return cut + odd


def heard(text: str) -> Reports:
    session = copy.deepcopy(KNOWING)
    return read_or_named(lambda: session.hear(stream="gateway", text=text, now_us=NOW_US).reports)


@pytest.mark.parametrize(
    "text",
    [executed(), executed("0000e0d5.01.01.02", "50000"), stood("Cancelled", "40000"), refused(201), opened()],
    ids=["execution", "restated", "status", "error", "order"],
)
def test_a_message_of_an_order_is_read_right_or_named(text: str):
    sound = facts(heard(text))
    for broken in broken_of(text):
        told = facts(heard(broken))
        assert {fact[1:] for fact in told} <= {fact[1:] for fact in sound} or "-1" in broken, (broken, told - sound)


def test_an_unset_number_is_none_and_no_amount():
    session = copy.deepcopy(KNOWING)
    session.hear(stream="gateway", text=executed(), now_us=NOW_US)
    fee = wire(59, 1, "0000e0d5.01.01.01", "1.7976931348623157E308", "USD", "", "")
    assert session.hear(stream="gateway", text=fee, now_us=NOW_US).reports == ()
    early = wire(59, 1, "0000e0d5.01.01.01", "1.5", "USD", "", "")
    assert heard(early) == (), "before its execution a commission names nobody's order"
    assert session.hear(stream="gateway", text=early, now_us=NOW_US).reports[0].report.text == "fee 1.5 USD"


def test_a_row_of_depth_that_cannot_be_read_withdraws_the_book_and_asks_anew():
    for broken in broken_of(row(0, 1, 1, "1.08", "1000000")):
        session = connected()
        session.hear(stream="gateway", text=row(0, 0, 1, "1.07", "1000000"), now_us=NOW_US)
        found = session.hear(stream="gateway", text=broken, now_us=NOW_US)
        if session.unread[0]:
            assert (found.gaps, session.all_quotes()) == (("EURUSD",), [])
        for quote in session.all_quotes():
            assert all(level.price > 0 and level.size > 0 for level in (*quote.bids, *quote.asks))
    assert len(LAYOUTS["12"]) == 6
    assert session._tickers == {TICKERS: CONFIG.symbols[0].venue_symbol}


@pytest.mark.parametrize("ask", ["status", "fills", "positions", "balances", "symbols", "connect", "open_orders"])
def test_what_is_asked_leaks_no_other_error(ask: str):
    answers: dict[str, list[list[str]]] = {
        "status": [[opened(), stood("Submitted", "40000")], [executed()]],
        "fills": [[executed()]],
        "positions": [[wire(61, 3, "DU1", 1000, *[""] * 10, "40000", "1.1")]],
        "balances": [[wire(63, 1, 7, "DU1", "TotalCashValue", "100.5", "USD")]],
        "symbols": [TERMS],
        "connect": [GREETING, TERMS, [], [], []],
        "open_orders": [[opened(), stood("Submitted")]],
    }
    names: dict[str, Any] = {"status": {"order": ORDER}, "fills": {"since_us": 0}}.get(ask, {})
    sound = answers[ask]
    for which, texts in enumerate(sound):
        for place, text in enumerate(texts):
            for broken in broken_of(text):
                docs = [list(one) for one in sound]
                docs[which][place] = broken
                session = copy.deepcopy(KNOWING)
                read_or_named(lambda: converse(getattr(session, ask)(now_us=NOW_US, **names), docs))  # noqa: B023


def converse(steps: Any, answers: list[list[str]]) -> Reports:
    left, response = list(answers), None
    while True:
        try:
            _ = next(steps) if response is None else steps.send(response)
        except StopIteration:
            return ()
        response = Response(status=200, text=json.dumps(left.pop(0) if left else []))


def test_a_broken_list_of_messages_is_no_answer():
    session = copy.deepcopy(KNOWING)
    for text in ("<html>", "{}", "[1]", "null"):
        steps = session.positions(now_us=NOW_US)
        next(steps)
        answer = Response(status=200, text=text)
        with pytest.raises(UnableToReadReport):
            steps.send(answer)


class Gateway:
    """ib_async's client as the transport uses it; notes which lists were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_up = True

    def isReady(self) -> bool:
        return self.is_up

    isConnected = isReady

    def reqAllOpenOrders(self) -> None:
        self.asked.append("open")

    def disconnect(self) -> None:
        self.is_up = False


def transport_of(gateway: Gateway) -> TwsTransport:
    transport = object.__new__(TwsTransport)
    transport._loop, transport._line = asyncio.get_running_loop(), Line()
    transport._client, transport._numbers = gateway, itertools.count(1)  # type: ignore[assignment]
    return transport


async def test_a_list_is_asked_for_once_at_a_time_as_its_end_names_nobody():
    """The end of the first list would otherwise end the second one early, and an order that works seem unknown."""
    gateway = Gateway()
    transport = transport_of(gateway)
    first, second = (asyncio.ensure_future(transport._ask(ASKS["open_orders"], {})) for _ in range(2))
    await asyncio.sleep(0)
    line = transport._line
    line.interpret(opened().split(SEPARATOR))
    assert gateway.asked == ["open"]
    line.interpret(["53", "1"])
    assert json.loads((await first).text) == [opened()]
    await asyncio.sleep(0)
    assert gateway.asked == ["open", "open"]
    assert not second.done()
    for text in (opened(), stood("Submitted"), wire(53, 1)):
        line.interpret(text.split(SEPARATOR))
    assert json.loads((await second).text) == [opened(), stood("Submitted")]


async def test_a_list_without_an_end_ends_the_connection(monkeypatch: pytest.MonkeyPatch):
    """Its end may come yet, for whoever asks next."""
    monkeypatch.setattr(transport_module, "QUESTION_S_MAX", 0.01)
    gateway = Gateway()
    transport = transport_of(gateway)
    found = await transport._ask(ASKS["open_orders"], {})
    assert (found.status, found.text, gateway.is_up) == (0, "the gateway did not answer", False)


def test_a_message_that_cannot_be_read_reaches_whoever_listens():
    line = Line()
    line.interpret(["4", "2", "105"])
    line.interpret(["4", "2", "105", "?", "why", ""])
    assert [line.heard.get_nowait() for _ in range(2)] == [wire(4, 2, 105), wire(4, 2, 105, "?", "why", "")]
