"""What Binance says: depth, user stream and REST answers to quotes, reports and terms. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from piggy.adapters import telling
from piggy.adapters.answers import document, fields_of
from piggy.adapters.binance.config import (
    CODE_DUPLICATE,
    CODES_OF_DOUBT,
    CODES_UNKNOWN_ORDER,
    DIFFS_BUFFERED_MAX,
    DUPLICATE_TEXT,
    WORKING,
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
from piggy.core.orders import Side

Doc = Mapping[str, Any]


def code_of(response: Response) -> int:
    """Return the venue's error code, 0 where it gives none."""
    return int(fields_of(response).get("code", 0))


def text_of(response: Response) -> str:
    """Return the error in the venue's words."""
    return str(fields_of(response).get("msg", "") or response.text)


class Depth:
    """One symbol's diffs in their sequence on top of a snapshot; what comes before the snapshot waits."""

    def __init__(self, *, book: Book, chained: bool) -> None:
        self._book = book
        self._chained = chained
        self._waiting: list[Doc] = []
        self._last = 0
        self._first = True
        self.asked = False

    def clear(self) -> None:
        """Start anew: the stream ended."""
        self._waiting.clear()
        self._book.clear()
        self.asked = False

    def take(self, diff: Doc) -> bool:
        """Apply one depthUpdate; return whether a snapshot must be asked for now."""
        if self._book.whole:
            if self._apply(diff):
                return False
            self.clear()
        if len(self._waiting) >= DIFFS_BUFFERED_MAX:
            self._waiting.clear()
        self._waiting.append(diff)
        asked, self.asked = self.asked, True
        return not asked

    def snapshot(self, doc: Doc) -> None:
        """Take a whole book and what waited for it. Raises UnableToReadReport where a newer one is needed."""
        self._book.clear()
        self._book.change(bids=doc["bids"], asks=doc["asks"])
        self._last, self._first = int(doc["lastUpdateId"]), True
        waiting, self._waiting = self._waiting, []
        for number, diff in enumerate(waiting):
            if not self._apply(diff):
                self._book.clear()
                self._waiting = waiting[number:]
                raise UnableToReadReport(f"snapshot {self._last} is older than the stream")
        self._book.whole, self.asked = True, False

    def _apply(self, diff: Doc) -> bool:
        first, last = int(diff["U"]), int(diff["u"])
        if last < self._last or (last == self._last and not (self._chained and self._first)):
            return True
        if self._first:
            follows = first <= self._last + (0 if self._chained else 1) or (self._chained and diff["pu"] == self._last)
        else:
            follows = int(diff["pu"]) == self._last if self._chained else first <= self._last + 1
        if follows:
            self._book.change(bids=diff["b"], asks=diff["a"])
            self._last, self._first = last, False
        return follows


def user_event(*, doc: Doc, raw: str, config: VenueConfig) -> Reports:
    """Return what an executionReport or ORDER_TRADE_UPDATE says; nothing for others. Raises UnableToReadReport."""
    event = doc.get("event") or doc.get("data") or doc
    try:
        if event.get("e") == "executionReport":
            return _execution(event, raw, config)
        if event.get("e") == "ORDER_TRADE_UPDATE":
            return _execution(event["o"] | {"E": event["E"]}, raw, config)
    except (KeyError, ValueError, TypeError, InvalidOperation) as error:
        raise UnableToReadReport(f"{type(error).__name__} {error}") from error
    return ()


def _execution(event: Doc, raw: str, config: VenueConfig) -> Reports:
    mapping = config.mapping_from(name=event["s"])
    # A cancel of ours has an id of its own in `c`; spot puts the order's into `C`.
    client_id = str(event.get("C") or event["c"])
    at_us = int(event["T"]) * 1_000
    cumulative = lots(units=Decimal(event["z"]), mapping=mapping)
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": at_us, "raw": raw}
    what = event["x"]
    if what in ("TRADE", "CALCULATED") and Decimal(event["l"]):
        fee = f"{event['n']} {event['N']}" if event.get("N") and Decimal(event.get("n") or 0) else ""
        return (
            telling.fill(
                venue_order_id=str(event["i"]),
                fill_id=fill_id(mapping, event["t"]),
                symbol=mapping.symbol,
                side=Side(event["S"].lower()),
                lots=lots(units=Decimal(event["l"]), mapping=mapping),
                price=Decimal(event["L"]),
                cumulative=cumulative,
                fee=fee,
                **names,
            ),
        )
    if what == "NEW":
        return (telling.ack(venue_order_id=str(event["i"]), **names),)
    if what == "REJECTED":
        return (telling.reject(code=str(event["r"]), text=str(event["r"]), **names),)
    if what in ("CANCELED", "EXPIRED", "TRADE_PREVENTION") and event["X"] not in WORKING:
        how = f"{event['X']} {event.get('r', '')}".strip()
        return (telling.done(cumulative=cumulative, how=how, **names),)
    return ()


def fill_id(mapping: SymbolMapping, number: object) -> str:
    """Return what makes a fill unique: trade numbers are counted per symbol."""
    return f"{mapping.venue_symbol}-{number}"


def order_answer(*, response: Response, client_id: str, config: VenueConfig, now_us: int) -> Reports:
    """Return what the answer to a new order says, doubt included."""
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": now_us, "raw": response.text}
    if response.ok:
        doc = document(response.text)
        return _placed(doc, response.text, config)
    code, text = code_of(response), text_of(response)
    if response.status == 0 or response.status >= 500 or code in CODES_OF_DOUBT:
        return (telling.doubt(text=f"{response.status} {text}", **names),)
    if code == CODE_DUPLICATE or DUPLICATE_TEXT in text:
        # The first copy may well live there, and spot forgets an id once its order ended.
        return (telling.doubt(text="the venue saw this id twice", **names),)
    return (telling.reject(code=str(code or response.status), text=text, **names),)


