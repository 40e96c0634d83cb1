"""The dealer's socket against a real web process: who gets in, who is put out, and what is sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import websockets
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from websockets.protocol import State

from apps.dealing.consumers.hub import RECHECK_S
from apps.dealing.consumers.socket import HANG_UP_S_MAX
from apps.outbox.models import OutboxCommand
from apps.tenants.services import in_tenant
from apps.users.models import User
from piggy.bench.desk_frames import FrameMaker
from piggy.bench.desk_ground import EngineVoice, WebProcess, seat_staff
from piggy.core.accounts import TradingState
from piggy.core.commands import SetTradingState
from piggy.messaging import codec, streams
from tests.apps.dealing.desk_floor import Dealer
from tests.apps.operating import manage

pytestmark = pytest.mark.timeout(170)
# What is waited for comes, however slow this machine is.
PATIENCE_S = 60
PANELS = set(streams.PANELS)


def wait_until_nobody_listens() -> None:
    """The line of the test before may just be ending, and who still heard for it would know what this one is told."""
    channel, until_s = streams.desk_channel(tenant="acorn"), time.monotonic() + PATIENCE_S
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        while client.pubsub_numsub(channel)[0][1]:
            assert time.monotonic() < until_s, "somebody listens"
            time.sleep(0.01)


class Desk:
    """A web process with a seated dealer of acorn, and the engine's voice."""

    def __init__(self, web: WebProcess) -> None:
        self.web = web
        self.session_key = seat_staff(tenant="acorn", role="dealer", username="dora")
        wait_until_nobody_listens()
        self.voice = EngineVoice(tenant="acorn", maker=FrameMaker())
        self.voice.begin()

    def line(
        self,
        *,
        host: str = "acorn.localhost",
        origin: str | None = None,
        session_key: str | None = None,
        path: str = "/ws/desk/",
    ) -> Any:
        cookie = f"sessionid={self.session_key if session_key is None else session_key}"
        return websockets.connect(
            f"ws://{host}:{self.web.port}{path}",
            host="127.0.0.1",
            origin=origin or f"http://{host}:{self.web.port}",
            additional_headers={"Cookie": cookie},
            proxy=None,
        )


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    with WebProcess(log=tmp_path_factory.mktemp("web") / "web.log", server=request.param) as process:
        yield process


@pytest.fixture
def desk(acorn: Any, birch: Any, redis_server: Any, web: WebProcess) -> Desk:
    return Desk(web)


async def whole(line: Any) -> dict[str, Any]:
    """Read until every panel came as a snapshot."""
    panels: dict[str, Any] = {}
    while set(panels) != PANELS:
        message = json.loads(await asyncio.wait_for(line.recv(), PATIENCE_S))
        if message.get("snapshot"):
            panels[message["panel"]] = message
    return panels


async def status_of_refusal(line: Any) -> int:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with line:
            pass
    return int(refused.value.response.status_code)


async def is_refused(line: Any) -> bool:
    try:
        async with line:
            return False
    except websockets.InvalidStatus as refused:
        return int(refused.response.status_code) == 403


async def code_of_close(line: Any) -> int:
    async def until_closed() -> None:
        while True:
            await line.recv()

    with pytest.raises(websockets.ConnectionClosed) as closed:
        await asyncio.wait_for(until_closed(), PATIENCE_S)
    return int(closed.value.rcvd.code)


def test_a_dealer_gets_every_panel_whole_and_then_numbered_deltas(desk: Desk) -> None:
    async def story() -> None:
        async with desk.line() as line:
            panels = await whole(line)
            assert panels["orders"]["rows"].keys() == desk.voice.maker.rows["orders"].keys()
            desk.voice.say([desk.voice.maker.order()])
            while (message := json.loads(await asyncio.wait_for(line.recv(), PATIENCE_S))).get("panel") != "orders":
                pass
            assert (message["snapshot"], message["seq"]) == (False, panels["orders"]["seq"] + 1)

    asyncio.run(story())


def test_a_lost_frame_is_made_good_from_the_snapshot(desk: Desk) -> None:
    """INV-25."""

    async def story() -> None:
        async with desk.line() as line:
            await whole(line)
            desk.voice.maker.order()
            desk.voice.say([desk.voice.maker.order()])
            desk.voice.keep()
            while (message := json.loads(await asyncio.wait_for(line.recv(), PATIENCE_S))).get("panel") != "orders":
                pass
            assert message["snapshot"] and message["rows"] == desk.voice.maker.rows["orders"]

    asyncio.run(story())


