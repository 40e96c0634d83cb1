"""The gate's verdicts: no numbers, all reasons, records, reductions, replaces, overrides, defaults."""

from __future__ import annotations

import hashlib
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core.accounts import Group, TradingState
from piggy.core.events import Check, told_to_client
from piggy.core.gate import Override, Permissions, Request
from piggy.core.instruments import AssetClass
from piggy.core.limits import Limits, UnableToSetLimit
from piggy.core.orders import OrderType, Side
from piggy.core.risk import CHECKS, GATE_BUILD, NUMBER_CHECKS, NUMBER_CODES, assess, refusal, terms_hash
from tests.core.gate_cases import BASE, LIMIT_FIELDS, NOW_US, REQUESTS, SHORT_SALE, TERMS, context, refused


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "0", "1E+999999", "1000000000000.01"])
@pytest.mark.parametrize(
    "field",
    [
        "quantity",
        "limit_price",
        "stop_price",
        "trailing_distance",
        "display_quantity",
        "minimum_quantity",
        "take_profit",
        "stop_loss",
    ],
)
def test_what_is_no_number_refuses_and_nothing_computes_with_it(request_, field, number):
    verdict = assess(context=context(request=request_, **{field: D(number)}))
    codes = [reason.code for reason in verdict.reasons]
    assert codes[0] == "P-06"
    assert codes[1:] == list(NUMBER_CODES), "what needs numbers says that it could not be judged"
    assert len(verdict.checks) == len(CHECKS)


def test_all_reasons_are_returned_and_not_only_the_first():
    codes = refused(
        killed=True,
        states=(TradingState.HALTED,),
        permissions=Permissions(),
        restricted=frozenset({"EURUSD"}),
        session_open=False,
        review_due_at_us=None,
        quantity=D("10.005"),
        notional=D(10**9),
        account_messages=10,
        duplicate_at_us=NOW_US,
        executions=50,
        rejects_consecutive=21,
        self_trade=True,
        limit_price=D(2),
        margin_percent=D(1),
        position_net=D(100),
        loss_today_account=D(10**6),
        exposure_account=D(10**9),
        margin_required=D(10**6),
        quote_at_us=None,
    )
    assert codes == [
        *("P-25", "P-01", "P-02", "P-03", "P-04", "P-05", "P-30", "P-06", "P-14", "P-13", "P-15", "P-16", "P-22"),
        *("P-08", "P-07", "P-11", "P-09", "P-12", "P-24", "P-18", "P-19", "P-20", "P-17"),
    ]


def test_the_order_of_the_controls_is_fixed_and_each_answers_once():
    codes = [check.code for check in assess(context=context()).checks]
    assert len(codes) == len(set(codes)) == len(CHECKS)
    assert tuple(codes[-len(NUMBER_CHECKS) :]) == NUMBER_CODES


def test_the_record_holds_the_hash_of_the_terms_and_value_and_limit_of_a_check():
    verdict = assess(context=context(config_version=7), order_id="O1")
    assert verdict.passed
    assert (verdict.order_id, verdict.at_us, verdict.build) == ("O1", NOW_US, GATE_BUILD)
    assert verdict.config_version == 7
    assert verdict.terms_hash == hashlib.sha256(msgspec.json.encode(TERMS)).hexdigest() == terms_hash(terms=TERMS)
    assert verdict.terms_hash != assess(context=context(quantity=D(3))).terms_hash
    by_code = {check.code: check for check in verdict.checks}
    assert (by_code["P-07"].value, by_code["P-07"].limit) == ("220000", "250000")
    assert (by_code["P-17"].value, by_code["P-17"].limit) == ("7326", "10000")
    assert all(check.text == "" for check in verdict.checks)


def test_a_cent_short_of_margin_is_refused():
    """G-01: 3,663.00 needed; 3,662.99 free refuses."""
    assert refused(margin_required=D("3663.00"), margin_free=D("3663.00")) == []
    assert refused(margin_required=D("3663.00"), margin_free=D("3662.99")) == ["P-17"]


