"""Margin on the desk: settings per group and symbol, hedged legs, tiers, news windows, working orders, options."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import ClientCategory
from piggy.core.instruments import AssetClass, Instrument, OptionKind, OptionTerms
from piggy.core.margin import MarginSettings, MarginTier, NewsWindow
from piggy.core.orders import OrderTerms, Side
from piggy.core.stress import OptionModel, StressTerms
from tests.core.floor import SECOND_US, START_US, Floor, only

CALL = Instrument(
    symbol="EURUSD-C",
    asset_class=AssetClass.OPTION,
    base="EUR",
    quote="USD",
    contract_size=D(100_000),
    price_digits=5,
    tick_size=D("0.00001"),
    option=OptionTerms(
        underlying="EURUSD", kind=OptionKind.CALL, strike=D("1.1"), expires_at_us=START_US + 90 * 86_400 * SECOND_US
    ),
)
STRESS = StressTerms(price_range_percent=D(6), volatility_range_points=D(4), delta_percent=D("3.33"))
MODEL = OptionModel(underlying="EURUSD", volatility=D("0.10"), stress=STRESS)


@pytest.fixture
def floor() -> Floor:
    return Floor(bid_markup_points=0, ask_markup_points=0)


def configure(floor: Floor, symbol: str = "EURUSD", **settings: Any) -> list[ev.AnyEvent]:
    return floor.do(cmd.ConfigureMargin(group="b", symbol=symbol, settings=MarginSettings(**settings)))


def used(floor: Floor, account_id: str) -> D:
    return floor.desk.moment(now_us=floor.now_us).funds(account_id).used_margin


def test_a_netting_account_binds_its_net_at_the_open_price(floor: Floor) -> None:
    """G1."""
    floor.place("b1", Side.BUY, "1")
    assert used(floor, "b1") == D("110010.00000") * D("3.33") / 100
    floor.place("b1", Side.SELL, "0.4")
    assert used(floor, "b1") == D("0.6") * D(110_010) * D("3.33") / 100
    floor.place("b1", Side.SELL, "0.6")
    assert used(floor, "b1") == 0 and floor.desk.state.margins == {}


@pytest.mark.parametrize(("ratio", "legs"), [("2", "2"), ("1", "1"), ("0.5", "0.5"), ("0", "0")])
def test_hedged_legs_pay_what_the_group_sets_and_in_full_unless_it_does(floor: Floor, ratio: str, legs: str) -> None:
    if ratio != "2":
        configure(floor, hedged_ratio=D(ratio))
    floor.open_account("h", group="b", hedging=True)
    floor.place("h", Side.BUY, "1")
    floor.place("h", Side.SELL, "1")
    leg = D("110005.5") * D("3.33") / 100
    assert used(floor, "h") == leg * D(legs)


def test_a_hedging_account_closes_what_it_names_and_pays_less(floor: Floor) -> None:
    floor.open_account("h", group="b", hedging=True)
    floor.place("h", Side.BUY, "1")
    floor.place("h", Side.SELL, "0.5")

    (accepted, _) = floor.place("h", Side.SELL, "1", position_id="O000000001")
    assert accepted.margin_reserved == 0 and {c.code: c for c in accepted.verdict.checks}["P-17"].text == "reduces"
    assert used(floor, "h") == D(110_001) * D("0.5") * D("3.33") / 100


def test_dynamic_leverage_taxes_only_what_is_above_the_tier(floor: Floor) -> None:
    configure(floor, "*", tiers=(MarginTier(above=D(1), percent=D(10)),), tier_basis="lots")
    floor.place("b1", Side.BUY, "1.5")
    assert used(floor, "b1") == D(110_010) * (D("1.5") * D("3.33") + D("0.5") * (10 - D("3.33"))) / 100


def test_a_percent_only_ever_makes_it_dearer_and_counts_from_the_next_fill(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    configure(floor, percent=D(10))
    assert used(floor, "b1") == D(110_010) * D("3.33") / 100
    floor.place("b1", Side.BUY, "1")
    assert used(floor, "b1") == D(110_010) * (D(10) + D("3.33")) / 100


def test_a_professional_pays_the_contract_percent_on_new_orders_only(floor: Floor) -> None:
    """G13, G14."""
    group = msgspec.structs.replace(floor.desk.state.groups["b"], leverage_max=D(100))
    floor.do(cmd.ConfigureGroup(group=group))
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(floor.desk.state.instruments["EURUSD"], margin_percent=D(1))))  # fmt: skip # noqa: E501
    floor.place("b1", Side.BUY, "1")
    account = floor.desk.state.accounts["b1"]
    floor.do(cmd.ConfigureAccount(account=msgspec.structs.replace(account, category=ClientCategory.PROFESSIONAL)))
    floor.place("b1", Side.BUY, "1")
    assert used(floor, "b1") == D(110_010) * (D("3.33") + D(1)) / 100


def test_a_news_window_taxes_new_net_volume_until_it_ends(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    ends = floor.now_us + 60 * SECOND_US
    window = NewsWindow(symbol="EURUSD", from_us=floor.now_us, until_us=ends, percent=D(20))
    configure(floor, news=(window,))
    (accepted, _) = floor.place("b1", Side.BUY, "1")
    assert accepted.margin_reserved == D("22002.00")
    assert used(floor, "b1") == D(110_010) * (D("3.33") + 20) / 100
    floor.now_us = ends - 1
    assert only(floor.act(), ev.SymbolMarginChanged) == []
    floor.now_us = ends
    (eased,) = only(floor.act(), ev.SymbolMarginChanged)
    assert eased.margin == used(floor, "b1") == D(110_010) * 2 * D("3.33") / 100
    assert floor.act() == []


def test_time_that_ends_something_else_leaves_a_news_window_open(floor: Floor) -> None:
    window = NewsWindow(symbol="EURUSD", from_us=0, until_us=floor.now_us + 600 * SECOND_US, percent=D(20))
    configure(floor, news=(window,))
    floor.place("b1", Side.BUY, "1")
    bound = used(floor, "b1")
    floor.now_us += 60 * SECOND_US
    assert floor.do(cmd.ActOnTime()) == [] and used(floor, "b1") == bound


def test_unwinding_inside_a_news_window_pays_nothing_new(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    window = NewsWindow(symbol="EURUSD", from_us=0, until_us=floor.now_us + 60 * SECOND_US, percent=D(20))
    configure(floor, news=(window,))
    (accepted, fill) = floor.place("b1", Side.SELL, "0.4")
    assert accepted.margin_reserved == 0 and fill.news_lots == 0 and floor.desk.state.news_until == {}
    floor.place("b1", Side.BUY, "0.1")
    assert floor.desk.state.news_until
    floor.place("b1", Side.SELL, "0.7")
    assert floor.desk.state.news_until == {}


@pytest.mark.parametrize(
    ("group", "symbol", "settings", "code"),
    [
        ("nobody", "*", {}, "GROUP_UNKNOWN"),
        ("b", "NOSUCH", {}, "SYMBOL_UNKNOWN"),
        ("b", "*", {"hedged_ratio": D("NaN")}, "MARGIN_UNUSABLE"),
        ("b", "*", {"percent": D(-1)}, "MARGIN_UNUSABLE"),
        ("b", "*", {"percent": D("1E+30")}, "MARGIN_UNUSABLE"),
        ("b", "*", {"tiers": (MarginTier(above=D("1E+16"), percent=D(1)),)}, "MARGIN_UNUSABLE"),
        ("b", "*", {"tier_basis": "hats"}, "MARGIN_UNUSABLE"),
        ("b", "*", {"tiers": (MarginTier(above=D(-1), percent=D(1)),)}, "MARGIN_UNUSABLE"),
        ("b", "*", {"news": (NewsWindow(symbol="EURUSD", from_us=2, until_us=2, percent=D(1)),)}, "MARGIN_UNUSABLE"),
    ],
)
def test_margin_settings_that_cannot_be_used_are_refused(
    floor: Floor, group: str, symbol: str, settings: dict[str, Any], code: str
) -> None:
    command = cmd.ConfigureMargin(group=group, symbol=symbol, settings=MarginSettings(**settings))
    assert floor.do(command)[0].code == code  # type: ignore[union-attr]


def test_configuring_the_same_margin_again_changes_nothing(floor: Floor) -> None:
    assert configure(floor, percent=D(4)) and configure(floor, percent=D(4)) == []


def test_working_orders_of_one_side_reserve_as_if_filled(floor: Floor) -> None:
    """P-17."""
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1", limit_price="1.09000")
    (denied,) = floor.place("poor", Side.BUY, "0.5", limit_price="1.09000")
    assert "P-17" in {check.code for check in denied.verdict.reasons}
    assert floor.desk.state.reserved["poor"] == D("3629.70")


def test_an_amendment_asks_only_for_what_it_adds(floor: Floor) -> None:
    """P-17 on REPLACE."""
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1", limit_price="1.09000")
    for quantity, refused in (("1.1", False), ("1.11", True)):
        event, *_ = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="poor", quantity=D(quantity)))
        assert (getattr(event, "code", "") == "P-17") is refused


def test_what_if_tells_margin_before_anything_is_sent(floor: Floor) -> None:
    terms = OrderTerms(account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D(1))
    answer = floor.desk.what_if(terms=terms, now_us=floor.now_us)
    assert answer.required == D(110_010) * D("3.33") / 100
    assert answer.free_before == 100_000 and answer.free_after == 100_000 - answer.required
    assert answer.verdict.passed and floor.desk.state.orders == {}
    nobody = floor.desk.what_if(terms=msgspec.structs.replace(terms, account_id="nobody"), now_us=floor.now_us)
    assert nobody.required is None and not nobody.verdict.passed


def with_option(floor: Floor) -> None:
    floor.do(cmd.ConfigureInstrument(instrument=CALL))
    floor.do(cmd.ConfigureOptionModel(model=MODEL))


def trade_option(floor: Floor, account_id: str, side: Side, lots: str) -> list[ev.AnyEvent]:
    floor.now_us += 2 * SECOND_US
    floor.requote()
    for _ in range(3):
        floor.quote("LP1", "0.02150", "0.02160", symbol="EURUSD-C")
    floor.desk.moment(now_us=floor.now_us)
    terms = OrderTerms(account_id=account_id, symbol="EURUSD-C", side=side, quantity=D(lots))
    return floor.do(cmd.PlaceOrder(terms=terms))


def test_a_short_option_binds_the_stress_of_its_netting_set(floor: Floor) -> None:
    with_option(floor)
    terms = OrderTerms(account_id="b1", symbol="EURUSD-C", side=Side.SELL, quantity=D(1))
    floor.quote("LP1", "0.02150", "0.02160", symbol="EURUSD-C")
    asked = floor.desk.what_if(terms=terms, now_us=floor.now_us)
    (accepted, fill) = trade_option(floor, "b1", Side.SELL, "1")
    assert asked.required is not None and accepted.margin_reserved == round(asked.required, 2) > 3_000
    assert fill.symbol_margin == 0 and abs(used(floor, "b1") - asked.required) < 1
    assert floor.desk.state.used_margin["b1"] == 0


def test_a_covered_call_binds_no_more_than_its_underlying(floor: Floor) -> None:
    with_option(floor)
    trade_option(floor, "b1", Side.SELL, "1")
    naked = used(floor, "b1")
    floor.place("b1", Side.BUY, "1")
    assert used(floor, "b1") < naked + D(110_010) * D("3.33") / 100


def test_an_option_that_nobody_quotes_is_marked_by_the_model_and_moves_with_its_underlying(floor: Floor) -> None:
    with_option(floor)
    trade_option(floor, "b1", Side.BUY, "1")
    floor.now_us += 700 * SECOND_US
    floor.quotes("0.00100")
    floor.act()
    before = floor.desk.marks["EURUSD-C"]
    assert before.bid == before.ask and before.bid > D("0.02")
    floor.now_us += SECOND_US
    floor.quotes("0.00400")
    floor.act()
    assert before.bid < floor.desk.marks["EURUSD-C"].bid < before.bid + D("0.003")


@pytest.mark.parametrize("options", [False, True])
def test_the_free_margin_that_the_gate_asks_for_is_that_of_the_funds(floor: Floor, options: bool) -> None:
    """P-17: held, working and, where options are stressed, what they bind; None once something has no price."""
    if options:
        with_option(floor)
        trade_option(floor, "b1", Side.SELL, "1")
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.BUY, "1", limit_price="1.09000")
    moment = floor.desk.moment(now_us=floor.now_us)
    assert str(moment.free_margin("b1")) == str(moment.funds("b1").free_margin)
    floor.desk.marks.pop("EURUSD")
    assert not moment.funds("b1").priced and moment.free_margin("b1") is None


def test_an_option_without_a_model_pays_its_percent_as_any_symbol(floor: Floor) -> None:
    floor.do(cmd.ConfigureInstrument(instrument=CALL))
    trade_option(floor, "b1", Side.BUY, "1")
    assert used(floor, "b1") == D("0.02160") * 100_000 * 20 / 100
    floor.quotes("0.00100")
    floor.now_us += 700 * SECOND_US
    floor.quotes("0.00200")
    floor.act()
    assert floor.desk.marks["EURUSD-C"].ask == D("0.02160")


def test_options_that_cannot_be_valued_leave_the_account_unpriced(floor: Floor) -> None:
    gold_call = msgspec.structs.replace(
        CALL, symbol="XAU-C", option=msgspec.structs.replace(CALL.option, underlying="XAUUSD")
    )
    gold = msgspec.structs.replace(floor.desk.state.instruments["EURUSD"], symbol="XAUUSD", base="XAU")
    for instrument in (gold, gold_call):
        floor.do(cmd.ConfigureInstrument(instrument=instrument))
    floor.do(cmd.ConfigureOptionModel(model=msgspec.structs.replace(MODEL, underlying="XAUUSD")))
    floor.quote("LP1", "0.02150", "0.02160", symbol="XAU-C")
    terms = OrderTerms(account_id="b1", symbol="XAU-C", side=Side.SELL, quantity=D(1))
    answer = floor.desk.what_if(terms=terms, now_us=floor.now_us)
    assert answer.required is None and answer.free_after is None
    assert "P-17" in {check.code for check in answer.verdict.reasons}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"underlying": "NOSUCH"}, "SYMBOL_UNKNOWN"),
        ({"volatility": D(0)}, "MODEL_UNUSABLE"),
        ({"volatility": D("NaN")}, "MODEL_UNUSABLE"),
        ({"volatility": D("10.01")}, "MODEL_UNUSABLE"),
        ({"rate": D("NaN")}, "MODEL_UNUSABLE"),
        ({"carry": D(-11)}, "MODEL_UNUSABLE"),
        ({"stress": msgspec.structs.replace(MODEL.stress, delta_percent=D("NaN"))}, "MODEL_UNUSABLE"),
        ({"stress": msgspec.structs.replace(MODEL.stress, short_floor_percent=D(-1))}, "MODEL_UNUSABLE"),
        ({"stress": msgspec.structs.replace(MODEL.stress, price_range_percent=D(100))}, "MODEL_UNUSABLE"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(floor: Floor, changes: dict[str, Any], code: str) -> None:
    command = cmd.ConfigureOptionModel(model=msgspec.structs.replace(MODEL, **changes))
    assert floor.do(command)[0].code == code  # type: ignore[union-attr]
    assert floor.do(cmd.ConfigureOptionModel(model=MODEL))
    assert floor.do(cmd.ConfigureOptionModel(model=MODEL)) == []


@pytest.mark.parametrize(("bid", "called"), [("1.06336", False), ("1.06335", True)])
def test_maintenance_margin_calls_before_the_groups_level_where_it_is_higher(
    floor: Floor, bid: str, called: bool
) -> None:
    """One lot at 1.10010 binds 3,663.333; 120 % of it is 4,395.9996, of a balance of 8,070."""
    configure(floor, maintenance_percent=D(120))
    floor.place("b1", Side.BUY, "1")
    floor.do(cmd.DebitAccount(account_id="b1", amount=D(91_930), reference="out"))
    for _ in range(4):  # A jump is believed once it stands.
        floor.quotes(str(D(bid) - D("1.10001")))
    (call, *_) = only(floor.act(), ev.MarginCalled) or [None]
    funds = floor.desk.moment(now_us=floor.now_us).funds("b1")
    assert funds.maintenance == funds.used_margin * D("1.2") and funds.level_percent and funds.level_percent > 100
    assert (call is not None) is called is (funds.equity <= funds.maintenance)
    if call:
        assert call.maintenance == funds.maintenance
        for _ in range(4):
            floor.quotes()
        assert only(floor.act(), ev.MarginRestored)


def test_maintenance_is_half_of_what_is_used_until_a_group_says_otherwise_symbol_by_symbol(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    funds = floor.desk.moment(now_us=floor.now_us).funds("b1")
    assert funds.maintenance == funds.used_margin / 2
    configure(floor, "*", maintenance_percent=D(80))
    assert floor.desk.moment(now_us=floor.now_us).funds("b1").maintenance == funds.used_margin * D("0.8")
    configure(floor, maintenance_percent=D(70))
    assert floor.desk.moment(now_us=floor.now_us).funds("b1").maintenance == funds.used_margin * D("0.7")
    assert floor.desk.moment(now_us=floor.now_us).funds("b2").maintenance == 0
