"""The 22 margin cases G-01 to G-22 of the controls and margin specification, each named after its id.

What belongs to records and screens (G-12, G-13's evidence, G-16's page, G-22) is tested where it lives; here stands its
rule.
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from piggy.core import commands as cmd
from piggy.core.accounts import Account, ClientCategory, Group
from piggy.core.conversion import Touch, conversion
from piggy.core.events import MarginCalled, StoppedOut
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.leverage_rules import ESMA_2018, RULE_SETS, UnableToFindRuleSet, in_force
from piggy.core.margin import (
    Holding,
    MarginTerms,
    account_margin,
    holding_of,
    lot_value,
    margin_terms,
    reaches,
    required_for,
    symbol_margin,
)
from piggy.core.orders import Side
from piggy.core.positions import filled
from piggy.core.profiles import GuaranteedStops, PriceProfile
from piggy.core.protection import credit_refusal, depreciation_notices, risk_warning, write_off
from piggy.core.stopout import OpenLine, ladder
from tests.core.floor import SECOND_US, Floor, only

RETAIL = ClientCategory.RETAIL
PROFESSIONAL = ClientCategory.PROFESSIONAL
HALF = D(50)


def instrument(name: str, asset_class: AssetClass, *, quote: str = "USD", size: int = 1, own_percent: str = "0"):
    return Instrument(
        symbol=name,
        asset_class=asset_class,
        base=name[:3],
        quote=quote,
        contract_size=D(size),
        price_digits=2,
        tick_size=D("0.01"),
        margin_percent=D(own_percent),
    )


def account(currency: str = "USD", category: ClientCategory = RETAIL) -> Account:
    return Account(account_id="a1", group="g", owner_id="o1", currency=currency, category=category)


def initial_margin(traded: Instrument, *, lots: int, price: str, currency: str = "USD", category=RETAIL) -> D:
    """The margin of one bought position under ESMA's rules, in a group that would lend far more."""
    terms = margin_terms(
        instrument=traded,
        account=account(currency, category),
        group=Group(name="g", leverage_max=D(500)),
        rules=ESMA_2018,
    )
    value = lot_value(instrument=traded, price=D(price), rate=D(1), account_currency=currency)
    needed = required_for(holding=Holding(), terms=terms, lot_value=value, side=Side.BUY, quantity=D(lots))
    return account_margin(balance=D(0), floating=D(0), used=needed, currency=currency).used


def line(profit: str, *, name: str = "p1", lots: str = "1", lot_margin: str = "800", trusted: bool = True) -> OpenLine:
    """A position at 0 whose close now brings `profit` in all and whose lots bind `lot_margin` each."""
    position = filled(
        position=None,
        side=Side.BUY,
        quantity=D(lots),
        price=D(0),
        contract_size=D(1),
        position_id=name,
        symbol=name,
        margin_percent=D(100),
    ).position
    assert position is not None
    return OpenLine(
        position=position,
        close_price=D(profit) / D(lots),
        rate=D(1),
        contract_size=D(1),
        lot_step=D("0.01"),
        lot_value=D(lot_margin),
        terms=MarginTerms(percent=D(100)),
        trusted=trusted,
    )


def test_g01_a_major_pair_binds_3_33_percent_and_a_cent_less_is_refused():
    margin = initial_margin(instrument("EURUSD", AssetClass.FX_MAJOR, size=100_000), lots=1, price="1.1000")
    assert margin == D("3663.00")
    assert not margin <= D("3662.99")  # P-17 in test_risk.py holds the gate to the same cent.


def test_g02_a_minor_pair_binds_5_percent():
    traded = instrument("EURNOK", AssetClass.FX_MINOR, quote="NOK", size=100_000)
    assert initial_margin(traded, lots=1, price="11.5", currency="EUR") == D("5000.00")
    assert ESMA_2018.fx_class(base="EUR", quote="NOK") is AssetClass.FX_MINOR
    assert ESMA_2018.fx_class(base="NOK", quote="EUR") is AssetClass.FX_MINOR
    assert ESMA_2018.fx_class(base="EUR", quote="USD") is AssetClass.FX_MAJOR


