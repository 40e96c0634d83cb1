"""The gate at its limits, to the unit: exposure as a fill would leave it, value in the base currency, ages, reasons."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, Venue
from piggy.core.gatekeeping import admit
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.open_risk import OpenRisk
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.core.quotefilter import AHEAD_MS_MAX
from piggy.core.risk import assess
from piggy.core.routing import Leg
from piggy.core.venue_room import FULL, full_venues
from tests.core.floor import CLEARED, EURUSD, SECOND_US, Floor, only
from tests.core.gate_cases import NOW_US, REQUESTS, context, refused
from tests.core.test_desk_stopout import floor_of

LIMIT = OrderType.LIMIT
AT = "1.10000"  # A lot at this price is 110,000 USD.


@pytest.fixture
def floor() -> Floor:
    return floor_of(internal_cross=False)


def limits(floor: Floor, group: str = "b", **changes: Any) -> None:
    free = {"duplicate_window_ms": 0, "window_value_max": D(10**9)}
    floor.do(cmd.ConfigureLimits(group=group, limits=msgspec.structs.replace(HOUSE_LIMITS, **(free | changes))))


def ask(floor: Floor, account_id: str, side: Side, lots: str, price: str = AT) -> dict[str, ev.Check]:
    """Place an order that waits far from where anybody deals it; return the checks by code, all of them."""
    floor.now_us += 2 * SECOND_US
    floor.requote()
    terms = OrderTerms(
        account_id=account_id, symbol="EURUSD", side=side, quantity=D(lots), type=LIMIT, limit_price=D(price)
    )
    first = floor.do(cmd.PlaceOrder(terms=terms))[0]
    assert isinstance(first, ev.OrderAccepted | ev.OrderDenied)
    return {check.code: check for check in first.verdict.checks}


@pytest.mark.parametrize(("most", "passed"), [("110000", True), ("109999.99", False)])
def test_p_19_an_account_that_turns_round_has_open_what_it_turns_to(floor: Floor, most: str, passed: bool) -> None:
    """From a lot long to a lot short is a lot, and neither two nor three."""
    floor.place("b1", Side.BUY, "1")
    limits(floor, exposure_account_max=D(most))
    check = ask(floor, "b1", Side.SELL, "2")["P-19"]
    assert (D(check.value), check.passed) == (110_000, passed)


@pytest.mark.parametrize(("lots", "value"), [("1", "220000"), ("3", "330000"), ("3.01", "331100")])
def test_p_19_what_works_the_other_way_is_not_added_to_it(floor: Floor, lots: str, value: str) -> None:
    """Two lots may still be bought, and so many sold: the worse of both is what it can come to."""
    assert ask(floor, "b1", Side.BUY, "2", "1.09900")["P-19"].passed
    assert D(ask(floor, "b1", Side.SELL, lots, "1.10000")["P-19"].value) == D(value)


@pytest.mark.parametrize(("most", "passed"), [("110000", True), ("109999.99", False)])
@pytest.mark.parametrize("whose", ["tenant", "firm"])
def test_p_19_what_one_client_sells_another_holds(floor: Floor, whose: str, most: str, passed: bool) -> None:
    floor.place("b2", Side.BUY, "1")
    limits(floor, **{f"exposure_{whose}_max": D(most)})
    assert ask(floor, "b1", Side.SELL, "1")["P-19"].passed is passed


@pytest.mark.parametrize(("lots", "refused_by"), [("2", ""), ("2.01", "P-19")])
def test_p_19_an_amendment_adds_only_what_is_more(floor: Floor, lots: str, refused_by: str) -> None:
    """On REPLACE, what works already is counted once; at its limit it passes."""
    ask(floor, "b1", Side.BUY, "1", "1.10000")
    limits(floor, exposure_account_max=D(220_000), exposure_tenant_max=D(220_000), exposure_firm_max=D(220_000))
    found = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D(lots)))[0]
    assert (found.code if isinstance(found, ev.CommandRefused) else "") == refused_by


def test_p_19_an_amendment_adds_nothing_of_what_was_dealt(floor: Floor) -> None:
    """Half a lot is held and half a lot works; made two lots in all, two lots are open."""
    floor.now_us += 2 * SECOND_US
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.09980", "1.10000" if venue == "LP1" else "1.10020", "0.5")
    terms = OrderTerms(
        account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D(1), type=LIMIT, limit_price=D(AT)
    )  # fmt: skip
    (fill,) = only(floor.do(cmd.PlaceOrder(terms=terms)), ev.OrderFilled)
    assert fill.quantity == D("0.5")
    for most, passes in ((D("219999.99"), False), (D(220_000), True)):
        limits(floor, exposure_account_max=most)
        found = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D(2)))[0]
        assert isinstance(found, ev.OrderAmended) is passes


@pytest.mark.parametrize(("most", "passed"), [("110000", True), ("109999.99", False)])
def test_p_19_a_venue_is_left_with_what_a_fill_would_leave_it(floor: Floor, most: str, passed: bool) -> None:
    for name in ("LP2", "LP3"):
        floor.do(cmd.ConfigureVenue(venue=Venue(name=name, enabled=False)))
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.open_account("a2", group="a")
    limits(floor, "a", exposure_venue_max=D(most))
    assert ask(floor, "a2", Side.SELL, "2")["P-19"].passed is passed


def test_p_19_lots_with_more_are_those_that_a_move_would_leave() -> None:
    risk = OpenRisk()
    assert (risk.lots_with(symbol="EURUSD", buys=D(2)), risk.lots_with(symbol="EURUSD", sells=D(3))) == (2, 3)
    risk.move(instrument=EURUSD, net=D(-2), buys=D(1), sells=D(4), price=D(1))
    for buys, sells, lots in ((D(0), D(0), 6), (D(7), D(0), 6), (D(9), D(0), 8), (D(0), D(1), 7)):
        assert risk.lots_with(symbol="EURUSD", buys=buys, sells=sells) == lots
        moved = OpenRisk()
        moved.move(instrument=EURUSD, net=D(-2), buys=1 + buys, sells=4 + sells, price=D(1))
        assert moved.symbols["EURUSD"].lots == lots


@pytest.mark.parametrize(("lots", "codes"), [("2.5", []), ("2.51", ["P-07"])])
def test_p_07_in_the_accounts_own_base_currency_a_lot_is_a_lot_at_any_price(lots: str, codes: list[str]) -> None:
    """A quarter of a million euros of EURUSD is that for who has euros, on NEW and on REPLACE."""
    floor = floor_of(order_notional_max=D(250_000), leverage_max=D(30))
    account = Account(account_id="euros", group="b", owner_id="euros", currency="EUR")
    floor.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="euros", amount=D(100_000), reference="e"))
    checks = ask(floor, "euros", Side.BUY, lots, "1.09900")
    assert [code for code, check in checks.items() if not check.passed] == codes
    assert D(checks["P-07"].value) == D(checks["P-19"].value) == D(lots) * 100_000
    if codes:
        return
    limits(floor, window_value_max=D(250_001))
    for amended, code in (("2.49", ""), ("2.51", "P-07")):
        found = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="euros", quantity=D(amended)))[0]
        assert (found.code if isinstance(found, ev.CommandRefused) else "") == code
    assert floor.desk.state.activity["euros"].within(now_us=floor.now_us, value_s=60, executions_s=60)[0] == 250_000


def test_a_leg_whose_worth_nobody_knows_fits_nowhere(floor: Floor) -> None:
    """P-19: without a rate into the account's currency there is no telling."""
    krone = msgspec.structs.replace(EURUSD, symbol="EURNOK", quote="NOK")
    floor.do(cmd.ConfigureInstrument(instrument=krone))
    terms = OrderTerms(account_id="a1", symbol="EURNOK", side=Side.BUY, quantity=D(1))
    legs = [Leg(venue="LP1", quantity=D(1), limit_price=D(11))]
    moment = floor.desk.moment(now_us=floor.now_us)
    assert full_venues(legs=legs, terms=terms, opens=True, sending={}, moment=moment) == {"LP1": FULL}