def test_what_was_told_just_before_the_page_came_is_not_missed_although_nothing_follows(desk: Desk) -> None:
    """INV-25: the stored snapshot is a second old, and who subscribes after a frame was told never hears it."""

    async def story() -> None:
        desk.voice.say([desk.voice.maker.order()])
        async with desk.line() as line:
            known = (await whole(line))["orders"]
            assert known["rows"] != desk.voice.maker.rows["orders"], "the stored snapshot was to be old"
            desk.voice.say(desk.voice.maker.tick(symbols=1))
            desk.voice.keep()
            said: list[dict[str, Any]] = []
            while not (orders := [each for each in said if each.get("panel") == "orders"]):
                text = json.loads(await asyncio.wait_for(line.recv(), PATIENCE_S))
                said = text if isinstance(text, list) else [text]
            assert orders[0]["snapshot"] and orders[0]["rows"] == desk.voice.maker.rows["orders"]

    asyncio.run(story())


def test_what_a_dealer_looks_at_closely_is_told_to_the_engine_for_a_while(desk: Desk, redis_server: Any) -> None:
    async def story() -> None:
        async with desk.line() as line:
            await whole(line)
            asked_s = time.time()
            await line.send('{"action":"watch","names":["depth:EURUSD","stopout:A1001"]}')
            async with asyncio.timeout(PATIENCE_S):
                while not (told := redis_server.zrange(streams.focus_key(tenant="acorn"), 0, -1, withscores=True)):
                    await asyncio.sleep(0.01)
        assert {name.decode() for name, _ in told} == {"depth:EURUSD", "stopout:A1001"}
        assert all(asked_s <= until_s - streams.FOCUS_LIFE_S <= time.time() for _, until_s in told)

    asyncio.run(story())


def test_strangers_and_other_roles_and_foreign_pages_are_refused(desk: Desk) -> None:
    """T-13 and the handshake part of 2.c."""
    auditor = seat_staff(tenant="acorn", role="auditor", username="ada")
    elsewhere = seat_staff(tenant="birch", role="dealer", username="bob")

    async def story() -> None:
        assert await status_of_refusal(desk.line(session_key="")) == 403
        assert await status_of_refusal(desk.line(session_key=auditor)) == 403
        assert await status_of_refusal(desk.line(session_key=elsewhere)) == 403
        assert await status_of_refusal(desk.line(host="birch.localhost")) == 403
        assert await status_of_refusal(desk.line(origin="http://birch.localhost")) == 403
        assert await status_of_refusal(desk.line(origin="https://evil.example")) == 403
        assert await status_of_refusal(desk.line(path="/ws/nowhere/")) == 403

    asyncio.run(story())


def test_bad_messages_close_the_line_with_their_code(desk: Desk) -> None:
    """2.c; daphne lets an application send only codes from 3000 on and says 1011 in place of the others."""

    async def code_after(*messages: str | bytes) -> int:
        async with desk.line() as line:
            for message in messages:
                await line.send(message)
            return await code_of_close(line)

    async def story() -> None:
        assert await code_after(b"binary") in (1003, 1011)
        assert await code_after('{"action":"fly"}') == 4400
        assert await code_after("no json") == 4400
        assert await code_after('{"action":"pong","at_us":1,"x":' + "[" * 30_000) == 4400
        assert await code_after('{"action":"resync","panel":"secrets"}') == 4400
        assert await code_after('{"action":"watch","names":["orders:*"]}') == 4400
        assert await code_after(json.dumps({"action": "watch", "names": ["depth:EURUSD"] * 9})) == 4400
        assert await code_after("x" * 70_000) in (1009, 1011)
        async with desk.line() as line:
            # However slowly they are heard, some time so many come within a second.
            while line.state is State.OPEN:
                with contextlib.suppress(websockets.ConnectionClosed):
                    for _ in range(25):
                        await line.send('{"action":"pong","at_us":1}')
                    await asyncio.wait([asyncio.ensure_future(line.wait_closed())], timeout=2)
            assert line.close_code == 4429

    asyncio.run(story())


