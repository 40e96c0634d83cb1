"""One account behind a gateway: everything over one socket, orders named by their reference. Pure, no IO."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from piggy.adapters import telling
from piggy.adapters.books import BookKeeper, Books
from piggy.adapters.ibkr import inbound
from piggy.adapters.ibkr.config import BUDGET, LOOK_BACK_US, TICKERS, UNKNOWN_AFTER_US, In, Meaning, meaning_of
from piggy.adapters.ibkr.ladder import Ladder, Top
from piggy.adapters.ibkr.outbound import Asker, Contract, client_id, contract_of
from piggy.adapters.interface import (
    NOTHING,
    Balance,
    BudgetRule,
    Heard,
    Order,
    Position,
    ReportKind,
    Reports,
    Steps,
    Stream,
    Symbol,
    UnableToConnect,
    UnableToReadReport,
    UnableToTranslate,
    VenueConfig,
)
from piggy.adapters.reading import number_of
from piggy.adapters.terms import terms_of
from piggy.adapters.tracking import RESTATING
from piggy.core.events import ChildOrderCreated

_PRICES = frozenset({In.TICK_PRICE, In.TICK_SIZE, In.DEPTH, In.DEPTH_L2})


class IbkrSession(BookKeeper):
    """`config.account` must be one of the gateway's accounts; who may connect is the gateway's own setting."""

    budget: tuple[BudgetRule, ...] = BUDGET

    def __init__(self, *, config: VenueConfig) -> None:
        self.config = config
        self._ask = Asker(config=config)
        self._books = Books(config=config)
        self._known = inbound.Known(config=config)
        self._terms: dict[str, Symbol] = {}
        self._contracts: dict[str, Contract] = {}
        names = sorted(config.from_venue)
        # Every subscription has a number of its own: rows of the one before may still be on their way.
        self._tickers: dict[int, str] = {}
        self._next_ticker = TICKERS
        self._ladders: dict[str, Ladder | Top] = {name: Ladder() if config.depth > 1 else Top() for name in names}
        self._next_id = 0
        self._up = False
        self._feed_lost = False

    def client_id(self, *, cl_ord_id: str) -> str:
        """The order's reference, at most 32 characters."""
        return client_id(cl_ord_id=cl_ord_id)

    def connect(self, *, now_us: int) -> Steps[tuple[Stream, ...]]:
        """Account, next order number, contracts, orders that are there; prices begin. Raises UnableToConnect."""
        for text in inbound.messages(response=(yield self._ask.start())):
            row = inbound.fields_of(text=text)
            if row["kind"] == In.NEXT_ID:
                self._next_id = max(self._next_id, inbound.part_of(row).whole("number"))
            elif row["kind"] == In.ACCOUNTS and self.config.account not in row["accounts"].split(","):
                raise UnableToConnect(f"the gateway has no account {self.config.account}, only {row['accounts']}")
        yield from self.symbols(now_us=now_us)
        yield from self._learn_orders(now_us)
        for symbol in self.config.to_venue:
            yield from self.resync(symbol=symbol, now_us=now_us)
        self._up = True
        return (Stream(name="gateway", url="", silence_s_max=0),)

    @property
    def settled(self) -> bool:
        """Whether the gateway let us in; a closed market has no prices."""
        return self._up

    def hear(self, *, stream: str, text: str, now_us: int) -> Heard:
        """Take one message. Raises UnableToReadReport."""
        if text.partition(inbound.SEPARATOR)[0] in _PRICES:
            return self._hear_price(text, now_us)
        fields = inbound.fields_of(text=text)
        if fields["kind"] == In.NEXT_ID:
            self._next_id = max(self._next_id, inbound.part_of(fields).whole("number"))
            return NOTHING
        if fields["kind"] == In.ERROR and not self._known.ref_of(number=fields["number"]):
            return self._hear_notice(fields)
        return Heard(reports=inbound.read(text=text, known=self._known, config=self.config, now_us=now_us))

    def _hear_price(self, text: str, now_us: int) -> Heard:
        name = ""
        try:
            fields = inbound.fields_of(text=text)
            name = self._tickers.get(inbound.part_of(fields).whole("number"), "")
            if not name:
                return NOTHING
            symbol, ladder = self.config.from_venue[name].symbol, self._ladders[name]
            if not ladder.take(fields=fields):
                ladder.clear()
                self._withdraw(name, now_us)
                return Heard(gaps=(symbol,))
            self._books.top(symbol=symbol, bids=ladder.bids, asks=ladder.asks, venue_at_us=now_us, now_us=now_us)
        except UnableToReadReport as error:
            # Rows are named by their place: one that is lost leaves all behind it wrong, and whose it was may be lost.
            self._books.drop(symbol="", why=str(error))
            for lost in [name] if name else sorted(self._ladders):
                self._withdraw(lost, now_us)
            return Heard(
                gaps=tuple(self.config.from_venue[lost].symbol for lost in ([name] if name else self._ladders))
            )
        return NOTHING

    def _hear_notice(self, fields: inbound.Fields) -> Heard:
        part = inbound.part_of(fields)
        code, name = part.whole("code"), self._tickers.get(part.whole("number"), "")
        meaning = meaning_of(code=code)
        text = f"{code} {fields['text']}"
        if meaning is Meaning.DOWN:
            return Heard(down=text)
        if meaning is Meaning.FEED_LOST:
            # Which symbols the feed carried is not said.
            self._feed_lost = True
            for every in self._ladders:
                self._withdraw(every, 0)
        elif meaning is Meaning.FEED_BACK and self._feed_lost:
            self._feed_lost = False
            return Heard(gaps=tuple(self.config.to_venue))
        elif name and meaning in (Meaning.BOOK_RESET, Meaning.BOOK_HALTED):
            # After a reset every row comes anew; a halted book must be asked for again.
            self._withdraw(name, 0)
            return Heard(gaps=(self.config.from_venue[name].symbol,) if meaning is Meaning.BOOK_HALTED else ())
        elif meaning in (Meaning.NO_DATA, Meaning.REFUSED, Meaning.DOUBT):
            if name:
                self._withdraw(name, 0)
            raise UnableToReadReport(text)
        return NOTHING

    def _withdraw(self, name: str, now_us: int) -> None:
        symbol = self.config.from_venue[name].symbol
        self._ladders[name].clear()
        self._books.of[symbol].clear()
        self._books.touch(symbol=symbol, venue_at_us=self._books.of[symbol].venue_at_us, received_at_us=now_us)

    def resync(self, *, symbol: str, now_us: int) -> Steps[None]:
        """Ask for the prices of a symbol from the beginning; one without a contract has none."""
        name = self.config.mapping_of(symbol=symbol).venue_symbol
        if name not in self._contracts:
            return
        for before in [number for number, named in self._tickers.items() if named == name]:
            del self._tickers[before]
            if self._up:
                yield self._ask.unwatch(ticker=before)
        self._ladders[name].clear()
        ticker, self._next_ticker = self._next_ticker, self._next_ticker + 1
        self._tickers[ticker] = name
        yield self._ask.watch(ticker=ticker, contract=self._contracts[name])

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Nothing to do: a socket loses no message without breaking."""
        yield from ()
        return ()

    def lost(self) -> None:
        """Withdraw every quote."""
        self._up = self._feed_lost = False
        self._tickers.clear()
        self._books.clear()
        for ladder in self._ladders.values():
            ladder.clear()

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place a limit order, unless the gateway has one of its reference. Raises UnableToTranslate."""
        mapping = self.config.mapping_of(symbol=child.symbol)
        contract, ref = self._contract(child.symbol), self.client_id(cl_ord_id=child.cl_ord_id)
        terms = terms_of(terms=self._terms, mapping=mapping)
        names: dict[str, Any] = {"venue": self.config.venue, "client_id": ref, "at_us": now_us}
        request = self._ask.new_order(child=child, number=self._next_id, contract=contract, terms=terms)
        if self._known.is_known(ref=ref):
            return (telling.doubt(text="the venue has an order of this reference", **names),)
        self._known.learn(number=self._next_id, ref=ref, mapping=mapping)
        self._next_id += 1
        answer = yield request
        if not answer.ok:
            return (telling.doubt(text=answer.text or "no answer", **names),)
        said = self._read(inbound.messages(response=answer), now_us)
        return said or (telling.doubt(text="the answer says nothing of the order", **names),)

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """End an order; a refusal, or an answer that never comes, leaves it as it is."""
        if not self._known.number_of(ref=order.client_id):
            yield from self._learn_orders(now_us)
        said: Reports = ()
        text = "the gateway has no such order of ours"
        if number := self._known.number_of(ref=order.client_id):
            answer = yield self._ask.cancel(number=number)
            texts = inbound.messages(response=answer) if answer.ok else []
            said = self._read(texts, now_us)
            if any(one.report.kind is ReportKind.DONE for one in said):
                return said
            text = _refusal(texts) or answer.text or "not cancelled"
        names: dict[str, Any] = {"venue": self.config.venue, "client_id": order.client_id, "at_us": now_us}
        refused = telling.uncancel(text=text, **names)
        return (refused, *said, *(yield from self.status(order=order, now_us=now_us)))

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Send an order's number again with other terms. Raises UnableToTranslate."""
        number = self._known.number_of(ref=order.client_id)
        if not number:
            raise UnableToTranslate("The gateway has no such order of ours to change.")
        answer = yield self._ask.replace(
            order=order,
            quantity=quantity,
            limit_price=limit_price,
            number=number,
            contract=self._contract(order.symbol),
            terms=terms_of(terms=self._terms, mapping=self.config.mapping_of(symbol=order.symbol)),
        )
        text = _refusal(inbound.messages(response=answer)) if answer.ok else answer.text
        what = "replace_refused" if text or not answer.ok else "replaced"
        return (telling.note(client_id=order.client_id, what=what, text=text, at_us=now_us, raw=answer.text),)

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Missing fills, then the standing; nothing while the gateway cannot tell or may still get the order."""
        found = yield from self._stands(order.client_id, now_us)
        since_us = order.created_at_us - LOOK_BACK_US
        every = yield from self.fills(since_us=since_us, now_us=now_us)
        fills = tuple(said for said in every if said.report.cl_ord_id == order.client_id)
        executed = max((said.report.cumulative for said in fills), default=Decimal(0))
        if any(said.report.kind in RESTATING for said in fills):
            # What stands of them is the order's own count.
            executed = Decimal(0)
        if found is None and executed < order.quantity:
            if executed or now_us - order.created_at_us <= UNKNOWN_AFTER_US:
                return fills
            return (telling.status(client_id=order.client_id, standing="unknown", at_us=now_us),)
        standing, units = found or ("filled", "0")
        mapping = self.config.mapping_of(symbol=order.symbol)
        self._known.learn(number=self._known.number_of(ref=order.client_id), ref=order.client_id, mapping=mapping)
        shown = number_of(units or "0", what="TWS message ORDER_STATUS", field="filled")
        told = max(executed, self._known.lots(ref=order.client_id, units=shown))
        names: dict[str, Any] = {"client_id": order.client_id, "standing": standing, "at_us": now_us}
        return (*fills, telling.status(cumulative=told, text=standing, **names))

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Every execution of mapped contracts since an instant, as far back as the gateway keeps them."""
        texts = inbound.messages(response=(yield self._ask.executions(since_us=since_us)))
        rows = [(inbound.fields_of(text=text), text) for text in texts]
        mapped = [(row["exec_id"], text) for row, text in rows if row.get("con_id") in self._known.contracts]
        return self._read([text for _, text in sorted(mapped)], now_us)

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """References of what works."""
        texts = inbound.messages(response=(yield self._ask.open_orders()))
        rows = [inbound.fields_of(text=text) for text in texts]
        return tuple(row["ref"] for row in rows if row["kind"] == In.OPEN_ORDER)

    def symbols(self, *, now_us: int) -> Steps[tuple[Symbol, ...]]:
        """Terms of the mapped contracts, kept for the checks of every order; a name that fits several has none."""
        for name in sorted(self.config.from_venue):
            answer = yield self._ask.contract(venue_symbol=name)
            if not answer.ok and answer.status != 400:
                raise UnableToConnect(answer.text or "no contract details came")
            rows = [inbound.fields_of(text=text) for text in inbound.messages(response=answer)] if answer.ok else []
            if len(rows) == 1:
                self._terms[name] = inbound.symbol(fields=rows[0], venue_symbol=name)
                self._contracts[name] = contract_of(venue_symbol=name) | {"con_id": rows[0]["con_id"]}
                self._known.contracts[rows[0]["con_id"]] = self.config.from_venue[name]
        return tuple(self._terms.values())

    def positions(self, *, now_us: int) -> Steps[tuple[Position, ...]]:
        """Positions of mapped contracts."""
        texts = inbound.messages(response=(yield self._ask.positions()))
        return inbound.positions(texts=texts, known=self._known, config=self.config)

    def balances(self, *, now_us: int) -> Steps[tuple[Balance, ...]]:
        """Cash and available funds."""
        texts = inbound.messages(response=(yield self._ask.summary()))
        return inbound.balances(texts=texts, config=self.config)

    def _contract(self, symbol: str) -> Contract:
        name = self.config.mapping_of(symbol=symbol).venue_symbol
        if name not in self._contracts:
            raise UnableToTranslate(f"Interactive Brokers knows no one contract {name}.")
        return self._contracts[name]

    def _read(self, texts: list[str], now_us: int) -> Reports:
        said: Reports = ()
        for text in texts:
            said += inbound.read(text=text, known=self._known, config=self.config, now_us=now_us)
        return said

    def _learn_orders(self, now_us: int) -> Steps[None]:
        for request in (self._ask.completed_orders(), self._ask.open_orders()):
            for text in inbound.messages(response=(yield request)):
                row = inbound.fields_of(text=text)
                if row.get("ref"):
                    self._known.hear_of(fields=row)

    def _stands(self, ref: str, now_us: int) -> Steps[tuple[str, str] | None]:
        """Return standing and units filled of an order in the gateway's lists; None where it is in neither."""
        texts = inbound.messages(response=(yield self._ask.open_orders()))
        rows = [inbound.fields_of(text=text) for text in texts]
        perm_ids = {row["perm_id"] for row in rows if row["kind"] == In.OPEN_ORDER and row["ref"] == ref}
        told = [row for row in rows if row["kind"] == In.ORDER_STATUS and row["perm_id"] in perm_ids]
        if perm_ids:
            return (inbound.standing(status=told[-1]["status"]), told[-1]["filled"]) if told else ("working", "0")
        texts = inbound.messages(response=(yield self._ask.completed_orders()))
        rows = [inbound.fields_of(text=text) for text in texts]
        ended = [row for row in rows if row["kind"] == In.COMPLETED and row["ref"] == ref]
        if not ended:
            return None
        return inbound.standing(status=ended[-1]["status"], ended=True), ended[-1]["filled"]


def _refusal(texts: list[str]) -> str:
    """Return the words of a refusal among messages, if there is one."""
    rows = [inbound.fields_of(text=text) for text in texts]
    refused = [
        f"{row['code']} {row['text']}"
        for row in rows
        if row["kind"] == In.ERROR and meaning_of(code=inbound.part_of(row).whole("code")) is not Meaning.NOTICE
    ]
    return refused[0] if refused else ""