def test_an_amendment_of_what_has_no_value_gives_nothing_back(floor: Floor) -> None:
    """P-12: a trailing stop that came without a market has no price yet, and what it is worth now is all new."""
    ask(floor, "b1", Side.BUY, "1")
    order = floor.order(1)
    order.terms = msgspec.structs.replace(order.terms, limit_price=None)
    terms = msgspec.structs.replace(order.terms, limit_price=D(AT), quantity=D(2))
    admission = admit(order_id="O000000001", terms=terms, moment=floor.desk.moment(now_us=floor.now_us), replaces=order)
    assert admission.notional_added == admission.notional == 220_000


@pytest.mark.parametrize(("late_us", "codes"), [(0, []), (1, ["P-11", "P-09"]), (1_000, ["P-11", "P-09"])])
@pytest.mark.parametrize("request_", REQUESTS)
def test_p_09_p_11_a_price_is_old_enough_or_it_is_too_old(request_: Any, late_us: int, codes: list[str]) -> None:
    """Three seconds and a microsecond are past three seconds."""
    assert refused(request=request_, quote_at_us=NOW_US - 3_000_000 - late_us) == codes


@pytest.mark.parametrize(("early_us", "codes"), [(0, []), (1, ["P-11", "P-09"])])
def test_p_09_p_11_a_price_of_the_future_is_one_by_a_microsecond(early_us: int, codes: list[str]) -> None:
    assert refused(quote_at_us=NOW_US + AHEAD_MS_MAX * 1_000 + early_us) == codes


def test_all_that_one_control_finds_is_said() -> None:
    """P-18: too many orders, too much gross and too much net are three reasons."""
    said = {
        check.code: check for check in assess(context=context(orders_open=200, position_gross=D(99))).reasons
    }["P-18"]  # fmt: skip
    assert said.text == "too many open orders; the gross position is too large"
    assert (said.value, said.limit) == ("201", "200")
    unset = assess(context=context(position_gross_max_lots=None, position_net_max_lots=D(1))).reasons
    assert [check.text for check in unset] == [
        "the gross position is too large: the limit is not set; the net position is too large"
    ]


def test_a_verdict_names_the_configuration_that_it_was_made_under(floor: Floor) -> None:
    """Of two orders held to different limits, or cleared by different papers, each says which."""
    versions = [floor.place("b1", Side.BUY, "0.1")[0].verdict.config_version]  # type: ignore[union-attr]
    limits(floor)
    versions.append(floor.place("b1", Side.BUY, "0.1")[0].verdict.config_version)  # type: ignore[union-attr]
    floor.do(cmd.ConfigureRestrictions(scope="tenant", key="", symbols=frozenset({"EURUSD"})))
    versions.append(floor.place("b1", Side.BUY, "0.1")[0].verdict.config_version)  # type: ignore[union-attr]
    assert versions == sorted(set(versions)) and versions[-1] == floor.desk.state.config_version
    floor.do(cmd.ConfigureRestrictions(scope="tenant", key="", symbols=frozenset()))
    floor.place("b1", Side.BUY, "0.1", take_profit=D("1.10500"), stop_loss=D("1.09500"))
    made = {each.event.verdict.config_version for each in floor.log[-4:] if isinstance(each.event, ev.OrderAccepted)}
    assert made == {floor.desk.state.config_version}
