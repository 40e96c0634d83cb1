"""The prices that positions are valued by outlive their engine; what Redis holds instead of them harms nobody."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import redis

from piggy.core import commands as cmd
from piggy.core.conversion import Touch
from piggy.core.desk import Desk
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.orders import OrderTerms, Side
from piggy.core.profiles import MarkupBand, PriceProfile
from piggy.engine import last_marks
from piggy.engine.clock import Clock
from piggy.engine.lab import running
from piggy.engine.last_marks import LastMarks, usable
from piggy.messaging import streams
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, opening_commands, running_engine, until
from tests.engine.ground import Ground
from tests.engine.market import quotes
from tests.engine.test_clock import Stepped
from tests.engine.test_lab import _run

NOW_US = 1_700_000_000_000_000
WHEAT = Instrument(
    symbol="WHEAT",
    asset_class=AssetClass.COMMODITY,
    base="WHEAT",
    quote="USD",
    contract_size=Decimal(1),
    price_digits=5,
    tick_size=Decimal("0.00001"),
)


def written(**marks: tuple[Any, Any, Any]) -> bytes:
    return msgspec.msgpack.encode(marks)


@pytest.mark.parametrize(
    "mark", [("NaN", "1", 1), ("1", "Infinity", 1), ("0", "1", 1), ("1", "-1", 1), ("1", "2", NOW_US + 1)]
)
def test_what_is_no_price_or_of_the_future_is_left_out(mark: tuple[str, str, int]) -> None:
    found = usable(data=written(GOOD=("1.1", "1.2", NOW_US), BAD=mark), now_us=NOW_US)
    assert list(found) == ["GOOD"]


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([1]), written(A=("x", "1", 1))])
def test_what_cannot_be_read_is_as_nothing(data: bytes) -> None:
    assert usable(data=data, now_us=NOW_US) == {}


class Wire:
    """Stands in for Redis: one key, and whether it answers."""

    def __init__(self, held: bytes | None = None) -> None:
        self.held, self.is_away = held, False

    async def get(self, key: str) -> bytes | None:
        if self.is_away:
            raise redis.ConnectionError
        return self.held

    async def set(self, key: str, data: bytes) -> None:
        self.held = data


async def test_a_desk_writes_nothing_before_it_has_read_and_reads_again_where_redis_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the first round of a new engine would put its few prices over the many of the one before."""
    monkeypatch.setattr(last_marks, "PATIENCE_S", 0.2)
    desk = Desk(tenant="acorn")
    desk.state.instruments["WHEAT"] = WHEAT
    wire = Wire(before := written(WHEAT=("9.9", "10", 1)))
    wire.is_away = True
    kept = LastMarks(connection=wire, desks={"acorn": desk}, reels={}, clock=Clock())  # type: ignore[arg-type]
    task = asyncio.create_task(kept.run())
    try:
        await asyncio.sleep(0.5)
        assert (desk.marks, wire.held) == ({}, before)
        wire.is_away = False
        await until(lambda: "WHEAT" in desk.marks, task=task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_quote_of_the_first_minute_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that logs on again says better what its price is than what was written before."""
    monkeypatch.setattr(last_marks, "KEEP_S", 0.01)
    desk = Desk(tenant="acorn")
    desk.state.instruments["WHEAT"] = WHEAT
    wire, clock = Wire(before := written(WHEAT=("9.9", "10", 1))), Stepped()
    kept = LastMarks(connection=wire, desks={"acorn": desk}, reels={}, clock=clock)  # type: ignore[arg-type]
    task = asyncio.create_task(kept.run())
    try:
        await until(lambda: "acorn" in kept._since_us, task=task)
        clock.pass_time(int(last_marks.PATIENCE_S) // 2)
        await asyncio.sleep(0.05)
        assert (desk.marks, wire.held) == ({}, before)
        desk.marks["WHEAT"] = now = Touch(Decimal(8), Decimal(9), 2)
        clock.pass_time(int(last_marks.PATIENCE_S))
        await until(lambda: wire.held != before, task=task)
        assert desk.marks == {"WHEAT": now} == usable(data=wire.held or b"", now_us=2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_engine_values_by_the_prices_of_the_one_before_and_the_tape_tells_of_it(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, began_us = Client(redis_url=ground.services.redis_url), time.time_ns() // 1_000
    wire = redis.Redis.from_url(ground.services.redis_url)
    monkeypatch.setattr(last_marks, "PATIENCE_S", 0.3)

    async def ask(command: cmd.Command) -> Any:
        return await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(command), wait_s=10)

    async with running_engine(ground, shard) as term:
        for command in (*opening_commands(), cmd.ConfigureInstrument(instrument=WHEAT)):
            await ask(command)
        assert term.loop is not None
        desk = term.loop.desks[tenant]
        both = [*quotes(), *quotes(symbol="WHEAT")]
        client.publish_market_data(tenant=tenant, batch=both)
        await until(lambda: desk.market.symbols() == ("EURUSD", "WHEAT"))
        terms = OrderTerms(account_id="anna", symbol="WHEAT", side=Side.BUY, quantity=Decimal(1))
        assert (await ask(cmd.PlaceOrder(terms=terms))).order.filled == 1
        key = streams.marks_key(tenant=tenant)
        await until(lambda: b"WHEAT" in (wire.get(key) or b""))
        price = desk.marks["WHEAT"]
    later_us = time.time_ns() // 1_000
    async with running_engine(ground, shard, holder="next") as term:
        assert term.loop is not None
        desk = term.loop.desks[tenant]
        await until(lambda: "WHEAT" in desk.marks)
        assert desk.marks["WHEAT"] == price
        assert desk.moment(now_us=time.time_ns() // 1_000).funds("anna").priced
        client.publish_market_data(tenant=tenant, batch=quotes())
        await until(lambda: desk.market.symbols() == ("EURUSD",))
        assert (await ask(buy())).order.filled == Decimal("0.10"), "its free margin is known"
    figures, _ = await _run(ground, tenant, running.Request(from_us=began_us, until_us=time.time_ns() // 1_000))
    assert figures["equal"], figures
    assert figures["orders"] == 2
    bands = (MarkupBand(from_lots=Decimal(0), bid=Decimal(5), ask=Decimal(5)),)
    dearer = cmd.ConfigurePricing(group="retail", symbol="EURUSD", profile=PriceProfile(version=2, bands=bands))
    draft = running.Request(from_us=later_us, until_us=time.time_ns() // 1_000, changes=(dearer,))
    figures, _ = await _run(ground, tenant, draft)
    assert figures["would"]["denials"] == {}, "also a draft knows what is free"
