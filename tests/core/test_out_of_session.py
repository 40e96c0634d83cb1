"""Out of session nothing that works already is dealt, as nothing new is taken (P-05): at night, at a week's end."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode
from piggy.core.clearance import Calendar, Session
from piggy.core.orders import OrderState, OrderType, Side
from piggy.core.routing_rules import DealerWait, RoutingPolicy, RoutingRule
from tests.core.floor import EURUSD, SECOND_US, Floor, names, only

# The floor opens on a Tuesday at 22:13 UTC; the symbol closes from 22:20 to 22:40.
TUESDAY = 24 * 60
HOURS = Calendar(
    symbol="EURUSD",
    sessions=(Session(opens=0, closes=TUESDAY + 1_340), Session(opens=TUESDAY + 1_360, closes=7 * 24 * 60)),
)
NIGHT_S, MORNING_S = 10 * 60, 30 * 60


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    made.do(cmd.ConfigureCalendar(calendar=HOURS))
    return made


def quoted(floor: Floor, shift: str, after_s: int) -> list[ev.AnyEvent]:
    floor.now_us += after_s * SECOND_US
    floor.quotes(shift)
    return floor.act()


def test_p_05_what_a_price_reaches_out_of_session_waits_for_the_next(floor: Floor) -> None:
    """New orders were refused at night, and those that waited were triggered, filled and sent to venues."""
    floor.place("b1", Side.BUY, "1", type=OrderType.STOP, stop_price=D("1.10050"))
    floor.place("b2", Side.SELL, "1", limit_price="1.10060")
    floor.place("a1", Side.SELL, "1", limit_price="1.10060")
    floor.place("b1", Side.SELL, "0.1", type=OrderType.TRAILING_STOP, trailing_distance=D("0.00100"))
    assert quoted(floor, "0.00100", NIGHT_S) == []
    (denied,) = floor.place("b1", Side.BUY, "1")
    assert [check.code for check in denied.verdict.reasons] == ["P-05"]
    events = quoted(floor, "0.00101", MORNING_S)
    assert {fill.account_id for fill in only(events, ev.OrderFilled)} == {"b1", "b2"}
    assert only(events, ev.OrderTriggered) and only(events, ev.OrderAmended) and len(floor.children()) == 1


def test_p_05_what_a_venue_gives_back_out_of_session_is_not_sent_again_before_the_next(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1", limit_price="1.10020")
    floor.now_us += NIGHT_S * SECOND_US
    floor.quotes()
    assert not only(floor.done(floor.children()[0]), ev.ChildOrderCreated) and floor.order(1).free == 1
    assert only(quoted(floor, "0", MORNING_S), ev.ChildOrderCreated)


def test_p_05_a_dealer_deals_nothing_out_of_session(floor: Floor) -> None:
    rule = RoutingRule(name="by hand", priority=1, book_mode=BookMode.B, dealer=DealerWait(timeout_s=600))
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    floor.place("b1", Side.BUY, "1")
    floor.now_us += NIGHT_S * SECOND_US - 5 * SECOND_US
    floor.quotes()
    (refused,) = floor.do(cmd.FillByDealer(order_id="O000000001", by="ann"))
    assert refused.code == "HALTED" and floor.order(1).state is OrderState.WITH_DEALER


def test_p_05_what_works_in_a_symbol_that_was_switched_off_waits_and_nobody_is_stopped_out_there() -> None:
    """As for a corporate action, past which the price means something else."""
    floor = Floor()
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    floor.place("b1", Side.BUY, "1", limit_price="1.09000")
    for tradable in (False, True):
        floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, tradable=tradable)))
        events = quoted(floor, "-0.02500" if tradable else "-0.02501", 120)
        assert {fill.account_id for fill in only(events, ev.OrderFilled)} == ({"b1", "poor"} if tradable else set())
        assert bool(only(events, ev.StoppedOut)) is tradable
    assert "OrderCancelled" not in names(events)
