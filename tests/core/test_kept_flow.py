"""Venues without room refuse nobody whose order none of them is sent: what is kept here, and no close for its rate."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, Venue
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, Side
from piggy.core.routing_rules import Conditions, RoutingPolicy, RoutingRule
from tests.core.floor import SECOND_US, Floor, only

BUY, SELL = Side.BUY, Side.SELL
PLACES = (("LP1", 1), ("LP2", 2), ("LP3", 3))


@pytest.fixture
def floor() -> Floor:
    """Account a1 is long half a lot; the same order may come twice."""
    made = Floor(internal_cross=False)
    for group in ("a", "b", "mixed"):
        limits(made, group)
    for leg in only(now(made, "a1", BUY, "0.5"), ev.ChildOrderCreated):
        made.fill(leg, "1.10010")
    made.now_us += SECOND_US
    return made


def limits(floor: Floor, group: str, **changes: Any) -> None:
    free = {"duplicate_window_ms": 0, "window_value_max": D(10**9)}
    floor.do(cmd.ConfigureLimits(group=group, limits=msgspec.structs.replace(HOUSE_LIMITS, **(free | changes))))


def now(floor: Floor, account_id: str, side: Side, lots: str) -> list[ev.AnyEvent]:
    """Place a market order in this very second."""
    terms = OrderTerms(account_id=account_id, symbol="EURUSD", side=side, quantity=D(lots))
    return floor.do(cmd.PlaceOrder(terms=terms))


def refused(events: list[ev.AnyEvent]) -> list[tuple[str, str]]:
    return [(check.code, check.text) for each in only(events, ev.OrderDenied) for check in each.verdict.reasons]


def use_up_the_rates(floor: Floor) -> None:
    """Send each LP the one message that its contract allows a second."""
    for name, place in PLACES:
        venue = Venue(name=name, priority=place, quote_age_ms_max=600_000, messages_per_s_max=1)
        floor.do(cmd.ConfigureVenue(venue=venue))
    assert len(only(now(floor, "a1", BUY, "6"), ev.ChildOrderCreated)) == 3


BUSY = [("P-14", "the venue's rate is used up")]
FULL = [("P-19", "the venue's exposure is too large")]


def test_rates_that_are_used_up_refuse_what_is_passed_on_and_nothing_else(floor: Floor) -> None:
    """P-14: the B book's flow is kept, and a close waits for no rate."""
    use_up_the_rates(floor)
    assert refused(now(floor, "a1", BUY, "0.1")) == refused(now(floor, "mixed1", BUY, "0.1")) == BUSY
    assert refused(now(floor, "b1", BUY, "0.1")) == []
    (leg,) = only(now(floor, "a1", SELL, "0.2"), ev.ChildOrderCreated)
    assert leg.quantity == D("0.2")
    assert refused(now(floor, "a1", SELL, "0.4")) == BUSY, "it turns the position round"


def test_a_change_of_an_order_that_is_kept_waits_for_no_venue_either(floor: Floor) -> None:
    """P-14 and P-19 on REPLACE."""
    for account_id in ("b1", "a1"):
        terms = {"limit_price": "1.09500"}
        floor.place(account_id, BUY, "0.1", **terms)
    use_up_the_rates(floor)
    for group in ("a", "b"):
        limits(floor, group, exposure_venue_max=D(1))
    told = []
    for order_id, account_id in (("O000000002", "b1"), ("O000000003", "a1")):
        change = cmd.AmendOrder(order_id=order_id, account_id=account_id, quantity=D("0.2"))
        told.append([check.code for each in only(floor.do(change), ev.CommandRefused) for check in each.reasons])
    assert told == [[], ["P-14", "P-19"]]


@pytest.mark.parametrize(
    ("lots", "refusal"), [("0.5", []), ("0.51", FULL)], ids=["all of it is kept", "a part would overflow"]
)
def test_exposure_at_venues_refuses_only_what_they_would_be_sent(
    floor: Floor, lots: str, refusal: list[tuple[str, str]]
) -> None:
    """P-19: the B book may hold half a lot; what is beyond goes to A."""
    rule = RoutingRule(
        name="b", priority=1, book_mode=BookMode.B, b_net_max_lots=D("0.5"), conditions=Conditions(groups=("b",))
    )
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    limits(floor, "b", exposure_venue_max=D(10_000))
    assert refused(now(floor, "b1", BUY, lots)) == refusal


def test_a_limit_that_nobody_set_refuses_what_is_kept_too(floor: Floor) -> None:
    """P-14, P-19: unset is no permission."""
    limits(floor, "b", exposure_venue_max=None, venue_messages_per_s_max=None)
    assert [code for code, _ in refused(now(floor, "b1", BUY, "0.1"))] == ["P-14", "P-19"]
