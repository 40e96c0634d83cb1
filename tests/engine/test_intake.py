"""The desks' own timers: what may wait is asked for once, and what may not never waits for it (INV-17)."""

from __future__ import annotations

import asyncio
import uuid
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, MagicMock

import psycopg
import pytest
import redis

from piggy.core.answers import Answer
from piggy.core.commands import ActOnPrices, AnyCommand, CancelOrder, Envelope, LetOrdersGo
from piggy.engine import intake
from piggy.engine.clock import Clock
from piggy.engine.intake import Intake
from piggy.engine.loop import Done, Item
from piggy.engine.storage import Storage
from piggy.messaging import codec, streams

PRICES = ActOnPrices(symbols=("EURUSD",), accounts=())


class BusyLoop:
    """Takes items and answers none by itself, as under a backlog."""

    def __init__(self, desk: Any) -> None:
        self.desks = {"acorn": desk}
        self.items: list[Item] = []

    def submit(self, *, item: Item) -> None:
        self.items.append(item)

    def asked(self, kind: type) -> int:
        return sum(type(item.envelope.command) is kind for item in self.items)

    def answer_all(self) -> None:
        items, self.items = self.items, []
        for item in items:
            assert item.respond is not None, "timers hear what came of it"
            item.respond(None)


class DueDesk:
    """Always has a block of orders to let go, and prices to act on where it is told so."""

    prices = False

    def due(self, *, now_us: int) -> tuple[AnyCommand, ...]:
        return (LetOrdersGo(block=0, before_us=1), *((PRICES,) if self.prices else ()))


class Jumped(Clock):
    """A clock that somebody set wrong."""

    def off_ms(self) -> int:
        return 3_600_000


async def test_inv_20_by_a_clock_that_jumped_prices_are_acted_on_and_nothing_expires(monkeypatch: Any) -> None:
    monkeypatch.setattr(intake, "TIMER_S", 0)
    desk = DueDesk()
    desk.prices = True
    loop, nobody = BusyLoop(desk), cast("Any", None)
    timers = asyncio.create_task(
        Intake(connection=nobody, loop=cast("Any", loop), clock=Jumped(), shard="", letters=nobody).watch_timers()
    )
    try:
        await rounds()
        assert [type(item.envelope.command) for item in loop.items] == [ActOnPrices]
    finally:
        timers.cancel()


async def test_a_block_that_waits_to_go_is_asked_for_once_and_keeps_no_stop_out_waiting(monkeypatch: Any) -> None:
    monkeypatch.setattr(intake, "TIMER_S", 0)
    desk = DueDesk()
    loop = BusyLoop(desk)
    nobody = cast("Any", None)
    timers = asyncio.create_task(
        Intake(connection=nobody, loop=cast("Any", loop), clock=Clock(), shard="", letters=nobody).watch_timers()
    )
    try:
        await rounds()
        assert (loop.asked(LetOrdersGo), loop.asked(ActOnPrices)) == (1, 0)
        desk.prices = True
        await rounds()
        assert (loop.asked(LetOrdersGo), loop.asked(ActOnPrices)) == (1, 1), "the next prices wait for these"
        loop.answer_all()
        await rounds()
        assert (loop.asked(LetOrdersGo), loop.asked(ActOnPrices)) == (1, 1)
    finally:
        timers.cancel()


async def test_f_24_what_cannot_be_kept_as_a_dead_letter_stays_on_its_stream() -> None:
    """PostgreSQL is away just then: better twice than gone."""
    letters, connection, nobody, pipe = AsyncMock(), MagicMock(), cast("Any", None), MagicMock(execute=AsyncMock())
    connection.pipeline.return_value.__aenter__.return_value = pipe
    taker = Intake(connection=connection, loop=nobody, clock=Clock(), shard="", letters=letters)
    entry = ("{acorn}:commands", b"1-0", {streams.FIELD: b"no command"})
    letters.bury.side_effect = psycopg.OperationalError("the connection is lost")
    await taker._accept(*entry, redelivered=False)
    assert (connection.mock_calls, taker.dead) == ([], 0)
    letters.bury.side_effect = None
    await taker._accept(*entry, redelivered=True)
    assert (pipe.xack.call_count, pipe.xdel.call_count, taker.dead) == (1, 1, 1)


