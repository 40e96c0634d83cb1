"""The second wall: forced row-level security with the signed context (T-03, T-04, T-21, E-14)."""

from __future__ import annotations

import os
import time
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connection

from apps.tenants.backend import wall
from apps.users.selectors import ROLES
from piggy.messaging.context import signed_context

APP_TABLE_RIGHTS_NEVER = ("TRUNCATE", "REFERENCES", "TRIGGER")
SCHEMAS = ("acorn", "birch", "template")

UNPROTECTED = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND
  (SELECT count(*) = 1 AND bool_and(p.polcmd = '*' AND p.polpermissive AND p.polroles = ARRAY[0::oid]
      AND pg_get_expr(p.polqual, c.oid) = format('(( SELECT guard.tenant() AS tenant) = %%L::text)', n.nspname)
      AND pg_get_expr(p.polwithcheck, c.oid) = format('(( SELECT guard.tenant() AS tenant) = %%L::text)', n.nspname))
   FROM pg_policy p WHERE p.polrelid = c.oid))
"""
FORBIDDEN = (
    "SET ROLE piggy_owner",
    "ALTER TABLE birch.auth_group DISABLE ROW LEVEL SECURITY",
    "CREATE OR REPLACE FUNCTION guard.tenant() RETURNS text LANGUAGE sql AS 'SELECT NULL'",
    "DELETE FROM acorn.event_log",
    "TRUNCATE acorn.event_log",
    "SET row_security = off; SELECT * FROM birch.auth_group",
)
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"


def context(*, tenant: str = "acorn", pid: int, seconds: int = 60, key: bytes | None = None) -> str:
    return signed_context(
        key=key or settings.PIGGY_CONTEXT_KEY, tenant=tenant, backend_pid=pid, expires_at_s=int(time.time()) + seconds
    )


@pytest.fixture
def app() -> Any:
    """A bare connection of the app's role, as injected SQL would have it."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as opened:
        yield opened


def groups_seen(app: Any, value: str | None) -> int:
    if value is not None:
        app.execute("SELECT set_config('piggy.tenant', %s, false)", [value])
    return int(app.execute("SELECT count(*) FROM acorn.auth_group").fetchone()[0])


def test_every_tenant_table_is_enabled_forced_and_has_only_our_policy(database: None, owner_sql: Any) -> None:
    """T-03"""
    assert owner_sql(UNPROTECTED, [list(SCHEMAS)]) == []
    for schema in SCHEMAS:
        assert len(owner_sql(TABLES, [schema])) > 20


def test_a_new_table_without_a_policy_is_found_and_then_protected_by_the_step_after_migrate(
    database: None, owner_sql: Any
) -> None:
    """T-03: the catalogue query is what fails the build."""
    owner_sql("CREATE TABLE acorn.newcomer (id int)")
    try:
        assert owner_sql(UNPROTECTED, [list(SCHEMAS)]) == [("acorn.newcomer",)]
        as_owner(lambda: wall.protect(schema="acorn"))
        assert owner_sql(UNPROTECTED, [list(SCHEMAS)]) == []
    finally:
        owner_sql("DROP TABLE acorn.newcomer")


def test_a_policy_that_lets_through_is_replaced(database: None, owner_sql: Any) -> None:
    """T-03"""
    owner_sql("CREATE POLICY open_door ON acorn.users_user USING (true)")
    assert owner_sql(UNPROTECTED, [list(SCHEMAS)]) == [("acorn.users_user",)]
    as_owner(lambda: wall.protect(schema="acorn"))
    assert owner_sql(UNPROTECTED, [list(SCHEMAS)]) == []


def test_nothing_walks_around_a_policy(database: None, owner_sql: Any) -> None:
    """T-03: no materialized view, no view with its owner's rights, one SECURITY DEFINER with a fixed path."""
    kinds = owner_sql(
        "SELECT relname FROM pg_class WHERE relnamespace::regnamespace::text = ANY(%s) AND (relkind = 'm' OR "
        "(relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY(reloptions), false)))",
        [[*SCHEMAS, "public"]],
    )
    assert kinds == []
    definers = owner_sql(
        "SELECT p.oid::regprocedure::text, array_to_string(proconfig, ',') FROM pg_proc p "
        "JOIN pg_namespace n ON n.oid = pronamespace WHERE prosecdef AND nspname NOT IN ('pg_catalog')"
    )
    assert definers == [("guard.tenant()", "search_path=pg_catalog, pg_temp")]


