"""Margin to the last unit: hedged weights, news volume, rates, searches and bounds, each with one number worked out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from piggy.core.leverage_rules import ESMA_2018, CategoryRules, in_force
from piggy.core.margin import (
    Holding,
    MarginSettings,
    MarginTerms,
    NewsWindow,
    new_net_lots,
    required_for,
    settings_fault,
    symbol_margin,
)
from piggy.core.orders import Side
from piggy.core.positions import Position
from piggy.core.protection import REFRESH_DAYS, WINDOW_DAYS, depreciation_notices, risk_warning, write_off
from piggy.core.stopout import OpenLine, ladder, line_floating

D = Decimal
TERMS = MarginTerms(percent=D(10))


def line(*, quantity: str = "2", price: str = "100", now: str = "101", rate: str = "1") -> OpenLine:
    lots, terms = D(quantity), TERMS
    position = Position(
        account_id="a", symbol="X", position_id="p", quantity=lots, cost=lots * D(price), rate_weight=abs(lots) * 10
    )
    return OpenLine(
        position=position,
        close_price=D(now),
        rate=D(rate),
        contract_size=D(1),
        lot_step=D(1),
        lot_value=D(100),
        terms=terms,
    )


def test_only_what_makes_the_net_larger_is_new_also_below_a_lot() -> None:
    assert new_net_lots(net_before=D("0.5"), net_after=D("0.6")) == D("0.1")
    assert new_net_lots(net_before=D("-0.5"), net_after=D("-0.6")) == D("0.1")
    assert new_net_lots(net_before=D("0.5"), net_after=D("-0.6")) == D("0.6")
    assert new_net_lots(net_before=D("0.5"), net_after=D(0)) == 0


def test_both_legs_of_a_hedge_are_margined_in_full_unless_a_group_says_less() -> None:
    assert MarginSettings().hedged_ratio == 2
    assert MarginTerms(percent=D(5)).maintenance_percent == MarginSettings().maintenance_percent == 50


def test_the_newest_rules_of_those_in_force_hold() -> None:
    assert ESMA_2018.version == 1
    older, later = (structs.replace(ESMA_2018, in_force_from_us=at, version=at) for at in (1, 2))
    for sets in ((older, later), (later, older)):
        assert in_force(rule_sets=sets, jurisdiction="EU", at_us=2) is later
        assert in_force(rule_sets=sets, jurisdiction="EU", at_us=1) is older


def test_notices_and_figures_count_as_the_rules_say() -> None:
    """G-16, G-21: a year's figures, refreshed within a quarter; tenths of however little."""
    assert (WINDOW_DAYS, REFRESH_DAYS) == (365, 92)
    assert depreciation_notices(initial=D(1), before=D(1), after=D("0.75")) == (10, 20)


def test_figures_are_old_by_when_they_were_taken() -> None:
    """G-16: 92 days, from whatever day on."""
    day_us, taken = 86_400 * 1_000_000, 200 * 86_400 * 1_000_000
    assert risk_warning(losing=1, accounts=2, measured_at_us=taken, now_us=taken + 92 * day_us) is not None
    assert risk_warning(losing=1, accounts=2, measured_at_us=taken, now_us=taken + 92 * day_us + 1) is None


def test_hedged_lots_pay_their_share_of_the_dearer_side() -> None:
    """4 long at 10 %, 3 short at 8 %: one net lot at 10, and half of 3 x 10 for what is hedged."""
    holding = Holding(long_lots=D(4), long_weight=D(40), short_lots=D(3), short_weight=D(24))
    terms = MarginTerms(percent=D(10), hedged_ratio=D("0.5"))
    assert symbol_margin(holding=holding, terms=terms, lot_value=D(1_000)) == (10 + D("0.5") * 30) * 10


@pytest.mark.parametrize(("quantity", "taxed"), [("0.5", "0.5"), ("3", "3")])
def test_a_news_window_taxes_the_lots_of_the_order(quantity: str, taxed: str) -> None:
    more = required_for(
        holding=Holding(), terms=TERMS, lot_value=D(1_000), side=Side.BUY, quantity=D(quantity), news_percent=D(30)
    )
    assert more == (D(quantity) * 10 + D(taxed) * 20) * 10


def test_a_lines_profit_is_in_the_accounts_currency() -> None:
    assert line_floating(line=line(rate="0.8")) == D("1.6")


@pytest.mark.parametrize("balance", ["0", "0.50", "1"])
def test_a_balance_that_is_not_negative_is_not_written_off(balance: str) -> None:
    assert write_off(balance=D(balance), open_positions=0, protected=True) == 0


def test_a_negative_balance_is_lifted_to_nothing() -> None:
    assert write_off(balance=D("-0.50"), open_positions=0, protected=True) == D("0.50")


@pytest.mark.parametrize(
    ("window", "sound"),
    [((1, 2, "5"), True), ((2, 2, "5"), False), ((3, 2, "5"), False), ((1, 2, "-1"), False), ((1, 2, "NaN"), False)],
)
def test_a_news_window_has_a_beginning_an_end_and_a_percent(window: tuple[int, int, str], sound: bool) -> None:
    from_us, until_us, percent = window
    news = NewsWindow(symbol="X", from_us=from_us, until_us=until_us, percent=D(percent))
    assert (settings_fault(settings=MarginSettings(news=(news,))) is None) is sound


def test_a_category_without_a_rule_of_its_own_is_not_warned() -> None:
    assert not CategoryRules().risk_warning


def test_a_sale_that_turns_hedged_lots_over_pays_the_news_for_all_that_is_net_after_it() -> None:
    """Long 3 and short 1 are net 2; selling 5 makes net -3, all of it new, at 20 % instead of 10 %."""
    holding = Holding(long_lots=D(3), long_weight=D(30), short_lots=D(1), short_weight=D(10))
    asked = {"holding": holding, "terms": TERMS, "lot_value": D(100), "side": Side.SELL, "quantity": D(5)}
    assert required_for(**asked) == D(10)  # type: ignore[arg-type]
    assert required_for(**asked, news_percent=D(20)) == D(40)  # type: ignore[arg-type]


def test_what_a_close_brings_is_in_the_accounts_currency() -> None:
    """Two lots at a loss of 60 each in a currency worth 2: 240 of the balance are gone."""
    steps = ladder(
        lines=[line(price="161", rate="2")],
        balance=D(249),
        currency="USD",
        level_percent=D(50),
        now_us=0,
        partial=False,
    )
    assert [rung.realised for rung in steps.rungs] == [D(-240)] and steps.after.balance == D(9)