def role_taken() -> None:
    User.objects.get(username="dora").groups.clear()


def person_locked() -> None:
    User.objects.filter(username="dora").update(is_active=False)


def session_ended() -> None:
    Session.objects.all().delete()


@pytest.mark.parametrize("revoke", [role_taken, person_locked, session_ended])
def test_whoever_loses_the_right_is_off_the_line_within_five_seconds(desk: Desk, revoke: Callable[[], None]) -> None:
    """T-17."""
    assert RECHECK_S + HANG_UP_S_MAX < 5

    def in_acorn() -> None:
        with in_tenant("acorn"):
            revoke()
        connection.close()

    async def story() -> None:
        async with desk.line() as line:
            await whole(line)
            await asyncio.to_thread(in_acorn)
            assert await code_of_close(line) == 4401

    asyncio.run(story())


def test_a_suspended_broker_is_off_the_line_within_five_seconds(
    desk: Desk, owner_sql: Callable[..., list[Any]]
) -> None:
    """F-33."""
    turn = "update public.tenants_tenant set is_active = %s where schema_name = 'acorn'"

    async def story() -> None:
        async with desk.line() as line:
            await whole(line)
            await asyncio.to_thread(owner_sql, turn, [False])
            assert await code_of_close(line) == 4401

    try:
        asyncio.run(story())
    finally:
        owner_sql(turn, [True])


def suspend(*options: str) -> str:
    done = manage("suspend", "acorn", "--reason", "unpaid", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told_of_suspension() -> list[SetTradingState]:
    with in_tenant("acorn"):
        rows = OutboxCommand.objects.filter(reference="suspension").order_by("created_at")
        told = [codec.decode_envelope(bytes(row.payload)).command for row in rows]
    return [each for each in told if isinstance(each, SetTradingState)]


@pytest.mark.parametrize("web", ["uvicorn"], indirect=True)
def test_f_33_a_broker_suspended_by_the_platform_has_no_sockets_left_and_may_only_close(
    desk: Desk, redis_server: Any
) -> None:
    """Its desk's engine hears it through the outbox; its own dealers cannot lift it, the platform can."""

    async def story() -> None:
        async with desk.line() as line:
            await whole(line)
            await asyncio.to_thread(suspend)
            assert await code_of_close(line) == 4401
        # Till the web process asks again who is served it lets a line in, and ends it as it did this one.
        async with asyncio.timeout(PATIENCE_S):
            while not await is_refused(desk.line()):
                await asyncio.sleep(0.1)

    try:
        asyncio.run(story())
        (suspended,) = told_of_suspension()
        assert (suspended.scope, suspended.state) == ("firm", TradingState.REDUCING)
        assert suspended.suspends and suspended.cancel_working
        heard = redis_server.xrange(streams.urgent_key(tenant="acorn"))
        assert suspended in [codec.decode_envelope(fields[streams.FIELD]).command for _, fields in heard]
        answer = Dealer(username="dora2").act("set-trading-state", scope="tenant", key="", state="active")
        assert "suspended" in answer.content.decode(), answer.content
    finally:
        assert "may trade again" in suspend("--lift")
    *_, lifted = told_of_suspension()
    assert (lifted.state, lifted.by, lifted.suspends) == (TradingState.ACTIVE, "platform", False)

    async def again() -> None:
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                async with desk.line() as line:
                    await whole(line)
                    return
            except websockets.InvalidStatus:
                assert time.monotonic() < until_s, "it is let in again"
                await asyncio.sleep(0.2)

    asyncio.run(again())


def test_two_brokers_in_one_process_never_see_each_other(desk: Desk) -> None:
    """T-06, seen from the wire."""
    birch_key = seat_staff(tenant="birch", role="dealer", username="bob")
    canary = EngineVoice(tenant="birch", maker=FrameMaker(seed=1, symbols=3))
    canary.begin()

    async def story() -> None:
        lines = [
            desk.line() if at % 2 else desk.line(host="birch.localhost", session_key=birch_key) for at in range(20)
        ]
        opened = await asyncio.gather(*lines)
        for at, line in enumerate(opened):
            assert len((await whole(line))["quotes"]["rows"]) == (11 if at % 2 else 3)
            await line.close()

    asyncio.run(story())
