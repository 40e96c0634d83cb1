"""P-20 across currencies: what all accounts lost today is held against a limit in the currency of whoever orders."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account
from piggy.core.desk import Desk
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, Side
from piggy.core.rollover import next_rollover_at_us
from tests.core.floor import CLEARED, SECOND_US, Floor, only
from tests.core.test_busting import bust, on_record

USDJPY = Instrument(
    symbol="USDJPY",
    asset_class=AssetClass.FX_MAJOR,
    base="USD",
    quote="JPY",
    contract_size=D(100_000),
    price_digits=3,
    tick_size=D("0.001"),
    margin_percent=D("3.33"),
)
DAY_US = 86_400 * SECOND_US
# A lot bought at 150.01 and sold at 149.01 lost 100,000 JPY: 666.66 USD at the ask, as it is made good by buying yen.
LOST = D(100_000) / D("150.000")


def floor_of(most: str, *, currency: str = "USD") -> Floor:
    """A client in yen who lost 100,000 of them, beside those in dollars; `most` is what all may lose in a day."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0, order_notional_max=D(10**12))
    floor.do(cmd.ConfigureInstrument(instrument=USDJPY))
    wide = dict.fromkeys(("exposure_account_max", "exposure_tenant_max", "exposure_venue_max", "exposure_firm_max"))
    changes = {name: D(10**13) for name in wide} | {"window_value_max": D(10**13)}
    limits = msgspec.structs.replace(HOUSE_LIMITS, loss_daily_tenant_max=D(most), **changes)
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    account = Account(account_id="yen", group="b", owner_id="yen", currency="JPY")
    floor.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="yen", amount=D(10_000_000), reference="yen"))
    for side, bid in ((Side.BUY, "150.000"), (Side.SELL, "149.010")):
        floor.now_us += 2 * SECOND_US
        yen_at(floor, bid)
        terms = OrderTerms(account_id="yen", symbol="USDJPY", side=side, quantity=D(1))
        assert only(floor.do(cmd.PlaceOrder(terms=terms)), ev.OrderFilled)
    assert floor.desk.state.balances["yen"] == 9_900_000
    yen_at(floor, "150.000")
    return floor


def yen_at(floor: Floor, bid: str) -> None:
    for _ in range(5):  # A jump is believed only when it is said again.
        for venue in ("LP1", "LP2", "LP3"):
            floor.quote(venue, bid, str(D(bid) + D("0.010")), "50", symbol="USDJPY")


def refused(floor: Floor, account_id: str = "b1") -> list[str]:
    first = floor.place(account_id, Side.BUY, "0.1")[0]
    return [check.code for check in first.verdict.reasons] if isinstance(first, ev.OrderDenied) else []


@pytest.mark.parametrize(("most", "codes"), [("666.67", []), ("666.66", ["P-20"])])
def test_p_20_what_was_lost_in_yen_counts_in_the_dollars_of_whoever_orders(most: str, codes: list[str]) -> None:
    """100,000 JPY are 666.666… USD at 150.000: to the cent, and not 100,000 of anything."""
    assert refused(floor_of(most)) == codes


@pytest.mark.parametrize(("most", "codes"), [("100000", []), ("99999", ["P-20"])])
def test_p_20_whoever_holds_yen_is_told_in_yen(most: str, codes: list[str]) -> None:
    floor = floor_of(most)
    terms = OrderTerms(account_id="yen", symbol="USDJPY", side=Side.BUY, quantity=D("0.1"))
    floor.now_us += 2 * SECOND_US
    yen_at(floor, "150.000")
    first = floor.do(cmd.PlaceOrder(terms=terms))[0]
    assert isinstance(first, ev.OrderDenied if codes else ev.OrderAccepted)
    assert [check.code for check in first.verdict.reasons] == codes


def test_p_20_what_others_won_in_another_currency_is_set_off() -> None:
    floor = floor_of("0")
    for side, shift in ((Side.BUY, "0"), (Side.SELL, "0.02")):
        for _ in range(5):
            floor.quotes(shift)
        yen_at(floor, "150.000")
        assert refused(floor) == ["P-20"]
        floor.do(cmd.ConfigureLimits(group="a", limits=floor.desk.state.limits["b"]))
        floor.do(cmd.ConfigureLimits(group="b", limits=HOUSE_LIMITS))
        assert only(floor.place("b1", side, "1"), ev.OrderFilled)
        floor.do(cmd.ConfigureLimits(group="b", limits=floor.desk.state.limits["a"]))
    assert floor.desk.state.balances["b1"] > 101_000
    assert floor.desk.moment(now_us=floor.now_us).loss_today_of_all(into="USD") == 0
    assert refused(floor) == []


def test_p_20_what_nobody_can_convert_is_not_known_and_refuses() -> None:
    """And no alert is told of what is not known (P-27)."""
    floor = floor_of("1000000")
    floor.desk = Desk(tenant="acorn")  # An engine that has just started: nobody has quoted USDJPY yet.
    for recorded in floor.log:
        floor.desk.apply(recorded=recorded)
    floor.quotes()
    assert refused(floor) == ["P-20"]
    told = only(floor.do(cmd.ActOnLimits(accounts=("b1",))), ev.LimitUseChanged)
    assert [event for event in told if event.code == "P-20"] == []
    yen_at(floor, "150.000")
    assert refused(floor) == []


def test_p_20_a_bust_takes_the_loss_back_and_a_new_day_forgets_it() -> None:
    floor = floor_of("666.66")
    assert refused(floor) == ["P-20"]
    bust(floor, *on_record(floor)[::-1])
    assert floor.desk.state.balances["yen"] == 10_000_000 and refused(floor) == []
    floor = floor_of("666.66")
    floor.now_us += 86_400 * SECOND_US
    yen_at(floor, "150.000")
    assert refused(floor) == []
    assert floor.desk.state.results_today.of_day(now_us=floor.now_us + 86_400 * SECOND_US) == {}


def test_p_20_the_day_ends_at_17_in_new_york_and_not_at_midnight_utc() -> None:
    """What an account, and all of them, lost counts until limits of the day end too (P-28), and no longer."""
    floor = floor_of("666.66")
    ends_us, midnight_us = next_rollover_at_us(at_us=floor.now_us), -(-floor.now_us // DAY_US) * DAY_US
    assert floor.now_us < midnight_us < ends_us, "it was lost after 17:00 in New York, and before midnight"
    activity, results = floor.desk.state.activity["yen"], floor.desk.state.results_today
    for at_us in (midnight_us, ends_us - 1):
        assert activity.loss_today(now_us=at_us) == 100_000 and results.of_day(now_us=at_us)
    assert activity.loss_today(now_us=ends_us) == 0 and not results.of_day(now_us=ends_us)
    activity.result(at_us=midnight_us, amount=D(-5))
    results.add(at_us=midnight_us, currency="JPY", amount=D(-5))
    assert (activity.realised_today, results.sums) == (-100_005, {"JPY": -100_005})
    activity.result(at_us=ends_us, amount=D(-7))
    assert activity.loss_today(now_us=ends_us) == 7 and activity.loss_today(now_us=ends_us - 1) == 0
