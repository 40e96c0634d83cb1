"""A queued hedge of a currency while nothing has a price yet, as right after a start: it waits on."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.desk import Desk
from piggy.core.hedging import HedgeScope
from tests.core.floor import names, only
from tests.core.hedging_floor import House, policy

D = Decimal


@pytest.fixture
def started() -> House:
    """The house is short 440,000 USD and a dealer is asked to cover; then the desk starts anew."""
    terms = {"key": "USD", "scope": HedgeScope.CURRENCY, "threshold": D(300_000), "target": D(0), "band": D(0)}
    floor = House(**terms, automatic=False)
    assert names(floor.clients_buy("4"))[-1] == "HedgeProposed"
    floor.desk = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=10))
    return floor


def approve(floor: House) -> list[ev.AnyEvent]:
    return floor.do(cmd.ApproveHedge(hedge_id="H000000001", by="dora"))


def test_it_is_not_withdrawn_and_goes_out_once_there_is_a_price(started: House) -> None:
    assert started.act() == []
    (refused,) = approve(started)
    assert refused.code == "NO_PRICE"
    started.quotes()
    assert only(started.act(), ev.HedgeClosed) == []
    assert names(approve(started))[:2] == ["HedgeApproved", "ChildOrderCreated"]


def test_it_is_withdrawn_all_the_same_once_its_policy_is_off(started: House) -> None:
    known = started.desk.state.hedge_policies["USD"]
    off = policy(key="USD", scope=HedgeScope.CURRENCY, threshold=known.threshold, target=D(0), band=D(0), enabled=False)
    events = started.do(cmd.ConfigureHedging(policy=off)) + started.act()
    assert names(events) == ["HedgingConfigured", "HedgeClosed"]
