"""F-29: a database that is stopped, or whose line is cut, says nothing for ever; nobody waits for it that long."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from apps.tenants.backend import pool
from apps.tenants.services import in_tenant, patience
from apps.users.models import User

# To the client a statement that takes long is as silent as a server that is stopped.
SILENCE, SILENCE_S = "SELECT pg_sleep(28)", 28


def ask(text: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone() if cursor.description else None


def test_f_29_who_waits_for_a_silent_database_is_let_go_in_time(acorn: Any) -> None:
    with in_tenant("acorn"):
        began_s = time.monotonic()
        with pytest.raises(OperationalError, match="does not answer"), patience(seconds=0.3), transaction.atomic():
            User.objects.create(username="nobody")
            ask(SILENCE)
        assert 0.3 <= time.monotonic() - began_s < SILENCE_S - 3
        # On a line of its own: the late answer would be taken for that of the next statement.
        assert ask("SELECT 7") == (7,)
        assert not User.objects.exists()


def test_what_nobody_waits_for_any_more_ends_at_the_server_too(acorn: Any) -> None:
    """Callers are told to ask again in a second: what they gave up would pile up behind a server that is only slow."""
    line = ask("SELECT pg_backend_pid()")
    with pytest.raises(OperationalError, match="does not answer"), patience(seconds=0.3):
        ask(SILENCE)
    connection.close()
    until_s = time.monotonic() + SILENCE_S - 3
    while ask(f"SELECT 1 FROM pg_stat_activity WHERE pid = {line[0]}"):
        assert time.monotonic() < until_s, "it goes on for as long as a statement may"
        time.sleep(0.1)


def test_patience_ends_with_its_block_and_a_statement_that_fails_keeps_its_line(acorn: Any) -> None:
    line = ask("SELECT pg_backend_pid()")
    with pytest.raises(OperationalError, match="statement timeout"), transaction.atomic():
        ask("SET LOCAL statement_timeout = 50")
        ask(SILENCE)
    with patience(seconds=60):
        assert ask("SELECT pg_backend_pid()") == line
    with patience(seconds=0.1):
        pass
    ask("SELECT pg_sleep(0.3)")
    assert ask("SELECT pg_backend_pid()") == line


def test_f_29_nobody_waits_longer_than_the_server_lets_a_statement_take(
    acorn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask("SHOW statement_timeout") == ("30s",)
    assert pool.SILENCE_S_MAX > 30
    monkeypatch.setattr(pool, "_silence_s", ContextVar("short", default=0.2))
    with pytest.raises(OperationalError, match="does not answer"):
        ask(SILENCE)
