"""The fast door: proven, strict, once; and a killed engine forgets nothing that it answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from piggy.core import commands as cmd
from piggy.core.accounts import Strategy
from piggy.engine import edge as edge_module
from piggy.engine.config import EngineConfig
from piggy.engine.http_messages import Request
from piggy.engine.status import Status
from piggy.local.processes import free_port
from piggy.messaging import signing
from piggy.messaging.client import Client
from tests.engine.conftest import envelope, opening_commands, until
from tests.engine.ground import Ground


@dataclass
class Door:
    """An engine process and how to post to it."""

    ground: Ground
    tenant: str
    shard: str
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """Start an engine and return when it serves."""
        self.launch(**settings)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        self.stop(signal.SIGKILL)
        raise AssertionError("the engine is not ready")

    def launch(self, **settings: str) -> None:
        self.port = free_port()
        services = self.ground.services
        env = {
            **os.environ,
            "DATABASE_URL": services.database_url,
            "REDIS_URL": services.redis_url,
            "PIGGY_CONTEXT_KEY": self.ground.context_key.hex(),
            "PIGGY_SIGNAL_KEY": self.ground.signal_key.hex(),
            "PIGGY_SHARD": self.shard,
            "PIGGY_HOME": str(self.ground.home),
            "PIGGY_EDGE_PORT": str(self.port),
            **settings,
        }
        self.process = subprocess.Popen([sys.executable, "-m", "piggy.engine"], env=env)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=20)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers(
        self, body: bytes, *, at: int | None = None, secret: str = "", strategy: str = "mean"
    ) -> dict[str, str]:
        timestamp = str(at or int(time.time()))
        secret = secret or signing.strategy_secret(
            key=self.ground.signal_key, tenant=self.tenant, strategy=strategy, key_version=1
        )
        proof = signing.signature(secret=secret, timestamp=timestamp, body=body)
        return {"Host": f"{self.tenant}.localhost", "X-Piggy-Timestamp": timestamp, "X-Piggy-Signature": proof}

    def post(self, body: bytes, *, strategy: str = "mean", **proof: Any) -> httpx.Response:
        headers = self.headers(body, strategy=strategy, **proof)
        return httpx.post(f"{self.url}/hooks/tradingview/{strategy}", content=body, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def door(ground: Ground) -> Iterator[Door]:
    shard = f"shard-{uuid.uuid4().hex[:8]}"
    made = Door(ground, ground.add_tenant(shard=shard), shard)
    made.start()
    client = Client(redis_url=ground.services.redis_url)
    for command in opening_commands():
        assert client.ask(tenant=made.tenant, envelope=envelope(command), wait_s=10)
    yield made
    made.stop()


def body_of(**changes: Any) -> bytes:
    return json.dumps(
        {"id": uuid.uuid4().hex, "symbol": "EURUSD", "action": "buy", "quantity": "0.10"} | changes
    ).encode()


def test_a_signed_signal_is_answered_with_the_decision_and_all_reasons(door: Door) -> None:
    told = door.post(body_of())
    assert told.status_code == 422, "there is no price, so the gate denies"
    assert told.json()["order_id"]
    assert told.json()["state"] == "denied"
    assert [reason["code"] for reason in told.json()["reasons"]]


def test_a_number_is_told_as_it_may_be_asked_without_an_exponent(door: Door) -> None:
    told = door.post(body_of(quantity="0.0000000001")).json()
    assert (told["quantity"], told["filled"]) == ("0.0000000001", "0")


def test_inv_24_a_repeat_hears_the_first_result_and_a_changed_body_is_a_conflict(door: Door) -> None:
    """F-25."""
    first = body_of()
    told, again = door.post(first).json(), door.post(first).json()
    assert again.pop("duplicate") is True
    assert again == told
    changed = first.replace(b"0.10", b"0.20")
    assert door.post(changed).status_code == 409


def test_inv_24_a_signal_sent_again_while_it_is_under_way_waits_and_hears_the_same(door: Door) -> None:
    """F-25: 409 is for another body only, and an id is its strategy's own."""
    body, at_once = body_of(), 16
    with ThreadPoolExecutor(at_once) as pool:
        told = list(pool.map(lambda _: door.post(body), range(at_once)))
    assert {each.status_code for each in told} == {422}, "the gate denies, for there is no price"
    assert len({each.json()["order_id"] for each in told}) == 1
    assert sum("duplicate" not in each.json() for each in told) == 1
    client = Client(redis_url=door.ground.services.redis_url)
    another = cmd.ConfigureStrategy(strategy=Strategy(strategy_id="other", account_id="anna"))
    assert client.ask(tenant=door.tenant, envelope=envelope(another), wait_s=10)
    theirs = door.post(body, strategy="other").json()
    assert "duplicate" not in theirs and theirs["order_id"] != told[0].json()["order_id"]


