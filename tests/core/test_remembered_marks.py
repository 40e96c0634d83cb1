"""What nobody has quoted since a desk began anew is valued by the last price of the desk before it."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core.conversion import Touch
from piggy.core.desk import Desk
from piggy.core.orders import OrderTerms, Side
from tests.core.floor import EURUSD, Floor, names
from tests.core.test_desk_stopout import fall, floor_of

SHARE = msgspec.structs.replace(EURUSD, symbol="SHARE", base="SHARE", contract_size=D(1), margin_percent=D(20))


@pytest.fixture
def floor() -> Floor:
    """`poor` holds a lot of EURUSD and ten shares that nobody quotes any more; the desk began anew."""
    floor = floor_of()
    floor.do(cmd.ConfigureInstrument(instrument=SHARE))
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    floor.quote("LP1", "9.99900", "10.00000", symbol="SHARE", size="50")
    floor.do(cmd.PlaceOrder(terms=OrderTerms(account_id="poor", symbol="SHARE", side=Side.BUY, quantity=D(10))))
    assert "poor" in floor.desk.state.holders["SHARE"]
    floor.desk = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=10))
    floor.quotes()
    return floor


def marks_of(floor: Floor) -> dict[str, Touch]:
    """What the desk before this one valued by."""
    return {"EURUSD": Touch(D("1.10001"), D("1.10010"), floor.now_us), "SHARE": Touch(D("9.999"), D(10), floor.now_us)}


def test_an_account_with_a_share_at_the_weekend_can_be_stopped_out_after_a_restart(floor: Floor) -> None:
    fall(floor, 2_300, 5)
    assert floor.act() == [] and not floor.desk.moment(now_us=floor.now_us).funds("poor").priced
    assert floor.desk.remember(marks=marks_of(floor)) == ["SHARE"]
    assert floor.desk.moment(now_us=floor.now_us).funds("poor").priced
    assert names(floor.act())[:2] == ["MarginCalled", "StoppedOut"]


def test_what_was_quoted_since_is_not_valued_by_what_was_before(floor: Floor) -> None:
    fall(floor, 10, 5)
    now = floor.desk.moment(now_us=floor.now_us).marks["EURUSD"]
    old = Touch(D(1), D(2), floor.now_us)
    assert floor.desk.remember(marks={"EURUSD": old}) == []
    assert floor.desk.marks["EURUSD"] == now


def test_a_symbol_that_no_longer_is_one_has_no_mark(floor: Floor) -> None:
    assert floor.desk.remember(marks={"GONE": Touch(D(1), D(2), floor.now_us)}) == []
    assert "GONE" not in floor.desk.marks


def test_a_first_price_that_is_remembered_opens_a_way_between_currencies(floor: Floor) -> None:
    """As one that is quoted does: rates kept from before it would go another way."""
    desk = floor.desk
    moment = desk.moment(now_us=floor.now_us)
    assert moment.rate(source="SHARE", target="USD", gain=True) is None
    desk.remember(marks=marks_of(floor))
    assert desk.moment(now_us=floor.now_us).rate(source="SHARE", target="USD", gain=True) is not None
