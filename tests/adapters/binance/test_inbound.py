from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.binance import inbound
from piggy.adapters.books import Book
from piggy.adapters.interface import ReportKind, Response, UnableToReadReport, VenueConfig
from piggy.core.orders import Side
from tests.adapters.recorded import config_of, recorded

ALL = {"BTCUSD": ("BTCUSDT", "1"), "ETHUSD": ("ETHUSDT", "1"), "ETHBTC": ("ETHBTC", "1"), "LTCBTC": ("LTCBTC", "10")}
SPOT = config_of("binance", ALL)
USDM = config_of("binance_usdm", ALL)


def report(path: str, config: VenueConfig) -> Any:
    doc = recorded(path)
    said = inbound.user_event(doc=doc, raw=json.dumps(doc), config=config)
    return said[0].report if said else None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("binance/spot/user_data_json/execution_report_new.json", ReportKind.ACK),
        ("binance/spot/user_data_json/execution_report_trade.json", ReportKind.FILL),
        ("binance/spot/user_data_json/execution_report_canceled.json", ReportKind.DONE),
        ("binance/spot/user_data_json/execution_report_expired.json", ReportKind.DONE),
        ("binance/spot/user_data_json/execution_report_stop_loss.json", ReportKind.ACK),
        ("binance/spot/user_data_json/execution_report_wrapped.json", ReportKind.ACK),
        ("binance-py/ws_messages/ws_spot_execution_report_new.json", ReportKind.ACK),
        ("binance-py/ws_messages/ws_spot_execution_report_trade.json", ReportKind.FILL),
        ("binance-py/ws_messages/ws_spot_execution_report_canceled.json", ReportKind.DONE),
        ("binance-py/ws_messages/ws_spot_execution_report_expired.json", ReportKind.DONE),
        ("binance-py/ws_messages/ws_spot_execution_report_rejected.json", ReportKind.REJECT),
        ("binance-py/ws_messages/ws_spot_execution_report_trade_prevention.json", ReportKind.DONE),
    ],
)
def test_every_recorded_spot_report_is_read(path: str, kind: ReportKind):
    found = report(path, SPOT)
    assert found.kind is kind
    assert found.cl_ord_id
    assert found.command.cl_ord_id == found.cl_ord_id


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("binance/futures/user_data_json/order_update_new.json", ReportKind.ACK),
        ("binance/futures/user_data_json/order_update_trade.json", ReportKind.FILL),
        ("binance/futures/user_data_json/order_update_trade_partial.json", ReportKind.FILL),
        ("binance/futures/user_data_json/order_update_calculated.json", ReportKind.FILL),
        ("binance-py/ws_messages/ws_futures_order_update_trade_reduce_only_qty.json", ReportKind.FILL),
    ],
)
def test_every_recorded_futures_report_is_read(path: str, kind: ReportKind):
    assert report(path, USDM).kind is kind


def test_a_fill_carries_the_venues_numbers_and_its_fee():
    found = report("binance-py/ws_messages/ws_spot_execution_report_trade.json", SPOT)
    fill = found.command
    assert (fill.symbol, fill.side, fill.quantity, fill.price) == (
        "ETHUSD",
        Side.BUY,
        Decimal("0.5"),
        Decimal("2499.50"),
    )
    assert fill.fill_id == "ETHUSDT-98765432"
    assert fill.occurred_at_us == 1759347763167_000
    assert found.text == "fee 0.00050000 ETH"


def test_the_id_of_a_cancelled_order_is_its_own_not_the_cancels():
    doc = recorded("binance/spot/user_data_json/execution_report_canceled.json") | {"c": "cancel-1", "C": "order-1"}
    assert inbound.user_event(doc=doc, raw="", config=SPOT)[0].report.cl_ord_id == "order-1"


