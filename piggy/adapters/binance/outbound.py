"""What we ask Binance: requests with the signature over exactly the query that leaves. Nothing here sends."""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from decimal import Decimal
from urllib.parse import urlencode

import msgspec

from piggy.adapters.binance.config import (
    CLIENT_ID_MAX,
    FLAVOURS,
    RECV_WINDOW_MS,
    SNAPSHOT_LEVELS,
    SUBSCRIBE,
    SUBSCRIBED_ID,
    TRADES_MAX,
    Flavour,
)
from piggy.adapters.interface import Order, Request, Symbol, UnableToTranslate, VenueConfig
from piggy.adapters.signing import mac
from piggy.adapters.terms import check_notional, price_of, units_of
from piggy.core.events import ChildOrderCreated

_CLIENT_ID = re.compile(rf"[.A-Z:/a-z0-9_-]{{1,{CLIENT_ID_MAX}}}\Z")
_TIMES_IN_FORCE = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "day": "GTC", "gtd": "GTC"}


def client_id(*, cl_ord_id: str) -> str:
    """Return the id itself where Binance takes it, else one that follows from it."""
    if _CLIENT_ID.match(cl_ord_id):
        return cl_ord_id
    return "pb-" + b32encode(hashlib.sha256(cl_ord_id.encode()).digest()[:20]).decode().lower()


