"""The pre-trade gate: every control passes, refuses, and knows its limit to the unit, on NEW and on REPLACE."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from piggy.core.accounts import Account, TradingState
from piggy.core.gate import Permissions
from piggy.core.instruments import OptionKind, OptionTerms
from piggy.core.orders import OrderType, SelfTradePrevention, Side, TimeInForce
from piggy.core.risk import assess
from tests.core.gate_cases import INSTRUMENT, MARKET, NOW_US, REQUESTS, SHARE, SHORT_SALE, TERMS, context, refused


def boundary(code: str, below: dict, at: dict, above: dict):
    return pytest.param(code, below, at, above, id=f"{code} {next(iter(above))}")


def numbers(code: str, name: str, limit: object, unit: object = 1, **more: object):
    """One number against one limit: limit - unit and limit pass, limit + unit refuses."""
    values = [D(str(limit)) + D(str(unit)) * way for way in (-1, 0, 1)]
    cast = int if isinstance(limit, int) else D
    return boundary(code, *({name: cast(value)} | more for value in values))


EXPIRY = OptionTerms(underlying="EURUSD", kind=OptionKind.CALL, strike=D(1), expires_at_us=NOW_US)


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize(
    ("code", "below", "at", "above"),
    [
        numbers("P-06", "quantity", "100", "0.01", order_volume_max_lots=D(1_000), position_net_max_lots=D(1_000),
                position_gross_max_lots=D(1_000)),
        numbers("P-07", "notional", "250000", "0.01"),
        numbers("P-08", "quantity", "10", "0.01"),
        numbers("P-09", "limit_price", "1.111", "0.00001"),
        boundary("P-09", {"limit_price": D("1.08901")}, {"limit_price": D("1.089")}, {"limit_price": D("1.08899")}),
        numbers("P-10", "limit_price", "1.10550", "0.00001", type=OrderType.MARKET, ask=D("1.1"), bid=D("1.1")),
        boundary(
            "P-11",
            {"quote_at_us": NOW_US - 2_999_000},
            {"quote_at_us": NOW_US - 3_000_000},
            {"quote_at_us": NOW_US - 3_001_000, **MARKET},
        ),
        numbers("P-12", "window_notional", "780000", "0.01"),
        boundary(
            "P-13",
            {"duplicate_at_us": NOW_US - 1_000_001},
            {"duplicate_at_us": NOW_US - 1_000_000},
            {"duplicate_at_us": NOW_US - 999_999},
        ),
        numbers("P-14", "account_messages", 9),
        numbers("P-14", "tenant_messages", 199),
        numbers("P-14", "venue_messages", 199),
        numbers("P-15", "executions", 49),
        numbers("P-16", "rejects_consecutive", 20),
        numbers("P-16", "rejects_percent", "50", "0.01"),
        numbers("P-17", "margin_required", "10000", "0.01"),
        numbers("P-18", "position_net", "18", "0.01"),
        numbers("P-18", "position_gross", "38", "0.01"),
        numbers("P-18", "working_lots", "18", "0.01"),
        numbers("P-19", "exposure_account", "5000000", "0.01"),
        numbers("P-19", "exposure_tenant", "5000000", "0.01"),
        numbers("P-19", "exposure_venue", "5000000", "0.01"),
        numbers("P-19", "exposure_firm", "5000000", "0.01"),
        numbers("P-20", "loss_today_account", "1000", "0.01"),
        numbers("P-20", "loss_today_tenant", "50000", "0.01"),
        numbers("P-21", "quantity", "5", "0.01", instrument=SHARE, daily_volume_lots=D(100)),
        boundary(
            "P-23",
            {"located_lots": D("2.01"), **SHORT_SALE},
            {"located_lots": D(2), **SHORT_SALE},
            {"located_lots": D("1.99"), **SHORT_SALE},
        ),
        boundary(
            "P-24",
            {"margin_percent": D("3.34")},
            {"margin_percent": D("3.33")},
            {"margin_percent": D("3.32")},
        ),
        numbers("P-30", "now_us", NOW_US, quote_at_us=NOW_US, terms=TERMS),
    ],
)  # fmt: skip
def test_a_limit_holds_to_the_unit(request_, code, below, at, above):
    """P-06 to P-30: limit - unit and limit pass, limit + unit is refused for that reason and no other."""
    assert refused(request=request_, **below) == []
    assert refused(request=request_, **at) == []
    assert refused(request=request_, **above) == [code]


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize(
    ("code", "spoilt"),
    [
        ("P-25", {"killed": True}),
        ("P-01", {"states": (TradingState.ACTIVE, TradingState.HALTED)}),
        ("P-01", {"states": (TradingState.REDUCING, TradingState.ACTIVE)}),
        ("P-01", {"states": (TradingState.KILLED, TradingState.REDUCING)}),
        ("P-01", {"states": ()}),
        ("P-01", {"states": (TradingState.REDUCING, TradingState.HALTED), "position_net": D(-2)}),
        ("P-02", {"account": Account(account_id="a1", group="g", owner_id="o", currency="USD", open=False)}),
        ("P-02", {"permissions": msgspec.structs.replace(Permissions.granted(), trading_enabled=False)}),
        ("P-02", {"permissions": msgspec.structs.replace(Permissions.granted(), kyc_passed=False)}),
        ("P-02", {"permissions": msgspec.structs.replace(Permissions.granted(), sanctions_clear=False)}),
        ("P-03", {"permissions": msgspec.structs.replace(Permissions.granted(), symbols=frozenset({"GBPUSD"}))}),
        ("P-03", {"permissions": msgspec.structs.replace(Permissions.granted(), appropriateness_passed=False)}),
        ("P-03", {"permissions": msgspec.structs.replace(Permissions.granted(), jurisdiction_blocked=True)}),
        ("P-04", {"restricted": frozenset({"EURUSD"})}),
        ("P-05", {"session_open": False}),
        ("P-05", {"instrument": msgspec.structs.replace(INSTRUMENT, tradable=False)}),
        ("P-05", {"instrument": msgspec.structs.replace(INSTRUMENT, option=EXPIRY)}),
        ("P-06", {"quantity": D("0.015")}),
        ("P-06", {"instrument": msgspec.structs.replace(INSTRUMENT, lot_min=D("2.01"))}),
        ("P-06", {"limit_price": None}),
        ("P-06", {"type": OrderType.STOP}),
        ("P-06", {"type": OrderType.STOP_LIMIT}),
        ("P-06", {"type": OrderType.MARKET_IF_TOUCHED}),
        ("P-06", {"type": OrderType.TRAILING_STOP}),
        ("P-06", {"limit_price": D("1.100001")}),
        ("P-06", {"stop_loss": D("1.000001")}),
        ("P-06", {"stop_price": D("1.1")}),
        ("P-06", {"stop_price": D("1.1"), **MARKET}),
        ("P-06", {"trailing_distance": D("0.01")}),
        ("P-06", {"display_quantity": D("2.01")}),
        ("P-06", {"display_quantity": D("0.015")}),
        ("P-06", {"minimum_quantity": D("0.015")}),
        ("P-06", {"minimum_quantity": D("2.01")}),
        ("P-06", {"time_in_force": TimeInForce.GTD}),
        ("P-06", {"time_in_force": TimeInForce.GTD, "expires_at_us": NOW_US}),
        ("P-06", {"post_only": True, **MARKET}),
        ("P-15", {"throttle_latched": True}),
        ("P-22", {"self_trade": True}),
    ],
)
def test_a_control_refuses_for_its_own_reason(request_, code, spoilt):
    assert refused(request=request_, **spoilt) == [code]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"states": (TradingState.REDUCING,), "position_net": D(-2)},
        {"permissions": msgspec.structs.replace(Permissions.granted(), symbols=frozenset({"EURUSD"}))},
        {"instrument": msgspec.structs.replace(INSTRUMENT, option=EXPIRY), "now_us": NOW_US - 1},
        {"self_trade": True, "stp": SelfTradePrevention.DECREMENT},
        {"type": OrderType.STOP, "limit_price": None, "stop_price": D("1.105")},
        {"type": OrderType.STOP_LIMIT, "stop_price": D("1.105"), "limit_price": D("1.106")},
        {"type": OrderType.TRAILING_STOP, "limit_price": None, "trailing_distance": D("0.01")},
        {"time_in_force": TimeInForce.GTD, "expires_at_us": NOW_US + 1},
        {"display_quantity": D(2), "minimum_quantity": D(2), "take_profit": D("1.2"), "stop_loss": D(1)},
        {"post_only": True},
        MARKET,
        MARKET | {"side": Side.SELL},
        {"instrument": SHARE, "daily_volume_lots": D(1_000)},
        SHORT_SALE | {"position_net": D(2)},
        {"close_on_stale_price": True, "quote_at_us": None, "position_net": D(-2), **MARKET},
        {"duplicate_window_ms": 0, "duplicate_at_us": NOW_US},
    ],
)  # fmt: skip
def test_good_orders_pass_every_control(spoilt):
    assert refused(**spoilt) == []


LIMIT_SELL = {"side": Side.SELL}
STOP = {"type": OrderType.STOP, "limit_price": None, "stop_price": D("1.105")}
STOP_SELL = {"type": OrderType.STOP, "limit_price": None, "stop_price": D("1.095"), "side": Side.SELL}


@pytest.mark.parametrize(
    ("order", "profit", "loss", "tick"),
    [
        # (order, the first take profit and the first stop loss that are good, towards what is good), 1.0999 at 1.1001.
        ({"limit_price": D("1.095")}, "1.09501", "1.09499", 1),
        ({"limit_price": D("1.1")}, "1.10001", "1.09989", 1),
        ({"limit_price": D("1.105")}, "1.10011", "1.09989", 1),
        (LIMIT_SELL | {"limit_price": D("1.105")}, "1.10499", "1.10501", -1),
        (LIMIT_SELL | {"limit_price": D("1.095")}, "1.09989", "1.10011", -1),
        (MARKET, "1.10011", "1.09989", 1),
        (MARKET | {"side": Side.SELL}, "1.09989", "1.10011", -1),
        (STOP, "1.10501", "1.10499", 1),
        (STOP_SELL, "1.09499", "1.09501", -1),
    ],
)
def test_an_exit_that_would_close_at_once_is_refused(order, profit, loss, tick):
    point = D("0.00001") * tick
    assert refused(**order, take_profit=D(profit), stop_loss=D(loss)) == []
    assert refused(**order, take_profit=D(profit) - point) == ["P-06"]
    assert refused(**order, stop_loss=D(loss) + point) == ["P-06"]


def test_exits_are_held_against_the_orders_own_price_where_there_is_no_other():
    unquoted = {"bid": None, "ask": None, "take_profit": D("1.2"), "stop_loss": D("1.0")}
    assert "P-06" not in refused(**unquoted) and "P-06" not in refused(**unquoted, **MARKET)
    assert "P-06" in refused(**unquoted | {"stop_loss": D("1.1")})


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("order_value_max", "P-07"),
        ("order_volume_max_lots", "P-08"),
        ("collar_age_ms_max", "P-09"),
        ("price_age_ms_max", "P-11"),
        ("window_value_max", "P-12"),
        ("duplicate_window_ms", "P-13"),
        ("account_messages_per_s_max", "P-14"),
        ("tenant_messages_per_s_max", "P-14"),
        ("venue_messages_per_s_max", "P-14"),
        ("executions_max", "P-15"),
        ("rejects_consecutive_max", "P-16"),
        ("rejects_percent_max", "P-16"),
        ("orders_open_max", "P-18"),
        ("position_net_max_lots", "P-18"),
        ("position_gross_max_lots", "P-18"),
        ("exposure_account_max", "P-19"),
        ("exposure_tenant_max", "P-19"),
        ("exposure_venue_max", "P-19"),
        ("exposure_firm_max", "P-19"),
        ("loss_daily_account_max", "P-20"),
        ("loss_daily_tenant_max", "P-20"),
    ],
)
def test_an_unset_limit_refuses(request_, name, code):
    verdict = assess(context=context(request=request_, **{name: None}))
    assert [reason.code for reason in verdict.reasons] == [code]
    assert "not set" in verdict.reasons[0].text


def test_other_unset_limits_refuse_too():
    assert refused(collar_percent={}) == ["P-09"]
    assert refused(slippage_bps_max=None, **MARKET) == ["P-10"]
    assert refused(volume_share_percent_max=None, instrument=SHARE, daily_volume_lots=D(100)) == ["P-21"]


@pytest.mark.parametrize(
    ("spoilt", "codes"),
    [
        ({"notional": None}, ["P-07", "P-12", "P-19"]),
        ({"notional": None, "replaced_notional": D(1)}, ["P-07", "P-12", "P-19"]),
        ({"window_notional": None}, ["P-12"]),
        ({"margin_required": None}, ["P-17"]),
        ({"margin_free": None}, ["P-17"]),
        ({"exposure_venue": None}, ["P-19"]),
        ({"loss_today_tenant": None}, ["P-20"]),
        ({"margin_percent": None}, ["P-24"]),
        ({"margin_percent_min": None}, ["P-24"]),
        ({"review_due_at_us": None}, ["P-30"]),
        ({"bid": None}, ["P-11", "P-09"]),
        ({"ask": None}, ["P-11", "P-09"]),
        ({"quote_at_us": None}, ["P-11", "P-09"]),
        ({"quote_at_us": None, "close_on_stale_price": True}, ["P-11", "P-09"]),
        ({"quote_at_us": None, "close_on_stale_price": True, "position_net": D(2)}, ["P-11", "P-09"]),
        ({"ask": None, **MARKET}, ["P-11", "P-10"]),
        ({"instrument": SHARE}, ["P-21"]),
        ({"instrument": SHARE, "daily_volume_lots": D(0)}, ["P-21"]),
        ({"quote_at_us": NOW_US - 3_001_000}, ["P-11", "P-09"]),
        ({"quote_at_us": NOW_US - 3_000_000}, []),
        ({"quote_at_us": NOW_US + 100_000}, []),
        ({"quote_at_us": NOW_US + 101_000}, ["P-11", "P-09"]),
        ({"quote_at_us": NOW_US + 3_600_000_000}, ["P-11", "P-09"]),
    ],
)
def test_what_is_not_known_refuses(spoilt, codes):
    assert refused(**spoilt) == codes