def test_a_body_of_another_kind_is_415_and_hears_which_are_read(door: Door) -> None:
    body = body_of()
    headers = door.headers(body)
    told = [
        httpx.post(f"{door.url}/hooks/tradingview/mean", content=body, headers=headers | {"Content-Type": kind})
        for kind in ("application/x-www-form-urlencoded", "text/plain; charset=utf-8")
    ]
    assert [each.status_code for each in told] == [415, 422], "the second is read, and the gate denies"
    assert (told[0].json()["error"], told[0].headers["Accept"]) == ("CONTENT_TYPE", "application/json, text/plain")
    asked = httpx.get(f"{door.url}/hooks/tradingview/mean", headers=headers)
    assert (asked.status_code, asked.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("proof", [{"at": 1_700_000_000}, {"secret": "wrong"}])
def test_a_signal_that_is_not_proven_is_refused(door: Door, proof: dict[str, Any]) -> None:
    assert door.post(body_of(), **proof).status_code == 401


def test_an_unknown_strategy_reads_like_a_bad_signature_and_an_unknown_host_is_not_found(door: Door) -> None:
    body = body_of()
    unknown = httpx.post(f"{door.url}/hooks/tradingview/nobody", content=body, headers=door.headers(body))
    wrong = door.post(body, secret="wrong")
    assert (unknown.status_code, unknown.json()) == (wrong.status_code, wrong.json())
    for host in ("elsewhere.localhost", f"{door.tenant}.localhost:x"):
        headers = door.headers(body) | {"Host": host}
        assert httpx.post(f"{door.url}/hooks/tradingview/mean", content=body, headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b'{"id": "1", "id": "2"}', 400, None),
        (b'{"id": NaN}', 400, None),
        (b"[" * 100_000, 400, None),
        (b'{"id": ' + b"[" * 33 + b"]" * 33 + b"}", 400, "id"),
        (b"[]", 400, None),
        (body_of(quantity=0.1), 400, "quantity"),
        (body_of(quantity="-1"), 422, "quantity"),
        (body_of(quantity="1e3"), 422, "quantity"),
        (body_of(action="hold"), 422, "action"),
        (body_of(surprise="x"), 400, "surprise"),
        (body_of(symbol=""), 422, "symbol"),
        (body_of(symbol="A" * 41), 422, "symbol"),
        (body_of(symbol="FX:"), 422, "symbol"),
        (body_of(id="a" * 101), 422, "id"),
        (b" " * (256 * 1024 + 1), 413, None),
    ],
    # Named, for the bodies carry random ids and every test process must call the cases the same.
    ids=[
        "twice",
        "nan",
        "deep",
        "nested",
        "list",
        "float",
        "negative",
        "exponent",
        "action",
        "surprise",
        "symbol",
        "long",
        "nothing",
        "id",
        "large",
    ],
)
def test_a_body_that_is_wrong_is_refused_by_the_name_of_its_field(
    door: Door, body: bytes, status: int, field: str | None
) -> None:
    told = door.post(body)
    assert (told.status_code, told.json().get("field")) == (status, field), told.text