def test_a_cancel_is_exempt_from_rates_and_always_passes():
    verdict = assess(
        context=context(
            request=Request.CANCEL,
            account_messages=10**6,
            tenant_messages=10**6,
            venue_messages=10**6,
            killed=True,
            states=(TradingState.KILLED,),
            quantity=D("NaN"),
        )
    )
    assert verdict.passed
    assert [check.code for check in verdict.checks] == ["P-14"]


@pytest.mark.parametrize("side", list(Side))
def test_a_reduction_passes_where_growth_would_not(side):
    """P-17 to P-20: the order that makes risk smaller is never kept from doing so."""
    held = D(-2) * side.sign
    tight = {
        "side": side,
        "margin_free": D(-500),
        "position_net_max_lots": D(1),
        "position_gross_max_lots": D(1),
        "exposure_account_max": D(0),
        "loss_today_account": D(10**6),
        "states": (TradingState.REDUCING,),
    }
    assert refused(position_net=held, **tight) == []
    assert "P-17" in refused(position_net=held + side.sign * D("0.01"), **tight), "one step more than is held opens"
    assert "P-17" in refused(position_net=held, working_lots=D("0.01"), **tight), "others are closing it already"
    assert "P-17" in refused(position_net=-held, **tight)
    assert refused(position_net=held / 200, quantity=D("0.01"), **tight) == [], "a hundredth of a lot too"
    assert refused(position_net=held, orders_open=200, **tight) == ["P-18"], "but open orders stay bounded"


def test_a_replace_adds_no_open_order_and_gives_back_what_it_replaces():
    assert refused(orders_open=199) == []
    assert refused(orders_open=200) == ["P-18"]
    assert refused(orders_open=200, request=Request.REPLACE) == []
    assert refused(orders_open=201, request=Request.REPLACE) == ["P-18"]
    assert refused(window_notional=D(1_000_000), request=Request.REPLACE) == ["P-12"]
    assert refused(window_notional=D(1_000_000), replaced_notional=D(220_000), request=Request.REPLACE) == []


def test_what_a_replaced_order_dealt_already_is_in_the_position_and_not_counted_again():
    """P-18, P-23, P-01 on REPLACE: only what is still open can deal."""
    part = {"request": Request.REPLACE, "quantity": D(5), "notional": D(220_000)}
    assert refused(**part, filled=D(3), position_net=D(18)) == [] == refused(**part, filled=D(3), position_gross=D(38))
    assert refused(**part, filled=D("2.99"), position_net=D(18)) == ["P-18"]
    assert refused(**part, filled=D("2.99"), position_gross=D(38)) == ["P-18"]
    short = SHORT_SALE | part | {"position_net": D(-3)}
    assert refused(**short, filled=D(3), located_lots=D(5)) == []
    assert refused(**short, filled=D(3), located_lots=D("4.99")) == ["P-23"]
    reducing = part | {"side": Side.SELL, "states": (TradingState.REDUCING,), "position_net": D(2)}
    assert refused(**reducing, filled=D(3)) == []
    assert "P-01" in refused(**reducing, filled=D("2.99"))


def test_a_sell_moves_the_net_position_down():
    assert refused(side=Side.SELL, position_net=D(-18)) == []
    assert refused(side=Side.SELL, position_net=D("-18.01")) == ["P-18"]
    assert refused(side=Side.SELL, position_net=D(1)) == []


def test_a_short_sale_needs_only_what_is_not_held():
    assert refused(**SHORT_SALE, position_net=D(1), located_lots=D(1)) == []
    assert refused(**SHORT_SALE, position_net=D(1), located_lots=D("0.99")) == ["P-23"]
    assert refused(**SHORT_SALE, position_net=D(-1), located_lots=D("2.99")) == ["P-23"]
    assert refused(**SHORT_SALE, position_net=D(-1), located_lots=D(3)) == []
    assert refused(**SHORT_SALE, position_net=D(2), working_lots=D(1)) == ["P-23"]


def test_the_collar_looks_at_the_stop_price_too():
    stop = {"type": OrderType.STOP_LIMIT, "limit_price": D("1.1")}
    assert refused(**stop, stop_price=D("1.111")) == []
    assert refused(**stop, stop_price=D("1.11101")) == ["P-09"]
    assert refused(**stop, stop_price=D("1.08899")) == ["P-09"]


