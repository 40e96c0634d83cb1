"""A question about an order is answered by the engine that would decide it, and leaves nothing behind."""

from __future__ import annotations

from piggy.core import commands as cmd
from piggy.core.orders import OrderTerms
from piggy.messaging.client import Client
from tests.engine.conftest import buy, envelope, running_engine
from tests.engine.ground import Ground
from tests.engine.test_engine import ask, open_desk


async def test_what_an_order_would_do_is_told_and_is_not_in_the_log(ground: Ground, shard: str, tenant: str) -> None:
    client = Client(redis_url=ground.services.redis_url)
    terms = buy().terms
    async with running_engine(ground, shard):
        await open_desk(client, tenant)
        before = len(ground.log_rows(tenant=tenant))
        told = (await ask(client, tenant, envelope(cmd.AskWhatIf(terms=terms)))).what_if
        odd = OrderTerms(account_id="nobody", symbol=terms.symbol, side=terms.side, quantity=terms.quantity)
        nobody = (await ask(client, tenant, envelope(cmd.AskWhatIf(terms=odd)))).what_if
        assert len(ground.log_rows(tenant=tenant)) == before
        placed = (await ask(client, tenant, envelope(buy()))).order
    assert told is not None and placed is not None and nobody is not None
    assert told.required is None, "there is no price"
    assert [check.code for check in told.verdict.reasons] == [check.code for check in placed.reasons]
    assert [check.code for check in nobody.verdict.reasons] == ["P-02"]
    assert placed.order_id == "O000000001", "a question takes no number"
