"""Committed events become the orders, fills and positions that people see; doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from msgspec import structs

from apps.common import bulk
from apps.common.times import moment
from apps.risk.selectors import money_of
from apps.trading.api.serializers import TEXT_MAX
from apps.trading.models import Fill, Order, Position, Strategy
from apps.trading.selectors import decided
from apps.treasury.selectors import client_balance, trial_balance
from piggy import projector
from piggy.adapters.fix_clients.config import CL_ORD_ID_CHARACTERS_MAX
from piggy.core import events as ev
from piggy.core.dealer_events import DealerOutcome
from piggy.core.events import OrderCancelled
from piggy.core.orders import Side
from piggy.engine import signals
from tests.apps import records


@pytest.fixture
def books(acorn: Any, as_tenant: Any) -> Any:
    with as_tenant("acorn"):
        records.client()
        yield acorn


def test_a_look_that_finds_nothing_takes_no_cursor(books: Any) -> None:
    """Nothing is locked, and so nothing written; a projection that is new begins all the same."""
    records.write(records.credited())
    assert projector.catch_up(tenant="acorn") == 1

    def cursors() -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute("select name, seq, xmin::text, xmax::text from projection_cursor order by name")
            return list(cursor.fetchall())

    before = cursors()
    assert projector.catch_up(tenant="acorn") == 0 and cursors() == before and len(before) == 4
    with connection.cursor() as cursor:
        cursor.execute("update projection_cursor set seq = 0 where name = 'risk'")
    assert projector.catch_up(tenant="acorn") == 1 and {seq for _, seq, *_ in cursors()} == {1}
    with connection.cursor() as cursor:
        cursor.execute("delete from projection_cursor where name = 'liquidity'")
    assert projector.catch_up(tenant="acorn") == 1 and {seq for _, seq, *_ in cursors()} == {1}


def test_a_fill_shows_as_order_fill_position_and_balance(books: Any) -> None:
    bought = records.filled(quantity=Decimal("0.4"), leaves=Decimal("0.6"), commission=Decimal(2))
    records.write(records.credited(), records.accepted(), bought)
    assert projector.catch_up(tenant="acorn") == 3
    order = Order.objects.get()
    assert (order.state, order.filled, order.leaves) == ("partially_filled", Decimal("0.4"), Decimal("0.6"))
    told = decided(seq=order.seq, routed_seq=order.routed_seq)
    assert told.routing is not None and told.routing["text"] == "group b-book is B: kept"
    assert told.verdict["checks"][0]["code"] == "P-01"
    assert order.reasons is None
    assert Position.objects.get().quantity == Decimal("0.4")
    assert money_of(account_ids=["A1"])["A1"][:2] == (Decimal(998), Decimal("1333.2"))


def test_inv_07_balance_equals_ledger_and_every_currency_sums_to_zero(books: Any) -> None:
    sold = records.filled(
        "O2", side=Side.SELL, price=Decimal("1.2"), realised=Decimal(10_000), markup_revenue=Decimal(7),
        premium=Decimal(4), guarantee_cost=Decimal(9),
    )  # fmt: skip
    records.write(
        records.credited(), records.accepted(), records.filled(), records.accepted("O2", side=Side.SELL), sold
    )
    projector.catch_up(tenant="acorn")
    assert client_balance(account_id="A1") == money_of(account_ids=["A1"])["A1"].balance == Decimal(10_996)
    assert Fill.objects.filter(premium=4, guarantee_cost=9).count() == 1
    assert sum(trial_balance().values()) == 0
    assert Position.objects.get().quantity == 0
    assert Fill.objects.count() == 2


def test_projecting_again_from_the_start_changes_nothing(books: Any) -> None:
    records.write(records.credited(), records.accepted(), records.filled())
    projector.catch_up(tenant="acorn")
    before = [list(model.objects.values()) for model in (Order, Fill, Position)], trial_balance()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("update projection_cursor set seq = 0")
    assert projector.catch_up(tenant="acorn") == 3
    assert ([list(model.objects.values()) for model in (Order, Fill, Position)], trial_balance()) == before


def test_what_comes_in_a_later_batch_finds_its_order(books: Any) -> None:
    records.write(records.credited(), records.accepted(quantity="2"))
    projector.catch_up(tenant="acorn")
    records.write(
        records.filled(), OrderCancelled(order_id="O1", outcome="cancelled", leaves=Decimal(1), reason="asked")
    )
    assert projector.catch_up(tenant="acorn") == 2
    order = Order.objects.get()
    assert (order.state, order.filled, order.leaves, order.text) == ("cancelled", Decimal(1), Decimal(0), "asked")
    assert decided(seq=order.seq, routed_seq=order.routed_seq).terms["symbol"] == "EURUSD"


def test_a_row_says_which_checks_failed_and_which_event_routed_it_last(books: Any) -> None:
    first = records.accepted()
    refused = ev.Check(code="P-17", passed=False, text="no margin")
    verdict = structs.replace(first.verdict, checks=(*first.verdict.checks, refused))
    denied = ev.OrderDenied(order_id="O2", terms=first.terms, source="api", verdict=verdict)
    anew = structs.replace(first.routing, text="LP1 refused, so LP2")
    records.write(first, denied)
    projector.catch_up(tenant="acorn")
    records.write(ev.OrderRerouted(order_id="O1", routing=anew))
    projector.catch_up(tenant="acorn")
    routed, row = Order.objects.get(order_id="O1"), Order.objects.get(order_id="O2")
    assert [(each["code"], each["text"]) for each in row.reasons] == [("P-17", "no margin")]
    told = decided(seq=row.seq, routed_seq=row.routed_seq)
    assert (len(told.verdict["checks"]), told.routing) == (2, None)
    last = decided(seq=routed.seq, routed_seq=routed.routed_seq).routing
    assert (routed.seq, routed.routed_seq, routed.text, last and last["text"]) == (1, 3, anew.text, anew.text)


def test_what_no_column_holds_is_shown_as_far_as_it_can_be_and_hides_nothing_after_it(books: Any) -> None:
    """What is in the log has happened: one client's text must not stop the tables of all brokers."""
    first = records.accepted()
    odd = structs.replace(
        first,
        order_id="O2",
        source="signal:" + "s" * 90,
        terms=structs.replace(first.terms, client_order_id="i" * 128, limit_price=Decimal(10) ** 20),
        routing=structs.replace(first.routing, text="a\0b"),
    )
    records.write(odd, first)
    assert projector.catch_up(tenant="acorn") == 2
    row = Order.objects.get(order_id="O2")
    assert (len(row.source), row.client_order_id, row.text) == (80, "i" * 100, "a\ufffdb")
    assert row.limit_price == Decimal(10) ** 18 - Decimal("1e-10")
    assert Order.objects.get(order_id="O1").client_order_id == ""


