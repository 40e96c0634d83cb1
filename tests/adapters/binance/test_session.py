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
    answers = [{"serverTime": NOW_US // 1_000 + 250}, INFO, {"balances": []}]
    streams, _ = play(session.connect(now_us=NOW_US), answers)
    assert [stream.url for stream in streams] == [
        "wss://ws-api.binance.com:443/ws-api/v3",
        "wss://stream.binance.com:9443/stream?streams=btcusdt@depth@100ms",
    ]
    asked = json.loads(streams[0].hello[0])
    stamp = NOW_US // 1_000 + 250
    signed = mac(secret="s", text=f"apiKey=k&recvWindow=2000&timestamp={stamp}")
    assert asked["method"] == "userDataStream.subscribe.signature"
    assert asked["params"] == {"apiKey": "k", "recvWindow": "2000", "timestamp": str(stamp), "signature": signed}
    return session


def futures() -> BinanceSession:
    session = BinanceSession(config=config_of("binance_usdm", {"BTCUSD": ("BTCUSDT", "1")}))
    answers = [{"serverTime": NOW_US // 1_000 + 250}, INFO, {"listenKey": "LK"}]
    streams, _ = play(session.connect(now_us=NOW_US), answers)
    assert [stream.url for stream in streams] == [
        "wss://fstream.binance.com/private/ws/LK",
        "wss://fstream.binance.com/public/stream?streams=btcusdt@depth@100ms",
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


@pytest.mark.parametrize("kind", ["listenKeyExpired", "eventStreamTerminated"])
def test_an_ended_user_stream_ends_the_session_however_it_is_wrapped(kind: str):
    for doc in ({"e": kind, "E": 1}, {"subscriptionId": 0, "event": {"e": kind, "E": 1}}):
        assert kind in connected().hear(stream="user", text=json.dumps(doc), now_us=NOW_US).down


def test_a_testnet_may_keep_the_user_stream_elsewhere():
    names = {"stream_url": "wss://stream.test", "settings": {"user_url": "wss://ws-api.test/"}}
    session = BinanceSession(config=config_of("binance", {"BTCUSD": ("BTCUSDT", "1")}, **names))
    streams, _ = play(session.connect(now_us=NOW_US), [{"serverTime": 1}, INFO, {"balances": []}])
    assert [stream.url.partition("?")[0] for stream in streams] == [
        "wss://ws-api.test/ws-api/v3",
        "wss://stream.test/stream",
    ]


def test_no_order_goes_before_the_venue_took_our_subscription():
    session = connected()
    session.hear(stream="market", text=json.dumps({"result": None, "id": 1}), now_us=NOW_US)
    session._books.of["BTCUSD"].whole = True
    assert not session.settled
    session.hear(stream="user", text=json.dumps({"id": "user", "status": 200, "result": {}}), now_us=NOW_US)
    assert session.settled
    refused = {"id": "user", "status": 401, "error": {"code": -1022, "msg": "Signature"}}
    assert "-1022" in connected().hear(stream="user", text=json.dumps(refused), now_us=NOW_US).down


def test_what_the_venue_never_said_a_word_of_is_not_traded():
    session = BinanceSession(config=config_of("binance", {"BTCUSD": ("BTCUSDT", "1"), "ETHUSD": ("ETHUSDT", "1")}))
    play(session.connect(now_us=NOW_US), [{"serverTime": 1}, INFO, {"balances": []}])
    with pytest.raises(UnableToTranslate, match="no ETHUSDT"):
        play(session.submit(child=child_of("ETHUSD", price="100"), now_us=NOW_US), [])


def test_any_signed_question_is_asked_again_on_a_new_clock():
    late = (400, {"code": -1021, "msg": "Timestamp"})
    doc = DOC | {"status": "NEW", "executedQty": "0"}
    said, _ = play(connected().status(order=ORDER, now_us=NOW_US), [late, {"serverTime": 5}, doc])
    assert said[0].report.standing == "working"
    cancelled = DOC | {"status": "CANCELED", "executedQty": "0"}
    said, _ = play(connected().cancel(order=ORDER, now_us=NOW_US), [late, {"serverTime": 5}, cancelled])
    assert said[0].report.kind is ReportKind.DONE


def test_fills_come_page_by_page_and_futures_week_by_week():
    """What happened while we were away may be more than one answer, or longer ago than one may ask for."""
    row = {"symbol": "BTCUSDT", "orderId": 7, "price": "99", "qty": "0.1", "isBuyer": True, "time": 3}
    page = [row | {"id": 10 + n, "commission": "0", "commissionAsset": "USDT"} for n in range(1_000)]
    steps = connected().fills(since_us=NOW_US - 5, now_us=NOW_US)
    said, requests = play(steps, [page, {"clientOrderId": "o1-V1-1"}, [page[0] | {"id": 2_000}]])
    assert len(said) == 1_001
    assert "fromId=1010" in requests[2].url
    assert "startTime" not in requests[2].url
    weeks, requests = play(futures().fills(since_us=NOW_US - 15 * 86_400_000_000, now_us=NOW_US), [[], [], []])
    assert (weeks, len({request.url for request in requests})) == ((), 3)


def test_the_ticket_is_renewed_every_half_hour():
    session = futures()
    assert play(session.tend(now_us=NOW_US + 60_000_000), [])[0] == ()
    clock = {"serverTime": NOW_US // 1_000}
    _, requests = play(session.tend(now_us=NOW_US + 1_801_000_000), [{}, clock])
    assert (requests[0].method, requests[0].url) == ("PUT", "https://fapi.binance.com/fapi/v1/listenKey")
