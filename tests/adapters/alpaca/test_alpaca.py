from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.alpaca import inbound
from piggy.adapters.alpaca.outbound import Asker
from piggy.adapters.alpaca.session import QUOTES, TRADES, AlpacaSession
from piggy.adapters.answers import document
from piggy.adapters.books import Books
from piggy.adapters.interface import Order, ReportKind, Response, UnableToReadReport, UnableToTranslate
from piggy.core.orders import Side
from tests.adapters.recorded import child_of, config_of, play, recorded

SHARES = {"AAPL": ("AAPL", "100"), "AMZN": ("AMZN", "1"), "TSLA": ("TSLA", "1"), "GOOGL": ("GOOGL", "1")}
CONFIG = config_of("alpaca", SHARES)
NOW_US = 1_700_000_000_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1",
    client_id="o1-V1-1",
    symbol="AAPL",
    side=Side.BUY,
    quantity=Decimal(1),
    limit_price=Decimal("161.1"),
    created_at_us=NOW_US - 10_000_000,
)
ASSETS = [{"symbol": name, "tradable": True, "status": "active", "class": "us_equity"} for name in sorted(SHARES)]


def fixture(test: str) -> Any:
    return next(row for row in recorded("alpaca_http_fixtures.json") if row["test"] == test)["response"]


def order_doc(**more: Any) -> dict[str, Any]:
    return fixture("test_get_order_by_client_id") | {"client_order_id": "o1-V1-1", "symbol": "AAPL"} | more


def update(event: str, **more: Any) -> dict[str, Any]:
    order = order_doc(filled_qty=more.pop("filled_qty", "0"))
    return {"event": event, "timestamp": "2021-03-16T18:38:01.937734Z", "order": order} | more


def test_a_quote_is_read_without_a_float_and_in_lots():
    books = Books(config=CONFIG)
    text = '{"T":"q","S":"AAPL","bp":161.1,"bs":2,"ap":161.11,"as":13,"t":"2022-03-18T14:02:43.651613184Z"}'
    inbound.quote(doc=document(text), books=books, config=CONFIG, now_us=1)
    quote = books.quote(symbol="AAPL")
    assert [(level.price, level.size) for level in quote.asks] == [(Decimal("161.11"), Decimal(13))]
    recorded_quote = fixture("test_get_latest_quote")["quotes"]
    assert recorded_quote, "the recorded form has the same fields"
    inbound.quote(doc=document(text) | {"bp": 0}, books=books, config=CONFIG, now_us=2)
    assert books.quote(symbol="AAPL").bids == ()


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("new", ReportKind.ACK),
        ("accepted", ReportKind.ACK),
        ("rejected", ReportKind.REJECT),
        ("canceled", ReportKind.DONE),
        ("expired", ReportKind.DONE),
        ("done_for_day", ReportKind.DONE),
        ("pending_new", None),
        ("pending_cancel", None),
        ("replaced", None),
        ("order_cancel_rejected", ReportKind.UNCANCEL),
    ],
)
def test_every_event_of_an_order_is_read(event: str, kind: ReportKind | None):
    doc = update(event, filled_qty="40")
    said = inbound.trade_update(doc=doc, executions=inbound.Executions(), config=CONFIG, raw="")
    assert [one.report.kind for one in said] == ([kind] if kind else [])
    if kind is ReportKind.DONE:
        assert said[0].report.cumulative == Decimal("0.4")


def test_the_stream_and_the_activities_name_a_fill_alike():
    rows = fixture("test_get_activities_for_account_max_items_and_single_request_date")
    names = {row["order_id"]: row["order_id"][:4] for row in rows}
    said = inbound.activities(rows=rows, client_ids=names, config=CONFIG, raw="")
    assert len({one.report.key for one in said}) == len(rows) == 5
    first = rows[0]
    order = order_doc(id=first["order_id"], symbol="AMZN", filled_qty=first["cum_qty"] + "00", side="buy")
    heard = hear(update("partial_fill", price=first["price"], qty=first["qty"]) | {"order": order})
    assert heard.key == said[0].report.key
    assert heard.command.price == Decimal("2907.15")


def restating(event: str, ref: str, **changed: str) -> dict[str, Any]:
    return update(event, price="150", qty="40", filled_qty="40") | {"previous_execution_id": ref} | changed


def test_a_bust_and_a_correction_name_the_fill_that_we_told():
    """F-15: the venue names an execution; a correction may be corrected in its turn."""
    executions = inbound.Executions()
    fill = update("fill", price="160", qty="100", filled_qty="100") | {"execution_id": "E1"}
    told = hear(fill, executions)
    first = hear(restating("trade_correct", "E1", execution_id="E2"), executions)
    second = hear(restating("trade_bust", "E2", execution_id="E3"), executions)
    assert first.command.ref_fill_id == told.command.fill_id
    assert (first.kind, first.command.quantity, first.command.price) == (ReportKind.CORRECTION, Decimal("0.4"), 150)
    assert (second.kind, second.command.ref_fill_id) == (ReportKind.BUST, first.command.report_id)
    assert second.cumulative == Decimal("0.4")
    again = hear(fill | {"execution_id": "E4"}, executions)
    assert again.key != told.key, "after a bust the order came to the same count again"