def test_every_door_takes_only_what_the_tables_hold() -> None:
    def held(name: str) -> int:
        return int(Order._meta.get_field(name).max_length or 0)

    strategy = int(Strategy._meta.get_field("strategy_id").max_length or 0)
    assert held("client_order_id") >= max(signals.ID_LENGTH_MAX, TEXT_MAX, CL_ORD_ID_CHARACTERS_MAX)
    assert held("symbol") >= signals.SYMBOL_LENGTH_MAX
    assert held("source") >= len("signal:") + strategy
    assert held("principal") >= len("strategy:") + strategy


def test_inv_09_a_gap_in_the_log_halts_the_projector(books: Any) -> None:
    records.write(records.credited())
    records.write(records.accepted(), first=3)
    with pytest.raises(projector.UnableToProject, match="event 2 is missing, the log goes on at 3"):
        projector.catch_up(tenant="acorn")
    assert money_of(account_ids=["A1"])["A1"].balance == 0, "nothing of the batch is shown"


def test_inv_09_a_gap_as_wide_as_a_batch_is_not_the_end(books: Any) -> None:
    records.write(records.credited())
    records.write(records.accepted(), first=4)
    assert projector.catch_up(tenant="acorn", rows_max=2) == 1
    with pytest.raises(projector.UnableToProject, match="event 2 is missing, the log goes on at 4"):
        projector.catch_up(tenant="acorn", rows_max=2)