class Asker:
    """Builds the requests of one account; `offset_ms` is what to add to our clock to get the venue's."""

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self.flavour: Flavour = FLAVOURS[config.kind]
        self.offset_ms = 0
        self.base = (config.rest_url or self.flavour.rest_url).rstrip("/")

    def server_time(self) -> Request:
        """The venue's clock."""
        return self._plain("/time", {}, 1, "time")

    def symbols(self) -> Request:
        """Terms of the mapped symbols; futures give all, always."""
        names = sorted(self.config.from_venue)
        query = {} if self.flavour.chained else {"symbols": "[" + ",".join(f'"{name}"' for name in names) + "]"}
        return self._plain("/exchangeInfo", query, self.flavour.w_info, "exchangeInfo")

    def snapshot(self, *, venue_symbol: str) -> Request:
        """The whole book of one symbol."""
        query = {"symbol": venue_symbol, "limit": str(SNAPSHOT_LEVELS)}
        return self._plain("/depth", query, self.flavour.w_depth, "depth")

    def listen_key(self, *, method: str) -> Request:
        """Make (POST) or keep alive (PUT) the ticket of futures' user stream; an account has one."""
        return Request(
            method=method,
            url=f"{self.base}{self.flavour.listen_key_path}",
            headers=self._headers(),
            weight=self.flavour.w_listen_key,
            label="listenKey",
        )

    def subscription(self, *, now_us: int) -> str:
        """What spot's user stream is greeted with; parameters are signed in the order of their names."""
        params = {
            "apiKey": self.config.key,
            "recvWindow": str(RECV_WINDOW_MS),
            "timestamp": str(now_us // 1_000 + self.offset_ms),
        }
        params["signature"] = mac(secret=self.config.secret, text=urlencode(params))
        doc = {"id": SUBSCRIBED_ID, "method": SUBSCRIBE, "params": params}
        return msgspec.json.encode(doc).decode()

    def new_order(self, *, child: ChildOrderCreated, now_us: int, terms: Symbol | None) -> Request:
        """A limit order. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=child.symbol)
        units = units_of(lots=child.quantity, mapping=mapping, terms=terms)
        price = price_of(price=child.limit_price, side=child.side, terms=terms)
        check_notional(units=units, price=price, terms=terms)
        query = {
            "symbol": mapping.venue_symbol,
            "side": child.side.upper(),
            "type": "LIMIT",
            "timeInForce": _TIMES_IN_FORCE[child.time_in_force],
            "quantity": units,
            "price": price,
            "newClientOrderId": client_id(cl_ord_id=child.cl_ord_id),
            "newOrderRespType": "RESULT" if self.flavour.chained else "FULL",
        }
        return self.signed("POST", "/order", query, now_us, self.flavour.w_order, places_order=True)

    def cancel(self, *, order: Order, now_us: int) -> Request:
        """End an order, by our id."""
        return self.signed("DELETE", "/order", self._named(order), now_us, self.flavour.w_order)

    def replace(
        self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int, terms: Symbol | None
    ) -> Request:
        """Change an order in place. Raises UnableToTranslate: spot can only make it smaller."""
        units = units_of(lots=quantity, mapping=self.config.mapping_of(symbol=order.symbol), terms=terms)
        query = self._named(order)
        if self.flavour.chained:
            price = price_of(price=limit_price, side=order.side, terms=terms)
            query |= {"side": order.side.upper(), "quantity": units, "price": price}
            return self.signed("PUT", "/order", query, now_us, self.flavour.w_order)
        if limit_price != order.limit_price or quantity >= order.quantity:
            raise UnableToTranslate("Binance spot can only make an order smaller in place.")
        query |= {"newClientOrderId": order.client_id, "newQty": units}
        return self.signed("PUT", "/order/amend/keepPriority", query, now_us, self.flavour.w_query)

    def status(self, *, order: Order, now_us: int) -> Request:
        """What became of an order, by our id."""
        return self.signed("GET", "/order", self._named(order), now_us, self.flavour.w_query)

    def order_by_number(self, *, venue_symbol: str, number: str, now_us: int) -> Request:
        """An order by the venue's id, to learn ours."""
        query = {"symbol": venue_symbol, "orderId": number}
        return self.signed("GET", "/order", query, now_us, self.flavour.w_query)

    def open_orders(self, *, venue_symbol: str, now_us: int) -> Request:
        """Everything that works in one symbol."""
        return self.signed("GET", "/openOrders", {"symbol": venue_symbol}, now_us, self.flavour.w_open_orders)

    def trades(
        self, *, venue_symbol: str, now_us: int, since_us: int = 0, number: str = "", from_id: int = 0
    ) -> Request:
        """Fills of one order (`number`), or of one symbol since an instant or from one fill on."""
        query = {"symbol": venue_symbol, "limit": str(TRADES_MAX)}
        if number:
            query["orderId"] = number
        else:
            query |= {"fromId": str(from_id)} if from_id else {"startTime": str(since_us // 1_000 + self.offset_ms)}
        return self.signed("GET", self.flavour.trades_path, query, now_us, self.flavour.w_trades)

    def balances(self, *, now_us: int) -> Request:
        """What the venue holds for us."""
        return self.signed("GET", self.flavour.balance_path, {}, now_us, self.flavour.w_balance)

    def positions(self, *, now_us: int) -> Request:
        """Open positions; futures only."""
        return self.signed("GET", self.flavour.positions_path, {}, now_us, self.flavour.w_balance)

    def fees(self, *, venue_symbol: str, now_us: int) -> Request:
        """Our maker and taker rates in one symbol."""
        path = "/commissionRate" if self.flavour.chained else "/account/commission"
        return self.signed("GET", path, {"symbol": venue_symbol}, now_us, 20)

    def signed(
        self, method: str, path: str, query: dict[str, str], now_us: int, weight: int, *, places_order: bool = False
    ) -> Request:
        """A request with timestamp, window and signature."""
        stamped = query | {"recvWindow": str(RECV_WINDOW_MS), "timestamp": str(now_us // 1_000 + self.offset_ms)}
        text = urlencode(stamped)
        whole = path if path.startswith(("/api", "/fapi")) else self.flavour.prefix + path
        return Request(
            method=method,
            url=f"{self.base}{whole}?{text}&signature={mac(secret=self.config.secret, text=text)}",
            headers=self._headers(),
            weight=weight,
            label=f"{method} {path}",
            places_order=places_order,
        )

    def _plain(self, path: str, query: dict[str, str], weight: int, label: str) -> Request:
        text = f"?{urlencode(query)}" if query else ""
        return Request(method="GET", url=f"{self.base}{self.flavour.prefix}{path}{text}", weight=weight, label=label)

    def _headers(self) -> dict[str, str]:
        return {"X-MBX-APIKEY": self.config.key}

    def _named(self, order: Order) -> dict[str, str]:
        mapping = self.config.mapping_of(symbol=order.symbol)
        return {"symbol": mapping.venue_symbol, "origClientOrderId": order.client_id}
