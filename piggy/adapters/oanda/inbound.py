"""What OANDA says: prices, transactions and answers to quotes, reports and terms. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from piggy.adapters import telling
from piggy.adapters.answers import at_us, fields_of, is_doubtful
from piggy.adapters.books import Books, lots
from piggy.adapters.interface import Balance, Position, Reports, Response, Symbol, UnableToReadReport, VenueConfig
from piggy.adapters.oanda.config import DUPLICATE, REPLACED
from piggy.core.orders import Side

Doc = Mapping[str, Any]


class Known:
    """What the transactions so far told of orders: our ids by the venue's, and lots by fill of each order of ours."""

    def __init__(self) -> None:
        self.client_ids: dict[str, str] = {}
        self._fills: dict[str, dict[str, Decimal]] = {}

    def fill(self, *, client_id: str, fill_id: str, lots: Decimal) -> Decimal:
        """Note a fill, once; return all lots of its order."""
        self._fills.setdefault(client_id, {})[fill_id] = lots
        return self.filled(client_id=client_id)

    def filled(self, *, client_id: str) -> Decimal:
        """Return all lots of an order that were told."""
        return sum(self._fills.get(client_id, {}).values(), Decimal(0))


def price(*, doc: Doc, books: Books, config: VenueConfig, now_us: int) -> None:
    """Take one PRICE: it is the whole book; one that is not tradeable is withdrawn. Raises UnableToReadReport."""
    try:
        mapping = config.mapping_from(name=doc["instrument"])
        open_ = doc.get("tradeable", doc.get("status") == "tradeable")
        sides = {
            side: [(row["price"], str(row["liquidity"])) for row in doc[side]] if open_ else []
            for side in ("bids", "asks")
        }
        books.top(
            symbol=mapping.symbol, bids=sides["bids"], asks=sides["asks"], venue_at_us=at_us(doc["time"]), now_us=now_us
        )
    except (KeyError, ValueError, InvalidOperation) as error:
        raise UnableToReadReport(f"{type(error).__name__} {error}") from error


def transaction(*, doc: Doc, known: Known, config: VenueConfig, raw: str = "") -> Reports:
    """Return what a transaction says of an order; `known` learns from it. Raises UnableToReadReport."""
    try:
        kind = doc["type"]
        if kind.endswith("_ORDER"):
            return _created(doc, known, config, raw)
        if kind == "ORDER_FILL":
            return _filled(doc, known, config, raw)
        if kind == "ORDER_CANCEL":
            return _cancelled(doc, known, config, raw)
    except (KeyError, ValueError, InvalidOperation) as error:
        raise UnableToReadReport(f"{type(error).__name__} {error}") from error
    return ()


def transactions(*, docs: Iterable[Doc], known: Known, config: VenueConfig, raw: str = "") -> Reports:
    """Return what several transactions say, in their order."""
    return tuple(said for doc in docs for said in transaction(doc=doc, known=known, config=config, raw=raw))


def _created(doc: Doc, known: Known, config: VenueConfig, raw: str) -> Reports:
    client_id = str(doc.get("clientExtensions", {}).get("id", ""))
    if not client_id:
        return ()
    known.client_ids[str(doc["id"])] = client_id
    return (
        telling.ack(
            venue=config.venue, client_id=client_id, venue_order_id=str(doc["id"]), at_us=at_us(doc["time"]), raw=raw
        ),
    )


def _filled(doc: Doc, known: Known, config: VenueConfig, raw: str) -> Reports:
    mapping = config.mapping_from(name=doc["instrument"])
    units = Decimal(doc["units"])
    commission = Decimal(doc.get("commission") or 0)
    client_id, size = _client_id(doc, known), lots(units=abs(units), mapping=mapping)
    return (
        telling.fill(
            venue=config.venue,
            client_id=client_id,
            venue_order_id=str(doc["orderID"]),
            fill_id=str(doc["id"]),
            symbol=mapping.symbol,
            side=Side.BUY if units > 0 else Side.SELL,
            lots=size,
            cumulative=known.fill(client_id=client_id, fill_id=str(doc["id"]), lots=size),
            price=Decimal(doc.get("fullVWAP") or doc["price"]),
            at_us=at_us(doc["time"]),
            fee=f"{commission:f}" if commission else "",
            raw=raw,
        ),
    )


