"""POST /api/v1/accounts/<id>/close-all: one request, one command, and of each position what became of it."""

from __future__ import annotations

import json
from decimal import Decimal as D
from typing import Any

import pytest

from apps.trading.services import asking
from apps.users.services import issue_token
from piggy.core.answers import Answer
from piggy.core.commands import ClosePositions
from piggy.core.events import Check, CommandRefused
from piggy.core.orders import OrderState
from piggy.core.position_commands import Which
from piggy.core.position_events import PositionClose, PositionsClosed
from tests.apps import records
from tests.apps.trading.test_orders_api import Api
from tests.apps.trading.test_orders_api import engine_lease as engine_lease

SHUT = Check(code="P-05", passed=False, text="the market is closed")
LARGE = Check(code="P-07", passed=False, value="300", limit="250", text="the order's value is too large")
CLOSES = (
    PositionClose(
        position_id="P1", symbol="EURUSD", order_id="O1", lots=D("1.50"), filled=D("1.5"), average_price=D("1.1") / 3,
        state=OrderState.FILLED,
    ),
    PositionClose(position_id="P2", symbol="GBPUSD", order_id="O2", lots=D(1), reasons=(SHUT, LARGE)),
    PositionClose(position_id="P3", symbol="GBPUSD", reasons=(Check(code="ON_ITS_WAY", passed=False, text="gone"),)),
)  # fmt: skip
TOLD = [
    {"position_id": "P1", "symbol": "EURUSD", "order_id": "O1", "lots": "1.5", "filled": "1.5",
     "average_price": "0.3666666667", "state": "filled", "reasons": []},
    {"position_id": "P2", "symbol": "GBPUSD", "order_id": "O2", "lots": "1", "filled": "0", "average_price": None,
     "state": "denied", "reasons": [
        {"code": "P-05", "field": "symbol", "message": "the market is closed", "value": None, "limit": None},
        {"code": "P-07", "field": None, "message": "the order's value is too large", "value": "300", "limit": "250"},
    ]},
    {"position_id": "P3", "symbol": "GBPUSD", "order_id": None, "lots": "0", "filled": "0", "average_price": None,
     "state": "denied", "reasons": [
        {"code": "ON_ITS_WAY", "field": None, "message": "gone", "value": None, "limit": None},
    ]},
]  # fmt: skip


def closed(**more: Any) -> PositionsClosed:
    return PositionsClosed(account_id="A1", symbol="", which=Which.ALL, by="", reason="", **more)


@pytest.fixture
def desk(engine_lease: None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the desk was asked; what it answers is under `said`."""
    heard: list[Any] = []

    class Desk:
        said: Any = closed(closes=CLOSES)

        def ask(self, *, tenant: str, envelope: Any, wait_s: float) -> Answer | None:
            heard.append(envelope)
            name, said = envelope.command_id, self.said
            if isinstance(said, CommandRefused):
                return Answer(command_id=name, refused=said, closed=closed(refused=said.reasons))
            return said and Answer(command_id=name, closed=said)

    monkeypatch.setattr(asking, "client", Desk)
    heard.append(Desk)
    return heard


@pytest.fixture
def alice(acorn: Any, as_tenant: Any, redis_server: Any) -> Api:
    with as_tenant("acorn"):
        records.client(name="bob", account_id="B1")
        return Api(token=issue_token(user=records.client()))


def close_all(who: Api, account_id: str = "A1", key: str = "k1", **body: Any) -> Any:
    path = f"/api/v1/accounts/{account_id}/close-all"
    headers = {"idempotency-key": key} if key else {}
    return who.http.post(path, json.dumps(body), content_type="application/json", headers=headers)


def test_every_position_says_what_became_of_it(alice: Api, desk: list[Any]) -> None:
    answer = close_all(alice)
    assert (answer.status_code, answer.json()) == (200, {"results": TOLD, "complete": True, "next": None})
    assert desk[1].command == ClosePositions(account_id="A1")
    desk[0].said = closed(closes=CLOSES, left=3)
    part = close_all(alice, key="k2").json()
    assert (part["complete"], part["next"]) == (False, "P3")
    close_all(alice, key="k3", after=part["next"])
    assert desk[3].command == ClosePositions(account_id="A1", after="P3")


def test_what_is_meant_reaches_the_core_under_the_key_and_the_bodys_hash(alice: Api, desk: list[Any]) -> None:
    for body in ({"symbol": "EURUSD", "which": "losing"}, {"which": "losing", "symbol": "EURUSD"}, {}):
        assert close_all(alice, **body).status_code == 200
    first, again, other = desk[1:]
    assert first.command == ClosePositions(account_id="A1", symbol="EURUSD", which=Which.LOSING)
    assert (first.command_id, first.request_hash) == (again.command_id, again.request_hash)
    assert first.command_id == other.command_id and first.request_hash != other.request_hash
    close_all(alice, key="k2")
    assert desk[4].command_id != first.command_id


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"account_id": "B1"}, 404),
        ({"account_id": "A9"}, 404),
        ({"key": ""}, 400),
        ({"which": "some"}, 400),
        ({"colour": "red"}, 400),
    ],
)
def test_anothers_account_and_what_is_not_meant_reach_no_desk(
    alice: Api, desk: list[Any], asked: dict[str, Any], status: int
) -> None:
    assert close_all(alice, **asked).status_code == status and len(desk) == 1


def test_p_14_a_request_that_comes_too_fast_is_refused_whole(alice: Api, desk: list[Any]) -> None:
    fast = Check(code="P-14", passed=False, value="11", limit="10", text="the account sends too fast")
    desk[0].said = CommandRefused(code="P-14", field="account_id", text=fast.text, reasons=(fast,))
    answer = close_all(alice)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "P-14", "account_id")


def test_past_the_wait_the_same_key_hears_it_later(alice: Api, desk: list[Any]) -> None:
    desk[0].said = None
    assert (close_all(alice).status_code, close_all(alice).json()["state"]) == (202, "pending")
