"""One Binance account: two streams, books kept by sequence, and conversations that end in reports. Pure, no IO."""

from __future__ import annotations

from decimal import Decimal

from piggy.adapters import telling
from piggy.adapters.answers import document, good
from piggy.adapters.binance import inbound
from piggy.adapters.binance.config import CLOCK_AGAIN_S, CODE_CLOCK, LISTEN_KEY_RENEW_S, RECV_WINDOW_MS
from piggy.adapters.binance.outbound import Asker, client_id
from piggy.adapters.books import BookKeeper, Books, lots
from piggy.adapters.interface import (
    NOTHING,
    Balance,
    Heard,
    Order,
    Position,
    Reports,
    Said,
    Steps,
    Stream,
    Symbol,
    UnableToReadReport,
    VenueConfig,
)
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
        self._client_ids: dict[str, str] = {}
        self._listen_key = ""
        self._renew_at_us = self._clock_at_us = 0

    def client_id(self, *, cl_ord_id: str) -> str:
        """At most 36 of Binance's characters."""
        return client_id(cl_ord_id=cl_ord_id)

    def connect(self, *, now_us: int) -> Steps[tuple[Stream, ...]]:
        """Clock, terms, a ticket for the user stream. Raises UnableToConnect."""
        yield from self._set_clock(now_us)
        yield from self.symbols(now_us=now_us)
        answer = yield self._ask.listen_key(method="POST")
        self._listen_key = str(good(answer)["listenKey"])
        self._renew_at_us = now_us + LISTEN_KEY_RENEW_S * 1_000_000
        base = (self.config.stream_url or self._flavour.stream_url).rstrip("/")
        names = "/".join(f"{name.lower()}@depth@100ms" for name in sorted(self._depths))
        return (
            Stream(name=USER, url=f"{base}/ws/{self._listen_key}", silence_s_max=0),
            Stream(name=MARKET, url=f"{base}/stream?streams={names}"),
        )

    @property
    def settled(self) -> bool:
        """Whether every book is whole."""
        return self._books.whole

    def hear(self, *, stream: str, text: str, now_us: int) -> Heard:
        """Take a depth diff or a user event. Raises UnableToReadReport."""
        doc = document(text)
        if stream == USER:
            kind = (doc.get("event") or doc.get("data") or doc).get("e")
            if kind in ("listenKeyExpired", "eventStreamTerminated"):
                return Heard(down=f"the venue ended the user stream: {kind}")
            return Heard(reports=inbound.user_event(doc=doc, raw=text, config=self.config))
        diff = doc.get("data", doc)
        if diff.get("e") != "depthUpdate":
            return NOTHING
        depth = self._depths[diff["s"]]
        symbol = self.config.from_venue[diff["s"]].symbol
        lacking = depth.take(diff)
        self._books.touch(symbol=symbol, venue_at_us=int(diff["E"]) * 1_000, received_at_us=now_us)
        return Heard(gaps=(symbol,)) if lacking else NOTHING

    def resync(self, *, symbol: str, now_us: int) -> Steps[None]:
        """Ask for a snapshot and put the waiting diffs on top. Raises UnableToReadReport: ask again."""
        name = self.config.mapping_of(symbol=symbol).venue_symbol
        answer = yield self._ask.snapshot(venue_symbol=name)
        if not answer.ok:
            raise UnableToReadReport(f"no snapshot: {answer.status} {inbound.text_of(answer)}")
        self._depths[name].snapshot(document(answer.text))
        self._books.touch(
            symbol=symbol, venue_at_us=self._books.of[symbol].venue_at_us or now_us, received_at_us=now_us
        )

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Keep the ticket alive and the clock right. Raises UnableToConnect."""
        if now_us >= self._renew_at_us:
            good((yield self._ask.listen_key(method="PUT", key=self._listen_key)))
            self._renew_at_us = now_us + LISTEN_KEY_RENEW_S * 1_000_000
        if now_us >= self._clock_at_us:
            yield from self._set_clock(now_us)
        return ()

    def lost(self) -> None:
        """Withdraw every quote."""
        for depth in self._depths.values():
            depth.clear()
        self._books.clear()

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place a limit order. Raises UnableToTranslate."""
        terms = self._terms.get(self.config.mapping_of(symbol=child.symbol).venue_symbol)
        answer = yield self._ask.new_order(child=child, now_us=now_us, terms=terms)
        if inbound.code_of(answer) == CODE_CLOCK:
            # Refused unread, so a second try cannot double it.
            yield from self._set_clock(now_us)
            answer = yield self._ask.new_order(child=child, now_us=now_us, terms=terms)
        name = client_id(cl_ord_id=child.cl_ord_id)
        reports = inbound.order_answer(response=answer, client_id=name, config=self.config, now_us=now_us)
        if answer.ok:
            self._client_ids[str(document(answer.text)["orderId"])] = name
        return reports

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; one that is no longer there is asked for its status."""
        answer = yield self._ask.cancel(order=order, now_us=now_us)
        if not answer.ok:
            refused = telling.uncancel(
                venue=self.config.venue, client_id=order.client_id, text=inbound.text_of(answer), at_us=now_us
            )
            if inbound.is_unknown(answer):
                return (refused, *(yield from self.status(order=order, now_us=now_us)))
            return (refused,)
        doc = document(answer.text)
        found: Reports = ()
        if lots_filled(doc, self.config) > order.filled:
            found = yield from self._trades_of(order, str(doc["orderId"]), now_us)
        ended = inbound.ended_answer(
            doc=doc, raw=answer.text, client_id=order.client_id, config=self.config, now_us=now_us
        )
        return (*found, ended)

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Change an order in place. Raises UnableToTranslate."""
        terms = self._terms.get(self.config.mapping_of(symbol=order.symbol).venue_symbol)
        answer = yield self._ask.replace(
            order=order, quantity=quantity, limit_price=limit_price, now_us=now_us, terms=terms
        )
        what = "replaced" if answer.ok else "replace_refused"
        text = "" if answer.ok else inbound.text_of(answer)
        return (telling.note(client_id=order.client_id, what=what, text=text, at_us=now_us, raw=answer.text),)

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Missing fills, then the standing; nothing while the venue cannot tell or may still get the order."""
        answer = yield self._ask.status(order=order, now_us=now_us)
        if not answer.ok:
            if inbound.is_unknown(answer) and now_us - order.created_at_us > UNKNOWN_AFTER_US:
                text = inbound.text_of(answer)
                return (telling.status(client_id=order.client_id, standing="unknown", at_us=now_us, text=text),)
            return ()
        doc = document(answer.text)
        filled = lots_filled(doc, self.config)
        found: Reports = ()
        if filled > order.filled:
            found = yield from self._trades_of(order, str(doc["orderId"]), now_us)
        said = telling.status(
            client_id=order.client_id,
            standing=inbound.standing(doc),
            cumulative=filled,
            at_us=now_us,
            text=doc["status"],
            raw=answer.text,
        )
        return (*found, said)

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Every trade of the mapped symbols since an instant; orders that we have no name for are looked up."""
        said: list[Said] = []
        for name in sorted(self._depths):
            answer = yield self._ask.trades(venue_symbol=name, now_us=now_us, since_us=since_us)
            rows = good(answer)
            for number in sorted({str(row["orderId"]) for row in rows} - self._client_ids.keys()):
                found = yield self._ask.order_by_number(venue_symbol=name, number=number, now_us=now_us)
                self._client_ids[number] = str(good(found)["clientOrderId"])
            said += inbound.trades(rows=rows, client_ids=self._client_ids, config=self.config, raw=answer.text)
        return tuple(said)

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """Client ids of what works in the mapped symbols."""
        found: list[str] = []
        for name in sorted(self._depths):
            rows = good((yield self._ask.open_orders(venue_symbol=name, now_us=now_us)))
            found += [str(row["clientOrderId"]) for row in rows]
        return tuple(found)

    def symbols(self, *, now_us: int) -> Steps[tuple[Symbol, ...]]:
        """Filters of the mapped symbols, kept for the checks of every order."""
        answer = yield self._ask.symbols()
        found = inbound.symbols(doc=good(answer), config=self.config)
        self._terms = {terms.venue_symbol: terms for terms in found}
        return found

    def positions(self, *, now_us: int) -> Steps[tuple[Position, ...]]:
        """Futures' positions; spot has balances only."""
        if not self._flavour.positions_path:
            return ()
        answer = yield self._ask.positions(now_us=now_us)
        return inbound.positions(rows=good(answer), config=self.config)

    def balances(self, *, now_us: int) -> Steps[tuple[Balance, ...]]:
        """What the venue holds for us."""
        answer = yield self._ask.balances(now_us=now_us)
        return inbound.balances(doc=good(answer))

    def fees(self, *, symbol: str, now_us: int) -> Steps[tuple[Decimal, Decimal]]:
        """Our maker and taker rates in one of our symbols, as fractions."""
        name = self.config.mapping_of(symbol=symbol).venue_symbol
        return inbound.fees(doc=good((yield self._ask.fees(venue_symbol=name, now_us=now_us))))

    def _set_clock(self, now_us: int) -> Steps[None]:
        answer = yield self._ask.server_time()
        self._ask.offset_ms = int(good(answer)["serverTime"]) - now_us // 1_000
        self._clock_at_us = now_us + CLOCK_AGAIN_S * 1_000_000

    def _trades_of(self, order: Order, number: str, now_us: int) -> Steps[Reports]:
        self._client_ids[number] = order.client_id
        name = self.config.mapping_of(symbol=order.symbol).venue_symbol
        answer = yield self._ask.trades(venue_symbol=name, now_us=now_us, number=number)
        return inbound.trades(rows=good(answer), client_ids=self._client_ids, config=self.config, raw=answer.text)


def lots_filled(doc: inbound.Doc, config: VenueConfig) -> Decimal:
    """Return what an order document says was executed, in lots."""
    return lots(units=Decimal(doc["executedQty"]), mapping=config.mapping_from(name=doc["symbol"]))
