"""POST /api/v1/orders/what-if: the same body as an order, and an answer that binds nobody."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from apps.trading.services import asking
from apps.users.services import issue_token
from piggy.core.answers import Answer, WhatIf
from piggy.core.commands import AskWhatIf
from piggy.core.events import Check, Verdict
from tests.apps import records
from tests.apps.trading.test_orders_api import ORDER, Api
from tests.apps.trading.test_orders_api import engine_lease as engine_lease

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
    "margin_free": "50",
    "margin_free_after": "-10.1235",
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
    told = WhatIf(required=required, free_before=free, free_after=free - required, verdict=verdict)

    class Desk:
        def ask(self, *, tenant: str, envelope: Any, wait_s: float) -> Answer | None:
            heard.append(envelope)
            slow = envelope.command.terms.quantity == 9
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
