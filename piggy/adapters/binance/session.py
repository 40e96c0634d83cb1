"""One Binance account: two streams, books kept by sequence, and conversations that end in reports. Pure, no IO."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from piggy.adapters import telling
from piggy.adapters.answers import document, good
from piggy.adapters.binance import inbound
from piggy.adapters.binance.config import (
    CLOCK_AGAIN_S,
    CODE_CLOCK,
    LISTEN_KEY_RENEW_S,
    RECV_WINDOW_MS,
    SUBSCRIBED_ID,
    TRADES_MAX,
    TRADES_SPAN_US,
    USER_ENDED,
)
from piggy.adapters.binance.outbound import Asker, client_id
from piggy.adapters.books import BookKeeper, Books, lots
from piggy.adapters.interface import (
    NOTHING,
    Balance,
    Heard,
    Order,
    Position,
    Reports,
    Request,
    Response,
    Said,
    Steps,
    Stream,
    Symbol,
    UnableToReadReport,
    VenueConfig,
)
from piggy.adapters.latest import Latest
from piggy.adapters.reading import Part, answer, answers, message
from piggy.adapters.terms import terms_of
from piggy.core.events import ChildOrderCreated

MARKET, USER = "market", "user"
# Past its window a request is refused unread, so an order unknown by then will never appear.
UNKNOWN_AFTER_US = (RECV_WINDOW_MS + 500) * 1_000


class BinanceSession(BookKeeper):
    """Spot (`binance`) or USD-M (`binance_usdm`), as the config's kind says."""

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self._ask = Asker(config=config)
        self._flavour = self._ask.flavour
        self.budget = self._flavour.budget
        self._books = Books(config=config)
        self._depths = {
            mapping.venue_symbol: inbound.Depth(book=self._books.of[mapping.symbol], chained=self._flavour.chained)
            for mapping in config.symbols
        }
        self._terms: dict[str, Symbol] = {}
        self._client_ids = Latest[str, str]()
        self._renew_at_us = self._clock_at_us = 0
        self._heard_as_user = False

    def client_id(self, *, cl_ord_id: str) -> str:
        """At most 36 of Binance's characters."""
        return client_id(cl_ord_id=cl_ord_id)

    def connect(self, *, now_us: int) -> Steps[tuple[Stream, ...]]:
        """Clock, terms, and how the user stream is asked for. Raises UnableToConnect."""
        yield from self._set_clock(now_us)
        yield from self.symbols(now_us=now_us)
        there = self.config.stream_url.rstrip("/")
        base = self.config.settings.get("user_url", "").rstrip("/") or there or self._flavour.user_url
        user_url = base + self._flavour.user_path
        names = "/".join(f"{name.lower()}@depth@100ms" for name in sorted(self._depths))
        market_url = (there or self._flavour.stream_url) + self._flavour.market_path
        market = Stream(name=MARKET, url=f"{market_url}?streams={names}")
        if not self._flavour.listen_key_path:
            # A wrong key is told of by an answer that a stream hears too late.
            yield from self.balances(now_us=now_us)
            hello = (self._ask.subscription(now_us=now_us),)
            return Stream(name=USER, url=user_url, hello=hello, silence_s_max=0), market
        ticket = answer((yield self._ask.listen_key(method="POST")), what="Binance listenKey").name("listenKey")
        self._renew_at_us = now_us + LISTEN_KEY_RENEW_S * 1_000_000
        self._heard_as_user = True
        return Stream(name=USER, url=f"{user_url}/{ticket}", silence_s_max=0), market

    @property
    def settled(self) -> bool:
        """Whether we are heard as a user and every book is whole."""
        return self._heard_as_user and self._books.whole

    def hear(self, *, stream: str, text: str, now_us: int) -> Heard:
        """Take a depth diff or a user event. Raises UnableToReadReport for the latter."""
        if stream == MARKET:
            return self._hear_market(text, now_us)
        doc = message(text, what="Binance user message")
        if doc.raw("id") == SUBSCRIBED_ID:
            self._heard_as_user = doc.raw("status") == 200
            return NOTHING if self._heard_as_user else Heard(down=f"no user stream: {doc.raw('error')}")
        kind = inbound.event_of(doc).name("e")
        if kind in USER_ENDED:
            return Heard(down=f"the venue ended the user stream: {kind}")
        return Heard(reports=inbound.user_event(doc=doc, raw=text, config=self.config))

    def _hear_market(self, text: str, now_us: int) -> Heard:
        symbol = ""
        try:
            doc = message(text, what="Binance market message")
            diff = doc.part("data") if doc.has("data") else doc
            if diff.raw("e") != "depthUpdate":
                return NOTHING
            name = diff.name("s")
            symbol = self.config.mapping_from(name=name).symbol
            lacking = self._depths[name].take(diff)
            self._books.touch(symbol=symbol, venue_at_us=diff.ms("E"), received_at_us=now_us)
        except UnableToReadReport as error:
            # Without a name the hole shows in the numbers of the next update.
            self._books.drop(symbol=symbol, why=str(error))
            lacking = bool(symbol) and self._depths[self.config.to_venue[symbol].venue_symbol].start_anew()
        return Heard(gaps=(symbol,)) if lacking else NOTHING

    def resync(self, *, symbol: str, now_us: int) -> Steps[None]:
        """Ask for a snapshot and put the waiting diffs on top. Raises UnableToReadReport: ask again."""
        name = self.config.mapping_of(symbol=symbol).venue_symbol
        found = yield self._ask.snapshot(venue_symbol=name)
        if not found.ok:
            raise UnableToReadReport(f"no snapshot: {found.status} {inbound.text_of(found)}")
        self._depths[name].snapshot(document(found.text))
        self._books.touch(
            symbol=symbol, venue_at_us=self._books.of[symbol].venue_at_us or now_us, received_at_us=now_us
        )

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Keep the ticket alive and the clock right. Raises UnableToConnect."""
        if self._flavour.listen_key_path and now_us >= self._renew_at_us:
            good((yield self._ask.listen_key(method="PUT")))
            self._renew_at_us = now_us + LISTEN_KEY_RENEW_S * 1_000_000
        if now_us >= self._clock_at_us:
            yield from self._set_clock(now_us)
        return ()

    def lost(self) -> None:
        """Withdraw every quote."""
        for depth in self._depths.values():
            depth.clear()
        self._books.clear()
        self._heard_as_user = False

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place a limit order. Raises UnableToTranslate, UnableToReadReport."""
        terms = self._terms_of(child.symbol)
        said = yield from self._signed(lambda: self._ask.new_order(child=child, now_us=now_us, terms=terms), now_us)
        name = client_id(cl_ord_id=child.cl_ord_id)
        reports = inbound.order_answer(response=said, client_id=name, config=self.config, now_us=now_us)
        if said.ok:
            self._client_ids[message(said.text, what="Binance order").name("orderId")] = name
        return reports

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; one that is no longer there is asked for its status."""
        said = yield from self._signed(lambda: self._ask.cancel(order=order, now_us=now_us), now_us)
        if not said.ok:
            refused = telling.uncancel(
                venue=self.config.venue, client_id=order.client_id, text=inbound.text_of(said), at_us=now_us
            )
            if inbound.is_unknown(said):
                return (refused, *(yield from self.status(order=order, now_us=now_us)))
            return (refused,)
        doc = message(said.text, what="Binance cancel")
        found: Reports = ()
        if lots_filled(doc, self.config) > order.filled:
            found = yield from self._trades_of(order, doc.name("orderId"), now_us)
        ended = inbound.ended_answer(
            doc=doc, raw=said.text, client_id=order.client_id, config=self.config, now_us=now_us
        )
        return (*found, ended)

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Change an order in place. Raises UnableToTranslate."""
        terms = self._terms_of(order.symbol)
        said = yield from self._signed(
            lambda: self._ask.replace(
                order=order, quantity=quantity, limit_price=limit_price, now_us=now_us, terms=terms
            ),
            now_us,
        )
        what = "replaced" if said.ok else "replace_refused"
        text = "" if said.ok else inbound.text_of(said)
        return (telling.note(client_id=order.client_id, what=what, text=text, at_us=now_us, raw=said.text),)

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Missing fills, then the standing; nothing while the venue cannot tell or may still get the order."""
        said = yield from self._signed(lambda: self._ask.status(order=order, now_us=now_us), now_us)
        if not said.ok:
            if inbound.is_unknown(said) and now_us - order.created_at_us > UNKNOWN_AFTER_US:
                text = inbound.text_of(said)
                return (telling.status(client_id=order.client_id, standing="unknown", at_us=now_us, text=text),)
            return ()
        doc = message(said.text, what="Binance order")
        # Its own number names an order as well: a cancel may have given it another client's id.
        if self._client_ids.get(doc.name("orderId")) != order.client_id:
            doc.must_name("clientOrderId", order.client_id)
        stands, filled = inbound.standing(doc), lots_filled(doc, self.config)
        found: Reports = ()
        if filled > order.filled:
            found = yield from self._trades_of(order, doc.name("orderId"), now_us)
        told = telling.status(
            client_id=order.client_id,
            standing=stands,
            cumulative=filled,
            at_us=now_us,
            text=doc.name("status"),
            raw=said.text,
        )
        return (*found, told)

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Every trade of the mapped symbols since an instant; orders that we have no name for are looked up."""
        said: list[Said] = []
        for name in sorted(self._depths):
            from_us = since_us
            while from_us < now_us:
                said += yield from self._fills_from(name, from_us, now_us)
                from_us = from_us + TRADES_SPAN_US if self._flavour.chained else now_us
        return tuple(said)

    def _fills_from(self, name: str, since_us: int, now_us: int) -> Steps[list[Said]]:
        said: list[Said] = []
        from_id, rows = 0, [Part({}, what="")] * TRADES_MAX
        while len(rows) >= TRADES_MAX:
            found = yield from self._signed(
                lambda from_id=from_id: self._ask.trades(  # type: ignore[misc]
                    venue_symbol=name, now_us=now_us, since_us=since_us, from_id=from_id
                ),
                now_us,
            )
            rows = answers(found, what="Binance trade")
            for number in sorted({row.name("orderId") for row in rows} - self._client_ids.keys()):
                yield from self._learn_name(name, number, now_us)
            said += inbound.trades(
                rows=[row.doc for row in rows], client_ids=self._client_ids, config=self.config, raw=found.text
            )
            after, from_id = from_id, max((row.whole("id") for row in rows), default=0) + 1
            if rows and from_id <= after:
                raise UnableToReadReport(f"Binance trade: the page from {after} on is one that came before")
        return said

    def _learn_name(self, name: str, number: str, now_us: int) -> Steps[None]:
        found = yield from self._signed(
            lambda: self._ask.order_by_number(venue_symbol=name, number=number, now_us=now_us), now_us
        )
        self._client_ids[number] = answer(found, what="Binance order").name("clientOrderId")

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """Client ids of what works in the mapped symbols."""
        found: list[str] = []
        for name in sorted(self._depths):
            rows = answers((yield self._ask.open_orders(venue_symbol=name, now_us=now_us)), what="Binance openOrders")
            found += [row.name("clientOrderId") for row in rows]
        return tuple(found)

    def symbols(self, *, now_us: int) -> Steps[tuple[Symbol, ...]]:
        """Filters of the mapped symbols, kept for the checks of every order."""
        found = inbound.symbols(doc=good((yield self._ask.symbols())), config=self.config)
        self._terms = {terms.venue_symbol: terms for terms in found}
        return found

    def positions(self, *, now_us: int) -> Steps[tuple[Position, ...]]:
        """Futures' positions; spot has balances only."""
        if not self._flavour.positions_path:
            return ()
        found = yield from self._signed(lambda: self._ask.positions(now_us=now_us), now_us)
        return inbound.positions(rows=good(found), config=self.config)

    def balances(self, *, now_us: int) -> Steps[tuple[Balance, ...]]:
        """What the venue holds for us."""
        return inbound.balances(doc=good((yield from self._signed(lambda: self._ask.balances(now_us=now_us), now_us))))

    def fees(self, *, symbol: str, now_us: int) -> Steps[tuple[Decimal, Decimal]]:
        """Our maker and taker rates in one of our symbols, as fractions."""
        name = self.config.mapping_of(symbol=symbol).venue_symbol
        return inbound.fees(doc=good((yield self._ask.fees(venue_symbol=name, now_us=now_us))))

    def _signed(self, make: Callable[[], Request], now_us: int) -> Steps[Response]:
        """Ask, and once more on a new clock where the venue refused the time: unread, so nothing can double."""
        found = yield make()
        if inbound.code_of(found) == CODE_CLOCK:
            yield from self._set_clock(now_us)
            found = yield make()
        return found

    def _set_clock(self, now_us: int) -> Steps[None]:
        found = answer((yield self._ask.server_time()), what="Binance time")
        self._ask.offset_ms = found.ms("serverTime") // 1_000 - now_us // 1_000
        self._clock_at_us = now_us + CLOCK_AGAIN_S * 1_000_000

    def _terms_of(self, symbol: str) -> Symbol:
        return terms_of(terms=self._terms, mapping=self.config.mapping_of(symbol=symbol))

    def _trades_of(self, order: Order, number: str, now_us: int) -> Steps[Reports]:
        self._client_ids[number] = order.client_id
        name = self.config.mapping_of(symbol=order.symbol).venue_symbol
        found = yield from self._signed(
            lambda: self._ask.trades(venue_symbol=name, now_us=now_us, number=number), now_us
        )
        return inbound.trades(rows=good(found), client_ids=self._client_ids, config=self.config, raw=found.text)


def lots_filled(doc: Part, config: VenueConfig) -> Decimal:
    """Return what an order document says was executed, in lots. Raises UnableToReadReport."""
    return lots(units=doc.size("executedQty"), mapping=config.mapping_from(name=doc.name("symbol")))
