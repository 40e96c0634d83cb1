"""When a keeper is started, and when again after one that failed: by its own clock, and for fewer and fewer times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from piggy.engine import housekeeping, metrics
from piggy.engine.config import EngineConfig
from piggy.engine.housekeeping import RETRY_S_MAX, RETRY_S_MIN, Housekeeping
from piggy.engine.status import Status
from piggy.engine.unkept import SNAPSHOT, Unkept
from piggy.messaging.chain import Tip

CONFIG = EngineConfig(database_url="", redis_url="", context_key=b"", signal_key=b"", snapshot_events=100)


class House:
    """Its keepers do nothing but end with the code they are told; `found` is the newest snapshot in the table."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.found, self.started = 1_000.0, 0, list[str]()
        self.unkept = Unkept()
        self.keeping = Housekeeping(config=CONFIG, unkept=self.unkept, mono_s=lambda: self.now_s)
        self.process = SimpleNamespace(returncode=None)

        async def newest(*_: Any) -> int:
            return self.found

        async def start(*words: str, **_: Any) -> Any:
            self.started.append(words[-1])
            self.process = SimpleNamespace(returncode=None)
            return self.process

        monkeypatch.setattr(self.keeping, "_newest", newest)
        monkeypatch.setattr(housekeeping.asyncio, "create_subprocess_exec", start)

    async def starts(self, *, at: int, follows: bool) -> bool:
        """Look with a log of `at` events; whether that started a keeper."""
        before = len(self.started)
        connection: Any = None
        await self.keeping.look(connection=connection, tips={"acorn": Tip(at)}, follows=follows)
        return len(self.started) > before

    def is_warm(self, *, at: int) -> bool:
        return self.keeping.has_first(tips={"acorn": Tip(at)})


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


@pytest.mark.parametrize("follows", [True, False])
async def test_f_27_a_keeper_that_failed_is_tried_again_later_and_later(house: House, follows: bool) -> None:
    assert await house.starts(at=100, follows=follows)
    for wait_s in (RETRY_S_MIN, 2 * RETRY_S_MIN, 4 * RETRY_S_MIN):
        house.process.returncode = 1
        assert not await house.starts(at=100, follows=follows), "it would fail again at once"
        assert house.unkept.names() == ["acorn/snapshot"], "whoever operates it is told"
        house.now_s += wait_s - 1
        assert not await house.starts(at=50_000, follows=follows)
        house.now_s += 1
        assert await house.starts(at=50_000, follows=follows)
    house.process.returncode = 0
    assert not await house.starts(at=50_000, follows=follows)
    assert house.unkept.names() == []
    assert await house.starts(at=50_100, follows=False), "that it once failed is forgotten"


async def test_however_often_it_failed_it_is_tried_every_hour(house: House) -> None:
    for _ in range(40):
        assert await house.starts(at=100, follows=True)
        house.process.returncode = 1
        assert not await house.starts(at=100, follows=True)
        house.now_s += RETRY_S_MAX


async def test_f_27_nobody_is_warm_before_the_first_snapshot_of_a_long_log(house: House) -> None:
    assert house.is_warm(at=99) and not house.is_warm(at=100), "nobody has looked yet"
    assert await house.starts(at=100, follows=True)
    assert not house.is_warm(at=100)
    house.process.returncode = 0
    assert not await house.starts(at=101, follows=True)
    assert house.is_warm(at=101)


async def test_a_keeper_that_failed_keeps_nobody_from_being_warm(house: House) -> None:
    assert await house.starts(at=100, follows=True)
    house.process.returncode = 3
    assert not await house.starts(at=100, follows=True)
    assert house.is_warm(at=100), "a deploy would wait for ever for a log that is not whole"


async def test_one_of_whose_log_there_is_a_snapshot_is_warm_at_once(house: House) -> None:
    house.found = 60
    assert not await house.starts(at=1_000, follows=True)
    assert house.is_warm(at=1_000)
    assert await house.starts(at=1_000, follows=False)


async def test_of_a_tenant_that_left_no_failure_is_remembered(house: House) -> None:
    assert await house.starts(at=100, follows=True)
    house.process.returncode = 1
    connection: Any = None
    await house.keeping.look(connection=connection, tips={}, follows=True)
    assert await house.starts(at=100, follows=True)


def test_what_could_not_be_kept_is_counted_among_the_engines_figures() -> None:
    status = Status()
    status.unkept.failed(tenant="acorn", name=SNAPSHOT, text="no room")
    status.unkept.failed(tenant="acorn", name=SNAPSHOT, text="still no room")
    assert "piggy_engine_unkept 1\n" in metrics.text(status=status, backlog=0, connections=0)
    assert status.unkept.of(tenant="acorn") == {SNAPSHOT: "still no room"}
    status.unkept.kept(tenant="acorn", name=SNAPSHOT)
    assert "piggy_engine_unkept 0\n" in metrics.text(status=status, backlog=0, connections=0)