@pytest.mark.parametrize("event", ["trade_bust", "trade_correct"])
def test_a_bust_of_an_execution_that_nobody_heard_is_for_a_person(event: str):
    with pytest.raises(UnableToReadReport):
        hear(restating(event, "E9", execution_id="E10"))


def hear(doc: dict[str, Any], executions: inbound.Executions | None = None) -> Any:
    executions = executions or inbound.Executions()
    return inbound.trade_update(doc=doc, executions=executions, config=CONFIG, raw="")[0].report


@pytest.mark.parametrize(
    ("status", "doc", "kind"),
    [
        (200, {"status": "accepted"}, ReportKind.ACK),
        (200, {"status": "rejected"}, ReportKind.REJECT),
        (403, {"code": 40310000, "message": "insufficient buying power"}, ReportKind.REJECT),
        (422, {"code": 40010001, "message": "client_order_id must be unique"}, ReportKind.DOUBT),
        (429, {"message": "rate limit exceeded"}, ReportKind.REJECT),
        (500, {"message": "internal"}, ReportKind.DOUBT),
        (0, {}, ReportKind.DOUBT),
    ],
)
def test_a_refusal_is_told_from_a_doubt(status: int, doc: Any, kind: ReportKind):
    text = json.dumps(order_doc(**doc) if status == 200 else doc)
    said = inbound.order_answer(
        response=Response(status=status, text=text), client_id="o1-V1-1", config=CONFIG, now_us=1
    )
    assert [one.report.kind for one in said] == [kind]


def test_an_order_leaves_as_documented():
    request = Asker(config=CONFIG).new_order(child=child_of("AAPL", lots="0.5", price="161.115"), terms=None)
    assert json.loads(request.body) == {
        "symbol": "AAPL",
        "qty": "50",
        "side": "buy",
        "type": "limit",
        "time_in_force": "ioc",
        "limit_price": "161.115",
        "client_order_id": "o1-V1-1",
    }
    assert request.headers["APCA-API-KEY-ID"] == "k"
    assert set(json.loads(request.body)) - {"client_order_id"} <= set(order_doc())


def connected() -> AlpacaSession:
    session = AlpacaSession(config=CONFIG)
    streams, _ = play(session.connect(now_us=NOW_US), ASSETS)
    assert [stream.url for stream in streams] == [
        "wss://api.alpaca.markets/stream",
        "wss://stream.data.alpaca.markets/v2/iex",
    ]
    return session


def test_an_order_may_go_once_both_streams_confirmed():
    session = connected()
    texts = [
        (TRADES, {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}),
        (TRADES, {"stream": "listening", "data": {"streams": ["trade_updates"]}}),
        (QUOTES, [{"T": "success", "msg": "authenticated"}]),
    ]
    for stream, doc in texts:
        session.hear(stream=stream, text=json.dumps(doc), now_us=NOW_US)
    assert not session.settled
    session.hear(stream=QUOTES, text='[{"T": "subscription", "quotes": ["AAPL"]}]', now_us=NOW_US)
    assert session.settled


def test_a_refused_key_ends_the_session():
    session = connected()
    refused = {"stream": "authorization", "data": {"status": "unauthorized"}}
    assert session.hear(stream=TRADES, text=json.dumps(refused), now_us=NOW_US).down
    assert session.hear(stream=QUOTES, text='[{"T":"error","code":402,"msg":"auth failed"}]', now_us=NOW_US).down


def test_a_share_is_traded_whole_and_by_the_cent():
    session = connected()
    with pytest.raises(UnableToTranslate):
        play(session.submit(child=child_of("AAPL", lots="0.005", price="161"), now_us=NOW_US), [])
    _, requests = play(
        session.submit(child=child_of("AAPL", price="161.119"), now_us=NOW_US), [order_doc(status="accepted")]
    )
    assert json.loads(requests[0].body)["limit_price"] == "161.11"


def test_a_status_brings_missing_fills_before_itself_page_by_page():
    session = connected()
    doc = order_doc(status="filled", filled_qty="100")
    row = {"order_id": doc["id"], "symbol": "AAPL", "side": "buy", "price": "161", "qty": "1", "id": "x"}
    rows = [row | {"cum_qty": str(n), "transaction_time": "2022-03-04T18:54:20.9Z"} for n in range(1, 101)]
    said, requests = play(session.status(order=ORDER, now_us=NOW_US), [doc, rows, []])
    assert [one.report.kind for one in said] == [*[ReportKind.FILL] * 100, ReportKind.STATUS]
    assert "page_token=x" in requests[2].url
    assert said[-1].report.standing == "filled"


def test_an_order_cannot_be_changed_in_place():
    with pytest.raises(UnableToTranslate):
        play(connected().replace(order=ORDER, quantity=Decimal(1), limit_price=Decimal(1), now_us=NOW_US), [])


def test_positions_and_balances_are_read():
    rows = fixture("test_get_all_positions")
    assert inbound.positions(rows=rows, config=CONFIG)[0].lots == Decimal("0.05")
    short = [rows[0] | {"qty": "-5", "side": "short"}]
    assert inbound.positions(rows=short, config=CONFIG)[0].lots == Decimal("-0.05")
    account = next(row["response"] for row in recorded("alpaca_http_fixtures.json") if row["url"] == "{}/v2/account")
    assert inbound.balances(doc=account)[0].currency == "USD"
