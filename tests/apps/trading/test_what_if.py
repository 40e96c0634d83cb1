"""POST /api/v1/orders/what-if: the same body as an order, and an answer that binds nobody."""

from __future__ import annotations

import json
from decimal import Decimal
from decimal import Decimal as D
from typing import Any

import pytest

from apps.trading.models import Order, Position
from apps.trading.services import asking
from apps.users.services import issue_token
from piggy import projector
from piggy.core.answers import Answer, WhatIf
from piggy.core.commands import AmendOrder, AskAmendment, AskClose, AskWhatIf
from piggy.core.events import Check, CommandRefused, Verdict
from tests.apps import records
from tests.apps.trading.test_orders_api import ORDER, Api
from tests.apps.trading.test_orders_api import engine_lease as engine_lease

UNKNOWN = CommandRefused(code="POSITION_UNKNOWN", field="position_id", text="no such position in this account")
TELLS = {
    "passes": False,
    "reasons": [
        {
            "code": "P-17",
            "field": "quantity",
            "message": "the free margin does not cover the order",
            "value": "60",
            "limit": "50",
        }
    ],
    "margin_required": "60.1235",
    "margin_released": "12.5",
    "margin_free": "50",
    "margin_free_after": "-10.1235",
    "realised": None,
    "exposure": "0",
    "exposure_after": "11000",
    "quantity": "0",
    "quantity_after": "0.1",
}


@pytest.fixture
def asked(engine_lease: None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the desk was asked; it answers as it would an order that its account cannot bear."""
    heard: list[Any] = []
    checks = (
        Check(code="P-17", passed=False, value="60", limit="50", text="the free margin does not cover the order"),
    )
    verdict = Verdict(terms_hash="0" * 64, config_version=1, checks=checks)
    required, free = Decimal("60.12345678901234567890123456789"), Decimal(50)
    told = WhatIf(
        required=required, free_before=free, free_after=free - required, verdict=verdict, released=D("12.5"),
        lots_before=D(0), lots_after=D("0.10"), exposure_before=D(0), exposure_after=D(11_000),
    )  # fmt: skip

    class Desk:
        def ask(self, *, tenant: str, envelope: Any, wait_s: float) -> Answer | None:
            heard.append(envelope)
            if getattr(envelope.command, "lots", None) == 9:
                return Answer(command_id=envelope.command_id, refused=UNKNOWN)
            slow = isinstance(envelope.command, AskWhatIf) and envelope.command.terms.quantity == 9
            return None if slow else Answer(command_id=envelope.command_id, what_if=told)

    monkeypatch.setattr(asking, "client", Desk)
    return heard


def what_if(who: Api, **changes: Any) -> Any:
    body = json.dumps({**ORDER, **changes})
    return who.http.post("/api/v1/orders/what-if", body, content_type="application/json")


@pytest.fixture
def alice(acorn: Any, as_tenant: Any, redis_server: Any) -> Api:
    with as_tenant("acorn"):
        return Api(token=issue_token(user=records.client()))


def test_it_says_what_the_order_would_bind_and_all_that_speaks_against_it(alice: Api, asked: list[Any]) -> None:
    answer = what_if(alice)
    assert (answer.status_code, answer.json()) == (200, TELLS)
    (envelope,) = asked
    assert isinstance(envelope.command, AskWhatIf) and envelope.command.terms.quantity == Decimal("0.10")
    assert what_if(alice).status_code == 200
    assert len({each.command_id for each in asked}) == 2, "each is asked anew"


def test_it_is_as_strict_as_an_order_and_tells_nobody_of_anothers_account(
    alice: Api, asked: list[Any], as_tenant: Any
) -> None:
    wrong = what_if(alice, quantity=1)
    assert (wrong.status_code, wrong.json()["field"]) == (400, "quantity")
    assert what_if(alice, colour="red").json()["field"] == "colour"
    with as_tenant("acorn"):
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
    assert what_if(bob).status_code == 404
    assert what_if(Api(token="none")).status_code == 401
    assert asked == []


def test_a_desk_that_says_nothing_is_said_to_be_away(alice: Api, asked: list[Any]) -> None:
    answer = what_if(alice, quantity="9")
    assert (answer.status_code, answer.json()["code"]) == (503, "ENGINE_RECOVERING")
    assert "Retry-After" in answer.headers


def ask_of(who: Api, path: str, **body: Any) -> Any:
    return who.http.post(f"/api/v1/{path}/what-if", json.dumps(body), content_type="application/json")


def test_a_change_and_a_close_are_asked_of_the_desk_for_their_owner_alone(
    alice: Api, asked: list[Any], as_tenant: Any
) -> None:
    with as_tenant("acorn"):
        records.write(records.credited(), records.accepted(), records.filled())
        projector.catch_up(tenant="acorn")
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
        order_id = Order.objects.get().order_id
        position_id = Position.objects.get().position_id
    for path in (f"orders/{order_id}", f"positions/{position_id}"):
        assert ask_of(bob, path, quantity="0.2").status_code == 404
        assert ask_of(alice, path, quantity=1).json()["field"] == "quantity"
        assert ask_of(alice, path, colour="red").json()["field"] == "colour"
    assert asked == []
    assert ask_of(alice, f"orders/{order_id}").status_code == 400, "a change of nothing"
    answer = ask_of(alice, f"orders/{order_id}", quantity="0.2")
    assert (answer.status_code, answer.json()) == (200, TELLS)
    assert ask_of(alice, f"positions/{position_id}").json() == TELLS
    change = AmendOrder(order_id=order_id, account_id="A1", quantity=D("0.2"))
    close = AskClose(account_id="A1", position_id=position_id)
    assert [each.command for each in asked] == [AskAmendment(change=change), close]
    gone = ask_of(alice, f"positions/{position_id}", quantity="9")
    assert (gone.status_code, gone.json()["code"], gone.json()["field"]) == (422, "POSITION_UNKNOWN", "position_id")
