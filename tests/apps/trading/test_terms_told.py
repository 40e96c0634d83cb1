"""GET /api/v1/orders…: all that a client chose about an order is shown again, and what an exit protects."""

from __future__ import annotations

import json
from decimal import Decimal
from importlib import import_module
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import connection
from django.db.migrations import RunPython
from msgspec import structs

from apps.audit import selectors as audit
from apps.trading.api import serializers
from apps.trading.models import Order
from apps.users.services import issue_token
from piggy import projector
from piggy.core.answers import OrderView
from piggy.core.commands import AmendOrder
from piggy.core.events import OrderAccepted, OrderAmended, OrderDenied
from piggy.core.orders import BRACKET, OrderState, OrderTerms
from piggy.messaging.upcasting import UnableToUpcast
from tests.apps import records
from tests.apps.trading.test_orders_api import ORDER, Api

CHOSEN = ORDER | {
    "type": "limit",
    "limit_price": "1.1",
    "time_in_force": "gtd",
    "expires_at": "2030-01-02T03:04:05.000006Z",
    "post_only": True,
    "reduce_only": True,
    "all_or_none": True,
    "display_quantity": "0.05",
    "minimum_quantity": "0.02",
    "take_profit": "1.2",
    "stop_loss": "1.05",
    "guaranteed_stop": True,
    "oco_group": "mine/1",
    "stp": "cancel_both",
    "client_order_id": "c-1",
    "position_id": "O000000007",
    "tag": "from a test",
    "stop_price": "1.3",
    "trailing_distance": "0.01",
}
EXIT = {"side": "sell", "reduce_only": True, "oco_group": "O1/1", "position_id": "A1:EURUSD", "quantity": "1"}
STRANGE = {"oco_group": "O1/1", "type": "limit", "limit_price": "1.2"}


def terms_of(body: dict[str, Any]) -> OrderTerms:
    given = serializers.OrderIn(data=ORDER | body)
    given.is_valid(raise_exception=True)
    return given.terms()


def amended(order_id: str, *, terms: OrderTerms | None) -> OrderAmended:
    return OrderAmended(
        order_id=order_id,
        quantity=Decimal("0.05"),
        limit_price=None,
        stop_price=None,
        keeps_priority=False,
        terms=terms,
    )


def taken(order_id: str, *, source: str = "api", **body: Any) -> OrderAccepted:
    return structs.replace(records.accepted(order_id), terms=terms_of(body), source=source)


@pytest.fixture
def alice(acorn: Any, as_tenant: Any, redis_server: Any) -> Api:
    """A client whose entry has both its exits, and who placed one order of everything that can be chosen."""
    with as_tenant("acorn"):
        caller = Api(token=issue_token(user=records.client()))
        records.write(
            records.credited(),
            taken("O1", take_profit="1.2", stop_loss="1.05", quantity="1"),
            records.filled("O1"),
            taken("O2", source=BRACKET, type="limit", limit_price="1.2", **EXIT),
            taken("O3", source=BRACKET, type="stop", stop_price="1.05", **EXIT),
            taken("O4", **CHOSEN),
            taken("O5", **STRANGE),
        )
        projector.catch_up(tenant="acorn")
    return caller


def rows(api: Api, path: str = "orders") -> dict[str, dict[str, Any]]:
    answer = api.get(path)
    assert answer.status_code == 200, answer.content
    return {row["order_id"]: row for row in answer.json()["results"]}


def test_an_order_is_shown_as_it_was_asked_for_alone_in_a_list_and_when_it_is_taken(alice: Api) -> None:
    terms = terms_of(CHOSEN)
    assert set(CHOSEN) == set(serializers.OrderIn().fields), "whatever may be chosen is tried here"
    zero = Decimal(0)
    view = OrderView(
        order_id="O4", terms=terms, state=OrderState.WORKING, filled=zero, leaves=terms.quantity, average_price=zero,
        group="b-book", source="api", reasons=(), routing=None, text="",
    )  # fmt: skip
    answered = json.loads(json.dumps(serializers.order_of_view(view)))
    for shown in (alice.get("orders/O4").json(), rows(alice)["O4"], answered):
        assert {name: shown[name] for name in CHOSEN} == CHOSEN | {"quantity": "0.1"}
        assert (shown["parent_order_id"], shown["exit"]) == (None, None)
    assert set(answered) == set(serializers.OrderOut().fields), "an answer holds what the description says"
    plain = rows(alice)["O5"]
    assert [plain[name] for name in ("take_profit", "expires_at", "position_id", "reduce_only", "tag")] == [
        None, None, None, False, "",
    ]  # fmt: skip


def test_an_exit_says_which_order_and_position_it_protects(alice: Api) -> None:
    shown = rows(alice, "orders?state=open")
    told = {name: (row["parent_order_id"], row["exit"], row["position_id"]) for name, row in shown.items()}
    assert told["O2"] == ("O1", "take_profit", "A1:EURUSD")
    assert told["O3"] == ("O1", "stop_loss", "A1:EURUSD")
    assert told["O5"] == (None, None, None), "a client's own group of the same name is no exit of the desk's"


