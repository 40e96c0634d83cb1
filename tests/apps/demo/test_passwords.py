"""The demo's LPs are given passwords that stand in no file: sealed when they are made, by two people."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any


def test_the_demo_seals_a_password_for_each_lp_once(acorn: Any, as_tenant: Any, redis_server: Any) -> None:
    from apps.demo.services import seeding
    from apps.liquidity.selectors import password_of
    from apps.users.services import create_staff, sync_roles

    broker, now = SimpleNamespace(schema="acorn"), datetime.now(UTC)
    with as_tenant("acorn"):
        sync_roles()
        for role in ("dealer", "admin"):
            create_staff(username=f"{role}@acorn", password="long enough", role=role)
        seeding._providers(broker, 9_101, now)
        first = [password_of(tenant="acorn", venue=name) for name in ("LP1", "LP2", "LP3")]
        seeding._providers(broker, 9_101, now)
        again = [password_of(tenant="acorn", venue=name) for name in ("LP1", "LP2", "LP3")]
    assert first == again
    assert len(set(first)) == 3 and all(len(password) >= 32 for password in first)
