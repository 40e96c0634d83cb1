"""The API changes time, distance and exits of orders, and the exits of positions."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

from apps.users.services import issue_token
from piggy import projector
from piggy.core.commands import AmendOrder, SetExits
from piggy.core.events import OrderAmended
from piggy.core.orders import TimeInForce
from tests.apps import records
from tests.apps.trading.test_orders_api import Api
from tests.apps.trading.test_orders_api import alice as alice
from tests.apps.trading.test_orders_api import desk as desk
from tests.apps.trading.test_orders_api import engine_lease as engine_lease


def change(api: Api, path: str, body: dict[str, Any], key: str = "k1") -> Any:
    headers = {"idempotency-key": key}
    return api.http.patch(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)


def test_a_client_changes_time_distance_and_exits(alice: Api, desk: list[Any], as_tenant: Any) -> None:
    with as_tenant("acorn"):
        records.write(records.credited(), records.accepted("O1"))
        projector.catch_up(tenant="acorn")
    wish = {
        "time_in_force": "gtd", "expires_at": "2030-01-01T00:00:00Z", "trailing_distance": "0.001",
        "take_profit": "1.2", "stop_loss": None, "guaranteed_stop": False,
    }  # fmt: skip
    assert change(alice, "orders/O1", wish).status_code == 200
    (asked,) = (envelope.command for envelope in desk)
    assert asked == AmendOrder(
        order_id="O1", account_id="A1", time_in_force=TimeInForce.GTD, expires_at_us=1_893_456_000_000_000,
        trailing_distance=Decimal("0.001"), take_profit=Decimal("1.2"), stop_loss=None, guaranteed_stop=False,
    )  # fmt: skip
    for wrong in (
        {"time_in_force": "good"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"limit_price": None},
        {"side": "buy"},
    ):
        refused = change(alice, "orders/O1", wrong, key="k2")
        assert refused.status_code == 400 and refused.json()["field"] == next(iter(wrong))


def test_a_client_sets_the_exits_of_a_position(alice: Api, desk: list[Any], as_tenant: Any) -> None:
    with as_tenant("acorn"):
        records.write(records.credited(), records.accepted("O1"), records.filled())
        projector.catch_up(tenant="acorn")
    (position,) = alice.get("positions").json()["results"]
    path = f"positions/{position['position_id']}"
    told = change(alice, path, {"take_profit": "1.20", "stop_loss": None})
    assert (told.status_code, told.json()) == (
        200, {"position_id": position["position_id"], "take_profit": "1.2", "stop_loss": None},
    )  # fmt: skip
    assert change(alice, path, {"stop_loss": "1.0"}, key="k2").json()["stop_loss"] == "1"
    commands = [envelope.command for envelope in desk]
    named = {"account_id": "A1", "position_id": position["position_id"]}
    assert commands == [
        SetExits(take_profit=Decimal("1.20"), stop_loss=None, **named), SetExits(stop_loss=Decimal("1.0"), **named),
    ]  # fmt: skip
    stops = {"trailing_distance": "0.0050", "guaranteed_stop": False}
    assert change(alice, path, stops, key="k4").json()["trailing_distance"] == "0.005"
    trails = SetExits(trailing_distance=Decimal("0.0050"), guaranteed_stop=False, **named)
    assert desk[-1].command == trails
    assert change(alice, path, {}, key="k3").status_code == 400
    assert change(alice, path, {"stop_loss": 1}, key="k3").status_code == 400
    assert change(alice, path, {"stop_loss": "1"}, key="").status_code == 400
    with as_tenant("acorn"):
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
    assert change(bob, path, {"stop_loss": "1"}).status_code == 404


def test_the_tables_show_an_order_as_it_was_changed(alice: Api, as_tenant: Any) -> None:
    accepted = records.accepted("O1")
    terms = msgspec.structs.replace(
        accepted.terms, time_in_force=TimeInForce.GTD, expires_at_us=1_893_456_000_000_000, take_profit=Decimal("1.2")
    )
    amended = OrderAmended(
        order_id="O1", quantity=terms.quantity, limit_price=None, stop_price=None, keeps_priority=True, terms=terms
    )
    back = msgspec.structs.replace(amended, terms=accepted.terms)
    shown = []
    for events in ((records.credited(), accepted), (amended,), (back,)):
        with as_tenant("acorn"):
            records.write(*events)
            projector.catch_up(tenant="acorn")
        shown.append(alice.get("orders/O1").json())
    was, now, then = ({name: each[name] for name in ("expires_at", "take_profit", "stop_loss")} for each in shown)
    assert now == {"expires_at": "2030-01-01T00:00:00.000000Z", "take_profit": "1.2", "stop_loss": None}
    assert was == then == dict.fromkeys(was)
    own = accepted.terms.time_in_force.value
    assert [each["time_in_force"] for each in shown] == [own, "gtd", own]
