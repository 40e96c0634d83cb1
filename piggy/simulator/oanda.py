"""OANDA v20 on this machine: line streams with heartbeats, and one journal of transactions numbered without holes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from piggy.adapters.answers import stamp
from piggy.simulator.config import SymbolConfig
from piggy.simulator.exchange import DepthChange, now_us
from piggy.simulator.faults import Fault
from piggy.simulator.quotes import Rung
from piggy.simulator.server import VenueServer
from piggy.simulator.truth import TruthOrder
from piggy.simulator.venue import BUY, FOK, GTC, IOC, Report

HEARTBEAT_S = 0.5
_FORCES = {"GTC": GTC, "IOC": IOC, "FOK": FOK}
Doc = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OandaServer(VenueServer):
    """`account` is the one account id; `secret` its token."""

    kind = "oanda"

    def __init__(self, *, symbols: tuple[SymbolConfig, ...], home: Path, account: str = "101-1", **more: Any) -> None:
        super().__init__(symbols=symbols, home=home, **more)
        self.account = account
        self.journal: list[Doc] = []
        self._numbers: dict[str, str] = {}
        self._journal_lock = threading.Lock()
        self._prices: set[web.StreamResponse] = set()
        self._listeners: set[web.StreamResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        """REST and both streams of the account."""
        base = f"/v3/accounts/{self.account}"
        handlers: list[tuple[str, str, Handler]] = [
            ("GET", "/instruments", self._instruments),
            ("GET", "/summary", self._summary),
            ("GET", "/openPositions", self._positions),
            ("GET", "/pendingOrders", self._pending),
            ("GET", "/orders/{name}", self._order),
            ("POST", "/orders", self._new_order),
            ("PUT", "/orders/{name}/cancel", self._cancel),
            ("PUT", "/orders/{name}", self._replace),
            ("GET", "/transactions", self._pages),
            ("GET", "/transactions/sinceid", self._since),
            ("GET", "/transactions/idrange", self._range),
            ("GET", "/pricing/stream", self._price_stream),
            ("GET", "/transactions/stream", self._transaction_stream),
        ]
        return [web.route(method, base + path, self._let_in(handler)) for method, path, handler in handlers]

    async def show_depth(self, change: DepthChange) -> None:
        """A PRICE with the whole book."""
        for lines in list(self._prices):
            await self.send(lines, msgspec.json.encode(self._price(change.symbol)).decode())

    def noted(self, report: Report) -> Doc | None:
        """Write a report into the journal; return its transaction."""
        order = report.order
        doc: Doc = {"accountID": self.account, "userID": 1, "time": stamp(now_us())}
        if report.kind == "new":
            kind = "LIMIT" if order.time_in_force == GTC else "MARKET"
            doc |= {"type": f"{kind}_ORDER", "reason": "CLIENT_ORDER", "price": str(order.price)}
            doc |= self._terms(order)
        elif report.kind == "trade" and report.fill is not None:
            units = report.fill.quantity if order.side == BUY else -report.fill.quantity
            doc |= {"type": "ORDER_FILL", "instrument": order.symbol, "units": f"{units:f}", "pl": "0.0000"}
            doc |= {"price": f"{report.fill.price:f}", "fullVWAP": f"{report.fill.price:f}", "reason": "MARKET_ORDER"}
        elif report.kind == "cancelled":
            reason = "CLIENT_REQUEST" if order.time_in_force == GTC else "INSUFFICIENT_LIQUIDITY"
            doc |= {"type": "ORDER_CANCEL", "reason": reason}
        elif report.kind == "rejected":
            doc |= {"type": "MARKET_ORDER_REJECT", "rejectReason": _reason(report)} | self._terms(order)
        else:
            return None
        with self._journal_lock:
            doc["id"] = doc["batchID"] = str(2_001 + len(self.journal))
            if report.kind == "new":
                self._numbers[order.cl_ord_id] = doc["id"]
            elif report.kind != "rejected":
                doc |= {"orderID": self._numbers[order.cl_ord_id], "clientOrderID": order.cl_ord_id}
            self.journal.append(doc)
        return doc

    async def show_report(self, report: Any) -> None:
        """A transaction to every listener."""
        if report is not None:
            for lines in list(self._listeners):
                await self.send(lines, msgspec.json.encode(report).decode())

    def _let_in(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Bearer {self.secret}":
                return web.json_response({"errorMessage": "Insufficient authorization to perform request."}, status=401)
            if request.method == "POST" and self.faults.take(Fault.THROTTLE):
                return web.json_response(
                    {"errorMessage": "Rate limit exceeded"}, status=429, headers={"Retry-After": "1"}
                )
            return await handler(request)

        return guarded

    async def _instruments(self, request: web.Request) -> web.Response:
        rows = [
            {"name": symbol.symbol, "type": "CURRENCY", "displayPrecision": symbol.digits, "tradeUnitsPrecision": 0}
            | {"minimumTradeSize": "1", "maximumOrderUnits": "1000000000", "marginRate": "0.02"}
            for symbol in self.exchange.symbols.values()
        ]
        return self._answer({"instruments": rows})

    async def _summary(self, request: web.Request) -> web.Response:
        row = {"id": self.account, "currency": "USD", "balance": "1000000.0000", "marginAvailable": "990000.0000"}
        return self._answer({"account": row})

    async def _positions(self, request: web.Request) -> web.Response:
        rows = []
        for name in self.exchange.symbols:
            units = self.exchange.position(symbol=name)
            side = {"units": f"{units:f}", "averagePrice": "1.0"}
            flat = {"units": "0"}
            pair = {"long": side, "short": flat} if units > 0 else {"long": flat, "short": side}
            rows.append({"instrument": name, "pl": "0"} | pair)
        return self._answer({"positions": rows})

    async def _pending(self, request: web.Request) -> web.Response:
        return self._answer({"orders": [self._order_doc(order) for order in self.exchange.working()]})

    async def _order(self, request: web.Request) -> web.Response:
        order = self._named(request)
        if order is None or order.ended == "rejected":
            return self._refusal("NO_SUCH_ORDER", "The order specified does not exist", 404)
        return self._answer({"order": self._order_doc(order)})

    async def _new_order(self, request: web.Request) -> web.Response:
        terms = (await request.json())["order"]
        units = Decimal(terms["units"])
        before = len(self.journal)
        reports = self.exchange.place(
            cl_ord_id=terms["clientExtensions"]["id"],
            symbol=terms["instrument"],
            side="1" if units > 0 else "2",
            quantity=abs(units),
            price=Decimal(terms.get("price") or terms["priceBound"]),
            force=_FORCES[terms["timeInForce"]],
        )
        mine = self.journal[before:]
        if reports[0].kind == "rejected":
            reason = _reason(reports[0])
            doc = {"orderRejectTransaction": mine[0], "errorCode": reason, "errorMessage": reports[0].text}
            return self._answer(doc, 400)
        doc = {"orderCreateTransaction": mine[0], "relatedTransactionIDs": [row["id"] for row in mine]}
        for number, fill in enumerate(row for row in mine if row["type"] == "ORDER_FILL"):
            doc[f"orderFillTransaction{number or ''}"] = fill
        if mine[-1]["type"] == "ORDER_CANCEL":
            doc["orderCancelTransaction"] = mine[-1]
        return self._answer(doc, 201)

    async def _cancel(self, request: web.Request) -> web.Response:
        order = self._named(request)
        if order is None or order.ended:
            return self._refusal("ORDER_DOESNT_EXIST", "The order does not exist", 404)
        self.exchange.cancel(cl_ord_id=order.cl_ord_id)
        return self._answer({"orderCancelTransaction": self.journal[-1]})

    async def _replace(self, request: web.Request) -> web.Response:
        order = self._named(request)
        terms = (await request.json())["order"]
        if order is None or order.ended:
            return self._refusal("ORDER_DOESNT_EXIST", "The order does not exist", 404)
        quantity = abs(Decimal(terms["units"])) + order.filled
        self.exchange.replace(cl_ord_id=order.cl_ord_id, quantity=quantity, price=Decimal(terms["price"]))
        return self._answer({"orderCreateTransaction": self._order_doc(order), "orderCancelTransaction": {}}, 201)

    async def _pages(self, request: web.Request) -> web.Response:
        last = self._last()
        page = f"http://{self.address}/v3/accounts/{self.account}/transactions/idrange?from=2001&to={last}"
        return self._answer({"count": len(self.journal), "pages": [page] if self.journal else []})

    async def _range(self, request: web.Request) -> web.Response:
        first, last = int(request.query["from"]), int(request.query["to"])
        return self._answer({"transactions": [doc for doc in self.journal if first <= int(doc["id"]) <= last]})

    async def _since(self, request: web.Request) -> web.Response:
        rows = [doc for doc in self.journal if int(doc["id"]) > int(request.query["id"])]
        return self._answer({"transactions": rows})

    async def _price_stream(self, request: web.Request) -> web.StreamResponse:
        lines = await self.keep_lines(request)
        for symbol in request.query["instruments"].split(","):
            await self.send(lines, msgspec.json.encode(self._price(symbol)).decode())
        return await self._beat(lines, self._prices, dict)

    async def _transaction_stream(self, request: web.Request) -> web.StreamResponse:
        lines = await self.keep_lines(request)
        return await self._beat(lines, self._listeners, lambda: {"lastTransactionID": str(self._last())})

    async def _beat(
        self, lines: web.StreamResponse, to: set[web.StreamResponse], more: Callable[[], Doc]
    ) -> web.StreamResponse:
        to.add(lines)
        while lines in self._sockets:
            await self.send(
                lines, msgspec.json.encode({"type": "HEARTBEAT", "time": stamp(now_us())} | more()).decode()
            )
            await asyncio.sleep(HEARTBEAT_S)
        to.discard(lines)
        return lines

    def _price(self, symbol: str) -> Doc:
        book, _ = self.exchange.snapshot(symbol=symbol)
        doc: Doc = {"type": "PRICE", "instrument": symbol, "time": stamp(book.at_us), "status": "tradeable"}
        return doc | {"tradeable": True, "bids": _rows(book.bids), "asks": _rows(book.asks)}

    def _order_doc(self, order: TruthOrder) -> Doc:
        state = "FILLED" if order.ended == "filled" else "CANCELLED" if order.ended else "PENDING"
        doc: Doc = {"id": self._numbers[order.cl_ord_id], "type": "LIMIT", "state": state, "price": str(order.price)}
        return doc | self._terms(order)

    def _terms(self, order: TruthOrder) -> Doc:
        units = order.quantity if order.side == BUY else -order.quantity
        return {"instrument": order.symbol, "units": f"{units:f}", "clientExtensions": {"id": order.cl_ord_id}}

    def _named(self, request: web.Request) -> TruthOrder | None:
        return self.exchange.find(cl_ord_id=request.match_info["name"].removeprefix("@"))

    def _last(self) -> int:
        return 2_000 + len(self.journal)

    def _refusal(self, code: str, text: str, status: int) -> web.Response:
        return self._answer({"errorCode": code, "errorMessage": text}, status)

    def _answer(self, doc: Doc, status: int = 200) -> web.Response:
        body = msgspec.json.encode({"lastTransactionID": str(self._last())} | doc)
        return web.Response(body=body, content_type="application/json", status=status)


def _reason(report: Report) -> str:
    return "CLIENT_ORDER_ID_ALREADY_EXISTS" if "Duplicate" in report.text else "MARKET_HALTED"


def _rows(rungs: tuple[Rung, ...]) -> list[Doc]:
    return [{"price": f"{rung.price:f}", "liquidity": int(rung.size)} for rung in rungs]
