"""What we ask a bridge agent: the name of a question and its arguments, as the protocol page says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from piggy.adapters.ccxt.outbound import client_id as short_id
from piggy.adapters.interface import Request, Response, Symbol, VenueConfig
from piggy.adapters.mt5 import inbound
from piggy.adapters.mt5.config import COMMENT_MAX, RETCODES, Meaning
from piggy.adapters.terms import price_of, units_of
from piggy.core.events import ChildOrderCreated

# A broker may take a deal back by changing its type, under its old time; so the last day is always asked for, and with
# it the hour that a clock shows twice. What was heard before counts once.
LOOK_BACK_S = 86_400


def client_id(*, cl_ord_id: str) -> str:
    """Return an id that fits an order's comment."""
    return short_id(cl_ord_id=cl_ord_id if len(cl_ord_id) <= COMMENT_MAX else f"#{cl_ord_id}")


class Asker:
    """Names the questions of one account; `now_us` is when the conversation began, `codes` the terminal's own."""

    def __init__(self, *, config: VenueConfig, codes: Mapping[int, Meaning] = RETCODES) -> None:
        self.config = config
        self._codes = codes
        self.now_us = self.offset_us = 0

    def clock(self) -> None:
        """An agent asks nothing that its terminal would have to sign."""

    def read(self, *, response: Response, asked: str) -> Response:
        """Return an answer in the words that the session understands."""
        return inbound.unified(response=response, asked=asked, config=self.config, codes=self._codes)

    def markets(self) -> Request:
        """Terms of the mapped symbols."""
        return _ask("markets", names=sorted(self.config.from_venue))

    def balance(self) -> Request:
        """The account's money."""
        return _ask("balance")

    def new_order(self, *, child: ChildOrderCreated, terms: Symbol | None) -> Request:
        """A limit order. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=child.symbol)
        return _ask(
            "submit",
            places_order=True,
            name=mapping.venue_symbol,
            side=child.side.value,
            volume=units_of(lots=child.quantity, mapping=mapping, terms=terms),
            price=price_of(price=child.limit_price, side=child.side, terms=terms),
            force=child.time_in_force,
            client_id=client_id(cl_ord_id=child.cl_ord_id),
        )

    def cancel(self, *, name: str, number: str) -> Request:
        """End an order by its ticket."""
        return _ask("cancel", ticket=int(number))

    def order_by_client_id(self, *, name: str, client_id: str) -> Request:
        """One order by our id."""
        return _ask("order", client_id=client_id)

    def order(self, *, name: str, number: str) -> Request:
        """One order by its ticket."""
        return _ask("order", ticket=int(number))

    def open_orders(self, *, name: str) -> Request:
        """What works in one symbol."""
        return _ask("open_orders", name=name)

    def closed_orders(self, *, name: str) -> Request:
        """An agent finds every order by our id."""
        return self.open_orders(name=name)

    def book(self, *, name: str) -> Request:
        """The current prices of one symbol."""
        return _ask("book", name=name)

    def trades(self, *, name: str, since_us: int) -> Request:
        """Deals of one symbol since an instant."""
        return _ask("trades", name=name, since_s=inbound.server_s(at_us=since_us, config=self.config) - LOOK_BACK_S)

    def streams(self) -> None:
        """Everything is asked for."""

    def positions(self) -> Request:
        """What the account holds of the mapped symbols."""
        return _ask("positions", names=sorted(self.config.from_venue))


def _ask(question: str, *, places_order: bool = False, **arguments: Any) -> Request:
    body = msgspec.json.encode(arguments).decode()
    return Request(method="ASK", url=question, body=body, label=question, places_order=places_order)
