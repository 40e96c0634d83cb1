"""One process, two brokers, one connection: nobody ever reads as somebody else (T-05, T-06, D1, D2)."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction

from apps.common.sockets import tenant_call
from apps.tenants.backend import base
from apps.tenants.services import in_tenant
from apps.users.models import User
from piggy.messaging.context import CONTEXT_LIFE_S

SCHEMAS = ("acorn", "birch")
REQUESTS = 400
SOCKETS = 40
QUERIES_PER_SOCKET = 10


@pytest.fixture
def twins(acorn: Any, birch: Any) -> None:
    """The same primary key in both, under another name."""
    for schema in SCHEMAS:
        with in_tenant(schema):
            User.objects.create(pk=1, username=f"canary-of-{schema}")


def name_of_user_1() -> str:
    return User.objects.get(pk=1).username


def test_leaving_a_tenant_leaves_nothing_open(twins: None) -> None:
    with in_tenant("acorn"):
        assert name_of_user_1() == "canary-of-acorn"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM acorn.users_user")
        assert cursor.fetchone() == (0,)
        cursor.execute("SHOW search_path")
        assert cursor.fetchone() == ('"public"',)


def test_tenants_nest_and_errors_bring_the_outer_one_back(twins: None) -> None:
    with in_tenant("acorn"):
        with pytest.raises(ValueError, match="boom"), in_tenant("birch"):
            assert name_of_user_1() == "canary-of-birch"
            raise ValueError("boom")
        assert name_of_user_1() == "canary-of-acorn"


def test_a_context_survives_rollback_savepoint_and_renewal(twins: None) -> None:
    with in_tenant("acorn"):
        with pytest.raises(DatabaseError), transaction.atomic():
            assert name_of_user_1() == "canary-of-acorn"
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
        assert name_of_user_1() == "canary-of-acorn"
        with transaction.atomic():
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
            assert name_of_user_1() == "canary-of-acorn"
        connection._renew_at_s = 0.0
        with transaction.atomic():
            assert name_of_user_1() == "canary-of-acorn"


def test_inv_20_a_clock_put_forward_empties_no_table(twins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was signed an hour ago by the new time PostgreSQL takes for expired: it is signed anew, not 200 s later."""
    with in_tenant("acorn"):
        with monkeypatch.context() as before:
            before.setattr(base.time, "time", lambda now=time.time: now() - base.RENEW_AFTER_S)
            assert name_of_user_1() == "canary-of-acorn"
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('piggy.tenant')")
            _, expires_at_s, _ = cursor.fetchone()[0].split("|")
    assert int(expires_at_s) - time.time() > CONTEXT_LIFE_S / 2


def test_f_20_who_is_shown_nothing_hears_so_and_does_not_take_it_for_all_there_is(
    twins: None, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """A key turned over, or clocks of two machines that differ: each table was an empty one."""
    with monkeypatch.context() as slow, in_tenant("acorn"):
        slow.setattr(base.time, "time", lambda now=time.time: now() - CONTEXT_LIFE_S)
        for _ in range(2):
            with pytest.raises(OperationalError, match="refuses the context of acorn: another key, or clocks"):
                name_of_user_1()
    with in_tenant("acorn"):
        assert name_of_user_1() == "canary-of-acorn"
    settings.PIGGY_CONTEXT_KEY = bytes(32)
    with in_tenant("birch"), pytest.raises(OperationalError, match="refuses the context of birch"):
        name_of_user_1()


def test_alternating_tenants_on_one_pooled_connection_never_mix(twins: None, one_connection: None) -> None:
    """T-05"""
    dice = random.Random(5)
    mismatches = 0
    for turn in range(REQUESTS):
        schema = dice.choice(SCHEMAS)
        accident = dice.random()
        try:
            with in_tenant(schema), transaction.atomic():
                mismatches += name_of_user_1() != f"canary-of-{schema}"
                if accident < 0.2:
                    raise RuntimeError("the view fails")
                if accident < 0.4:
                    User.objects.create(pk=1, username=f"double-{turn}")
                if accident < 0.45:
                    # Left as it is, the way a killed thread leaves it.
                    connection.set_schema(schema)
        except (RuntimeError, DatabaseError):
            pass
        connection.close()
    assert mismatches == 0


def test_a_returned_connection_forgets_its_tenant(twins: None, one_connection: None) -> None:
    """D2: without DISCARD ALL the next borrower of the pool reads the last one's rows."""
    connection.set_schema("acorn")
    assert name_of_user_1() == "canary-of-acorn"
    connection.close()
    connection.set_schema_to_public()
    pool = connection.pool
    with pool.connection() as raw:
        assert raw.execute(
            "SELECT current_setting('piggy.tenant', true), current_setting('search_path')"
        ).fetchone() in (("", "public"), (None, "public"))
        assert raw.execute("SELECT count(*) FROM acorn.users_user").fetchone()[0] == 0
        assert raw.execute("SHOW timezone").fetchone()[0] == "UTC"


def test_threads_with_one_pool_never_mix(twins: None) -> None:
    """T-05"""
    wrong: list[str] = []

    def borrow(schema: str) -> None:
        for _ in range(50):
            with in_tenant(schema):
                seen = name_of_user_1()
            if seen != f"canary-of-{schema}":
                wrong.append(seen)
            connection.close()

    threads = [threading.Thread(target=borrow, args=(SCHEMAS[at % 2],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


async def test_sockets_of_two_tenants_in_one_process_never_mix(twins: None) -> None:
    """T-06: each database call is one sync function that sets and clears."""
    read = tenant_call(lambda tenant: name_of_user_1())

    async def socket(schema: str) -> int:
        wrong = 0
        for _ in range(QUERIES_PER_SOCKET):
            await asyncio.sleep(0)
            wrong += await read(schema) != f"canary-of-{schema}"
        return wrong

    wrong = await asyncio.gather(*(socket(SCHEMAS[at % 2]) for at in range(SOCKETS)))
    assert sum(wrong) == 0


async def test_the_naive_way_of_setting_the_schema_at_connect_does_mix(twins: None) -> None:
    """T-06, D1: why the wrapper is there. When this stops failing the naive way, the stack has changed."""

    def choose(schema: str) -> None:
        connection.set_schema(schema)

    def leave() -> None:
        connection.set_schema_to_public()
        connection.close()

    async def naive_socket(schema: str) -> str:
        await sync_to_async(choose)(schema)
        await asyncio.sleep(0.01)
        return await database_sync_to_async(name_of_user_1)()

    seen = await asyncio.gather(*(naive_socket(schema) for schema in SCHEMAS))
    await sync_to_async(leave)()
    assert seen != ["canary-of-acorn", "canary-of-birch"]


def test_a_reserved_name_is_no_tenant() -> None:
    for name in ("", "public", "guard", "template"):
        with pytest.raises(ValueError, match="not a broker"), in_tenant(name):
            pass


def test_a_pool_gives_up_before_those_do_who_wait_for_it() -> None:
    """F-04: else it sleeps on for minutes after a long outage, and nobody who waits may begin a series of attempts."""
    options = settings.DATABASES["default"]["OPTIONS"]["pool"]
    assert 0 < options["reconnect_timeout"] < options["timeout"]


@pytest.fixture
def one_connection(database: None) -> Any:
    """A pool of one, so that every borrower gets the same backend."""
    connection.close()
    connection.close_pool()
    pool = connection.settings_dict["OPTIONS"]["pool"]
    kept = dict(pool)
    pool.update(min_size=1, max_size=1)
    yield
    connection.close()
    connection.close_pool()
    pool.update(kept)
