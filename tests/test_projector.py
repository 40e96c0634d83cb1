"""The projector looks at the logs that grew, and twice a second at all, for a wake-up may be lost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import OperationalError
from psycopg.errors import DiskFull
from structlog.testing import capture_logs

from piggy import projector
from piggy.messaging import streams

TENANTS = ["acorn", "birch", "cedar"]


class Wire:
    """Wake-ups as Redis would bring them; silent once they are told."""

    def __init__(self, tenants: list[str]) -> None:
        self.told = [(streams.committed_channel(tenant=tenant), b"7") for tenant in tenants]

    def wait(self, *, timeout_s: float) -> tuple[str, bytes] | None:
        if self.told:
            return self.told.pop(0)
        time.sleep(timeout_s)
        return None


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Which logs each round looked at; a round ends with a sleep."""
    rounds: list[list[str]] = [[]]

    def catch_up(*, tenant: str) -> int:
        rounds[-1].append(tenant)
        return 0

    monkeypatch.setattr(projector, "catch_up", catch_up)
    monkeypatch.setattr(projector, "ROUND_S", 0.0)
    return rounds


class Said:
    """What the dealers of each broker are shown of the projector."""

    def __init__(self) -> None:
        self.now: dict[str, str] = {}

    def say(self, *, tenant: str, text: str) -> None:
        self.now[tenant] = text


def follow(looked: list[list[str]], wire: Any, rounds: int, said: Said | None = None) -> list[list[str]]:
    follower = projector.Follower(redis_url="")
    follower._troubles = said or Said()  # type: ignore[assignment]
    follower._look_for_tenants = lambda: None  # type: ignore[method-assign]
    follower._tenants, follower._subscriber = TENANTS, wire
    sleep = follower._sleep

    def count() -> None:
        if len(looked) == rounds:
            follower.stop()
            return
        sleep()
        looked.append([])

    follower._sleep = count  # type: ignore[method-assign]
    follower.run()
    return looked


def test_only_the_logs_that_grew_are_looked_at_until_all_are_due_again(looked: list[list[str]]) -> None:
    began_s = time.monotonic()
    assert follow(looked, Wire(["birch", "birch"]), 3) == [TENANTS, ["birch"], TENANTS]
    assert time.monotonic() - began_s >= projector.POLL_S


def test_without_a_wire_all_are_looked_at_twice_a_second(looked: list[list[str]], clock: Clock) -> None:
    """INV-13."""
    assert follow(looked, None, 2) == [TENANTS, TENANTS]
    assert clock.now_s == pytest.approx(100 + projector.POLL_S)


