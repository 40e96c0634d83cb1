"""GET /api/v1/orders/<id>/receipt: one's own orders only, the same for ever, and checked as it comes."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from apps.trading import selectors
from apps.users.services import issue_token
from piggy import projector
from piggy.core.events import Check, OrderDenied
from piggy.messaging import receipts
from tests.apps import records
from tests.apps.trading.test_orders_api import Api, alice  # noqa: F401


def test_a_client_fetches_and_checks_the_receipt_of_his_own_order_only(
    alice: Api,  # noqa: F811
    as_tenant: Any,
) -> None:
    with as_tenant("acorn"):
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
        records.write(records.accepted(), records.accepted("O2"), records.filled(), records.filled("O2"))
        projector.catch_up(tenant="acorn")
    before = alice.get("orders/O1/receipt").json()
    assert receipts.faults(told=before) == []
    assert [entry["type"] for entry in before["entries"]] == ["OrderAccepted", "OrderFilled"]
    assert before["execution"]["fills"][0]["fill_id"] == "O1-1"
    theirs, nobodys = bob.get("orders/O1/receipt"), bob.get("orders/O9/receipt")
    assert theirs.status_code == nobodys.status_code == 404
    assert {**theirs.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}
    assert alice.get("orders/O1/receipt").json() == before, "the same for ever"


def test_a_denied_order_tells_its_client_no_figure_of_the_firm_and_staff_the_whole(
    alice: Api,  # noqa: F811
    as_tenant: Any,
) -> None:
    firm = Check(code="P-19", passed=False, value="81234567.25", limit="80000000", text="the firm's exposure is large")
    order = records.accepted()
    denied = OrderDenied(order_id="O1", terms=order.terms, source="api", verdict=replace(order.verdict, checks=(firm,)))
    with as_tenant("acorn"):
        records.write(records.credited(), denied)
        projector.catch_up(tenant="acorn")
        whole = selectors.receipt_for_staff(tenant="acorn", order_id="O1")
    told = alice.get("orders/O1/receipt")
    assert whole is not None
    assert b"81234567.25".hex() in whole["entries"][0]["payload"]
    for secret in ("81234567.25", "80000000"):
        assert secret not in told.text and secret.encode().hex() not in told.text
    assert whole["entries"][0]["hash"] not in told.text
    assert (receipts.faults(told=told.json()), receipts.faults(told=whole)) == ([], [])
    assert receipts.unlike(told=told.json(), whole=whole) == []
