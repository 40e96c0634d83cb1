"""The door without an engine behind it: what counts before anything is read, who keeps how many lines, its pages."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from piggy.core.accounts import Strategy
from piggy.engine import connections as connections_module
from piggy.engine.config import EngineConfig
from piggy.engine.door import Pass
from piggy.engine.edge import PAGES, Edge
from piggy.engine.exchanges import Request, Response
from piggy.engine.sockets import SignalSocket
from piggy.engine.status import Status
from piggy.messaging import signing

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


def ask(edge: Edge, request: Request) -> Response:
    answers: list[Response] = []
    edge.handle(request, answers.append)
    (answer,) = answers
    return answer


def proof(body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    signature = signing.signature(secret=SECRET, timestamp=timestamp, body=body)
    return HOST | {"x-piggy-timestamp": timestamp, "x-piggy-signature": signature}


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
    asked = Request("GET", "/signals/mean", proof(b"") | {"sec-websocket-version": "13"}, b"", "9.9.9.9")
    connections = edge._connections
    for _ in range(2):
        socket = edge.upgrade(asked)
        assert isinstance(socket, SignalSocket) and socket.owner == "acorn"
        connections.open[socket] = None
    refused = edge.upgrade(asked)
    assert isinstance(refused, Response) and (refused.status, b"TOO_MANY_SOCKETS" in refused.body) == (429, True)
    others: Any = SignalSocket(door=edge._door, passed=Pass("birch", "mean", 1), connections=connections)
    assert others.owner == "birch" and connections.may_stay(tenant="birch")


def test_a_page_is_read_only_and_what_is_none_is_not_found_however_it_is_asked_for(edge: Edge) -> None:
    for path in PAGES:
        told = [ask(edge, Request(method, path, {}, b"", "")).status for method in ("GET", "HEAD", "DELETE", "OPTIONS")]
        assert told == [200, 200, 405, 405]
    assert [ask(edge, Request(method, "/x", {}, b"", "")).status for method in ("GET", "POST")] == [404, 404]
    refused = ask(edge, Request("POST", "/healthz", {}, b"", ""))
    assert refused.allow == "GET, HEAD"
