"""What Binance says: depth, user stream and REST answers to quotes, reports and terms. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from piggy.adapters import telling
from piggy.adapters.answers import fields_of, is_doubtful
from piggy.adapters.binance.config import (
    CODE_DUPLICATE,
    CODES_OF_DOUBT,
    CODES_UNKNOWN_ORDER,
    DIFFS_BUFFERED_MAX,
    DUPLICATE_TEXT,
    EXECUTIONS,
    STATUSES,
)
from piggy.adapters.books import Book, lots
from piggy.adapters.interface import (
    Balance,
    Position,
    Reports,
    Response,
    Said,
    Symbol,
    SymbolMapping,
    UnableToReadReport,
    VenueConfig,
)
from piggy.adapters.reading import Level, Part, message, parts_of
from piggy.core.orders import Side

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
TRADED, ENDING = ("TRADE", "CALCULATED"), ("CANCELED", "EXPIRED", "TRADE_PREVENTION")


def code_of(response: Response) -> int:
    """Return the venue's error code, 0 where it gives none."""
    code = fields_of(response).get("code", 0)
    return code if isinstance(code, int) else 0


def text_of(response: Response) -> str:
    """Return the error in the venue's words."""
    return str(fields_of(response).get("msg", "") or response.text)


class Diff:
    """One depthUpdate, read whole before any of it counts."""

    __slots__ = ("asks", "before", "bids", "first", "last")

    def __init__(self, doc: object, *, chained: bool) -> None:
        part = Part(doc, what="Binance depthUpdate")
        self.first, self.last = part.whole("U"), part.whole("u")
        self.before = part.whole("pu") if chained else 0
        self.bids: list[Level] = part.levels("b")
        self.asks: list[Level] = part.levels("a")


class Depth:
    """One symbol's diffs in their sequence on top of a snapshot; what comes before the snapshot waits."""

    def __init__(self, *, book: Book, chained: bool) -> None:
        self._book = book
        self._chained = chained
        self._waiting: list[Diff] = []
        self._last = 0
        self._first = True
        self.asked = False

    def clear(self) -> None:
        """Start anew: the stream ended."""
        self._waiting.clear()
        self._book.clear()
        self.asked = False

    def start_anew(self) -> bool:
        """Forget the book, as an update of it is lost; return whether a snapshot must be asked for now."""
        asked = self.asked
        self.clear()
        self.asked = True
        return not asked

    def take(self, doc: object) -> bool:
        """Apply one depthUpdate; return whether a snapshot must be asked for now. Raises UnableToReadReport."""
        diff = Diff(doc, chained=self._chained)
        if self._book.whole:
            if self._apply(diff):
                return False
            self.clear()
        if len(self._waiting) >= DIFFS_BUFFERED_MAX:
            self._waiting.clear()
        self._waiting.append(diff)
        asked, self.asked = self.asked, True
        return not asked

    def snapshot(self, doc: object) -> None:
        """Take a whole book and what waited for it. Raises UnableToReadReport, also where a newer one is needed."""
        part = Part(doc, what="Binance depth")
        last, bids, asks = part.whole("lastUpdateId"), part.levels("bids"), part.levels("asks")
        self._book.clear()
        self._book.change(bids=bids, asks=asks)
        self._last, self._first = last, True
        waiting, self._waiting = self._waiting, []
        for number, diff in enumerate(waiting):
            if not self._apply(diff):
                self._book.clear()
                self._waiting = waiting[number:]
                raise UnableToReadReport(f"snapshot {self._last} is older than the stream")
        self._book.whole, self.asked = True, False

    def _apply(self, diff: Diff) -> bool:
        first, last = diff.first, diff.last
        if last < self._last or (last == self._last and not (self._chained and self._first)):
            return True
        if self._first:
            follows = first <= self._last + (0 if self._chained else 1) or (self._chained and diff.before == self._last)
        else:
            follows = diff.before == self._last if self._chained else first <= self._last + 1
        if follows:
            self._book.change(bids=diff.bids, asks=diff.asks)
            self._last, self._first = last, False
        return follows


def event_of(doc: object) -> Part:
    """Return the event of a user message, out of whatever wraps it. Raises UnableToReadReport."""
    whole = Part(doc, what="Binance user message")
    return next((whole.part(field) for field in ("event", "data") if whole.has(field)), whole)


def user_event(*, doc: object, raw: str, config: VenueConfig) -> Reports:
    """Return what an executionReport or ORDER_TRADE_UPDATE says; nothing for others. Raises UnableToReadReport."""
    event = event_of(doc)
    if event.raw("e") == "executionReport":
        return _execution(Part(event, what="Binance executionReport"), raw, config)
    if event.raw("e") == "ORDER_TRADE_UPDATE":
        return _execution(Part(event.part("o"), what="Binance ORDER_TRADE_UPDATE"), raw, config)
    return ()


