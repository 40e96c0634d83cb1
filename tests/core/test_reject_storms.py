"""P-16: who is refused again and again is refused until it was quiet; what nobody could have had does not count."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, Side
from tests.core.floor import SECOND_US, Floor


@pytest.fixture
def floor() -> Floor:
    """A resting order O000000001 of b1 is there to be amended."""
    made = Floor()
    made.place("b1", Side.BUY, "1", limit_price="1.09500")
    return made


def new(floor: Floor, account_id: str = "b1", lots: str = "1") -> set[str]:
    """Return the codes that refuse a new order."""
    event = floor.place(account_id, Side.BUY, lots)[0]
    return {check.code for check in event.verdict.reasons} if isinstance(event, ev.OrderDenied) else set()


def amended(floor: Floor) -> set[str]:
    """Return the code that refuses an amendment."""
    floor.now_us += 2 * SECOND_US
    floor.requote()
    event, *_ = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D("1.1")))
    return {event.code} if isinstance(event, ev.CommandRefused) else set()


def limits(floor: Floor, **changes: object) -> None:
    floor.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, **changes)))


def put(floor: Floor, to: TradingState, by: str) -> None:
    floor.do(cmd.SetTradingState(scope="tenant", key="", state=to, reason="drill", by=by))


def test_a_storm_of_rejects_is_refused_until_it_was_quiet(floor: Floor) -> None:
    """P-16: in a row."""
    limits(floor, rejects_consecutive_max=3)
    for _ in range(4):
        assert new(floor, lots="999.005") - {"P-16"} and "P-16" not in new(floor, "b2")
    assert new(floor) == amended(floor) == {"P-16"}
    floor.now_us += 30 * SECOND_US
    floor.quotes()
    assert new(floor) == set()


def test_what_is_refused_to_all_is_no_storm_of_any_client(floor: Floor) -> None:
    """P-16: who went on while the house took nothing is served again at once when it does."""
    limits(floor, rejects_consecutive_max=1)
    put(floor, TradingState.HALTED, by="ann")
    for _ in range(3):
        assert "P-01" in new(floor)
    put(floor, TradingState.ACTIVE, by="bob")
    assert new(floor) == set()


def test_an_accepted_order_ends_a_row_of_rejects(floor: Floor) -> None:
    limits(floor, rejects_consecutive_max=1)
    assert new(floor, lots="999.005") and new(floor) == set() and new(floor, lots="999.005") and new(floor) == set()


def test_half_rejects_in_half_a_minute_are_too_many(floor: Floor) -> None:
    """P-16: as a share, of at least twenty orders."""
    limits(floor, rejects_percent_max=D(50), duplicate_window_ms=0, account_messages_per_s_max=100)
    place = OrderTerms(account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D("0.01"))
    bad = msgspec.structs.replace(place, quantity=D("0.001"))
    floor.now_us += 60 * SECOND_US
    floor.requote()
    for _ in range(9):
        floor.do(cmd.PlaceOrder(terms=place))
    for _ in range(10):
        floor.do(cmd.PlaceOrder(terms=bad))
    assert isinstance(floor.do(cmd.PlaceOrder(terms=bad))[0], ev.OrderDenied)
    (denied,) = floor.do(cmd.PlaceOrder(terms=place))
    assert isinstance(denied, ev.OrderDenied) and [c.code for c in denied.verdict.reasons] == ["P-16"]
