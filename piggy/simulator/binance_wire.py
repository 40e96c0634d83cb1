"""The documents of Binance: what the exchange knows, in the venue's fields. Spot and USD-M differ in a few."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from piggy.simulator.exchange import DepthChange, Exchange, now_us
from piggy.simulator.quotes import LpBook, Rung
from piggy.simulator.truth import TruthOrder, number_of
from piggy.simulator.venue import GTC, IOC, Report

USDM_PREFIX = "/fapi/v1"
STEP = Decimal("0.00001")
NOTIONAL_MIN = Decimal(5)
IDS_A_DIFF = 10
TAKER_FEE = Decimal("0.001")
_FORCES = {GTC: "GTC", IOC: "IOC", "4": "FOK"}
_SIDES = {"1": "BUY", "2": "SELL"}
Doc = dict[str, Any]


class BinanceWire:
    """Spot, or USD-M with `usdm`."""

    def __init__(self, *, exchange: Exchange, usdm: bool) -> None:
        self._exchange = exchange
        self._usdm = usdm

    def info(self) -> Doc:
        """exchangeInfo with the filters that `filter_refusal` enforces."""
        rows = []
        for symbol in self._exchange.symbols.values():
            tick = Decimal(1).scaleb(-symbol.digits)
            notional = (
                {"filterType": "MIN_NOTIONAL", "notional": str(NOTIONAL_MIN)}
                if self._usdm
                else {"filterType": "NOTIONAL", "minNotional": str(NOTIONAL_MIN), "applyMinToMarket": True}
            )
            filters = [
                {"filterType": "PRICE_FILTER", "minPrice": str(tick), "maxPrice": "1000000", "tickSize": str(tick)},
                {"filterType": "LOT_SIZE", "minQty": f"{STEP:f}", "maxQty": "9000", "stepSize": f"{STEP:f}"},
                notional,
            ]
            rows.append(
                {"symbol": symbol.symbol, "status": "TRADING", "baseAsset": symbol.symbol[:-4], "quoteAsset": "USDT"}
                | {"orderTypes": ["LIMIT", "MARKET"], "filters": filters, "permissions": ["SPOT"]}
                | (
                    {"contractType": "PERPETUAL", "marginAsset": "USDT"}
                    if self._usdm
                    else {"isSpotTradingAllowed": True}
                )
                | {
                    "pricePrecision": symbol.digits,
                    "quantityPrecision": 5,
                    "baseAssetPrecision": 8,
                    "quotePrecision": 8,
                }
            )
        return {"timezone": "UTC", "serverTime": now_us() // 1_000, "rateLimits": [], "symbols": rows}

    def filter_refusal(self, query: dict[str, str]) -> str:
        """Return which filter an order fails, or nothing."""
        symbol = self._exchange.symbols[query["symbol"]]
        quantity = Decimal(query["quantity"])
        price = Decimal(query["price"]) if "price" in query else symbol.mid
        if price % Decimal(1).scaleb(-symbol.digits):
            return "Filter failure: PRICE_FILTER"
        if quantity % STEP or quantity < STEP:
            return "Filter failure: LOT_SIZE"
        return "Filter failure: NOTIONAL" if quantity * price < NOTIONAL_MIN else ""

    def snapshot(self, *, book: LpBook, number: int) -> Doc:
        """The whole book."""
        doc: Doc = {"lastUpdateId": number * IDS_A_DIFF, "bids": _rows(book.bids), "asks": _rows(book.asks)}
        return doc | ({"E": book.at_us // 1_000, "T": book.at_us // 1_000} if self._usdm else {})

    def diff(self, *, change: DepthChange) -> Doc:
        """A depthUpdate of several ids; futures leave some out, and name the last id of the update before."""
        last, before = change.number * IDS_A_DIFF, (change.number - 1) * IDS_A_DIFF
        first = last - 3 if self._usdm else before + 1
        doc: Doc = {"e": "depthUpdate", "E": change.at_us // 1_000, "s": change.symbol, "U": first}
        doc |= {"u": last, "b": _rows(change.bids), "a": _rows(change.asks)}
        return doc | ({"T": change.at_us // 1_000, "pu": before} if self._usdm else {})

    def order(self, *, order: TruthOrder, fills: bool) -> Doc:
        """An order as REST shows it; a FULL answer lists its fills."""
        at_ms = now_us() // 1_000
        doc: Doc = {
            "symbol": order.symbol,
            "orderId": int(order.order_id),
            "clientOrderId": order.cl_ord_id,
            "price": _text(order.price),
            "origQty": _text(order.quantity),
            "executedQty": _text(order.filled),
            "status": status_of(order),
            "timeInForce": _FORCES[order.time_in_force],
            "type": "LIMIT" if order.price is not None else "MARKET",
            "side": _SIDES[order.side],
            "updateTime": at_ms,
            "time": at_ms,
        }
        quote = order.average * order.filled
        if self._usdm:
            return doc | {"avgPrice": _text(order.average), "cumQuote": _text(quote), "reduceOnly": False}
        doc |= {"orderListId": -1, "transactTime": at_ms, "cummulativeQuoteQty": _text(quote)}
        if fills:
            doc["fills"] = [
                {"price": _text(fill.price), "qty": _text(fill.quantity), "tradeId": number_of(fill)}
                | {"commission": _text(fill.quantity * fill.price * TAKER_FEE), "commissionAsset": "USDT"}
                for fill in order.fills
            ]
        return doc

    def cancelled(self, *, order: TruthOrder) -> Doc:
        """The answer to a cancel: spot gives the cancel a name of its own."""
        doc = self.order(order=order, fills=False)
        if not self._usdm:
            doc |= {"origClientOrderId": order.cl_ord_id, "clientOrderId": f"c{order.order_id}"}
        return doc

    def event(self, *, report: Report) -> Doc | None:
        """A report on the user stream; None for what it does not tell."""
        order = report.order
        kinds = {"new": "NEW", "trade": "TRADE", "cancelled": "CANCELED", "replaced": "REPLACED"}
        what = kinds.get(report.kind)
        if what is None:
            return None
        if what == "CANCELED" and order.time_in_force != GTC:
            what = "EXPIRED"
        at_ms = now_us() // 1_000
        fill = report.fill
        fields: Doc = {
            "s": order.symbol,
            "c": order.cl_ord_id,
            "S": _SIDES[order.side],
            "o": "LIMIT",
            "f": _FORCES[order.time_in_force],
            "q": _text(order.quantity),
            "p": _text(order.price),
            "x": what,
            "X": self._status(report, what),
            "i": int(order.order_id),
            "l": _text(fill.quantity if fill else Decimal(0)),
            "z": _text(report.filled),
            "L": _text(fill.price if fill else Decimal(0)),
            "n": _text(fill.quantity * fill.price * TAKER_FEE) if fill else "0",
            "N": "USDT" if fill else None,
            "T": at_ms,
            "t": number_of(fill) if fill else (0 if self._usdm else -1),
            "m": False,
        }
        if self._usdm:
            more = {"ap": _text(report.average), "ps": "BOTH", "R": False, "rp": "0"}
            return {"e": "ORDER_TRADE_UPDATE", "T": at_ms, "E": at_ms, "o": fields | more}
        if what == "CANCELED":
            fields |= {"c": f"c{order.order_id}", "C": order.cl_ord_id}
        spot = {"C": "", "r": "NONE", "w": what == "NEW", "O": at_ms, "Z": "0", "Y": "0", "Q": "0", "V": "NONE"}
        return {"e": "executionReport", "E": at_ms} | spot | fields

    def trades(self, *, query: dict[str, str]) -> list[Doc]:
        """myTrades or userTrades of one symbol: of one order, or since an instant."""
        rows = []
        for order, fill in self._exchange.fills():
            if order.symbol != query["symbol"] or query.get("orderId", order.order_id) != order.order_id:
                continue
            if number_of(fill) < int(query.get("fromId", 0)):
                continue
            row: Doc = {"symbol": order.symbol, "id": number_of(fill), "orderId": int(order.order_id)}
            row |= {"price": _text(fill.price), "qty": _text(fill.quantity), "commissionAsset": "USDT"}
            row |= {"commission": _text(fill.quantity * fill.price * TAKER_FEE), "time": now_us() // 1_000}
            side = {"side": _SIDES[order.side], "maker": False} if self._usdm else {"isBuyer": order.side == "1"}
            rows.append(row | side)
        return rows

    def balance(self) -> Any:
        """What the account holds: a million dollars and every position."""
        held = [("USDT", Decimal(1_000_000))]
        if self._usdm:
            return [{"asset": asset, "balance": _text(n), "availableBalance": _text(n)} for asset, n in held]
        held += [(name[:-4], self._exchange.position(symbol=name)) for name in self._exchange.symbols]
        return {"balances": [{"asset": asset, "free": _text(n), "locked": "0"} for asset, n in held]}

    def positions(self) -> list[Doc]:
        """positionRisk."""
        return [
            {"symbol": name, "positionAmt": _text(self._exchange.position(symbol=name)), "entryPrice": "1.0"}
            | {"positionSide": "BOTH", "markPrice": "1.0", "unRealizedProfit": "0"}
            for name in self._exchange.symbols
        ]

    def fees(self, *, symbol: str) -> Doc:
        """Our rates."""
        if self._usdm:
            return {"symbol": symbol, "makerCommissionRate": "0.0002", "takerCommissionRate": "0.0004"}
        return {"symbol": symbol, "standardCommission": {"maker": "0.001", "taker": "0.001"}}

    def _status(self, report: Report, what: str) -> str:
        if what == "TRADE":
            return "FILLED" if report.filled >= report.order.quantity else "PARTIALLY_FILLED"
        return {"REPLACED": "NEW"}.get(what, what)


def status_of(order: TruthOrder) -> str:
    """Return the venue's word for how an order stands."""
    if order.ended == "filled":
        return "FILLED"
    if order.ended == "rejected":
        return "REJECTED"
    if order.ended:
        return "CANCELED" if order.time_in_force == GTC else "EXPIRED"
    return "PARTIALLY_FILLED" if order.fills else "NEW"


def _rows(rungs: tuple[Rung, ...]) -> list[list[str]]:
    return [[_text(rung.price), _text(rung.size)] for rung in rungs]


def _text(number: Decimal | None) -> str:
    return f"{number or Decimal(0):f}"
