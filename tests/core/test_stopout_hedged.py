"""Stopping out an account whose positions hedge each other: to close one of them may bind more than it frees."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, PositionMode
from piggy.core.margin import MarginSettings
from piggy.core.orders import OrderTerms, Side
from piggy.core.stopout import OpenLine
from tests.core.floor import CLEARED, EURUSD, SECOND_US, only
from tests.core.test_desk_stopout import fall, floor_of
from tests.core.test_stopout import line, run


def hedged(ratio: str, *lines: OpenLine) -> list[OpenLine]:
    return [
        msgspec.structs.replace(each, terms=msgspec.structs.replace(each.terms, hedged_ratio=D(ratio)))
        for each in lines
    ]


def pair(ratio: str, bought: str, sold: str, now: str = "90") -> list[OpenLine]:
    """A long and a short of one symbol, opened at 100: a lot at 90 binds 4.50."""
    return hedged(
        ratio,
        line("long", lots=bought, symbol="X", now=now),
        line("short", lots=sold, symbol="X", side=Side.SELL, now=now),
    )


@pytest.mark.parametrize(("ratio", "gone"), [("0", "1.6"), ("0.5", "3.5"), ("2", "1.7")])
def test_only_the_lots_it_takes_go_of_a_position_that_is_hedged(ratio: str, gone: str) -> None:
    """G17: ten lots against six. What is beyond the hedge frees most; all ten would have left six that bind more."""
    balance = {"0": "45.40", "0.5": "47.90", "2": "72.20"}[ratio]
    steps = run(*pair(ratio, "10", "6"), balance=balance)
    assert [(rung.position_id, rung.quantity) for rung in steps.rungs] == [("long", D(gone))]
    assert steps.after.level_percent is not None and steps.after.level_percent >= 50


def test_a_loser_that_holds_the_rest_in_check_stays() -> None:
    """The short loses, and to close it would leave ten lots where four are bound."""
    steps = run(*pair("0", "10", "6", now="110"), balance="-30.00")
    assert steps.before.equity == D(10)
    assert [(rung.position_id, rung.quantity) for rung in steps.rungs] == [("long", D("0.4"))]


def test_what_is_beyond_the_hedge_goes_before_another_symbols_position() -> None:
    """Four lots of X are not enough; of Y it takes a few, and the hedge of X stays as it is."""
    other = line("other", lots="10", now="95")
    steps = run(*pair("0", "10", "6"), other, balance="110.00")
    assert steps.before.equity == D(20)
    assert [(rung.position_id, rung.quantity) for rung in steps.rungs] == [("long", D(4)), ("other", D("1.6"))]


@pytest.mark.parametrize(("ratio", "balance"), [("0", "-0.01"), ("0.5", "3.00")])
def test_a_perfect_hedge_goes_when_nothing_else_is_left_to_go(ratio: str, balance: str) -> None:
    """It binds nothing, or half a leg; without anything left of the account all of it goes."""
    steps = run(*pair(ratio, "10", "10"), balance=balance)
    assert steps.rungs[0].quantity == 10 and not steps.queued
    assert steps.after.used == 0 or (steps.after.level_percent or 0) >= 50


def test_a_position_that_gave_what_is_beyond_its_hedge_gives_the_rest_in_the_end() -> None:
    steps = run(*pair("0.5", "10", "6"), balance="41.00")
    assert [(rung.position_id, rung.quantity) for rung in steps.rungs[:2]] == [("long", D(4)), ("long", D(6))]


@given(
    bought=st.integers(1, 40), sold=st.integers(0, 40), ratio=st.sampled_from(["0", "0.3", "1", "2"]),
    equity=st.integers(-5, 60), now=st.sampled_from(["90", "110"]),
)  # fmt: skip
def test_where_some_lots_of_the_largest_loser_are_enough_no_more_go(
    bought: int, sold: int, ratio: str, equity: int, now: str
) -> None:
    """G17, by trying every tenth of a lot."""
    lines = pair(ratio, str(D(bought) / 10), str(D(sold or 1) / 10), now=now)
    floating = sum(each.position.quantity for each in lines) * (D(now) - 100)
    balance = D(equity) / 10 - floating
    steps = run(*lines, balance=str(balance))
    loser = min(lines, key=lambda each: (each.position.quantity * (D(now) - 100), each.position.position_id))
    (other,) = (each for each in lines if each is not loser)

    def is_enough(tenths: int) -> bool:
        left = abs(loser.position.lots - D(tenths) / 10)
        heavy, light = max(left, other.position.lots), min(left, other.position.lots)
        used = (heavy - light + light * D(ratio)) * D(now) * 5 / 100
        return D(equity) / 10 * 100 >= used.quantize(D("0.0001")) * 50

    fewest = next((n for n in range(int(loser.position.lots * 10) + 1) if is_enough(n)), None)
    if steps.rungs and fewest is not None:
        assert [(rung.position_id, rung.quantity) for rung in steps.rungs] == [
            (loser.position.position_id, D(fewest) / 10)
        ]


def test_on_the_desk_a_hedged_account_keeps_its_hedge() -> None:
    """What the preview shows is what happens, and the level holds after it."""
    floor = floor_of()
    floor.do(cmd.ConfigureMargin(group="b", symbol="*", settings=MarginSettings(hedged_ratio=D(0))))
    floor.open_account("both", group="b", amount=8_000, hedging=True)
    floor.place("both", Side.BUY, "1.5")
    floor.place("both", Side.SELL, "0.9")
    fall(floor, 11_500, 5)
    preview = floor.desk.stop_out_preview(account_id="both", now_us=floor.now_us)
    fills = only(floor.act(), ev.OrderFilled)
    assert preview is not None and [(fill.side, fill.quantity) for fill in fills] == [(Side.SELL, D("0.02"))]
    assert [rung.quantity for rung in preview.rungs] == [D("0.02")]
    funds = floor.desk.moment(now_us=floor.now_us).funds("both")
    assert funds.used_margin.quantize(D("0.01")) == preview.after.used and (funds.level_percent or 0) >= 50


@pytest.mark.parametrize(("symbol", "amount"), [("GBPJPY", 39_000), ("USDJPY", 32_000)])
def test_what_is_left_of_several_positions_is_bound_at_their_own_prices_and_the_rate_of_the_close(
    symbol: str, amount: int
) -> None:
    """G20: longs of 150 and 180 yen lose, a short gains, so that their rates differ; a lot of dollars is worth a lot.

    The preview bound what was left at the mean price of all of them, and at the rate of any.
    """
    floor = floor_of(leverage_max=D(10))
    usdjpy = msgspec.structs.replace(
        EURUSD, symbol="USDJPY", base="USD", quote="JPY", price_digits=3, tick_size=D("0.001")
    )
    for each in (usdjpy, msgspec.structs.replace(usdjpy, symbol="GBPJPY", base="GBP")):
        floor.do(cmd.ConfigureInstrument(instrument=each))
    account = Account(account_id="j", group="b", owner_id="j", currency="USD", position_mode=PositionMode.HEDGING)
    floor.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="j", amount=D(amount), reference="j"))

    def say(price: int) -> None:
        for _ in range(3):
            floor.now_us += SECOND_US
            for venue in ("LP1", "LP2", "LP3"):
                for each in ("USDJPY", symbol):
                    shown = D(price) if each == symbol else D(150)
                    floor.quote(venue, str(shown), str(shown + D("0.5")), "50", symbol=each)

    def deal(side: Side, lots: str) -> None:
        terms = OrderTerms(account_id="j", symbol=symbol, side=side, quantity=D(lots))
        assert only(floor.do(cmd.PlaceOrder(terms=terms)), ev.OrderFilled)

    for price in range(150, 181, 3):
        say(price)
        if price in (150, 180):
            deal(Side.BUY, "1")
    deal(Side.SELL, "0.5")
    preview = None
    for price in range(180, 90, -2):
        say(price)
        preview = floor.desk.stop_out_preview(account_id="j", now_us=floor.now_us)
        if preview is not None and preview.rungs:
            break
    fills = only(floor.act(), ev.OrderFilled)
    assert preview is not None and [rung.quantity for rung in preview.rungs] == [fill.quantity for fill in fills]
    assert len(floor.desk.state.positions_of["j"]) > 1
    funds = floor.desk.moment(now_us=floor.now_us).funds("j")
    assert funds.used_margin.quantize(D("0.01")) == preview.after.used
