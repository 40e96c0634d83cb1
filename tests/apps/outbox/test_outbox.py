"""A changed setting reaches the engine, told with its row and told again until the log has it."""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import redis
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import Group
from apps.outbox import selectors, services
from apps.outbox.models import OutboxCommand
from apps.tenants.services import in_tenant
from piggy.core.answers import Answer
from piggy.core.commands import CreditAccount, Envelope
from piggy.core.events import GroupConfigured
from piggy.messaging import codec, streams
from tests.apps import records

LATER = timedelta(minutes=1)
WAITING = (
    "select count(*) from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()"
)
PAIRS = int(os.environ.get("CROSSED_COMMITS", "25"))  # 10,000 is the contract's size.
INSERT = """
insert into acorn.outbox_outboxcommand
  (command_id, reference, kind, principal, reason, payload, created_at, told_count, superseded)
values (%s, %s, 'CreditAccount', 'test', '', %s, now(), 0, false)
"""


@pytest.fixture
def tenant(acorn: Any, as_tenant: Any, redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(services, "ANSWER_WAIT_S", 0.01)  # Nobody answers, where a test does not.
    with as_tenant("acorn"):
        yield redis_server


def _told(server: redis.Redis) -> list[Any]:
    entries: Any = server.xrange(streams.commands_key(tenant="acorn"))
    return [codec.decode_envelope(fields[streams.FIELD]) for _, fields in entries]


def change(changes: dict[str, Any]) -> None:
    accounts.change_group(tenant="acorn", name="mixed", changes=changes, by="dealer", reason="a new day")


def test_saving_a_group_tells_the_engine_its_new_version(tenant: Any) -> None:
    accounts.set_up_group(tenant="acorn", group=Group(name="mixed", book_mode="MIXED"), by="dealer")
    change({"a_book_percent": 25})
    told = _told(tenant)
    assert [envelope.command.group.version for envelope in told] == [1, 2]
    assert told[1].command.group.a_book_percent == 25
    assert told[0].command_id != told[1].command_id


def test_a_rolled_back_change_is_not_told(tenant: Any) -> None:
    """INV-18: a row and what the log is to say of it are committed together or not at all."""
    with pytest.raises(RuntimeError, match="undone"), transaction.atomic():
        accounts.set_up_group(tenant="acorn", group=Group(name="mixed"), by="dealer")
        raise RuntimeError("undone")
    assert _told(tenant) == []
    assert not OutboxCommand.objects.exists()


def test_set_up_makes_a_group_and_never_changes_one(tenant: Any) -> None:
    group = accounts.set_up_group(tenant="acorn", group=Group(name="mixed"), by="maker")
    (made,) = selectors.setting_history(reference="group:mixed")
    assert (made.by, made.reason) == ("maker", "set-up")
    with pytest.raises(accounts.UnableToChangeGroup, match="by a draft"):
        accounts.set_up_group(tenant="acorn", group=group, by="maker")


def test_a_refused_group_names_field_and_limit(tenant: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        wide = Group(name="x", a_book_percent=101, ask_markup_points=9_999)
        accounts.set_up_group(tenant="acorn", group=wide, by="d")
    assert refused.value.message_dict["a_book_percent"] == ["This must be at most 100."]
    assert refused.value.message_dict["ask_markup_points"] == ["This must be at most 1000."]
    with pytest.raises(ValidationError, match="below margin_call_percent"):
        accounts.set_up_group(tenant="acorn", group=Group(name="x", stop_out_percent=100), by="d")


def test_the_sweep_tells_again_until_the_log_has_it(tenant: Any) -> None:
    group = accounts.set_up_group(tenant="acorn", group=Group(name="mixed"), by="dealer")
    tenant.delete(streams.commands_key(tenant="acorn"))
    assert services.sweep(tenant="acorn", now=timezone.now() + LATER) == 1
    (again,) = _told(tenant)
    records.write(GroupConfigured(group=group.to_core()), command_id=again.command_id)
    assert services.sweep(tenant="acorn", now=timezone.now() + LATER) == 0
    assert OutboxCommand.objects.get().heard_at is not None
    assert services.sweep(tenant="acorn", now=timezone.now() + LATER) == 0
    assert len(_told(tenant)) == 1


def test_the_sweep_never_tells_an_older_version_after_a_newer(tenant: Any) -> None:
    accounts.set_up_group(tenant="acorn", group=Group(name="mixed"), by="dealer")
    change({})
    tenant.delete(streams.commands_key(tenant="acorn"))
    services.sweep(tenant="acorn", now=timezone.now() + LATER)
    assert [envelope.command.group.version for envelope in _told(tenant)] == [2]


def test_inv_10_what_is_superseded_while_the_sweep_tells_others_is_not_told(
    tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would come after its successor, and the engine would hold what no record says."""
    told: list[str] = []

    class Engine:
        def ask(self, *, envelope: Any, **_: Any) -> Answer:
            told.append(envelope.command.group.name)
            if told == ["first"]:
                change({"a_book_percent": 25})
            return Answer(command_id=envelope.command_id)

        def tell(self, *, envelope: Any, **_: Any) -> None:
            told.append(f"{envelope.command.group.name} {envelope.command.group.version}")

    for name in ("first", "mixed"):
        accounts.set_up_group(tenant="acorn", group=Group(name=name, book_mode="MIXED"), by="dealer")
    monkeypatch.setattr(services, "_client", Engine)
    assert services.sweep(tenant="acorn", now=timezone.now() + LATER) == 1
    assert told == ["first", "mixed 2"]


def test_inv_10_a_row_that_commits_after_a_later_one_is_told_too(tenant: Any) -> None:
    written, go = threading.Event(), threading.Event()

    def slowly() -> None:
        with in_tenant("acorn"), transaction.atomic():
            accounts.set_up_group(tenant="acorn", group=Group(name="first"), by="dealer")
            written.set()
            assert go.wait(60)
        connection.close()

    writer = threading.Thread(target=slowly)
    writer.start()
    assert written.wait(60)
    try:
        accounts.set_up_group(tenant="acorn", group=Group(name="second"), by="dealer")
        tenant.delete(streams.commands_key(tenant="acorn"))
        services.sweep(tenant="acorn", now=timezone.now() + LATER)
        assert {envelope.command.group.name for envelope in _told(tenant)} == {"second"}
    finally:
        go.set()
        writer.join()
    tenant.delete(streams.commands_key(tenant="acorn"))
    services.sweep(tenant="acorn", now=timezone.now() + LATER)
    assert "first" in {envelope.command.group.name for envelope in _told(tenant)}


def test_inv_10_of_many_crossed_commits_none_is_skipped(
    tenant: Any, owner_sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pair is swept between its two commits, the later row's first, and again after."""
    told: list[str] = []

    class Engine:
        def ask(self, *, envelope: Any, **_: Any) -> Answer:
            told.append(str(envelope.command_id))
            return Answer(command_id=envelope.command_id)

    monkeypatch.setattr(services, "_client", Engine)
    written: list[str] = []

    def insert(link: Any) -> None:
        written.append(str(uuid.uuid4()))
        command = CreditAccount(account_id="A1", amount=Decimal(1), reference=written[-1])
        envelope = codec.encode(Envelope(command_id=written[-1], command=command, principal="test"))
        link.execute(INSERT, [written[-1], written[-1], envelope])

    owner_sql("alter table acorn.outbox_outboxcommand no force row level security")
    url = os.environ["DATABASE_OWNER_URL"]
    try:
        with psycopg.connect(url) as first, psycopg.connect(url) as second:
            for _ in range(PAIRS):
                insert(first)
                insert(second)
                second.commit()
                services.sweep(tenant="acorn", now=timezone.now() + LATER)
                assert told[-1:] == written[-1:]
                first.commit()
                services.sweep(tenant="acorn", now=timezone.now() + LATER)
                assert told[-1:] == written[-2:-1]
    finally:
        owner_sql("alter table acorn.outbox_outboxcommand force row level security")
    assert sorted(told) == sorted(written)


def test_an_answer_without_an_event_is_heard_too(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "ANSWER_WAIT_S", 60.0)
    accounts.set_up_group(tenant="acorn", group=Group(name="mixed"), by="dealer")
    tenant.delete(streams.commands_key(tenant="acorn"))
    engine = threading.Thread(target=_answer_one, args=(tenant,))
    engine.start()
    assert services.sweep(tenant="acorn", now=timezone.now() + LATER) == 1
    engine.join()
    assert OutboxCommand.objects.get().heard_at is not None


def _answer_one(server: redis.Redis) -> None:
    until_s = time.monotonic() + 60
    while not (found := _told(server)) and time.monotonic() < until_s:
        time.sleep(0.01)
    key = streams.reply_key(tenant="acorn", request_id=found[0].reply_to)
    server.rpush(key, codec.encode(Answer(command_id=found[0].command_id)))


def test_an_engine_that_is_away_is_asked_one_thing_at_a_time_and_less_and_less_often(
    tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds no pile of copies when it is back, and nothing that was replaced takes the place of what was not."""
    asked: list[str] = []

    class Nobody:
        def tell(self, **_: Any) -> None: ...

        def ask(self, *, envelope: Any, **_: Any) -> None:
            asked.append(f"{envelope.command.group.name} {envelope.command.group.version}")

    monkeypatch.setattr(services, "_client", Nobody)
    monkeypatch.setattr(services, "SWEEP_ROWS_MAX", 2)
    for name in ("mixed", "second"):
        accounts.set_up_group(tenant="acorn", group=Group(name=name, book_mode="MIXED"), by="dealer")
    for percent in (25, 35):
        change({"a_book_percent": percent})
    began = timezone.now()
    OutboxCommand.objects.update(created_at=began)
    for after_s, told in ((4, []), (6, ["second 1"]), (6, ["mixed 3"]), (9, []), (11, ["second 1"]), (19, ["mixed 3"])):
        asked.clear()
        assert services.sweep(tenant="acorn", now=began + timedelta(seconds=after_s)) == len(told)
        assert asked == told
    waits = OutboxCommand.objects.filter(superseded=False)
    assert set(waits.values_list("told_count", "heard_at")) == {(2, None)}


def test_of_two_who_change_a_setting_at_once_the_second_changes_what_the_first_made(
    tenant: Any, owner_sql: Any
) -> None:
    """One version told twice with two meanings: the engine would keep the first, and the record say the second."""
    group = accounts.set_up_group(tenant="acorn", group=Group(name="mixed", book_mode="MIXED"), by="dealer")

    def change_too() -> None:
        with in_tenant("acorn"):
            services.save_setting(tenant="acorn", row=Group.objects.get(pk=group.pk), by="other")
        connection.close()

    with transaction.atomic():
        services.save_setting(tenant="acorn", row=group, by="dealer")
        other = threading.Thread(target=change_too)
        other.start()
        until_s = time.monotonic() + 60
        while owner_sql(WAITING) == [(0,)]:
            assert other.is_alive() and time.monotonic() < until_s, "it waits for the first"
            time.sleep(0.01)
    other.join(60)
    versions = [envelope.command.group.version for envelope in _told(tenant)]
    assert (versions, Group.objects.get().version) == ([1, 2, 3], 3)
