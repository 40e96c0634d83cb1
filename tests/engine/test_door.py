"""The door without an engine behind it: what counts before anything is read, who keeps how many lines, its pages."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import redis.asyncio
from msgspec.structs import replace
from redis import Redis

from piggy.core.accounts import Strategy
from piggy.core.answers import STORAGE_FULL
from piggy.engine import connections as connections_module
from piggy.engine import door as door_module
from piggy.engine import handshakes, proofs, refusals
from piggy.engine.config import EngineConfig
from piggy.engine.door import NO_STRATEGY, Door, Pass
from piggy.engine.edge import PAGES, Edge
from piggy.engine.http_messages import Request, Response
from piggy.engine.proofs import WINDOW_S
from piggy.engine.signals import UnableToAcceptSignal, parse
from piggy.engine.sockets import SignalSocket
from piggy.engine.status import Status
from piggy.messaging import signing, streams
from tests.engine.ground import Ground

KEY = b"k" * 32
SECRET = signing.strategy_secret(key=KEY, tenant="acorn", strategy="mean", key_version=1)
HOST = {"host": "acorn.localhost"}


@pytest.fixture
def edge() -> Edge:
    """Of an engine that decides for one tenant with one strategy, which may signal three times a second."""
    status = Status()
    status.state, status.domains = "ACTIVE", {"acorn.localhost": "acorn"}
    state = SimpleNamespace(strategies={"mean": Strategy(strategy_id="mean", account_id="anna")})
    loop = SimpleNamespace(desks={"acorn": SimpleNamespace(state=state)}, is_full=lambda **_: False, backlog=0)
    config = EngineConfig(database_url="", redis_url="", context_key=b"", signal_key=KEY, strategy_signals_per_s_max=3)
    term: Any = SimpleNamespace(status=status, loop=loop)
    return Edge(term=term, config=config)


@pytest.fixture(autouse=True)
def stillness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates let more through with time; here none passes, however slow the machine is."""
    now_ns = time.monotonic_ns()
    still = SimpleNamespace(monotonic_ns=lambda: now_ns, time_ns=time.time_ns, time=time.time)
    monkeypatch.setattr(door_module, "time", still)


@pytest.fixture
def redis_server(ground: Ground) -> Iterator[Redis]:
    """The Redis of the run, without what these tests put there."""
    client = Redis.from_url(ground.services.redis_url)
    yield client
    for name in client.scan_iter("{acorn}:refused:*"):
        client.delete(name)
    client.close()


def ask(edge: Edge, request: Request) -> Response:
    answers: list[Response] = []
    edge.handle(request, answers.append)
    (answer,) = answers
    return answer


