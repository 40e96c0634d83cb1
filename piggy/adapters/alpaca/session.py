"""One Alpaca account: trade updates, quotes, and activities that find what a stream lost. Pure, no IO."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from piggy.adapters import telling
from piggy.adapters.alpaca import inbound
from piggy.adapters.alpaca.config import BUDGET, DATA_URL, FEED, FILLS_A_PAGE, STREAM_URL, UNKNOWN_AFTER_US
from piggy.adapters.alpaca.outbound import Asker
from piggy.adapters.answers import document, fields_of, good
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
    UnableToTranslate,
    VenueConfig,
)
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
        self._client_ids: dict[str, str] = {}
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
        """Take a trade update, quotes, or a greeting. Raises UnableToReadReport."""
        doc = document(text)
        if stream == QUOTES:
            return self._hear_quotes(doc, now_us)
        what = doc.get("stream")
        if what == "authorization" and doc["data"].get("status") != "authorized":
            return Heard(down="the venue refused our key")
        if what == "listening" and "trade_updates" in doc["data"].get("streams", ()):
            self._greeted.add(TRADES)
        if what != "trade_updates":
            return NOTHING
        said = inbound.trade_update(doc=doc["data"], executions=self._executions, config=self.config, raw=text)
        return Heard(reports=said)

    def _hear_quotes(self, rows: list[dict[str, Any]], now_us: int) -> Heard:
        for row in rows:
            if row["T"] == "q":
                inbound.quote(doc=row, books=self._books, config=self.config, now_us=now_us)
            elif row["T"] == "error":
                return Heard(down=f"quotes: {row.get('code')} {row.get('msg')}")
            elif row["T"] == "subscription":
                self._greeted.add(QUOTES)
        return NOTHING

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
        """Place a limit order. Raises UnableToTranslate."""
        terms = self._terms.get(self.config.mapping_of(symbol=child.symbol).venue_symbol)
        answer = yield self._ask.new_order(child=child, terms=terms)
        if answer.ok:
            self._client_ids[str(document(answer.text)["id"])] = child.cl_ord_id
        return inbound.order_answer(response=answer, client_id=child.cl_ord_id, config=self.config, now_us=now_us)

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; the stream tells of the end, the status of one that had ended already."""
        answer = yield self._ask.order(client_id=order.client_id)
        if answer.ok:
            answer = yield self._ask.cancel(number=str(document(answer.text)["id"]))
            if answer.ok:
                return ()
        text = str(fields_of(answer).get("message", answer.status))
        refused = telling.uncancel(venue=self.config.venue, client_id=order.client_id, text=text, at_us=now_us)
        return (refused, *(yield from self.status(order=order, now_us=now_us)))

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Raises UnableToTranslate, always: Alpaca makes another order of it, with another client id."""
        yield from ()
        raise UnableToTranslate("Alpaca cannot change an order in place; cancel it and place another.")

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Missing fills, then the standing; nothing while the venue cannot tell or may still get the order."""
        answer = yield self._ask.order(client_id=order.client_id)
        if answer.status == 404 and now_us - order.created_at_us > UNKNOWN_AFTER_US:
            text = str(fields_of(answer).get("message", ""))
            return (telling.status(client_id=order.client_id, standing="unknown", at_us=now_us, text=text),)
        if not answer.ok:
            return ()
        doc = document(answer.text)
        self._client_ids[str(doc["id"])] = order.client_id
        filled = inbound.filled_of(doc, self.config)
        found: Reports = ()
        if filled > order.filled:
            every = yield from self.fills(since_us=order.created_at_us - FILLS_BEFORE_US, now_us=now_us)
            found = tuple(said for said in every if said.report.cl_ord_id == order.client_id)
        said = telling.status(
            client_id=order.client_id,
            standing=inbound.standing(doc),
            cumulative=filled,
            at_us=now_us,
            text=str(doc["status"]),
            raw=answer.text,
        )
        return (*found, said)

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Every fill of the account since an instant, page by page."""
        said: Reports = ()
        page = ""
        while True:
            answer = yield self._ask.fills(since_us=since_us, page=page)
            rows = good(answer)
            mapped = [row for row in rows if row["symbol"] in self.config.from_venue]
            for number in sorted({row["order_id"] for row in mapped} - self._client_ids.keys()):
                order = good((yield self._ask.order_by_number(number=number)))
                self._client_ids[number] = str(order["client_order_id"])
            said += inbound.activities(rows=mapped, client_ids=self._client_ids, config=self.config, raw=answer.text)
            if len(rows) < FILLS_A_PAGE:
                return said
            page = str(rows[-1]["id"])

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """Client ids of what works."""
        return tuple(str(row["client_order_id"]) for row in good((yield self._ask.open_orders())))

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
