"""One Alpaca account: trade updates, quotes, and activities that find what a stream lost. Pure, no IO."""

from __future__ import annotations

from decimal import Decimal

from piggy.adapters import telling
from piggy.adapters.alpaca import inbound
from piggy.adapters.alpaca.config import BUDGET, DATA_URL, FEED, FILLS_A_PAGE, STREAM_URL, UNKNOWN_AFTER_US
from piggy.adapters.alpaca.outbound import Asker
from piggy.adapters.answers import document, fields_of, good, says_unknown
from piggy.adapters.books import BookKeeper, Books
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
    UnableToTranslate,
    VenueConfig,
)
from piggy.adapters.latest import Latest
from piggy.adapters.reading import Part, answer, answers, message, parts_of
from piggy.adapters.terms import terms_of
from piggy.core.events import ChildOrderCreated

TRADES, QUOTES = "trades", "quotes"
FILLS_BEFORE_US = 60_000_000


class AlpacaSession(BookKeeper):
    """`config.key` and `config.secret` are the key id and its secret."""

    budget: tuple[BudgetRule, ...] = BUDGET

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self._ask = Asker(config=config)
        self._books = Books(config=config)
        self._terms: dict[str, Symbol] = {}
        self._client_ids = Latest[str, str]()
        self._greeted: set[str] = set()
        self._executions = inbound.Executions()

    def client_id(self, *, cl_ord_id: str) -> str:
        """Alpaca takes any id of up to 128 characters."""
        return cl_ord_id

    def connect(self, *, now_us: int) -> Steps[tuple[Stream, ...]]:
        """Terms, which a wrong key does not get; the two streams. Raises UnableToConnect."""
        yield from self.symbols(now_us=now_us)
        trades = f"{(self.config.stream_url or STREAM_URL).rstrip('/')}/stream"
        settings = self.config.settings
        quotes = f"{settings.get('data_url', DATA_URL).rstrip('/')}/v2/{settings.get('feed', FEED)}"
        return (
            Stream(name=TRADES, url=trades, hello=self._ask.trade_hello(), silence_s_max=0),
            Stream(name=QUOTES, url=quotes, hello=self._ask.data_hello(), silence_s_max=0),
        )

    @property
    def settled(self) -> bool:
        """Whether both streams confirmed what we asked for; a closed market has no quotes."""
        return self._greeted == {TRADES, QUOTES}

    def hear(self, *, stream: str, text: str, now_us: int) -> Heard:
        """Take a trade update, quotes, or a greeting. Raises UnableToReadReport for all but quotes."""
        if stream == QUOTES:
            return self._hear_quotes(text, now_us)
        doc = message(text, what="Alpaca message")
        what = doc.raw("stream")
        if what == "authorization" and doc.part("data").raw("status") != "authorized":
            return Heard(down="the venue refused our key")
        if what == "listening" and "trade_updates" in str(doc.part("data").raw("streams")):
            self._greeted.add(TRADES)
        if what != "trade_updates":
            return NOTHING
        update = doc.part("data").doc
        said = inbound.trade_update(doc=update, executions=self._executions, config=self.config, raw=text)
        return Heard(reports=said)

    def _hear_quotes(self, text: str, now_us: int) -> Heard:
        try:
            rows = parts_of(document(text), what="Alpaca quotes")
        except UnableToReadReport as error:
            self._books.drop(symbol="", why=str(error))
            return NOTHING
        for row in rows:
            if row.raw("T") == "error":
                return Heard(down=f"quotes: {row.raw('code')} {row.raw('msg')}")
            if row.raw("T") == "subscription":
                self._greeted.add(QUOTES)
            elif row.raw("T") not in ("success", "t", "b", "s"):
                self._hear_quote(row, now_us)
        return NOTHING

    def _hear_quote(self, row: Part, now_us: int) -> None:
        symbol = ""
        try:
            row.word("T", {"q": "q"})
            symbol = self.config.mapping_from(name=row.name("S")).symbol
            inbound.quote(doc=row.doc, books=self._books, config=self.config, now_us=now_us)
        except UnableToReadReport as error:
            self._books.drop(symbol=symbol, why=str(error))

    def resync(self, *, symbol: str, now_us: int) -> Steps[None]:
        """Nothing to do: every quote is whole."""
        yield from ()

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Nothing to do: the streams are kept alive by their own pings."""
        yield from ()
        return ()

    def lost(self) -> None:
        """Withdraw every quote."""
        self._books.clear()
        self._greeted.clear()

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place a limit order. Raises UnableToTranslate, UnableToReadReport."""
        terms = terms_of(terms=self._terms, mapping=self.config.mapping_of(symbol=child.symbol))
        found = yield self._ask.new_order(child=child, terms=terms)
        said = inbound.order_answer(response=found, client_id=child.cl_ord_id, config=self.config, now_us=now_us)
        if found.ok:
            self._client_ids[message(found.text, what="Alpaca order").name("id")] = child.cl_ord_id
        return said

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; the stream tells of the end, the status of one that had ended already."""
        found = yield self._ask.order(client_id=order.client_id)
        if found.ok:
            doc = message(found.text, what="Alpaca order")
            doc.must_name("client_order_id", order.client_id)
            found = yield self._ask.cancel(number=doc.name("id"))
            if found.ok:
                return ()
        text = str(fields_of(found).get("message", found.status))
        refused = telling.uncancel(venue=self.config.venue, client_id=order.client_id, text=text, at_us=now_us)
        return (refused, *(yield from self.status(order=order, now_us=now_us)))

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Raises UnableToTranslate, always: Alpaca makes another order of it, with another client id."""
        yield from ()
        raise UnableToTranslate("Alpaca cannot change an order in place; cancel it and place another.")

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Missing fills, then the standing; nothing while the venue cannot tell or may still get the order."""
        shown = yield self._ask.order(client_id=order.client_id)
        unknown = says_unknown(shown, words=("message",))
        if unknown and now_us - order.created_at_us > UNKNOWN_AFTER_US:
            text = str(fields_of(shown).get("message", ""))
            return (telling.status(client_id=order.client_id, standing="unknown", at_us=now_us, text=text),)
        if not shown.ok:
            return ()
        doc = message(shown.text, what="Alpaca order")
        doc.must_name("client_order_id", order.client_id)
        stands, filled = inbound.standing(doc), inbound.filled_of(doc, self.config)
        self._client_ids[doc.name("id")] = order.client_id
        found: Reports = ()
        if filled > order.filled:
            every = yield from self.fills(since_us=order.created_at_us - FILLS_BEFORE_US, now_us=now_us)
            found = tuple(said for said in every if said.report.cl_ord_id == order.client_id)
        said = telling.status(
            client_id=order.client_id,
            standing=stands,
            cumulative=filled,
            at_us=now_us,
            text=doc.name("status"),
            raw=shown.text,
        )
        return (*found, said)

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Every fill of the account since an instant, page by page."""
        said: Reports = ()
        page = ""
        while True:
            found = yield self._ask.fills(since_us=since_us, page=page)
            rows = answers(found, what="Alpaca activity")
            mapped = [row for row in rows if row.name("symbol") in self.config.from_venue]
            for number in sorted({row.name("order_id") for row in mapped} - self._client_ids.keys()):
                order = answer((yield self._ask.order_by_number(number=number)), what="Alpaca order")
                self._client_ids[number] = order.name("client_order_id")
            said += inbound.activities(
                rows=[row.doc for row in mapped], client_ids=self._client_ids, config=self.config, raw=found.text
            )
            if len(rows) < FILLS_A_PAGE:
                return said
            if page == (page := rows[-1].name("id")):
                raise UnableToReadReport(f"Alpaca activity: the page behind {page} is the one before")

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """Client ids of what works."""
        rows = answers((yield self._ask.open_orders()), what="Alpaca orders")
        return tuple(row.name("client_order_id") for row in rows)

    def symbols(self, *, now_us: int) -> Steps[tuple[Symbol, ...]]:
        """Terms of the mapped symbols, kept for the checks of every order."""
        for name in sorted(self.config.from_venue):
            self._terms[name] = inbound.symbol(doc=good((yield self._ask.asset(name=name))))
        return tuple(self._terms.values())

    def positions(self, *, now_us: int) -> Steps[tuple[Position, ...]]:
        """Open positions."""
        return inbound.positions(rows=good((yield self._ask.positions())), config=self.config)

    def balances(self, *, now_us: int) -> Steps[tuple[Balance, ...]]:
        """Cash and buying power."""
        return inbound.balances(doc=good((yield self._ask.account())))