def _cancelled(doc: Doc, known: Known, config: VenueConfig, raw: str) -> Reports:
    if doc.get("reason") in REPLACED or doc.get("replacedByOrderID"):
        return ()
    client_id = _client_id(doc, known)
    # How much was filled is in no cancel, but every fill before it was told: transactions have no holes.
    return (
        telling.done(
            venue=config.venue,
            client_id=client_id,
            cumulative=known.filled(client_id=client_id),
            how=str(doc.get("reason", "")),
            at_us=at_us(doc["time"]),
            raw=raw,
        ),
    )


def _client_id(doc: Doc, known: Known) -> str:
    return str(doc.get("clientOrderID") or known.client_ids.get(str(doc["orderID"])) or f"order-{doc['orderID']}")


def order_answer(*, response: Response, client_id: str, known: Known, config: VenueConfig, now_us: int) -> Reports:
    """Return what the answer to a new order says, doubt included. Raises UnableToReadReport."""
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": now_us, "raw": response.text}
    doc = fields_of(response)
    if is_doubtful(response) or (response.ok and not doc):
        return (telling.doubt(text=f"{response.status} {response.text}", **names),)
    if not response.ok:
        refused = doc.get("orderRejectTransaction", {})
        reason = str(refused.get("rejectReason") or doc.get("errorCode") or response.status)
        if reason == DUPLICATE:
            return (telling.doubt(text="the venue saw this id twice", **names),)
        return (telling.reject(code=reason, text=str(doc.get("errorMessage") or reason), **names),)
    created = doc.get("orderCreateTransaction")
    if created is None:
        return (telling.doubt(text="the answer names no order", **names),)
    known.client_ids[str(created["id"])] = client_id
    fills = [one for name, one in doc.items() if name.startswith("orderFillTransaction")]
    said = transactions(docs=[created, *fills], known=known, config=config, raw=response.text)
    if ended := doc.get("orderCancelTransaction"):
        filled = known.filled(client_id=client_id)
        said = (*said, telling.done(cumulative=filled, how=str(ended.get("reason", "")), **names))
    return said


def standing(doc: Doc) -> str:
    """Return working, filled or ended of an order document."""
    return {"PENDING": "working", "TRIGGERED": "working", "FILLED": "filled"}.get(doc["state"], "ended")


def symbols(*, doc: Doc) -> tuple[Symbol, ...]:
    """Return the terms of instruments."""
    return tuple(
        Symbol(
            venue_symbol=row["name"],
            tick_size=Decimal(1).scaleb(-int(row["displayPrecision"])),
            unit_step=Decimal(1).scaleb(-int(row.get("tradeUnitsPrecision", 0))),
            units_min=Decimal(row["minimumTradeSize"]),
            units_max=Decimal(row["maximumOrderUnits"]),
        )
        for row in doc["instruments"]
    )


def positions(*, doc: Doc, config: VenueConfig) -> tuple[Position, ...]:
    """Return open positions of mapped instruments, both sides netted."""
    found = []
    for row in doc["positions"]:
        mapping = config.from_venue.get(row["instrument"])
        units = Decimal(row["long"]["units"]) + Decimal(row["short"]["units"])
        if mapping is not None and units:
            side = row["long"] if units > 0 else row["short"]
            average = Decimal(side.get("averagePrice", 0))
            found.append(Position(mapping.symbol, lots(units=units, mapping=mapping), average))
    return tuple(found)


def balances(*, doc: Doc) -> tuple[Balance, ...]:
    """Return the account's one balance."""
    row = doc["account"]
    return (Balance(row["currency"], Decimal(row["balance"]), Decimal(row["marginAvailable"])),)
