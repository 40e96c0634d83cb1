"""Margin calls are notices: one when an account falls to its level, and the next only after it was well above it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.margin import MarginSettings
from piggy.core.orders import Side
from tests.core.floor import Floor, names

# One lot bought at 1.10010 binds 3,663.333 of 4,000: called at a bid of 1.09673, 105 % of it is 3,846.49965.
CALLED = "1.09673"


@pytest.fixture
def floor() -> Floor:
    made = Floor(bid_markup_points=0, ask_markup_points=0)
    made.open_account("poor", group="b", amount=4_000)
    made.place("poor", Side.BUY, "1")
    return made


def bid(floor: Floor, price: str) -> list[str]:
    """Every LP bids this, again and again, for a jump is believed once it stands; return what the desk does of it."""
    for _ in range(5):
        for venue in ("LP1", "LP2", "LP3"):
            floor.quote(venue, price, str(D(price) + D("0.00010")), "50")
    return names(floor.act())


@pytest.mark.parametrize(("price", "told"), [("1.09857", ["MarginRestored"]), ("1.09856", []), ("1.09674", [])])
def test_a_called_account_is_restored_a_twentieth_above_its_level_and_not_before(
    floor: Floor, price: str, told: list[str]
) -> None:
    assert bid(floor, "1.09674") == [] and bid(floor, CALLED) == ["MarginCalled"]
    assert bid(floor, price) == told
    assert bid(floor, CALLED) == (["MarginCalled"] if told else [])


@pytest.mark.parametrize(("price", "told"), [("1.06556", ["MarginRestored"]), ("1.06555", []), ("1.06336", [])])
def test_so_it_is_with_a_maintenance_margin_that_is_higher(price: str, told: list[str]) -> None:
    """120 % of 3,663.333 is 4,395.9996, and 105 % of that 4,615.79958, of a balance of 8,070."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    settings = MarginSettings(maintenance_percent=D(120))
    floor.do(cmd.ConfigureMargin(group="b", symbol="EURUSD", settings=settings))
    floor.open_account("slim", group="b", amount=8_070)
    floor.place("slim", Side.BUY, "1")
    assert bid(floor, "1.06335") == ["MarginCalled"]
    assert bid(floor, price) == told


def test_an_account_that_hovers_at_its_level_is_called_once(floor: Floor) -> None:
    """It was called and restored 82 times in 50 seconds."""
    told = [name for price in [CALLED, "1.09674", "1.09780"] * 20 for name in bid(floor, price)]
    assert told == ["MarginCalled"] and floor.desk.state.margin_called == {"poor"}


def test_inv_17_no_notice_delays_a_stop_out(floor: Floor) -> None:
    """Called before, hovering since, or never called: it is closed at the first tick below half."""
    bid(floor, CALLED)
    bid(floor, "1.09780")
    assert bid(floor, "1.07842") == [], "4,000 less 2,168 is half and a little"
    events = bid(floor, "1.07841")
    assert events[:2] == ["StoppedOut", "OrderAccepted"] and "MarginCalled" not in events


@pytest.mark.parametrize(("amount", "told"), [(184, []), (185, ["MarginRestored"])])
def test_a_deposit_that_is_large_enough_restores_at_the_next_tick(floor: Floor, amount: int, told: list[str]) -> None:
    """4,000 less 338 of loss, and the deposit: 3,846.49965 is needed."""
    bid(floor, CALLED)
    floor.do(cmd.CreditAccount(account_id="poor", amount=D(amount), reference="more"))
    assert bid(floor, "1.09672") == told


def test_who_hedged_all_of_it_and_binds_nothing_any_more_is_restored() -> None:
    floor = Floor(bid_markup_points=0, ask_markup_points=0, margin_call_percent=D(200))
    floor.do(cmd.ConfigureMargin(group="b", symbol="EURUSD", settings=MarginSettings(hedged_ratio=D(0))))
    floor.open_account("both", group="b", amount=7_400, hedging=True)
    floor.place("both", Side.BUY, "1")
    assert bid(floor, "1.09936") == ["MarginCalled"]
    floor.place("both", Side.SELL, "1")
    assert floor.desk.state.used_margin["both"] == 0
    assert bid(floor, "1.09935") == ["MarginRestored"]
    restored = floor.log[-1].event
    assert isinstance(restored, ev.MarginRestored) and restored.level_percent is None
    assert bid(floor, "1.09934") == [] and floor.desk.state.margin_called == set()
