"""Positions as people see them say what the desk holds: since when, and what margin they bind (INV-07)."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import connection

from apps.common.times import moment
from apps.risk.selectors import money_of
from apps.trading.models import Position
from apps.trading.projections.rows import Rows
from piggy import projector
from piggy.core import events as ev
from piggy.core.orders import Side
from tests.apps import records
from tests.core.floor import Floor
from tests.core.test_busting import bust, on_record


@pytest.fixture
def books(acorn: Any, as_tenant: Any) -> Any:
    with as_tenant("acorn"):
        records.client()
        yield acorn


def leg(number: int, side: Side, *, binds: str, lots: str = "1", held: str, **more: Any) -> ev.OrderFilled:
    """A fill of a hedging account, whose position has its order's name; all it holds is `held` lots then."""
    per_lot = Decimal(binds) / Decimal(held)
    return records.filled(
        f"O{number}", side=side, quantity=Decimal(lots), position_id=more.pop("position_id", f"O{number}"),
        symbol_margin=Decimal(binds), margin_per_lot=per_lot, **more,
    )  # fmt: skip


def margins() -> dict[str, Decimal]:
    return dict(Position.objects.exclude(quantity=0).values_list("position_id", "margin"))


def test_a_position_that_turned_to_the_other_side_was_opened_then(books: Any) -> None:
    """Notices of loss are counted by when a position was opened: one that turned begins them anew (G-21)."""
    began_us, turned_us = records.AT_US, records.AT_US + 5
    records.write(records.accepted(), records.filled())
    projector.catch_up(tenant="acorn")
    assert Position.objects.get().opened_at == moment(began_us)
    records.write(records.accepted("O2"), records.filled("O2"))
    projector.catch_up(tenant="acorn")
    assert Position.objects.get().opened_at == moment(began_us)
    sold = records.filled("O3", side=Side.SELL, quantity=Decimal(3), place_seq=6, place_at_us=turned_us)
    records.write(records.accepted("O3", quantity="3", side=Side.SELL), sold)
    projector.catch_up(tenant="acorn")
    assert (Position.objects.get().quantity, Position.objects.get().opened_at) == (-1, moment(turned_us))


def test_a_position_that_lost_the_fill_that_opened_it_is_held_since_the_next(books: Any) -> None:
    """INV-23: a bust names what is left, and since when the desk has it."""
    floor = Floor()
    floor.place("b1", Side.BUY, "1")
    floor.now_us += 1_000_000
    floor.place("b1", Side.BUY, "2")
    bust(floor, on_record(floor)[0])
    (own,) = floor.desk.state.positions.values()
    records.client(name="b1", account_id="b1")
    records.write(*(each.event for each in floor.log))
    projector.catch_up(tenant="acorn")
    held = Position.objects.get()
    assert (held.quantity, held.opened_at) == (2, moment(own.opened_at_us)) and own.opened_at_us == floor.now_us


def test_what_a_venue_opens_for_the_house_is_shown_as_the_houses(books: Any) -> None:
    """As the desk has it where an order turned round (`lots_ahead`): dealers see their exposure by these lots."""
    records.write(records.accepted(quantity="3"), records.filled(quantity=Decimal(3), book="A", ahead=Decimal(1)))
    projector.catch_up(tenant="acorn")
    held = Position.objects.get()
    assert (held.quantity, held.a_lots, held.cross_lots, held.b_lots) == (3, 2, 0, 1)


def test_a_fill_of_a_hedging_account_changes_what_its_other_positions_bind(books: Any) -> None:
    """An opposite leg lets both bind less: what a client is told adds up to what the desk says."""
    records.write(records.accepted("O1"), leg(1, Side.BUY, binds="3000", held="1"))
    projector.catch_up(tenant="acorn")
    records.write(records.accepted("O2"), leg(2, Side.SELL, binds="1600", held="2"))
    projector.catch_up(tenant="acorn")
    assert margins() == {"O1": 800, "O2": 800}
    assert money_of(account_ids=["A1"])["A1"].used_margin == 1600
    closed = leg(3, Side.SELL, binds="3100", held="1", position_id="O1")
    records.write(records.accepted("O3", side=Side.SELL), closed)
    projector.catch_up(tenant="acorn")
    assert margins() == {"O2": 3100}


def test_the_end_of_a_news_window_shows_in_every_position_of_the_symbol(books: Any) -> None:
    other = leg(4, Side.BUY, binds="77", held="1", symbol="GBPUSD")
    records.write(
        records.accepted("O1"), leg(1, Side.BUY, binds="4000", held="1"),
        records.accepted("O2"), leg(2, Side.BUY, binds="8000", lots="3", held="4"),
        records.accepted("O4"), other,
        ev.SymbolMarginChanged(account_id="A1", symbol="EURUSD", margin=Decimal(6000)),
    )  # fmt: skip
    projector.catch_up(tenant="acorn")
    assert margins() == {"O1": 1500, "O2": 4500, "O4": 77}
    with connection.cursor() as cursor:
        cursor.execute("update projection_cursor set seq = 0")
    projector.catch_up(tenant="acorn")
    assert margins() == {"O1": 1500, "O2": 4500, "O4": 77}


def test_what_a_window_left_behind_is_not_brought_back_by_reading_it_again(books: Any) -> None:
    """A projection that begins again skips what is in its rows already."""
    ended = ev.SymbolMarginChanged(account_id="A1", symbol="EURUSD", margin=Decimal(1000))
    records.write(records.accepted("O1"), leg(1, Side.BUY, binds="4000", held="1"), ended)
    projector.catch_up(tenant="acorn")
    records.write(records.accepted("O2"), leg(2, Side.BUY, binds="5000", held="2"))
    projector.catch_up(tenant="acorn")
    for seq in (2, 0):
        with connection.cursor() as cursor:
            cursor.execute("update projection_cursor set seq = %s", [seq])
        projector.catch_up(tenant="acorn")
        assert margins() == {"O1": 2500, "O2": 2500}


def test_many_windows_that_end_at_once_are_one_look_at_the_positions() -> None:
    """A look for each would be millions where a thousand accounts hold the symbol, and everybody's page behind it."""
    looks: list[int] = []

    class Seen(dict[str, Any]):
        def values(self) -> Any:
            looks.append(len(self))
            return super().values()

    held = {
        f"P{at}": SimpleNamespace(
            account_id=f"A{at % 9}", symbol="EURUSD", quantity=Decimal(1), last_seq=1, margin=None, updated_at=0
        )
        for at in range(18)
    }
    rows, ended = Rows(orders={}, children={}, positions=Seen(held)), Mock(seq=2, recorded_at_us=5)
    rows.share()
    assert looks == []
    rows.bound = {(f"A{number}", "EURUSD"): (Decimal(100 * number), ended) for number in range(8)}
    rows.share()
    assert [row.margin for row in held.values()] == [*(50 * number for number in range(8)), None] * 2
    assert (looks, len(rows.changed)) == ([18], 16)
