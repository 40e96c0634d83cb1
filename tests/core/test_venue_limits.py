"""What a venue may be sent: no more messages than its rate, nothing new while it reduces, no price past a bound."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Group, TradingState, Venue
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, OrderType, Side
from tests.core.floor import SECOND_US, Floor, only


@pytest.fixture
def floor() -> Floor:
    made = Floor()
    limits(made)
    return made


def limits(floor: Floor, **changes: Any) -> None:
    free = {"duplicate_window_ms": 0, "window_value_max": D(10**9)}
    floor.do(cmd.ConfigureLimits(group="a", limits=msgspec.structs.replace(HOUSE_LIMITS, **(free | changes))))


def venue(floor: Floor, name: str, place: int, **more: Any) -> None:
    floor.do(cmd.ConfigureVenue(venue=Venue(name=name, priority=place, quote_age_ms_max=600_000, **more)))


def now(floor: Floor, side: Side, lots: str, **terms: Any) -> list[ev.AnyEvent]:
    """Place a market order of a1 in this very second."""
    asked = OrderTerms(account_id="a1", symbol="EURUSD", side=side, quantity=D(lots), **terms)
    return floor.do(cmd.PlaceOrder(terms=asked))


def asked(events: list[ev.AnyEvent]) -> list[str]:
    return [leg.venue for leg in only(events, ev.ChildOrderCreated)]


def state(floor: Floor, scope: str, key: str, to: TradingState, by: str = "ann") -> None:
    floor.do(cmd.SetTradingState(scope=scope, key=key, state=to, reason="drill", by=by))


def test_an_order_may_be_worth_a_quarter_of_a_million_where_nobody_said_otherwise() -> None:
    """P-07: 250,000, at it and one step above."""
    floor = Floor(order_notional_max=Group(name="fresh").order_notional_max)
    floor.open_account("rich", group="b", amount=10**9)
    (accepted, *_) = floor.place("rich", Side.BUY, "2.5", limit_price="1.00000", type=OrderType.LIMIT)
    checks = {check.code: check for check in accepted.verdict.checks}
    assert checks["P-07"].limit == "250000" and D(checks["P-07"].value) == 250_000 and checks["P-07"].passed
    above = floor.place("rich", Side.BUY, "2.51", limit_price="1.00000", type=OrderType.LIMIT)[0]
    assert "P-07" in [check.code for check in above.verdict.reasons]  # type: ignore[union-attr]


def test_a_venue_at_its_rate_is_passed_over_for_one_that_has_room(floor: Floor) -> None:
    """P-14: LP1 quotes best, its contract allows two messages a second."""
    venue(floor, "LP1", 1, messages_per_s_max=2)
    assert [asked(now(floor, Side.BUY, "0.1")) for _ in range(3)] == [["LP1"], ["LP1"], ["LP2"]]
    events = now(floor, Side.BUY, "0.1")
    considered = {seen.venue: seen.text for seen in only(events, ev.OrderAccepted)[0].routing.considered}
    assert considered["LP1"] == "its message rate is used up"
    floor.now_us += SECOND_US
    assert asked(now(floor, Side.BUY, "0.1")) == ["LP1"]


def test_a_contract_allows_no_more_than_the_group_does(floor: Floor) -> None:
    """P-14."""
    limits(floor, venue_messages_per_s_max=1)
    venue(floor, "LP1", 1, messages_per_s_max=2)
    assert [asked(now(floor, Side.BUY, "0.1")) for _ in range(2)] == [["LP1"], ["LP2"]]


def test_an_order_is_refused_when_every_contract_is_used_up(floor: Floor) -> None:
    """P-14 at the gate."""
    for place, name in enumerate(("LP1", "LP2", "LP3"), 1):
        venue(floor, name, place, messages_per_s_max=1)
    assert asked(now(floor, Side.BUY, "6")) == ["LP1", "LP2", "LP3"]
    denied = now(floor, Side.BUY, "0.1")[0]
    assert [check.code for check in denied.verdict.reasons] == ["P-14"]  # type: ignore[union-attr]


def test_one_step_of_prices_keeps_to_the_rate_as_well(floor: Floor) -> None:
    """P-14: three stops of three clients trigger at once; the third is not LP1's any more."""
    venue(floor, "LP1", 1, messages_per_s_max=2)
    for number in range(3):
        floor.open_account(f"s{number}", group="a")
        floor.place(f"s{number}", Side.BUY, "0.1", type=OrderType.STOP, stop_price=D("1.10030"))
    floor.now_us += 2 * SECOND_US
    floor.quotes("0.00040")
    assert sorted(asked(floor.act())) == ["LP1", "LP1", "LP2"]


