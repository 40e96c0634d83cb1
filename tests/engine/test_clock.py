"""INV-20, F-20: a stepped clock is noticed at once, keeps new orders out and lets cancels through, until it is sane."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
import redis.asyncio

from piggy.core import commands as cmd
from piggy.engine.clock import QUIET_S, Clock, is_wanted, pause
from piggy.messaging import streams
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, running
from tests.engine.ground import Ground
from tests.engine.test_engine import ask, open_desk

SECOND_US = 1_000_000
ALERT_S_MAX = 5


class Stepped(Clock):
    """A clock whose both times a test moves."""

    def __init__(self) -> None:
        self.utc_us, self.mono_us = 0, 0
        super().__init__()

    def now_us(self) -> int:
        return super().now_us() + self.utc_us

    def mono_ns(self) -> int:
        return super().mono_ns() + self.mono_us * 1_000

    def pass_time(self, seconds: int) -> None:
        self.utc_us += seconds * SECOND_US
        self.mono_us += seconds * SECOND_US


class Interrupted(Stepped):
    """A clock between whose two readings the machine now and then does something else."""

    pauses = 0

    def now_us(self) -> int:
        if self.pauses:
            self.pauses -= 1
            self.pass_time(1)
        return super().now_us()


def test_inv_20_a_thread_set_aside_between_two_readings_is_no_step() -> None:
    clock = Interrupted()
    for pauses in (1, 2, 4):
        clock.pauses = pauses
        assert clock.off_ms() == 0
    assert clock.steps == 0


@pytest.mark.parametrize("step_us", [SECOND_US, -SECOND_US, 3_600 * SECOND_US, -3_600 * SECOND_US, -10 * SECOND_US])
def test_inv_20_a_step_is_told_until_the_clock_is_back(step_us: int) -> None:
    clock = Stepped()
    assert clock.off_ms() == 0
    clock.utc_us += step_us
    assert abs(clock.off_ms() - step_us // 1_000) <= 1
    clock.pass_time(QUIET_S - 1)
    assert clock.off_ms() != 0
    clock.utc_us -= step_us
    assert clock.off_ms() == 0
    assert clock.steps == 2


def test_inv_20_a_clock_that_runs_on_quietly_is_trusted_again_and_a_slew_never_blocks() -> None:
    clock = Stepped()
    clock.utc_us += 5 * SECOND_US
    assert clock.off_ms() != 0
    clock.pass_time(QUIET_S + 1)
    assert clock.off_ms() == 0
    for _ in range(100):
        clock.utc_us += 50_000
        assert clock.off_ms() == 0
    assert clock.steps == 1
    # What is right now is where it was slewed to.
    clock.utc_us += SECOND_US
    assert abs(clock.off_ms() - 1_000) <= 1
    clock.utc_us -= SECOND_US
    assert clock.off_ms() == 0


async def test_who_was_told_to_end_sleeps_no_more_where_the_redis_client_swallowed_that() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert not is_wanted()
            await pause(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def alerted(ground: Ground, tenant: str, key: str, *, there: bool = True) -> str:
    """Return what the desk's page says of an alert, once it says so, '' once it no longer does."""
    wire = redis.asyncio.Redis.from_url(ground.services.redis_url)
    async with asyncio.timeout(10):
        while True:
            frame = await wire.get(streams.desk_snapshot_key(tenant=tenant, panel="alerts"))
            rows = json.loads(frame)["rows"] if frame else {}
            if frame and (key in rows) == there:
                await wire.aclose()
                return str(rows[key]["text"]) if there else ""
            await asyncio.sleep(0.05)


async def test_inv_20_new_orders_wait_for_a_sane_clock_and_cancels_do_not(
    ground: Ground, shard: str, tenant: str
) -> None:
    client, clock = Client(redis_url=ground.services.redis_url), Stepped()

    async def code(asked: Any) -> str:
        answer = await ask(client, tenant, asked)
        return answer.refused.code if answer.refused else ""

    async with running(ground.config(shard=shard), clock=clock) as term:
        await open_desk(client, tenant)
        assert await code(envelope(buy())) == ""
        clock.utc_us -= 10 * SECOND_US
        stepped_s = time.monotonic()
        assert await code(envelope(buy())) == "CLOCK_STEPPED"
        assert "stepped by -10" in await alerted(ground, tenant, "trouble:clock")
        assert time.monotonic() - stepped_s <= ALERT_S_MAX
        cancel = cmd.CancelOrder(order_id="O000000001", account_id="anna")
        assert await code(envelope(cancel)) != "CLOCK_STEPPED"
        clock.utc_us += 10 * SECOND_US
        assert await code(envelope(buy())) == ""
        assert clock.steps == 2
        assert term.status.state == "ACTIVE"
        assert await alerted(ground, tenant, "trouble:clock", there=False) == ""
