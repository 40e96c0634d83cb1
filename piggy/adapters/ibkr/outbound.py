"""What we ask a gateway: the name of a question and its arguments; the transport writes them as ib_async does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from piggy.adapters.ccxt.outbound import client_id as short_id
from piggy.adapters.ibkr.config import CLIENT_ID, FORCES, SUMMARY_TAGS, UNKNOWN_AFTER_US
from piggy.adapters.interface import Order, Request, Symbol, UnableToTranslate, VenueConfig
from piggy.adapters.terms import price_of, units_of
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side

WORDS = ("symbol", "type", "exchange", "currency", "expiry")
Contract = dict[str, str]


def client_id(*, cl_ord_id: str) -> str:
    """Return an order's reference at the venue: at most 32 characters."""
    return short_id(cl_ord_id=cl_ord_id)


def contract_of(*, venue_symbol: str) -> Contract:
    """Return a contract named as `EUR CASH IDEALPRO USD`: symbol, type, exchange, currency and, if any, expiry."""
    return dict(zip(WORDS, venue_symbol.split(), strict=False))


class Asker:
    """Names the questions of one account."""

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config

    def start(self) -> Request:
        """Connect, and hear which accounts there are and which order number is next."""
        return _ask("start", client_id=self.config.settings.get("client_id", CLIENT_ID))

    def contract(self, *, venue_symbol: str) -> Request:
        """Terms of one contract."""
        return _ask("contract", contract=contract_of(venue_symbol=venue_symbol))

    def watch(self, *, ticker: int, contract: Contract) -> Request:
        """Begin a stream of prices: whole depth, or the best level where the mapping wants one."""
        return _ask("watch", number=ticker, contract=contract, rows=self.config.depth)

    def unwatch(self, *, ticker: int) -> Request:
        """End it."""
        return _ask("unwatch", number=ticker, rows=self.config.depth)

    def new_order(self, *, child: ChildOrderCreated, number: int, contract: Contract, terms: Symbol | None) -> Request:
        """A limit order. Raises UnableToTranslate."""
        if child.time_in_force not in FORCES:
            raise UnableToTranslate(f"Interactive Brokers has no time in force {child.time_in_force}.")
        mapping = self.config.mapping_of(symbol=child.symbol)
        return self._place(
            number,
            contract,
            child.side,
            units=units_of(lots=child.quantity, mapping=mapping, terms=terms),
            price=price_of(price=child.limit_price, side=child.side, terms=terms),
            force=FORCES[child.time_in_force],
            ref=client_id(cl_ord_id=child.cl_ord_id),
        )

    def replace(
        self,
        *,
        order: Order,
        quantity: Decimal,
        limit_price: Decimal,
        number: int,
        contract: Contract,
        terms: Symbol | None,
    ) -> Request:
        """The same order again with other numbers. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=order.symbol)
        request = self._place(
            number,
            contract,
            order.side,
            units=units_of(lots=quantity, mapping=mapping, terms=terms),
            price=price_of(price=limit_price, side=order.side, terms=terms),
            force=FORCES[order.time_in_force],
            ref=order.client_id,
        )
        return msgspec.structs.replace(request, places_order=False)

    def cancel(self, *, number: int) -> Request:
        """End an order."""
        return _ask("cancel", number=number)

    def open_orders(self) -> Request:
        """What works, whoever placed it."""
        return _ask("open_orders")

    def completed_orders(self) -> Request:
        """What ended lately of orders placed through the socket."""
        return _ask("completed_orders")

    def executions(self, *, since_us: int) -> Request:
        """What the account executed since an instant, as far back as the gateway keeps it."""
        return _ask("executions", since_s=(since_us - UNKNOWN_AFTER_US) // 1_000_000, account=self.config.account)

    def positions(self) -> Request:
        """What the gateway's accounts hold."""
        return _ask("positions")

    def summary(self) -> Request:
        """The accounts' money."""
        return _ask("summary", tags=",".join(SUMMARY_TAGS))

    def _place(
        self, number: int, contract: Contract, side: Side, *, units: str, price: str, force: str, ref: str
    ) -> Request:
        return _ask(
            "place",
            places_order=True,
            number=number,
            contract=contract,
            action="BUY" if side is Side.BUY else "SELL",
            units=units,
            price=price,
            force=force,
            account=self.config.account,
            ref=ref,
        )


def _ask(question: str, *, places_order: bool = False, **arguments: Any) -> Request:
    body = msgspec.json.encode(arguments).decode()
    return Request(method="ASK", url=question, body=body, label=question, places_order=places_order)