def test_inv_09_a_log_that_is_not_whole_halts_its_broker_alone_and_is_said_aloud(
    looked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once at first, and again where it is looked at again and still is not."""
    bad = ["birch"]

    def catch_up(*, tenant: str) -> int:
        looked[-1].append(tenant)
        if tenant in bad:
            raise projector.UnableToProject("birch: event 7 is not what was written.")
        return 0

    monkeypatch.setattr(projector, "catch_up", catch_up)
    monkeypatch.setattr(projector, "HALTED_S", 0.8)
    shown = Said()
    with capture_logs() as said:
        assert follow(looked, None, 3, shown) == [TENANTS, ["acorn", "cedar"], TENANTS]
        assert "event 7 is not what was written" in shown.now["birch"]
        assert shown.now["acorn"] == shown.now["cedar"] == ""
        assert [(each["log_level"], each["tenant"]) for each in said] == [("critical", "birch")] * 2
        bad.clear()
        looked[:] = [[]]
        assert follow(looked, None, 1, shown) == [TENANTS]
    assert len(said) == 2 and shown.now["birch"] == ""


def test_f_24_an_event_that_no_rows_can_be_made_of_halts_its_broker_alone(
    looked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def catch_up(*, tenant: str) -> int:
        looked[-1].append(tenant)
        if tenant == "birch":
            raise KeyError("no such account")
        return 0

    monkeypatch.setattr(projector, "catch_up", catch_up)
    with capture_logs() as said:
        assert follow(looked, None, 2) == [TENANTS, ["acorn", "cedar"]]
    assert [(each["log_level"], each["tenant"], each["exc_info"]) for each in said] == [("critical", "birch", True)]


def test_a_database_that_is_away_is_no_brokers_fault(looked: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """All are waited for, and none is halted."""
    away = [OperationalError("the server closed the connection")]

    def catch_up(*, tenant: str) -> int:
        looked[-1].append(tenant)
        if away:
            raise away.pop()
        return 0

    monkeypatch.setattr(projector, "catch_up", catch_up)
    monkeypatch.setattr(projector, "RECONNECT_S", 0.0)
    with capture_logs() as said:
        assert follow(looked, None, 1) == [["acorn", *TENANTS]]
    assert [each["log_level"] for each in said] == ["warning"]


def test_f_21_tables_without_room_hold_up_their_broker_alone_which_goes_on_once_there_is_some(
    looked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All were waited for once, one after the other, and no dealer was told."""
    full = True

    def catch_up(*, tenant: str) -> int:
        looked[-1].append(tenant)
        if full and tenant == "birch":
            raise OperationalError("could not extend file") from DiskFull("could not extend file")
        return 0

    monkeypatch.setattr(projector, "catch_up", catch_up)
    monkeypatch.setattr(projector, "ROOM_S", 0.0)
    shown = Said()
    with capture_logs() as said:
        assert follow(looked, None, 2, shown) == [TENANTS, TENANTS]
        assert "could not extend file" in shown.now["birch"] and shown.now["cedar"] == ""
        full, looked[:] = False, [[]]
        assert follow(looked, None, 1, shown) == [TENANTS]
    assert [(each["log_level"], each["tenant"]) for each in said] == [("critical", "birch")] * 2
    assert shown.now["birch"] == ""


def test_a_log_that_was_longer_than_a_batch_is_looked_at_again_at_once(
    looked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = {"acorn": 0, "birch": 2, "cedar": 0}

    def catch_up(*, tenant: str) -> int:
        looked[-1].append(tenant)
        left[tenant] -= 1
        return projector.BATCH_ROWS_MAX if left[tenant] >= 0 else 0

    monkeypatch.setattr(projector, "catch_up", catch_up)
    assert follow(looked, Wire([]), 1) == [[*TENANTS, "birch", "birch"]]


class Clock:
    """Time that passes only while somebody sleeps, or a batch is made."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(projector, "time", clock)
    return clock


def rounds(clock: Clock, counts: dict[str, int], *, seconds: float, batch_s: float = 0.01) -> list[tuple[str, float]]:
    """Return who was projected, and when (ms from the beginning), where a look finds so many events of each broker."""
    follower = projector.Follower(redis_url="")
    follower._tenants, follower._look_for_tenants = [*counts], lambda: None  # type: ignore[method-assign]
    done: list[tuple[str, float]] = []

    def catch_up(tenant: str) -> int:
        if clock.now_s > 100 + seconds:
            follower.stop()
        if counts[tenant]:
            done.append((tenant, round((clock.now_s - 100) * 1_000)))
            clock.sleep(batch_s)
            # What it has committed meanwhile says so.
            follower._woken.add(tenant)
        return counts[tenant]

    follower._catch_up = catch_up  # type: ignore[method-assign]
    follower.run()
    return done


def test_a_broker_alone_rests_only_while_there_is_much(clock: Clock) -> None:
    assert rounds(clock, {"acorn": 1, "birch": 0}, seconds=0.12)[:3] == [("acorn", 0), ("acorn", 50), ("acorn", 100)]
    clock.now_s = 100
    much = {"acorn": projector.BUSY_EVENTS, "birch": 0}
    assert [at for _, at in rounds(clock, much, seconds=1.1)][:3] == [0, 500, 1_000]


def test_of_many_that_grow_each_rests_the_longer_the_more_there_are(clock: Clock) -> None:
    few = rounds(clock, dict.fromkeys("abc", 1), seconds=1.0)
    assert few[:6] == [("a", 0), ("b", 10), ("c", 20), ("a", 200), ("b", 210), ("c", 220)]
    clock.now_s = 100
    many = rounds(clock, dict.fromkeys("abcdefghij", 1), seconds=1.0)
    assert [at for who, at in many if who == "a"][:2] == [0, 900]


def test_nobody_rests_longer_than_he_may(clock: Clock) -> None:
    slow = rounds(clock, dict.fromkeys("abc", 1), seconds=4.5, batch_s=0.5)
    assert [at for who, at in slow if who == "a"][:3] == [0, 2_000, 4_000]


def test_who_is_not_through_with_his_log_does_not_rest(clock: Clock) -> None:
    counts = {"acorn": projector.BATCH_ROWS_MAX, "birch": 1}
    assert rounds(clock, counts, seconds=0.04)[:4] == [("acorn", 0), ("birch", 10), ("acorn", 20), ("acorn", 30)]


def test_who_was_still_is_looked_at_while_others_rest(clock: Clock) -> None:
    """His wake-up is told at once; what woke who rests is kept until he is through."""
    follower = projector.Follower(redis_url="")
    follower._tenants, follower._polled_s = ["acorn", "birch", "cedar"], clock.now_s
    clock.sleep(0.01)
    follower._rest({"acorn": 1, "birch": 1}, clock.now_s - 0.02)
    follower._woken |= {"acorn", "cedar"}
    assert follower._due() == ["cedar"] and follower._due() == []
    follower._sleep()
    assert clock.now_s == pytest.approx(100.09), "slept until a rest was over, not until all are looked at"
    assert follower._due() == ["acorn"]
