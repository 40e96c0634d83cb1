"""The public schema: the app reads what is ours there, calls nothing, and what an extension put there stops nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from apps.tenants.backend import guard
from tests.apps.tenants.test_restoring import superuser as superuser

FOREIGN = """
CREATE FUNCTION public.of_an_extension() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE VIEW public.seen_by_an_extension AS SELECT 1 AS one;
GRANT SELECT ON public.seen_by_an_extension TO PUBLIC;
"""
GONE = "DROP FUNCTION public.of_an_extension(); DROP VIEW public.seen_by_an_extension"
OURS = """
SELECT proname, has_function_privilege(%s, oid, 'EXECUTE') FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND pg_has_role('piggy_owner', proowner, 'USAGE') AND prokind <> 'p'
"""


@pytest.fixture
def extension(database: None, superuser: str) -> Iterator[None]:
    """What another owner made in the public schema."""
    with psycopg.connect(superuser, autocommit=True) as link:
        link.execute(FOREIGN)
        yield
        link.execute(GONE)


def test_an_extension_in_the_public_schema_is_left_alone_and_ours_is_closed(extension: None, owner_sql: Any) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as app:
        role = app.info.user
    owner_sql("GRANT EXECUTE ON FUNCTION public.clone_schema(text, text, cloneparms[]) TO PUBLIC")
    owner_sql(f"GRANT DELETE ON public.tenants_tenant TO {role}")
    owner_sql(sql.SQL(guard.GRANT_SHARED).format(app=sql.Identifier(role)))
    functions = owner_sql(OURS, [role])
    assert "clone_schema" in {name for name, _ in functions}
    assert [name for name, may_call in functions if may_call] == []
    ((reads, deletes),) = owner_sql(
        "SELECT has_table_privilege(%s, 'public.tenants_tenant', 'SELECT'),"
        " has_table_privilege(%s, 'public.tenants_tenant', 'DELETE')", [role, role],
    )  # fmt: skip
    assert reads and not deletes
