"""What we ask Alpaca. Orders are named by our client id; cancels need the venue's."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from piggy.adapters.alpaca.config import FILLS_A_PAGE, REST_URL
from piggy.adapters.answers import stamp
from piggy.adapters.interface import Request, Symbol, VenueConfig
from piggy.adapters.terms import price_of, units_of
from piggy.core.events import ChildOrderCreated

_TIMES_IN_FORCE = {"gtc": "gtc", "ioc": "ioc", "fok": "fok", "day": "day", "gtd": "gtc"}


class Asker:
    """Builds the requests of one account."""

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self._base = f"{(config.rest_url or REST_URL).rstrip('/')}/v2"

    def account(self) -> Request:
        """Cash and buying power."""
        return self._ask("GET", "/account")

    def asset(self, *, name: str) -> Request:
        """Terms of one symbol."""
        return self._ask("GET", f"/assets/{quote(name, safe='')}")

    def positions(self) -> Request:
        """Open positions."""
        return self._ask("GET", "/positions")

    def open_orders(self) -> Request:
        """Orders that work."""
        return self._ask("GET", "/orders?status=open&limit=500")

    def order(self, *, client_id: str) -> Request:
        """One order by our id."""
        return self._ask("GET", f"/orders:by_client_order_id?{urlencode({'client_order_id': client_id})}")

    def order_by_number(self, *, number: str) -> Request:
        """One order by the venue's id, to learn ours."""
        return self._ask("GET", f"/orders/{number}")

    def fills(self, *, since_us: int, page: str = "") -> Request:
        """A page of fills since an instant, oldest first."""
        query = {"after": stamp(since_us), "direction": "asc", "page_size": str(FILLS_A_PAGE)}
        query |= {"page_token": page} if page else {}
        return self._ask("GET", f"/account/activities/FILL?{urlencode(query)}")

    def new_order(self, *, child: ChildOrderCreated, terms: Symbol | None) -> Request:
        """A limit order. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=child.symbol)
        doc = {
            "symbol": mapping.venue_symbol,
            "qty": units_of(lots=child.quantity, mapping=mapping, terms=terms),
            "side": child.side.value,
            "type": "limit",
            "time_in_force": _TIMES_IN_FORCE[child.time_in_force],
            "limit_price": price_of(price=child.limit_price, side=child.side, terms=terms),
            "client_order_id": child.cl_ord_id,
        }
        return self._ask("POST", "/orders", doc, places_order=True)

    def cancel(self, *, number: str) -> Request:
        """End an order by the venue's id."""
        return self._ask("DELETE", f"/orders/{number}")

    def trade_hello(self) -> tuple[str, ...]:
        """What the stream of trade updates is greeted with."""
        auth = {"action": "auth", "key": self.config.key, "secret": self.config.secret}
        listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
        return _texts(auth, listen)

    def data_hello(self) -> tuple[str, ...]:
        """What the stream of quotes is greeted with."""
        auth = {"action": "auth", "key": self.config.key, "secret": self.config.secret}
        return _texts(auth, {"action": "subscribe", "quotes": sorted(self.config.from_venue)})

    def _ask(self, method: str, path: str, doc: dict[str, Any] | None = None, *, places_order: bool = False) -> Request:
        return Request(
            method=method,
            url=self._base + path,
            headers={"APCA-API-KEY-ID": self.config.key, "APCA-API-SECRET-KEY": self.config.secret}
            | ({"Content-Type": "application/json"} if doc else {}),
            body=msgspec.json.encode(doc).decode() if doc else "",
            label=f"{method} {path.partition('?')[0]}",
            places_order=places_order,
        )


def _texts(*docs: dict[str, Any]) -> tuple[str, ...]:
    return tuple(msgspec.json.encode(doc).decode() for doc in docs)