def _execution(event: Part, raw: str, config: VenueConfig) -> Reports:
    mapping = config.mapping_from(name=event.name("s"))
    # A cancel of ours has an id of its own in `c`; spot puts the order's into `C`.
    client_id = event.name("C") if event.has("C") else event.name("c")
    cumulative = lots(units=event.size("z"), mapping=mapping)
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": event.ms("T"), "raw": raw}
    what, works = event.word("x", EXECUTIONS), event.word("X", STATUSES) == "working"
    if what in TRADED and event.size("l"):
        fee = f"{event.number('n'):f} {event.name('N')}" if event.has("N") and event.number_or("n", Decimal(0)) else ""
        return (
            telling.fill(
                venue_order_id=event.name("i"),
                fill_id=fill_id(mapping, event.name("t")),
                symbol=mapping.symbol,
                side=event.word("S", SIDES),
                lots=lots(units=event.size("l"), mapping=mapping),
                price=event.number("L"),
                cumulative=cumulative,
                fee=fee,
                **names,
            ),
        )
    if what == "NEW":
        return (telling.ack(venue_order_id=event.name("i"), **names),)
    if what == "REJECTED":
        reason = event.name_or("r", "REJECTED")
        return (telling.reject(code=reason, text=reason, **names),)
    if what in ENDING and not works:
        how = f"{event.name('X')} {event.name_or('r', '')}".strip()
        return (telling.done(cumulative=cumulative, how=how, **names),)
    return ()


def fill_id(mapping: SymbolMapping, number: object) -> str:
    """Return what makes a fill unique: trade numbers are counted per symbol."""
    return f"{mapping.venue_symbol}-{number}"


def order_answer(*, response: Response, client_id: str, config: VenueConfig, now_us: int) -> Reports:
    """Return what the answer to a new order says, doubt included. Raises UnableToReadReport."""
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": now_us, "raw": response.text}
    if response.ok:
        return _placed(message(response.text, what="Binance order"), response.text, client_id, config)
    code, text = code_of(response), text_of(response)
    if is_doubtful(response) or code in CODES_OF_DOUBT:
        return (telling.doubt(text=f"{response.status} {text}", **names),)
    if code == CODE_DUPLICATE or DUPLICATE_TEXT in text:
        # The first copy may well live there, and spot forgets an id once its order ended.
        return (telling.doubt(text="the venue saw this id twice", **names),)
    return (telling.reject(code=str(code or response.status), text=text, **names),)


def _placed(doc: Part, raw: str, client_id: str, config: VenueConfig) -> Reports:
    mapping = config.mapping_from(name=doc.name("symbol"))
    doc.must_name("clientOrderId", client_id)
    number, at_us = doc.name("orderId"), doc.ms("transactTime" if doc.has("transactTime") else "updateTime")
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": at_us, "raw": raw}
    stands, executed = doc.word("status", STATUSES), doc.size("executedQty")
    if stands == "rejected":
        return (telling.reject(code="REJECTED", text="rejected by the venue", **names),)
    rows = doc.parts("fills") if doc.has("fills") else []
    said = [telling.ack(venue_order_id=number, **names)]
    said += [
        telling.fill(
            venue_order_id=number,
            fill_id=fill_id(mapping, row.name("tradeId")),
            symbol=mapping.symbol,
            side=doc.word("side", SIDES),
            lots=lots(units=row.size("qty"), mapping=mapping),
            price=row.number("price"),
            fee=_fee(row),
            **names,
        )
        for row in rows
    ]
    dealt = sum((row.size("qty") for row in rows), Decimal(0))
    if rows and dealt != executed:
        raise UnableToReadReport(f"{doc.what}: its fills are {dealt:f} of {executed:f} executed")
    # Futures answer without the fills: how it ended is told by the stream or by a status, which bring them.
    if stands == "ended" and (rows or not executed):
        how = doc.name("status")
        said.append(telling.done(cumulative=lots(units=executed, mapping=mapping), how=how, **names))
    return tuple(said)


def _fee(row: Part) -> str:
    return f"{row.number('commission'):f} {row.name('commissionAsset')}" if row.has("commission") else ""


