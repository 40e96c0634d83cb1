"""What must reach a venue is put on its stream again, whatever waits for another venue in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio

from piggy.core.orders import Side
from piggy.core.state import State
from piggy.engine import dispatch
from piggy.engine.dispatch import Dispatch
from piggy.messaging import codec, streams
from tests.engine.ground import Ground


class Asked:
    """A desk as far as it is asked here: cancels that no venue has answered, oldest first."""

    def __init__(self, *, cancels: Sequence[codec.CancelChild]) -> None:
        self.cancels = cancels
        self.state = State(tenant="asked")

    def unsent_children(self) -> tuple[Any, ...]:
        return ()

    def unanswered_cancels(self) -> Sequence[codec.CancelChild]:
        return self.cancels


def cancel(venue: str, number: int) -> codec.CancelChild:
    return codec.CancelChild(
        order_id=f"O{number}",
        cl_ord_id=f"O{number}-{venue}-1",
        venue=venue,
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(1),
    )


async def nothing() -> None:
    """All that was decided is committed."""


async def test_inv_13_a_venue_that_is_away_keeps_no_others_orders_from_being_put_again(
    ground: Ground, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was emptied after a kill: more cancels than one round takes are for a venue that will answer none."""
    monkeypatch.setattr(dispatch, "PUT_AGAIN_S", 0.01)
    monkeypatch.setattr(dispatch, "PUT_AGAIN_MAX", 20)
    wire = redis.asyncio.Redis.from_url(ground.services.redis_url)
    cancels = [*(cancel("LP1", number) for number in range(50)), cancel("LP2", 50)]
    desks: Any = {tenant: Asked(cancels=cancels)}
    sender = Dispatch(connection=wire, desks=desks, settled=nothing)
    running = asyncio.create_task(sender.put_again())
    keys = [streams.venue_key(tenant=tenant, venue=venue) for venue in ("LP1", "LP2")]
    try:
        async with asyncio.timeout(30):
            while [await wire.xlen(key) for key in keys] != [50, 1]:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert [await wire.xlen(key) for key in keys] == [50, 1], "once each"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await wire.aclose()


class Told:
    """Stands for Redis: which channels were told, in each sending."""

    def __init__(self) -> None:
        self.sendings: list[list[str]] = []
        self.at_s: list[float] = []

    def pipeline(self, **_: Any) -> Told:
        return self

    async def __aenter__(self) -> Told:
        self.sendings.append([])
        self.at_s.append(asyncio.get_running_loop().time())
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def publish(self, channel: str, _: str) -> None:
        self.sendings[-1].append(channel)

    async def execute(self, **_: Any) -> list[Any]:
        return []


def grown(tenant: str) -> Any:
    """A command from a strategy: nobody waits for what it did but those who follow the log."""
    item = SimpleNamespace(tenant=tenant, entry_id=None, envelope=SimpleNamespace(reply_to=""))
    return SimpleNamespace(item=item, answer=None, recorded=[SimpleNamespace(seq=7, event=None)])


@pytest.mark.parametrize(("brokers", "apart_s"), [(1, dispatch.TIPS_S), (50, 50 * dispatch.TIP_EACH_S)])
async def test_the_ends_of_many_logs_are_told_as_often_altogether_as_those_of_a_few(
    brokers: int, apart_s: float
) -> None:
    told: Any = Told()
    sender = Dispatch(connection=told, desks={}, settled=nothing)
    running = asyncio.create_task(sender.run())
    names = [f"broker{number}" for number in range(brokers)]
    async with asyncio.timeout(30):
        while len(told.sendings) < 4:
            sender.tell([grown(name) for name in names])
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert {len(set(each)) for each in told.sendings} == {brokers} == {len(each) for each in told.sendings}
    between = [after - before for before, after in zip(told.at_s[1:], told.at_s[2:], strict=False)]
    # A timer of the loop may be early by its own resolution.
    assert min(between) >= apart_s * 0.9


