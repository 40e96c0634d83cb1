"""How an account stands, and where it would be stopped out: what its owner is told is what the desk then does (G08)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import outlooks
from piggy.core.answers import Outlook
from piggy.core.asking import told
from piggy.core.execution import UnableToConvert
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.orders import OrderTerms, Side
from piggy.core.rollover import rollover_at_us
from piggy.core.swaps import SwapUnit
from tests.core.floor import Floor, only
from tests.core.test_stopout_converted import Golden
from tests.core.test_swaps import Nights

TICK = D("0.00001")


def stands(floor: Floor, account_id: str = "poor") -> Outlook:
    command = cmd.AskOutlook(account_id=account_id)
    assert floor.do(command) == [], "a question leaves nothing in the log"
    found = told(command_id="q", command=command, desk=floor.desk, now_us=floor.now_us).outlook
    assert found is not None
    return found


def poor(side: Side = Side.BUY, *, amount: int = 4_000, hedging: bool = False, **group: Any) -> Floor:
    floor = Floor(**{"bid_markup_points": 0, "ask_markup_points": 0} | group)
    floor.open_account("poor", group="b", amount=amount, hedging=hedging)
    floor.place("poor", side, "1")
    return floor


def drift(floor: Floor, shift: D) -> list[Any]:
    """Move the market there, and say so until a jump is believed; return what comes of it."""
    for _ in range(5):
        floor.quotes(str(shift))
    return floor.act()


def test_it_says_what_the_account_is_worth_and_what_each_position_makes() -> None:
    floor = poor()
    floor.place("poor", Side.BUY, "0.01", limit_price="1.09990")
    floor.desk.state.credits["poor"] = D(50)
    floor.quotes("0.00020")
    now = stands(floor)
    (held,) = now.positions
    assert (held.position_id, held.symbol, held.quantity) == ("poor:EURUSD", "EURUSD", 1)
    assert (held.average_price, held.close_price, held.floating) == (D("1.1001"), D("1.10021"), D("11"))
    assert (now.balance, now.credit, now.floating, now.equity, now.currency) == (4_000, 50, 11, 4_011, "USD")
    assert now.equity and round(now.used_margin, 2) == D("3663.33") and round(now.reserved_margin, 2) == D("36.63")
    assert now.free_margin == now.equity - now.used_margin - now.reserved_margin
    assert now.level_percent == now.equity / now.used_margin * 100
    assert (now.margin_call_percent, now.stop_out_percent, now.margin_called) == (100, 50, False)


@pytest.mark.parametrize("markup", [0, 7])
@pytest.mark.parametrize("side", list(Side))
def test_the_price_that_is_told_is_the_first_that_stops_the_account_out(side: Side, markup: int) -> None:
    """A tick before it nobody is stopped out; at it the account is, at that price, and what was told is closed."""
    probe = poor(side, bid_markup_points=markup, ask_markup_points=markup)
    now = stands(probe)
    (brink,) = now.brinks
    (held,) = now.positions
    assert brink.price is not None and held.close_price is not None and brink.closes
    shift = brink.price - held.close_price
    before = drift(probe, shift - TICK.copy_sign(shift))
    assert only(before, ev.StoppedOut) == [] and only(before, ev.MarginCalled)
    after = drift(probe, shift)
    (fill,) = only(after, ev.OrderFilled)
    assert only(after, ev.StoppedOut)
    assert [(each.position_id, each.quantity, each.price) for each in brink.closes] == [
        (fill.position_id, fill.quantity, fill.price)
    ]


def test_nobody_is_told_of_an_account_that_is_not_there() -> None:
    floor = poor()
    assert told(command_id="q", command=cmd.AskOutlook(account_id="x"), desk=floor.desk, now_us=1).outlook is None
    del floor.desk.state.groups["b"]
    assert told(command_id="q", command=cmd.AskOutlook(account_id="poor"), desk=floor.desk, now_us=1).outlook is None
    assert told(command_id="q", command=None, desk=floor.desk, now_us=1).outlook is None
    terms = OrderTerms(account_id="poor", symbol="EURUSD", side=Side.BUY, quantity=D(1))
    other = told(command_id="q", command=cmd.AskWhatIf(terms=terms), desk=poor().desk, now_us=1)
    assert other.outlook is None and other.what_if is not None


def test_what_has_no_price_is_worth_nothing_that_could_be_told() -> None:
    floor = poor()
    floor.desk.marks.clear()
    now = stands(floor)
    assert (now.floating, now.equity, now.free_margin, now.level_percent, now.brinks) == (None, None, None, None, ())
    assert (now.positions[0].close_price, now.positions[0].floating) == (None, None)
    assert now.balance == 4_000 and now.used_margin


def test_who_holds_nothing_and_who_hedged_it_in_full_are_at_no_brink() -> None:
    floor = poor(hedging=True, amount=9_000)
    floor.place("poor", Side.SELL, "1")
    assert len(stands(floor).positions) == 2 and stands(floor).brinks == ()
    now = stands(floor, "b2")
    assert (now.positions, now.brinks, now.level_percent, now.equity) == ((), (), None, 100_000)


def test_who_can_bear_any_price_has_no_brink() -> None:
    floor = poor(amount=200_000)
    assert stands(floor).brinks == (), "one lot cannot lose more than it is worth"


def test_who_is_low_already_is_told_the_price_of_now() -> None:
    floor = poor()
    floor.do(cmd.DebitAccount(account_id="poor", amount=D(300), reference="out"))
    for _ in range(5):
        floor.quotes("-0.02000")
    now = stands(floor)
    assert now.level_percent is not None and now.level_percent < now.stop_out_percent
    assert [each.price for each in now.brinks] == [now.positions[0].close_price]


def test_a_price_that_it_is_converted_by_counts_too() -> None:
    """A lot of USDJPY bought at 150.00 with 4,000 USD: what it loses in yen is worth more dollars the lower it goes."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    usdjpy = Instrument(
        symbol="USDJPY", asset_class=AssetClass.FX_MAJOR, base="USD", quote="JPY", contract_size=D(100_000),
        price_digits=3, tick_size=D("0.001"), margin_percent=D("3.33"),
    )  # fmt: skip
    floor.do(cmd.ConfigureInstrument(instrument=usdjpy))
    floor.open_account("poor", group="b", amount=4_000)

    def quotes(price: str) -> None:
        for _ in range(5):
            for venue in ("LP1", "LP2", "LP3"):
                floor.quote(venue, price, price, symbol="USDJPY")

    quotes("150")
    floor.do(cmd.PlaceOrder(terms=OrderTerms(account_id="poor", symbol="USDJPY", side=Side.BUY, quantity=D(1))))
    (brink,) = stands(floor).brinks
    assert brink.price is not None
    loss = (150 - brink.price) * 100_000
    assert 4_000 - loss / brink.price < 1_665 <= 4_000 - (loss - 100) / (brink.price + usdjpy.tick_size)
    quotes(str(brink.price + usdjpy.tick_size))
    assert only(floor.act(), ev.StoppedOut) == []
    quotes(str(brink.price))
    assert only(floor.act(), ev.StoppedOut)


