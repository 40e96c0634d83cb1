"""One account at an exchange of ccxt. Its unified REST has no streams, so books and working orders are asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from piggy.adapters import telling
from piggy.adapters.answers import document, good
from piggy.adapters.books import BookKeeper, Books, lots
from piggy.adapters.ccxt import inbound
from piggy.adapters.ccxt.config import UNKNOWN_AFTER_US, budget_of
from piggy.adapters.ccxt.outbound import Asker, PolledAsks, client_id
from piggy.adapters.interface import (
    NOTHING,
    Balance,
    Heard,
    Order,
    Position,
    Reports,
    Request,
    Response,
    Steps,
    Stream,
    Symbol,
    UnableToTranslate,
    VenueConfig,
)
from piggy.core.events import ChildOrderCreated


class CcxtSession(BookKeeper):
    """`config.settings["exchange"]` names the exchange."""

    # For how long after it was made an order may still arrive.
    unknown_after_us = UNKNOWN_AFTER_US

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self.budget = budget_of(config=config)
        self._ask: PolledAsks = Asker(config=config)
        self._books = Books(config=config)
        self._terms: dict[str, Symbol] = {}
        self._client_ids: dict[str, str] = {}
        self._working: dict[str, Order] = {}

    def client_id(self, *, cl_ord_id: str) -> str:
        """At most 32 letters, digits, - and _."""
        return client_id(cl_ord_id=cl_ord_id)

    def connect(self, *, now_us: int) -> Steps[tuple[Stream, ...]]:
        """Markets, and the balance, which a wrong key does not get. Raises UnableToConnect."""
        self._ask.now_us = now_us
        yield from self.symbols(now_us=now_us)
        yield from self.balances(now_us=now_us)
        yield from self._ask_books(now_us)
        return ()

    @property
    def settled(self) -> bool:
        """Whether every book was seen."""
        return self._books.whole

    def hear(self, *, stream: str, text: str, now_us: int) -> Heard:
        """There are no streams."""
        return NOTHING

    def resync(self, *, symbol: str, now_us: int) -> Steps[None]:
        """Ask for the book again."""
        self._ask.now_us = now_us
        name = self.config.mapping_of(symbol=symbol).venue_symbol
        inbound.book(
            doc=good((yield from self._say(self._ask.book(name=name)))), symbol=symbol, books=self._books, now_us=now_us
        )

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Ask for every book and for what became of orders that work. Raises UnableToConnect."""
        self._ask.now_us = now_us
        yield from self._ask_books(now_us)
        said: Reports = ()
        for order in list(self._working.values()):
            found = yield from self._look_up(order)
            if found is not None and found.ok:
                said += yield from self._told_by(document(found.text), order, now_us)
        return said

    def lost(self) -> None:
        """Withdraw every quote."""
        self._books.clear()

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place a limit order. Raises UnableToTranslate."""
        self._ask.now_us = now_us
        mapping = self.config.mapping_of(symbol=child.symbol)
        terms = self._terms.get(mapping.venue_symbol)
        answer = yield from self._say(self._ask.new_order(child=child, terms=terms))
        name = self.client_id(cl_ord_id=child.cl_ord_id)
        said = inbound.order_answer(response=answer, client_id=name, config=self.config, now_us=now_us)
        if not answer.ok:
            return said
        doc = document(answer.text)
        self._client_ids[str(doc["id"])] = name
        order = Order(
            cl_ord_id=child.cl_ord_id,
            client_id=name,
            symbol=child.symbol,
            side=child.side,
            quantity=child.quantity,
            limit_price=child.limit_price,
            created_at_us=now_us,
        )
        self._working[name] = order
        return said + (yield from self._told_by(doc, order, now_us))

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; how it ended is asked for."""
        self._ask.now_us = now_us
        answer = yield from self._look_up(order)
        if answer is not None and answer.ok:
            name = self.config.mapping_of(symbol=order.symbol).venue_symbol
            number = str(document(answer.text)["id"])
            answer = yield from self._say(self._ask.cancel(name=name, number=number))
            if answer.ok:
                again = yield from self._look_up(order)
                if again is not None and again.ok:
                    return (yield from self._told_by(document(again.text), order, now_us))
                return (yield from self.status(order=order, now_us=now_us))
        text = "the venue does not know the order" if answer is None else answer.text
        refused = telling.uncancel(venue=self.config.venue, client_id=order.client_id, text=text, at_us=now_us)
        return (refused, *(yield from self.status(order=order, now_us=now_us)))

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Raises UnableToTranslate, always: ccxt's edits are a cancel and another order on many exchanges."""
        yield from ()
        raise UnableToTranslate("An order cannot be changed in place through ccxt; cancel it and place another.")

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Missing fills, then the standing; nothing while the venue cannot tell or may still get the order."""
        self._ask.now_us = now_us
        found = yield from self._look_up(order)
        if found is None or found.status == 404:
            if now_us - order.created_at_us <= self.unknown_after_us:
                return ()
            return (telling.status(client_id=order.client_id, standing="unknown", at_us=now_us),)
        if not found.ok:
            return ()
        doc = document(found.text)
        said = yield from self._told_by(doc, order, now_us, done=False)
        standing = inbound.standing(doc)
        answer = telling.status(
            client_id=order.client_id,
            standing=standing,
            cumulative=self._filled(doc, order),
            at_us=now_us,
            text=str(doc.get("status")),
            raw=found.text,
        )
        if standing == "working":
            self._working[order.client_id] = order
        return (*said, answer)

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Every fill of the mapped symbols since an instant; unknown orders are looked up by number."""
        self._ask.now_us = now_us
        said: Reports = ()
        for name in sorted(self.config.from_venue):
            said += yield from self._trades(name, since_us)
        return said

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """Client ids of what works in the mapped symbols."""
        self._ask.now_us = now_us
        found: list[str] = []
        for name in sorted(self.config.from_venue):
            rows = good((yield from self._say(self._ask.open_orders(name=name))))
            found += [str(row.get("clientOrderId")) for row in rows]
        return tuple(found)

    def symbols(self, *, now_us: int) -> Steps[tuple[Symbol, ...]]:
        """Terms of the mapped markets, kept for the checks of every order."""
        self._ask.now_us = now_us
        found = inbound.symbols(doc=good((yield from self._say(self._ask.markets()))), config=self.config)
        self._terms = {terms.venue_symbol: terms for terms in found}
        return found

    def positions(self, *, now_us: int) -> Steps[tuple[Position, ...]]:
        """Spot exchanges have balances only."""
        yield from ()
        return ()

    def balances(self, *, now_us: int) -> Steps[tuple[Balance, ...]]:
        """Every currency that the account holds."""
        self._ask.now_us = now_us
        return inbound.balances(doc=good((yield from self._say(self._ask.balance()))))

    def _say(self, request: Request) -> Steps[Response]:
        """Ask, and return the answer in unified words."""
        answer = yield request
        return self._ask.read(response=answer, asked=request.label)

    def _ask_books(self, now_us: int) -> Steps[None]:
        for symbol in self._books.of:
            yield from self.resync(symbol=symbol, now_us=now_us)

    def _look_up(self, order: Order) -> Steps[Response | None]:
        """Return the order as the exchange shows it; None where it is in none of its lists."""
        name = self.config.mapping_of(symbol=order.symbol).venue_symbol
        if self.config.settings.get("lookup", "client_id") == "client_id":
            return (yield from self._say(self._ask.order_by_client_id(name=name, client_id=order.client_id)))
        for listing in (self._ask.open_orders(name=name), self._ask.closed_orders(name=name)):
            answer = yield from self._say(listing)
            rows = [row for row in good(answer) if row.get("clientOrderId") == order.client_id]
            if rows:
                return (yield from self._say(self._ask.order(name=name, number=str(rows[0]["id"]))))
        return None

    def _told_by(self, doc: Any, order: Order, now_us: int, *, done: bool = True) -> Steps[Reports]:
        """Return the fills that an order document betrays, and its end."""
        self._client_ids[str(doc["id"])] = order.client_id
        said: Reports = ()
        known = self._working.get(order.client_id, order)
        filled = self._filled(doc, order)
        if filled > min(known.filled, order.filled):
            name = self.config.mapping_of(symbol=order.symbol).venue_symbol
            every = yield from self._trades(name, order.created_at_us - self.unknown_after_us)
            said = tuple(one for one in every if one.report.cl_ord_id == order.client_id)
        standing = inbound.standing(doc)
        if standing != "working":
            self._working.pop(order.client_id, None)
        if standing == "ended" and done:
            ended = telling.done(
                venue=self.config.venue,
                client_id=order.client_id,
                cumulative=filled,
                how=str(doc.get("status")),
                at_us=now_us,
            )
            said = (*said, ended)
        return said

    def _trades(self, name: str, since_us: int) -> Steps[Reports]:
        answer = yield from self._say(self._ask.trades(name=name, since_us=since_us))
        rows = good(answer)
        for number in sorted({str(row["order"]) for row in rows} - self._client_ids.keys()):
            found = yield from self._say(self._ask.order(name=name, number=number))
            self._client_ids[number] = str(good(found)["clientOrderId"])
        return inbound.trades(rows=rows, client_ids=self._client_ids, config=self.config, raw=answer.text)

    def _filled(self, doc: Any, order: Order) -> Decimal:
        return lots(units=inbound.number(doc.get("filled")), mapping=self.config.mapping_of(symbol=order.symbol))
