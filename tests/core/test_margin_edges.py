"""Margin at its edges: exactly at a level, an option short, a yen gained, a close on its way."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date
from decimal import Decimal as D

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, Group
from piggy.core.clearance import Calendar
from piggy.core.leverage_rules import ESMA_2018, RULE_SETS, UnableToFindRuleSet, in_force
from piggy.core.margin import margin_terms
from piggy.core.orders import OrderTerms, Side
from tests.core.floor import CLEARED, SECOND_US, Floor, names, only
from tests.core.test_desk_margin import configure, trade_option, with_option
from tests.core.test_desk_stopout import fall, floor_of
from tests.core.test_margin_on_the_desk import USDJPY, account, buy, funds, say
from tests.core.test_stopout import line, run


@pytest.fixture
def floor() -> Floor:
    return floor_of()


def margin_called(floor: Floor, bid: str) -> bool:
    for _ in range(4):  # A jump is believed once it stands.
        floor.quotes(str(D(bid) - D("1.10001")))
    return "MarginCalled" in names(floor.act())


@pytest.mark.parametrize(("bid", "called"), [("1.09012", False), ("1.09011", True), ("1.09010", True)])
def test_margin_is_called_at_the_level_exactly(floor: Floor, bid: str, called: bool) -> None:
    """A lot at 1.10010 and 10 % binds 11,001.00; of 12,000.00 it leaves so much 999 points lower."""
    configure(floor, percent=D(10))
    floor.open_account("poor", group="b", amount=12_000)
    floor.place("poor", Side.BUY, "1")
    assert margin_called(floor, bid) is called


@pytest.mark.parametrize(("bid", "called"), [("1.09012", False), ("1.09011", True), ("1.09010", True)])
def test_margin_is_called_at_the_maintenance_margin_exactly(floor: Floor, bid: str, called: bool) -> None:
    """120 % of 11,001.00 are 13,201.20, of 14,200.20 left 999 points lower."""
    configure(floor, percent=D(10), maintenance_percent=D(120))
    floor.do(cmd.DebitAccount(account_id="b1", amount=D("85799.80"), reference="out"))
    floor.place("b1", Side.BUY, "1")
    assert margin_called(floor, bid) is called


def test_who_holds_options_is_looked_at_on_every_tick_and_who_does_not_is_not(floor: Floor) -> None:
    """What an option binds moves with prices too, so that no band of prices is sure."""
    with_option(floor)
    trade_option(floor, "b1", Side.SELL, "0.1")
    for account_id in ("b1", "b2"):
        floor.place(account_id, Side.BUY, "0.1")
    fall(floor, 1)
    floor.act()
    assert floor.desk._watch.unsafe(accounts={"b1", "b2"}) == {"b1"}


@pytest.mark.parametrize("shut", [False, True])
def test_an_option_is_closed_in_its_session_only(floor: Floor, shut: bool) -> None:
    with_option(floor)
    floor.open_account("poor", group="b", amount=8_500)
    trade_option(floor, "poor", Side.SELL, "1")
    if shut:
        floor.do(cmd.ConfigureCalendar(calendar=Calendar(symbol="EURUSD-C", sessions=())))
    for price in ("0.05", "0.08"):
        for _ in range(6):
            floor.quote("LP1", price, str(D(price) + D("0.0001")), symbol="EURUSD-C")
    assert ("StoppedOut" in names(floor.act())) is not shut


@pytest.mark.parametrize("inclusive", [False, True])
def test_at_the_level_exactly_the_group_decides_for_who_holds_options_too(inclusive: bool) -> None:
    floor = floor_of(stop_out_percent=D(100), margin_call_percent=D(110), stop_out_inclusive=inclusive)
    with_option(floor)
    trade_option(floor, "b1", Side.SELL, "1")
    worth = funds(floor, "b1")
    floor.do(cmd.DebitAccount(account_id="b1", amount=worth.equity - worth.used_margin, reference="out"))
    assert funds(floor, "b1").level_percent == 100
    assert bool(only(floor.act(), ev.StoppedOut)) is inclusive


def test_a_stop_out_is_an_order_that_passed_and_can_only_reduce(floor: Floor) -> None:
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    fall(floor, 2_300, 5)
    (accepted,) = only(floor.act(), ev.OrderAccepted)
    assert accepted.verdict.passed and accepted.terms.reduce_only


def test_money_of_the_accounts_own_currency_is_of_no_time(floor: Floor) -> None:
    found = floor.desk.moment(now_us=floor.now_us).exchange(source="USD", target="USD", gain=True)
    assert found is not None and (found.rate, found.at_us, found.legs) == (1, 0, ())


def test_maintenance_is_half_of_the_margin_where_nobody_says_otherwise() -> None:
    member = Account(account_id="a", group="g", owner_id="o", currency="USD")
    terms = margin_terms(instrument=USDJPY, account=member, group=Group(name="g"), rules=ESMA_2018)
    assert terms.maintenance_percent == 50


@pytest.mark.parametrize(("currency", "left"), [("USD", "91.00"), ("EUR", "315.78")])
def test_lots_on_their_way_out_count_with_what_they_will_bring(floor: Floor, currency: str, left: str) -> None:
    """Of 4,000.00 a lot from 1.10010 down to 1.06101 takes 3,909.00 USD, wherever nine tenths of it are."""
    member = Account(account_id="poor", group="a", owner_id="poor", currency=currency)
    floor.do(cmd.ConfigureAccount(account=member, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="poor", amount=D(4_000), reference="gift"))
    floor.place("poor", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    floor.place("poor", Side.SELL, "0.9")
    fall(floor, 3_900, 5)
    floor.act()
    preview = floor.desk.stop_out_preview(account_id="poor", now_us=floor.now_us)
    assert preview is not None
    assert round(preview.before.equity, 2) == D(left) and abs(preview.before.equity - funds(floor, "poor").equity) < 1


def test_a_gain_is_converted_as_a_gain_before_a_stop_out_too(floor: Floor) -> None:
    floor.do(cmd.ConfigureInstrument(instrument=USDJPY))
    account(floor, "10000")
    say(floor, "USDJPY", "149.990", "150.000")
    buy(floor, "USDJPY", "1")
    say(floor, "USDJPY", "150.500", "151.500")
    preview = floor.desk.stop_out_preview(account_id="client", now_us=floor.now_us)
    worth = funds(floor).equity
    assert preview is not None and preview.before.equity == round(worth, 2) == D("10330.03")


@pytest.mark.parametrize(("quorum", "closed"), [(1, True), (2, False)])
def test_a_group_without_a_quorum_closes_where_no_venue_alone_quotes_both_sides(quorum: int, closed: bool) -> None:
    floor = floor_of(stop_out_quorum=quorum, stop_out_band_bps=D(10))
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    for _ in range(5):
        for venue, bid, ask in (("LP1", "1.07700", ""), ("LP2", "1.07700", ""), ("LP3", "", "1.07710")):
            floor.quote(venue, bid, ask)
    assert bool(only(floor.act(), ev.StoppedOut)) is closed


def test_a_hedging_account_pays_for_both_legs_although_a_netting_one_asked_before_it(floor: Floor) -> None:
    """To turn one lot over into one the other way costs a hedging account half a lot more, a netting one nothing."""
    configure(floor, hedged_ratio=D("0.5"))
    floor.open_account("h", group="b", hedging=True)
    asked = {}
    for account_id in ("b1", "h"):
        floor.place(account_id, Side.BUY, "1")
        turn = OrderTerms(account_id=account_id, symbol="EURUSD", side=Side.SELL, quantity=D(2))
        asked[account_id] = floor.desk.what_if(terms=turn, now_us=floor.now_us).required
    assert asked == {"b1": 0, "h": D("0.5") * D(110_001) * D("3.33") / 100}


def test_a_stop_out_closes_a_single_step_where_that_suffices() -> None:
    """10 lots at 90 bind 45.00 and need 22.50; a tenth of a lot less need 22.275 of the 22.30 there are."""
    (rung,) = run(line("p", now="90"), balance="122.30").rungs
    assert rung.quantity == D("0.1")


@pytest.mark.parametrize(("before_us", "known"), [(0, True), (1, False)])
def test_the_rules_hold_from_the_first_moment_of_august_2018(before_us: int, known: bool) -> None:
    first_us = (date(2018, 8, 1) - date(1970, 1, 1)).days * 86_400 * SECOND_US
    with nullcontext() if known else pytest.raises(UnableToFindRuleSet):
        in_force(rule_sets=RULE_SETS, jurisdiction="EU", at_us=first_us - before_us)
