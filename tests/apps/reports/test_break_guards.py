"""Who may do what about a break, once, and what reads no statement: each guard of it on its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone

from apps.reports import services
from apps.reports.models import Break, BreakNote, Reconciliation
from apps.reports.services import exporting
from apps.tenants.services import in_tenant
from apps.users.models import User
from apps.users.services import create_client_user, create_staff
from tests.apps.dealing.test_changes_at_once import Meanwhile, meanwhile
from tests.apps.reports.test_exporting import Logged
from tests.apps.reports.test_reconciling import desk_of, fills, floor, line, run, statement, tina
from tests.apps.reports.trading_days import rows

__all__ = ["floor", "meanwhile", "tina"]


@pytest.fixture
def found(floor: Logged, tmp_path: Path) -> Break:
    (made,) = run(statement(*map(line, fills(floor)[:-1])), tmp_path).breaks
    return made


@pytest.fixture
def boss(floor: Logged) -> User:
    return create_staff(username="boss", password="long enough for a test", role="auditor")


def acts() -> list[str]:
    with in_tenant("acorn"):
        return list(BreakNote.objects.order_by("id").values_list("act", flat=True))


def send(browser: Client, found: Break, **sent: str) -> Any:
    with in_tenant("acorn"):
        note = str(BreakNote.objects.earliest("id").pk)
    notes = {"notes-TOTAL_FORMS": "1", "notes-INITIAL_FORMS": "1", "notes-0-id": note, "notes-0-of": str(found.pk)}
    answer = browser.post(f"/admin/reports/break/{found.pk}/change/", {"owner": "", **sent, **notes}, follow=True)
    with in_tenant("acorn"):
        found.refresh_from_db()
    return answer


def test_of_two_who_decide_a_break_at_once_the_second_hears_that_it_is_closed(
    found: Break, boss: User, meanwhile: Meanwhile
) -> None:
    def explain() -> None:
        with in_tenant("acorn"):
            services.explain(break_id=found.pk, text="it comes tomorrow", by=boss, at=timezone.now())

    with pytest.raises(services.UnableToDecideBreak, match="closed, or there is none"):
        meanwhile(lambda: services.close(break_id=found.pk, text="ours", by=boss, at=timezone.now()), explain)
    found.refresh_from_db()
    assert (found.state, acts()) == ("closed", ["found", "closed"])


def test_a_break_that_a_person_closes_while_a_statement_is_read_is_not_closed_again(
    floor: Logged, found: Break, boss: User, meanwhile: Meanwhile, tmp_path: Path
) -> None:
    """INV-22."""

    def read() -> int:
        with in_tenant("acorn"):
            return run(statement(*map(line, fills(floor))), tmp_path).run.breaks_gone

    closed_at = timezone.now()
    assert meanwhile(lambda: services.close(break_id=found.pk, text="ours", by=boss, at=closed_at), read) == 0
    found.refresh_from_db()
    assert (found.closed_at, acts()) == (closed_at, ["found", "closed"])


def test_inv_22_what_a_person_closed_stays_closed_while_it_is_told_again_and_opens_with_other_figures(
    floor: Logged, boss: User, tmp_path: Path
) -> None:
    """In the same file and in a longer one; its notes stay as they are."""
    one, two, *_ = deals = fills(floor)
    said = statement(line(one, rate="1,2"), *map(line, deals[1:]))
    (found,) = run(said, tmp_path).breaks
    services.close(break_id=found.pk, text="agreed by phone", by=boss, at=timezone.now())
    for again in (
        said,
        statement(line(one, rate="1,2"), *map(line, deals[1:]), line(two, id="X", time="15.11.2023 10:00")),
    ):
        told = run(again, tmp_path)
        assert (found.pk not in {each.pk for each in told.breaks}, told.run.breaks_known) == (True, 1)
    assert [each.reference for each in told.breaks] == ["X"]
    assert Break.objects.filter(kind="price").count() == 1
    assert list(found.notes.order_by("id").values_list("act", flat=True)) == ["found", "closed"]
    other = run(statement(line(one, rate="1,3"), *map(line, deals[1:])), tmp_path)
    assert [(each.kind, each.theirs) for each in other.breaks] == [("price", "1.3")]


def test_inv_22_what_is_gone_by_itself_opens_again_and_what_was_closed_of_another_day_is_another(
    floor: Logged, boss: User, tmp_path: Path
) -> None:
    one, *others = fills(floor)
    clean, bad = statement(*map(line, (one, *others))), statement(line(one, rate="1,2"), *map(line, others))
    (found,) = run(bad, tmp_path).breaks
    assert run(clean, tmp_path).run.breaks_gone == 1
    (again,) = run(bad, tmp_path).breaks
    services.close(break_id=again.pk, text="agreed", by=boss, at=timezone.now())
    assert run(bad, tmp_path).breaks == []
    Break.objects.filter(pk__in=[found.pk, again.pk]).update(traded_on="2023-11-13")
    assert run(bad, tmp_path).run.breaks_new == 1


def test_inv_22_a_statement_of_more_breaks_than_are_kept_is_refused_whole(
    floor: Logged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deals = fills(floor)
    monkeypatch.setattr("apps.reports.services.reconciling.BREAKS_MAX", 2)
    strange = [line(deals[0], id=f"X{number}") for number in range(3)]
    with pytest.raises(services.UnableToReadStatement, match="in 3 breaks, at most 2 are kept"):
        run(statement(*map(line, deals), *strange), tmp_path)
    assert not Break.objects.exists() and not Reconciliation.objects.exists() and not BreakNote.objects.exists()
    assert len(run(statement(*map(line, deals), *strange[:2]), tmp_path).breaks) == 2


def test_inv_22_a_price_is_read_as_fine_as_the_desk_deals_and_compared_as_the_log_has_it(
    floor: Logged, tmp_path: Path
) -> None:
    one, *others = fills(floor)

    def told(rate: str) -> list[Break]:
        return run(statement(line(one, rate=rate), *map(line, others)), tmp_path).breaks

    assert told(f"{one.price:.5f}" + "0" * 6 + "1" + "0" * 8) == []
    with pytest.raises(services.UnableToReadStatement, match="column Rate: .* or 20 behind the point"):
        told(f"{one.price:.5f}" + "1" * 16)
    assert len(told(f"{one.price:.5f}00001")) == 1


def test_inv_22_a_file_whose_name_is_no_text_is_refused_in_words(floor: Logged, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lp\xff.csv"))
    path.write_bytes(statement(*map(line, fills(floor))))
    with pytest.raises(CommandError, match="name of the file is not UTF-8"):
        call_command("pnl", "reconcile", path, venue="LP1", tenant="acorn", folder=tmp_path / "pnl")


def test_nothing_is_decided_without_a_word_why(found: Break, boss: User) -> None:
    for verb in (services.explain, services.close):
        with pytest.raises(services.UnableToDecideBreak, match="Say why"):
            verb(break_id=found.pk, text=" ", by=boss, at=timezone.now())
    assert acts() == ["found"]


def test_who_may_explain_explains_and_closes_nothing(found: Break, boss: User) -> None:
    right = Permission.objects.get(codename="explain_break")
    boss.user_permissions.add(right)
    browser = desk_of(boss)
    refused = send(browser, found, decision="close", why="because")
    assert "You may not close breaks." in refused.content.decode()
    assert (found.state, acts()) == ("open", ["found"])
    send(browser, found, decision="explain", why="because")
    assert (found.state, acts()) == ("explained", ["found", "explained"])


def test_a_break_is_given_to_staff_only(found: Break, tina: Client) -> None:
    client = create_client_user(username="alice", password="long enough for a test")
    send(tina, found, owner=str(client.pk))
    assert (found.owner, acts()) == (None, ["found"])


def test_what_a_line_cannot_say_is_named_and_an_empty_line_is_none(floor: Logged, tmp_path: Path) -> None:
    deals = fills(floor)
    long_ago = line(deals[0], time="14.11.1023 23:13")
    for content, says in (
        (statement(line(deals[0], id="E\0001")), "line 2: it holds a zero byte"),
        (statement(long_ago), "line 2, column Time: '14.11.1023 23:13' is not between"),
    ):
        with pytest.raises(services.UnableToReadStatement) as refused:
            run(content, tmp_path)
        assert says in str(refused.value)
    assert run(statement(line(deals[0]), "", ";;;;;;", *map(line, deals[1:])), tmp_path).breaks == []


def test_no_file_begins_past_an_event_that_is_missing(floor: Logged, tmp_path: Path) -> None:
    """INV-22."""
    with pytest.raises(services.UnableToExport, match="event 1 should follow, not 2"):
        exporting.write(home=tmp_path, rows=rows(floor)[1:])
    assert not list(tmp_path.iterdir())


def test_a_broker_that_there_is_not_is_said(floor: Logged, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no broker 'oak'") as refused:
        call_command("pnl", "export", "--tenant", "oak", folder=tmp_path)
    assert refused.value.returncode == 2
