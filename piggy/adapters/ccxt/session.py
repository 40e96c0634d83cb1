"""One account at an exchange of ccxt: streamed where the exchange does, and asked for what it does not stream."""

from __future__ import annotations

from decimal import Decimal

from piggy.adapters import telling
from piggy.adapters.answers import document, good
from piggy.adapters.books import BookKeeper, Books, lots
from piggy.adapters.ccxt import inbound
from piggy.adapters.ccxt.config import CLOCK_AGAIN_US, POLL_STREAMED_US, TRADES_MAX, UNKNOWN_AFTER_US, budget_of
from piggy.adapters.ccxt.outbound import Asker, PolledAsks, client_id
from piggy.adapters.ccxt.streaming import BOOKS, METHODS, ORDERS, TRADES
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
from piggy.adapters.latest import Latest
from piggy.adapters.reading import Part, answer, answers, message, parts_of
from piggy.adapters.terms import terms_of
from piggy.core.commands import RecordVenueFill
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
        self._client_ids = Latest[str, str]()
        self._working: dict[str, Order] = {}
        self._streamed: frozenset[str] = frozenset()
        self._told = Latest[str, Decimal]()
        self._counted = Latest[str, None]()
        self._ask_at_us = self._clock_at_us = 0
        self._unnamed_since_us = 0

    def client_id(self, *, cl_ord_id: str) -> str:
        """At most 32 letters, digits, - and _."""
        return client_id(cl_ord_id=cl_ord_id)

    def connect(self, *, now_us: int) -> Steps[tuple[Stream, ...]]:
        """Markets, the balance, which a wrong key does not get, and what is streamed. Raises UnableToConnect."""
        yield from self._set_clock(now_us)
        yield from self.symbols(now_us=now_us)
        yield from self.balances(now_us=now_us)
        yield from self._ask_books(now_us)
        request = self._ask.streams()
        if request is None:
            return ()
        methods = good((yield from self._say(request)))
        names = sorted(self.config.from_venue) if BOOKS in methods else []
        self._streamed = frozenset(methods) & frozenset(METHODS)
        books = [Stream(name=f"{BOOKS} {name}", url=BOOKS, hello=(name,), silence_s_max=0) for name in names]
        ours = [Stream(name=one, url=one, silence_s_max=0) for one in (ORDERS, TRADES) if one in self._streamed]
        return (*books, *ours)

    @property
    def settled(self) -> bool:
        """Whether every book was seen."""
        return self._books.whole

    def hear(self, *, stream: str, text: str, now_us: int) -> Heard:
        """Take a whole book, or orders and fills of ours. Raises UnableToReadReport for the latter."""
        method, _, name = stream.partition(" ")
        if method == BOOKS:
            self._hear_book(name, text, now_us)
            return NOTHING
        rows = parts_of(document(text), what="orders" if method == ORDERS else "trades")
        if method == TRADES:
            return Heard(reports=self._dealt(rows, text, now_us))
        said: Reports = ()
        for row in rows:
            said += self._changed(row, text, now_us)
        return Heard(reports=said)

    def _hear_book(self, name: str, text: str, now_us: int) -> None:
        symbol = self.config.mapping_from(name=name).symbol
        try:
            doc = message(text, what="book")
            if doc.has("gap"):
                # It comes whole again by itself.
                self._books.of[symbol].clear()
                self._books.touch(symbol=symbol, venue_at_us=now_us, received_at_us=now_us)
            else:
                inbound.book(doc=doc.doc, symbol=symbol, books=self._books, now_us=now_us)
        except UnableToReadReport as error:
            self._books.drop(symbol=symbol, why=str(error))

    def _dealt(self, rows: list[Part], text: str, now_us: int) -> Reports:
        """Return fills of orders that we know; those of others are looked up and told a moment later."""
        mapped = [row for row in rows if row.name("symbol") in self.config.from_venue]
        named = [row.doc for row in mapped if row.name("order") in self._client_ids]
        if len(named) < len(mapped):
            self._unnamed_since_us = self._unnamed_since_us or now_us - self.unknown_after_us
        said = inbound.trades(rows=named, client_ids=self._client_ids, config=self.config, raw=text)
        self._note_told(said)
        return said

    def _changed(self, row: Part, text: str, now_us: int) -> Reports:
        """Return how an order of ours stands; its end only once all its fills were told, else it is asked for."""
        shown = inbound.seen(row.doc)
        order = self._working.get(self._client_ids.get(shown.number, shown.client_id))
        if order is None:
            return ()
        self._client_ids[shown.number] = order.client_id
        names = {"venue": self.config.venue, "client_id": order.client_id}
        if shown.standing == "working":
            return (telling.ack(venue_order_id=shown.number, at_us=now_us, raw=text, **names),)
        if shown.standing != "ended" or self._told.get(order.client_id, Decimal(0)) != self._lots(shown, order):
            self._ask_at_us = 0
            return ()
        self._working.pop(order.client_id, None)
        return (telling.done(cumulative=self._lots(shown, order), how=shown.status, at_us=now_us, raw=text, **names),)

    def _note_told(self, said: Reports) -> None:
        for command in (one.report.command for one in said):
            if isinstance(command, RecordVenueFill) and command.fill_id not in self._counted:
                self._counted[command.fill_id] = None
                self._told[command.cl_ord_id] = self._told.get(command.cl_ord_id, Decimal(0)) + command.quantity

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
        """Ask for books and orders that work, as far as no stream tells of them. Raises UnableToConnect."""
        self._ask.now_us = now_us
        said: Reports = ()
        if now_us >= self._clock_at_us:
            yield from self._set_clock(now_us)
        if BOOKS not in self._streamed:
            yield from self._ask_books(now_us)
        if since_us := self._unnamed_since_us:
            said += yield from self.fills(since_us=since_us, now_us=now_us)
            self._unnamed_since_us = 0
        if now_us < self._ask_at_us:
            return said
        self._ask_at_us = now_us + (POLL_STREAMED_US if self._streamed >= {ORDERS, TRADES} else 0)
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
        self._streamed = frozenset()
        self._ask_at_us = 0

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

    def _set_clock(self, now_us: int) -> Steps[None]:
        self._ask.now_us, self._clock_at_us = now_us, now_us + CLOCK_AGAIN_US
        if (request := self._ask.clock()) is not None:
            found = answer((yield from self._say(request)), what="time")
            self._ask.offset_us = found.whole("at_ms") * 1_000 - now_us

    def _ask_books(self, now_us: int) -> Steps[None]:
        for symbol in self._books.of:
            yield from self.resync(symbol=symbol, now_us=now_us)

    def _look_up(self, order: Order) -> Steps[Response | None]:
        """Return the order as the exchange shows it; None where it is in none of its lists.

        Raises UnableToReadReport where it shows another.
        """
        found = yield from self._shown(order)
        if found is not None and found.ok and (doc := message(found.text, what="order")).has("clientOrderId"):
            doc.must_name("clientOrderId", order.client_id)
        return found

    def _shown(self, order: Order) -> Steps[Response | None]:
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
            page = inbound.trades(
                rows=[row.doc for row in rows], client_ids=self._client_ids, config=self.config, raw=found.text
            )
            self._note_told(page)
            said += page
            latest_us = max((row.ms("timestamp") for row in rows), default=0)
            if len(rows) < TRADES_MAX or latest_us <= since_us:
                return said
            since_us = latest_us

    def _lots(self, shown: inbound.Seen, order: Order) -> Decimal:
        return lots(units=shown.filled, mapping=self.config.mapping_of(symbol=order.symbol))
