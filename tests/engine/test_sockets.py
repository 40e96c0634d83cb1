"""The fast door over WebSocket: proven at the handshake, one answer a signal, and an end to whoever does not behave."""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from piggy.core import commands as cmd
from piggy.core.accounts import Strategy
from piggy.engine.handshakes import AHEAD_S_MAX
from piggy.engine.sockets import MESSAGE_BYTES_MAX
from piggy.messaging.client import Client
from tests.engine.conftest import envelope, opening_commands
from tests.engine.ground import Ground
from tests.engine.test_edge import Door, body_of


@pytest.fixture(scope="module")
def door(ground: Ground) -> Iterator[Door]:
    shard = f"shard-{uuid.uuid4().hex[:8]}"
    made = Door(ground, ground.add_tenant(shard=shard), shard)
    made.start(PIGGY_ADDRESS_FAILURES_PER_S_MAX="0")
    client = Client(redis_url=ground.services.redis_url)
    for command in opening_commands():
        assert client.ask(tenant=made.tenant, envelope=envelope(command), wait_s=10)
    until_s = time.monotonic() + 60
    while status_of(made, named_proof(made)) == 503:  # Of the engine before, of which there was none, nothing is known.
        assert time.monotonic() < until_s
        time.sleep(0.1)
    yield made
    made.stop()


def opened(
    door: Door, *, strategy: str = "mean", more: dict[str, str] | None = None, nonce: str | None = None, **proof: Any
) -> ClientConnection:
    nonce = uuid.uuid4().hex if nonce is None else nonce
    proof = {"at": ahead_s()} | proof
    return knocked(door, strategy, door.headers(nonce.encode(), **proof) | {"X-Piggy-Nonce": nonce} | (more or {}))


def knocked(door: Door, strategy: str, headers: dict[str, str]) -> ClientConnection:
    headers = dict(headers)
    host = headers.pop("Host")
    return connect(
        f"ws://{host}:{door.port}/signals/{strategy}",
        additional_headers=headers,
        address=("127.0.0.1", door.port),
        proxy=None,
    )


def named_proof(door: Door) -> dict[str, str]:
    """Without a nonce another of this second would be the same."""
    nonce = uuid.uuid4().hex
    return door.headers(nonce.encode(), at=ahead_s()) | {"X-Piggy-Nonce": nonce}


def ahead_s() -> int:
    """By a clock as far ahead as is allowed: what may be of before the engine took over is not taken."""
    return int(time.time()) + AHEAD_S_MAX


