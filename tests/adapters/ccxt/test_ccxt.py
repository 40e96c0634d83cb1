from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.ccxt import inbound, outbound
from piggy.adapters.ccxt.session import CcxtSession
from piggy.adapters.interface import Order, ReportKind, Response, UnableToTranslate
from piggy.core.orders import Side
from tests.adapters.recorded import child_of, config_of, knowing, play

CONFIG = config_of("ccxt", {"BTCUSD": ("BTC/USDT", "1")}, settings={"exchange": "kraken"})
LISTED = config_of("ccxt", {"BTCUSD": ("BTC/USDT", "1")}, settings={"exchange": "kraken", "lookup": "list"})
NOW_US = 1_700_000_000_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1",
    client_id="o1-V1-1",
    symbol="BTCUSD",
    side=Side.BUY,
    quantity=Decimal(1),
    limit_price=Decimal(100),
    created_at_us=NOW_US - 10_000_000,
)
TRADE = {
    "id": "5",
    "order": "7",
    "symbol": "BTC/USDT",
    "side": "buy",
    "amount": "0.4",
    "price": "99.5",
    "timestamp": 1_700_000_000_000,
    "fee": {"cost": "0.01", "currency": "USDT"},
}
DOC = {"id": "7", "clientOrderId": "o1-V1-1", "status": "open", "filled": "0", "remaining": "1"}


def markets(mode: int, precision: dict[str, str]) -> dict[str, Any]:
    limits = {"amount": {"min": "0.001", "max": None}, "cost": {"min": "5"}}
    market = {"symbol": "BTC/USDT", "active": True, "precision": precision, "limits": limits}
    return {"mode": mode, "markets": {"BTC/USDT": market}}


@pytest.mark.parametrize(
    ("mode", "precision", "tick", "step"),
    [
        (inbound.TICK_SIZE, {"price": "0.5", "amount": "0.001"}, "0.5", "0.001"),
        (inbound.DECIMAL_PLACES, {"price": "1", "amount": "3"}, "0.1", "0.001"),
        (inbound.SIGNIFICANT_DIGITS, {"price": "5", "amount": "8"}, "0", "0"),
    ],
)
def test_precision_is_read_as_the_exchange_states_it(mode: int, precision: dict[str, str], tick: str, step: str):
    terms = inbound.symbols(doc=markets(mode, precision), config=CONFIG)[0]
    assert (terms.tick_size, terms.unit_step) == (Decimal(tick), Decimal(step))
    assert (terms.units_min, terms.units_max, terms.notional_min) == (Decimal("0.001"), 0, 5)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InsufficientFunds", ReportKind.REJECT),
        (400, "InvalidOrder", ReportKind.REJECT),
        (401, "AuthenticationError", ReportKind.REJECT),
        (429, "RateLimitExceeded", ReportKind.REJECT),
        (409, "DuplicateOrderId", ReportKind.DOUBT),
        (503, "ExchangeNotAvailable", ReportKind.DOUBT),
        (0, "RequestTimeout", ReportKind.DOUBT),
    ],
)
def test_a_refusal_is_told_from_a_doubt(status: int, code: str, kind: ReportKind):
    response = Response(status=status, text=json.dumps({"code": code, "msg": "text"}))
    said = inbound.order_answer(response=response, client_id="c", config=CONFIG, now_us=1)
    assert [one.report.kind for one in said] == [kind]


def test_an_order_is_one_call_with_our_id_and_numbers_as_text():
    request = outbound.Asker(config=CONFIG).new_order(child=child_of("BTCUSD", lots="0.5", price="100.10"), terms=None)
    assert (request.url, request.places_order) == ("create_order", True)
    assert json.loads(request.body) == [
        "BTC/USDT",
        "limit",
        "buy",
        "0.5",
        "100.1",
        {"clientOrderId": "o1-V1-1", "timeInForce": "IOC"},
    ]
    long = "3f2b8f6e-6f7d-4df0-9d6e-3f6a2c1b0a99-V1-12"
    assert outbound.client_id(cl_ord_id=long) == outbound.client_id(cl_ord_id=long) != long
    assert len(outbound.client_id(cl_ord_id=long)) <= 32


def test_a_fill_carries_the_exchanges_numbers():
    said = inbound.trades(rows=[TRADE], client_ids={"7": "o1-V1-1"}, config=CONFIG, raw="")[0].report
    assert (said.key, said.text) == ("F:BTC/USDT-5", "fee 0.01 USDT")
    assert (said.command.quantity, said.command.price) == (Decimal("0.4"), Decimal("99.5"))


def test_a_working_order_is_asked_for_until_it_ends():
    session = knowing(CcxtSession(config=CONFIG), markets(inbound.TICK_SIZE, {"price": "0.5", "amount": "0.001"}))
    book = {"bids": [["99", "1"]], "asks": [["101", "1"]], "timestamp": None}
    said, _ = play(session.submit(child=child_of("BTCUSD", price="100"), now_us=NOW_US), [DOC])
    assert [one.report.kind for one in said] == [ReportKind.ACK]
    ended = DOC | {"status": "canceled", "filled": "0.4", "remaining": "0.6"}
    said, _ = play(session.tend(now_us=NOW_US + 1), [book, ended, [TRADE]])
    assert [one.report.kind for one in said] == [ReportKind.FILL, ReportKind.DONE]
    assert said[1].report.cumulative == Decimal("0.4")
    assert play(session.tend(now_us=NOW_US + 2), [book])[0] == ()
    assert session.all_quotes()[0].asks[0].price == 101


def test_where_an_exchange_has_no_lookup_by_our_id_its_lists_are_searched():
    session = CcxtSession(config=LISTED)
    full = DOC | {"status": "closed", "filled": "0.4", "remaining": "0"}
    said, requests = play(session.status(order=ORDER, now_us=NOW_US), [[], [DOC], full, [TRADE]])
    assert [request.url for request in requests] == [
        "fetch_open_orders",
        "fetch_closed_orders",
        "fetch_order",
        "fetch_my_trades",
    ]
    assert [one.report.kind for one in said] == [ReportKind.FILL, ReportKind.STATUS]
    said, _ = play(session.status(order=ORDER, now_us=NOW_US), [[], []])
    assert said[0].report.standing == "unknown"


def test_an_order_cannot_be_changed_in_place():
    with pytest.raises(UnableToTranslate):
        play(
            CcxtSession(config=CONFIG).replace(order=ORDER, quantity=Decimal(1), limit_price=Decimal(1), now_us=NOW_US),
            [],
        )


def test_importing_the_adapter_loads_no_ccxt():
    script = "import sys, piggy.adapters.ccxt.session, piggy.adapters.ccxt.transport; print('ccxt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
