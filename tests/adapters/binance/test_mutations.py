"""Every field of every recorded message gone, null or odd: named, or read right; never a fill that was none."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.adapters.binance.session import BinanceSession
from piggy.adapters.interface import Order, Reports, VenueConfig
from piggy.core.orders import Side
from tests.adapters.mutations import assert_survives, facts, read_or_named, response_of, several_mutations, talk
from tests.adapters.recorded import child_of, config_of, knowing, play, recorded

MAPPED = {"ETHUSD": ("ETHUSDT", "1"), "BTCUSD": ("BTCUSDT", "1"), "LTCBTC": ("LTCBTC", "1"), "BNBBTC": ("BNBBTC", "1")}
SPOT, USDM = config_of("binance", MAPPED), config_of("binance_usdm", MAPPED)
NOW_US = 1_760_000_000_000_000
TERMS = {"symbols": [{"symbol": name, "status": "TRADING", "filters": []} for name, _ in MAPPED.values()]}
ORDER = Order(
    cl_ord_id="o1-V1-1", client_id="o1-V1-1", symbol="ETHUSD", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal(1), created_at_us=NOW_US - 60_000_000,
)  # fmt: skip
DOC = {"symbol": "ETHUSDT", "orderId": 7, "clientOrderId": "o1-V1-1", "status": "CANCELED", "executedQty": "0.4"}
KNOWING = {config.kind: knowing(BinanceSession(config=config), TERMS) for config in (SPOT, USDM)}
EVENTS = (
    ("binance/spot/user_data_json/execution_report_trade.json", SPOT),
    ("binance/spot/user_data_json/execution_report_canceled.json", SPOT),
    ("binance-py/ws_messages/ws_spot_execution_report_rejected.json", SPOT),
    ("binance/futures/user_data_json/order_update_trade.json", USDM),
)


def session(config: VenueConfig = SPOT) -> BinanceSession:
    return copy.deepcopy(KNOWING[config.kind])


def heard(config: VenueConfig, doc: Any) -> Reports:
    return session(config).hear(stream="user", text=response_of(doc).text, now_us=NOW_US).reports


def submitted(docs: list[Any]) -> Reports:
    child = child_of("LTCBTC", price="100", cl_ord_id="6gCrw2kRUAF9CvJDGP16IP")
    return talk(session().submit(child=child, now_us=NOW_US), docs)


def asked(docs: list[Any]) -> Reports:
    return talk(session(USDM).status(order=ORDER, now_us=NOW_US), docs)


def cancelled(docs: list[Any]) -> Reports:
    return talk(session(USDM).cancel(order=ORDER, now_us=NOW_US), docs)


def trades() -> list[Any]:
    rows = recorded("binance-py/http_responses/http_futures_account_trades.json")
    return [row | {"orderId": 7, "qty": "0.2", "price": "2500"} for row in rows]


@pytest.mark.parametrize(("path", "config"), EVENTS)
def test_an_update_of_an_order_is_read_right_or_named(path: str, config: VenueConfig):
    assert_survives([recorded(path)], lambda docs: heard(config, docs[0]))


def test_the_answer_to_an_order_is_read_right_or_named():
    doc = recorded("binance/spot/http_json/new_order_full_response.json") | {"symbol": "LTCBTC"}
    assert_survives([doc | {"fills": doc["fills"][:2], "executedQty": total(doc["fills"][:2])}], submitted)


def total(rows: list[Any]) -> str:
    return str(sum(Decimal(row["qty"]) for row in rows))


def test_a_status_and_a_cancel_with_their_trades_are_read_right_or_named():
    assert_survives([DOC, trades()], asked)
    assert_survives([DOC | {"updateTime": 1_760_000_000_000}, trades()], cancelled)


@pytest.mark.parametrize(
    ("ask", "path"),
    [
        ("symbols", "binance-py/http_responses/http_futures_market_exchange_info.json"),
        ("balances", "binance/futures/http_json/balance.json"),
        ("positions", "binance/futures/http_json/position_risk.json"),
    ],
)
def test_what_is_asked_at_leisure_is_read_or_named(ask: str, path: str):
    docs = [recorded(path)]

    def told(broken: list[Any]) -> Reports:
        talk(getattr(session(USDM), ask)(now_us=NOW_US), broken)
        return ()

    if ask == "symbols":
        kept = ("symbol", "status", "filters")
        docs = [{"symbols": [{name: docs[0]["symbols"][0][name] for name in kept}]}]
    assert_survives(docs, told)


def test_depth_that_cannot_be_read_is_dropped_counted_and_asked_for_anew():
    diff = {"e": "depthUpdate", "E": 1, "s": "ETHUSDT", "U": 11, "u": 12, "b": [["99", "1"]], "a": [["101", "2"]]}
    snapshot = {"lastUpdateId": 10, "bids": [["98", "1"]], "asks": [["102", "1"]]}

    def told(docs: list[Any]) -> Reports:
        one = session()
        one.hear(stream="market", text=json.dumps({"data": diff | {"U": 5, "u": 9}}), now_us=NOW_US)
        talk(one.resync(symbol="ETHUSD", now_us=NOW_US), docs[:1])
        before = one.unread[0]
        found = one.hear(stream="market", text=response_of(docs[1]).text, now_us=NOW_US)
        levels = (
            {(level.price, level.size) for level in (*one.all_quotes()[0].bids, *one.all_quotes()[0].asks)}
            if (one.all_quotes())
            else set()
        )
        assert all(price.is_finite() and price > 0 and size > 0 for price, size in levels)
        if one.unread[0] > before and not one.all_quotes():
            assert found.gaps in (("ETHUSD",), ("BTCUSD",), ("LTCBTC",), ("BNBBTC",), ())
        return ()

    assert_survives([snapshot, {"stream": "x", "data": diff}], told)
    one = session()
    play(one.resync(symbol="ETHUSD", now_us=NOW_US), [snapshot])
    assert one.all_quotes()
    assert one.hear(stream="market", text=json.dumps({"data": diff | {"b": [["x", "1"]]}}), now_us=NOW_US).gaps
    assert (one.unread[0], one.all_quotes()) == (1, [])
    assert "Binance depthUpdate: b is 'x'" in one.unread[1]


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_several_fields_at_once_leak_no_other_error(data: st.DataObject):
    path, config = data.draw(st.sampled_from(EVENTS))
    facts(read_or_named(lambda: heard(config, data.draw(several_mutations([recorded(path)]))[0])))
    facts(read_or_named(lambda: asked(data.draw(several_mutations([DOC, trades()])))))
