"""Asking the desk: under whose id, for how long, and never a desk that nobody runs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest

from apps.trading import selectors, services
from apps.trading.api import answering
from piggy.core.orders import OrderTerms, Side
from tests.apps import records
from tests.apps.dealing.desk_floor import LEASE


def test_f_01_an_engine_whose_lease_ran_out_is_none(acorn: Any, as_tenant: Any, owner_sql: Any) -> None:
    """What waits on the stream for the next one would be dealt at a price that nobody asked for."""
    owner_sql(LEASE)
    try:
        assert selectors.engine_is_running(tenant="acorn") and not selectors.engine_is_running(tenant="nobody")
        owner_sql("update public.engine_lease set expires_at = now() - interval '1 second' where holder = 'test'")
        assert not selectors.engine_is_running(tenant="acorn")
        terms = OrderTerms(account_id="A1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
        named = {"key": "k1", "request_hash": "", "request_id": "", "wait_s": 1, "now_us": 0}
        with as_tenant("acorn"), pytest.raises(services.UnableToReachDesk, match="nothing was taken"):
            services.place_order(tenant="acorn", user=records.client(), terms=terms, **named)
    finally:
        owner_sql("delete from public.engine_lease where holder = 'test'")


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [("", 2), ("wait=0", 1), ("wait=7", 7), ("respond-async; wait=999", 10), ("wait=1000", 2), ("wait=-1", 2)],
)
def test_nobody_is_made_to_wait_for_ever_nor_not_at_all(said: str, wait_s: int) -> None:
    assert answering.wait_s_of(Mock(headers={"Prefer": said})) == wait_s


@pytest.mark.parametrize("name", [services.cancel_command_id, services.amend_command_id])
def test_inv_02_a_change_is_one_users_of_one_order_at_one_broker(name: Any) -> None:
    asked = {"tenant": "acorn", "user": Mock(pk=1), "order_id": "O1", "key": "k1"}
    others = [asked | each for each in ({"tenant": "birch"}, {"user": Mock(pk=2)}, {"order_id": "O2"}, {"key": "k2"})]
    assert len({name(**each) for each in (asked, *others)}) == 5
    assert name(**asked) == name(**asked)