def test_the_app_role_is_bound(database: None, owner_sql: Any) -> None:
    """T-03: not owner, not superuser, NOBYPASSRLS; no TRUNCATE, REFERENCES, TRIGGER or CREATE."""
    role = settings.PIGGY_APP_ROLE
    assert owner_sql("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = %s", [role]) == [(False, False)]
    rights = owner_sql(
        "SELECT DISTINCT privilege_type FROM information_schema.role_table_grants WHERE grantee = ANY(%s) "
        "AND table_schema = ANY(%s)",
        [[role, "PUBLIC"], [*SCHEMAS, "public", "guard"]],
    )
    assert {name for (name,) in rights} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    for schema in (*SCHEMAS, "public", "guard"):
        assert owner_sql("SELECT has_schema_privilege(%s, %s, 'CREATE')", [role, schema]) == [(False,)]
    on_log = owner_sql(
        "SELECT privilege_type FROM information_schema.role_table_grants WHERE grantee = %s "
        "AND table_schema = 'acorn' AND table_name = 'event_log' ORDER BY 1",
        [role],
    )
    assert on_log == [("INSERT",), ("SELECT",)]


def test_the_context_key_cannot_be_read_by_the_app_role(app: Any) -> None:
    """E-14"""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("SELECT * FROM guard.context_key")


def test_without_a_context_every_table_is_empty_and_takes_no_row(database: None, owner_sql: Any, app: Any) -> None:
    """T-04"""
    app.execute("SET search_path = acorn")
    for (table,) in owner_sql(TABLES, ["acorn"]):
        assert app.execute(f'SELECT count(*) FROM acorn."{table}"').fetchone()[0] == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("INSERT INTO acorn.auth_group (name) VALUES ('intruders')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("INSERT INTO acorn.projection_cursor (name, seq) VALUES ('intruder', 0)")


def test_a_right_context_opens_its_own_schema_and_no_other(database: None, app: Any) -> None:
    """E-14"""
    assert groups_seen(app, context(pid=app.info.backend_pid)) == len(ROLES)
    assert app.execute("SELECT count(*) FROM birch.auth_group").fetchone()[0] == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("INSERT INTO birch.auth_group (name) VALUES ('intruders')")


@pytest.mark.parametrize(
    "forged",
    [
        "acorn",
        "acorn|9999999999|",
        "acorn|9999999999|" + "0" * 64,
        "acorn|9999999999",
        "acorn|99999999999999999999|" + "0" * 64,
        "acorn|-1|" + "0" * 64,
        "||",
        "acorn|x|y|z",
        "' OR true --",
        "\\",
    ],
)
def test_forged_contexts_see_nothing(database: None, app: Any, forged: str) -> None:
    """E-14, T-21"""
    assert groups_seen(app, forged) == 0


def test_expired_foreign_and_altered_contexts_see_nothing(database: None, app: Any) -> None:
    """E-14"""
    pid = app.info.backend_pid
    good = context(pid=pid)
    tenant, expiry, mac = good.split("|")
    assert groups_seen(app, context(pid=pid, seconds=-1)) == 0, "expired"
    assert groups_seen(app, context(pid=pid + 1)) == 0, "another backend's"
    assert groups_seen(app, context(pid=pid, key=bytes(32))) == 0, "another key's"
    assert groups_seen(app, context(pid=pid, tenant="birch")) == 0, "another tenant's"
    assert groups_seen(app, f"{tenant}|{int(expiry) + 1}|{mac}") == 0, "prolonged"
    assert groups_seen(app, context(pid=pid, tenant="birch").replace("birch", "acorn")) == 0, "renamed"
    assert groups_seen(app, good) == len(ROLES)


def test_injected_sql_cannot_move_to_another_tenant(acorn: Any, birch: Any, as_tenant: Any) -> None:
    """T-21: what an injection in Acorn's request can do, as the app's role on Acorn's signed connection."""
    with as_tenant("acorn"), connection.cursor() as cursor:
        for attempt in (
            "SELECT count(*) FROM birch.auth_group",
            "SELECT count(*) FROM acorn.auth_group WHERE set_config('piggy.tenant', 'birch|9999999999|0', false) > '' "
            "UNION ALL SELECT count(*) FROM birch.auth_group",
            "SELECT count(*) FROM birch.auth_group, (SELECT set_config('search_path', 'birch', false)) s",
        ):
            cursor.execute(attempt)
            assert cursor.fetchall()[-1] == (0,)
            connection.close()
            connection.ensure_connection()
            cursor = connection.cursor()
    for forbidden in FORBIDDEN:
        with as_tenant("acorn"), pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute(forbidden)
        connection.close()


def as_owner(work: Any) -> None:
    """Run `work` on the Django connection as the owner, and come back."""
    from apps.tenants.backend.roles import become_owner

    kept = {**connection.settings_dict, "OPTIONS": dict(connection.settings_dict["OPTIONS"])}
    become_owner()
    try:
        work()
    finally:
        connection.close()
        connection.settings_dict.update(kept)
