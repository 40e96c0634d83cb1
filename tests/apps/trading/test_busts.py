"""A venue takes a fill back or restates it: what people see follows, and what they saw before stays (F-15, INV-23)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from apps.risk.selectors import money_of
from apps.trading.models import ChildOrder, Fill, Order, Position
from apps.treasury.selectors import client_balance, trial_balance
from piggy import projector
from piggy.core.orders import Side
from tests.apps import records
from tests.core.floor import Floor
from tests.core.test_corrections import bust, correct, filled


@pytest.fixture
def floor(acorn: Any, as_tenant: Any) -> Any:
    with as_tenant("acorn"):
        records.client(account_id="a1")
        yield Floor(commission_per_lot=Decimal(7))


def shown(floor: Floor) -> None:
    """Project what is new in the floor's log and hold every table against the desk's own state (INV-07)."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from event_log")
        done = cursor.fetchone()[0]
    records.write(*(recorded.event for recorded in floor.log[done:]))
    projector.catch_up(tenant="acorn")
    state = floor.desk.state
    for order in state.orders.values():
        row = Order.objects.get(pk=order.order_id)
        assert (row.state, row.filled, row.leaves) == (order.state, order.filled, order.leaves)
        assert row.average_price == pytest.approx(order.average_price)
    for child in state.children.values():
        assert ChildOrder.objects.get(pk=child.created.cl_ord_id).filled == child.filled
    row, held = Position.objects.get(), state.positions.get("a1:EURUSD")
    assert (row.quantity, row.cost) == ((held.quantity, held.cost) if held else (0, 0))
    assert money_of(account_ids=["a1"])["a1"].balance == state.balances["a1"]
    assert client_balance(account_id="a1") == state.balances["a1"]
    assert sum(trial_balance().values()) == 0
    fills = Fill.objects.filter(account_id="a1")
    assert sum(fill.quantity * Side(fill.side).sign for fill in fills) == row.quantity


def test_a_bust_restates_order_position_and_money_and_adds_a_row(floor: Floor) -> None:
    leg = filled(floor)
    shown(floor)
    first = Fill.objects.values().get()
    bust(floor, leg, "E1")
    shown(floor)
    assert Fill.objects.filter(pk=first["seq"]).values().get() == first
    assert [fill.quantity for fill in Fill.objects.order_by("seq")] == [1, -1]
    assert (Order.objects.get().state, Position.objects.get().margin) == ("cancelled", 0)


def test_a_correction_restates_what_a_close_brought(floor: Floor) -> None:
    filled(floor, price="1.10000")
    leg = filled(floor, side=Side.SELL, price="1.10049", fill_id="E2")
    shown(floor)
    correct(floor, leg, "E2", side=Side.SELL, price=Decimal("1.10039"), quantity=Decimal("0.5"))
    shown(floor)
    assert Order.objects.get(side="sell").state == "cancelled"


def test_a_bust_of_a_working_order_shows_it_at_work_again(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "2")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", lots="0.5", fill_id="E1")
    bust(floor, leg, "E1")
    shown(floor)
    assert Order.objects.get().state == "routed"
