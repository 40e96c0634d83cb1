"""One OANDA account: a stream of prices, a stream of transactions numbered without holes. Pure, no IO."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from piggy.adapters import telling
from piggy.adapters.answers import fields_of, good, says_unknown
from piggy.adapters.books import BookKeeper, Books, lots
from piggy.adapters.interface import (
    NOTHING,
    Balance,
    BudgetRule,
    Heard,
    Order,
    Position,
    Reports,
    Steps,
    Stream,
    Symbol,
    UnableToReadReport,
    VenueConfig,
)
from piggy.adapters.oanda import inbound
from piggy.adapters.oanda.config import BUDGET, SILENCE_S_MAX, STREAM_URL, UNKNOWN_AFTER_US
from piggy.adapters.oanda.outbound import Asker
from piggy.adapters.reading import Part, answer, message
from piggy.adapters.terms import terms_of
from piggy.core.events import ChildOrderCreated

PRICES, TRANSACTIONS = "prices", "transactions"


class OandaSession(BookKeeper):
    """`config.account` is the account id, `config.secret` the token."""

    budget: tuple[BudgetRule, ...] = BUDGET

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self._ask = Asker(config=config)
        self._books = Books(config=config)
        self._terms: dict[str, Symbol] = {}
        self._known = inbound.Known()
        self._greeted: set[str] = set()
        self._seen = 0
        self._behind = False

    def client_id(self, *, cl_ord_id: str) -> str:
        """OANDA takes any id of up to 128 characters."""
        return cl_ord_id

    def connect(self, *, now_us: int) -> Steps[tuple[Stream, ...]]:
        """Terms and the last transaction; the two streams. Raises UnableToConnect."""
        yield from self.symbols(now_us=now_us)
        account = answer((yield self._ask.summary()), what="OANDA summary")
        self._seen = self._seen or account.whole("lastTransactionID")
        base = f"{(self.config.stream_url or STREAM_URL).rstrip('/')}/v3/accounts/{self.config.account}"
        names = urlencode({"instruments": ",".join(sorted(self.config.from_venue)), "snapshot": "True"})
        common: dict[str, Any] = {"headers": self._ask.headers, "lines": True, "silence_s_max": SILENCE_S_MAX}
        return (
            Stream(name=TRANSACTIONS, url=f"{base}/transactions/stream", **common),
            Stream(name=PRICES, url=f"{base}/pricing/stream?{names}", **common),
        )

    @property
    def settled(self) -> bool:
        """Whether both streams spoke; a closed market has no book and is no reason to wait."""
        return self._greeted == {PRICES, TRANSACTIONS}

    def hear(self, *, stream: str, text: str, now_us: int) -> Heard:
        """Take a price, a transaction or a heartbeat. Raises UnableToReadReport for a transaction.

        One that cannot be read is not counted as seen: it is fetched again, and what follows waits behind it.
        """
        if stream == PRICES:
            self._hear_price(text, now_us)
            return NOTHING
        try:
            doc = message(text, what="OANDA transaction")
            self._greeted.add(stream)
            if doc.raw("type") == "HEARTBEAT":
                # Heartbeats go on when a transaction was lost on its way: the number tells.
                self._behind = self._behind or doc.whole("lastTransactionID") > self._seen
                return NOTHING
            number = doc.whole("id")
            self._behind = self._behind or number > self._seen + 1
            if self._behind:
                # All of it comes in its order when the hole is filled.
                return NOTHING
            said = inbound.transaction(doc=doc.doc, known=self._known, config=self.config, raw=text)
        except UnableToReadReport:
            self._behind = True
            raise
        self._seen = max(self._seen, number)
        return Heard(reports=said)

    def _hear_price(self, text: str, now_us: int) -> None:
        symbol = ""
        try:
            doc = message(text, what="OANDA PRICE")
            self._greeted.add(PRICES)
            if doc.raw("type") == "PRICE":
                symbol = self.config.mapping_from(name=doc.name("instrument")).symbol
                inbound.price(doc=doc.doc, books=self._books, config=self.config, now_us=now_us)
        except UnableToReadReport as error:
            self._books.drop(symbol=symbol, why=str(error))

    def resync(self, *, symbol: str, now_us: int) -> Steps[None]:
        """Nothing to do: every price is a whole book."""
        yield from ()

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Fetch the transactions that the stream skipped."""
        if not self._behind:
            return ()
        found = yield self._ask.since(transaction_id=str(self._seen))
        doc = answer(found, what="OANDA transactions")
        last, rows = doc.whole("lastTransactionID"), doc.parts("transactions")
        said = inbound.listed(docs=rows, known=self._known, config=self.config, raw=found.text)
        # An answer may be cut off at some length; what is left is asked for next time.
        self._seen = max([self._seen, *(row.whole("id") for row in rows if row.has("id"))]) if rows else last
        self._behind = self._seen < last
        return said

    def lost(self) -> None:
        """Withdraw every quote; what is missed is known by its number."""
        self._books.clear()
        self._greeted.clear()

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place an order. Raises UnableToTranslate."""
        terms = terms_of(terms=self._terms, mapping=self.config.mapping_of(symbol=child.symbol))
        found = yield self._ask.new_order(child=child, terms=terms)
        return inbound.order_answer(
            response=found, client_id=child.cl_ord_id, known=self._known, config=self.config, now_us=now_us
        )

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; how it ended, with every fill, is what the status says."""
        found = yield self._ask.cancel(order=order)
        said = yield from self.status(order=order, now_us=now_us)
        if found.ok:
            return said
        reason = str(fields_of(found).get("errorCode", found.status))
        return (telling.uncancel(venue=self.config.venue, client_id=order.client_id, text=reason, at_us=now_us), *said)

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Change an order; the venue gives it a new number under the same client id. Raises UnableToTranslate."""
        terms = terms_of(terms=self._terms, mapping=self.config.mapping_of(symbol=order.symbol))
        found = yield self._ask.replace(order=order, quantity=quantity, limit_price=limit_price, terms=terms)
        what = "replaced" if found.ok else "replace_refused"
        text = "" if found.ok else str(fields_of(found).get("errorMessage", found.status))
        return (telling.note(client_id=order.client_id, what=what, text=text, at_us=now_us, raw=found.text),)

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Every fill of the order, then how it stands; nothing while that cannot be told."""
        found = yield self._ask.order(client_id=order.client_id)
        unknown = says_unknown(found, words=("errorCode", "errorMessage"))
        if unknown and now_us - order.created_at_us > UNKNOWN_AFTER_US:
            text = str(fields_of(found).get("errorMessage", ""))
            return (telling.status(client_id=order.client_id, standing="unknown", at_us=now_us, text=text),)
        if not found.ok:
            return ()
        doc = message(found.text, what="OANDA order").part("order")
        doc.part("clientExtensions").must_name("id", order.client_id)
        number, stands = str(doc.whole("id")), inbound.standing(doc)
        first = yield from self._first_number(doc, order.client_id)
        since = yield self._ask.since(transaction_id=str(first - 1))
        rows = answer(since, what="OANDA transactions").parts("transactions")
        fills = [row for row in rows if self._is_fill_of(row, order.client_id, number)]
        if doc.has("fillingTransactionID") and doc.name("fillingTransactionID") not in {
            row.name("id") for row in fills
        }:
            raise UnableToReadReport(f"{doc.what}: its last fill is not among the transactions")
        mapping = self.config.mapping_of(symbol=order.symbol)
        filled = lots(units=sum((abs(row.number("units")) for row in fills), Decimal(0)), mapping=mapping)
        return (
            *inbound.transactions(docs=fills, known=self._known, config=self.config, raw=since.text),
            telling.status(
                client_id=order.client_id,
                standing=stands,
                cumulative=filled,
                at_us=now_us,
                text=doc.name("state"),
                raw=found.text,
            ),
        )

    def _first_number(self, doc: Part, client_id: str) -> Steps[int]:
        """Return the number that an order had before it was first replaced; fills may be as old as that."""
        first = doc.whole("id")
        while doc.has("replacesOrderID"):
            later, first = first, doc.whole("replacesOrderID")
            if first >= later:
                raise UnableToReadReport(f"{doc.what}: {later} cannot replace {first}")
            if 0 < self._known.first(client_id=client_id) <= first:
                return self._known.first(client_id=client_id)
            found = yield self._ask.order_by_number(number=str(first))
            doc = answer(found, what="OANDA order").part("order")
        return first

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Every fill of the account since an instant."""
        said: Reports = ()
        pages = answer((yield self._ask.pages(since_us=since_us)), what="OANDA transactions").raw("pages")
        if not isinstance(pages, list) or not all(isinstance(url, str) for url in pages):
            raise UnableToReadReport("OANDA transactions: pages are no addresses")
        for url in pages:
            found = yield self._ask.page(url=url)
            parts = answer(found, what="OANDA transactions").parts("transactions")
            rows = [row for row in parts if row.name("type") == "ORDER_FILL"]
            said += inbound.listed(docs=rows, known=self._known, config=self.config, raw=found.text)
        return said

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """Client ids of pending orders; orders of others have none."""
        rows = answer((yield self._ask.pending()), what="OANDA pendingOrders").parts("orders")
        ours = [row.part("clientExtensions") for row in rows if row.has("clientExtensions")]
        return tuple(row.name_or("id", "") for row in ours)

    def symbols(self, *, now_us: int) -> Steps[tuple[Symbol, ...]]:
        """Terms of the mapped instruments, kept for the checks of every order."""
        found = inbound.symbols(doc=good((yield self._ask.instruments())))
        self._terms = {terms.venue_symbol: terms for terms in found}
        return found

    def positions(self, *, now_us: int) -> Steps[tuple[Position, ...]]:
        """Open positions."""
        return inbound.positions(doc=good((yield self._ask.positions())), config=self.config)

    def balances(self, *, now_us: int) -> Steps[tuple[Balance, ...]]:
        """The account's balance."""
        return inbound.balances(doc=good((yield self._ask.summary())))

    def _is_fill_of(self, row: Part, client_id: str, number: str) -> bool:
        return row.name("type") == "ORDER_FILL" and (
            row.raw("clientOrderID") == client_id or row.name("orderID") == number
        )
