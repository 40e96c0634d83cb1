"""An order that was changed deals as one that was placed with its last terms, whatever it was before.

Its naive twin is that other order, on a floor of its own, with the same prices at the same moments.
"""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from tests.core.floor import SECOND_US, START_US, Floor, only

TICK = D("0.00001")
ENDS = st.integers(5, 60).map(lambda seconds: START_US + seconds * SECOND_US)
LOTS = st.integers(1, 30).map(lambda hundredths: D(hundredths) / 10)
PRICES = st.integers(-60, 60).map(lambda ticks: D("1.10005") + ticks * TICK)
PATH = st.lists(st.integers(-80, 80).map(lambda ticks: str(ticks * TICK)), min_size=1, max_size=6)
KINDS = {
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("stop_price", "limit_price"),
    OrderType.MARKET_IF_TOUCHED: ("stop_price",),
    OrderType.TRAILING_STOP: ("trailing_distance",),
}


@st.composite
def wishes(draw: st.DrawFn, kind: OrderType) -> dict[str, Any]:
    """What may be chosen of an order of a kind, each of it anew."""
    made: dict[str, Any] = {"quantity": draw(LOTS)}
    for name in KINDS[kind]:
        made[name] = draw(st.integers(5, 60)) * TICK if name == "trailing_distance" else draw(PRICES)
    if draw(st.booleans()):
        made |= {"time_in_force": TimeInForce.GTD, "expires_at_us": draw(ENDS)}
    else:
        made["time_in_force"] = draw(st.sampled_from((TimeInForce.GTC, TimeInForce.DAY)))
    for name in ("take_profit", "stop_loss"):
        made[name] = draw(st.none() | PRICES)
    return made


@st.composite
def stories(draw: st.DrawFn) -> tuple[OrderTerms, OrderTerms, list[str], list[str]]:
    """An order, what it is to become, the fields in the order that they are changed in, and where prices go then."""
    kind, side = draw(st.sampled_from(tuple(KINDS))), draw(st.sampled_from(tuple(Side)))
    first, last = draw(wishes(kind)), draw(wishes(kind))
    base = OrderTerms(account_id="b1", symbol="EURUSD", side=side, quantity=D(1), type=kind)
    changed = draw(st.permutations(sorted(last.keys() - {"time_in_force", "expires_at_us"})))
    return (
        msgspec.structs.replace(base, **first),
        msgspec.structs.replace(base, **last),
        [*changed, "time_in_force"],
        draw(PATH),
    )


def placed(terms: OrderTerms) -> Floor:
    floor = Floor()
    floor.now_us += 2 * SECOND_US
    floor.requote()
    assume(only(floor.do(cmd.PlaceOrder(terms=terms)), ev.OrderAccepted))
    return floor


def waits(floor: Floor) -> bool:
    """Whether the order has neither dealt nor been reached, and would not be now."""
    floor.act()
    return not any(isinstance(each.event, ev.OrderFilled | ev.OrderTriggered) for each in floor.log)


def dealt(floor: Floor, path: list[str]) -> tuple[Any, ...]:
    """Return every fill and how all ended, once prices went their way."""
    for shift in path:
        floor.now_us += 4 * SECOND_US
        floor.quotes(shift)
        floor.act()
    fills = [
        (each.event.side, each.event.quantity, each.event.price, each.occurred_at_us)
        for each in floor.log
        if isinstance(each.event, ev.OrderFilled)
    ]
    state = floor.desk.state
    ended = [(each.state, each.filled, each.source) for each in state.orders.values()]
    return fills, ended, state.balances, [each.quantity for each in state.positions.values()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(stories())
def test_a_changed_order_deals_as_one_placed_with_its_last_terms(story: Any) -> None:
    first, last, names, path = story
    floor, twin = placed(first), placed(last)
    assume(waits(floor) and waits(twin))
    for name in names:
        change: dict[str, Any] = {name: getattr(last, name)}
        if name == "time_in_force" and last.expires_at_us:
            change["expires_at_us"] = last.expires_at_us
        events = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", **change))
        refused = only(events, ev.CommandRefused)
        # Half way it may be what nobody may ask for, or deal at once.
        assume(not refused and waits(floor))
    assert dealt(floor, path) == dealt(twin, path)