@pytest.mark.parametrize(
    ("asset_class", "lots", "price", "expected"),
    [
        pytest.param(AssetClass.GOLD, 10, "2000", "1000.00", id="G-03 gold"),
        pytest.param(AssetClass.INDEX_MAJOR, 1, "18000", "900.00", id="G-04 DAX"),
        pytest.param(AssetClass.INDEX_MINOR, 1, "11000", "1100.00", id="G-04 IBEX"),
        pytest.param(AssetClass.COMMODITY, 100, "80", "800.00", id="G-05 Brent"),
        pytest.param(AssetClass.SHARE, 100, "150", "3000.00", id="G-06 share"),
        pytest.param(AssetClass.OPTION, 100, "150", "3000.00", id="G-06 any other"),
        pytest.param(AssetClass.CRYPTO, 1, "60000", "30000.00", id="G-07 bitcoin"),
    ],
)
def test_g03_to_g07_each_class_binds_its_percent(asset_class, lots, price, expected):
    assert initial_margin(instrument("XYZ", asset_class), lots=lots, price=price) == D(expected)


def test_g04_the_dax_is_a_major_index_and_the_ibex_is_not():
    assert ESMA_2018.index_class(name="DAX") is AssetClass.INDEX_MAJOR
    assert ESMA_2018.index_class(name="IBEX 35") is AssetClass.INDEX_MINOR


@pytest.mark.parametrize(
    ("profit", "equity", "closes", "closes_inclusive"),
    [("-599.99", "400.01", False, False), ("-600.00", "400.00", False, True), ("-600.01", "399.99", True, True)],
)
def test_g08_the_close_out_level_is_below_half_and_can_be_inclusive(profit, equity, closes, closes_inclusive):
    margin = account_margin(balance=D(1000), floating=D(profit), used=D(800), currency="USD")
    assert margin.equity == D(equity)
    assert reaches(margin=margin, level_percent=HALF) is closes
    assert reaches(margin=margin, level_percent=HALF, inclusive=True) is closes_inclusive
    for inclusive in (False, True):
        steps = ladder(
            lines=[line(profit)],
            balance=D(1000),
            currency="USD",
            level_percent=HALF,
            now_us=0,
            inclusive=inclusive,
            partial=False,
        )
        assert bool(steps.rungs) is (closes_inclusive if inclusive else closes)


def test_g09_a_position_with_a_guaranteed_stop_counts_like_any_other():
    """On the desk: neither what it binds nor what it has lost is left out because its stop is guaranteed."""
    floor = Floor()
    offer = PriceProfile(guaranteed_stops=GuaranteedStops(premium_points=D(10), distance_points_min=D(50)))
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=offer))
    floor.open_account("h1", group="b", amount=10_000, hedging=True)
    floor.place("h1", Side.BUY, "1", stop_loss=D("1.00000"), guaranteed_stop=True)
    floor.place("h1", Side.BUY, "1")
    assert len(floor.desk.state.guaranteed["h1"]) == 1 and floor.desk.state.used_margin["h1"] == 2 * D("3663.4329")
    floor.now_us += 120 * SECOND_US
    floor.quotes("-0.03170")
    events = floor.act()
    (called, stopped) = only(events, MarginCalled)[0], only(events, StoppedOut)[0]
    lost = 2 * (D("1.10013") - D("1.06829")) * 100_000
    assert stopped.used_margin == called.used_margin == 2 * D("3663.4329") and stopped.equity == 10_000 - lost
    assert stopped.level_percent < HALF and stopped.positions