def _placed(doc: Doc, raw: str, config: VenueConfig) -> Reports:
    mapping = config.mapping_from(name=doc["symbol"])
    client_id, number = str(doc["clientOrderId"]), str(doc["orderId"])
    at_us = int(doc.get("transactTime") or doc["updateTime"]) * 1_000
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": at_us, "raw": raw}
    if doc["status"] == "REJECTED":
        return (telling.reject(code="REJECTED", text="rejected by the venue", **names),)
    said = [telling.ack(venue_order_id=number, **names)]
    said += [
        telling.fill(
            venue_order_id=number,
            fill_id=fill_id(mapping, row["tradeId"]),
            symbol=mapping.symbol,
            side=Side(doc["side"].lower()),
            lots=lots(units=Decimal(row["qty"]), mapping=mapping),
            price=Decimal(row["price"]),
            fee=f"{row['commission']} {row['commissionAsset']}",
            **names,
        )
        for row in doc.get("fills", ())
    ]
    executed = Decimal(doc["executedQty"])
    # Futures answer without the fills: how it ended is told by the stream or by a status, which bring them.
    if doc["status"] not in WORKING and doc["status"] != "FILLED" and (doc.get("fills") or not executed):
        said.append(telling.done(cumulative=lots(units=executed, mapping=mapping), how=doc["status"], **names))
    return tuple(said)


def ended_answer(*, doc: Doc, raw: str, client_id: str, config: VenueConfig, now_us: int) -> Said:
    """Return what a successful cancel says."""
    mapping = config.mapping_from(name=doc["symbol"])
    cumulative = lots(units=Decimal(doc["executedQty"]), mapping=mapping)
    at_us = int(doc.get("transactTime") or doc.get("updateTime") or now_us // 1_000) * 1_000
    return telling.done(
        venue=config.venue, client_id=client_id, cumulative=cumulative, how=doc["status"], at_us=at_us, raw=raw
    )


def standing(doc: Doc) -> str:
    """Return working, filled or ended of an order as the venue shows it."""
    if doc["status"] in WORKING:
        return "working"
    return "filled" if doc["status"] == "FILLED" else "ended"


def is_unknown(response: Response) -> bool:
    """Whether the venue says that it never had such an order."""
    return code_of(response) in CODES_UNKNOWN_ORDER


def trades(*, rows: list[Doc], client_ids: Mapping[str, str], config: VenueConfig, raw: str) -> Reports:
    """Return fills of `myTrades` or `userTrades`; `client_ids` are ours by the venue's order number."""
    said = []
    for row in sorted(rows, key=lambda row: (row["time"], row["id"])):
        mapping = config.mapping_from(name=row["symbol"])
        bought = row["isBuyer"] if "isBuyer" in row else row["side"] == "BUY"
        said.append(
            telling.fill(
                venue=config.venue,
                client_id=client_ids[str(row["orderId"])],
                venue_order_id=str(row["orderId"]),
                fill_id=fill_id(mapping, row["id"]),
                symbol=mapping.symbol,
                side=Side.BUY if bought else Side.SELL,
                lots=lots(units=Decimal(row["qty"]), mapping=mapping),
                price=Decimal(row["price"]),
                at_us=int(row["time"]) * 1_000,
                fee=f"{row['commission']} {row['commissionAsset']}",
                raw=raw,
            )
        )
    return tuple(said)


def symbols(*, doc: Doc, config: VenueConfig) -> tuple[Symbol, ...]:
    """Return the terms of the mapped symbols from exchangeInfo's filters."""
    return tuple(_terms(row) for row in doc["symbols"] if row["symbol"] in config.from_venue)


def _terms(row: Doc) -> Symbol:
    filters = {rule["filterType"]: rule for rule in row["filters"]}
    price, lot = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    return Symbol(
        venue_symbol=row["symbol"],
        tick_size=Decimal(price.get("tickSize", 0)),
        unit_step=Decimal(lot.get("stepSize", 0)),
        units_min=Decimal(lot.get("minQty", 0)),
        units_max=Decimal(lot.get("maxQty", 0)),
        notional_min=Decimal(notional.get("minNotional") or notional.get("notional") or 0),
        tradable=row["status"] == "TRADING",
    )


def balances(*, doc: Any) -> tuple[Balance, ...]:
    """Return spot's account or futures' balance rows."""
    if isinstance(doc, list):
        return tuple(Balance(row["asset"], Decimal(row["balance"]), Decimal(row["availableBalance"])) for row in doc)
    return tuple(
        Balance(row["asset"], Decimal(row["free"]) + Decimal(row["locked"]), Decimal(row["free"]))
        for row in doc["balances"]
    )


def positions(*, rows: list[Doc], config: VenueConfig) -> tuple[Position, ...]:
    """Return futures' positions that are not flat, of mapped symbols."""
    return tuple(
        Position(mapping.symbol, lots(units=Decimal(row["positionAmt"]), mapping=mapping), Decimal(row["entryPrice"]))
        for row in rows
        if (mapping := config.from_venue.get(row["symbol"])) is not None and Decimal(row["positionAmt"])
    )


def fees(*, doc: Doc) -> tuple[Decimal, Decimal]:
    """Return maker and taker rates as fractions."""
    if "standardCommission" in doc:
        doc = doc["standardCommission"]
        return Decimal(doc["maker"]), Decimal(doc["taker"])
    maker = doc.get("makerCommissionRate") or doc["makerCommission"]
    taker = doc.get("takerCommissionRate") or doc["takerCommission"]
    return Decimal(maker), Decimal(taker)
