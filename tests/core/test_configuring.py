"""Configuration and money come in as commands: what is already so changes nothing, what cannot be is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import ClientCategory, PositionMode, Strategy, Venue
from piggy.core.instruments import OptionKind, OptionTerms
from piggy.core.ledger import postings
from piggy.core.limits import Limits
from piggy.core.orders import Side
from tests.core.floor import CLEARED, EURUSD, Floor, names

D = Decimal


def refused(events: list[ev.AnyEvent]) -> str:
    (event,) = events
    assert isinstance(event, ev.CommandRefused)
    return event.code


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_the_scale_of_a_symbol_in_use_stays_and_its_terms_may_change(floor: Floor) -> None:
    assert refused(floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, price_digits=4)))) == (
        "DIGITS_FIXED"
    )
    assert refused(floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, lot_digits=3)))) == (
        "DIGITS_FIXED"
    )
    dearer = msgspec.structs.replace(EURUSD, margin_percent=D(5))
    assert names(floor.do(cmd.ConfigureInstrument(instrument=dearer))) == ["InstrumentConfigured"]
    assert floor.desk.state.instruments["EURUSD"].margin_percent == 5


def test_what_is_already_so_is_no_event(floor: Floor) -> None:
    state = floor.desk.state
    strategy = Strategy(strategy_id="s1", account_id="a1")
    assert names(floor.do(cmd.ConfigureStrategy(strategy=strategy))) == ["StrategyConfigured"]
    strategy = state.strategies["s1"]
    limits = state.limits.get("a", Limits())
    floor.do(cmd.ConfigureLimits(group="a", limits=limits))
    repeats: list[Any] = [
        cmd.ConfigureInstrument(instrument=state.instruments["EURUSD"]),
        cmd.ConfigureGroup(group=state.groups["a"]),
        cmd.ConfigureAccount(account=state.accounts["a1"]),
        cmd.ConfigureVenue(venue=state.venues["LP1"]),
        cmd.ConfigureStrategy(strategy=strategy),
        cmd.ConfigureLimits(group="a", limits=limits),
    ]
    for repeat in repeats:
        assert floor.do(repeat) == []


def test_limits_may_come_before_their_group(floor: Floor) -> None:
    """A group that is not there yet has its limits waiting."""
    limits = Limits(order_volume_max_lots=D("0.5"))
    floor.do(cmd.ConfigureLimits(group="late", limits=limits))
    assert "late" not in floor.desk.state.effective_limits
    group = msgspec.structs.replace(floor.desk.state.groups["a"], name="late")
    floor.do(cmd.ConfigureGroup(group=group))
    assert floor.desk.state.effective_limits["late"].order_volume_max_lots == D("0.5")


def test_an_account_keeps_its_currency_and_while_it_holds_something_its_mode(floor: Floor) -> None:
    account = floor.desk.state.accounts["b1"]
    change = msgspec.structs.replace
    assert refused(floor.do(cmd.ConfigureAccount(account=change(account, group="none")))) == "GROUP_UNKNOWN"
    assert refused(floor.do(cmd.ConfigureAccount(account=change(account, currency="EUR")))) == "CURRENCY_FIXED"
    hedging = change(account, position_mode=PositionMode.HEDGING)
    floor.place("b1", Side.BUY, "1")
    assert refused(floor.do(cmd.ConfigureAccount(account=hedging))) == "POSITIONS_OPEN"
    floor.place("b1", Side.SELL, "1")
    assert names(floor.do(cmd.ConfigureAccount(account=hedging))) == ["AccountConfigured"]


@pytest.mark.parametrize("kind", [cmd.CreditAccount, cmd.DebitAccount])
@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity"])
def test_money_moves_in_positive_amounts_once_per_reference(floor: Floor, kind: Any, amount: str) -> None:
    assert refused(floor.do(kind(account_id="a1", amount=D(amount), reference="r"))) == "AMOUNT_NOT_POSITIVE"
    assert refused(floor.do(kind(account_id="nobody", amount=D(1), reference="r"))) == "ACCOUNT_UNKNOWN"
    assert len(floor.do(kind(account_id="a1", amount=D(1), reference="r"))) == 1
    assert floor.do(kind(account_id="a1", amount=D(1), reference="r")) == []


@pytest.mark.parametrize("kind", [cmd.CreditAccount, cmd.DebitAccount])
@pytest.mark.parametrize("amount", ["1E-11", "1000000000000000.01", "1E+40"])
def test_what_the_books_could_not_hold_exactly_is_refused(floor: Floor, kind: Any, amount: str) -> None:
    assert refused(floor.do(kind(account_id="a1", amount=D(amount), reference="r"))) == "AMOUNT_UNUSABLE"


def test_the_most_that_the_books_take_is_posted_exactly(floor: Floor) -> None:
    (credited,) = floor.do(cmd.CreditAccount(account_id="a1", amount=D("999999999999999.9999999999"), reference="r"))
    assert [line.amount for line in postings(event=credited, currency="USD")] == [
        D("999999999999999.9999999999"), D("-999999999999999.9999999999"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contract_size", D(-1)),
        ("contract_size", D("1E+30")),
        ("tick_size", D(0)),
        ("lot_step", D("NaN")),
        ("lot_max", D("Infinity")),
        ("lot_min", D(101)),
        ("margin_percent", D("NaN")),
        ("margin_percent", D(-1)),
        ("price_digits", -1),
        ("price_digits", 13),
        ("lot_digits", -1),
        ("option", OptionTerms(underlying="EURUSD", kind=OptionKind.CALL, strike=D(0), expires_at_us=1)),
    ],
)
def test_terms_that_nothing_could_be_dealt_by_are_refused(floor: Floor, name: str, value: Any) -> None:
    fresh = msgspec.structs.replace(EURUSD, symbol="EURNEW", **{name: value})
    (event,) = floor.do(cmd.ConfigureInstrument(instrument=fresh))
    assert isinstance(event, ev.CommandRefused)
    assert (event.code, event.field) == ("TERMS_UNUSABLE", name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("leverage_max", D(0)),
        ("a_book_percent", D(101)),
        ("a_book_percent", D(-1)),
        ("stop_out_percent", D("NaN")),
        ("open_orders_max", -1),
        ("bid_markup_points", 1_000_000_001),
        ("ask_markup_points", -1_000_000_001),
        ("order_notional_max", D("1E+30")),
        ("commission_per_lot", D(1_000_001)),
    ],
)
def test_settings_that_no_order_could_be_judged_by_are_refused(floor: Floor, name: str, value: Any) -> None:
    group = msgspec.structs.replace(floor.desk.state.groups["b"], **{name: value})
    (event,) = floor.do(cmd.ConfigureGroup(group=group))
    assert isinstance(event, ev.CommandRefused)
    assert (event.code, event.field) == ("TERMS_UNUSABLE", name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("commission_per_million", D("NaN")),
        ("commission_per_million", D(-1)),
        ("canary_percent", D("NaN")),
        ("canary_percent", D("100.01")),
        ("messages_per_s_max", -1),
        ("quote_age_ms_max", -1),
        ("answer_ms_max", 2**63),
    ],
)
def test_terms_that_no_venue_could_be_ranked_by_are_refused(floor: Floor, name: str, value: Any) -> None:
    venue = msgspec.structs.replace(floor.desk.state.venues["LP1"], **{name: value})
    (event,) = floor.do(cmd.ConfigureVenue(venue=venue))
    assert isinstance(event, ev.CommandRefused)
    assert (event.code, event.field) == ("TERMS_UNUSABLE", name)


@pytest.mark.parametrize(("name", "value"), [("contract_size", D(10)), ("quote", "JPY"), ("base", "GBP")])
def test_what_positions_are_worth_by_stays_while_there_are_any(floor: Floor, name: str, value: Any) -> None:
    changed = cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, **{name: value}))
    floor.place("b1", Side.BUY, "1")
    assert refused(floor.do(changed)) == "POSITIONS_OPEN"
    dearer = cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, margin_percent=D(5)))
    assert names(floor.do(dearer)) == ["InstrumentConfigured"]
    floor.place("b1", Side.SELL, "1")
    assert names(floor.do(changed)) == ["InstrumentConfigured"]


@pytest.mark.parametrize(("name", "value"), [("contract_size", D(10)), ("quote", "JPY"), ("base", "GBP")])
def test_what_lots_are_worth_by_stays_while_orders_work(floor: Floor, name: str, value: Any) -> None:
    """P-07, P-17: an order that was judged at one size of contract is not dealt at another."""
    changed = cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, **{name: value}))
    floor.place("b1", Side.BUY, "1", limit_price="1.09000")
    assert refused(floor.do(changed)) == "ORDERS_OPEN"
    crossed = msgspec.structs.replace(
        EURUSD, option=OptionTerms(underlying="X", kind=OptionKind.PUT, strike=D(1), expires_at_us=1)
    )
    assert names(floor.do(cmd.ConfigureInstrument(instrument=crossed))) == ["InstrumentConfigured"], "no lot's worth"
    floor.do(cmd.ConfigureInstrument(instrument=EURUSD))
    floor.do(cmd.CancelOrder(order_id=floor.order(1).order_id, account_id="b1"))
    assert names(floor.do(changed)) == ["InstrumentConfigured"]


def test_what_lots_are_worth_by_stays_while_venues_have_orders_or_positions_of_the_house(floor: Floor) -> None:
    changed = cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, contract_size=D(10)))
    floor.do(cmd.CoverByHand(symbol="EURUSD", by="dealer", reason="test", side=Side.BUY, quantity=D(1)))
    (leg,) = floor.children()
    (event,) = floor.do(changed)
    assert isinstance(event, ev.CommandRefused)
    assert (event.code, event.text) == ("ORDERS_OPEN", "it cannot change while venues have orders")
    floor.fill(leg, "1.10010")
    (event,) = floor.do(changed)
    assert isinstance(event, ev.CommandRefused)
    assert (event.code, event.text) == ("POSITIONS_OPEN", "it cannot change while the house has positions at venues")
    floor.quote(leg.venue, "1.10005", "1.10010")
    floor.do(cmd.CoverByHand(symbol="EURUSD", by="dealer", reason="test", side=Side.SELL, quantity=D(1)))
    floor.fill(floor.children()[-1], "1.10005")
    assert names(floor.do(changed)) == ["InstrumentConfigured"]


def test_no_more_goes_out_than_is_free(floor: Floor) -> None:
    assert refused(floor.do(cmd.DebitAccount(account_id="a1", amount=D(100_001), reference="r"))) == "FUNDS_NOT_FREE"
    floor.do(cmd.DebitAccount(account_id="a1", amount=D(100_000), reference="r"))
    assert floor.desk.state.balances["a1"] == 0


def test_a_venue_that_is_switched_off_is_remembered_so(floor: Floor) -> None:
    floor.do(cmd.ConfigureVenue(venue=Venue(name="LP1", enabled=False)))
    assert not floor.desk.state.venues["LP1"].enabled


def test_clients_of_two_categories_in_one_group_are_margined_each_by_his_own(floor: Floor) -> None:
    state = floor.desk.state
    professional = msgspec.structs.replace(
        state.accounts["b1"], account_id="p1", owner_id="p1", category=ClientCategory.PROFESSIONAL
    )
    floor.do(cmd.ConfigureAccount(account=professional, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="p1", amount=D(100_000), reference="p"))
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, margin_percent=D(1))))
    floor.do(cmd.ConfigureGroup(group=msgspec.structs.replace(state.groups["b"], leverage_max=D(500))))
    for account_id in ("b1", "p1", "b1"):
        floor.place(account_id, Side.BUY, "0.5")
    retail, own = state.used_margin["b1"] / 2, state.used_margin["p1"]
    assert own < retail, "a retail client is margined at no less than the cap of his category"


class Bonus:
    """A professional with 1,000 of his own and 500 that the house gave."""

    def __init__(self, floor: Floor) -> None:
        self.floor, self.number = floor, 0
        known = floor.desk.state.accounts["b1"]
        floor.do(cmd.ConfigureAccount(account=msgspec.structs.replace(known, category=ClientCategory.PROFESSIONAL)))
        assert self.out("99000")
        self.in_("500", "bonus")

    def in_(self, amount: str, kind: str = "deposit") -> None:
        self.number += 1
        credit = cmd.CreditAccount(account_id="b1", amount=D(amount), reference=f"i{self.number}", kind=kind)
        assert names(self.floor.do(credit)) == ["AccountCredited"]

    def out(self, amount: str, kind: str = "withdrawal") -> bool:
        self.number += 1
        debit = cmd.DebitAccount(account_id="b1", amount=D(amount), reference=f"o{self.number}", kind=kind)
        return names(self.floor.do(debit)) == ["AccountDebited"]

    def earn(self, result: int) -> None:
        self.floor.desk.state.balances["b1"] += result


def test_what_the_house_gave_is_margin_and_never_paid_out(floor: Floor) -> None:
    bonus = Bonus(floor)
    assert floor.desk.moment(now_us=floor.now_us).funds("b1").free_margin == 1_500
    assert not bonus.out("1000.01") and bonus.out("1000") and not bonus.out("0.01")
    assert bonus.out("200", "bonus"), "the house takes back what it gave"
    bonus.in_("50")
    assert not bonus.out("50.01") and bonus.out("50")
    bonus.in_("10", "rebate_on_volume")
    assert bonus.out("10"), "a rebate was earned"
    assert floor.desk.state.balances["b1"] == floor.desk.state.credits["b1"] == 300


def test_credit_bears_losses_after_the_clients_own_money(floor: Floor) -> None:
    """Lost, it does not come back out of what is paid in later; of gains none is credit."""
    bonus = Bonus(floor)
    bonus.earn(-1_300)
    assert not bonus.out("0.01")
    bonus.in_("400")
    assert floor.desk.state.credits["b1"] == 200
    bonus.earn(100)
    assert not bonus.out("500.01") and bonus.out("500")
    bonus.earn(-200)
    bonus.in_("70")
    assert bonus.out("70") and floor.desk.state.credits["b1"] == 0