def test_g10_another_account_of_the_same_client_is_not_used():
    """The rule knows one account's balance; nothing of another can reach it."""
    poor = account_margin(balance=D(1000), floating=D("-600.01"), used=D(800), currency="USD")
    rich = account_margin(balance=D(10_000), floating=D(0), used=D(0), currency="USD")
    assert reaches(margin=poor, level_percent=HALF)
    assert not reaches(margin=rich, level_percent=HALF)


def test_g11_a_gap_past_the_cash_is_written_off_once():
    steps = ladder(lines=[line("-1250")], balance=D(1000), currency="USD", level_percent=HALF, now_us=0)
    assert [rung.price for rung in steps.rungs] == [D(-1250)], "filled at the gap's price, not at the trigger"
    assert steps.after.balance == D("-250")
    paid = write_off(balance=steps.after.balance, open_positions=0, protected=True)
    assert paid == D(250)
    assert write_off(balance=steps.after.balance + paid, open_positions=0, protected=True) == 0, "asked again: nothing"
    assert write_off(balance=D(-250), open_positions=1, protected=True) == 0, "not while a position is open"
    assert write_off(balance=D(-250), open_positions=0, protected=False) == 0, "not without protection"


def test_g12_money_outside_the_trading_account_is_not_touched():
    """The write-off knows the trading balance alone: a wallet cannot be an argument of it."""
    assert write_off(balance=D(-250), open_positions=0, protected=True) == D(250)


def test_g13_a_professional_gets_the_contracts_terms():
    traded = instrument("EURUSD", AssetClass.FX_MAJOR, size=100_000)
    assert initial_margin(traded, lots=1, price="1.1", category=PROFESSIONAL) == D("220.00")
    retail = ESMA_2018.of(RETAIL)
    assert (retail.closeout_percent, retail.negative_balance_protection, retail.incentives_allowed) == (50, True, False)
    rules = ESMA_2018.of(PROFESSIONAL)
    assert (rules.margin_percent, rules.closeout_percent, rules.negative_balance_protection) == ({}, None, False)


def test_g14_a_change_of_class_applies_to_new_orders():
    """A position keeps the percent it was opened at; what is added pays the new one."""
    old = filled(
        position=None, side=Side.BUY, quantity=D(1), price=D("1.1"), contract_size=D(1), margin_percent=D("0.2")
    )
    terms = MarginTerms(percent=D("3.33"))
    kept = symbol_margin(holding=holding_of(positions=[old.position]), terms=terms, lot_value=D(110_000))
    assert kept == D("220")
    added = required_for(
        holding=holding_of(positions=[old.position]), terms=terms, lot_value=D(110_000), side=Side.BUY, quantity=D(1)
    )
    assert added == D("3663.00")


def test_g15_a_bonus_to_a_retail_client_is_forbidden():
    assert credit_refusal(kind="bonus", category=RETAIL, rules=ESMA_2018) == "INCENTIVE_FORBIDDEN"
    assert credit_refusal(kind="bonus", category=PROFESSIONAL, rules=ESMA_2018) is None
    assert credit_refusal(kind="deposit", category=RETAIL, rules=ESMA_2018) is None


def test_g16_the_risk_warning_has_the_firms_own_fresh_percent():
    day_us = 86_400 * 1_000_000
    warning = risk_warning(losing=774, accounts=1000, measured_at_us=0, now_us=92 * day_us)
    assert warning is not None
    assert warning.percent == D(77)
    assert warning.text.startswith("77% of retail investor accounts")
    assert risk_warning(losing=774, accounts=1000, measured_at_us=0, now_us=92 * day_us + 1) is None
    new_firm = risk_warning(losing=0, accounts=0, measured_at_us=0, now_us=0)
    assert new_firm is not None
    assert new_firm.text.startswith("74-89%")
    assert ESMA_2018.of(RETAIL).risk_warning


