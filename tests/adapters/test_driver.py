"""The driver against a transport made of prepared answers: what it does when a venue does not do as it should."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.adapters.binance.session import BinanceSession
from piggy.adapters.driver import Driver
from piggy.adapters.interface import Order, ReportKind, Request, Response, Said, Stream, UnableToSend
from piggy.adapters.transport import StreamEnded
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import Side
from tests.adapters.recorded import child_of, config_of

CONFIG = config_of("binance", {"BTCUSD": ("BTCUSDT", "1")})
ORDER = Order(
    cl_ord_id="o1-V1-1", client_id="o1-V1-1", symbol="BTCUSD", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal(100),
)  # fmt: skip
DEPTH = json.dumps({"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 11, "u": 12, "b": [["99", "1"]], "a": []})


class Channel:
    def __init__(self, texts: list[str], *, is_market: bool) -> None:
        self.texts = texts
        self.is_market = is_market
        self.ended = threading.Event()

    def receive(self, *, timeout_s: float) -> str | None:
        if self.ended.is_set():
            raise StreamEnded("cut")
        if self.texts:
            return self.texts.pop(0)
        time.sleep(0.01)
        return None

    def say(self, *, text: str) -> None: ...

    def close(self) -> None:
        self.ended.set()


class Wire:
    """Answers by the path asked for; `order` answers a new order."""

    def __init__(self, order: Callable[[], Response], *, status: str = "TRADING", ended: str = "") -> None:
        self.order = order
        self.ended = ended
        self.status = status
        self.asked: list[str] = []
        self.channels: list[Channel] = []

    def call(self, *, request: Request) -> Response:
        path = request.url.partition("?")[0].rpartition("/")[2]
        self.asked.append(f"{request.method} {path}")
        if request.places_order:
            return self.order()
        if path == "order":
            return Response(status=200, text=self.ended)
        info = {"symbols": [{"symbol": "BTCUSDT", "status": self.status, "filters": []}]}
        docs: dict[str, Any] = {
            "time": {"serverTime": 1},
            "exchangeInfo": info,
            "account": {"balances": []},
            "depth": {"lastUpdateId": 11, "bids": [], "asks": [["101", "1"]]},
        }
        return Response(status=200, text=json.dumps(docs[path]))

    def open(self, *, stream: Stream) -> Channel:
        is_market = stream.name == "market"
        texts = [DEPTH] if is_market else ['{"id": "user", "status": 200}']
        self.channels.append(Channel(texts, is_market=is_market))
        return self.channels[-1]

    def close(self) -> None: ...


class Heard:
    def __init__(self) -> None:
        self.said: list[Said] = []
        self.states: list[VenueStatus] = []
        self.parked: list[str] = []

    def on_state(self, *, status: VenueStatus) -> None:
        self.states.append(status)

    def on_said(self, *, said: Said) -> None:
        self.said.append(said)

    def on_parked(self, *, text: str, error: str) -> None:
        self.parked.append(error)


def ready(wire: Wire) -> tuple[Driver, Heard]:
    heard = Heard()
    driver = Driver(session=BinanceSession(config=CONFIG), listener=heard, transport=wire)
    driver.start()
    deadline = time.monotonic() + 30
    while not driver.ready:
        assert time.monotonic() < deadline, driver.status()
        time.sleep(0.01)
    return driver, heard


def answer(status: int, text: str = "", **more: Any) -> Callable[[], Response]:
    return lambda: Response(status=status, text=text, **more)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(0, "ReadTimeout"), ReportKind.DOUBT),
        (answer(200, "<html>maintenance</html>"), ReportKind.DOUBT),
        (answer(400, '{"code": -2010, "msg": "no balance"}'), ReportKind.REJECT),
    ],
)
def test_what_an_order_is_answered_decides_between_doubt_and_refusal(given: Callable[[], Response], kind: ReportKind):
    wire = Wire(given)
    driver, heard = ready(wire)
    try:
        driver.place(child=child_of("BTCUSD", price="100"))
        assert [said.report.kind for said in heard.said] == [kind]
        assert wire.asked.count("POST order") == 1, "an order is never sent a second time"
    finally:
        driver.stop()


def test_an_order_that_cannot_have_left_is_refused_here():
    driver, heard = ready(Wire(answer(0, "ConnectError", left=False)))
    try:
        with pytest.raises(UnableToSend):
            driver.place(child=child_of("BTCUSD", price="100"))
        assert heard.said == []
    finally:
        driver.stop()


def test_no_order_leaves_while_its_report_could_not_be_heard():
    wire = Wire(answer(0))
    driver, heard = ready(wire)
    try:
        wire.channels[0].ended.set()
        deadline = time.monotonic() + 30
        while driver.ready:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        with pytest.raises(UnableToSend):
            driver.place(child=child_of("BTCUSD", price="100"))
        assert "POST order" not in wire.asked
        assert VenueState.DOWN in {status.state for status in heard.states} or not driver.ready
    finally:
        driver.stop()


def test_after_a_throttle_nothing_is_asked_until_it_is_over():
    wire = Wire(answer(429, "{}", headers={"retry-after": "30"}))
    driver, _ = ready(wire)
    try:
        driver.place(child=child_of("BTCUSD", price="100"))
        before = len(wire.asked)
        with pytest.raises(UnableToSend):
            driver.place(child=child_of("BTCUSD", price="100", cl_ord_id="o2-V1-1"))
        assert len(wire.asked) == before
    finally:
        driver.stop()


@pytest.mark.parametrize(
    ("status", "after", "least", "most"),
    [
        (429, "30", 30, 30),
        (429, "", 1, 1),
        (418, "", 120, 120),
        (418, "Sun, 06 Nov 1994 08:50:37 GMT", 60, 60),
        (418, "999999999999", 86_400, 86_400),
        (429, "soon", 1, 1),
    ],
)
def test_silence_is_kept_for_as_long_as_the_venue_asks(status: int, after: str, least: int, most: int):
    """A number, a date, or no word at all, after which a ban is thought longer than a throttle."""
    now_us = 784_111_777_000_000
    heard = Heard()
    wire = Wire(answer(status, "{}", headers={"retry-after": after}))
    driver = Driver(session=BinanceSession(config=CONFIG), listener=heard, transport=wire, clock=lambda: now_us)
    driver._budget._clock = lambda: 1_000.0
    driver._call(Request(method="POST", url="/order", places_order=True), 0)
    wait = driver._budget.wait_s(request=Request(method="GET", url="/"))
    assert least - 1 < wait <= most


def test_market_data_that_cannot_be_read_is_counted_in_the_status_and_parks_nothing():
    wire = Wire(answer(0))
    driver, heard = ready(wire)
    try:
        market = next(channel for channel in wire.channels if channel.is_market)
        market.texts.append('{"stream": "x", "data": {"e": "depthUpdate", "s": "BTCUSDT", "U": "?"}}')
        deadline = time.monotonic() + 30
        while not driver.status().unread:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert heard.parked == []
        assert driver.ready, "a price that is lost is no reason to cut the session"
    finally:
        driver.stop()


def test_a_cancel_whose_answer_cannot_be_read_is_told_and_may_be_asked_again():
    driver, heard = ready(Wire(answer(0), ended="<html>"))
    try:
        assert driver.cancel(order=ORDER)
        assert [said.report.kind for said in heard.said] == [ReportKind.UNCANCEL]
        assert "not JSON" in heard.said[0].report.text
        assert not driver.ask_status(order=ORDER), "the answer to a question that cannot be read is for a person"
        assert len(heard.parked) == 1
        assert driver.status().unread == 2
    finally:
        driver.stop()


def test_a_mapping_that_the_venue_does_not_bear_out_is_said_on_the_desk():
    driver, _ = ready(Wire(answer(0), status="BREAK"))
    try:
        assert driver.status().text == "BTCUSD: BTCUSDT is not tradable"
    finally:
        driver.stop()


def test_what_carries_a_secret_never_shows_it_nor_is_a_frame_logged():
    """E-06: locals of what is raised are shown by error trackers, and a library's debug log shows what is sent."""
    request = Request(method="GET", url="/x?signature=hidden", headers={"Authorization": "hidden"}, body="hidden")
    stream = Stream(name="user", url="wss://x/hidden", headers={"key": "hidden"}, hello=("hidden",))
    assert "hidden" not in f"{request!r} {stream!r} {[request, stream]}"
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        assert not logging.getLogger("piggy.adapters.frames").isEnabledFor(logging.DEBUG)
    finally:
        logging.getLogger().setLevel(logging.WARNING)


def test_a_config_never_shows_its_secret():
    config = msgspec.structs.replace(CONFIG, secret="hidden-from-logs", key="also-hidden")
    assert "hidden" not in f"{config} {config!r} {[config]}"
