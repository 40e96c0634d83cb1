"""A line that is open and dead, one that somebody else holds in our name, one that forgets (F-06, F-07, F-09, F-10)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from piggy.adapters.fix.logons import FAILED_MAX, LASTED_S_MIN, Logons
from piggy.adapters.fix.numbers import Next
from piggy.adapters.fix.session import FixSession
from piggy.core.market import VenueState
from tests.adapters.fix.raw_lp import RawLp
from tests.adapters.fix.test_words import config
from tests.simulator.lp_range import Hearer, child, say, wait

# QuickFIX looks at its clock once a second, so a shorter one proves nothing.
HEARTBEAT_S = int(os.environ.get("FIX_HEARTBEAT_S", "2"))
# What a machine that is busy with other things may add to each.
BUSY_S = 8


@pytest.fixture
def lp() -> Iterator[RawLp]:
    raw = RawLp()
    yield raw
    raw.stop()


@contextmanager
def begun(lp: RawLp, home: Path, *, heartbeat_s: int = HEARTBEAT_S) -> Iterator[FixSession]:
    hearer = Hearer()
    session = FixSession(config=structs.replace(config(lp, home), heartbeat_s=heartbeat_s), listener=hearer)
    hearer.session = session
    session.start()
    try:
        yield session
    finally:
        session.stop()


def test_f_07_a_half_open_line_takes_no_order_after_two_heartbeats(lp: RawLp, tmp_path: Path) -> None:
    """Heartbeats so long that QuickFIX sees nothing wrong before the test is over; its silence is put back in time."""
    with begun(lp, tmp_path, heartbeat_s=600) as session:
        wait(lambda: session.ready)
        lp.mute = True
        session._heard_at = time.monotonic() - 1.5 * 600
        assert session.ready and say(session, child("in time"))
        session._heard_at = time.monotonic() - 2 * 600
        assert session.status().state is VenueState.READY
        assert not session.ready and not say(session, child("too late"))
        lp.wait("D")
        lp.mute = False
        lp.drop()
        wait(lambda: session.ready)
        assert [each["11"] for each in lp.of("D")] == ["in time"], "what was refused leaves neither late nor twice"


def test_f_07_a_half_open_line_is_asked_whether_it_is_there_and_given_up(lp: RawLp, tmp_path: Path) -> None:
    """Asked after 1.2 of the session's own heartbeats, given up after 2.4; down within three of them (F-06)."""
    with begun(lp, tmp_path, heartbeat_s=HEARTBEAT_S) as session:
        for _ in range(3):
            wait(lambda: session.ready)
            asked, began_s, lp.mute = len(lp.of("1")), time.monotonic(), True
            wait(lambda asked=asked: len(lp.of("1")) > asked or session.status().state is VenueState.DOWN)
            asked_s, is_asked = time.monotonic() - began_s, len(lp.of("1")) > asked
            wait(lambda: session.status().state is VenueState.DOWN)
            took_s = time.monotonic() - began_s
            assert 2.3 * HEARTBEAT_S <= took_s <= 3 * HEARTBEAT_S + BUSY_S, took_s
            lp.mute = False
            if is_asked:
                break  # Who stood still himself for more than a heartbeat has no time left to ask.
        assert is_asked and asked_s >= 1.1 * HEARTBEAT_S
        wait(lambda: session.ready)


def _cut(lp: RawLp, logon: dict[str, str]) -> None:
    lp.drop()


def _refuse(lp: RawLp, logon: dict[str, str]) -> None:
    lp.say("5", "58=Session ACORN is already logged on|")
    lp.drop()


@pytest.mark.parametrize(("at_logon", "says"), [(_cut, "logons in a row"), (_refuse, "already logged on")])
def test_f_09_who_is_logged_on_in_our_name_raises_an_alarm_within_seconds(
    lp: RawLp, tmp_path: Path, at_logon: Callable[[RawLp, dict[str, str]], None], says: str
) -> None:
    lp.at_logon = at_logon
    began_s = time.monotonic()
    with begun(lp, tmp_path) as session:
        wait(lambda: says in session.status().alarm)
        assert time.monotonic() - began_s <= 5 + BUSY_S
        assert session.status().state is not VenueState.READY
        lp.at_logon = RawLp._take
        wait(lambda: session.ready)
        assert session.status().alarm, "it must last before it counts as over"


def test_f_09_a_logon_that_lasts_ends_the_alarm_and_lost_lines_far_apart_are_none() -> None:
    logons, now_s = Logons(), 0.0
    for _ in range(FAILED_MAX + 1):
        logons.ready(now_s=now_s)
        now_s += LASTED_S_MIN
        logons.ended(now_s=now_s)
    assert logons.alarm(now_s=now_s) == ""
    for _ in range(FAILED_MAX):
        assert logons.alarm(now_s=now_s) == ""
        logons.ready(now_s=now_s)
        now_s += LASTED_S_MIN - 1
        logons.ended(now_s=now_s)
    assert "in a row" in logons.alarm(now_s=now_s)
    logons.ready(now_s=now_s)
    assert "in a row" in logons.alarm(now_s=now_s + LASTED_S_MIN - 1)
    assert logons.alarm(now_s=now_s + LASTED_S_MIN) == ""


@pytest.mark.parametrize(
    ("reason", "alarms"),
    [
        ("Already logged on", True),
        ("ALREADY-CONNECTED from 10.1.1.1", True),
        ("duplicate session", True),
        ("multiple logons are not allowed", True),
        ("end of day", False),
        ("invalid password", False),
        ("no reason given", False),
    ],
)
def test_f_09_what_lps_say_of_another_holder(reason: str, alarms: bool) -> None:
    logons = Logons()
    logons.told(reason=reason)
    assert bool(logons.alarm(now_s=0)) == alarms


def test_f_10_an_lp_that_forgets_all_numbers_at_logon_is_refused_until_it_goes_on(lp: RawLp, tmp_path: Path) -> None:
    """141=Y: what it said and we did not hear would never come. Where nothing was said yet, nothing can be lost."""

    def anew(raw: RawLp, logon: dict[str, str]) -> None:
        raw.number = 0
        raw.say("A", f"98=0|108={logon['108']}|141=Y|")

    with begun(lp, tmp_path) as session:
        wait(lambda: session.ready)
        for _ in range(5):
            lp.say("0")
        heard = lp.number
        wait(lambda: session.next_numbers().incoming > heard)
        logons = len(lp.of("A"))
        lp.at_logon = anew
        lp.drop()
        wait(lambda: "begins its numbers anew" in session.status().text)
        lp.wait("5")
        assert not session.ready and not say(session, child("after-reset"))
        lp.wait("A", count=logons + 2)
        # While it takes such a Logon, QuickFIX has begun anew until we have put it right.
        wait(lambda: session.next_numbers().incoming == heard + 1)  # What comes next is remembered.
        assert all("141" not in each for each in lp.of("A")), "nor is it answered in kind"

        def on(raw: RawLp, logon: dict[str, str]) -> None:
            raw.number = heard
            raw._take(logon)

        lp.at_logon = on
        wait(lambda: session.ready)
    assert lp.of("D") == []


def test_an_lp_that_begins_its_numbers_at_the_first_logon_is_taken() -> None:
    logons = Logons()
    logons.asks(numbers=Next(1, 1))
    assert logons.forgotten(text="35=A\x01141=Y\x01") is None
    logons.asks(numbers=Next(2, 7))
    assert logons.forgotten(text="35=A\x01141=N\x01") is None
    assert logons.forgotten(text="35=A\x01141=Y\x01") == Next(2, 8)
