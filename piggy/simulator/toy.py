"""A venue that nobody documented but its mapping file (toy.json): REST only, signed, with words of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from piggy.adapters.signing import mac_matches
from piggy.simulator.exchange import DepthChange, now_us
from piggy.simulator.faults import Fault
from piggy.simulator.quotes import Rung
from piggy.simulator.server import VenueServer
from piggy.simulator.truth import TruthOrder, number_of
from piggy.simulator.venue import BUY, FOK, GTC, IOC

MAPPING = Path(__file__).with_name("toy.json")
_FORCES = {"rest": GTC, "now": IOC, "all": FOK}
Handler = Callable[[web.Request], Awaitable[web.Response]]


class ToyServer(VenueServer):
    """One account at the described venue."""

    kind = "generic"

    def routes(self) -> list[web.RouteDef]:
        """What the mapping asks."""
        handlers: list[tuple[str, str, Handler]] = [
            ("GET", "/toy/markets", self._markets),
            ("GET", "/toy/wallet", self._wallet),
            ("GET", "/toy/book", self._book),
            ("POST", "/toy/orders", self._submit),
            ("GET", "/toy/orders/{number}", self._order),
            ("DELETE", "/toy/orders/{number}", self._cancel),
            ("GET", "/toy/open", self._open),
            ("GET", "/toy/deals", self._deals),
        ]
        return [web.route(method, path, self._proven(handler)) for method, path, handler in handlers]

    async def show_depth(self, change: DepthChange) -> None:
        """There are no streams."""

    async def show_report(self, report: Any) -> None:
        """There are no streams."""

    def _proven(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            text = f"{request.headers.get('X-Time', '')}{request.method}{request.path_qs}{await request.text()}"
            given = request.headers.get("X-Sign", "")
            if request.headers.get("X-Key") != self.key or not mac_matches(secret=self.secret, text=text, given=given):
                return _problem("NOT_YOU", "who are you?", 401)
            if request.method == "POST" and self.faults.take(Fault.THROTTLE):
                refusal = _problem("SLOW_DOWN", "too many requests", 429)
                refusal.headers["Retry-After"] = "1"
                return refusal
            return await handler(request)

        return guarded

    async def _markets(self, request: web.Request) -> web.Response:
        rules = {"step": "0.00001", "least": "0.00001"}
        rows = [
            {"pair": one.symbol, "rules": rules | {"tick": str(Decimal(1).scaleb(-one.digits))}}
            for one in self.exchange.symbols.values()
        ]
        return _data(rows)

    async def _wallet(self, request: web.Request) -> web.Response:
        return _data([{"coin": "USDT", "held": "1000000"}])

    async def _book(self, request: web.Request) -> web.Response:
        book, _ = self.exchange.snapshot(symbol=request.query["pair"])
        return _data({"buyers": _levels(book.bids), "sellers": _levels(book.asks)})

    async def _submit(self, request: web.Request) -> web.Response:
        terms = await request.json()
        reports = self.exchange.place(
            cl_ord_id=terms["tag"],
            symbol=terms["pair"],
            side="1" if terms["way"] == "B" else "2",
            quantity=Decimal(terms["size"]),
            price=Decimal(terms["limit"]),
            force=_FORCES[terms["life"]],
        )
        if reports[0].kind == "rejected":
            code = "TAG_USED" if "Duplicate" in reports[0].text else "NOT_TAKEN"
            return _problem(code, reports[0].text, 422)
        return _data(_doc(reports[0].order))

    async def _order(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        order = self.exchange.find(
            cl_ord_id=request.query.get("tag", ""), order_id="" if number == "by-tag" else number
        )
        if order is None or order.ended == "rejected":
            return _problem("NO_SUCH_ORDER", "never heard of it", 404)
        return _data(_doc(order))

    async def _cancel(self, request: web.Request) -> web.Response:
        order = self.exchange.find(order_id=request.match_info["number"])
        if order is None or order.ended:
            return _problem("TOO_LATE", "it has ended", 409)
        self.exchange.cancel(cl_ord_id=order.cl_ord_id)
        return _data({})

    async def _open(self, request: web.Request) -> web.Response:
        return _data([_doc(order) for order in self.exchange.working() if order.symbol == request.query["pair"]])

    async def _deals(self, request: web.Request) -> web.Response:
        rows = [
            {
                "deal": number_of(fill),
                "no": order.order_id,
                "pair": order.symbol,
                "way": "B" if order.side == BUY else "S",
            }
            | {
                "size": f"{fill.quantity:f}",
                "p": f"{fill.price:f}",
                "at": now_us() // 1_000,
                "cost": "0.1",
                "coin": "USDT",
            }
            for order, fill in self.exchange.fills()
            if order.symbol == request.query["pair"]
        ]
        return _data(rows)


def _doc(order: TruthOrder) -> dict[str, str]:
    ended = {"filled": "complete", "cancelled": "pulled" if order.time_in_force == GTC else "lapsed"}
    state = ended.get(order.ended, "refused") if order.ended else "resting"
    doc = {"no": order.order_id, "tag": order.cl_ord_id, "state": state}
    return doc | {"size": f"{order.quantity:f}", "done": f"{order.filled:f}"}


def _levels(rungs: tuple[Rung, ...]) -> list[dict[str, str]]:
    return [{"p": f"{rung.price:f}", "q": f"{rung.size:f}"} for rung in rungs]


def _data(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode({"data": value}), content_type="application/json")


def _problem(code: str, text: str, status: int) -> web.Response:
    return web.json_response({"problem": {"code": code, "says": text}}, status=status)