def test_what_loses_by_conversion_alone_has_a_brink_without_a_price_of_its_own() -> None:
    """Gold lost 8,000 USD to an account in EUR, whose small short of EURUSD earns less than the falling euro costs."""
    floor = Golden()
    floor.prices("2000", "1.2500")
    floor.buy("client", "1")
    terms = OrderTerms(account_id="client", symbol="EURUSD", side=Side.SELL, quantity=D("0.01"))
    floor.do(cmd.PlaceOrder(terms=terms))
    floor.prices("1920", "1.2500")
    brinks = {each.symbol: each.price for each in stands(floor, "client").brinks}
    assert brinks["EURUSD"] is None and brinks["XAUUSD"] is not None


def test_an_account_with_options_or_too_much_of_anything_is_told_no_brinks(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = poor(hedging=True, amount=9_000)
    floor.place("poor", Side.BUY, "0.5")
    assert [each.closes is None for each in stands(floor).brinks] == [False]
    monkeypatch.setattr(outlooks, "CLOSES_MAX", 1)
    assert [each.closes is None for each in stands(floor).brinks] == [True]
    monkeypatch.setattr(outlooks, "POSITIONS_MAX", 1)
    assert stands(floor).brinks == ()
    monkeypatch.setattr(outlooks, "POSITIONS_MAX", 2)
    monkeypatch.setattr(outlooks, "SYMBOLS_MAX", 0)
    assert stands(floor).brinks == ()
    monkeypatch.setattr(outlooks, "SYMBOLS_MAX", 1)
    monkeypatch.setattr(type(floor.desk.moment(now_us=floor.now_us)), "option_margin", lambda *_: D(1))
    assert stands(floor).brinks == ()


def test_where_nobody_would_deal_nothing_is_said_to_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = poor()
    assert [len(each.closes or ()) for each in stands(floor).brinks] == [1]
    monkeypatch.setattr(outlooks, "stop_out_plan", lambda **_: None)
    assert [each.closes for each in stands(floor).brinks] == [()]

    def unable(**_: Any) -> None:
        raise UnableToConvert("no rate")

    monkeypatch.setattr(outlooks, "stop_out_plan", unable)
    assert [each.closes for each in stands(floor).brinks] == [()]


@pytest.mark.parametrize("bent", [False, True])
@pytest.mark.parametrize("bar", [0, 1, 2, 3, 50, 99, 100])
def test_the_first_tick_is_found_in_a_line_and_beside_one(bar: int, bent: bool) -> None:
    looked: list[int] = []

    def equity(ticks: int) -> D:
        looked.append(ticks)
        return D(1_000_000 - ticks * ticks * 100) if bent else D(1_000_000 - ticks * 10_000)

    bound = equity(bar)
    found = outlooks.first_tick(count=100, equity=equity, is_low=lambda worth: worth < bound, bound=bound)
    assert found == (None if bar == 100 else bar + 1)
    at = outlooks.first_tick(count=100, equity=equity, is_low=lambda worth: worth <= bound, bound=bound)
    assert at == bar and len(looked) <= 40


def next_swap(floor: Floor, account_id: str = "b1") -> tuple[int, int, D | None]:
    (held,) = stands(floor, account_id).positions
    return held.settles_at_us, held.nights, held.swap


def test_what_the_next_rollover_brings_is_told_before_it_comes() -> None:
    """On a Wednesday three nights; what is told is what is charged then, at the moment that was told."""
    floor = Nights()
    floor.place("b1", Side.BUY, "2")
    floor.place("b2", Side.SELL, "1")
    at_us = rollover_at_us(business_date=date(2023, 11, 15))
    assert (next_swap(floor), next_swap(floor, "b2")) == ((at_us, 3, D(-42)), (at_us, 3, D(6)))
    (long, short) = only(floor.night(), ev.SwapCharged)
    assert (long.occurred_at_us, long.nights, long.amount, short.amount) == (at_us, 3, -42, 6)
    assert next_swap(floor)[1:] == (1, -14), "Thursday"
    floor.night(2)
    assert next_swap(floor) == (rollover_at_us(business_date=date(2023, 11, 18)), 0, 0), "Saturday"


def test_a_swap_without_rates_is_nothing_and_one_without_a_price_is_not_told() -> None:
    plain = Floor()
    plain.place("b1", Side.BUY, "1")
    assert next_swap(plain)[1:] == (0, 0)
    floor = Nights(unit=SwapUnit.PERCENT, long=D("-3.6"))
    floor.place("b1", Side.BUY, "1")
    assert next_swap(floor)[1:] == (3, D("-33.00"))
    floor.desk.marks.clear()
    assert next_swap(floor)[1:] == (3, None)
