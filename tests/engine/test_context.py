"""The context that opens a tenant's rows: one transaction's, one connection's, and signed anew before it expires."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from piggy.engine import context
from piggy.engine.context import CONTEXT_LIFE_S, TenantContext
from tests.engine.ground import Ground


async def test_inv_19_a_transaction_leaves_no_tenant_to_the_next(ground: Ground, connect: Any, tenant: str) -> None:
    connection = await connect()

    async def whose() -> Any:
        ((found,),) = await (await connection.execute("SELECT guard.tenant()")).fetchall()
        return found

    async with connection.transaction():
        await TenantContext(connection=connection, key=ground.context_key).enter(tenant=tenant)
        assert await whose() == tenant
    assert await whose() is None


def test_a_context_is_signed_anew_at_half_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1_000_000]
    monkeypatch.setattr(context, "time", SimpleNamespace(time=lambda: now_s[0]))
    connection: Any = SimpleNamespace(info=SimpleNamespace(backend_pid=7))
    mine = TenantContext(connection=connection, key=bytes(32))
    first = mine.signed(tenant="acorn")
    assert first != mine.signed(tenant="birch")
    now_s[0] += CONTEXT_LIFE_S // 2
    assert mine.signed(tenant="acorn") == first
    now_s[0] += 1
    assert mine.signed(tenant="acorn") != first, "what is under way then ends before the context does"
