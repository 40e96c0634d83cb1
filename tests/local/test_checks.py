"""Servers on which orders could be lost or tenants mixed are refused, with what to change."""

from __future__ import annotations

import contextlib

import psycopg
import pytest
import redis

from piggy.local import checks
from piggy.local.postgres import APP, SUPERUSER
from piggy.local.services import LocalServices
from piggy.messaging import installation


def test_a_redis_that_evicts_is_refused(services: LocalServices) -> None:
    checks.queue(url=services.redis_url)
    with redis.Redis.from_url(services.redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(checks.UnableToUseServer, match="CONFIG SET maxmemory-policy noeviction"):
                checks.queue(url=services.redis_url)
        finally:
            client.config_set("maxmemory-policy", "noeviction")


def test_the_redis_of_another_installation_is_refused_unless_it_is_the_embedded_one(services: LocalServices) -> None:
    urls = {"redis_url": services.redis_url, "database_url": services.database_url}
    with redis.Redis.from_url(services.redis_url) as client:
        client.set(installation.KEY, "another")
        with pytest.raises(checks.UnableToUseServer, match="is that of another installation"):
            checks.own_queue(**urls, is_embedded=False)
        checks.own_queue(**urls, is_embedded=services.has_valkey)
        checks.own_queue(**urls, is_embedded=False)
        assert client.get(installation.KEY) != b"another"
    with pytest.raises(checks.UnableToUseServer, match="REDIS_URL does not answer"):
        checks.own_queue(**urls | {"redis_url": "redis://127.0.0.1:1/0"}, is_embedded=True)
    with pytest.raises(checks.UnableToUseServer, match="DATABASE_URL does not answer"):
        checks.own_queue(**urls | {"database_url": "postgresql://127.0.0.1:1/x"}, is_embedded=False)


def test_app_roles_that_step_around_row_level_security_are_refused(services: LocalServices) -> None:
    checks.roles(app_url=services.database_url, owner_url=services.owner_url)
    with psycopg.connect(services.postgres.url(role=SUPERUSER), autocommit=True) as connection:
        for change, back, remedy in (
            ("ALTER ROLE piggy_app BYPASSRLS", "ALTER ROLE piggy_app NOBYPASSRLS", "NOBYPASSRLS"),
            ("ALTER ROLE piggy_app SUPERUSER", "ALTER ROLE piggy_app NOSUPERUSER", "NOSUPERUSER"),
            ("GRANT piggy_owner TO piggy_app", "REVOKE piggy_owner FROM piggy_app", "REVOKE piggy_owner"),
        ):
            connection.execute(change)  # type: ignore[arg-type]
            try:
                with pytest.raises(checks.UnableToUseServer, match=remedy):
                    checks.roles(app_url=services.database_url, owner_url=services.owner_url)
            finally:
                connection.execute(back)  # type: ignore[arg-type]
    with pytest.raises(checks.UnableToUseServer, match="use two roles"):
        checks.roles(app_url=services.owner_url, owner_url=services.owner_url)


def test_a_database_that_may_lose_what_it_committed_is_refused(services: LocalServices) -> None:
    """F-22: PostgreSQL stops at a failed fsync and recovers; it must not be told to go on, nor not to sync at all."""
    with pytest.raises(checks.UnableToUseServer, match="Set: fsync = on, full_page_writes = on.$"):
        checks.durable(url=services.database_url)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit", "data_sync_retry"])
def test_each_setting_on_which_a_commit_hangs_is_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-22: with data_sync_retry, which no test's server starts with, pages that were lost are called written."""
    good = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_sync_retry": "off"}
    found = dict(good)

    class Connection(contextlib.nullcontext[None]):
        def execute(self, query: str, asked: tuple[list[str]]) -> Connection:
            self.asked = asked[0]
            return self

        def __enter__(self) -> Connection:  # type: ignore[override]
            return self

        def fetchall(self) -> list[tuple[str, str]]:
            return [(each, found[each]) for each in self.asked]

    monkeypatch.setattr(checks.psycopg, "connect", lambda *_, **__: Connection())
    checks.durable(url="postgresql://anywhere")
    found[name] = {"on": "off", "off": "on"}[good[name]]
    with pytest.raises(checks.UnableToUseServer, match=f"Set: {name} = {good[name]}.$"):
        checks.durable(url="postgresql://anywhere")


@pytest.mark.parametrize(("is_set", "asks"), [("off", True), ("local", True), ("on", False), ("remote_apply", False)])
def test_inv_01_a_commit_that_waits_for_no_disk_is_refused_and_one_that_waits_for_more_is_not(
    services: LocalServices, is_set: str, asks: bool
) -> None:
    with pytest.raises(checks.UnableToUseServer) as caught:
        checks.durable(url=f"{services.database_url}?options=-csynchronous_commit%3D{is_set}")
    assert ("synchronous_commit = on" in str(caught.value)) is asks


def test_a_database_without_its_owner_is_half_an_answer() -> None:
    with pytest.raises(checks.UnableToUseServer, match="DATABASE_OWNER_URL is not"):
        checks.addresses(env={"DATABASE_URL": f"postgresql://{APP}@db/piggy"})
    checks.addresses(env={})


def test_a_silent_server_is_named() -> None:
    with pytest.raises(checks.UnableToUseServer, match="REDIS_URL does not answer"):
        checks.queue(url="redis://127.0.0.1:1/0")