def test_orders_of_before_there_were_columns_are_given_what_the_log_holds(
    alice: Api, as_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it runs anew over orders that were amended since, in the same page of the log and in a later one."""
    migration = import_module("apps.trading.migrations.0010_terms_of_before")
    monkeypatch.setattr(migration, "AT_ONCE", 2)
    names = ("expires_at", "trailing_distance", "take_profit", "stop_loss")
    with as_tenant("acorn"):
        absurd = terms_of({"take_profit": "1"})
        for order_id, price in (("O6", Decimal("1E+30")), ("O7", Decimal("Infinity"))):
            asked = structs.replace(absurd, take_profit=price, stop_loss=-price)
            verdict = records.accepted().verdict
            records.write(OrderDenied(order_id=order_id, terms=asked, source="api", verdict=verdict))
        bare = terms_of(STRANGE)
        kept = structs.replace(bare, stop_loss=Decimal("1.01"))
        for order_id, terms in (("O1", kept), ("O4", None), ("O5", kept), ("O5", bare), ("O5", kept), ("O1", bare)):
            records.write(amended(order_id, terms=terms))
        projector.catch_up(tenant="acorn")
        found = Order.objects.order_by("order_id").values_list("order_id", *names)
        wanted = list(found)
        assert all(dict(zip(names, wanted[3][1:], strict=True)).values()), "O4 has all of them"
        Order.objects.update(**dict.fromkeys(names))
        migration.find_terms(None, Mock(connection=connection))
        assert list(found.all()) == wanted


def test_inv_20_a_log_that_takes_longer_than_a_context_lives_is_read_to_its_end(
    alice: Api, as_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL shows no rows to a context that is over, and a page without rows is taken for the end of the log."""
    migration = import_module("apps.trading.migrations.0010_terms_of_before")
    monkeypatch.setattr(migration, "AT_ONCE", 2)
    told = migration._told

    def late(changes: Any) -> Any:
        with connection.connection.cursor() as own:
            own.execute("select set_config('piggy.tenant', '', false)")
        connection._renew_at_s = 0.0
        return told(changes)

    monkeypatch.setattr(migration, "_told", late)
    with as_tenant("acorn"):
        found = Order.objects.order_by("order_id").values_list("order_id", "stop_loss")
        wanted = list(found)
        Order.objects.update(stop_loss=None)
        migration.find_terms(None, Mock(connection=connection))
        assert list(found.all()) == wanted and any(stop for _, stop in wanted)


def test_no_page_of_the_log_is_held_together_with_another() -> None:
    """One transaction over a long log would keep the projector, and who sees its orders, waiting for minutes."""
    migration = import_module("apps.trading.migrations.0010_terms_of_before")
    assert not migration.Migration.atomic
    assert [type(each) for each in migration.Migration.operations] == [RunPython], "or it would be done half"


def test_whatever_an_amendment_changes_is_shown_from_the_row(alice: Api, as_tenant: Any) -> None:
    """The first event knows nothing of it: what an amendment may change is in a column of its own."""
    fields = serializers.OrderRowOut().fields
    changed = {"expires_at", *AmendOrder.__struct_fields__} & set(fields)
    assert len(changed) == 9 + 2, "the order and its account are named, too"
    assert not {name for name in changed if str(fields[name].source).startswith("terms.")}
    after = structs.replace(terms_of(STRANGE), stop_loss=Decimal("1.01"), limit_price=Decimal("1.3"))
    with as_tenant("acorn"):
        records.write(structs.replace(amended("O5", terms=after), limit_price=after.limit_price))
        projector.catch_up(tenant="acorn")
    shown = rows(alice)["O5"]
    assert (shown["quantity"], shown["limit_price"], shown["stop_loss"]) == ("0.05", "1.3", "1.01")
    assert (shown["oco_group"], shown["tag"]) == ("O1/1", "")


def test_an_order_that_is_changed_in_the_batch_that_it_came_in_is_shown_as_changed(alice: Api, as_tenant: Any) -> None:
    """INV-09: beside one that was there before, or alone as where all is made anew, and the projector goes on."""
    for seconds, orders in enumerate((("O8",), ("O5", "O9")), start=1):
        after = terms_of({"stop_loss": f"1.0{seconds}"})
        changes = [
            OrderAmended(
                order_id=order_id, quantity=after.quantity, limit_price=None, stop_price=None, keeps_priority=True,
                terms=after,
            )
            for order_id in orders
        ]  # fmt: skip
        with as_tenant("acorn"):
            records.write(taken(orders[-1]), *changes)
            projector.catch_up(tenant="acorn")
            assert projector.lag_events(tenant="acorn") == 0
        assert {rows(alice)[order_id]["stop_loss"] for order_id in orders} == {f"1.0{seconds}"}


def test_a_page_reads_its_orders_terms_at_once(alice: Api, as_tenant: Any, django_assert_num_queries: Any) -> None:
    from apps.trading import selectors
    from apps.trading.models import Order

    with as_tenant("acorn"):
        found = list(Order.objects.all())
        with django_assert_num_queries(0):
            assert selectors.with_terms(lines=[]) == []
        assert {row.order_id: row.terms.tag for row in selectors.with_terms(lines=found)}["O4"] == "from a test"


def test_an_event_that_is_not_there_or_cannot_be_read_is_said_to_be_so(
    alice: Api, as_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_tenant("acorn"):
        assert set(audit.events_at(tenant="acorn", seqs=[2, 4])) == {2, 4}
        with pytest.raises(audit.UnableToRead, match="no event 99"):
            audit.events_at(tenant="acorn", seqs=[2, 99])
        monkeypatch.setattr(audit, "event_of", Mock(side_effect=UnableToUpcast("is of tomorrow")))
        with pytest.raises(audit.UnableToRead, match="event 2 is of tomorrow"):
            audit.events_at(tenant="acorn", seqs=[2])
