"""What we ask a described venue: its templates filled in and signed. Nothing here sends."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from piggy.adapters.ccxt.outbound import client_id
from piggy.adapters.generic import inbound
from piggy.adapters.generic.config import mapping_of
from piggy.adapters.interface import Request, Response, Symbol, UnableToTranslate, VenueConfig
from piggy.adapters.signing import mac
from piggy.adapters.terms import check_notional, price_of, units_of
from piggy.core.events import ChildOrderCreated


class Asker:
    """Builds the requests of one account; `now_us` is when the conversation began."""

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self.mapping = mapping_of(config=config)
        self.now_us = self.offset_us = 0

    def read(self, *, response: Response, asked: str) -> Response:
        """Return the answer to the request of that name in the words that the session understands."""
        return inbound.unified(response=response, asked=asked, mapping=self.mapping)

    def markets(self) -> Request:
        """Terms of every symbol."""
        return self._request("markets")

    def balance(self) -> Request:
        """Every currency held."""
        return self._request("balance")

    def new_order(self, *, child: ChildOrderCreated, terms: Symbol | None) -> Request:
        """A limit order. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=child.symbol)
        units = units_of(lots=child.quantity, mapping=mapping, terms=terms)
        price = price_of(price=child.limit_price, side=child.side, terms=terms)
        check_notional(units=units, price=price, terms=terms)
        force = self.mapping.words["force"].get(child.time_in_force)
        if force is None:
            raise UnableToTranslate(f"{self.config.venue} has no word for {child.time_in_force}.")
        return self._request(
            "submit",
            places_order=True,
            symbol=mapping.venue_symbol,
            side=self.mapping.words["side"][child.side.value],
            units=units,
            price=price,
            force=force,
            client_id=client_id(cl_ord_id=child.cl_ord_id),
        )

    def cancel(self, *, name: str, number: str) -> Request:
        """End an order by the venue's id."""
        return self._request("cancel", symbol=name, number=number)

    def order_by_client_id(self, *, name: str, client_id: str) -> Request:
        """One order by our id."""
        return self._request("order_by_client_id", symbol=name, client_id=client_id)

    def order(self, *, name: str, number: str) -> Request:
        """One order by the venue's id."""
        return self._request("order", symbol=name, number=number)

    def open_orders(self, *, name: str) -> Request:
        """What works in one symbol."""
        return self._request("open_orders", symbol=name)

    def closed_orders(self, *, name: str) -> Request:
        """Described venues are asked by our id, so their lists of ended orders are not."""
        return self.open_orders(name=name)

    def book(self, *, name: str) -> Request:
        """The best levels of one symbol."""
        return self._request("book", symbol=name)

    def trades(self, *, name: str, since_us: int) -> Request:
        """Our fills in one symbol since an instant."""
        return self._request("trades", symbol=name, since_ms=str(since_us // 1_000))

    def streams(self) -> None:
        """Everything is asked for."""

    def clock(self) -> Request | None:
        """The venue's time, where the mapping says how to ask."""
        return self._request("time") if "time" in self.mapping.asks else None

    def positions(self) -> Request | None:
        """What is held, where the mapping says how to ask."""
        return self._request("positions") if "positions" in self.mapping.asks else None

    def _request(self, name: str, *, places_order: bool = False, **values: str) -> Request:
        ask = self.mapping.asks[name]
        values |= {"timestamp_ms": str((self.now_us + self.offset_us) // 1_000), "key": self.config.key}
        query = {field: text.format_map(values) for field, text in ask.query.items()}
        path = ask.path.format_map(values) + (f"?{urlencode(query)}" if query else "")
        fields = {field: text.format_map(values) for field, text in ask.body.items()}
        body = msgspec.json.encode(fields).decode() if fields else ""
        headers = {field: text.format_map(values) for field, text in self.mapping.headers.items()}
        headers |= {"Content-Type": "application/json"} if body else {}
        if (rule := self.mapping.signature) is not None:
            text = rule.text.format_map(values | {"method": ask.method, "path": path, "body": body})
            headers[rule.header] = mac(secret=self.config.secret, text=text, digest=rule.digest, form=rule.form)
        return Request(
            method=ask.method,
            url=self.config.rest_url.rstrip("/") + path,
            headers=headers,
            body=body,
            label=name,
            places_order=places_order,
        )
