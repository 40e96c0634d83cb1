from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.answers import at_us, stamp
from piggy.adapters.books import Books
from piggy.adapters.interface import Order, ReportKind, Response, UnableToReadReport
from piggy.adapters.oanda import inbound
from piggy.adapters.oanda.outbound import Asker
from piggy.adapters.oanda.session import PRICES, TRANSACTIONS, OandaSession
from piggy.core.orders import Side
from tests.adapters.recorded import child_of, config_of, play, recorded

CONFIG = config_of(
    "oanda", {"EURUSD": ("EUR_USD", "100000"), "EURJPY": ("EUR_JPY", "100000")}, account="101-1", secret="token"
)
NOW_US = 1_700_000_000_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1",
    client_id="o1-V1-1",
    symbol="EURUSD",
    side=Side.BUY,
    quantity=Decimal(1),
    limit_price=Decimal("1.1"),
    created_at_us=NOW_US - 10_000_000,
)
FILL = {
    "type": "ORDER_FILL",
    "id": "12",
    "orderID": "11",
    "clientOrderID": "o1-V1-1",
    "instrument": "EUR_USD",
    "units": "-40000",
    "price": "1.1",
    "fullVWAP": "1.09999",
    "time": "2016-10-24T21:48:18.593753865Z",
    "commission": "0.35",
}


def response_of(group: str, name: str) -> Any:
    return recorded("oanda_v20_responses.json")[f"{group}.responses"][name]


def test_every_recorded_price_is_a_whole_book():
    books = Books(config=CONFIG)
    for doc in response_of("pricing", "_v3_accounts_accountID_pricing_stream")["response"]:
        if doc["type"] == "PRICE":
            inbound.price(doc=doc, books=books, config=CONFIG, now_us=1)
    quote = books.quote(symbol="EURUSD")
    assert (quote.bids[0].price, quote.bids[0].size) == (Decimal("1.09177"), Decimal(100))
    assert [level.price for level in quote.asks] == [Decimal("1.09188"), Decimal("1.09190")]
    assert len(books.quote(symbol="EURJPY").bids) == 4


def test_a_price_that_cannot_be_traded_is_withdrawn():
    books = Books(config=CONFIG)
    doc = response_of("pricing", "_v3_accounts_accountID_pricing_stream")["response"][2]
    inbound.price(doc=doc, books=books, config=CONFIG, now_us=1)
    inbound.price(doc=doc | {"tradeable": False}, books=books, config=CONFIG, now_us=2)
    assert books.quote(symbol="EURUSD").bids == ()


@pytest.mark.parametrize(
    ("name", "transaction", "kind"),
    [
        ("_v3_accounts_accountID_orders_create", "orderCreateTransaction", None),
        ("_v3_accounts_accountID_order_cancel", "orderCancelTransaction", ReportKind.DONE),
        ("_v3_accounts_accountID_order_replace", "orderCreateTransaction", ReportKind.ACK),
        ("_v3_accounts_accountID_order_replace", "orderCancelTransaction", None),
        ("_v3_accounts_accountID_order_clientextensions", "orderClientExtensionsModifyTransaction", None),
    ],
)
def test_every_recorded_transaction_is_read(name: str, transaction: str, kind: ReportKind | None):
    """An order without our id is somebody else's, and one that was replaced has not ended."""
    doc = response_of("orders", name)["response"][transaction]
    said = inbound.transaction(doc=doc, known=inbound.Known(), config=CONFIG)
    assert [one.report.kind for one in said] == ([kind] if kind else [])


def test_a_fill_is_signed_by_its_units_and_its_end_knows_what_was_filled():
    known = inbound.Known()
    fill = inbound.transaction(doc=FILL, known=known, config=CONFIG)[0].report
    assert (fill.command.side, fill.command.quantity, fill.command.price) == (
        Side.SELL,
        Decimal("0.4"),
        Decimal("1.09999"),
    )
    assert (fill.key, fill.text) == ("F:12", "fee 0.35")
    inbound.transaction(doc=FILL, known=known, config=CONFIG)
    cancel = response_of("orders", "_v3_accounts_accountID_order_cancel")["response"]["orderCancelTransaction"]
    done = inbound.transaction(doc=cancel | {"clientOrderID": "o1-V1-1"}, known=known, config=CONFIG)[0].report
    assert done.cumulative == Decimal("0.4"), "the same fill heard twice counts once"


def test_a_transaction_with_a_field_missing_is_parked():
    for field in ("orderID", "instrument", "units", "id", "time"):
        broken = {name: value for name, value in FILL.items() if name not in (field, "clientOrderID")}
        with pytest.raises(UnableToReadReport):
            inbound.transaction(doc=broken, known=inbound.Known(), config=CONFIG)


@pytest.mark.parametrize(
    ("status", "doc", "kinds"),
    [
        (400, {"orderRejectTransaction": {"rejectReason": "INSUFFICIENT_MARGIN"}}, ["reject"]),
        (400, {"orderRejectTransaction": {"rejectReason": "CLIENT_ORDER_ID_ALREADY_EXISTS"}}, ["doubt"]),
        (401, {"errorMessage": "Insufficient authorization"}, ["reject"]),
        (503, {}, ["doubt"]),
        (0, {}, ["doubt"]),
        (201, {}, ["doubt"]),
    ],
)
def test_a_refusal_is_told_from_a_doubt(status: int, doc: Any, kinds: list[str]):
    said = inbound.order_answer(
        response=Response(status=status, text=json.dumps(doc)),
        client_id="c",
        known=inbound.Known(),
        config=CONFIG,
        now_us=1,
    )
    assert [one.report.kind.value for one in said] == kinds


