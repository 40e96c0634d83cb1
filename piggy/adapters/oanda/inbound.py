"""What OANDA says: prices, transactions and answers to quotes, reports and terms. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from piggy.adapters import telling
from piggy.adapters.answers import fields_of, is_doubtful
from piggy.adapters.books import Books, lots
from piggy.adapters.interface import Balance, Position, Reports, Response, Said, Symbol, UnableToReadReport, VenueConfig
from piggy.adapters.latest import Latest
from piggy.adapters.oanda.config import DUPLICATE, REPLACED, STATES
from piggy.adapters.reading import Level, Part, message
from piggy.core.orders import Side


class Known:
    """What the transactions so far told of orders: our ids by the venue's, and lots by fill of each order of ours."""

    def __init__(self) -> None:
        self.client_ids = Latest[str, str]()
        self._first = Latest[str, int]()
        self._fills = Latest[str, dict[str, Decimal]]()

    def created(self, *, number: str, client_id: str) -> None:
        """Note an order, or what was put in its place."""
        self.client_ids[number] = client_id
        self._first[client_id] = min(self._first.get(client_id, int(number)), int(number))

    def first(self, *, client_id: str) -> int:
        """Return the number that an order of ours had at first, 0 where that was not heard."""
        return self._first.get(client_id, 0)

    def fill(self, *, client_id: str, fill_id: str, lots: Decimal) -> Decimal:
        """Note a fill, once; return all lots of its order."""
        self._fills.setdefault(client_id, {})[fill_id] = lots
        return self.filled(client_id=client_id)

    def filled(self, *, client_id: str) -> Decimal:
        """Return all lots of an order that were told."""
        return sum(self._fills.get(client_id, {}).values(), Decimal(0))


def price(*, doc: object, books: Books, config: VenueConfig, now_us: int) -> None:
    """Take one PRICE: it is the whole book; one that is not tradeable is withdrawn. Raises UnableToReadReport."""
    part = Part(doc, what="OANDA PRICE")
    mapping = config.mapping_from(name=part.name("instrument"))
    is_open = part.flag("tradeable") if part.has("tradeable") else part.name("status") == "tradeable"
    sides: list[list[Level]] = [
        part.levels_named(side, "price", "liquidity") if is_open else [] for side in ("bids", "asks")
    ]
    books.top(symbol=mapping.symbol, bids=sides[0], asks=sides[1], venue_at_us=part.at("time"), now_us=now_us)


def transaction(*, doc: object, known: Known, config: VenueConfig, raw: str = "") -> Reports:
    """Return what a transaction says of an order; `known` learns from it. Raises UnableToReadReport."""
    kind = Part(doc, what="OANDA transaction").name("type")
    part = Part(doc, what=f"OANDA {kind}")
    if kind.endswith("_ORDER"):
        return _created(part, known, config, raw)
    if kind == "ORDER_FILL":
        return _filled(part, known, config, raw)
    if kind == "ORDER_CANCEL":
        return _cancelled(part, known, config, raw)
    return ()


def transactions(*, docs: Iterable[Part], known: Known, config: VenueConfig, raw: str = "") -> Reports:
    """Return what several transactions say, in their order. Raises UnableToReadReport."""
    return tuple(said for doc in docs for said in transaction(doc=doc.doc, known=known, config=config, raw=raw))


def listed(*, docs: Iterable[Part], known: Known, config: VenueConfig, raw: str) -> Reports:
    """Return what the account's own list says; what cannot be read will not read better later, and hides no other.

    That is also what others dealt in the account with instruments that are not mapped.
    """
    said: Reports = ()
    for doc in docs:
        try:
            said += transaction(doc=doc.doc, known=known, config=config, raw=raw)
        except UnableToReadReport as error:
            number = doc.raw("id") or hashlib.sha256(str(doc.doc).encode()).hexdigest()[:16]
            said += (telling.parked(what=f"transaction {str(number)[:60]}", text=str(error), raw=str(dict(doc.doc))),)
    return said


def _created(doc: Part, known: Known, config: VenueConfig, raw: str) -> Reports:
    client_id = doc.part("clientExtensions").name_or("id", "") if doc.has("clientExtensions") else ""
    if not client_id:
        return ()
    number, at_us = str(doc.whole("id")), doc.at("time")
    known.created(number=number, client_id=client_id)
    return (telling.ack(venue=config.venue, client_id=client_id, venue_order_id=number, at_us=at_us, raw=raw),)