def test_a_message_with_a_field_missing_is_parked_not_guessed():
    doc = recorded("binance/spot/user_data_json/execution_report_trade.json")
    for field in ("s", "c", "x", "i", "l", "L", "T", "t", "S", "z"):
        broken = {name: value for name, value in doc.items() if name not in (field, "C")}
        with pytest.raises(UnableToReadReport):
            inbound.user_event(doc=broken, raw="", config=SPOT)
    with pytest.raises(UnableToReadReport):
        inbound.user_event(doc=doc | {"s": "XRPUSDT"}, raw="", config=SPOT)


def test_the_full_answer_to_an_order_gives_an_acknowledgement_and_every_fill():
    doc = recorded("binance/spot/http_json/new_order_full_response.json")
    response = Response(status=200, text=json.dumps(doc))
    said = inbound.order_answer(response=response, client_id="6gCrw2kRUAF9CvJDGP16IP", config=SPOT, now_us=1)
    kinds = [one.report.kind for one in said]
    assert kinds == [ReportKind.ACK, *[ReportKind.FILL] * 5]
    assert sum(one.report.command.quantity for one in said[1:]) == Decimal(10)
    assert {one.report.command.side for one in said[1:]} == {Side.SELL}


@pytest.mark.parametrize(
    ("status", "doc", "kind"),
    [
        (400, {"code": -2010, "msg": "Account has insufficient balance for requested action."}, ReportKind.REJECT),
        (400, {"code": -1013, "msg": "Filter failure: LOT_SIZE"}, ReportKind.REJECT),
        (429, {"code": -1003, "msg": "Too many requests."}, ReportKind.REJECT),
        (400, {"code": -2010, "msg": "Duplicate order sent."}, ReportKind.DOUBT),
        (400, {"code": -4116, "msg": "ClientOrderId is duplicated."}, ReportKind.DOUBT),
        (400, {"code": -1006, "msg": "Execution status unknown."}, ReportKind.DOUBT),
        (408, {"code": -1007, "msg": "Send status unknown; execution status unknown."}, ReportKind.DOUBT),
        (503, {"msg": "Unknown error, please check your request or try again later."}, ReportKind.DOUBT),
        (502, "<html>", ReportKind.DOUBT),
        (0, "ReadTimeout", ReportKind.DOUBT),
    ],
)
def test_a_refusal_is_told_from_a_doubt(status: int, doc: Any, kind: ReportKind):
    response = Response(status=status, text=doc if isinstance(doc, str) else json.dumps(doc))
    said = inbound.order_answer(response=response, client_id="c1", config=SPOT, now_us=1)
    assert [one.report.kind for one in said] == [kind]


def test_trades_of_an_order_have_the_same_ids_as_on_the_stream():
    rows = recorded("binance-py/http_responses/http_futures_account_trades.json")
    names = {str(row["orderId"]): f"c{n}" for n, row in enumerate(rows)}
    said = inbound.trades(rows=rows, client_ids=names, config=USDM, raw="")
    assert [one.report.key for one in said] == ["F:ETHUSDT-82357626", "F:ETHUSDT-82357629"]
    assert [one.report.command.side for one in said] == [Side.SELL, Side.BUY]
    spot = recorded("binance/spot/http_json/account_trades_response.json")
    config = config_of("binance", {"BNBBTC": ("BNBBTC", "1")})
    assert inbound.trades(rows=spot, client_ids={"100234": "c"}, config=config, raw="")[0].report.command.price == (
        Decimal("4.00000100")
    )


def test_filters_become_terms():
    doc = recorded("binance-py/http_responses/http_futures_market_exchange_info.json")
    terms = inbound.symbols(doc=doc, config=USDM)[0]
    assert (terms.tick_size, terms.unit_step, terms.units_max) == (Decimal("0.10"), Decimal("0.001"), Decimal(1000))
    assert terms.notional_min == 10
    assert terms.tradable


