"""What we ask OANDA. Units are signed, sell below zero; orders are named by our client id (`@id`)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from piggy.adapters.answers import stamp
from piggy.adapters.interface import Order, Request, Symbol, VenueConfig
from piggy.adapters.oanda.config import REST_URL
from piggy.adapters.terms import price_of, units_of
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side


class Asker:
    """Builds the requests of one account."""

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self._base = f"{(config.rest_url or REST_URL).rstrip('/')}/v3/accounts/{config.account}"

    @property
    def headers(self) -> dict[str, str]:
        """What proves who asks; times come as RFC 3339."""
        return {"Authorization": f"Bearer {self.config.secret}", "Accept-Datetime-Format": "RFC3339"}

    def instruments(self) -> Request:
        """Terms of the mapped instruments."""
        return self._get(f"/instruments?{urlencode({'instruments': ','.join(sorted(self.config.from_venue))})}")

    def summary(self) -> Request:
        """Balance, margin and the last transaction."""
        return self._get("/summary")

    def positions(self) -> Request:
        """Positions that are open."""
        return self._get("/openPositions")

    def pending(self) -> Request:
        """Orders that work."""
        return self._get("/pendingOrders")

    def order(self, *, client_id: str) -> Request:
        """One order, whatever became of it."""
        return self._get(f"/orders/@{quote(client_id)}")

    def order_by_number(self, *, number: str) -> Request:
        """One order by the venue's number."""
        return self._get(f"/orders/{quote(number)}")

    def since(self, *, transaction_id: str) -> Request:
        """Every transaction after one."""
        return self._get(f"/transactions/sinceid?id={transaction_id}")

    def pages(self, *, since_us: int) -> Request:
        """The addresses of pages that hold every fill since an instant."""
        return self._get(f"/transactions?{urlencode({'from': stamp(since_us), 'type': 'ORDER_FILL'})}")

    def page(self, *, url: str) -> Request:
        """One of those pages; only its query counts, it is asked where everything else is."""
        return self._get(f"/transactions/idrange?{url.partition('?')[2]}")

    def new_order(self, *, child: ChildOrderCreated, terms: Symbol | None) -> Request:
        """A limit order, or a market order with a bound where it may not rest. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=child.symbol)
        units = units_of(lots=child.quantity, mapping=mapping, terms=terms)
        price = price_of(price=child.limit_price, side=child.side, terms=terms)
        order: dict[str, Any] = {
            "instrument": mapping.venue_symbol,
            "units": units if child.side is Side.BUY else f"-{units}",
            "positionFill": "DEFAULT",
            "clientExtensions": {"id": child.cl_ord_id},
        }
        if child.time_in_force in ("ioc", "fok"):
            order |= {"type": "MARKET", "timeInForce": child.time_in_force.upper(), "priceBound": price}
        else:
            order |= {"type": "LIMIT", "timeInForce": "GTC", "price": price}
        return self._send("POST", "/orders", {"order": order}, places_order=True)

    def cancel(self, *, order: Order) -> Request:
        """End an order."""
        return self._send("PUT", f"/orders/@{quote(order.client_id)}/cancel", {})

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, terms: Symbol | None) -> Request:
        """Put another order in an order's place; it keeps our id. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=order.symbol)
        units = units_of(lots=quantity - order.filled, mapping=mapping, terms=terms)
        doc = {
            "type": "LIMIT",
            "instrument": mapping.venue_symbol,
            "units": units if order.side is Side.BUY else f"-{units}",
            "price": price_of(price=limit_price, side=order.side, terms=terms),
            "timeInForce": "GTC",
            "clientExtensions": {"id": order.client_id},
        }
        return self._send("PUT", f"/orders/@{quote(order.client_id)}", {"order": doc})

    def _get(self, path: str) -> Request:
        return Request(method="GET", url=self._base + path, headers=self.headers, label=path.partition("?")[0])

    def _send(self, method: str, path: str, doc: dict[str, Any], *, places_order: bool = False) -> Request:
        return Request(
            method=method,
            url=self._base + path,
            headers=self.headers | {"Content-Type": "application/json"},
            body=msgspec.json.encode(doc).decode() if doc else "",
            label=path,
            places_order=places_order,
        )
