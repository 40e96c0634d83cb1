"""Refuse servers on which the broker would not be safe, and say what to change."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
import redis

from piggy.messaging import installation

POSTGRES_VERSION_MIN = 150_000
# What a commit must mean; with data_sync_retry PostgreSQL would go on after a failed fsync and call lost pages written.
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_sync_retry": "off"}
# To wait for a standby besides is more than is asked.
MORE = {"synchronous_commit": ("remote_apply",)}


class UnableToUseServer(Exception):
    """A server is unreachable or set up in a way that would lose orders or mix tenants; the message says what to do."""


def addresses(*, env: Mapping[str, str]) -> None:
    """Refuse half an answer: with a database of one's own both roles must be named."""
    if env.get("DATABASE_URL") and not env.get("DATABASE_OWNER_URL"):
        raise UnableToUseServer(
            "DATABASE_URL is set but DATABASE_OWNER_URL is not. Set it to the address of the role that owns the "
            "database (migrations run as the owner; the broker itself must not be the owner), or unset both to use "
            "the embedded PostgreSQL."
        )


def queue(*, url: str) -> None:
    """Refuse a Redis that may forget keys: streams there are queues of orders."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "")
    except redis.ResponseError as error:
        raise UnableToUseServer(
            f"The Redis at REDIS_URL does not say its eviction policy ({error}); allow CONFIG GET for this user."
        ) from error
    except redis.RedisError as error:
        raise UnableToUseServer(f"The Redis at REDIS_URL does not answer: {error}.") from error
    if policy != "noeviction":
        raise UnableToUseServer(
            f"The Redis at REDIS_URL evicts keys when full (maxmemory-policy is {policy}): orders on its streams could "
            "vanish. Run `CONFIG SET maxmemory-policy noeviction` and write the same into its configuration."
        )


def own_queue(*, redis_url: str, database_url: str, is_embedded: bool) -> None:
    """Refuse the Redis of another installation; the embedded one is ours, whatever database it served before."""
    try:
        with psycopg.connect(database_url, connect_timeout=10) as connection:
            row = connection.execute(installation.IDENTITY).fetchone()
        assert row is not None
        claim = installation.Claim(redis_url=redis_url, identity=row[0])
        try:
            if is_embedded:
                claim.take()
            claim.look()
        finally:
            claim.close()
    except psycopg.OperationalError as error:
        raise UnableToUseServer(f"The PostgreSQL at DATABASE_URL does not answer: {error}") from error
    except redis.RedisError as error:
        raise UnableToUseServer(f"The Redis at REDIS_URL does not answer: {error}.") from error
    except installation.UnableToShare as error:
        raise UnableToUseServer(str(error)) from error


def durable(*, url: str) -> None:
    """Refuse a PostgreSQL on which what is committed may be lost, or a failed fsync be tried again (F-22)."""
    query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            found: dict[str, str] = dict(connection.execute(query, (list(DURABLE),)).fetchall())
    except psycopg.OperationalError as error:
        raise UnableToUseServer(f"The PostgreSQL at DATABASE_URL does not answer: {error}") from error
    wrong = [
        f"{name} = {wanted}" for name, wanted in DURABLE.items() if found[name] not in (wanted, *MORE.get(name, ()))
    ]
    if wrong:
        raise UnableToUseServer(f"PostgreSQL would not keep what it says is committed. Set: {', '.join(wrong)}.")


def roles(*, app_url: str, owner_url: str) -> None:
    """Refuse an app role on which row-level security would not bind, and an owner that cannot migrate."""
    owner = _ask(owner_url, "DATABASE_OWNER_URL")
    app = _ask(app_url, "DATABASE_URL")
    name = app["role"]
    complaints = [
        (app["role"] == owner["role"], f"use two roles: DATABASE_URL and DATABASE_OWNER_URL both connect as {name}"),
        (app["is_superuser"], f"ALTER ROLE {name} NOSUPERUSER"),
        (app["bypasses"], f"ALTER ROLE {name} NOBYPASSRLS"),
        (app["owns"], f"ALTER DATABASE ... OWNER TO {owner['role']} (or another role that is not {name})"),
        (app["inherits"], f"REVOKE {owner['role']} FROM {name}, and every other role that owns tables or may bypass"),
    ]
    wrong = list(dict.fromkeys(remedy for is_wrong, remedy in complaints if is_wrong))
    if wrong:
        raise UnableToUseServer(
            f"Row-level security would not hold for the app's role {name}. Change:\n  " + "\n  ".join(wrong)
        )
    if int(str(app["version"])) < POSTGRES_VERSION_MIN:
        raise UnableToUseServer("PostgreSQL 15 or newer is needed.")


def _ask(url: str, name: str) -> dict[str, object]:
    """Return what the server says about the role of `url`."""
    query = """
        SELECT current_user AS role, r.rolsuper AS is_superuser, r.rolbypassrls AS bypasses,
               d.datdba = r.oid AS owns, current_setting('server_version_num')::int AS version,
               EXISTS (SELECT 1 FROM pg_roles o WHERE o.oid <> r.oid AND pg_has_role(r.oid, o.oid, 'MEMBER')
                       AND (o.rolsuper OR o.rolbypassrls OR o.oid = d.datdba)) AS inherits
          FROM pg_roles r, pg_database d
         WHERE r.rolname = current_user AND d.datname = current_database()"""
    try:
        with psycopg.connect(url, connect_timeout=10, row_factory=psycopg.rows.dict_row) as connection:
            row = connection.execute(query).fetchone()
    except psycopg.OperationalError as error:
        raise UnableToUseServer(f"The PostgreSQL at {name} does not answer: {error}") from error
    assert row is not None
    return row
