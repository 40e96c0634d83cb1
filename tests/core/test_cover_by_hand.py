"""A dealer covers by hand: the house deals what he asks for, or all that is open, and never twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import covering
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.hedging import HedgeScope
from piggy.core.orders import Side
from tests.core.floor import names, only
from tests.core.hedging_floor import House, policy


def by_hand(floor: House, **changes: Any) -> list[ev.AnyEvent]:
    given: dict[str, Any] = {"symbol": "EURUSD", "by": "dora", "reason": "before the figures"}
    return floor.do(cmd.CoverByHand(**(given | changes)))


def test_a_symbol_is_flattened_and_what_is_on_its_way_is_not_dealt_again() -> None:
    floor = House(threshold=Decimal(50))
    floor.clients_buy("3")
    events = by_hand(floor)
    (proposed,) = only(events, ev.HedgeProposed)
    assert (proposed.side, proposed.quantity, proposed.risk) == (Side.BUY, 3, 3)
    assert (proposed.by, proposed.text, proposed.automatic) == ("dora", "before the figures", True)
    (refused,) = by_hand(floor)
    assert refused.code == "NOTHING_OPEN"
    for leg in only(events, ev.ChildOrderCreated):
        floor.fill(leg, "1.10010")
    state = floor.desk.state
    assert (state.exposure["EURUSD"].uncovered, state.open_hedges, state.hedge_pending["EURUSD"]) == (0, set(), 0)
    assert floor.act() == [], "what was dealt by hand begins nothing"


def test_a_hedge_by_hand_that_ends_short_does_not_go_on_by_itself() -> None:
    floor = House(threshold=Decimal(3), band=Decimal(0))
    floor.clients_buy("2")
    (proposed, *legs) = by_hand(floor)
    (closed,) = [event for leg in legs for event in only(floor.done(leg), ev.HedgeClosed)]
    assert (closed.hedge_id, closed.outcome) == (proposed.hedge_id, "unfilled")
    floor.quotes()
    assert floor.act() == [], "2 is inside the threshold"


def test_a_dealer_may_deal_a_side_and_a_size_of_his_own() -> None:
    floor = House(threshold=Decimal(50))
    floor.quotes()
    (proposed, *legs) = by_hand(floor, side=Side.SELL, quantity=Decimal("0.50"))
    assert (proposed.side, proposed.quantity) == (Side.SELL, Decimal("0.50"))
    assert names(legs) == ["ChildOrderCreated"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOTHING"}, "SYMBOL_UNKNOWN"),
        ({"reason": ""}, "REASON_MISSING"),
        ({"by": ""}, "REASON_MISSING"),
        ({}, "NOTHING_OPEN"),
        ({"side": Side.BUY, "quantity": Decimal("0.001")}, "QUANTITY_UNUSABLE"),
        ({"side": Side.BUY, "quantity": Decimal("NaN")}, "QUANTITY_UNUSABLE"),
        ({"side": Side.BUY, "quantity": Decimal("1E+30")}, "QUANTITY_UNUSABLE"),
        ({"side": Side.BUY, "quantity": Decimal("-1")}, "QUANTITY_UNUSABLE"),
        ({"side": Side.BUY, "quantity": Decimal("0.015")}, "QUANTITY_UNUSABLE"),
    ],
)
def test_what_cannot_be_dealt_is_named(changes: dict[str, Any], code: str) -> None:
    floor = House(threshold=Decimal(50))
    floor.quotes()
    (refused,) = by_hand(floor, **changes)
    assert refused.code == code


def test_nothing_is_dealt_while_trading_or_every_venue_is_stopped() -> None:
    floor = House(threshold=Decimal(50))
    floor.quotes()
    for venue in sorted(floor.desk.state.venues):
        floor.do(cmd.SetTradingState(scope="venue", key=venue, state=TradingState.HALTED, reason="news", by="dora"))
    (refused,) = by_hand(floor, side=Side.BUY, quantity=Decimal(1))
    assert refused.code == "NO_LIQUIDITY"
    floor.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=TradingState.HALTED, reason="news", by="dora"))
    (refused,) = by_hand(floor, side=Side.BUY, quantity=Decimal(1))
    assert refused.code == "TRADING_STOPPED"


def test_the_risk_that_a_policy_looks_at_counts_what_is_under_way_and_needs_a_price() -> None:
    floor = House(threshold=Decimal(50))
    floor.clients_buy("3")
    moment = floor.desk.moment(now_us=floor.now_us)
    assert covering.open_risk(policy=policy(), moment=moment) == 3
    in_dollars = policy(key="USD", scope=HedgeScope.CURRENCY)
    assert covering.open_risk(policy=in_dollars, moment=moment) < 0
    by_hand(floor)
    assert covering.open_risk(policy=policy(), moment=floor.desk.moment(now_us=floor.now_us)) == 0
    floor.desk.marks.clear()
    assert covering.open_risk(policy=in_dollars, moment=floor.desk.moment(now_us=floor.now_us)) is None
