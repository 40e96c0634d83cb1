"""Alpaca on this machine: REST, the stream of trade updates (in binary frames, as its paper one) and quotes."""

from __future__ import annotations

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
from piggy.simulator.server import VenueServer
from piggy.simulator.truth import TruthFill, TruthOrder
from piggy.simulator.venue import BUY, FOK, GTC, IOC, Report

ROUND_LOT = 100
_FORCES = {"gtc": GTC, "ioc": IOC, "fok": FOK, "day": GTC}
_EVENTS = {"new": "new", "trade": "fill", "cancelled": "canceled", "busted": "trade_bust", "corrected": "trade_correct"}
Doc = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.Response]]


class AlpacaServer(VenueServer):
    """One account."""

    kind = "alpaca"

    def __init__(self, *, symbols: tuple[SymbolConfig, ...], home: Path, **more: Any) -> None:
        super().__init__(symbols=symbols, home=home, **more)
        self._traders: set[web.WebSocketResponse] = set()
        self._watchers: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        """REST and both streams."""
        handlers: list[tuple[str, str, Handler]] = [
            ("GET", "/v2/account", self._account),
            ("GET", "/v2/assets/{name}", self._asset),
            ("GET", "/v2/positions", self._positions),
            ("GET", "/v2/orders", self._open_orders),
            ("GET", "/v2/orders:by_client_order_id", self._order),
            ("GET", "/v2/orders/{number}", self._order),
            ("POST", "/v2/orders", self._new_order),
            ("DELETE", "/v2/orders/{number}", self._cancel),
            ("GET", "/v2/account/activities/FILL", self._activities),
        ]
        return [
            web.get("/stream", self._trade_stream),
            web.get("/v2/iex", self._quote_stream),
            *(web.route(method, path, self._let_in(handler)) for method, path, handler in handlers),
        ]

    async def show_depth(self, change: DepthChange) -> None:
        """A quote: the best of both sides."""
        for socket in list(self._watchers):
            await self.send(socket, self._quote(change.symbol))

    def noted(self, report: Report) -> Doc | None:
        """Return a report as an update, with the order as it was then."""
        event = _EVENTS.get(report.kind)
        if event is None:
            return None
        order = self._doc(report.order) | {"filled_qty": _text(report.filled)}
        update: Doc = {"event": event, "timestamp": stamp(now_us()), "order": order}
        if report.fill is not None:
            update |= {"price": _text(report.fill.price), "qty": _text(report.fill.quantity)}
            update |= {"execution_id": report.fill.exec_id, "position_qty": "0"}
            if report.ref_exec_id:
                update["previous_execution_id"] = report.ref_exec_id
            else:
                update["event"] = "fill" if report.filled == report.order.quantity else "partial_fill"
        elif event == "canceled" and report.order.time_in_force != GTC:
            update["event"] = "expired"
        return update

    async def show_report(self, report: Any) -> None:
        """An update to every trader, in a binary frame."""
        if report is None:
            return
        for socket in list(self._traders):
            await self._send_binary(socket, {"stream": "trade_updates", "data": report})

    async def _send_binary(self, socket: web.WebSocketResponse, doc: Doc) -> None:
        try:
            await socket.send_bytes(msgspec.json.encode(doc))
        except (ConnectionError, RuntimeError):
            self._traders.discard(socket)

    def _let_in(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            given = (request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY"))
            if given != (self.key, self.secret):
                return _refusal(40110000, "request is not authorized", 401)
            if request.method == "POST" and self.faults.take(Fault.THROTTLE):
                refusal = _refusal(42910000, "rate limit exceeded", 429)
                refusal.headers["Retry-After"] = "1"
                return refusal
            return await handler(request)

        return guarded

    async def _trade_stream(self, request: web.Request) -> web.StreamResponse:
        async def heard(socket: web.WebSocketResponse, text: str) -> None:
            doc = msgspec.json.decode(text) if text else {}
            if doc.get("action") == "auth":
                right = (doc["key"], doc["secret"]) == (self.key, self.secret)
                status = "authorized" if right else "unauthorized"
                await self._send_binary(
                    socket, {"stream": "authorization", "data": {"status": status, "action": "authenticate"}}
                )
            elif doc.get("action") == "listen":
                self._traders.add(socket)
                await self._send_binary(socket, {"stream": "listening", "data": doc["data"]})

        socket = await self.keep_socket(request, heard)
        self._traders.discard(socket)
        return socket

    async def _quote_stream(self, request: web.Request) -> web.StreamResponse:
        async def heard(socket: web.WebSocketResponse, text: str) -> None:
            doc = msgspec.json.decode(text) if text else {}
            if not text:
                await self.send(socket, '[{"T":"success","msg":"connected"}]')
            elif doc.get("action") == "auth":
                right = (doc["key"], doc["secret"]) == (self.key, self.secret)
                answer = (
                    '{"T":"success","msg":"authenticated"}' if right else '{"T":"error","code":402,"msg":"auth failed"}'
                )
                await self.send(socket, f"[{answer}]")
            elif doc.get("action") == "subscribe":
                rows = [{"T": "subscription", "trades": [], "quotes": doc["quotes"], "bars": []}]
                await self.send(socket, msgspec.json.encode(rows).decode())
                self._watchers.add(socket)
                for symbol in doc["quotes"]:
                    await self.send(socket, self._quote(symbol))

        socket = await self.keep_socket(request, heard)
        self._watchers.discard(socket)
        return socket

    async def _account(self, request: web.Request) -> web.Response:
        return _answer({"currency": "USD", "cash": "1000000", "buying_power": "2000000", "status": "ACTIVE"})

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.exchange.symbols:
            return _refusal(40410000, f"asset not found for {name}", 404)
        doc = {"id": name, "class": "us_equity", "symbol": name, "status": "active", "tradable": True}
        return _answer(doc | {"fractionable": True, "shortable": True})

    async def _positions(self, request: web.Request) -> web.Response:
        held = {name: self.exchange.position(symbol=name) for name in self.exchange.symbols}
        rows = [
            {"symbol": name, "qty": _text(units), "side": "long" if units > 0 else "short", "avg_entry_price": "1"}
            for name, units in held.items()
            if units
        ]
        return _answer(rows)

    async def _open_orders(self, request: web.Request) -> web.Response:
        return _answer([self._doc(order) for order in self.exchange.working()])

    async def _order(self, request: web.Request) -> web.Response:
        order = self.exchange.find(
            cl_ord_id=request.query.get("client_order_id", ""), order_id=request.match_info.get("number", "")
        )
        if order is None or order.ended == "rejected":
            return _refusal(40410000, "order not found", 404)
        return _answer(self._doc(order))

    async def _new_order(self, request: web.Request) -> web.Response:
        terms = await request.json()
        reports = self.exchange.place(
            cl_ord_id=terms["client_order_id"],
            symbol=terms["symbol"],
            side="1" if terms["side"] == "buy" else "2",
            quantity=Decimal(terms["qty"]),
            price=Decimal(terms["limit_price"]),
            force=_FORCES[terms["time_in_force"]],
        )
        if reports[0].kind == "rejected":
            if "Duplicate" in reports[0].text:
                return _refusal(40010001, "client_order_id must be unique", 422)
            return _refusal(40310000, reports[0].text, 403)
        return _answer(self._doc(reports[0].order) | {"status": "accepted", "filled_qty": "0"})

    async def _cancel(self, request: web.Request) -> web.Response:
        order = self.exchange.find(order_id=request.match_info["number"])
        if order is None:
            return _refusal(40410000, "order not found", 404)
        if order.ended:
            return _refusal(42210000, f'order is already in "{_status(order)}" state', 422)
        self.exchange.cancel(cl_ord_id=order.cl_ord_id)
        return web.Response(status=204)

    async def _activities(self, request: web.Request) -> web.Response:
        rows, filled = [], dict[str, Decimal]()
        for order, fill in self.exchange.fills():
            filled[order.order_id] = filled.get(order.order_id, Decimal(0)) + fill.quantity
            rows.append(_activity(order, fill, filled[order.order_id]))
        ids = [row["id"] for row in rows]
        first = ids.index(request.query["page_token"]) + 1 if "page_token" in request.query else 0
        return _answer(rows[first : first + int(request.query["page_size"])])

    def _quote(self, symbol: str) -> str:
        book, _ = self.exchange.snapshot(symbol=symbol)
        bid, ask = book.bids[0], book.asks[0]
        # The venue writes prices as JSON numbers, so they are put in as they are and not through a float.
        return (
            f'[{{"T":"q","S":"{symbol}","bx":"V","bp":{bid.price:f},"bs":{int(bid.size) // ROUND_LOT},"ax":"V",'
            f'"ap":{ask.price:f},"as":{int(ask.size) // ROUND_LOT},"c":["R"],"z":"C","t":"{stamp(book.at_us)}"}}]'
        )

    def _doc(self, order: TruthOrder) -> Doc:
        doc: Doc = {"id": order.order_id, "client_order_id": order.cl_ord_id, "symbol": order.symbol, "type": "limit"}
        doc |= {"qty": _text(order.quantity), "side": "buy" if order.side == BUY else "sell", "status": _status(order)}
        doc |= {"filled_qty": _text(order.filled), "filled_avg_price": _text(order.average)}
        return doc | {"limit_price": _text(order.price or Decimal(0)), "updated_at": stamp(now_us())}


def _activity(order: TruthOrder, fill: TruthFill, cumulative: Decimal) -> Doc:
    doc: Doc = {"id": f"20260101000000000::{fill.exec_id}", "activity_type": "FILL", "order_id": order.order_id}
    doc |= {"symbol": order.symbol, "side": "buy" if order.side == BUY else "sell", "price": _text(fill.price)}
    doc |= {"qty": _text(fill.quantity), "cum_qty": _text(cumulative), "leaves_qty": "0"}
    return doc | {"type": "fill", "transaction_time": stamp(now_us())}


def _status(order: TruthOrder) -> str:
    if order.ended == "cancelled":
        return "canceled" if order.time_in_force == GTC else "expired"
    return order.ended or ("partially_filled" if order.fills else "new")


def _answer(doc: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(doc), content_type="application/json")


def _refusal(code: int, text: str, status: int) -> web.Response:
    return web.json_response({"code": code, "message": text}, status=status)


def _text(number: Decimal) -> str:
    return f"{number:f}"
