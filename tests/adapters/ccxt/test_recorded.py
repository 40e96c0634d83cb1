"""What real exchanges answered, read by ccxt and then by us: only their network and signatures are left out."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.answers import document
from piggy.adapters.ccxt import inbound
from piggy.adapters.ccxt.session import CcxtSession
from piggy.adapters.ccxt.transport import CcxtTransport
from piggy.adapters.interface import ReportKind, Request, Response, Steps, UnableToReadReport
from tests.adapters.recorded import child_of, config_of, knowing, recorded

SWAP, SPOT = "BTC/USDT:USDT", "BTC/USDT"
NOW_US = 1_800_000_000_000_000
MARKETS = {
    "okx": ((SWAP, "BTC-USDT-SWAP"), (SPOT, "BTC-USDT")),
    "bybit": ((SWAP, "BTCUSDT"),),
    "kraken": ((SPOT, "XBTUSDT"),),
    "deribit": (("BTC/USD:BTC", "BTC-PERPETUAL"),),
    "coinbase": (("BTC/USD", "BTC-USD"),),
}


class Exchange:
    """One exchange of ccxt whose every request is answered by one recording."""

    def __init__(self, name: str, symbol: str) -> None:
        config = config_of("ccxt", {"BTCUSD": (symbol, "1")}, settings={"exchange": name, "streams": "none"})
        self.transport = CcxtTransport(config=config)
        self.ccxt: Any = self.transport._exchange
        self.ccxt.set_markets([self._market(*pair) for pair in MARKETS[name]])
        self.ccxt.sign = lambda path, *_, **__: {"url": f"x/{path}", "method": "GET", "body": None, "headers": {}}
        terms = {"symbol": symbol, "precision": {"price": "0.1", "amount": "0.001"}}
        self.session = knowing(CcxtSession(config=config), {"mode": 4, "markets": {symbol: terms}})

    def _market(self, symbol: str, number: str) -> dict[str, Any]:
        base, quote = symbol.partition(":")[0].split("/")
        is_swap = ":" in symbol
        market = {"id": number, "symbol": symbol, "base": base, "quote": quote, "baseId": base, "quoteId": quote}
        market |= {"type": "swap" if is_swap else "spot", "spot": not is_swap, "swap": is_swap, "contract": is_swap}
        market |= {"linear": is_swap or None, "inverse": False if is_swap else None, "active": True}
        market |= {"contractSize": "0.01" if is_swap else None, "settle": symbol.partition(":")[2] or None}
        return self.ccxt.safe_market_structure(market | {"precision": {"price": "0.1", "amount": "0.001"}})

    def says(self, path: str, wrap: Callable[[Any], Any] = lambda doc: doc) -> Exchange:
        doc = wrap(recorded(path))
        self.ccxt.fetch = lambda *_, **__: doc
        return self

    def play(self, steps: Steps[Any], *answers: Any) -> Any:
        """Play a conversation: the recording answers first, then what is given here."""
        left: list[Any] = [self.transport.call, *(lambda _, one=one: one for one in answers)]
        response: Response | None = None
        while True:
            try:
                request: Request = next(steps) if response is None else steps.send(response)
            except StopIteration as stop:
                return stop.value
            response = left.pop(0)(request=request) if len(left) == len(answers) + 1 else left.pop(0)(request)


@pytest.mark.parametrize(
    ("name", "symbol", "path", "best"),
    [
        ("okx", SWAP, "okx/http_get_order_book.json", ("41006.7", "0.487921", "41006.8")),
        ("bybit", SWAP, "bybit/http_get_orderbook.json", ("27450.5", "1.5", "27451")),
        ("kraken", SPOT, "kraken/http_order_book.json", ("105944.2", "0.002", "105944.3")),
        ("deribit", "BTC/USD:BTC", "deribit/http_get_order_book.json", ("87002.5", "199190", "87003")),
        ("coinbase", "BTC/USD", "coinbase/http_product_book.json", ("68923.66", "0.17189468", "68923.67")),
    ],
)
def test_a_book_is_the_exchanges_own(name: str, symbol: str, path: str, best: tuple[str, str, str]):
    exchange = Exchange(name, symbol).says(path)
    exchange.play(exchange.session.resync(symbol="BTCUSD", now_us=NOW_US))
    quote = exchange.session.all_quotes()[0]
    top = (quote.bids[0].price, quote.bids[0].size, quote.asks[0].price)
    assert top == tuple(Decimal(text) for text in best)
    assert quote.bids == tuple(sorted(quote.bids, key=lambda level: -level.price))


@pytest.mark.parametrize(
    ("name", "symbol", "path", "wrap", "wanted"),
    [
        ("okx", SPOT, "okx/http_transaction_detail.json", lambda doc: {"code": "0", "data": [doc]}, "0.001 42000.5"),
        ("bybit", SWAP, "bybit/http_get_executions.json", lambda doc: doc, "0.1 50000"),
        ("kraken", SPOT, "kraken/http_trades_history.json", lambda doc: doc, "0.5 29500.5"),
        ("coinbase", "BTC/USD", "coinbase/http_fills.json", lambda doc: doc, "0.005 45123.45"),
    ],
)
def test_a_fill_has_the_exchanges_numbers(name: str, symbol: str, path: str, wrap: Any, wanted: str):
    exchange = Exchange(name, symbol).says(path, wrap)
    looked_up = Response(status=200, text='{"id": "x", "clientOrderId": "o1-V1-1"}')
    said = exchange.play(exchange.session.fills(since_us=0, now_us=NOW_US), *[looked_up] * 9)
    fills = [one.report.command for one in said if one.report.kind is ReportKind.FILL]
    assert f"{fills[0].quantity.normalize():f} {fills[0].price.normalize():f}" in {wanted, wanted + "0"}
    assert {fill.cl_ord_id for fill in fills} == {"o1-V1-1"}
    assert len({fill.fill_id for fill in fills}) == len(fills)


@pytest.mark.parametrize(
    ("name", "symbol", "path", "wrap"),
    [
        ("okx", SWAP, "okx/http_place_order_response.json", lambda doc: {"code": "0", "data": [doc | {"clOrdId": ""}]}),
        ("kraken", SPOT, "kraken/http_add_order_spot.json", lambda doc: doc),
    ],
)
def test_an_answer_that_names_the_order_only_acknowledges_it_and_ends_nothing(
    name: str, symbol: str, path: str, wrap: Any
):
    """Both exchanges answer a new order by its number alone."""
    exchange = Exchange(name, symbol).says(path, wrap)
    child = child_of("BTCUSD", lots="0.5", price="100")
    said = exchange.play(exchange.session.submit(child=child, now_us=NOW_US))
    assert [one.report.kind for one in said] == [ReportKind.ACK]
    assert list(exchange.session._working) == ["o1-V1-1"]


@pytest.mark.parametrize(
    ("name", "symbol", "path", "ask", "standing"),
    [
        ("okx", SWAP, "okx/http_get_orders_pending.json", "fetch_open_orders", "working"),
        ("okx", SWAP, "okx/http_get_orders_history.json", "fetch_closed_orders", "filled"),
        ("bybit", SWAP, "bybit/http_get_orders_history.json", "fetch_closed_orders", "ended"),
        ("kraken", SPOT, "kraken/http_open_orders.json", "fetch_open_orders", "working"),
        ("kraken", SPOT, "kraken/http_closed_orders.json", "fetch_closed_orders", "filled"),
    ],
)
def test_how_an_order_stands_is_what_the_exchange_says(name: str, symbol: str, path: str, ask: str, standing: str):
    exchange = Exchange(name, symbol).says(path)
    answer = exchange.transport.call(request=Request(method="CALL", url=ask, body=f'["{symbol}"]'))
    assert answer.ok, answer.text
    found = inbound.seen(document(answer.text)[0])
    assert (found.standing, bool(found.filled)) == (standing, standing == "filled")


def test_positions_are_in_contracts_and_signed():
    for name, path in (("okx", "okx/http_get_positions.json"), ("bybit", "bybit/http_get_positions.json")):
        exchange = Exchange(name, SWAP).says(path)
        found = exchange.play(exchange.session.positions(now_us=NOW_US))
        assert [(one.symbol, one.lots) for one in found] == [("BTCUSD", Decimal("0.5"))], name


def test_what_ccxt_itself_stumbles_over_is_a_doubt_and_never_a_refusal():
    """It expects fields that an answer may lack; ours names what is missing of an answer that ccxt let pass."""
    exchange, child = Exchange("kraken", SPOT), child_of("BTCUSD", lots="0.5", price="100")

    def stumble(*_: Any, **__: Any) -> Any:
        raise KeyError("txid")

    exchange.ccxt.fetch = stumble
    said = exchange.play(exchange.session.submit(child=child, now_us=NOW_US))
    assert [one.report.kind for one in said] == [ReportKind.DOUBT]
    assert "ccxt could not read the answer" in said[0].report.text
    exchange.ccxt.fetch = lambda *_, **__: "<html>"
    with pytest.raises(UnableToReadReport, match="order: id is missing"):
        exchange.play(exchange.session.submit(child=child, now_us=NOW_US))
