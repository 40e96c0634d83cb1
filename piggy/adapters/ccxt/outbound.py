"""What we ask ccxt: the name of one of its unified methods and its arguments. Nothing here calls."""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from typing import Any, Protocol

import msgspec

from piggy.adapters.ccxt.config import BOOK_LEVELS, CLIENT_ID_MAX, TRADES_MAX
from piggy.adapters.interface import Request, Response, Symbol, VenueConfig
from piggy.adapters.terms import check_notional, price_of, units_of
from piggy.core.events import ChildOrderCreated

_CLIENT_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{CLIENT_ID_MAX}}}\Z")
_TIMES_IN_FORCE = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "day": "GTC", "gtd": "GTC"}


def client_id(*, cl_ord_id: str) -> str:
    """Return the id itself where most exchanges take it, else one that follows from it."""
    if _CLIENT_ID.match(cl_ord_id):
        return cl_ord_id
    return "pb" + b32encode(hashlib.sha256(cl_ord_id.encode()).digest()[:18]).decode().lower()[:28]


def call(name: str, *arguments: Any, places_order: bool = False) -> Request:
    """Return a call of one unified method."""
    body = msgspec.json.encode(arguments).decode()
    return Request(method="CALL", url=name, body=body, label=name, places_order=places_order)


class PolledAsks(Protocol):
    """What a polled venue can be asked, and how its answers come into unified words."""

    now_us: int
    offset_us: int

    def read(self, *, response: Response, asked: str) -> Response: ...

    def clock(self) -> Request | None: ...

    def markets(self) -> Request: ...

    def balance(self) -> Request: ...

    def new_order(self, *, child: ChildOrderCreated, terms: Symbol | None) -> Request: ...

    def cancel(self, *, name: str, number: str) -> Request: ...

    def order_by_client_id(self, *, name: str, client_id: str) -> Request: ...

    def order(self, *, name: str, number: str) -> Request: ...

    def open_orders(self, *, name: str) -> Request: ...

    def closed_orders(self, *, name: str) -> Request: ...

    def book(self, *, name: str) -> Request: ...

    def trades(self, *, name: str, since_us: int) -> Request: ...

    def positions(self) -> Request | None: ...

    def streams(self) -> Request | None: ...


class Asker:
    """Names the calls of one account; `now_us` is when the conversation began."""

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self.now_us = self.offset_us = 0

    def clock(self) -> Request | None:
        """ccxt agrees on clocks by itself."""

    def read(self, *, response: Response, asked: str) -> Response:
        """Return an answer in ccxt's unified words, as it is already."""
        return response

    def markets(self) -> Request:
        """Terms of every symbol."""
        return call("markets")

    def balance(self) -> Request:
        """Every currency held."""
        return call("fetch_balance")

    def new_order(self, *, child: ChildOrderCreated, terms: Symbol | None) -> Request:
        """A limit order. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=child.symbol)
        units = units_of(lots=child.quantity, mapping=mapping, terms=terms)
        price = price_of(price=child.limit_price, side=child.side, terms=terms)
        check_notional(units=units, price=price, terms=terms)
        more = {
            "clientOrderId": client_id(cl_ord_id=child.cl_ord_id),
            "timeInForce": _TIMES_IN_FORCE[child.time_in_force],
        }
        name = mapping.venue_symbol
        return call("create_order", name, "limit", child.side.value, units, price, more, places_order=True)

    def cancel(self, *, name: str, number: str) -> Request:
        """End an order by the exchange's id."""
        return call("cancel_order", number, name)

    def order_by_client_id(self, *, name: str, client_id: str) -> Request:
        """One order by our id."""
        return call("fetch_order", "", name, {"clientOrderId": client_id})

    def order(self, *, name: str, number: str) -> Request:
        """One order by the exchange's id."""
        return call("fetch_order", number, name)

    def open_orders(self, *, name: str) -> Request:
        """What works in one symbol."""
        return call("fetch_open_orders", name)

    def closed_orders(self, *, name: str) -> Request:
        """What ended in one symbol, as far back as the exchange tells."""
        return call("fetch_closed_orders", name)

    def book(self, *, name: str) -> Request:
        """The best levels of one symbol."""
        return call("fetch_order_book", name, BOOK_LEVELS)

    def trades(self, *, name: str, since_us: int) -> Request:
        """Our fills in one symbol since an instant, oldest first."""
        return call("fetch_my_trades", name, since_us // 1_000, TRADES_MAX)

    def positions(self) -> Request:
        """What is held in contracts; nothing where the exchange has only balances."""
        return call("positions", sorted(self.config.from_venue))

    def streams(self) -> Request | None:
        """What the exchange streams, unless the account is to be polled only."""
        return call("streams") if self.config.settings.get("streams", "auto") == "auto" else None
