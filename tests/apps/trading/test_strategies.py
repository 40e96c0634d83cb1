"""A strategy's row becomes the desk's copy whole, or is refused by its field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.trading import services
from apps.trading.models import Strategy
from piggy.core import accounts as core
from piggy.messaging import codec, streams


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
