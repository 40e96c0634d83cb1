"""One account at an exchange of ccxt. Its unified REST has no streams, so books and working orders are asked for."""

from __future__ import annotations

from decimal import Decimal

from piggy.adapters import telling
from piggy.adapters.answers import document, good
from piggy.adapters.books import BookKeeper, Books, lots
from piggy.adapters.ccxt import inbound
from piggy.adapters.ccxt.config import TRADES_MAX, UNKNOWN_AFTER_US, budget_of
from piggy.adapters.ccxt.outbound import Asker, PolledAsks, client_id
from piggy.adapters.interface import (
    NOTHING,
    Balance,
    Heard,
    Order,
    Position,
    ReportKind,
    Reports,
    Request,
    Response,
    Steps,
    Stream,
    Symbol,
    UnableToReadReport,
    UnableToTranslate,
    VenueConfig,
)
from piggy.adapters.reading import answer, answers
from piggy.adapters.terms import terms_of
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
        """Ask for the book again; one that cannot be read is withdrawn."""
        self._ask.now_us = now_us
        name = self.config.mapping_of(symbol=symbol).venue_symbol
        try:
            doc = good((yield from self._say(self._ask.book(name=name))))
            inbound.book(doc=doc, symbol=symbol, books=self._books, now_us=now_us)
        except UnableToReadReport as error:
            self._books.drop(symbol=symbol, why=str(error))

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Ask for every book and for what became of orders that work. Raises UnableToConnect."""
        self._ask.now_us = now_us
        yield from self._ask_books(now_us)
        said: Reports = ()
        for order in list(self._working.values()):
            try:
                found = yield from self._look_up(order)
                if found is not None and found.ok:
                    said += yield from self._told_by(document(found.text), order, now_us)
            except UnableToReadReport as error:
                # It is asked for again: an order of which nobody can read is not one that ended.
                self._books.drop(symbol="", why=f"order {order.client_id}: {error}")
        return said

    def lost(self) -> None:
        """Withdraw every quote."""
        self._books.clear()

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place a limit order. Raises UnableToTranslate."""
        self._ask.now_us = now_us
        terms = terms_of(terms=self._terms, mapping=self.config.mapping_of(symbol=child.symbol))
        found = yield from self._say(self._ask.new_order(child=child, terms=terms))
        name = self.client_id(cl_ord_id=child.cl_ord_id)
        said = inbound.order_answer(response=found, client_id=name, config=self.config, now_us=now_us)
        if said[0].report.kind is not ReportKind.ACK:
            return said
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
        return said + (yield from self._told_by(document(found.text), order, now_us))

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; how it ended is asked for."""
        self._ask.now_us = now_us
        found = yield from self._look_up(order)
        if found is not None and found.ok:
            name = self.config.mapping_of(symbol=order.symbol).venue_symbol
            number = inbound.seen(document(found.text)).number
            found = yield from self._say(self._ask.cancel(name=name, number=number))
            if found.ok:
                again = yield from self._look_up(order)
                if again is not None and again.ok:
                    return (yield from self._told_by(document(again.text), order, now_us))
                return (yield from self.status(order=order, now_us=now_us))
        text = "the venue does not know the order" if found is None else found.text
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
        shown = inbound.seen(document(found.text))
        if not shown.standing:
            raise UnableToReadReport("order: status is missing")
        said = yield from self._told_by(document(found.text), order, now_us, done=False)
        told = telling.status(
            client_id=order.client_id,
            standing=shown.standing,
            cumulative=self._lots(shown, order),
            at_us=now_us,
            text=shown.status,
            raw=found.text,
        )
        if shown.standing == "working":
            self._working[order.client_id] = order
        return (*said, told)

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
            rows = answers((yield from self._say(self._ask.open_orders(name=name))), what="open orders")
            found += [row.name_or("clientOrderId", "") for row in rows]
        return tuple(found)

    def symbols(self, *, now_us: int) -> Steps[tuple[Symbol, ...]]:
        """Terms of the mapped markets, kept for the checks of every order."""
        self._ask.now_us = now_us
        found = inbound.symbols(doc=good((yield from self._say(self._ask.markets()))), config=self.config)
        self._terms = {terms.venue_symbol: terms for terms in found}
        return found

    def positions(self, *, now_us: int) -> Steps[tuple[Position, ...]]:
        """What is held in contracts; an exchange for spot has balances only."""
        self._ask.now_us = now_us
        request = self._ask.positions()
        if request is None:
            return ()
        return inbound.positions(rows=good((yield from self._say(request))), config=self.config)

    def balances(self, *, now_us: int) -> Steps[tuple[Balance, ...]]:
        """Every currency that the account holds."""
        self._ask.now_us = now_us
        return inbound.balances(doc=good((yield from self._say(self._ask.balance()))))

    def _say(self, request: Request) -> Steps[Response]:
        """Ask, and return the answer in unified words."""
        return self._ask.read(response=(yield request), asked=request.label)

    def _ask_books(self, now_us: int) -> Steps[None]:
        for symbol in self._books.of:
            yield from self.resync(symbol=symbol, now_us=now_us)

    def _look_up(self, order: Order) -> Steps[Response | None]:
        """Return the order as the exchange shows it; None where it is in none of its lists."""
        name = self.config.mapping_of(symbol=order.symbol).venue_symbol
        if self.config.settings.get("lookup", "client_id") == "client_id":
            return (yield from self._say(self._ask.order_by_client_id(name=name, client_id=order.client_id)))
        for listing in (self._ask.open_orders(name=name), self._ask.closed_orders(name=name)):
            every = answers((yield from self._say(listing)), what="orders")
            rows = [row for row in every if row.raw("clientOrderId") == order.client_id]
            if rows:
                return (yield from self._say(self._ask.order(name=name, number=rows[0].name("id"))))
        return None

    def _told_by(self, doc: object, order: Order, now_us: int, *, done: bool = True) -> Steps[Reports]:
        """Return the fills that an order document betrays, and its end. Raises UnableToReadReport."""
        shown = inbound.seen(doc)
        self._client_ids[shown.number] = order.client_id
        said: Reports = ()
        known = self._working.get(order.client_id, order)
        filled = self._lots(shown, order)
        if filled > min(known.filled, order.filled):
            name = self.config.mapping_of(symbol=order.symbol).venue_symbol
            every = yield from self._trades(name, order.created_at_us - self.unknown_after_us)
            said = tuple(one for one in every if one.report.cl_ord_id == order.client_id)
        if shown.standing in ("filled", "ended"):
            self._working.pop(order.client_id, None)
        if shown.standing == "ended" and done:
            ended = telling.done(
                venue=self.config.venue, client_id=order.client_id, cumulative=filled, how=shown.status, at_us=now_us
            )
            said = (*said, ended)
        return said

    def _trades(self, name: str, since_us: int) -> Steps[Reports]:
        """Return every fill of one symbol since an instant, page by page; each page begins where the last ended."""
        said: Reports = ()
        while True:
            found = yield from self._say(self._ask.trades(name=name, since_us=since_us))
            rows = answers(found, what="trades")
            for number in sorted({row.name("order") for row in rows} - self._client_ids.keys()):
                order = answer((yield from self._say(self._ask.order(name=name, number=number))), what="order")
                self._client_ids[number] = order.name_or("clientOrderId", f"order-{number}")
            said += inbound.trades(
                rows=[row.doc for row in rows], client_ids=self._client_ids, config=self.config, raw=found.text
            )
            latest_us = max((row.ms("timestamp") for row in rows), default=0)
            if len(rows) < TRADES_MAX or latest_us <= since_us:
                return said
            since_us = latest_us

    def _lots(self, shown: inbound.Seen, order: Order) -> Decimal:
        return lots(units=shown.filled, mapping=self.config.mapping_of(symbol=order.symbol))
