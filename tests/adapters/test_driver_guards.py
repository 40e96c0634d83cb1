"""The driver's guards, each without a thread: what may leave, what is asked, and what ends or outlives a session."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from piggy.adapters import driver as drivers
from piggy.adapters.binance.session import BinanceSession
from piggy.adapters.driver import Driver
from piggy.adapters.interface import Request, Response, Stream, UnableToSend
from piggy.adapters.transport import StreamEnded
from piggy.core.market import VenueState
from tests.adapters.recorded import child_of
from tests.adapters.test_driver import CONFIG, ORDER, Channel, Heard, Wire, answer

ASK, PLACE = Request(method="GET", url="/depth"), Request(method="POST", url="/order", places_order=True)
STREAM = Stream(name="user", url="ws://x")


def driver_of(wire: Any, *, is_ready: bool = False) -> tuple[Driver, Heard]:
    heard = Heard()
    driver = Driver(session=BinanceSession(config=CONFIG), listener=heard, transport=wire, clock=lambda: 5)
    if is_ready:
        driver._turn(VenueState.READY, "up")
    return driver, heard


def until(what: Any) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_nothing_is_asked_or_sent_once_a_stream_broke_though_the_state_still_stands() -> None:
    wire = Wire(answer(200))
    driver, _ = driver_of(wire, is_ready=True)
    assert driver.ready
    driver._break("cut")
    assert not driver.ready
    with pytest.raises(UnableToSend):
        driver.place(child=child_of("BTCUSD", price="100"))
    assert (driver.ask_status(order=ORDER), driver.cancel(order=ORDER), driver.reconcile(since_us=1)) == (False,) * 3
    assert wire.asked == []


def test_a_venue_that_fails_at_a_question_was_not_asked() -> None:
    """False keeps a venue closed for entry until its fills were told; raised, it would end the worker's turn."""
    wire = Wire(answer(200))
    wire.call = lambda *, request: Response(status=500, text="{}")  # type: ignore[method-assign]
    driver, heard = driver_of(wire, is_ready=True)
    assert driver.reconcile(since_us=1) is False
    assert (heard.said, heard.parked) == ([], [])


def test_a_budget_that_is_used_up_holds_an_order_back_and_answers_a_question() -> None:
    driver, _ = driver_of(Wire(answer(200)))
    driver._budget.close_for(seconds=30)
    with pytest.raises(UnableToSend, match="rate limit"):
        driver._call(PLACE, 0.0)
    told = driver._call(ASK, 0.0)
    assert (told.status, told.left) == (429, False)
    driver._stopping.set()
    began = time.monotonic()
    assert driver._call(ASK, 60.0).status == 429 and time.monotonic() - began < 25, "who stops waits for nothing"


def test_a_question_that_cannot_have_left_is_answered_and_an_order_is_refused() -> None:
    wire = Wire(answer(0, "ConnectError", left=False))
    wire.call = lambda *, request: Response(status=0, text="ConnectError", left=False)  # type: ignore[method-assign]
    driver, _ = driver_of(wire)
    assert driver._call(ASK, 0.0).status == 0
    with pytest.raises(UnableToSend, match="ConnectError"):
        driver._call(PLACE, 0.0)


def test_the_venues_own_count_of_what_was_used_is_believed() -> None:
    """Others ask from the same address: past its limit a venue shuts all of them out."""
    limit = BinanceSession(config=CONFIG).budget[0].limit
    for count, is_held in ((str(limit), True), ("", False), ("many", False)):
        wire = Wire(answer(200))
        told = Response(status=200, text="{}", headers={"x-mbx-used-weight-1m": count})
        wire.call = lambda *, request, told=told: told  # type: ignore[method-assign]
        driver, _ = driver_of(wire)
        driver._call(ASK, 0.0)
        assert (driver._budget.wait_s(request=ASK) > 0) is is_held


def test_a_report_that_cannot_be_read_is_parked_whole() -> None:
    driver, heard = driver_of(Wire(answer(200)), is_ready=True)
    driver._hear(STREAM, Channel([], is_market=False), '{"e": "executionReport"}')
    assert len(heard.parked) == 1 and driver.ready


class Broken:
    """A channel that fails in a way that nobody foresaw, or says nothing."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def receive(self, *, timeout_s: float) -> str | None:
        if self.error is not None:
            raise self.error
        return None

    def say(self, *, text: str) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("error", "silence_s", "why"),
    [(RuntimeError("odd"), 0.0, "failed"), (StreamEnded("cut"), 0.0, "ended"), (None, 0.001, "is silent")],
)
def test_a_stream_that_fails_ends_or_is_silent_takes_the_session_down(
    error: Exception | None, silence_s: float, why: str
) -> None:
    """F-07: left alone nobody would hear of a fill, and orders would go on."""
    driver, _ = driver_of(Wire(answer(200)), is_ready=True)
    driver._listen(Stream(name="user", url="ws://x", silence_s_max=silence_s), Broken(error))
    assert not driver.ready and why in driver.status().text


def test_streams_that_never_settle_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "SETTLE_S_MAX", 0.0)
    driver, _ = driver_of(Wire(answer(200)))
    with pytest.raises(StreamEnded, match="did not settle"):
        driver._live()


def test_a_book_that_cannot_be_made_whole_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "RESYNC_AGAIN_S", 0.0)
    wire = Wire(answer(200))
    wire.call = lambda *, request: Response(status=503, text="{}")  # type: ignore[method-assign]
    driver, _ = driver_of(wire)
    driver._gaps.put("BTCUSD")
    driver._mend()
    assert driver._gaps.get_nowait() == "BTCUSD"


class Failing(Wire):
    """Fails so many times before it answers, each time in another way."""

    def __init__(self, times: int) -> None:
        super().__init__(answer(200))
        self.left = times

    def call(self, *, request: Request) -> Response:
        if self.left:
            self.left -= 1
            if self.left % 3 == 0:
                raise RuntimeError("a fault of ours")
            return Response(status=503, text="{}") if self.left % 3 == 1 else Response(status=200, text="<html>")
        return super().call(request=request)


def test_however_often_and_oddly_it_fails_a_session_comes_back_and_again_after_that(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drivers, "BACK_OFF_S", (0.0, 0.001))
    wire = Failing(7)
    driver, heard = driver_of(wire)
    driver.start()
    try:
        until(lambda: driver.ready)
        assert {status.state for status in heard.states} >= {VenueState.DOWN, VenueState.READY}
        assert [quote.symbol for quote in driver.all_quotes()] == ["BTCUSD"]
        first = len(heard.states)
        wire.channels[0].ended.set()
        until(lambda: driver.ready and len(heard.states) > first + 2)
        assert all(channel.ended.is_set() for channel in wire.channels[:2]), "no line of before is left open"
        wire.channels[-1].texts.append(json.dumps({"e": "depthUpdate", "s": "BTCUSDT", "U": "?"}))
        until(lambda: driver.status().unread)
    finally:
        driver.stop()
    assert "venue session failed" in caplog.text
    assert all(channel.ended.is_set() for channel in wire.channels)
    assert not driver._thread.is_alive()
