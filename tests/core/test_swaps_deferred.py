"""Nights that could not be priced wait, each for the lots that were held over it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.orders import Side
from piggy.core.rollover import rollover_at_us
from piggy.core.swaps import SwapUnit
from tests.core.floor import only
from tests.core.test_swaps import DAY_US, Nights


def test_lots_that_came_between_two_nights_without_a_price_owe_the_later_one_only() -> None:
    floor = Nights(unit=SwapUnit.PERCENT, long=Decimal("-3.6"))
    floor.night()
    floor.quotes()
    floor.place("b1", Side.BUY, "1")

    def night_without_a_price() -> list[ev.SwapDeferred]:
        floor.now_us += DAY_US
        mark = floor.desk.marks.pop("EURUSD")
        due = floor.desk.due(now_us=floor.now_us)
        events = [event for each in due if isinstance(each, cmd.RollOver) for event in floor.do(each)]
        floor.desk.marks["EURUSD"] = mark
        return only(events, ev.SwapDeferred)

    ends = [rollover_at_us(business_date=date(2023, 11, day)) for day in (16, 17)]
    assert [event.owed for event in night_without_a_price()] == [((1, ends[0]),)]
    floor.quotes()
    floor.place("b1", Side.BUY, "2")
    assert [event.owed for event in night_without_a_price()] == [((1, ends[1]), (1, ends[0]))]
    floor.quotes()
    told = [(event.nights, event.lots) for event in only(floor.night(), ev.SwapCharged)]
    assert told == [(1, 3), (1, 1)]
    assert floor.desk.state.swap_owed == {}


def test_nights_deferred_before_each_was_kept_apart_wait_from_the_last() -> None:
    floor = Nights()
    floor.place("b1", Side.BUY, "1")
    old = ev.SwapDeferred(
        account_id="b1", position_id="b1:EURUSD", symbol="EURUSD", business_date=date(2023, 11, 14), nights=2, text="",
        occurred_at_us=7,
    )  # fmt: skip
    recorded = msgspec.structs.replace(floor.log[-1], seq=len(floor.log) + 1, event=old)
    floor.desk.apply(recorded=recorded)
    assert floor.desk.state.swap_owed == {"b1:EURUSD": ((2, 7),)}
