"""Resting limits in great number: whoever cannot deal now keeps nobody else's from being filled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import touching
from piggy.core.accounts import TradingState
from piggy.core.orders import Side
from tests.core.floor import SECOND_US, Floor, only

D = Decimal
LPS = ("LP1", "LP2", "LP3")


@pytest.fixture(autouse=True)
def two_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touching, "ORDERS_PER_STEP_MAX", 2)


def resting(account_ids: str, **terms: Any) -> Floor:
    """A floor where each account has a limit that waits below the market, the first one nearest to it."""
    floor = Floor()
    for number, account_id in enumerate(account_ids.split()):
        floor.place(account_id, Side.BUY, "0.1", limit_price=D("1.09990") - number * D("0.00001"), **terms)
    return floor


def stop(floor: Floor, scope: str, *keys: str) -> None:
    for key in keys:
        floor.do(cmd.SetTradingState(scope=scope, key=key, state=TradingState.HALTED, reason="news", by="dealer"))


def touched(floor: Floor) -> list[ev.AnyEvent]:
    """Let the market come to all of them, in one step of the desk."""
    floor.now_us += SECOND_US
    floor.quotes("-0.00100")
    return [event for command in floor.desk.due(now_us=floor.now_us) for event in floor.do(command)]


def dealt(events: list[ev.AnyEvent]) -> list[str]:
    return [fill.account_id for fill in only(events, ev.OrderFilled)]


def test_limits_of_halted_accounts_keep_no_others_from_being_reached() -> None:
    floor = resting("b2 b2 b2 b1")
    stop(floor, "account", "b2")
    assert dealt(touched(floor)) == ["b1"]


def test_limits_that_no_venue_takes_keep_no_other_groups_from_being_reached() -> None:
    floor = resting("a1 a1 a1 a1 b1")
    stop(floor, "venue", *LPS)
    assert dealt(touched(floor)) == ["b1"]


def test_of_each_group_only_so_many_are_looked_at_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    floor, worked = resting("a1 a1 a1 mixed1 mixed1 mixed1 b1 a1"), list[str]()
    stop(floor, "venue", *LPS)
    work = touching.work

    def looked_at(**asked: Any) -> None:
        worked.append(asked["order"].terms.account_id)
        if worked[-1] == "b1":
            work(**asked)

    monkeypatch.setattr(touching, "work", looked_at)
    assert dealt(touched(floor)) == ["b1"]
    assert worked == ["a1", "a1", "mixed1", "mixed1", "b1"]


def test_one_step_deals_so_many_and_the_next_the_others() -> None:
    floor = resting("b1 b2 b1 b2 b1")
    assert dealt(touched(floor)) == ["b1", "b2"]
    assert dealt(floor.act()) == ["b1", "b2", "b1"]


def test_half_of_a_pair_that_waits_for_the_other_is_not_counted() -> None:
    floor = Floor()
    for number in range(3):
        pair = {"oco_group": f"pair{number}"}
        floor.place("a1", Side.BUY, "0.1", limit_price=f"1.0999{number}", **pair)
        floor.place("a1", Side.BUY, "0.1", limit_price=f"1.1002{number}", **pair)
    floor.place("b1", Side.BUY, "0.1", limit_price="1.09980")
    assert len(floor.children()) == 3, "one of each pair is out at a venue"
    assert dealt(touched(floor)) == ["b1"]