def test_g17_the_largest_loss_goes_first_and_closing_stops_at_half():
    lines = [
        line("-100", name="small", lot_margin="400"),
        line("-500", name="large", lot_margin="400"),
        line("+50", name="gain", lot_margin="400"),
    ]
    steps = ladder(lines=lines, balance=D(1000), currency="USD", level_percent=HALF, now_us=0, partial=False)
    assert steps.before.level_percent == D("37.5")
    assert [(rung.position_id, rung.level_after) for rung in steps.rungs] == [("large", D("56.25"))]
    assert steps.after.equity == steps.before.equity == D(450)
    both = ladder(lines=lines, balance=D(840), currency="USD", level_percent=HALF, now_us=0, partial=False)
    assert [rung.position_id for rung in both.rungs] == ["large", "small"]


def test_g18_a_stale_price_queues_the_close_until_a_good_tick():
    stale = line("-700", trusted=False)
    waiting = ladder(lines=[stale], balance=D(1000), currency="USD", level_percent=HALF, now_us=0)
    assert (waiting.rungs, waiting.queued) == ((), ("p1",))
    good = ladder(lines=[line("-690")], balance=D(1000), currency="USD", level_percent=HALF, now_us=1)
    assert [rung.price for rung in good.rungs] == [D(-690)]
    assert good.queued == ()


def test_g19_a_position_that_the_client_closed_is_not_closed_again():
    """The ladder sees only what is open: after the client's close nothing of it is left to close, nor any margin."""
    steps = ladder(lines=[], balance=D("399.99"), currency="USD", level_percent=HALF, now_us=0)
    assert (steps.rungs, steps.before.level_percent) == ((), None)


def test_g20_the_conversion_is_stored_and_a_rerun_is_exact():
    pairs = {("USD", "JPY"): "USDJPY", ("GBP", "USD"): "GBPUSD"}
    quotes = {"USDJPY": Touch(D("150.00"), D("150.02"), 5), "GBPUSD": Touch(D("1.25"), D("1.26"), 7)}
    first = conversion(source="JPY", target="GBP", gain=False, pairs=pairs, quotes=quotes.get)
    assert first is not None
    assert [(leg.symbol, leg.side, leg.at_us) for leg in first.legs] == [("USDJPY", "bid", 5), ("GBPUSD", "bid", 7)]
    again = {leg.symbol: Touch(leg.price, leg.price, leg.at_us) for leg in first.legs}
    assert conversion(source="JPY", target="GBP", gain=False, pairs=pairs, quotes=again.get) == first


def test_g21_every_ten_percent_of_depreciation_is_notified_once():
    def notices(before, after):
        return depreciation_notices(initial=D(1000), before=D(before), after=D(after))

    assert notices("1000", "900.01") == ()
    assert notices("1000", "900") == (10,)
    assert notices("900", "850") == ()
    assert notices("850", "699") == (20, 30)
    assert notices("699", "1200") == ()
    assert depreciation_notices(initial=D(0), before=D(0), after=D(-5)) == ()


def test_g22_margin_does_not_depend_on_the_clock_that_swaps_are_charged_by():
    """What a night costs is charged, once, by core/swaps and tested there; margin ignores the hour."""
    position = filled(position=None, side=Side.BUY, quantity=D(1), price=D(1), contract_size=D(1)).position
    assert holding_of(positions=[position], now_us=0) == holding_of(positions=[position], now_us=10**18)


def test_rules_are_those_in_force_on_the_day():
    found = in_force(rule_sets=RULE_SETS, jurisdiction="EU", at_us=1_700_000_000_000_000)
    assert found is ESMA_2018
    first_day_us = ESMA_2018.in_force_from_us
    assert in_force(rule_sets=RULE_SETS, jurisdiction="EU", at_us=first_day_us) is ESMA_2018
    with pytest.raises(UnableToFindRuleSet):
        in_force(rule_sets=RULE_SETS, jurisdiction="EU", at_us=0)
    with pytest.raises(UnableToFindRuleSet):
        in_force(rule_sets=RULE_SETS, jurisdiction="XX", at_us=1_700_000_000_000_000)