def status_of(door: Door, headers: dict[str, str]) -> int:
    try:
        with knocked(door, "mean", headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def said(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(timeout=10))


def test_each_signal_is_answered_by_its_id_and_a_repeat_hears_the_first_result(door: Door) -> None:
    bodies = [body_of(), body_of(), body_of(action="flat")]
    with opened(door) as socket:
        for body in bodies:
            socket.send(body.decode())
        answers = {answer["id"]: answer for answer in (said(socket) for _ in bodies)}
        assert [answers[json.loads(body)["id"]]["status"] for body in bodies] == [422, 422, 422]
        first = answers[json.loads(bodies[0])["id"]]
        assert first["error"] == "DENIED", "there is no price"
        assert first["order_id"]
        socket.send(bodies[0].decode())
        assert said(socket) == first | {"duplicate": True}
        socket.send(bodies[0].replace(b"0.10", b"0.20").decode())
        assert said(socket)["status"] == 409
    assert door.post(bodies[0]).json()["order_id"] == first["order_id"], "both entrances are one door"


def test_a_field_that_is_wrong_is_named_and_the_connection_goes_on(door: Door) -> None:
    with opened(door) as socket:
        socket.send(body_of(quantity="-1").decode())
        told = said(socket)
        assert (told["status"], told["field"]) == (422, "quantity")
        for wrong, named in (({"id": "q"}, "q"), ({"id": 7}, ""), ({"id": "q" * 101}, ""), (["q"], "")):
            socket.send(json.dumps(wrong))
            told = said(socket)
            assert (told["id"], told["error"]) == (named, "INVALID_FIELD"), "who waits for it finds it"
        socket.send(body_of().decode())
        assert said(socket)["order_id"]


@pytest.mark.parametrize(
    ("message", "code"),
    [("{", 4400), (b"{}", 1003), ('{"id": "1", "id": "2"}', 4400), ("x" * (MESSAGE_BYTES_MAX + 1), 1009)],
    ids=["half", "binary", "twice", "large"],
)
def test_what_is_no_signal_ends_the_connection(door: Door, message: Any, code: int) -> None:
    with opened(door) as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


def test_a_frame_that_is_none_ends_the_connection_also_where_it_came_too_early(door: Door) -> None:
    named = named_proof(door) | {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as line:
        line.sendall(f"GET /signals/mean HTTP/1.1\r\n{head}\r\n".encode() + b"\x85\x80\0\0\0\0")
        heard = b"".join(iter(lambda: line.recv(4_096), b""))
    assert b"101" in heard and b"\x88\x10\x03\xea" in heard, "1002, and the end"


@pytest.mark.parametrize(
    ("proof", "status"),
    [
        ({"secret": "wrong"}, 401),
        ({"at": 1_700_000_000}, 401),
        ({"strategy": "nobody"}, 401),
        ({"more": {"Origin": "https://elsewhere.example"}}, 403),
    ],
)
def test_who_does_not_prove_to_be_a_strategy_is_not_let_in(door: Door, proof: dict[str, Any], status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(door, **proof)
    assert refused.value.response.status_code == status


def test_a_handshake_opens_one_socket_and_who_overheard_it_none(door: Door) -> None:
    plain, named = (door.headers(each, at=ahead_s()) for each in (b"", b"again"))
    named |= {"X-Piggy-Nonce": "again"}
    assert [status_of(door, headers) for headers in (plain, named) for _ in range(2)] == [101, 409, 101, 409]
    assert status_of(door, named | {"X-Piggy-Nonce": "other"}) == 401, "the nonce is signed"
    signal = body_of()
    overheard = door.headers(signal, at=ahead_s()) | {"X-Piggy-Nonce": signal.decode()}
    assert status_of(door, overheard) == 401, "a signal is no handshake"


def test_f_33_a_suspended_broker_loses_its_sockets_and_gets_them_back(door: Door) -> None:
    """Single signals still come in, for closing is allowed: the desk decides."""

    def suspend(since: str) -> None:
        with door.ground.as_owner() as owner:
            turn = f"UPDATE tenants_tenant SET suspended_at = {since} WHERE schema_name = %s"
            owner.execute(turn, (door.tenant,))

    with opened(door) as socket:
        suspend("now()")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4403
    with pytest.raises(InvalidStatus) as refused:
        opened(door)
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["error"] == "SUSPENDED"
    with pytest.raises(InvalidStatus) as refused:
        opened(door, secret="wrong")
    assert refused.value.response.status_code == 401, "nobody hears of it who is nobody here"
    assert door.post(body_of()).json()["error"] == "DENIED"
    suspend("NULL")
    until_s = time.monotonic() + 30
    while True:
        try:
            with opened(door):
                return
        except InvalidStatus:
            assert time.monotonic() < until_s, "it is let in again"
            time.sleep(0.1)


def test_a_handshake_of_another_version_hears_which_one_is_spoken(door: Door) -> None:
    named = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": "x"}
    told = httpx.get(f"{door.url}/signals/mean", headers=door.headers(b"") | named)
    assert (told.status_code, told.headers["Sec-WebSocket-Version"]) == (426, "13")


def test_f_32_addresses_narrowed_end_who_came_from_another_before_a_further_signal_and_without_one(door: Door) -> None:
    client = Client(redis_url=door.ground.services.redis_url)

    def allow(*sources: str) -> None:
        told = cmd.ConfigureStrategy(strategy=Strategy(strategy_id="mean", account_id="anna", sources=sources))
        assert client.ask(tenant=door.tenant, envelope=envelope(told), wait_s=10)

    with opened(door) as socket:
        allow("127.0.0.0/8")
        time.sleep(1.2)  # It is looked at every second.
        assert socket.ping().wait(30)
        allow("192.0.2.1")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
    allow()


def test_a_rotation_without_leave_ends_who_came_with_the_old_secret(door: Door) -> None:
    client = Client(redis_url=door.ground.services.redis_url)
    with opened(door) as socket:
        rotated = cmd.ConfigureStrategy(strategy=Strategy(strategy_id="mean", account_id="anna", key_version=2))
        assert client.ask(tenant=door.tenant, envelope=envelope(rotated), wait_s=10)
        socket.send(body_of().decode())
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
    back = cmd.ConfigureStrategy(strategy=Strategy(strategy_id="mean", account_id="anna"))
    assert client.ask(tenant=door.tenant, envelope=envelope(back), wait_s=10)
