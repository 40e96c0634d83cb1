"""Real servers for the tests: one PostgreSQL per run, a database and a Valkey per worker, the app's own role.

A test that works in a broker's schema asks for the fixture `acorn` or `birch`. Its transactions are real; what it wrote
is taken away afterwards by the owner.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django
import hypothesis
import psycopg
import pytest
from psycopg import sql

# A machine under load, or coverage, must not make a property look broken.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parents[1]
BASE = "piggy_test"
# These need no servers or, as the engine whose tests empty and kill them, bring their own.
SERVERLESS = (
    "tests/core",
    "tests/engine",
    "tests/messaging",
    "tests/house",
    "tests/local",
    "tests/adapters",
    "tests/simulator",
)
# What a template schema is born with; everything else a test wrote is taken away.
BORN_WITH = (
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
    "treasury_glaccount",
)


def _clear_away_data_of_deleted_homes() -> None:
    """Where root's servers keep data outside of a test's folder, nobody else takes them away with it."""
    for note in Path("/var/lib/piggy-broker").glob("*/home"):
        home = Path(note.read_text())
        if home.is_relative_to(tempfile.gettempdir()) and not home.exists():
            shutil.rmtree(note.parent, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers (in the main process only) and point the settings at this worker's database."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "piggy.settings.test"
    if not _needs_servers(config):
        return
    worker = getattr(config, "workerinput", None)
    if worker is None:
        _clear_away_data_of_deleted_homes()
        _start_services(config)
    elif "DATABASE_OWNER_URL" in os.environ:
        _own_database(name=f"{BASE}_{worker['workerid']}")
        _own_valkey(config)
    # Only now do the settings have their addresses; pytest-django takes over from configured settings.
    django.setup()
    if worker is None and getattr(config.option, "numprocesses", None):
        # A worker that inherited the name would read the settings before its own database has an address.
        del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    services = getattr(config, "piggy_services", None)
    if services is not None:
        services.stop()


def _needs_servers(config: pytest.Config) -> bool:
    if getattr(config, "workerinput", None) is not None:
        return True
    if config.option.help or config.option.version:
        return False
    wanted = [str(Path(arg.split("::")[0]).absolute().relative_to(ROOT)) for arg in config.args if _is_inside(arg)]
    return not wanted or not all(path.startswith(SERVERLESS) for path in wanted)


def _is_inside(arg: str) -> bool:
    return Path(arg.split("::")[0]).absolute().is_relative_to(ROOT)


def _start_services(config: pytest.Config) -> None:
    from piggy.local.services import LocalServices

    home = Path(os.environ.get("PIGGY_TEST_HOME") or tempfile.mkdtemp(prefix="piggy-test-"))
    services = LocalServices(home=home, fast=True).start()
    config.piggy_services = services  # type: ignore[attr-defined]
    os.environ["REDIS_URL"] = services.redis_url
    os.environ["PIGGY_HOME"] = str(home / "home")
    os.environ["DATABASE_URL"] = _with_database(services.database_url, BASE)
    os.environ["DATABASE_OWNER_URL"] = _with_database(services.owner_url, BASE)
    with psycopg.connect(services.owner_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(BASE)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(BASE)))
    for command in (
        ["setup_database"],
        ["tenant", "create", "acorn", "--name", "Acorn Markets", "--domain", "acorn.localhost"],
        ["tenant", "create", "birch", "--name", "Birch Capital", "--domain", "birch.localhost"],
    ):
        done = subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise pytest.UsageError(f"manage.py {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _own_database(*, name: str) -> None:
    """Copy the prepared database for one xdist worker."""
    owner_url = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(_with_database(owner_url, "postgres"), autocommit=True) as connection:
        for text in ("DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {} TEMPLATE {}"):
            names = [sql.Identifier(name), sql.Identifier(BASE)][: text.count("{}")]
            connection.execute(sql.SQL(text).format(*names))
    os.environ["DATABASE_OWNER_URL"] = _with_database(owner_url, name)
    os.environ["DATABASE_URL"] = _with_database(os.environ["DATABASE_URL"], name)


def _own_valkey(config: pytest.Config) -> None:
    """Start one for this worker: what is published is heard in all databases of a server, other tests' quotes too."""
    from piggy.local.services import LocalServices

    home = Path(tempfile.mkdtemp(prefix="piggy-test-"))
    services = LocalServices(home=home, fast=True, with_postgres=False).start()
    config.piggy_services = services  # type: ignore[attr-defined]
    os.environ["REDIS_URL"] = services.redis_url


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The database is made in pytest_configure, by the owner; pytest-django must not make another."""


@pytest.fixture
def database(django_db_blocker: Any) -> Iterator[None]:
    """Real database access, in public, with real commits; no broker's rows are taken away."""
    from django.db import connection

    with django_db_blocker.unblock():
        connection.set_schema_to_public()
        yield
        connection.close()
        connection.set_schema_to_public()


@pytest.fixture
def owner_sql() -> Iterator[Callable[..., list[Any]]]:
    """Run SQL as the owner of the schemas, past the app's role: `owner_sql("select ...", [params]) -> rows`."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:

        def run(text: str, params: Any = None) -> list[Any]:
            cursor = connection.execute(text, params)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def acorn(database: None) -> Iterator[Any]:
    """The broker Acorn (schema acorn, host acorn.localhost), empty but for its roles."""
    yield from _tenant("acorn")


@pytest.fixture
def birch(database: None) -> Iterator[Any]:
    """The broker Birch (schema birch, host birch.localhost): the twin that must never be seen."""
    yield from _tenant("birch")


@pytest.fixture
def as_tenant() -> Callable[[str], AbstractContextManager[None]]:
    """`with as_tenant("acorn"): ...` works in that broker's schema."""
    from apps.tenants.services import in_tenant

    return in_tenant


@pytest.fixture
def redis_server(acorn: Any) -> Iterator[Any]:
    """A client of the run's Valkey; emptied afterwards. Not for tests that share a worker's server with others."""
    import redis
    from django.conf import settings

    client = redis.Redis.from_url(settings.REDIS_URL)
    yield client
    for name in client.scan_iter("{acorn}:*"):
        client.delete(name)
    client.close()


def _tenant(schema: str) -> Iterator[Any]:
    from django.core.cache import cache

    from apps.tenants.models import Tenant

    tenant = Tenant.objects.get(schema_name=schema)
    yield tenant
    cache.clear()
    _empty(schema)


def _empty(schema: str) -> None:
    """Take away what a test wrote, as the owner: append-only tables too."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r' "
            "AND relname <> ALL(%s) AND pg_relation_size(oid) > 0",
            [schema, list(BORN_WITH)],
        ).fetchall()
        if not tables:
            return
        names = sql.SQL(", ").join(sql.Identifier(schema, name) for (name,) in tables)
        # As owner the triggers still fire, so they are put aside for this one transaction.
        for (name,) in tables:
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(schema, name)))
        connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
        for (name,) in tables:
            connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(sql.Identifier(schema, name)))
        always = connection.execute(
            "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_class m ON m.relname = c.relname AND m.relnamespace = 'template'::regnamespace "
            "JOIN pg_trigger o ON o.tgrelid = m.oid AND o.tgname = t.tgname AND o.tgenabled = 'A' "
            "WHERE c.relnamespace = %s::regnamespace AND t.tgenabled <> 'A'",
            [schema],
        ).fetchall()
        for table, trigger in always:
            connection.execute(
                sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(
                    sql.Identifier(schema, table), sql.Identifier(trigger)
                )
            )