def proof(body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    signature = signing.signature(secret=SECRET, timestamp=timestamp, body=body)
    return HOST | {"x-piggy-timestamp": timestamp, "x-piggy-signature": signature}


def handshake(*, nonce: str = "", at_s: int | None = None) -> Request:
    timestamp = str(at_s or int(time.time()))
    signature = signing.signature(secret=SECRET, timestamp=timestamp, body=nonce.encode())
    named = {"x-piggy-timestamp": timestamp, "x-piggy-signature": signature, "sec-websocket-version": "13"}
    named |= {"x-piggy-nonce": nonce} if nonce else {}
    return Request("GET", "/signals/mean", HOST | named, b"", "9.9.9.9")


def opens(edge: Edge, asked: Request) -> int:
    found = edge.upgrade(asked)
    return found.status if isinstance(found, Response) else 101


def test_f_32_what_is_no_signal_counts_like_one_and_is_not_even_read_past_the_rate(edge: Edge) -> None:
    """Who has a secret, or an address that leaked, could else keep everybody's engine reading."""
    body = b'{"id": 1}'
    asked = Request("POST", "/hooks/tradingview/mean", proof(body), body, "9.9.9.9")
    assert [ask(edge, asked).status for _ in range(5)] == [400, 400, 400, 429, 429]


def test_what_is_not_proven_does_not_use_up_the_rate_of_its_strategy(edge: Edge) -> None:
    body = b'{"id": 1}'
    guessed = Request("POST", "/hooks/tradingview/mean", proof(b"other"), body, "9.9.9.9")
    assert {ask(edge, guessed).status for _ in range(5)} == {401}
    assert ask(edge, guessed._replace(headers=proof(body))).status == 400


def test_f_32_a_socket_more_than_its_tenant_may_have_is_refused(edge: Edge, monkeypatch: Any) -> None:
    monkeypatch.setattr(connections_module, "SOCKETS_MAX", 3)
    connections = edge._connections
    for number in range(2):
        socket = edge.upgrade(handshake(nonce=str(number)))
        assert isinstance(socket, SignalSocket) and socket.owner == "acorn"
        connections.open[socket] = None
    refused = edge.upgrade(handshake(nonce="2"))
    assert isinstance(refused, Response) and (refused.status, b"TOO_MANY_SOCKETS" in refused.body) == (429, True)
    others: Any = SignalSocket(door=edge._door, passed=Pass("birch", "mean", 1), connections=connections)
    assert others.owner == "birch" and connections.may_stay(tenant="birch")


def test_what_opened_a_socket_opens_no_other_as_long_as_it_could_come_again(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, now_s = handshake(), time.monotonic()
    assert opens(edge, asked) == 101
    assert [opens(edge, asked) for _ in range(2)] == [409, 409]
    assert opens(edge, handshake(nonce="other")) == 101, "who opens several in a second names each"
    assert opens(edge, handshake(nonce="{}")) == 401, "a body that was overheard is no nonce"
    monkeypatch.setattr(handshakes.time, "monotonic", lambda: now_s + WINDOW_S)
    assert opens(edge, asked) == 409, "of a clock that was put back, too"
    monkeypatch.setattr(handshakes, "KEPT_MAX", 2)
    assert opens(edge, handshake(nonce="third")) == 429
    monkeypatch.setattr(handshakes.time, "monotonic", lambda: now_s + handshakes.KEPT_S + 1)
    assert opens(edge, handshake(nonce="third")) == 101, "nothing is kept for ever"


def test_what_may_have_opened_a_socket_at_another_engine_opens_none_here(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = int(time.time())
    monkeypatch.setattr(handshakes.time, "time", lambda: float(now_s))
    edge._status.taken_at_s["acorn"] = now_s - 60, time.monotonic() - 60
    for ahead_s, status in ((-60, 503), (-55, 503), (-54, 101), (5, 101), (6, 401)):
        assert opens(edge, handshake(at_s=now_s + ahead_s)) == status, ahead_s


def test_inv_20_a_desk_that_was_taken_over_while_the_clock_was_ahead_keeps_nobody_out_for_as_long(edge: Edge) -> None:
    """Set right, it would have refused every handshake until it came to that time again."""
    for ago_s, status in ((handshakes.KEPT_S - 60, 503), (handshakes.KEPT_S + 1, 101)):
        edge._status.taken_at_s["acorn"] = int(time.time()) + 7_200, time.monotonic() - ago_s
        assert opens(edge, handshake(nonce=str(status))) == status


def test_a_page_is_read_only_and_what_is_none_is_not_found_however_it_is_asked_for(edge: Edge) -> None:
    for path in PAGES:
        told = [ask(edge, Request(method, path, {}, b"", "")).status for method in ("GET", "HEAD", "DELETE", "OPTIONS")]
        assert told == [200, 200, 405, 405]
    assert [ask(edge, Request(method, "/x", {}, b"", "")).status for method in ("GET", "POST")] == [404, 404]
    refused = ask(edge, Request("POST", "/healthz", {}, b"", ""))
    assert refused.allow == "GET, HEAD"


def test_who_asks_what_cannot_be_now_hears_so_at_once_and_never_why_something_failed(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Request("POST", "/hooks/tradingview/mean", HOST, b"", "9.9.9.9")
    wrong = ask(edge, asked._replace(method="GET"))
    assert (wrong.status, wrong.allow) == (405, "POST")
    edge._term.loop, edge._status.state = None, "DRAINING"
    ending = ask(edge, asked)
    assert (ending.status, ending.retry_after_s) == (503, 1), "nobody is held by an engine that ends"
    monkeypatch.setattr(edge, "_page", Mock(side_effect=ValueError("a secret")))
    failed = ask(edge, Request("GET", "/healthz", {}, b"", ""))
    assert (failed.status, b"secret" in failed.body) == (500, False)


def test_the_log_of_a_failure_has_no_capability(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who reads logs could signal with it until the secret is changed."""
    monkeypatch.setattr(edge._door, "signal", Mock(side_effect=ValueError("a fault of ours")))
    headers = HOST | {"content-type": "application/json"}
    assert ask(edge, Request("POST", "/hooks/tradingview/mean/0123abcd", headers, b"{}", "9.9.9.9")).status == 500
    assert [record.path for record in caplog.records] == ["/hooks/tradingview/mean"]  # type: ignore[attr-defined]


class Desks:
    """A loop that takes every signal and decides none."""

    def __init__(self, *strategies: Strategy, tenants: tuple[str, ...] = ("acorn", "birch")) -> None:
        self.taken: list[Any] = []
        self.full: set[str] = set()
        state = SimpleNamespace(strategies={each.strategy_id: each for each in strategies})
        self.desks = {tenant: SimpleNamespace(state=state) for tenant in tenants}

    def is_full(self, *, tenant: str, places: int) -> bool:
        return tenant in self.full

    def submit(self, *, item: Any) -> None:
        self.taken.append(item)


MEAN, TREND = (Strategy(strategy_id=name, account_id="anna") for name in ("mean", "trend"))
SIGNAL = parse(body=b'{"id":"1","symbol":"EURUSD","action":"buy","quantity":"0.1"}')


def door_of(loop: Any, **limits: int) -> Door:
    config = EngineConfig(database_url="", redis_url="", context_key=b"", signal_key=KEY, **limits)
    term: Any = SimpleNamespace(status=Status(), loop=loop)
    return Door(term=term, config=config)


def take(door: Door, tenant: str = "acorn", strategy: Strategy = MEAN, told: Any = None) -> None:
    door.take(tenant=tenant, strategy=strategy, signal=SIGNAL, request_hash="", request_id="", told=told)


def admitted(door: Door, tenant: str = "acorn", strategy: Strategy = MEAN) -> str:
    try:
        door.admit(tenant=tenant, strategy=strategy)
    except UnableToAcceptSignal as refused:
        return refused.code
    return ""


def test_inv_24_an_id_is_one_strategys_at_one_broker() -> None:
    """Charts give the same ids to everybody's alerts."""
    loop = Desks(MEAN, TREND)
    door = door_of(loop)
    for tenant, strategy in (("acorn", MEAN), ("acorn", TREND), ("birch", MEAN), ("acorn", MEAN)):
        take(door, tenant, strategy)
    first, *others, again = (item.envelope.command_id for item in loop.taken)
    assert first == again and len({first, *others}) == 3
    assert [item.envelope.principal for item in loop.taken[:2]] == ["strategy:mean", "strategy:trend"]


def test_inv_26_a_rate_is_one_strategys_of_one_broker_and_the_desks_is_its_own() -> None:
    door = door_of(Desks(MEAN, TREND), strategy_signals_per_s_max=1, tenant_signals_per_s_max=2)
    assert [admitted(door), admitted(door)] == ["", "TOO_MANY"]
    assert admitted(door, "birch") == "", "one of the same name at another broker"
    assert admitted(door, strategy=TREND) == ""
    third = Strategy(strategy_id="third", account_id="anna")
    assert [admitted(door, each, third) for each in ("acorn", "birch")] == ["TOO_MANY", ""]


def test_inv_26_where_too_much_waits_the_next_hears_so_and_loses_no_turn_by_it() -> None:
    loop = Desks(MEAN)
    door = door_of(loop, strategy_signals_per_s_max=1)
    loop.full = {"acorn"}
    assert [admitted(door), admitted(door), admitted(door, "birch")] == ["OVERLOADED", "OVERLOADED", ""]
    loop.full = set()
    assert admitted(door) == ""


def test_who_decides_for_nobody_says_so_and_why() -> None:
    door = door_of(None)
    assert admitted(door) == "ENGINE_RECOVERING"
    door._term.status.storage.is_full = True
    assert admitted(door) == STORAGE_FULL
    assert admitted(door_of(Desks(MEAN, tenants=("birch",)))) == "ENGINE_RECOVERING"


def test_a_connection_ends_with_its_secret_its_address_and_its_strategy() -> None:
    loop = Desks(MEAN)
    door = door_of(loop)
    assert door.still_valid(passed=Pass("acorn", "mean", 1)) is MEAN
    loop.desks["acorn"].state.strategies["fenced"] = replace(MEAN, sources=("9.9.9.0/24",))
    assert door.still_valid(passed=Pass("acorn", "fenced", 1, "9.9.9.9"))
    for passed in (
        Pass("acorn", "mean", 2), Pass("acorn", "trend", 1), Pass("acorn", "fenced", 1, "9.9.8.9"),
        Pass("acorn", "fenced", 1),
    ):  # fmt: skip
        with pytest.raises(UnableToAcceptSignal) as refused:
            door.still_valid(passed=passed)
        assert refused.value.status == 401


async def test_a_signal_that_waits_while_its_engine_ends_hears_that_nobody_knows() -> None:
    """It asks again under its id; who heard nothing would wait for ever."""
    patient, heard = replace(MEAN, wait_ms_max=60_000), list[Any]()
    loop = Desks(patient)
    door = door_of(loop)
    door._is_due = lambda *_: door._term.loop is None  # type: ignore[method-assign]
    take(door, strategy=patient, told=heard.append)
    assert (len(door.waiting), loop.taken) == (1, [])
    door._term.loop = None
    watch = asyncio.create_task(door.waiting.watch())
    async with asyncio.timeout(20):
        while len(door.waiting):
            await asyncio.sleep(0.005)
    watch.cancel()
    assert heard == [None]


async def test_what_is_refused_is_remembered_for_its_strategy_with_what_its_sender_is_not_told(
    edge: Edge, redis_server: Redis, ground: Ground
) -> None:
    """What nobody proved stands apart, names that no strategy has together, and no proof or body is kept."""
    body, unsigned = b'{"id": "a1", "colour": "red"}', HOST | {"x-piggy-timestamp": "1", "x-piggy-signature": "s3cret"}
    right = Request("POST", "/hooks/tradingview/mean", proof(body), body, "9.9.9.9")
    stale = Request("POST", "/hooks/tradingview/mean", unsigned, body, "8.8.8.8")
    guessed = Request("POST", "/hooks/tradingview/mean/c4pability", HOST, body, "8.8.8.8")
    unknown = Request("POST", "/hooks/tradingview/" + "x" * 500, proof(body), body, "8.8.8.8")
    elsewhere = Request("POST", "/hooks/tradingview/mean", HOST | {"host": "nobody.localhost"}, body, "8.8.8.8")
    told = [ask(edge, each) for each in (right, right, stale, guessed, unknown, elsewhere)]
    assert [each.status for each in told] == [400, 400, 401, 401, 401, 404]
    assert len({each.body for each in told[2:5]}) == 1
    opens(edge, Request("GET", "/signals/mean", unsigned | {"sec-websocket-version": "13"}, b"", "7.7.7.7"))
    async with redis.asyncio.Redis.from_url(ground.services.redis_url) as wire:
        await edge._door.refusals.put(connection=wire)
        await edge._door.refusals.put(connection=wire)

    def lines(strategy_id: str, *, proven: bool) -> list[Any]:
        key = streams.refused_key(tenant="acorn", strategy_id=strategy_id, proven=proven)
        assert 0 < redis_server.ttl(key) <= refusals.LIFE_S
        return [json.loads(each) for each in redis_server.lrange(key, 0, -1)]

    (own,) = lines("mean", proven=True)
    assert (own["code"], own["field"], own["times"], own["signal_id"]) == ("INVALID_FIELD", "colour", 2, "a1")
    assert [(each["why"], each["address"]) for each in lines("mean", proven=False)] == [
        (proofs.STALE, "7.7.7.7"), (proofs.BAD_ADDRESS, "8.8.8.8"), (proofs.STALE, "8.8.8.8")
    ]  # fmt: skip
    (other,) = lines("", proven=False)
    assert (other["why"], other["strategy_id"], other["signal_id"]) == (NO_STRATEGY, "x" * 60, "")
    kept = b"".join(redis_server.dump(key) for key in redis_server.scan_iter("{acorn}:refused:*"))
    assert b"s3cret" not in kept and b"c4pability" not in kept and b"red" not in kept


async def test_nobody_makes_the_list_of_what_was_refused_larger_than_it_may_be(
    redis_server: Redis, ground: Ground
) -> None:
    """Who guesses from many addresses pushes away no line of what the strategy itself sent."""
    kept = refusals.Refusals()

    def note(at: int, *, proven: bool) -> None:
        error = UnableToAcceptSignal(401, "UNAUTHORISED", "x" * 9_999)
        error.proven = proven
        kept.note(tenant="acorn", strategy_id="mean", known=True, error=error, address=f"9.9.{at}")

    async with redis.asyncio.Redis.from_url(ground.services.redis_url) as wire:
        note(1, proven=True)
        for _ in range(2):
            for at in range(2 * refusals.PENDING_MAX):
                note(at, proven=False)
            assert sum(len(each) for each in kept._pending.values()) <= refusals.PENDING_MAX + 1
            await kept.put(connection=wire)
    sizes = {proven: streams.refused_key(tenant="acorn", strategy_id="mean", proven=proven) for proven in (True, False)}
    assert {proven: redis_server.llen(key) for proven, key in sizes.items()} == {True: 1, False: refusals.KEPT}
    assert len(redis_server.lindex(sizes[True], 0)) < 600
