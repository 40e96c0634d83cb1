"""Binance on this machine: spot and USD-M as documented, signatures, filters, weights and sequence numbers included."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from piggy.adapters.signing import mac_matches
from piggy.simulator.binance_wire import USDM_PREFIX, BinanceWire
from piggy.simulator.config import LpConfig, SymbolConfig
from piggy.simulator.exchange import DepthChange, now_us
from piggy.simulator.faults import Fault
from piggy.simulator.server import VenueServer
from piggy.simulator.venue import FOK, GTC, IOC

WEIGHTS = {"depth": 50, "exchangeInfo": 20, "myTrades": 20, "account": 20, "openOrders": 6, "order": 1}
_FORCES = {"GTC": GTC, "IOC": IOC, "FOK": FOK}
_SIDES = {"BUY": "1", "SELL": "2"}
Handler = Callable[[web.Request, dict[str, str]], Awaitable[web.Response]]


class BinanceServer(VenueServer):
    """`usdm` makes it the futures venue; `weight_max` is its limit of request weight a minute."""

    def __init__(
        self, *, symbols: tuple[SymbolConfig, ...], home: Path, usdm: bool = False, weight_max: int = 6_000, **more: Any
    ) -> None:
        self.kind = "binance_usdm" if usdm else "binance"
        self.usdm = usdm
        self._prefix = USDM_PREFIX if usdm else "/api/v3"
        self.weight_max = weight_max
        more.setdefault("config", LpConfig(name=self.kind.upper(), depth=10, quotes_per_s=10))
        super().__init__(symbols=symbols, home=home, **more)
        self.wire = BinanceWire(exchange=self.exchange, usdm=usdm)
        self.listen_keys: set[str] = set()
        self.weight = 0
        self.minute = 0
        self.clock_skew_ms = 0
        self._market: dict[web.WebSocketResponse, set[str]] = {}
        self._users: set[web.WebSocketResponse] = set()
        # Who names the streams on the socket itself is told without their names.
        self._asked: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        """Public, signed and listen-key requests, and both streams."""
        p = self._prefix
        signed: list[tuple[str, str, Handler]] = [
            ("POST", f"{p}/order", self._new_order),
            ("DELETE", f"{p}/order", self._cancel),
            ("PUT", f"{p}/order", self._modify),
            ("PUT", f"{p}/order/amend/keepPriority", self._modify),
            ("GET", f"{p}/order", self._query),
            ("GET", f"{p}/openOrders", self._open_orders),
            ("GET", "/fapi/v1/userTrades" if self.usdm else f"{p}/myTrades", self._trades),
            ("GET", "/fapi/v2/balance" if self.usdm else f"{p}/account", self._balance),
            ("GET", "/fapi/v2/positionRisk", self._positions),
            ("GET", f"{p}/commissionRate" if self.usdm else f"{p}/account/commission", self._fees),
        ]
        streams = (
            [
                web.route("*", "/fapi/v1/listenKey", self._listen_key),
                web.get("/public/stream", self._market_stream),
                web.get("/private/ws/{key}", self._user_stream),
            ]
            if self.usdm
            else [
                web.get("/stream", self._market_stream),
                web.get("/ws/{number}", self._asked_stream),
                web.get("/ws-api/v3", self._signed_stream),
            ]
        )
        return [
            web.get(f"{p}/time", self._time),
            web.get(f"{p}/exchangeInfo", self._info),
            web.get(f"{p}/depth", self._depth),
            *streams,
            *(web.route(method, path, self._signed(handler)) for method, path, handler in signed),
        ]

    async def show_depth(self, change: DepthChange) -> None:
        """A depthUpdate to every subscriber of the symbol."""
        diff = self.wire.diff(change=change)
        name = f"{change.symbol.lower()}@depth@100ms"
        text, bare = msgspec.json.encode({"stream": name, "data": diff}).decode(), msgspec.json.encode(diff).decode()
        for socket, names in list(self._market.items()):
            if name in names:
                await self.send(socket, bare if socket in self._asked else text)

    async def show_report(self, report: Any) -> None:
        """An executionReport or ORDER_TRADE_UPDATE."""
        event: Any = self.wire.event(report=report)
        if event is not None:
            whole = event if self.usdm else {"subscriptionId": 0, "event": event}
            for socket in list(self._users):
                await self.send(socket, msgspec.json.encode(whole).decode())

    async def _time(self, request: web.Request) -> web.Response:
        return self._answer({"serverTime": self._now_ms()}, 1)

    async def _info(self, request: web.Request) -> web.Response:
        return self._answer(self.wire.info(), WEIGHTS["exchangeInfo"])

    async def _depth(self, request: web.Request) -> web.Response:
        symbol = request.query["symbol"]
        book, number = self.exchange.snapshot(symbol=symbol)
        if self.faults.take(Fault.STALE_SNAPSHOT):
            number -= 50
        return self._answer(self.wire.snapshot(book=book, number=number), WEIGHTS["depth"])

    async def _listen_key(self, request: web.Request) -> web.Response:
        if request.headers.get("X-MBX-APIKEY") != self.key:
            return self._refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if request.method == "POST":
            self.listen_keys.add(made := secrets.token_hex(32))
            return self._answer({"listenKey": made}, 2)
        if not self.listen_keys:
            return self._refusal(-1125, "This listenKey does not exist.", 400)
        return self._answer({}, 2)

    async def _market_stream(self, request: web.Request) -> web.WebSocketResponse:
        names = set(request.query.get("streams", "").split("/"))

        async def heard(socket: web.WebSocketResponse, text: str) -> None:
            if not text:
                self._market[socket] = names

        socket = await self.keep_socket(request, heard)
        self._market.pop(socket, None)
        return socket

    async def _asked_stream(self, request: web.Request) -> web.WebSocketResponse:
        async def heard(socket: web.WebSocketResponse, text: str) -> None:
            if text:
                doc = msgspec.json.decode(text)
                names = self._market.setdefault(socket, set())
                self._asked.add(socket)
                (names.update if doc["method"] == "SUBSCRIBE" else names.difference_update)(doc["params"])
                await self.send(socket, msgspec.json.encode({"result": None, "id": doc["id"]}).decode())

        socket = await self.keep_socket(request, heard)
        self._market.pop(socket, None)
        self._asked.discard(socket)
        return socket

    async def _user_stream(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["key"] not in self.listen_keys:
            return web.Response(status=404)

        async def heard(socket: web.WebSocketResponse, text: str) -> None:
            if not text:
                self._users.add(socket)

        socket = await self.keep_socket(request, heard)
        self._users.discard(socket)
        return socket

    async def _signed_stream(self, request: web.Request) -> web.StreamResponse:
        async def heard(socket: web.WebSocketResponse, text: str) -> None:
            if text:
                await self.send(
                    socket, msgspec.json.encode(self._subscribe(socket, msgspec.json.decode(text))).decode()
                )

        socket = await self.keep_socket(request, heard)
        self._users.discard(socket)
        return socket

    def _subscribe(self, socket: web.WebSocketResponse, doc: dict[str, Any]) -> dict[str, Any]:
        params = dict(doc["params"])
        given = params.pop("signature", "")
        text = urlencode(sorted(params.items()))
        late = self._now_ms() - int(params["timestamp"])
        refusal = None
        if doc["method"] != "userDataStream.subscribe.signature":
            refusal = {"code": -1135, "msg": "Invalid method."}
        elif params["apiKey"] != self.key or not mac_matches(secret=self.secret, text=text, given=given):
            refusal = {"code": -1022, "msg": "Signature for this request is not valid."}
        elif not -1_000 <= late <= int(params.get("recvWindow", 5_000)):
            refusal = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
        if refusal:
            return {"id": doc["id"], "status": 400, "error": refusal}
        self._users.add(socket)
        return {"id": doc["id"], "status": 200, "result": {"subscriptionId": 0}, "rateLimits": []}

    def _signed(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            if request.method == "POST" and self.faults.take(Fault.THROTTLE):
                refusal = self._refusal(-1003, "Too much request weight used; please use WebSocket.", 429)
                refusal.headers["Retry-After"] = "1"
                return refusal
            text, _, given = request.query_string.partition("&signature=")
            if request.method == "POST" and request.can_read_body:
                text, _, given = (await request.text()).partition("&signature=")
            query = dict(part.split("=", 1) for part in text.split("&"))
            if request.headers.get("X-MBX-APIKEY") != self.key:
                return self._refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
            if not mac_matches(secret=self.secret, text=text, given=given):
                return self._refusal(-1022, "Signature for this request is not valid.", 400)
            late = self._now_ms() - int(query["timestamp"])
            if self.faults.take(Fault.CLOCK) or late > int(query.get("recvWindow", 5_000)) or late < -1_000:
                return self._refusal(-1021, "Timestamp for this request is outside of the recvWindow.", 400)
            return await handler(request, query)

        return guarded

    async def _new_order(self, request: web.Request, query: dict[str, str]) -> web.Response:
        if refusal := self.wire.filter_refusal(query):
            return self._refusal(-1013, refusal, 400)
        client_id = query.get("newClientOrderId") or secrets.token_hex(11)
        reports = self.exchange.place(
            cl_ord_id=client_id,
            symbol=query["symbol"],
            side=_SIDES[query["side"]],
            quantity=Decimal(query["quantity"]),
            price=Decimal(query["price"]) if "price" in query else None,
            force=_FORCES[query.get("timeInForce", "GTC")],
        )
        if reports[0].kind == "rejected":
            if "Duplicate" in reports[0].text:
                code = -4116 if self.usdm else -2010
                return self._refusal(
                    code, "ClientOrderId is duplicated." if self.usdm else "Duplicate order sent.", 400
                )
            return self._refusal(-2019 if self.usdm else -2010, reports[0].text, 400)
        return self._answer(self.wire.order(order=reports[0].order, fills=not self.usdm), WEIGHTS["order"])

    async def _cancel(self, request: web.Request, query: dict[str, str]) -> web.Response:
        named = self.exchange.find(cl_ord_id=query.get("origClientOrderId", ""), order_id=query.get("orderId", ""))
        reports = self.exchange.cancel(cl_ord_id=named.cl_ord_id if named else "")
        if reports[0].kind == "cancel_rejected":
            return self._refusal(-2011, "Unknown order sent.", 400)
        return self._answer(self.wire.cancelled(order=reports[0].order), 1)

    async def _modify(self, request: web.Request, query: dict[str, str]) -> web.Response:
        order = self.exchange.find(cl_ord_id=query["origClientOrderId"])
        if order is None or order.ended:
            return self._refusal(-2013, "Order does not exist.", 400)
        quantity = Decimal(query.get("quantity") or query["newQty"])
        price = Decimal(query.get("price") or str(order.price))
        reports = self.exchange.replace(cl_ord_id=order.cl_ord_id, quantity=quantity, price=price)
        if reports[0].kind == "cancel_rejected":
            return self._refusal(-2038, "Order amend rejected.", 400)
        return self._answer(self.wire.order(order=order, fills=False), 4)

    async def _query(self, request: web.Request, query: dict[str, str]) -> web.Response:
        order = self.exchange.find(cl_ord_id=query.get("origClientOrderId", ""), order_id=query.get("orderId", ""))
        if order is None:
            return self._refusal(-2013, "Order does not exist.", 400)
        return self._answer(self.wire.order(order=order, fills=False), 4)

    async def _open_orders(self, request: web.Request, query: dict[str, str]) -> web.Response:
        rows = [order for order in self.exchange.working() if order.symbol == query.get("symbol", order.symbol)]
        return self._answer([self.wire.order(order=order, fills=False) for order in rows], WEIGHTS["openOrders"])

    async def _trades(self, request: web.Request, query: dict[str, str]) -> web.Response:
        return self._answer(self.wire.trades(query=query), WEIGHTS["myTrades"])

    async def _balance(self, request: web.Request, query: dict[str, str]) -> web.Response:
        return self._answer(self.wire.balance(), WEIGHTS["account"])

    async def _positions(self, request: web.Request, query: dict[str, str]) -> web.Response:
        return self._answer(self.wire.positions(), 5)

    async def _fees(self, request: web.Request, query: dict[str, str]) -> web.Response:
        return self._answer(self.wire.fees(symbol=query["symbol"]), 20)

    def _answer(self, doc: Any, weight: int) -> web.Response:
        minute = now_us() // 60_000_000
        if minute != self.minute:
            self.minute, self.weight = minute, 0
        self.weight += weight
        headers = {"X-MBX-USED-WEIGHT-1M": str(self.weight)}
        if self.weight > self.weight_max:
            return web.json_response(
                {"code": -1003, "msg": "Too much request weight used."},
                status=429,
                headers=headers | {"Retry-After": "1"},
            )
        return web.Response(body=msgspec.json.encode(doc), content_type="application/json", headers=headers)

    def _refusal(self, code: int, text: str, status: int) -> web.Response:
        return web.json_response({"code": code, "msg": text}, status=status)

    def _now_ms(self) -> int:
        return now_us() // 1_000 + self.clock_skew_ms