def test_a_close_waits_for_no_rate(floor: Floor) -> None:
    """P-14: what only reduces is sent to who has the price."""
    for leg in only(now(floor, Side.BUY, "0.1"), ev.ChildOrderCreated):
        floor.fill(leg, "1.10010")
    floor.now_us += SECOND_US
    venue(floor, "LP2", 2, messages_per_s_max=1)
    assert asked(now(floor, Side.SELL, "0.04")) == ["LP2"]
    assert asked(now(floor, Side.SELL, "0.03")) == ["LP2"]


@pytest.mark.parametrize(("scope", "key"), [("venue", "LP2"), ("venue_symbol", "LP2/EURUSD")])
def test_a_venue_that_only_reduces_gets_closes_and_nothing_new(floor: Floor, scope: str, key: str) -> None:
    """P-01: the LP's own state; LP2 has the best bid."""
    for leg in only(now(floor, Side.BUY, "1"), ev.ChildOrderCreated):
        floor.fill(leg, "1.10010")
    state(floor, scope, key, TradingState.REDUCING)
    assert asked(now(floor, Side.SELL, "0.1")) == ["LP2"]
    assert asked(now(floor, Side.SELL, "1.5")) != ["LP2"]
    floor.open_account("short", group="a")
    opening = OrderTerms(account_id="short", symbol="EURUSD", side=Side.SELL, quantity=D("0.1"))
    assert asked(floor.do(cmd.PlaceOrder(terms=opening))) == ["LP1"], "no ranking for a close serves an opening"
    state(floor, scope, key, TradingState.HALTED)
    assert asked(now(floor, Side.SELL, "0.1")) == ["LP1"]


@pytest.mark.parametrize(
    ("side", "own", "limit"),
    [(Side.BUY, "1.10015", "1.10012"), (Side.BUY, "1.10560", "1.10557"), (Side.SELL, "1.09990", "1.09992")],
)
def test_a_market_order_goes_no_further_than_its_own_bound(floor: Floor, side: Side, own: str, limit: str) -> None:
    """P-10: what the client bounds it by holds at the venue, less the markup."""
    (leg,) = only(now(floor, side, "0.1", limit_price=D(own)), ev.ChildOrderCreated)
    assert leg.limit_price == D(limit)


def test_the_houses_bound_holds_where_the_clients_own_has_become_wider(floor: Floor) -> None:
    """P-10: given back by its venue after the market fell, it may slip 50 bps from where the market is now."""
    (leg,) = only(now(floor, Side.BUY, "0.1", limit_price=D("1.10560")), ev.ChildOrderCreated)
    floor.quotes("-0.00500")
    (again,) = only(floor.reject(leg), ev.ChildOrderCreated)
    assert again.limit_price == D("1.10057")


def test_a_market_order_meets_no_client_beyond_its_own_bound(floor: Floor) -> None:
    """P-10 in the internal book."""
    floor.place("b1", Side.SELL, "0.1", limit_price="1.10012")
    events = now(floor, Side.BUY, "0.1", limit_price=D("1.10011"))
    assert only(events, ev.OrderFilled) == [] == asked(events)
    (mine, its) = only(now(floor, Side.BUY, "0.1", limit_price=D("1.10012")), ev.OrderFilled)
    assert (mine.price, its.price) == (D("1.10012"), D("1.10012"))