@pytest.mark.parametrize("projected", [0, 1])
def test_inv_09_a_changed_event_is_never_shown(books: Any, owner_sql: Any, projected: int) -> None:
    """Nor what follows one that went after it was shown."""
    records.write(records.credited())
    for _ in range(projected):
        projector.catch_up(tenant="acorn")
    records.write(records.credited("7"))
    with tampering(owner_sql):
        owner_sql("update acorn.event_log set hash = sha256(hash) where seq = 1")
    with pytest.raises(projector.UnableToProject, match=f"event {1 + projected} is not what was written"):
        projector.catch_up(tenant="acorn")
    with tampering(owner_sql):
        owner_sql("delete from acorn.event_log where seq = 1")
    with pytest.raises(projector.UnableToProject, match="event 1 is missing"):
        projector.catch_up(tenant="acorn")
    assert money_of(account_ids=["A1"])["A1"].balance == 1_000 * projected


@contextmanager
def tampering(owner_sql: Any) -> Iterator[None]:
    """The owner takes off what refuses even him."""
    owner_sql("alter table acorn.event_log no force row level security")
    owner_sql("alter table acorn.event_log disable trigger user")
    yield
    for name in ("append_only", "never_truncated"):
        owner_sql(f"alter table acorn.event_log enable always trigger {name}")
    owner_sql("alter table acorn.event_log force row level security")


def test_an_order_that_waits_for_a_dealer_is_seen_to_wait(books: Any) -> None:
    records.write(
        records.accepted("O2"), ev.OrderHeld(order_id="O2", price=Decimal("1.1"), expires_at_us=1, passes_on=False)
    )
    projector.catch_up(tenant="acorn")
    assert Order.objects.get(order_id="O2").state == "with_dealer"
    offered = ev.OrderRequoted(
        order_id="O2",
        by="ann",
        price=Decimal("1.2"),
        market=Decimal("1.2"),
        reason="it moved",
        valid_until_us=5_000_000,
    )
    records.write(offered)
    projector.catch_up(tenant="acorn")
    requoted = Order.objects.get(order_id="O2")
    assert (requoted.requote_price, requoted.requote_until) == (Decimal("1.2"), moment(5_000_000))
    decided = ev.DealerDecided(
        order_id="O2", by="ann", outcome=DealerOutcome.PASSED_ON, reason="passed on", asked=Decimal("1.1"), market=None
    )
    records.write(decided)
    projector.catch_up(tenant="acorn")
    order = Order.objects.get(order_id="O2")
    assert (order.state, order.text, order.requote_price) == ("working", "passed on", None)


def test_no_projection_asks_once_another_has_written(books: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer would wait for all those rows, and PostgreSQL would be idle while the next one folds."""
    said: list[str] = []
    run = bulk._run

    def write(*arguments: Any) -> None:
        said.append("write")
        run(*arguments)

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.lower().startswith("select"):
            said.append("ask")
        return execute(sql, *arguments)

    records.write(records.credited(), records.accepted(), records.filled())
    monkeypatch.setattr(bulk, "_run", write)
    with connection.execute_wrapper(note):
        assert projector.catch_up(tenant="acorn") == 3
    first = said.index("write")
    assert said[:first].count("ask") > len(projector.projections()), "the cursors, the log, and each one's own rows"
    assert set(said[first:]) == {"write"}
