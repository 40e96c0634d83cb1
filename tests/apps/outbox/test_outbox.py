"""A changed setting reaches the engine, told with its row and told again until the log has it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

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
from piggy.core.events import GroupConfigured
from piggy.messaging import codec, streams
from tests.apps import records

LATER = timedelta(minutes=1)


@pytest.fixture
def tenant(acorn: Any, as_tenant: Any, redis_server: Any) -> Any:
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


def test_inv_10_a_row_that_commits_after_a_later_one_is_told_too(tenant: Any) -> None:
    written, go = threading.Event(), threading.Event()

    def slowly() -> None:
        with in_tenant("acorn"), transaction.atomic():
            accounts.set_up_group(tenant="acorn", group=Group(name="first"), by="dealer")
            written.set()
            go.wait(10)
        connection.close()

    writer = threading.Thread(target=slowly)
    writer.start()
    assert written.wait(10)
    accounts.set_up_group(tenant="acorn", group=Group(name="second"), by="dealer")
    tenant.delete(streams.commands_key(tenant="acorn"))
    services.sweep(tenant="acorn", now=timezone.now() + LATER)
    assert {envelope.command.group.name for envelope in _told(tenant)} == {"second"}
    go.set()
    writer.join()
    tenant.delete(streams.commands_key(tenant="acorn"))
    services.sweep(tenant="acorn", now=timezone.now() + LATER)
    assert "first" in {envelope.command.group.name for envelope in _told(tenant)}


def test_an_answer_without_an_event_is_heard_too(tenant: Any) -> None:
    accounts.set_up_group(tenant="acorn", group=Group(name="mixed"), by="dealer")
    tenant.delete(streams.commands_key(tenant="acorn"))
    engine = threading.Thread(target=_answer_one, args=(tenant,))
    engine.start()
    assert services.sweep(tenant="acorn", now=timezone.now() + LATER) == 1
    engine.join()
    assert OutboxCommand.objects.get().heard_at is not None


def _answer_one(server: redis.Redis) -> None:
    until_s = time.monotonic() + 10
    while not (found := _told(server)) and time.monotonic() < until_s:
        time.sleep(0.01)
    key = streams.reply_key(tenant="acorn", request_id=found[0].reply_to)
    server.rpush(key, codec.encode(Answer(command_id=found[0].command_id)))
