"""Bring the database to the state of the code, and skip that when it is there already."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from piggy.local import processes
from piggy.local.environment import ROOT

# What decides over the schema: the migrations and what is run after them; and what makes the demo's data.
SCHEMA_SOURCES = ("apps/*/migrations/**/*.py", "apps/tenants/**/*.py", "piggy/settings/installed.py")
DEMO_SOURCES = ("apps/*/management/commands/demo*.py", "apps/*/demo/*.py")
LOOK_S = 0.1
STOP_STEPS = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))


class UnableToMigrate(Exception):
    """A migration or the demo failed; the message is the end of what it said."""


class Stopped(Exception):
    """Somebody said to stop meanwhile; the message says what was not finished."""


def digest(*, patterns: tuple[str, ...]) -> str:
    """Return a short digest of the sources named by these patterns."""
    found = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in ROOT.glob(pattern)}):
        found.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


def state(*, owner_url: str) -> str:
    """Return what the last finished migration wrote on the database itself; it goes when the database goes."""
    with psycopg.connect(owner_url, connect_timeout=10) as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    return str(row[0]) if row and row[0] else ""


def switched_off(*, owner_url: str) -> list[str]:
    """Return the brokers whose schema could not be migrated, each with the reason."""
    with psycopg.connect(owner_url, connect_timeout=10) as connection:
        rows = connection.execute(
            "SELECT schema_name, setup_error FROM public.tenants_tenant WHERE setup_error <> '' ORDER BY schema_name"
        ).fetchall()
    return [f"{name} IS OFF, its schema could not be migrated: {why}" for name, why in rows]


def put_state(*, owner_url: str, text: str) -> None:
    """Write `text` on the database."""
    with psycopg.connect(owner_url, connect_timeout=10, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text)))


def manage(
    *arguments: str, env: Mapping[str, str], python: Path, log: Path, stopped: threading.Event | None = None
) -> None:
    """Run one management command with its output in `log`; raises UnableToMigrate, and Stopped where `stopped` is set.

    Nothing is half done then: what it was doing is a transaction, and the next start goes on from there.
    """
    stopped = stopped or threading.Event()
    with log.open("ab") as output:
        child = processes.spawn(
            argv=[str(python), "manage.py", *arguments],
            cwd=ROOT,
            env=dict(env),
            output=output.fileno(),
            death_signal=signal.SIGTERM,
        )
    while child.poll() is None:
        if stopped.wait(LOOK_S):
            processes.stop(pids=[child.pid], steps=STOP_STEPS)
            child.wait()
    if stopped.is_set():
        raise Stopped(f"Stopped during {' '.join(arguments)}; the next start goes on from there.")
    if child.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise UnableToMigrate(f"manage.py {' '.join(arguments)} failed; the end of {log}:\n{tail}")