def test_a_market_orders_own_bound_is_no_further_from_the_touch_than_its_group_may_slip():
    sell = {"type": OrderType.MARKET, "side": Side.SELL, "bid": D("1.1"), "ask": D("1.1")}
    assert refused(**sell, limit_price=D("1.09450")) == []
    assert refused(**sell, limit_price=D("1.09449")) == ["P-10"]


def override(**more: object) -> Override:
    fields = {
        "order_id": "O1",
        "codes": frozenset({"P-07", "P-17", "P-25"}),
        "reason": "hedge of a large client",
        "requested_by": "dealer",
        "authorised_by": "head of risk",
        "granted_at_us": NOW_US,
        "expires_at_us": NOW_US + 30 * 60 * 1_000_000,
    }
    return Override(**(fields | more))  # type: ignore[arg-type]


def test_an_override_lets_one_order_through_what_may_be_overridden():
    """P-26."""
    spoilt = {"notional": D(250_001), "order_id": "O1"}
    verdict = assess(context=context(override=override(), **spoilt))
    assert verdict.passed
    [check] = [check for check in verdict.checks if check.code == "P-07"]
    assert check.text.startswith("overridden by head of risk: the order value")
    assert refused(override=override(), margin_required=D(10**6), order_id="O1") == ["P-17"], "margin has no override"
    assert refused(override=override(), killed=True, order_id="O1") == ["P-25"], "nor has a kill"
    assert refused(override=override(codes=frozenset({"P-08"})), **spoilt) == ["P-07"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"order_id": "O2"},
        {"reason": ""},
        {"authorised_by": ""},
        {"authorised_by": "dealer"},
        {"granted_at_us": NOW_US + 1},
        {"expires_at_us": NOW_US},
        {"expires_at_us": NOW_US + 30 * 60 * 1_000_000 + 1},
    ],
)
def test_an_override_out_of_order_lets_nothing_through(wrong):
    assert refused(override=override(**wrong), notional=D(250_001), order_id="O1") == ["P-07", "P-26"]
    assert refused(override=override(order_id=""), notional=D(250_001)) == ["P-07", "P-26"]


def test_an_order_that_no_context_can_be_made_of_is_refused_with_a_record():
    verdict = refusal(order_id="O1", terms=TERMS, at_us=7, code="P-02", text="no such account", config_version=3)
    assert not verdict.passed
    assert (verdict.order_id, verdict.at_us, verdict.build) == ("O1", 7, GATE_BUILD)
    assert (verdict.terms_hash, verdict.config_version) == (terms_hash(terms=TERMS), 3)
    assert [(reason.code, reason.text) for reason in verdict.reasons] == [("P-02", "no such account")]


@pytest.mark.parametrize("number", [D(-1), D("NaN"), D("Infinity")])
def test_a_limit_that_is_no_number_cannot_be_set(number):
    with pytest.raises(UnableToSetLimit):
        Limits(order_value_max=number)
    with pytest.raises(UnableToSetLimit):
        Limits(collar_percent={AssetClass.GOLD: number})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode({"order_value_max": str(number)}), type=Limits)


def test_a_group_sets_limits_of_its_own():
    group = Group(name="g", version=9, order_notional_max=D(7), open_orders_max=3, slippage_bps_max=D(1))
    limits = BASE["limits"].for_group(group=group)
    assert (limits.version, limits.order_value_max, limits.orders_open_max, limits.slippage_bps_max) == (9, 7, 3, 1)
    assert limits.order_volume_max_lots == D(10)


def test_a_number_at_its_limit_does_not_hide_another_above_its_own():
    """Controls of several numbers (P-14, P-16, P-18, P-19, P-20) look at all of them."""
    assert refused(venue_messages=199, tenant_messages=199, account_messages=10) == ["P-14"]
    assert refused(rejects_percent=D(50), rejects_consecutive=21) == ["P-16"]
    assert refused(orders_open=199, position_gross=D(38), position_net=D("18.01")) == ["P-18"]
    at_limit = dict.fromkeys(("exposure_firm", "exposure_tenant", "exposure_venue"), D(5_000_000))
    assert refused(**at_limit, exposure_account=D("5000000.01")) == ["P-19"]
    assert refused(loss_today_tenant=D(50_000), loss_today_account=D("1000.01")) == ["P-20"]


