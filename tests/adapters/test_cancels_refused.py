"""A venue that does not end an order as asked says so to the desk, which may then ask again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.interface import Order, ReportKind
from piggy.adapters.registry import session_of
from piggy.core.commands import RecordVenueCancelReject
from piggy.core.orders import Side
from tests.adapters.recorded import config_of, play

NOW_US = 1_700_000_000_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1", client_id="o1-V1-1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal(1), created_at_us=NOW_US - 60_000_000,
)  # fmt: skip
BUSY: Any = (503, {})
ALIVE = {"id": "7", "status": "open", "clientOrderId": "o1-V1-1", "filled": "0", "remaining": "1"}
# Kind, settings, and for each way to fail the answers of one cancel.
VENUES: list[tuple[str, dict[str, str], list[Any]]] = [
    ("binance", {}, [(400, {"code": -2011, "msg": "Unknown order sent."}), BUSY]),
    ("binance", {}, [BUSY]),
    ("oanda", {}, [(404, {"errorCode": "ORDER_DOESNT_EXIST"}), BUSY]),
    (
        "alpaca",
        {},
        [{"id": "7", "client_order_id": "o1-V1-1"}, (422, {"message": "order is already in filled state"}), BUSY],
    ),
    ("alpaca", {}, [BUSY, BUSY]),
    ("ccxt", {"exchange": "binance"}, [ALIVE, (400, {"code": "InvalidOrder"}), BUSY]),
    ("ccxt", {"exchange": "binance"}, [BUSY, BUSY]),
]


@pytest.mark.parametrize(("kind", "settings", "answers"), VENUES)
def test_a_cancel_that_did_not_go_through_is_told(kind: str, settings: dict[str, str], answers: list[Any]) -> None:
    session = session_of(config=config_of(kind, {"EURUSD": ("EURUSDT", "1")}, settings=settings))
    said, _ = play(session.cancel(order=ORDER, now_us=NOW_US), answers)
    refused = said[0].report
    assert (refused.kind, refused.cl_ord_id) == (ReportKind.UNCANCEL, "o1-V1-1")
    assert isinstance(refused.command, RecordVenueCancelReject)
    assert refused.text
