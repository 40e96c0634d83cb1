"""One OANDA account: a stream of prices, a stream of transactions numbered without holes. Pure, no IO."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from piggy.adapters import telling
from piggy.adapters.answers import document, fields_of, good
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
    VenueConfig,
)
from piggy.adapters.oanda import inbound
from piggy.adapters.oanda.config import BUDGET, SILENCE_S_MAX, STREAM_URL, UNKNOWN_AFTER_US
from piggy.adapters.oanda.outbound import Asker
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
        account = good((yield self._ask.summary()))
        self._seen = self._seen or int(account["lastTransactionID"])
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
        """Take a price, a transaction or a heartbeat. Raises UnableToReadReport."""
        doc = document(text)
        self._greeted.add(stream)
        kind = doc.get("type", "")
        if stream == PRICES:
            if kind == "PRICE":
                inbound.price(doc=doc, books=self._books, config=self.config, now_us=now_us)
            return NOTHING
        if kind == "HEARTBEAT":
            # Heartbeats go on when a transaction was lost on its way: the number tells.
            self._behind = self._behind or int(doc["lastTransactionID"]) > self._seen
            return NOTHING
        self._behind = self._behind or int(doc["id"]) > self._seen + 1
        if self._behind:
            # All of it comes in its order when the hole is filled.
            return NOTHING
        self._seen = max(self._seen, int(doc["id"]))
        return Heard(reports=inbound.transaction(doc=doc, known=self._known, config=self.config, raw=text))

    def resync(self, *, symbol: str, now_us: int) -> Steps[None]:
        """Nothing to do: every price is a whole book."""
        yield from ()

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Fetch the transactions that the stream skipped."""
        if not self._behind:
            return ()
        answer = yield self._ask.since(transaction_id=str(self._seen))
        doc = good(answer)
        self._seen, self._behind = int(doc["lastTransactionID"]), False
        return inbound.transactions(docs=doc["transactions"], known=self._known, config=self.config, raw=answer.text)

    def lost(self) -> None:
        """Withdraw every quote; what is missed is known by its number."""
        self._books.clear()
        self._greeted.clear()

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place an order. Raises UnableToTranslate."""
        terms = self._terms.get(self.config.mapping_of(symbol=child.symbol).venue_symbol)
        answer = yield self._ask.new_order(child=child, terms=terms)
        return inbound.order_answer(
            response=answer, client_id=child.cl_ord_id, known=self._known, config=self.config, now_us=now_us
        )

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; how it ended, with every fill, is what the status says."""
        answer = yield self._ask.cancel(order=order)
        said = yield from self.status(order=order, now_us=now_us)
        if answer.ok:
            return said
        reason = str(fields_of(answer).get("errorCode", answer.status))
        return (telling.uncancel(venue=self.config.venue, client_id=order.client_id, text=reason, at_us=now_us), *said)

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Change an order; the venue gives it a new number under the same client id. Raises UnableToTranslate."""
        terms = self._terms.get(self.config.mapping_of(symbol=order.symbol).venue_symbol)
        answer = yield self._ask.replace(order=order, quantity=quantity, limit_price=limit_price, terms=terms)
        what = "replaced" if answer.ok else "replace_refused"
        text = "" if answer.ok else str(fields_of(answer).get("errorMessage", answer.status))
        return (telling.note(client_id=order.client_id, what=what, text=text, at_us=now_us, raw=answer.text),)

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Every fill of the order, then how it stands; nothing while that cannot be told."""
        answer = yield self._ask.order(client_id=order.client_id)
        if answer.status == 404 and now_us - order.created_at_us > UNKNOWN_AFTER_US:
            text = str(fields_of(answer).get("errorMessage", ""))
            return (telling.status(client_id=order.client_id, standing="unknown", at_us=now_us, text=text),)
        if not answer.ok:
            return ()
        doc = document(answer.text)["order"]
        first = str(doc.get("replacesOrderID") or doc["id"])
        since = yield self._ask.since(transaction_id=str(int(first) - 1))
        fills = [row for row in good(since)["transactions"] if self._is_fill_of(row, order.client_id, str(doc["id"]))]
        mapping = self.config.mapping_of(symbol=order.symbol)
        filled = lots(units=sum((abs(Decimal(row["units"])) for row in fills), Decimal(0)), mapping=mapping)
        return (
            *inbound.transactions(docs=fills, known=self._known, config=self.config, raw=since.text),
            telling.status(
                client_id=order.client_id,
                standing=inbound.standing(doc),
                cumulative=filled,
                at_us=now_us,
                text=doc["state"],
                raw=answer.text,
            ),
        )

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Every fill of the account since an instant."""
        said: Reports = ()
        for url in good((yield self._ask.pages(since_us=since_us)))["pages"]:
            answer = yield self._ask.page(url=url)
            rows = [row for row in good(answer)["transactions"] if row["type"] == "ORDER_FILL"]
            said += inbound.transactions(docs=rows, known=self._known, config=self.config, raw=answer.text)
        return said

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """Client ids of pending orders."""
        rows = good((yield self._ask.pending()))["orders"]
        return tuple(str(row.get("clientExtensions", {}).get("id", "")) for row in rows)

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

    def _is_fill_of(self, row: Mapping[str, Any], client_id: str, number: str) -> bool:
        return row["type"] == "ORDER_FILL" and (row.get("clientOrderID") == client_id or row["orderID"] == number)
