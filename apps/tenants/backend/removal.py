"""A broker that is removed: every table of its schema goes into files first, for whoever has to keep records."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

from django.db import connection
from psycopg import sql

from apps.tenants.backend import wall

# Made of the log, or of what the market said: no record of anybody's.
LEFT_OUT = ("engine_snapshot", "engine_tape")
TABLES = """
SELECT relname FROM pg_class
 WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> ALL(%s)
 ORDER BY relname
"""
NOTED = "SELECT EXISTS (SELECT FROM guard.removed_broker WHERE schema_name = %s)"


def archive(*, schema: str, folder: Path) -> dict[str, str]:
    """Write each table as CSV (gzip) into `folder`, on the disk before it returns; the SHA-256 of each file's text.

    Needs the owner's connection. Raises OSError.
    """
    with connection.cursor() as cursor:
        cursor.execute(TABLES, [schema, list(LEFT_OUT)])
        names = [name for (name,) in cursor.fetchall()]
    # A context lasts for minutes, so each table has its own.
    return {name: _write(schema, name, folder / f"{name}.csv.gz") for name in names}


def drop(*, schema: str) -> None:
    """Drop a schema with all in it, for good, within the transaction that is open. Needs the owner's connection."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO guard.removed_broker (schema_name) VALUES (%s)", [schema])
        cursor.execute(f"DROP SCHEMA {connection.ops.quote_name(schema)} CASCADE")


def was_dropped(*, schema: str) -> bool:
    """Return whether a broker of that name was dropped. Needs the owner's connection."""
    with connection.cursor() as cursor:
        cursor.execute(NOTED, [schema])
        return bool(cursor.fetchone()[0])


def _write(schema: str, name: str, path: Path) -> str:
    digest = hashlib.sha256()
    query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT csv, HEADER)").format(sql.Identifier(schema, name))
    with wall.context_of(schema), connection.cursor() as cursor, path.open("xb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb") as packed, cursor.connection.cursor().copy(query) as rows:
            for data in rows:
                digest.update(data)
                packed.write(data)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
