"""What the reliability contract says of many at once, at its own sizes: margin that all want, a kill with much to end.

MARGIN_ROUNDS (20) and KILL_ORDERS (1000) set how many; the contract's night has 1,000 rounds.
"""

from __future__ import annotations

import os
import time
from decimal import Decimal as D

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, OrderType, Side
from tests.core.floor import SECOND_US, Floor, only

ROUNDS, AT_ONCE = int(os.environ.get("MARGIN_ROUNDS", "20")), 200
WORKING = int(os.environ.get("KILL_ORDERS", "1000"))
MANY = 10**9
# Rates and duplicates would refuse first what is to be refused for its margin.
UNHURRIED = msgspec.structs.replace(
    HOUSE_LIMITS, account_messages_per_s_max=MANY, tenant_messages_per_s_max=MANY, venue_messages_per_s_max=MANY,
    executions_max=MANY, window_value_max=D(10**12), duplicate_window_ms=0, rejects_consecutive_max=MANY,
    rejects_percent_max=D(100), orders_open_max=MANY,
)  # fmt: skip


def unhurried(group: str) -> Floor:
    floor = Floor(internal_cross=False, open_orders_max=MANY)
    floor.do(cmd.ConfigureLimits(group=group, limits=UNHURRIED))
    return floor


@pytest.mark.parametrize("group", ["a", "b"])
def test_inv_14_of_200_orders_that_each_need_60_percent_of_the_free_margin_one_is_taken(group: str) -> None:
    """In flight at a venue (A) it is as much spent as in a position (B)."""
    floor = unhurried(group)
    floor.open_account("poor", group=group, amount=6_000)
    for number in range(ROUNDS):
        floor.now_us += 2 * SECOND_US
        floor.quotes()
        side = Side.SELL if number % 2 else Side.BUY
        terms = OrderTerms(account_id="poor", symbol="EURUSD", side=side, quantity=D(1))
        firsts = [floor.do(cmd.PlaceOrder(terms=terms))[0] for _ in range(AT_ONCE)]
        taken = only(firsts, ev.OrderAccepted)
        needed = taken[0].margin_reserved
        assert len(taken) == 1 and needed > D("0.6") * 6_000
        assert {check.code for denied in only(firsts, ev.OrderDenied) for check in denied.verdict.reasons} == {"P-17"}
        assert 0 <= floor.desk.moment(now_us=floor.now_us).funds("poor").free_margin < needed
        _undo(floor, taken[0].order_id, side, number)


def _undo(floor: Floor, order_id: str, side: Side, number: int) -> None:
    """Give the margin back and make up for what the round cost."""
    if floor.children():
        floor.do(cmd.CancelOrder(order_id=order_id, account_id="poor"))
        floor.done(floor.children()[0])
    else:
        close = OrderTerms(account_id="poor", symbol="EURUSD", side=side.contra, quantity=D(1), reduce_only=True)
        floor.do(cmd.PlaceOrder(terms=close))
    state = floor.desk.state
    assert (state.reserved["poor"], state.used_margin.get("poor", D(0)), state.positions) == (0, 0, {})
    if short := D(6_000) - state.balances["poor"]:
        floor.do(cmd.CreditAccount(account_id="poor", amount=short, reference=f"round {number}"))


def test_inv_16_a_kill_ends_a_thousand_working_orders_in_one_decision_and_lets_nothing_in_until_another_opens() -> None:
    """All cancels within a second, by CPU time; the person who killed does not open again."""
    floor = unhurried("b")
    floor.now_us += 2 * SECOND_US
    floor.quotes()
    for number in range(WORKING):
        price = D("1.09500") - D(number % 500) / 100_000
        terms = OrderTerms(
            account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D("0.01"), type=OrderType.LIMIT, limit_price=price
        )
        assert isinstance(floor.do(cmd.PlaceOrder(terms=terms))[0], ev.OrderAccepted)
    kill = cmd.SetTradingState(scope="tenant", key="", state=TradingState.KILLED, reason="drill", by="ann")
    begun_s = time.process_time()
    ended = only(floor.do(kill), ev.OrderCancelled)
    assert time.process_time() - begun_s < 1
    state = floor.desk.state
    assert len(ended) == WORKING and not state.open_orders["b1"] and state.reserved["b1"] == 0
    order = cmd.PlaceOrder(terms=OrderTerms(account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D("0.01")))
    reopen = msgspec.structs.replace(kill, state=TradingState.ACTIVE)
    for _ in range(20):
        assert isinstance(floor.do(order)[0], ev.OrderDenied)
        assert isinstance(floor.do(reopen)[0], ev.CommandRefused)
    floor.do(msgspec.structs.replace(reopen, by="bob"))
    assert isinstance(floor.do(order)[0], ev.OrderAccepted)
