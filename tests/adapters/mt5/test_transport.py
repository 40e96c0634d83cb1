"""Who is let in as a terminal's agent, and what becomes of questions whose agent breaks off."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from piggy.adapters.interface import Response
from piggy.adapters.mt5.transport import CLOCK_S_MAX, BridgeTransport
from piggy.adapters.signing import mac
from tests.adapters.mt5.test_mt5 import CONFIG

PATH = f"/agents/{CONFIG.tenant}/{CONFIG.venue}"
LISTENING = msgspec.structs.replace(CONFIG, stream_url="ws://127.0.0.1:0")


@pytest.fixture
def bridge() -> Iterator[BridgeTransport]:
    made = BridgeTransport(config=LISTENING)
    yield made
    made.close()


def is_let_in(bridge: BridgeTransport, *, secret: str, ago_s: int = 0, path: str = PATH, stamp: str = "") -> bool:
    stamp = stamp or str(int(time.time()) - ago_s)
    headers = {"X-Time": stamp, "X-Sign": mac(secret=secret, text=f"{stamp}{path}")}
    answered: Any = SimpleNamespace(respond=lambda status, text: status)
    return bridge._let_in(answered, SimpleNamespace(headers=headers, path=path)) is None  # type: ignore[arg-type]


def test_only_who_signs_this_address_now_with_its_secret_is_let_in(bridge: BridgeTransport) -> None:
    assert is_let_in(bridge, secret="s") and is_let_in(bridge, secret="s", ago_s=CLOCK_S_MAX - 2)
    assert not is_let_in(bridge, secret="t")
    assert not is_let_in(bridge, secret="s", path="/agents/acorn/V2"), "another venue's agent"
    for ago_s in (CLOCK_S_MAX + 2, -CLOCK_S_MAX - 2):
        assert not is_let_in(bridge, secret="s", ago_s=ago_s), "what was signed long ago may have been overheard"
    assert not is_let_in(bridge, secret="s", stamp="now")


def test_a_venue_whose_secret_was_not_given_yet_lets_nobody_in() -> None:
    """Anybody can sign with nothing, and an agent tells of fills. A credential waits for its second person."""
    bridge = BridgeTransport(config=msgspec.structs.replace(LISTENING, secret=""))
    try:
        assert not is_let_in(bridge, secret="")
    finally:
        bridge.close()


class Agent:
    """What the agent said, and that it was hung up on."""

    def __init__(self, *said: str | bytes) -> None:
        self.said, self.closed = list(said), threading.Event()

    def __iter__(self) -> Iterator[str | bytes]:
        return iter(self.said)

    def send(self, text: str) -> None: ...

    def close(self) -> None:
        self.closed.set()


def asked(bridge: BridgeTransport, number: int) -> list[Response]:
    answers: list[Response] = []
    bridge._waiting[number] = (threading.Event(), answers)
    return answers


@pytest.mark.parametrize(
    "odd",
    [
        "[]",
        "7",
        "null",
        "{}",
        '{"id": "x"}',
        '{"id": 2, "status": "?", "value": {}}',
        '{"id": {}}',
        "{",
        b"\xff",
        '{"id": 2, "status": 200, "value": {"retcode": []}}',
    ],
)
def test_whatever_an_agent_says_its_end_is_noticed_and_its_questions_are_given_up(
    odd: str | bytes, bridge: BridgeTransport
) -> None:
    """Left as it was, every order would go to a line that nobody reads, and each wait its full time."""
    answers, agent = asked(bridge, 2), Agent(odd)
    bridge._hear(agent)  # type: ignore[arg-type]
    assert bridge._agent is None
    assert [answer.status for answer in answers] == [0] and answers[0].left, "whether it was sent nobody knows"


def test_a_new_agent_takes_the_place_of_the_old_and_answers_count_by_their_number(bridge: BridgeTransport) -> None:
    first = Agent()
    bridge._agent = first  # type: ignore[assignment]
    answers = asked(bridge, 2)
    second = Agent('{"id": 9, "status": 200, "value": 1}', '{"id": 2, "status": 200, "value": {"retcode": 10024}}')
    bridge._hear(second)  # type: ignore[arg-type]
    assert first.closed.is_set()
    assert answers[0].status == 429, "it asks too fast"
