"""Bring every schema to this code's shape, as the owner; skip it all when nothing changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django_tenants.utils import schema_context, schema_exists

from apps.tenants.backend import guard, wall

# Two starts at once must not both migrate.
SETUP_LOCK = 7_316_011


def fingerprint() -> str:
    """Return a hash of everything that shapes the database: migrations, guard, apps, key and role."""
    digest = hashlib.sha256()
    parts = [django.get_version(), guard.GUARD, guard.PROTECT, guard.GRANT, guard.GRANT_SHARED, guard.DROP_POLICIES]
    parts += [*settings.INSTALLED_APPS, settings.PIGGY_APP_ROLE, settings.PIGGY_CONTEXT_KEY.hex()]
    for path in sorted((Path(settings.BASE_DIR) / "apps").glob("*/migrations/*.py")):
        parts += [str(path.relative_to(settings.BASE_DIR)), path.read_text()]
    parts.append((Path(settings.BASE_DIR) / "apps/users/services.py").read_text())
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def stored_fingerprint() -> str:
    """Return the fingerprint of the last complete run, or ''."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('guard.setup')")
        if cursor.fetchone()[0] is None:
            return ""
        cursor.execute("SELECT fingerprint FROM guard.setup")
        row = cursor.fetchone()
        return str(row[0]) if row else ""


def store_fingerprint(value: str) -> None:
    """Remember that everything up to `value` is done."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO guard.setup (fingerprint) VALUES (%s) "
            "ON CONFLICT (only_row) DO UPDATE SET fingerprint = excluded.fingerprint",
            [value],
        )


def migrate_shared(*, verbosity: int) -> None:
    """Guard first, because tables of a tenant name its functions; then the public schema."""
    wall.build_guard()
    call_command("migrate_schemas", schema_name="public", interactive=False, verbosity=verbosity - 1)
    wall.protect_shared()


def migrate_schema(*, schema: str, verbosity: int) -> None:
    """Migrate one tenant's schema and protect whatever tables it has now."""
    connection.set_schema_to_public()
    if not schema_exists(schema):
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {connection.ops.quote_name(schema)}")
    call_command("migrate_schemas", schema_name=schema, interactive=False, verbosity=verbosity - 1)
    connection.set_schema_to_public()
    wall.protect(schema=schema)
    with schema_context(schema):
        from apps.users.services import sync_roles

        sync_roles()
