"""INV-02: a repeat that comes after its answer was forgotten is answered from the log, and the term goes on."""

from __future__ import annotations

import pytest

from piggy.core import desk as desk_module
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, running_engine
from tests.engine.ground import Ground
from tests.engine.test_engine import ask, open_desk


async def test_inv_02_a_repeat_whose_answer_was_forgotten_is_answered_from_the_log(
    ground: Ground, shard: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "ANSWERS_KEPT", 3)
    client = Client(redis_url=ground.services.redis_url)
    asked = envelope(buy())
    async with running_engine(ground, shard) as term:
        await open_desk(client, tenant)
        first = await ask(client, tenant, asked)
        for _ in range(5):
            await ask(client, tenant, envelope(buy()))
        token, rows = term.status.token, len(ground.log_rows(tenant=tenant))
        again = await ask(client, tenant, asked)
        changed = await ask(client, tenant, envelope(buy("0.20"), command_id=asked.command_id, body="other"))
        await ask(client, tenant, envelope(buy()))
        assert term.status.token == token, "the term went on"
    assert again.duplicate
    assert again.order == first.order
    assert changed.conflict
    assert len(ground.log_rows(tenant=tenant)) == rows + 1
