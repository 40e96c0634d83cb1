"""Build the wall: guard schema, policies and rights, all as the owner and all repeatable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection
from psycopg import sql

from apps.tenants.backend import guard
from apps.tenants.backend.roles import app_role
from piggy.messaging.context import CONTEXT_LIFE_S, signed_context

HMAC_BLOCK_BYTES = 64


def build_guard() -> None:
    """Make or renew the guard schema and put the context key there, where the app's role cannot read it."""
    key = settings.PIGGY_CONTEXT_KEY.ljust(HMAC_BLOCK_BYTES, b"\0")
    pads = {"ipad": bytes(byte ^ 0x36 for byte in key), "opad": bytes(byte ^ 0x5C for byte in key)}
    _run(guard.GUARD)
    with connection.cursor() as cursor:
        cursor.execute(guard.DROP_POLICIES)
        cursor.execute(guard.SET_KEY, pads)


def protect(*, schema: str) -> None:
    """Enable and force row-level security with our one policy on every table of `schema`, and set the rights."""
    _run(guard.PROTECT, schema=schema)
    _run(guard.GRANT, schema=schema)


def copy_triggers(*, source: str, target: str) -> None:
    """Give a clone the triggers that clone_schema left out, firing as they do in `source`."""
    _run(guard.COPY_TRIGGERS, schema=target, source=source)


def shape(*, schema: str) -> set[tuple[str, ...]]:
    """Return what `schema` is made of, comparable with another schema's."""
    with connection.cursor() as cursor:
        cursor.execute(guard.SHAPE, {"schema": schema})
        return set(cursor.fetchall())


def protect_shared() -> None:
    """Give the app's role what it needs of the public schema and nothing more."""
    _run(guard.GRANT_SHARED)


@contextmanager
def context_of(schema: str) -> Iterator[None]:
    """Sign this connection for `schema` while the search path stays as it is; for copying a protected schema."""
    with connection.cursor() as cursor:
        context = signed_context(
            key=settings.PIGGY_CONTEXT_KEY,
            tenant=schema,
            backend_pid=connection.connection.info.backend_pid,
            expires_at_s=int(time.time()) + CONTEXT_LIFE_S,
        )
        cursor.execute("SELECT set_config('piggy.tenant', %s, false)", [context])
    try:
        yield
    finally:
        if connection.connection is not None and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('piggy.tenant', '', false)")


def _run(text: str, *, schema: str = "public", source: str = "public") -> None:
    """Run a script with names put in by psycopg, never by joining strings."""
    script = sql.SQL(text).format(  # type: ignore[arg-type]
        app=sql.Identifier(app_role()),
        schema=sql.Identifier(schema),
        schema_text=sql.Literal(schema),
        source_text=sql.Literal(source),
    )
    with connection.cursor() as cursor:
        cursor.connection.execute(script)