def test_the_documented_defaults():
    limits = Limits.retail_defaults()
    assert {name: value for name in LIMIT_FIELDS if (value := getattr(limits, name)) is not None} == {
        "version": 1,
        "order_value_max": D(250_000),
        "collar_percent": {
            AssetClass.FX_MAJOR: D(1),
            AssetClass.FX_MINOR: D(2),
            AssetClass.GOLD: D(3),
            AssetClass.INDEX_MAJOR: D(3),
            AssetClass.INDEX_MINOR: D(3),
            AssetClass.COMMODITY: D(5),
            AssetClass.SHARE: D(10),
            AssetClass.CRYPTO: D(10),
            AssetClass.OPTION: D(50),
        },
        "collar_age_ms_max": 3_000,
        "slippage_bps_max": D(50),
        "price_age_ms_max": 3_000,
        "close_on_stale_price": False,
        "window_value_max": D(1_000_000),
        "window_s": 60,
        "duplicate_window_ms": 1_000,
        "account_messages_per_s_max": 10,
        "tenant_messages_per_s_max": 200,
        "venue_messages_per_s_max": 200,
        "executions_max": 50,
        "executions_window_s": 60,
        "rejects_consecutive_max": 20,
        "rejects_percent_max": D(50),
        "orders_open_max": 200,
        "volume_share_percent_max": D(5),
        "locate_required": frozenset({AssetClass.SHARE}),
        "disconnect_grace_s": 30,
        "alert_percents": (D(50), D(80), D(100)),
    }


def test_compliance_grants_nothing_by_default():
    assert Permissions() == Permissions(
        trading_enabled=False,
        kyc_passed=False,
        sanctions_clear=False,
        appropriateness_passed=False,
        jurisdiction_blocked=True,
        symbols=frozenset(),
    )


def test_what_is_left_out_of_a_context_is_nothing_yet():
    tight = {
        "account_messages_per_s_max": 1,
        "tenant_messages_per_s_max": 1,
        "venue_messages_per_s_max": 1,
        "executions_max": 1,
        "rejects_consecutive_max": 0,
        "orders_open_max": 1,
    }
    assert refused(**tight) == []


def test_the_defaults_without_what_has_no_default_refuse():
    assert refused(limits=Limits.retail_defaults()) == ["P-08", "P-18", "P-19", "P-20"]


amounts = st.decimals(allow_nan=True, allow_infinity=True, places=2) | st.none()


@given(
    st.decimals(allow_nan=True, allow_infinity=True),
    st.none() | st.decimals(allow_nan=True, allow_infinity=True),
    st.sampled_from(OrderType),
    st.sampled_from(Side),
    st.integers(-30, 30),
)
def test_the_gate_answers_whatever_it_is_asked(quantity, price, type_, side, net):
    verdict = assess(context=context(quantity=quantity, limit_price=price, type=type_, side=side, position_net=D(net)))
    assert len(verdict.checks) == len(CHECKS)
    if verdict.passed:
        assert 0 < quantity <= 10
        assert price is None or abs(price - D("1.1")) * 100 <= D("1.1") or type_ is OrderType.MARKET


@pytest.mark.parametrize("code", ["P-14", "P-19", "P-20"])
def test_a_client_is_shown_his_own_figures_and_nobody_elses(code):
    own, firms = ((f"the {whose} is past it", "9", "8") for whose in ("account", "firm"))
    checks = tuple(
        Check(code=each, passed=False, text=text, value=value, limit=limit)
        for each, (text, value, limit) in ((code, own), (code, firms), ("P-07", firms))
    )
    shown = told_to_client(checks=checks)
    assert [(check.value, check.limit) for check in shown] == [("9", "8"), ("", ""), ("9", "8")]
    assert [check.text for check in shown] == [check.text for check in checks]
