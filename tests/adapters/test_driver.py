"""The driver against a transport made of prepared answers: what it does when a venue does not do as it should."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from piggy.adapters.binance.session import BinanceSession
from piggy.adapters.driver import Driver
from piggy.adapters.interface import ReportKind, Request, Response, Said, Stream, UnableToSend
from piggy.adapters.transport import StreamEnded
from piggy.core.market import VenueState, VenueStatus
from tests.adapters.recorded import child_of, config_of

CONFIG = config_of("binance", {"BTCUSD": ("BTCUSDT", "1")})
DEPTH = json.dumps({"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 11, "u": 12, "b": [["99", "1"]], "a": []})


class Channel:
    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
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

    def __init__(self, order: Callable[[], Response], *, status: str = "TRADING") -> None:
        self.order = order
        self.status = status
        self.asked: list[str] = []
        self.channels: list[Channel] = []

    def call(self, *, request: Request) -> Response:
        path = request.url.partition("?")[0].rpartition("/")[2]
        self.asked.append(f"{request.method} {path}")
        if request.places_order:
            return self.order()
        info = {"symbols": [{"symbol": "BTCUSDT", "status": self.status, "filters": []}]}
        docs: dict[str, Any] = {
            "time": {"serverTime": 1},
            "exchangeInfo": info,
            "account": {"balances": []},
            "depth": {"lastUpdateId": 11, "bids": [], "asks": [["101", "1"]]},
        }
        return Response(status=200, text=json.dumps(docs[path]))

    def open(self, *, stream: Stream) -> Channel:
        self.channels.append(Channel([DEPTH] if stream.name == "market" else ['{"id": "user", "status": 200}']))
        return self.channels[-1]

    def close(self) -> None: ...


class Heard:
    def __init__(self) -> None:
        self.said: list[Said] = []
        self.states: list[VenueStatus] = []

    def on_state(self, *, status: VenueStatus) -> None:
        self.states.append(status)

    def on_said(self, *, said: Said) -> None:
        self.said.append(said)

    def on_parked(self, *, text: str, error: str) -> None: ...


def ready(wire: Wire) -> tuple[Driver, Heard]:
    heard = Heard()
    driver = Driver(session=BinanceSession(config=CONFIG), listener=heard, transport=wire)
    driver.start()
    deadline = time.monotonic() + 5
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
        deadline = time.monotonic() + 5
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


def test_a_mapping_that_the_venue_does_not_bear_out_is_said_on_the_desk():
    driver, _ = ready(Wire(answer(0), status="BREAK"))
    try:
        assert driver.status().text == "BTCUSD: BTCUSDT is not tradable"
    finally:
        driver.stop()


def test_a_config_never_shows_its_secret():
    config = msgspec.structs.replace(CONFIG, secret="hidden-from-logs", key="also-hidden")
    assert "hidden" not in f"{config} {config!r} {[config]}"