def test_balances_positions_and_fees_are_read():
    assert inbound.balances(doc=recorded("binance/spot/http_json/account_response.json"))[0].currency == "BTC"
    assert inbound.balances(doc=recorded("binance/futures/http_json/balance.json"))[0].total == Decimal("122.12345678")
    rows = recorded("binance/futures/http_json/position_risk.json")
    assert inbound.positions(rows=rows, config=USDM)[0].lots == Decimal("0.001")
    assert inbound.fees(doc=recorded("binance-py/http_responses/http_wallet_trading_fee.json")) == (
        Decimal("0.001"),
        Decimal("0.001"),
    )
    assert inbound.fees(doc=recorded("binance-py/http_responses/http_futures_wallet_commission_rate_btcusdt.json"))


class Feed:
    """A true book and the diffs that lead to it, numbered as each market numbers them."""

    def __init__(self, *, chained: bool, seed: int) -> None:
        self.chained = chained
        self.random = random.Random(seed)
        self.bids: dict[str, str] = {}
        self.last = 100

    def diff(self) -> dict[str, Any]:
        before = self.last
        self.last += self.random.randint(1, 5)
        # Futures leave ids out; only `pu` tells what came before.
        first = self.last if self.chained else before + 1
        rows = [
            [str(self.random.randint(1, 9)), str(self.random.randint(0, 3))] for _ in range(self.random.randint(1, 3))
        ]
        for price, size in rows:
            if size == "0":
                self.bids.pop(price, None)
            else:
                self.bids[price] = size
        return {"U": first, "u": self.last, "pu": before, "b": rows, "a": []}

    def snapshot(self) -> dict[str, Any]:
        return {"lastUpdateId": self.last, "bids": [list(pair) for pair in self.bids.items()], "asks": []}


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_any_gaps_repeats_and_late_snapshots_end_in_the_true_book(chained: bool, seed: int):
    feed, book = Feed(chained=chained, seed=seed), Book()
    depth = inbound.Depth(book=book, chained=chained)
    chance = random.Random(seed + 1_000)
    wanted, old = 0, feed.snapshot()
    for _ in range(200):
        diff = feed.diff()
        for _ in range(chance.choice((0, 1, 1, 1, 1, 1, 2))):
            wanted += depth.take(diff)
        if wanted and chance.random() < 0.5:
            try:
                depth.snapshot(old if chance.random() < 0.2 else feed.snapshot())
                wanted = 0
            except UnableToReadReport:
                wanted = 1
        old = old if chance.random() < 0.9 else feed.snapshot()
    depth.take(feed.diff())
    if not book.whole:
        depth.snapshot(feed.snapshot())
    assert book.whole
    last = feed.diff()
    if depth.take(last):
        depth.snapshot(feed.snapshot())
    assert book.bids == {Decimal(price): Decimal(size) for price, size in feed.bids.items()}


def test_a_snapshot_older_than_the_stream_is_refused():
    book = Book()
    depth = inbound.Depth(book=book, chained=False)
    assert depth.take({"U": 101, "u": 105, "b": [], "a": []})
    with pytest.raises(UnableToReadReport):
        depth.snapshot({"lastUpdateId": 90, "bids": [["1", "1"]], "asks": []})
    assert not book.whole
    depth.snapshot({"lastUpdateId": 100, "bids": [["1", "1"]], "asks": []})
    assert book.whole


def test_the_recorded_diff_of_each_market_is_taken():
    for path, chained in (
        ("binance/futures/market_data_json/depth_update_stream.json", True),
        ("binance-py/ws_messages/ws_futures_depth_diff_update.json", True),
    ):
        book = Book()
        depth = inbound.Depth(book=book, chained=chained)
        assert depth.take(recorded(path))
        depth.snapshot({"lastUpdateId": 158, "bids": [], "asks": []})
        assert book.bids == {Decimal("0.0024"): Decimal(10)}
        assert depth.take({"U": 170, "u": 171, "pu": 165, "b": [], "a": []}), "a broken chain asks for a snapshot"