def _filled(doc: Part, known: Known, config: VenueConfig, raw: str) -> Reports:
    mapping = config.mapping_from(name=doc.name("instrument"))
    units, fill_id, at_us = doc.number("units"), doc.name("id"), doc.at("time")
    commission = doc.number_or("commission", Decimal(0))
    client_id, size = _client_id(doc, known), lots(units=abs(units), mapping=mapping)
    names: dict[str, Any] = {
        "venue": config.venue,
        "client_id": client_id,
        "venue_order_id": doc.name("orderID"),
        "fill_id": fill_id,
        "symbol": mapping.symbol,
        "side": Side.BUY if units > 0 else Side.SELL,
        "lots": size,
        "price": doc.number("fullVWAP") if doc.has("fullVWAP") else doc.number("price"),
    }
    told = (
        known.filled(client_id=client_id) if not size else known.fill(client_id=client_id, fill_id=fill_id, lots=size)
    )
    fee = f"{commission:f}" if commission else ""
    return (telling.fill(cumulative=told, at_us=at_us, fee=fee, raw=raw, **names),)


def _cancelled(doc: Part, known: Known, config: VenueConfig, raw: str) -> Reports:
    if str(doc.raw("reason")) in REPLACED or doc.has("replacedByOrderID"):
        return ()
    client_id = _client_id(doc, known)
    # How much was filled is in no cancel, but every fill before it was told: transactions have no holes.
    return (
        telling.done(
            venue=config.venue,
            client_id=client_id,
            cumulative=known.filled(client_id=client_id),
            how=doc.name("reason"),
            at_us=doc.at("time"),
            raw=raw,
        ),
    )


def _client_id(doc: Part, known: Known) -> str:
    number = doc.name("orderID")
    return doc.name_or("clientOrderID", known.client_ids.get(number) or f"order-{number}")


def order_answer(*, response: Response, client_id: str, known: Known, config: VenueConfig, now_us: int) -> Reports:
    """Return what the answer to a new order says, doubt included. Raises UnableToReadReport."""
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": now_us, "raw": response.text}
    if is_doubtful(response):
        return (telling.doubt(text=f"{response.status} {response.text}", **names),)
    if not response.ok:
        return (_refusal(fields_of(response), response.status, names),)
    doc = message(response.text, what="OANDA order")
    if not doc.has("orderCreateTransaction"):
        return (telling.doubt(text="the answer names no order", **names),)
    created = doc.part("orderCreateTransaction")
    if not created.has("clientExtensions") or created.part("clientExtensions").name_or("id", "") != client_id:
        raise UnableToReadReport(f"{created.what}: the answer is to another order")
    fills = [doc.part(name) for name in doc.doc if name.startswith("orderFillTransaction")]
    said = transactions(docs=[created, *fills], known=known, config=config, raw=response.text)
    if doc.has("orderCancelTransaction"):
        filled, ended = known.filled(client_id=client_id), doc.part("orderCancelTransaction")
        said = (*said, telling.done(cumulative=filled, how=ended.name_or("reason", "cancelled"), **names))
    return said


def _refusal(doc: dict[str, Any], status: int, names: dict[str, Any]) -> Said:
    refused = doc.get("orderRejectTransaction")
    reason = str((refused.get("rejectReason") if isinstance(refused, dict) else "") or doc.get("errorCode") or status)
    if reason == DUPLICATE:
        return telling.doubt(text="the venue saw this id twice", **names)
    return telling.reject(code=reason, text=str(doc.get("errorMessage") or reason), **names)


def standing(doc: Part) -> str:
    """Return working, filled or ended of an order document. Raises UnableToReadReport."""
    return doc.word("state", STATES)


def symbols(*, doc: object) -> tuple[Symbol, ...]:
    """Return the terms of instruments. Raises UnableToReadReport."""
    return tuple(
        Symbol(
            venue_symbol=row.name("name"),
            tick_size=Decimal(1).scaleb(-row.whole("displayPrecision")),
            unit_step=Decimal(1).scaleb(-row.whole("tradeUnitsPrecision") if row.has("tradeUnitsPrecision") else 0),
            units_min=row.size("minimumTradeSize"),
            units_max=row.size("maximumOrderUnits"),
        )
        for row in Part(doc, what="OANDA instruments").parts("instruments")
    )


def positions(*, doc: object, config: VenueConfig) -> tuple[Position, ...]:
    """Return open positions of mapped instruments, both sides netted. Raises UnableToReadReport."""
    found = []
    for row in Part(doc, what="OANDA openPositions").parts("positions"):
        mapping = config.from_venue.get(row.name("instrument"))
        bought, sold = row.part("long"), row.part("short")
        units = bought.number("units") + sold.number("units")
        if mapping is not None and units:
            average = (bought if units > 0 else sold).number_or("averagePrice", Decimal(0))
            found.append(Position(mapping.symbol, lots(units=units, mapping=mapping), average))
    return tuple(found)


def balances(*, doc: object) -> tuple[Balance, ...]:
    """Return the account's one balance. Raises UnableToReadReport."""
    row = Part(doc, what="OANDA summary").part("account")
    return (Balance(row.name("currency"), row.number("balance"), row.number("marginAvailable")),)