@pytest.mark.parametrize("is_done", [True, False])
async def test_f_24_what_the_desk_carried_out_is_no_dead_letter(is_done: bool) -> None:
    """Only hearing that it did failed each time, as where Redis takes nothing: it is asked once more, and answered."""
    envelope = Envelope(command_id=str(uuid.uuid4()), command=CancelOrder(order_id="O1", account_id="a"), principal="t")
    letters, connection, pipe = AsyncMock(), MagicMock(), MagicMock(execute=AsyncMock())
    connection.pipeline.return_value.__aenter__.return_value = pipe
    connection.xclaim = AsyncMock(return_value=[(b"1-0", {streams.FIELD: codec.encode(envelope)})])
    answer = Answer(command_id=envelope.command_id) if is_done else None
    loop: Any = BusyLoop(SimpleNamespace(answer=lambda **_: answer))
    loop.blameless, loop.storage, loop.is_holding = set(), Storage(), False
    taker = Intake(connection=connection, loop=loop, clock=Clock(), shard="", letters=letters)
    pending = [{"message_id": b"1-0", "times_delivered": intake.DELIVERIES_MAX}]
    await taker._claim_each("{acorn}:commands", pending, is_first=False)
    assert (len(loop.items), letters.bury.await_count) == ((1, 0) if is_done else (0, 1))


CANCEL = Envelope(command_id=str(uuid.uuid4()), command=CancelOrder(order_id="O1", account_id="a"), principal="t")
KEY = "{acorn}:commands"


def taker_of(**more: Any) -> tuple[Intake, Any, Any]:
    """Return an intake of entries that Redis has for it, with its loop and its Redis."""
    connection = MagicMock(xclaim=AsyncMock(return_value=[(b"1-0", {streams.FIELD: codec.encode(CANCEL)})]))
    loop: Any = BusyLoop(SimpleNamespace(answer=lambda **_: None))
    loop.blameless, loop.storage, loop.is_holding = set(), Storage(), False
    for name, value in more.items():
        setattr(loop, name, value)
    return Intake(connection=connection, loop=loop, clock=Clock(), shard="", letters=AsyncMock()), loop, connection


def delivered(times: int) -> list[dict[str, Any]]:
    return [{"message_id": b"1-0", "times_delivered": times}]


async def test_inv_11_what_is_under_way_is_not_taken_again() -> None:
    """A commit that takes longer than an entry may lie would else decide it twice, and count it for dead."""
    taker, loop, connection = taker_of()
    for _ in range(intake.DELIVERIES_MAX + 1):
        await taker._claim_each(KEY, delivered(1), is_first=False)
    assert (len(loop.items), connection.xclaim.await_count) == (1, 1)
    taker.settled([Done(loop.items[0], None, [])])
    await taker._claim_each(KEY, delivered(1), is_first=False)
    assert len(loop.items) == 2, "what nobody could answer comes again"


@pytest.mark.parametrize(("is_first", "is_holding", "times"), [(True, False, 0), (False, True, 0), (False, False, 1)])
async def test_f_24_a_suspect_is_tried_when_nobody_waits_behind_it(
    is_first: bool, is_holding: bool, times: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(intake, "SUSPECT_S_MAX", 0)
    taker, loop, _ = taker_of(is_holding=is_holding)
    is_through = await taker._claim_each(KEY, delivered(intake.SUSPECT_DELIVERIES), is_first=is_first)
    assert (len(loop.items), is_through) == (times, not times)


@pytest.mark.parametrize(("field", "counted"), [("is_full", 1), ("is_away", 1), ("", 2)])
async def test_f_24_a_delivery_counts_where_something_could_have_been_written(field: str, counted: int) -> None:
    taker, loop, connection = taker_of()
    if field:
        setattr(loop.storage, field, True)
    await taker._claim_each(KEY, delivered(1), is_first=False)
    assert connection.xclaim.await_args.kwargs["retrycount"] == counted


async def test_f_24_what_was_answered_is_not_counted_for_a_redis_that_does_not_hear_so() -> None:
    taker, loop, connection = taker_of()
    pipe = MagicMock(execute=AsyncMock(side_effect=[redis.TimeoutError("gone"), None]))
    connection.pipeline.return_value.__aenter__.return_value = pipe
    with pytest.raises(redis.TimeoutError):
        await taker._is_through(KEY, b"1-0")
    assert loop.blameless == {(KEY, b"1-0")}
    assert await taker._is_through(KEY, b"1-0")
    assert loop.blameless == set()


async def test_inv_11_after_an_error_of_redis_what_it_may_have_delivered_goes_first(monkeypatch: Any) -> None:
    taker, _, connection = taker_of()
    taker._caught_up |= {KEY, KEY.replace("commands", "urgent")}
    connection.xreadgroup = AsyncMock(side_effect=redis.TimeoutError("the answer never came"))
    connection.xpending_range = AsyncMock(return_value=[])
    looked_at = list[str]()
    monkeypatch.setattr(BusyLoop, "is_full", lambda *_, **__: False, raising=False)

    async def pause(_: float) -> None:
        looked_at.extend(taker._caught_up)
        raise asyncio.CancelledError

    monkeypatch.setattr(intake, "pause", pause)
    with pytest.raises(asyncio.CancelledError):
        await taker.read_commands()
    assert looked_at == []


async def rounds() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
