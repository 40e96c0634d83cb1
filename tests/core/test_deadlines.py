"""Orders that end by themselves: the earliest is known, so that a desk with thousands need not look at each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import touching
from piggy.core.desk import Desk
from piggy.core.orders import Side, TimeInForce
from piggy.core.rollover import next_rollover_at_us
from tests.core.floor import SECOND_US, Floor, only

TIME = cmd.ActOnTime()


def until(floor: Floor, seconds: int, **more: Any) -> int:
    """Place a buy below the market, two seconds from now, that is good for so many more; return when it ends."""
    at_us = floor.now_us + (2 + seconds) * SECOND_US
    terms = {"account_id": "b1", "quantity": "0.1", "limit_price": "1.09950"} | more
    floor.place(side=Side.BUY, time_in_force=TimeInForce.GTD, expires_at_us=at_us, **terms)
    return at_us


def is_due(floor: Floor, at_us: int) -> bool:
    return TIME in floor.desk.due(now_us=at_us)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often anybody asks when an order ends."""
    seen, ask = Counter[str](), touching.expires_at_us

    def asked(**order: Any) -> int:
        seen["all"] += 1
        return ask(**order)

    monkeypatch.setattr(touching, "expires_at_us", asked)
    return seen


def test_orders_are_looked_at_when_the_first_of_them_ends_and_not_before(looks: Counter[str]) -> None:
    floor = Floor()
    for number in range(20):
        floor.place("b1", Side.BUY, "0.1", limit_price="1.09950", time_in_force=TimeInForce.DAY)
        floor.place("b2", Side.BUY, "0.1", limit_price=f"1.0994{number % 10}")
    first_us = until(floor, 60)
    floor.act()
    looks.clear()
    for at_us in range(floor.now_us, first_us, SECOND_US):
        assert not is_due(floor, at_us)
    assert looks == {}
    assert is_due(floor, first_us) and looks["all"] >= 21


def test_each_ends_at_its_own_time_whichever_came_first() -> None:
    floor = Floor()
    times = [until(floor, seconds) for seconds in (50, 90, 20, 70)]
    floor.place("b1", Side.BUY, "0.1", limit_price="1.09950", time_in_force=TimeInForce.DAY)
    times.append(next_rollover_at_us(at_us=floor.now_us))
    for number in sorted(range(5), key=times.__getitem__):
        assert not is_due(floor, times[number] - 1)
        floor.now_us = times[number]
        ended = [event.order_id for event in only(floor.act(), ev.OrderCancelled)]
        assert ended == [f"O{number + 1:09d}"]
    assert not is_due(floor, floor.now_us + 10**15), "nothing is left to end"


def test_a_desk_that_comes_back_knows_what_ends_and_when() -> None:
    floor = Floor()
    at_us = until(floor, 60)
    floor.desk = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=0))
    assert not is_due(floor, at_us - 1)
    assert is_due(floor, at_us)


def test_one_that_venues_were_asked_to_end_is_looked_at_once_a_second(looks: Counter[str]) -> None:
    floor = Floor()
    floor.now_us = until(floor, 60, account_id="a1", limit_price="1.10020")
    floor.act()
    (child,) = floor.desk.state.open_children.values()
    assert child.cancel is not None
    assert not is_due(floor, floor.now_us)
    looks.clear()
    assert not is_due(floor, floor.now_us + SECOND_US - 1) and looks == {}
    child.cancel = None
    floor.desk.state.orders[child.created.order_id].cancelling = ""
    assert not is_due(floor, floor.now_us + SECOND_US - 1)
    assert is_due(floor, floor.now_us + SECOND_US)
