from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from piggy.adapters.binance.outbound import Asker, client_id
from piggy.adapters.binance.session import BinanceSession
from piggy.adapters.interface import Order, ReportKind, UnableToTranslate
from piggy.adapters.signing import mac
from piggy.core.orders import Side
from tests.adapters.recorded import child_of, config_of, play, recorded

CONFIG = config_of("binance", {"BTCUSD": ("BTCUSDT", "1")})
NOW_US = 1_700_000_000_000_000
INFO = {
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "stepSize": "0.00001", "minQty": "0.00001", "maxQty": "9000"},
                {"filterType": "NOTIONAL", "minNotional": "5"},
            ],
        }
    ]
}
ORDER = Order(
    cl_ord_id="o1-V1-1",
    client_id="o1-V1-1",
    symbol="BTCUSD",
    side=Side.BUY,
    quantity=Decimal(1),
    limit_price=Decimal(100),
    created_at_us=NOW_US - 1_000_000,
)
DOC = {"symbol": "BTCUSDT", "orderId": 7, "clientOrderId": "o1-V1-1", "side": "BUY", "transactTime": 1}


def connected() -> BinanceSession:
    session = BinanceSession(config=CONFIG)
    answers = [{"serverTime": NOW_US // 1_000 + 250}, INFO, {"listenKey": "LK"}]
    streams, _ = play(session.connect(now_us=NOW_US), answers)
    assert [stream.url for stream in streams] == [
        "wss://stream.binance.com:9443/ws/LK",
        "wss://stream.binance.com:9443/stream?streams=btcusdt@depth@100ms",
    ]
    return session


def test_the_signature_is_the_documented_one():
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    text = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    )
    assert mac(secret=secret, text=text) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_an_order_leaves_with_our_id_on_the_venues_clock_and_grid():
    session = connected()
    doc = recorded("binance/spot/http_json/new_order_full_response.json")
    answer = doc | {"symbol": "BTCUSDT", "clientOrderId": "o1-V1-1"}
    said, requests = play(
        session.submit(child=child_of("BTCUSD", lots="0.5", price="100.019"), now_us=NOW_US), [answer]
    )
    query = parse_qs(urlsplit(requests[0].url).query)
    assert {name: values[0] for name, values in query.items() if name != "signature"} == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.5",
        "price": "100.01",
        "newClientOrderId": "o1-V1-1",
        "newOrderRespType": "FULL",
        "recvWindow": "2000",
        "timestamp": str(NOW_US // 1_000 + 250),
    }
    assert requests[0].places_order
    assert "s" not in requests[0].headers.values()
    assert said[0].report.kind is ReportKind.ACK


@pytest.mark.parametrize(("lots", "price"), [("0.000001", "100"), ("9001", "100"), ("0.01", "100")])
def test_what_the_filters_forbid_never_leaves(lots: str, price: str):
    with pytest.raises(UnableToTranslate):
        play(connected().submit(child=child_of("BTCUSD", lots=lots, price=price), now_us=NOW_US), [])


def test_an_order_refused_for_its_time_is_sent_again_on_a_new_clock():
    session = connected()
    late = (400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."})
    good = DOC | {"status": "FILLED", "executedQty": "1", "fills": []}
    said, requests = play(
        session.submit(child=child_of("BTCUSD", price="100"), now_us=NOW_US),
        [late, {"serverTime": NOW_US // 1_000 + 9_000}, good],
    )
    assert f"timestamp={NOW_US // 1_000 + 9_000}" in requests[2].url
    assert said[0].report.kind is ReportKind.ACK


def test_an_unknown_order_is_unknown_only_once_it_cannot_come_any_more():
    session = connected()
    unknown = (400, {"code": -2013, "msg": "Order does not exist."})
    said, _ = play(session.status(order=ORDER, now_us=NOW_US), [unknown])
    assert said == ()
    said, _ = play(session.status(order=ORDER, now_us=NOW_US + 10_000_000), [unknown])
    assert said[0].report.standing == "unknown"


def test_a_status_brings_missing_fills_before_itself():
    session = connected()
    doc = DOC | {"status": "PARTIALLY_FILLED", "executedQty": "0.4"}
    row = {"symbol": "BTCUSDT", "id": 5, "orderId": 7, "price": "99", "qty": "0.4", "isBuyer": True, "time": 3}
    trades = [row | {"commission": "0.1", "commissionAsset": "USDT"}]
    said, requests = play(session.status(order=ORDER, now_us=NOW_US), [doc, trades])
    assert [one.report.kind for one in said] == [ReportKind.FILL, ReportKind.STATUS]
    assert said[1].report.cumulative == Decimal("0.4")
    assert "orderId=7" in requests[1].url


def test_spot_can_only_shrink_in_place_and_futures_can_change_both():
    with pytest.raises(UnableToTranslate):
        play(connected().replace(order=ORDER, quantity=Decimal(1), limit_price=Decimal(99), now_us=NOW_US), [])
    ask = Asker(config=config_of("binance_usdm", {"BTCUSD": ("BTCUSDT", "1")}))
    request = ask.replace(order=ORDER, quantity=Decimal(2), limit_price=Decimal(99), now_us=NOW_US, terms=None)
    assert request.method == "PUT"
    assert "quantity=2&price=99" in request.url


def test_long_ids_become_ones_that_binance_takes_and_always_the_same():
    long = "3f2b8f6e-6f7d-4df0-9d6e-3f6a2c1b0a99-BINANCE1-12"
    assert client_id(cl_ord_id=long) == client_id(cl_ord_id=long)
    assert len(client_id(cl_ord_id=long)) <= 36
    assert client_id(cl_ord_id=long) != client_id(cl_ord_id=long + "3")
    assert client_id(cl_ord_id="o1-V1-1") == "o1-V1-1"


def test_an_ended_ticket_ends_the_session():
    heard = connected().hear(stream="user", text=json.dumps({"e": "listenKeyExpired", "E": 1}), now_us=NOW_US)
    assert "listenKeyExpired" in heard.down


def test_the_ticket_is_renewed_every_half_hour():
    session = connected()
    assert play(session.tend(now_us=NOW_US + 60_000_000), [])[0] == ()
    clock = {"serverTime": NOW_US // 1_000}
    _, requests = play(session.tend(now_us=NOW_US + 1_801_000_000), [{}, clock])
    assert (requests[0].method, "listenKey=LK" in requests[0].url) == ("PUT", True)
