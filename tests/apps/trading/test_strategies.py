"""A strategy's row becomes the desk's copy whole, or is refused by its field."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.core.exceptions import ValidationError

from apps.trading import selectors, services
from apps.trading.models import Strategy
from apps.users.services import issue_token
from piggy.core import accounts as core
from piggy.messaging import codec, streams
from tests.apps import records
from tests.apps.trading.test_orders_api import Api
from tests.apps.users.test_doors import staff


def test_every_setting_reaches_the_desk(acorn: Any, as_tenant: Any, redis_server: Any) -> None:
    settings: dict[str, Any] = {
        "strategy_id": "mean",
        "account_id": "anna",
        "key_version": 2,
        "previous_key_valid": True,
        "sources": ["10.0.0.0/8"],
        "position_lots_max": Decimal(3),
        "loss_day_max": Decimal(500),
        "wait_ms_max": 1_500,
        "shadow": True,
    }
    with as_tenant("acorn"):
        services.save_strategy(tenant="acorn", strategy=Strategy(**settings), by="dealer")
    (entry,) = redis_server.xrange(streams.commands_key(tenant="acorn"))
    command = codec.decode_envelope(entry[1][streams.FIELD]).command
    assert command.strategy == core.Strategy(**settings | {"sources": ("10.0.0.0/8",)})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sources", ["10.0.0.300"]),
        ("sources", 5),
        ("sources", [1]),
        ("wait_ms_max", 5_000),
        ("position_lots_max", Decimal(-1)),
        ("loss_day_max", 0),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_its_field(
    acorn: Any, as_tenant: Any, redis_server: Any, field: str, value: Any
) -> None:
    strategy = Strategy(strategy_id="mean", account_id="anna", **{field: value})
    with as_tenant("acorn"), pytest.raises(ValidationError) as refused:
        services.save_strategy(tenant="acorn", strategy=strategy, by="dealer")
    assert set(refused.value.message_dict) == {field}


def test_who_signals_reads_why_nothing_came_of_it_and_nobody_else_does(
    acorn: Any, as_tenant: Any, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another broker's lines under the same name stay its own; what no strategy was named for is told by its name."""
    line = {"at_us": 1_000_000, "times": 3, "status": 401, "code": "UNAUTHORISED", "field": "", "signal_id": "1000"}
    line |= {"address": "9.9.9.9", "strategy_id": "mean"}
    for tenant, why in (("acorn", "<b>stale"), ("birch", "of the twin")):
        key = streams.refused_key(tenant=tenant, strategy_id="mean", proven=True)
        redis_server.lpush(key, json.dumps(line | {"why": why}))
        redis_server.expire(key, 60)
    unnamed = streams.refused_key(tenant="acorn", strategy_id="", proven=False)
    redis_server.lpush(unnamed, json.dumps(line | {"why": "none"}), json.dumps(line | {"strategy_id": "men"}))
    with as_tenant("acorn"):
        alice = Api(token=issue_token(user=records.client()))
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
        strategy = Strategy(strategy_id="mean", account_id="A1")
        services.save_strategy(tenant="acorn", strategy=strategy, by="dealer")
        web = staff("dealer")
    path = "/api/v1/strategies/mean/refused"
    told = alice.http.get(path).json()
    assert told["results"] == [
        {"at": "1970-01-01T00:00:01.000000Z", "status": 401, "code": "UNAUTHORISED", "field": "", "message": "<b>stale",
         "address": "9.9.9.9", "signal_id": "1000", "times": 3}
    ]  # fmt: skip
    assert [each["message"] for each in told["unproven"]] == ["none"]
    assert bob.http.get(path).status_code == 404 == alice.http.get("/api/v1/strategies/men/refused").status_code
    page = web.get(f"/admin/trading/strategy/{strategy.pk}/change/").content.decode()
    assert "&lt;b&gt;stale" in page and "9.9.9.9" in page and "of the twin" not in page and ">1000<" in page
    monkeypatch.setattr(selectors, "_redis", redis.Redis(port=1, socket_connect_timeout=1))
    assert alice.http.get(path).status_code == 503
    assert "not known now" in web.get(f"/admin/trading/strategy/{strategy.pk}/change/").content.decode()