def ended_answer(*, doc: Part, raw: str, client_id: str, config: VenueConfig, now_us: int) -> Said:
    """Return what a successful cancel says. Raises UnableToReadReport."""
    # Spot gives the cancel an id of its own.
    doc.must_name("origClientOrderId" if doc.has("origClientOrderId") else "clientOrderId", client_id)
    mapping = config.mapping_from(name=doc.name("symbol"))
    cumulative = lots(units=doc.size("executedQty"), mapping=mapping)
    told = next((field for field in ("transactTime", "updateTime") if doc.has(field)), "")
    if doc.word("status", STATUSES) != "ended":
        raise UnableToReadReport(f"{doc.what}: a cancelled order is {doc.name('status')}")
    return telling.done(
        venue=config.venue,
        client_id=client_id,
        cumulative=cumulative,
        how=doc.name("status"),
        at_us=doc.ms(told) if told else now_us,
        raw=raw,
    )


def standing(doc: Part) -> str:
    """Return working, filled or ended of an order as the venue shows it. Raises UnableToReadReport."""
    stands = doc.word("status", STATUSES)
    return "ended" if stands == "rejected" else stands


def is_unknown(response: Response) -> bool:
    """Whether the venue says that it never had such an order."""
    return code_of(response) in CODES_UNKNOWN_ORDER


def trades(*, rows: object, client_ids: Mapping[str, str], config: VenueConfig, raw: str) -> Reports:
    """Return fills of `myTrades` or `userTrades`; `client_ids` are ours by the venue's order number.

    Raises UnableToReadReport.
    """
    said = []
    parts = parts_of(rows, what="Binance trade")
    for row in sorted(parts, key=lambda row: (row.ms("time"), row.whole("id"))):
        mapping, number = config.mapping_from(name=row.name("symbol")), row.name("orderId")
        side = row.word("side", SIDES) if row.has("side") else Side.BUY if row.flag("isBuyer") else Side.SELL
        if number not in client_ids:
            raise UnableToReadReport(f"{row.what}: orderId {number} was not looked up")
        said.append(
            telling.fill(
                venue=config.venue,
                client_id=client_ids[number],
                venue_order_id=number,
                fill_id=fill_id(mapping, row.name("id")),
                symbol=mapping.symbol,
                side=side,
                lots=lots(units=row.size("qty"), mapping=mapping),
                price=row.number("price"),
                at_us=row.ms("time"),
                fee=_fee(row),
                raw=raw,
            )
        )
    return tuple(said)


def symbols(*, doc: object, config: VenueConfig) -> tuple[Symbol, ...]:
    """Return the terms of the mapped symbols from exchangeInfo's filters. Raises UnableToReadReport."""
    rows = Part(doc, what="Binance exchangeInfo").parts("symbols")
    return tuple(_terms(row) for row in rows if row.name("symbol") in config.from_venue)


def _terms(row: Part) -> Symbol:
    filters = {rule.name("filterType"): rule for rule in row.parts("filters")}
    nothing, zero = Part({}, what=row.what), Decimal(0)
    price, lot = filters.get("PRICE_FILTER", nothing), filters.get("LOT_SIZE", nothing)
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or nothing
    return Symbol(
        venue_symbol=row.name("symbol"),
        tick_size=price.number_or("tickSize", zero),
        unit_step=lot.number_or("stepSize", zero),
        units_min=lot.number_or("minQty", zero),
        units_max=lot.number_or("maxQty", zero),
        notional_min=notional.number_or("minNotional", notional.number_or("notional", zero)),
        tradable=row.name("status") == "TRADING",
    )


def balances(*, doc: object) -> tuple[Balance, ...]:
    """Return spot's account or futures' balance rows. Raises UnableToReadReport."""
    if isinstance(doc, list):
        rows = parts_of(doc, what="Binance balance")
        return tuple(Balance(row.name("asset"), row.number("balance"), row.number("availableBalance")) for row in rows)
    rows = Part(doc, what="Binance account").parts("balances")
    return tuple(Balance(row.name("asset"), row.size("free") + row.size("locked"), row.size("free")) for row in rows)


def positions(*, rows: object, config: VenueConfig) -> tuple[Position, ...]:
    """Return futures' positions that are not flat, of mapped symbols. Raises UnableToReadReport."""
    found = []
    for row in parts_of(rows, what="Binance positionRisk"):
        mapping = config.from_venue.get(row.name("symbol"))
        if mapping is not None and row.number("positionAmt"):
            held = lots(units=row.number("positionAmt"), mapping=mapping)
            found.append(Position(mapping.symbol, held, row.number("entryPrice")))
    return tuple(found)


def fees(*, doc: object) -> tuple[Decimal, Decimal]:
    """Return maker and taker rates as fractions. Raises UnableToReadReport."""
    part = Part(doc, what="Binance commission")
    if part.has("standardCommission"):
        part = part.part("standardCommission")
    named = (("makerCommissionRate", "takerCommissionRate"), ("makerCommission", "takerCommission"), ("maker", "taker"))
    maker, taker = next((names for names in named if part.has(names[0])), named[-1])
    return part.number(maker), part.number(taker)