def test_a_native_alert_needs_its_capability_and_a_fresh_time(door: Door) -> None:
    path = signing.capability_path(
        key=door.ground.signal_key, tenant=door.tenant, strategy="mean", account_id="anna", key_version=1
    )
    host = {"Host": f"{door.tenant}.localhost"}
    fresh, stale = body_of(time=str(int(time.time()))), body_of(time="1700000000")
    assert httpx.post(door.url + path, content=fresh, headers=host).status_code == 422
    assert httpx.post(door.url + path, content=stale, headers=host).status_code == 401
    assert httpx.post(door.url + path[:-1] + "0f", content=fresh, headers=host).status_code == 401
    told = [httpx.post(door.url + each, content=b"[" * 100, headers=host) for each in (path, path + "0")]
    assert [each.status_code for each in told] == [400, 401], "of what nobody proved nothing is read"


def test_a_capability_with_an_address_list_believes_the_proxy_and_nobody_before_it(door: Door) -> None:
    """Our proxy says last in X-Forwarded-For who called it; what stands before that was said to it."""
    client = Client(redis_url=door.ground.services.redis_url)
    listed = Strategy(strategy_id="listed", account_id="anna", sources=("9.9.9.9", "2001:db8::/32"))
    assert client.ask(tenant=door.tenant, envelope=envelope(cmd.ConfigureStrategy(strategy=listed)), wait_s=10)
    path = signing.capability_path(
        key=door.ground.signal_key, tenant=door.tenant, strategy="listed", account_id="anna", key_version=1
    )

    def status(*said: str) -> int:
        headers = [("Host", f"{door.tenant}.localhost"), *(("X-Forwarded-For", each) for each in said)]
        return httpx.post(door.url + path, content=body_of(time=str(int(time.time()))), headers=headers).status_code

    assert [status("9.9.9.9"), status("6.6.6.6, 9.9.9.9"), status("6.6.6.6", "2001:db8::7")] == [422, 422, 422]
    assert [status(), status("9.9.9.9, 6.6.6.6"), status("9.9.9.9", "6.6.6.6"), status("9.9.9.9.evil")] == [401] * 4


def test_flat_without_a_position_is_a_recorded_refusal(door: Door) -> None:
    body = body_of(action="flat")
    first, again = door.post(body).json(), door.post(body).json()
    assert first["error"] == "NO_POSITION"
    assert again == first | {"duplicate": True}


@pytest.fixture
def narrow_door(ground: Ground) -> Iterator[Door]:
    """A door that lets little through."""
    shard = f"shard-{uuid.uuid4().hex[:8]}"
    made = Door(ground, ground.add_tenant(shard=shard), shard)
    made.start(PIGGY_STRATEGY_SIGNALS_PER_S_MAX="3", PIGGY_ADDRESS_FAILURES_PER_S_MAX="2")
    client = Client(redis_url=ground.services.redis_url)
    for command in opening_commands():
        assert client.ask(tenant=made.tenant, envelope=envelope(command), wait_s=10)
    yield made
    made.stop()