class Streams:
    """Stands for Redis: what is put on streams, of which workers have taken everything already."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.put: list[str] = []
        self.asked: list[tuple[Any, ...]] = []
        self._refuses = refuses

    def pipeline(self, **_: Any) -> Streams:
        self.asked = []
        return self

    async def __aenter__(self) -> Streams:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *asked: self.asked.append((name, *asked))

    def xadd(self, key: str, _: Any) -> asyncio.Future[bytes]:
        self.asked.append(("xadd", key))
        self.put.append(key)
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        done.set_result(b"7-0")
        return done

    async def execute(self, **_: Any) -> list[Any]:
        return [redis.ResponseError("OOM") if self._refuses else [] if asked[0] == "xrange" else b"7-0"
                for asked in self.asked]  # fmt: skip


def sender_of(wire: Streams, *cancels: codec.CancelChild, settled: Any = nothing) -> Dispatch:
    desks: Any = {"acorn": Asked(cancels=cancels)}
    return Dispatch(connection=wire, desks=desks, settled=settled)  # type: ignore[arg-type]


async def turns(sender: Dispatch) -> asyncio.Task[None]:
    """Have what is missing put again once, as far as that comes without waiting for anybody."""
    looking = asyncio.create_task(sender._put_missing("acorn", sender._desks["acorn"]))
    await asyncio.sleep(0.05)
    return looking


async def test_what_a_worker_took_is_not_put_again_before_its_venue_may_have_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "GRACE_S", 3_600)
    wire = Streams()
    sender = sender_of(wire, cancel("LP1", 1))
    await (await turns(sender))
    assert len(wire.put) == 1, "of one that was never put nobody waits for an answer"
    await (await turns(sender))
    assert len(wire.put) == 1
    monkeypatch.setattr(dispatch, "GRACE_S", 0)
    await (await turns(sender))
    assert len(wire.put) == 2


async def test_inv_01_what_is_not_committed_yet_is_not_put_again_either() -> None:
    """The desk is ahead of the log: an order would be at its venue that the log may never have."""
    wire, committed = Streams(), asyncio.Event()

    async def settled() -> None:
        await committed.wait()

    sender = sender_of(wire, cancel("LP1", 1), settled=settled)
    looking = await turns(sender)
    assert wire.put == []
    committed.set()
    await looking
    assert len(wire.put) == 1


async def test_what_is_just_being_sent_is_not_put_beside_itself() -> None:
    wire = Streams()
    sender = sender_of(wire, cancel("LP1", 1))
    sender._wake.set()
    looking = await turns(sender)
    assert wire.put == []
    running = asyncio.create_task(sender.run())
    await looking
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(wire.put) == 1


async def test_of_what_was_answered_nothing_is_remembered() -> None:
    wire = Streams()
    sender = sender_of(wire, cancel("LP1", 1))
    await (await turns(sender))
    await (await turns(sender))
    assert len(sender._entries) == len(sender._gone_since_s) == 1
    desk: Any = sender._desks["acorn"]
    desk.cancels = []
    await (await turns(sender))
    assert not (sender._entries or sender._gone_since_s)


@pytest.mark.parametrize("refuses", [False, True])
async def test_what_redis_refused_was_not_put(refuses: bool) -> None:
    """F-03: taken for put, it would be waited for."""
    sender = sender_of(Streams(refuses=refuses))
    outbound = dispatch.Outbound(children=[("acorn", cancel("LP1", 1))])
    await sender._send(outbound)
    assert (len(sender._entries), sender.sent) == ((0, 0) if refuses else (1, 1))


def test_an_answer_that_nobody_fetches_leaves_redis_and_what_was_answered_its_stream() -> None:
    item = SimpleNamespace(
        tenant="acorn", entry_id=b"7-0", entry_key="{acorn}:commands", envelope=SimpleNamespace(reply_to="r")
    )
    pipe = Streams()
    dispatch._settle(pipe, SimpleNamespace(item=item, answer=None))  # type: ignore[arg-type]
    assert [asked[0] for asked in pipe.asked] == ["rpush", "expire", "xack", "xdel"]
    assert pipe.asked[1][1:] == ("{acorn}:reply:r", streams.REPLY_LIFE_S)
    assert pipe.asked[3][1:] == ("{acorn}:commands", b"7-0")
