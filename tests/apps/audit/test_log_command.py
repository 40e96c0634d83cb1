"""`manage.py log` with what cannot be done: one line that says why, a code that is not 0, and nothing changed."""

# ruff: noqa: F811
from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError

from apps.audit import selectors
from apps.tenants.services import NoSuchTenant, named_tenants
from piggy.messaging import tree_heads, witness
from piggy.messaging.log_pages import UnableToRead
from piggy.messaging.witness import Seen
from tests.apps.audit.test_log import Book, book, trades  # noqa: F401


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("verify --tenant nobody", 2, "no broker 'nobody'"),
        ("verify --key 1234", 2, "64 hexadecimal digits"),
        ("show --tenant acorn --after 99", 3, "there is no event 99"),
        ("show --tenant acorn --until 99999999999999999999", 2, "whole number"),
        ("show --tenant acorn --after -1", 2, "whole number"),
        ("show --tenant acorn --as-of ²", 2, "neither a seq nor a time"),
        ("balance --tenant acorn --as-of 9223372036854775808", 2, "neither a seq nor a time"),
        ("balance --tenant acorn --as-of 2026-01-01T00:00:00", 2, "has no zone"),
        ("prove --tenant acorn --seq 99", 3, "No signed head covers event 99"),
        ("prove --tenant acorn --seq 0", 3, "No signed head covers event 0"),
        ("prove --tenant acorn --seq 1 --later 2", 3, "no signed heads"),
        ("export --tenant acorn --output {there}", 3, "exists"),
        ("export --tenant acorn --output {there}/log.jsonl", 3, "Not a directory"),
        ("rebuild --tenant acorn --name nothing", 2, "no projection 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_with_a_code(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, code: int, says: str
) -> None:
    monkeypatch.setattr("apps.audit.management.commands.log.become_owner", lambda: None)
    book.write(*trades(1))
    (there := tmp_path / "there").write_text("kept")
    with pytest.raises(CommandError) as refused:
        call_command("log", *words.format(there=there).split(" "))
    assert says in str(refused.value)
    assert getattr(refused.value, "returncode", 1) in (code, 1 if code == 2 else code)
    assert there.read_text() == "kept", "an export never adds to a file that is there"


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (BrokenPipeError(), 3, "has stopped"),
        (OperationalError("the database is away"), 3, "the database is away"),
        (tree_heads.UnableToReadKey("not a key"), 3, "not a key"),
        (ImproperlyConfigured("DATABASE_OWNER_URL must be set"), 2, "DATABASE_OWNER_URL"),
    ],
)
def test_what_goes_wrong_outside_is_said_in_a_line_with_a_code(
    acorn: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, says: str
) -> None:
    monkeypatch.setattr("apps.audit.management.commands.log.os.dup2", Mock())
    monkeypatch.setattr(selectors, "verify", Mock(side_effect=error))
    with pytest.raises(CommandError, match=says) as refused:
        call_command("log", "verify", "--tenant", "acorn")
    assert refused.value.returncode == code


def test_a_log_that_cannot_be_read_to_its_end_leaves_no_file_of_its_beginning(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.write(*trades(2))
    told = selectors.plain

    def broken(*, row: Any) -> dict[str, Any]:
        if row.recorded.seq > 1:
            raise UnableToRead("event 2 is altered", seq=2)
        return told(row=row)

    monkeypatch.setattr(selectors, "plain", broken)
    with pytest.raises(CommandError, match="event 2 is altered"):
        call_command("log", "export", "--tenant", "acorn", "--output", str(tmp_path / "log.jsonl"))
    assert list(tmp_path.iterdir()) == []


def test_f_27_the_log_of_a_broker_that_is_switched_off_is_checked_and_read_and_that_it_is_off_is_said(
    book: Book, owner_sql: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("apps.audit.management.commands.log.become_owner", lambda: None)
    book.write(*trades(1))
    off = "update public.tenants_tenant set is_active = {}, setup_error = '{}' where schema_name = 'acorn'"
    owner_sql(off.format("false", "Wrong:\n no such column"))
    said = "acorn is switched off: Wrong: no such column"
    try:
        for words in (["verify", "--tenant", "acorn"], ["verify"], ["show", "--tenant", "acorn"]):
            call_command("log", *words)
            told = capsys.readouterr()
            assert said in told.err
            assert ("acorn: whole" if words[0] == "verify" else '"seq": 1') in told.out
        call_command("log", "export")
        assert capsys.readouterr() == ("", ""), "nobody asked for it by name"
        with pytest.raises(CommandError, match=said) as refused:
            call_command("log", "rebuild", "--tenant", "acorn")
        assert refused.value.returncode == 3
        with pytest.raises(NoSuchTenant, match=said):
            named_tenants(schema="acorn")
    finally:
        owner_sql(off.format("true", ""))


def test_f_27_a_log_that_cannot_be_read_at_all_keeps_no_other_from_being_checked(
    book: Book, birch: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    book.write(*trades(1))
    verify, missing = selectors.verify, psycopg.errors.UndefinedTable("there is no event_log")
    monkeypatch.setattr(
        selectors, "verify", lambda **asked: _raise(missing) if asked["tenant"] == "acorn" else verify(**asked)
    )
    with pytest.raises(CommandError, match="not whole: acorn$"):
        call_command("log", "verify")
    told = capsys.readouterr().out
    assert "acorn: CANNOT BE READ: there is no event_log" in told
    assert "birch: whole" in told


def _raise(error: Exception) -> Any:
    raise error


def test_two_brokers_are_exported_into_one_file(book: Book, birch: Any, tmp_path: Path) -> None:
    book.write(*trades(1))
    call_command("log", "export", "--output", str(tmp_path / "log.jsonl"))
    assert {json.loads(line)["tenant"] for line in (tmp_path / "log.jsonl").read_text().splitlines()} == {"acorn"}


def test_f_34_a_log_that_lost_its_end_is_not_whole_until_somebody_accepts_it(
    book: Book, tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.PIGGY_HOME = tmp_path
    book.write(*trades(2))
    told = {"tenant": "acorn", "orders": 2, "hedges": 0, "seen_at_us": 1_700_000_000_000_000}
    accept = ["log", "accept", "--tenant", "acorn", "--by", "ann", "--reason", "the disk died"]
    for seq, digest, lost in ((5, book.hashes[4], False), (5, b"other", True), (6, book.hashes[4], True)):
        witness.tell(home=tmp_path, said=Seen(seq=seq, hash=digest, **told))
        if lost:
            with pytest.raises(CommandError, match="not whole: acorn"):
                call_command("log", "verify", "--tenant", "acorn")
            assert f"NOT ALL: event {seq} was acknowledged by 2023-11-14" in capsys.readouterr().out
        else:
            call_command("log", "verify", "--tenant", "acorn")
            with pytest.raises(CommandError, match="has all that was acknowledged"):
                call_command(*accept)
            assert witness.acceptance(home=tmp_path, tenant="acorn") is None
    call_command(*accept)
    said = witness.acceptance(home=tmp_path, tenant="acorn")
    assert said is not None and (said.log_seq, said.log_hash, said.by) == (5, book.hashes[-1], "ann")
    assert (said.lost_seq, said.lost_hash) == (6, book.hashes[4])
    witness.path_of(home=tmp_path, tenant="acorn").write_text("{")
    with pytest.raises(CommandError, match="not whole: acorn"):
        call_command("log", "verify", "--tenant", "acorn")
    assert "acorn.json cannot be read" in capsys.readouterr().out