def until_429(post: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Ask again and again, each time at once, until that is too often; a slow machine comes to that later."""
    told = [post()]
    while told[-1].status_code != 429:
        assert len(told) < 200, "nobody is ever too many"
        told.append(post())
    return told


def test_inv_26_past_its_rate_a_strategy_hears_429_and_so_does_who_guesses(narrow_door: Door) -> None:
    """Who guesses from behind our proxy keeps nobody else behind it out."""
    door = narrow_door
    with httpx.Client() as http:

        def post(client: str = "", **proof: Any) -> httpx.Response:
            body = body_of()
            headers = door.headers(body, **proof) | ({"X-Forwarded-For": client} if client else {})
            return http.post(f"{door.url}/hooks/tradingview/mean", content=body, headers=headers)

        told = until_429(post)
        assert {each.status_code for each in told} == {422, 429}
        late = told[-1]
        assert (late.json()["error"], late.headers["Retry-After"]) == ("TOO_MANY", "1")
        guessed = until_429(lambda: post(secret="wrong"))
        assert guessed[0].status_code == 401, "whoever guesses hears no more than that"
        time.sleep(1)
        names = itertools.count()
        guessed = until_429(lambda: post(f"1.1.1.1, 6.6.6.{next(names)}, 6.6.6.6", secret="wrong"))
        assert guessed[0].status_code == 401, "names that he makes up help him nothing"
        assert post("6.6.6.6, 9.9.9.9").status_code == 422
        assert post("6.6.6.6").status_code == 422, "a chart service sends everybody's alerts from the same addresses"


async def test_inv_26_so_many_wait_for_an_engine_that_takes_over_and_the_next_is_sent_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever waits there has proven nothing: a crowd of them would keep the engine from taking over."""
    monkeypatch.setattr(edge_module, "HELD_MAX", 2)
    monkeypatch.setattr(edge_module, "HOLD_S_MAX", 0.2)
    config = EngineConfig(database_url="", redis_url="", context_key=b"", signal_key=b"")
    edge = edge_module.Edge(term=SimpleNamespace(status=Status(), loop=None), config=config)  # type: ignore[arg-type]
    asked = Request("POST", f"{edge_module.HOOKS}mean", {"host": "a"}, b"", "9.9.9.9")
    answers: list[tuple[int, int]] = []

    def ask(name: int) -> None:
        edge.handle(asked, lambda response: answers.append((name, response.status)))

    for name in (1, 2, 3):
        ask(name)
    assert answers == [(3, 503)]
    await until(lambda: len(answers) == 3)
    assert answers == [(3, 503), (1, 503), (2, 503)]
    ask(4)
    assert len(answers) == 3, "there is room again"


def test_health_readiness_and_figures_are_told(door: Door) -> None:
    assert httpx.get(f"{door.url}/healthz").json() == {"status": "ok", "state": "ACTIVE"}
    assert httpx.get(f"{door.url}/readyz").json()["progress"][door.tenant]["seq"] >= 0
    assert httpx.get(f"{door.url}/readyz").json()["unkept"] == []
    assert "piggy_engine_active 1" in httpx.get(f"{door.url}/metrics").text


async def test_inv_01_kill_9_under_load_loses_and_doubles_nothing_that_was_answered(
    ground: Ground, shard: str, tenant: str
) -> None:
    door = Door(ground, tenant, shard)
    await asyncio.to_thread(door.start)
    client = Client(redis_url=ground.services.redis_url)
    for command in opening_commands():
        assert await asyncio.to_thread(client.ask, tenant=tenant, envelope=envelope(command), wait_s=10)
    answered: dict[str, str] = {}
    over = asyncio.Event()

    async def desk(http: httpx.AsyncClient) -> None:
        body = body_of()
        while not over.is_set():
            try:
                told = await http.post(f"{door.url}/hooks/tradingview/mean", content=body, headers=door.headers(body))
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if told.status_code in (200, 422):
                order_id, signal_id = told.json()["order_id"], json.loads(body)["id"]
                assert answered.setdefault(signal_id, order_id) == order_id
                body = body_of()

    async def answered_more() -> None:
        wanted = len(answered) + 20
        await until(lambda: len(answered) >= wanted, seconds=60)

    async with httpx.AsyncClient() as http:
        desks = [asyncio.create_task(desk(http)) for _ in range(8)]
        for _ in range(2):
            await answered_more()
            await asyncio.to_thread(door.stop, signal.SIGKILL)
            await asyncio.to_thread(door.start)
        await answered_more()
        over.set()
        await asyncio.gather(*desks)
    await asyncio.to_thread(door.stop)
    rows = ground.log_rows(tenant=tenant)
    denied = [row for row in rows if row[3] == "OrderDenied"]
    assert len(answered) > 50
    assert len(denied) >= len(answered)
    assert len({row[1] for row in denied}) == len(denied)
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
