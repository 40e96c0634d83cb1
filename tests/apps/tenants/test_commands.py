"""What operators get wrong on the command line: said by name and limit, in a line, with nothing half made."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from apps.tenants import selectors, services
from apps.tenants.backend import setup
from apps.tenants.models import Domain, Tenant

ROOT = Path(__file__).resolve().parents[3]
NEW = ("tenant", "create")


@pytest.mark.parametrize(
    ("asked", "says", "code"),
    [
        ((*NEW, "Bad-Name", "--domain", "x.localhost"), "schema 'Bad-Name': 2 to 31 characters: lower case letters", 1),
        ((*NEW, "pg_x", "--domain", "x.localhost"), "schema_name: ", 1),
        ((*NEW, "third", "--domain", "not a host"), "domain 'not a host' is no host name", 1),
        ((*NEW, "third", "--domain", ""), "domain '' is no host name", 1),
        ((*NEW, "third", "--domain", "ACORN.localhost:80"), "acorn.localhost belongs to another broker", 1),
        ((*NEW, "third", "--domain", "x.localhost", "--shard", "a,b"), "shard 'a,b': 1 to 40 characters", 1),
        ((*NEW, "third", "--domain", "x.localhost", "--colour-primary", "red"), "colour_primary: A colour is", 1),
        ((*NEW, "third", "--domain", "x.localhost", "--name", "n" * 81), "name: Ensure this value has at most 80", 1),
        (("tenant", "move", "acorn", "--to", "*", "--unserved"), "shard '*': 1 to 40 characters", 1),
        (("tenant", "move", "acorn", "--to=-", "--unserved"), "shard '-' is of brokers that are being removed", 1),
        (("suspend", "acorn", "--reason", " "), "The reason has 1 characters, it needs 1 to 500.", 1),
        (("suspend", "acorn", "--reason", "x" * 501), "The reason has 501 characters, it needs 1 to 500.", 1),
        (("sync_engine", "--tenant", "nobody"), "There is no broker 'nobody'.", 2),
        (("sync_engine", "--tenant", "public"), "There is no broker 'public'.", 2),
        (("rotate_keys", "--tenant", "nobody"), "There is no broker 'nobody'.", 2),
        (("rotate_keys", "--rows", "-1"), "--rows: '-1' is not a whole number from 1 to 10000", 1),
        (("lab", "nobody", "2026-11-20"), "There is no broker 'nobody'.", 2),
        (("lab", "acorn", "soon"), "day: Invalid isoformat string: 'soon'", 2),
        (("lab", "acorn", "9999-12-31T23:59"), "day: date value out of range", 2),
        (("lab", "acorn", "2023-11-14", "--hours", "25"), "--hours: '25' is not a whole number from 1 to 24", 1),
        (("lab", "acorn", "2999-12-31"), "begins_at: Only what is over can be replayed.", 1),
    ],
)
def test_it_is_refused_by_name_and_limit_and_nothing_is_made(
    acorn: Any, owner_sql: Callable[..., list[Any]], asked: tuple[str, ...], says: str, code: int
) -> None:
    schemas = "select nspname from pg_namespace order by 1"
    before = owner_sql(schemas), Tenant.objects.count(), Domain.objects.count()
    with pytest.raises(CommandError) as refused:
        call_command(*asked, stdout=StringIO())
    assert says in str(refused.value) and refused.value.returncode == code
    assert (owner_sql(schemas), Tenant.objects.count(), Domain.objects.count()) == before


# One server has the databases of all test workers.
HERE = "database = (select oid from pg_database where datname = current_database())"
WAITS = f"select count(*) from pg_locks where locktype = 'advisory' and not granted and objid = %s and {HERE}"
TAKEN = """
insert into public.tenants_domain (domain, tenant_id, is_primary)
select 'elm.localhost', id, false from public.tenants_tenant where schema_name = 'acorn'
"""


DROPPED = "insert into guard.removed_broker values ('elm')"
BELONGS, REMOVED = "elm.localhost belongs to another broker.", "elm was removed: secrets of its clients would be "


@pytest.mark.parametrize(
    ("asked", "meanwhile", "says"),
    [
        ((*NEW, "elm"), TAKEN, BELONGS),
        ((*NEW, "elm"), DROPPED, REMOVED),
        (("tenant", "rename", "birch"), TAKEN, BELONGS),
    ],
)
def test_t_22_two_who_ask_for_the_same_at_once_take_turns_and_the_second_hears_why(
    acorn: Any, birch: Any, owner_sql: Callable[..., list[Any]], asked: tuple[str, ...], meanwhile: str, says: str
) -> None:
    """Nor is a broker made of a template that is being migrated: set-up holds the same lock."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as other:
        other.execute("select pg_advisory_lock(%s)", [setup.SETUP_LOCK])
        other.execute(meanwhile)
        command = [sys.executable, "manage.py", *asked, "--domain", "elm.localhost"]
        second = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        try:
            until_s = time.monotonic() + 240
            while owner_sql(WAITS, [setup.SETUP_LOCK]) == [(0,)]:
                assert second.poll() is None and time.monotonic() < until_s, "it waits for nobody"
                time.sleep(0.05)
            other.commit()
            other.execute("select pg_advisory_unlock(%s)", [setup.SETUP_LOCK])
            _, said = second.communicate(timeout=240)
        finally:
            second.kill()
            second.wait()
            owner_sql("drop schema if exists elm cascade")
            owner_sql("delete from public.tenants_domain where domain = 'elm.localhost'")
            owner_sql("delete from public.tenants_tenant where schema_name = 'elm'")
            owner_sql("delete from guard.removed_broker where schema_name = 'elm'")
            selectors.forget_hosts()
    assert (second.returncode, f"CommandError: {says}" in said) == (1, True)


def test_the_broker_that_is_named_is_the_only_one_whatever_its_shard(acorn: Any) -> None:
    assert services.named_tenants(schema="acorn", shard="elsewhere") == ["acorn"]
    assert services.named_tenants() == ["acorn", "birch"] and services.named_tenants(shard="elsewhere") == []


def test_a_broker_is_made_in_a_session_that_no_further_one_is_made_in(
    acorn: Any, owner_sql: Callable[..., list[Any]]
) -> None:
    """What PostgreSQL planned for one would slow down the next, and the fiftieth most."""
    try:
        call_command(*NEW, "elm", "--domain", "elm.localhost", stdout=StringIO())
        assert connection.connection is None
        assert "elm" in selectors.active_schemas()
    finally:
        for table, column in (("domain", "domain"), ("tenant", "schema_name")):
            owner_sql(f"delete from public.tenants_{table} where {column} like 'elm%'")
        owner_sql("drop schema if exists elm cascade")
