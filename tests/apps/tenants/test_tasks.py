"""Background work and tenants, on a real worker and a real broker (T-07)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import chord, group
from celery.contrib.testing.worker import start_worker
from django.db import connection

from apps.common.tasking import HEADER, UnableToRunTask, UnableToSendTask
from apps.tenants.services import in_tenant
from piggy.celery import app

WAIT_S = 120
ROUNDS = 100


@app.task(name="tests.schema_now")
def schema_now() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT guard.tenant()")
        row = cursor.fetchone()
    return str(row[0])


@app.task(name="tests.schema_after_retry", bind=True, max_retries=1)
def schema_after_retry(self: Any) -> str:
    if not self.request.retries:
        raise self.retry(countdown=0)
    return schema_now.run()


@app.task(name="tests.gather")
def gather(parts: list[str]) -> list[str]:
    return [*parts, schema_now.run()]


@app.task(name="tests.shared_chore")
def shared_chore() -> str:
    return str(connection.schema_name)


shared_chore.is_shared = True


@pytest.fixture(scope="module")
def worker(django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), start_worker(app, pool="threads", concurrency=2, perform_ping_check=False):
        yield


def test_a_task_runs_inside_the_tenant_that_sent_it(acorn: Any, birch: Any, worker: None) -> None:
    """T-07: alternating tenants, plain, delayed, retried, in a group and a chord."""
    sent = []
    for turn in range(ROUNDS):
        schema = ("acorn", "birch")[turn % 2]
        with in_tenant(schema):
            sent.append((schema, schema_now.delay()))
    assert [result.get(timeout=WAIT_S) for _, result in sent] == [schema for schema, _ in sent]
    for schema in ("acorn", "birch"):
        with in_tenant(schema):
            later = schema_now.apply_async(countdown=0.1)
            again = schema_after_retry.delay()
            many = group(schema_now.s() for _ in range(4)).apply_async()
            joined = chord([schema_now.s(), schema_now.s()], gather.s()).apply_async()
        assert later.get(timeout=WAIT_S) == schema
        assert again.get(timeout=WAIT_S) == schema
        assert many.get(timeout=WAIT_S) == [schema] * 4
        assert joined.get(timeout=WAIT_S) == [schema] * 3


def test_a_task_without_a_tenant_is_not_sent(database: None) -> None:
    """T-07"""
    for send in (schema_now.delay, lambda: app.send_task("tests.schema_now"), lambda: app.send_task("tests.unknown")):
        with pytest.raises(UnableToSendTask):
            send()


def test_a_task_that_comes_without_a_tenant_is_refused(database: None) -> None:
    """T-07: a message somebody else put on the queue."""
    for headers in ({}, {HEADER: ""}, {HEADER: "public"}, {HEADER: "template"}):
        schema_now.push_request(headers=headers, called_directly=True)
        try:
            with pytest.raises(UnableToRunTask):
                schema_now()
        finally:
            schema_now.pop_request()


def test_a_shared_chore_runs_in_public(acorn: Any, worker: None) -> None:
    with in_tenant("acorn"):
        result = shared_chore.delay()
    assert result.get(timeout=WAIT_S) == "public"