def test_orders_leave_as_documented():
    """What may not rest is a market order with a bound; a sale has negative units."""
    ask = Asker(config=CONFIG)
    request = ask.new_order(child=child_of("EURUSD", lots="0.5", price="1.1", side=Side.SELL), terms=None)
    assert json.loads(request.body) == {
        "order": {
            "instrument": "EUR_USD",
            "units": "-50000",
            "positionFill": "DEFAULT",
            "clientExtensions": {"id": "o1-V1-1"},
            "type": "MARKET",
            "timeInForce": "IOC",
            "priceBound": "1.1",
        }
    }
    assert request.url == "https://api-fxtrade.oanda.com/v3/accounts/101-1/orders"
    assert request.headers["Authorization"] == "Bearer token"
    resting = ask.new_order(child=child_of("EURUSD", price="1.2", time_in_force="gtc"), terms=None)
    sent = json.loads(resting.body)["order"]
    body = response_of("orders", "_v3_accounts_accountID_orders_create")["body"]["order"]
    assert {"type", "instrument", "units", "price", "timeInForce", "positionFill"} <= body.keys() & sent.keys()
    replaced = ask.replace(order=ORDER, quantity=Decimal(5), limit_price=Decimal("1.25"), terms=None)
    assert (replaced.method, json.loads(replaced.body)["order"]["units"]) == ("PUT", "500000")


def connected() -> OandaSession:
    session = OandaSession(config=CONFIG)
    rows = [
        {"name": name, "displayPrecision": 5, "minimumTradeSize": "1", "maximumOrderUnits": "1000000"}
        for name in CONFIG.from_venue
    ]
    streams, _ = play(session.connect(now_us=NOW_US), [{"instruments": rows}, {"lastTransactionID": "10"}])
    assert [stream.lines for stream in streams] == [True, True]
    return session


def hear(session: OandaSession, doc: Any) -> list[ReportKind]:
    heard = session.hear(stream=TRANSACTIONS, text=json.dumps(doc), now_us=NOW_US)
    return [one.report.kind for one in heard.reports]


def test_a_hole_in_the_numbers_is_filled_in_order():
    session = connected()
    created = {"type": "LIMIT_ORDER", "id": "11", "time": FILL["time"], "clientExtensions": {"id": "o1-V1-1"}}
    cancel = {"type": "ORDER_CANCEL", "id": "13", "orderID": "11", "time": FILL["time"], "reason": "TIME_IN_FORCE"}
    assert hear(session, created) == [ReportKind.ACK]
    assert hear(session, cancel) == [], "13 after 11: nothing is told until 12 is here"
    reports, requests = play(session.tend(now_us=NOW_US), [{"transactions": [FILL, cancel], "lastTransactionID": "13"}])
    assert "sinceid?id=11" in requests[0].url
    assert [one.report.kind for one in reports] == [ReportKind.FILL, ReportKind.DONE]
    assert reports[1].report.cumulative == Decimal("0.4")
    assert play(session.tend(now_us=NOW_US), [])[0] == ()


def test_a_heartbeat_betrays_a_lost_transaction():
    session = connected()
    beats = response_of("transactions", "_v3_accounts_transactions_stream")["response"]
    assert hear(session, beats[0]) == []
    _, requests = play(session.tend(now_us=NOW_US), [{"transactions": [], "lastTransactionID": "2311"}])
    assert "sinceid?id=10" in requests[0].url


def test_an_order_may_go_once_both_streams_spoke():
    session = connected()
    assert not session.settled
    session.hear(stream=PRICES, text='{"type": "HEARTBEAT", "time": "2016-10-27T08:38:44Z"}', now_us=NOW_US)
    hear(session, {"type": "HEARTBEAT", "lastTransactionID": "10", "time": "x"})
    assert session.settled


def test_a_status_counts_every_fill_of_our_id():
    session = connected()
    named = {"clientExtensions": {"id": "o1-V1-1"}}
    order = {"order": {"id": "11", "state": "CANCELLED", "instrument": "EUR_USD"} | named}
    said, _ = play(session.status(order=ORDER, now_us=NOW_US), [order, {"transactions": [FILL]}])
    assert [one.report.kind for one in said] == [ReportKind.FILL, ReportKind.STATUS]
    assert (said[1].report.standing, said[1].report.cumulative) == ("ended", Decimal("0.4"))
    unknown = (404, {"errorCode": "NO_SUCH_ORDER"})
    assert play(session.status(order=ORDER, now_us=NOW_US), [unknown])[0][0].report.standing == "unknown"
    assert play(session.status(order=ORDER, now_us=ORDER.created_at_us + 1), [unknown])[0] == ()


def test_positions_and_balances_are_read():
    doc = response_of("positions", "_v3_accounts_accountID_openpositions")["response"]
    found = inbound.positions(doc=doc, config=CONFIG)
    assert [(one.symbol, one.lots) for one in found] == [("EURUSD", Decimal("-0.001"))]
    account = response_of("accounts", "_v3_account_by_accountID_summary")["response"]
    assert inbound.balances(doc=account)[0].currency == "EUR"


def test_times_are_read_to_the_microsecond_and_written_back():
    assert stamp(at_us("2016-10-24T21:48:18.593753865Z")) == "2016-10-24T21:48:18.593753Z"
    assert at_us("2016-10-24T21:48:18Z") == at_us("2016-10-24T23:48:18.0+02:00")
