"""A broker whose schema cannot be migrated is off until it can, and the others run (F-27)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.tenants import selectors
from piggy.local import schema
from tests.apps.operating import manage

LAST = "select app, name from acorn.django_migrations where app = 'outbox' order by id desc limit 1"
OFF = "select is_active, setup_error from public.tenants_tenant where schema_name = 'acorn'"


@pytest.fixture
def half_done(acorn: Any, owner_sql: Callable[..., list[Any]]) -> Iterator[Callable[[], None]]:
    """Acorn has a table that its list of migrations does not know; returns what puts the list right again."""
    owner_sql("alter table acorn.django_migrations no force row level security")
    ((app, name),) = owner_sql(LAST)
    owner_sql("delete from acorn.django_migrations where app = %s and name = %s", [app, name])
    owner_sql("update guard.setup set fingerprint = 'of another program'")

    def put_right() -> None:
        # Set-up binds the owner again.
        owner_sql("alter table acorn.django_migrations no force row level security")
        if owner_sql(LAST) != [(app, name)]:
            owner_sql("insert into acorn.django_migrations (app, name, applied) values (%s, %s, now())", [app, name])

    yield put_right
    put_right()
    set_up()
    owner_sql("alter table acorn.django_migrations force row level security")


def set_up() -> subprocess.CompletedProcess[str]:
    return manage("setup_database")


def test_f_27_a_broker_that_cannot_be_migrated_is_off_and_the_others_run(
    half_done: Callable[[], None], birch: Any, owner_sql: Callable[..., list[Any]]
) -> None:
    done = set_up()
    assert done.returncode == 0, done.stderr
    assert "acorn IS OFF" in done.stderr
    assert "birch" not in done.stderr
    ((is_active, why),) = owner_sql(OFF)
    assert not is_active
    assert "already exists" in why
    (off,) = schema.switched_off(owner_url=os.environ["DATABASE_OWNER_URL"])
    assert off.startswith("acorn IS OFF")
    selectors.forget_hosts()
    assert selectors.active_schemas() == ["birch"]
    assert [(tenant.schema_name, tenant.setup_error) for tenant in selectors.switched_off()] == [("acorn", why)]
    assert selectors.tenant_of_host(raw="acorn.localhost") is None
    assert selectors.tenant_of_host(raw="birch.localhost") == birch
    # The reason is always the latest.
    owner_sql("update public.tenants_tenant set setup_error = 'something else' where schema_name = 'acorn'")
    assert set_up().returncode == 0
    assert owner_sql(OFF) == [(False, why)]
    # The next set-up tries again, and switches on whom it had switched off, nobody else.
    owner_sql("update public.tenants_tenant set is_active = false where schema_name = 'birch'")
    half_done()
    try:
        done = set_up()
        assert (done.returncode, done.stderr) == (0, "")
        assert owner_sql(OFF) == [(True, "")]
        assert selectors.active_schemas() == ["acorn"]
    finally:
        owner_sql("update public.tenants_tenant set is_active = true where schema_name = 'birch'")
        selectors.forget_hosts()


def test_f_27_where_no_broker_can_be_migrated_it_is_the_programs_fault_and_nobody_is_off(
    half_done: Callable[[], None], birch: Any, owner_sql: Callable[..., list[Any]]
) -> None:
    """What runs goes on, and the deploy ends here."""
    owner_sql("alter table birch.django_migrations no force row level security")
    ((app, name),) = owner_sql(LAST.replace("acorn", "birch"))
    owner_sql("delete from birch.django_migrations where app = %s and name = %s", [app, name])
    try:
        done = set_up()
        assert done.returncode == 1
        assert "No broker could be migrated" in done.stderr
        assert "acorn: ProgrammingError" in done.stderr and "birch: ProgrammingError" in done.stderr
        selectors.forget_hosts()
        assert selectors.active_schemas() == ["acorn", "birch"]
        assert owner_sql(OFF) == [(True, "")]
    finally:
        owner_sql("alter table birch.django_migrations no force row level security")
        owner_sql("insert into birch.django_migrations (app, name, applied) values (%s, %s, now())", [app, name])
        owner_sql("alter table birch.django_migrations force row level security")
