"""DELETE /api/v1/orders: all that works in an account, or in one symbol of it, in one request; exits stay."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from apps.trading.services import orders
from apps.users.services import issue_token
from piggy import projector
from piggy.core.answers import Answer, OrderView
from piggy.core.commands import CancelOrder
from piggy.core.events import CommandRefused, OrderAccepted
from piggy.core.orders import BRACKET, EXITS, OrderState
from tests.apps import records
from tests.apps.trading.test_orders_api import Api
from tests.apps.trading.test_orders_api import desk as desk
from tests.apps.trading.test_orders_api import engine_lease as engine_lease


def taken(order_id: str, *, source: str = "api", symbol: str = "EURUSD", account_id: str = "A1") -> OrderAccepted:
    made = records.accepted(order_id, account_id=account_id)
    return structs.replace(made, terms=structs.replace(made.terms, symbol=symbol), source=source)


@pytest.fixture
def alice(acorn: Any, as_tenant: Any, redis_server: Any) -> Api:
    """A client with three orders that work, one that is filled, two exits, and a neighbour with an order of his own."""
    with as_tenant("acorn"):
        caller = Api(token=issue_token(user=records.client()))
        records.client(name="bob", account_id="B1")
        records.write(
            records.credited(),
            *(taken(f"O{number}") for number in (1, 2, 3)),
            taken("O4", symbol="GBPUSD", source="fix:X"),
            taken("O5", source=BRACKET),
            taken("O6", source=EXITS),
            taken("O7", account_id="B1"),
            records.filled("O2"),
        )
        projector.catch_up(tenant="acorn")
    return caller


def cancel_all(who: Api, query: str = "account_id=A1", **headers: str) -> Any:
    return who.http.delete(f"/api/v1/orders?{query}", headers=headers)


def test_what_works_is_cancelled_by_the_commands_of_single_cancels_and_exits_stay(alice: Api, desk: list[Any]) -> None:
    answer = cancel_all(alice, **{"idempotency-key": "k1"})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["complete"] is True
    assert [each["order_id"] for each in told["results"]] == ["O1", "O3", "O4"]
    assert told["results"][0] == {"order_id": "O1", "state": None, "code": None, "message": ""}
    assert [each.command for each in desk] == [CancelOrder(order_id=o, account_id="A1") for o in ("O1", "O3", "O4")]
    single = alice.http.delete("/api/v1/orders/O1", headers={"idempotency-key": "k1"})
    assert single.status_code == 200 and desk[3].command_id == desk[0].command_id, "the same wish under the same key"
    assert desk[3].request_hash == desk[0].request_hash


def test_one_symbol_alone_is_cancelled_and_nothing_of_anybody_else(alice: Api, desk: list[Any]) -> None:
    assert [each["order_id"] for each in cancel_all(alice, "account_id=A1&symbol=GBPUSD").json()["results"]] == ["O4"]
    assert cancel_all(alice, "account_id=A1&symbol=USDJPY").json() == {"results": [], "complete": True}
    for foreign in ("B1", "A9"):
        assert cancel_all(alice, f"account_id={foreign}").status_code == 404
    assert [each.command.order_id for each in desk] == ["O4"]


@pytest.mark.parametrize(("query", "field"), [("", "account_id"), ("account_id=A1&side=buy", "side")])
def test_nothing_is_cancelled_where_it_is_not_said_of_what(alice: Api, desk: list[Any], query: str, field: str) -> None:
    answer = cancel_all(alice, query)
    assert (answer.status_code, answer.json()["field"], desk) == (400, field, [])


def test_each_order_says_what_became_of_it(
    alice: Api, engine_lease: None, monkeypatch: pytest.MonkeyPatch, as_tenant: Any
) -> None:
    def answered(envelope: Any) -> Answer | None:
        name, gone = envelope.command.order_id, CommandRefused(code="ORDER_NOT_OPEN", field="order_id", text="filled")
        zero = Decimal(0)
        view = OrderView(
            order_id=name, terms=taken(name).terms, state=OrderState.CANCELLED, filled=zero, leaves=zero,
            average_price=zero, group="b-book", source="api", reasons=(), routing=None, text="asked",
        )  # fmt: skip
        done = Answer(command_id=envelope.command_id, order=view)
        return {"O1": done, "O3": Answer(command_id=envelope.command_id, refused=gone)}.get(name)

    class Desk:
        def ask_all(self, *, tenant: str, envelopes: list[Any], wait_s: float) -> list[Answer | None]:
            return [answered(each) for each in envelopes]

    monkeypatch.setattr(orders.asking, "client", Desk)
    assert cancel_all(alice).json()["results"] == [
        {"order_id": "O1", "state": "cancelled", "code": None, "message": "asked"},
        {"order_id": "O3", "state": None, "code": "ORDER_NOT_OPEN", "message": "filled"},
        {"order_id": "O4", "state": "pending", "code": None, "message": ""},
    ]
    monkeypatch.setattr(orders, "CANCELS_MAX", 2)
    told = cancel_all(alice).json()
    assert (len(told["results"]), told["complete"]) == (2, False)


def test_an_order_that_is_not_shown_yet_is_waited_for_and_where_it_does_not_come_that_is_said(
    alice: Api, desk: list[Any], monkeypatch: pytest.MonkeyPatch, as_tenant: Any
) -> None:
    """The client heard that O8 is taken before any table shows it: who cancels all means that one, too."""
    with as_tenant("acorn"):
        records.write(taken("O8"))
    monkeypatch.setattr(orders, "SHOWN_S_MAX", 0.0)
    told = cancel_all(alice).json()
    assert (len(told["results"]), told["complete"]) == (3, False)

    def shows(_: float) -> None:
        projector.catch_up(tenant="acorn")

    monkeypatch.setattr(orders, "SHOWN_S_MAX", 60.0)
    monkeypatch.setattr(orders.time, "sleep", shows)
    told = cancel_all(alice).json()
    assert (len(told["results"]), told["complete"]) == (4, True)


def test_f_01_without_an_engine_nothing_is_sent(alice: Api) -> None:
    answer = cancel_all(alice)
    assert (answer.status_code, answer.json()["code"]) == (503, "ENGINE_RECOVERING")
