"""What Alpaca says: quotes, trade updates and answers to quotes, reports and terms. Pure.

A stream's execution ids and the activities' own ids are not the same, so a fill is named by its order and how much of
it was filled by then, which both tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from piggy.adapters import telling
from piggy.adapters.alpaca.config import (
    BUST,
    CANCEL_REFUSED,
    CORRECTIONS,
    DONE_EVENTS,
    DUPLICATE_TEXT,
    ENDED,
    QUOTE_UNITS,
    SHARE_STEP,
    TICK,
)
from piggy.adapters.answers import at_us, document, fields_of, is_doubtful
from piggy.adapters.books import Books, lots
from piggy.adapters.interface import Balance, Position, Reports, Response, Said, Symbol, UnableToReadReport, VenueConfig
from piggy.core.money import plain
from piggy.core.orders import Side

Doc = Mapping[str, Any]


def quote(*, doc: Doc, books: Books, config: VenueConfig, now_us: int) -> None:
    """Take one quote (`T` is q): the best level of both sides; a price of zero is none. Raises UnableToReadReport."""
    units = Decimal(config.settings.get("quote_units", QUOTE_UNITS))
    try:
        mapping = config.mapping_from(name=doc["S"])
        sides = [
            [(str(doc[price]), str(Decimal(doc[size]) * units))] if Decimal(doc[price]) else []
            for price, size in (("bp", "bs"), ("ap", "as"))
        ]
        books.top(symbol=mapping.symbol, bids=sides[0], asks=sides[1], venue_at_us=at_us(doc["t"]), now_us=now_us)
    except (KeyError, ValueError, TypeError, InvalidOperation) as error:
        raise UnableToReadReport(f"{type(error).__name__} {error}") from error


class Executions:
    """Which fill of ours each execution of the stream is, as busts and corrections name executions."""

    def __init__(self) -> None:
        self._fill_ids: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def fill(self, *, execution_id: str, number: str, cumulative: str) -> str:
        """Note a fill of the stream and return its id; after a bust an order may come to the same count again."""
        name = fill_id(number, cumulative)
        if not execution_id:
            return name
        if self._told.setdefault(name, execution_id) != execution_id:
            name = f"{name}#{execution_id}"
        self._fill_ids[execution_id] = name
        return name

    def restated(self, *, execution_id: str, report_id: str) -> None:
        """Note the execution that stands in another's place: it may be restated in its turn."""
        self._fill_ids[execution_id] = report_id

    def fill_id(self, *, execution_id: str) -> str:
        """Return the fill of an execution. Raises UnableToReadReport: a person must say which is meant."""
        if execution_id not in self._fill_ids:
            raise UnableToReadReport(f"no fill is known as execution {execution_id!r}")
        return self._fill_ids[execution_id]


def trade_update(*, doc: Doc, executions: Executions, config: VenueConfig, raw: str) -> Reports:
    """Return what an update says; `executions` learns from it. Raises UnableToReadReport."""
    event = doc.get("event")
    try:
        order = doc["order"]
        names: dict[str, Any] = {"venue": config.venue, "client_id": str(order["client_order_id"]), "raw": raw}
        happened_us = at_us(doc.get("timestamp") or order["updated_at"])
        if event in ("fill", "partial_fill"):
            return (_fill(doc, order, executions, config, happened_us, raw),)
        if event in CORRECTIONS:
            return (_restated(doc, order, executions, config, happened_us, raw),)
        if event == CANCEL_REFUSED:
            return (telling.uncancel(text=str(doc.get("reason") or event), at_us=happened_us, **names),)
        if event in ("new", "accepted"):
            return (telling.ack(venue_order_id=str(order["id"]), at_us=happened_us, **names),)
        if event == "rejected":
            text = str(doc.get("reason") or order.get("reject_reason") or "rejected")
            return (telling.reject(code="rejected", text=text, at_us=happened_us, **names),)
        if event in DONE_EVENTS:
            return (telling.done(cumulative=filled_of(order, config), how=str(event), at_us=happened_us, **names),)
    except (KeyError, ValueError, TypeError, InvalidOperation) as error:
        raise UnableToReadReport(f"{type(error).__name__} {error}") from error
    return ()


def _restated(doc: Doc, order: Doc, executions: Executions, config: VenueConfig, happened_us: int, raw: str) -> Said:
    mapping = config.mapping_from(name=order["symbol"])
    ref = executions.fill_id(execution_id=str(doc["previous_execution_id"]))
    report_id = f"{doc['event']}/{doc['execution_id']}"
    names: dict[str, Any] = {
        "venue": config.venue,
        "client_id": str(order["client_order_id"]),
        "report_id": report_id,
        "ref_fill_id": ref,
        "cumulative": filled_of(order, config),
        "text": str(doc.get("reason") or doc["event"]),
        "at_us": happened_us,
        "raw": raw,
    }
    if doc["event"] == BUST:
        return telling.bust(**names)
    said = telling.correction(
        symbol=mapping.symbol,
        side=Side(order["side"]),
        lots=lots(units=Decimal(doc["qty"]), mapping=mapping),
        price=Decimal(doc["price"]),
        **names,
    )
    executions.restated(execution_id=str(doc["execution_id"]), report_id=report_id)
    return said


def _fill(doc: Doc, order: Doc, executions: Executions, config: VenueConfig, happened_us: int, raw: str) -> Said:
    mapping = config.mapping_from(name=order["symbol"])
    names = {"number": str(order["id"]), "cumulative": str(order["filled_qty"])}
    return telling.fill(
        venue=config.venue,
        client_id=str(order["client_order_id"]),
        venue_order_id=str(order["id"]),
        fill_id=executions.fill(execution_id=str(doc.get("execution_id", "")), **names),
        symbol=mapping.symbol,
        side=Side(order["side"]),
        lots=lots(units=Decimal(doc["qty"]), mapping=mapping),
        price=Decimal(doc["price"]),
        cumulative=filled_of(order, config),
        at_us=happened_us,
        raw=raw,
    )


def fill_id(number: str, cumulative: str) -> str:
    """Return what makes a fill unique."""
    return f"{number}/{plain(Decimal(cumulative))}"


def activities(*, rows: list[Doc], client_ids: Mapping[str, str], config: VenueConfig, raw: str) -> Reports:
    """Return fills of account activities; `client_ids` are ours by the venue's."""
    said = []
    for row in rows:
        mapping = config.mapping_from(name=row["symbol"])
        said.append(
            telling.fill(
                venue=config.venue,
                client_id=client_ids[row["order_id"]],
                venue_order_id=row["order_id"],
                fill_id=fill_id(row["order_id"], row["cum_qty"]),
                symbol=mapping.symbol,
                side=Side.BUY if row["side"] == "buy" else Side.SELL,
                lots=lots(units=Decimal(row["qty"]), mapping=mapping),
                price=Decimal(row["price"]),
                at_us=at_us(row["transaction_time"]),
                raw=raw,
            )
        )
    return tuple(said)


def order_answer(*, response: Response, client_id: str, config: VenueConfig, now_us: int) -> Reports:
    """Return what the answer to a new order says, doubt included. Raises UnableToReadReport."""
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": now_us, "raw": response.text}
    if is_doubtful(response):
        return (telling.doubt(text=f"{response.status} {response.text}", **names),)
    doc = fields_of(response)
    if not response.ok:
        text = str(doc.get("message", response.text))
        if DUPLICATE_TEXT in text:
            return (telling.doubt(text="the venue saw this id twice", **names),)
        return (telling.reject(code=str(doc.get("code", response.status)), text=text, **names),)
    order = document(response.text)
    if order["status"] == "rejected":
        return (telling.reject(code="rejected", text=str(order.get("reject_reason", "rejected")), **names),)
    return (telling.ack(venue_order_id=str(order["id"]), **names),)


def filled_of(order: Doc, config: VenueConfig) -> Decimal:
    """Return the lots that an order document says were filled."""
    mapping = config.mapping_from(name=order["symbol"])
    return lots(units=Decimal(order.get("filled_qty") or 0), mapping=mapping)


def standing(order: Doc) -> str:
    """Return working, filled or ended."""
    if order["status"] == "filled":
        return "filled"
    return "ended" if order["status"] in ENDED else "working"


def symbol(*, doc: Doc) -> Symbol:
    """Return the terms of one asset; shares trade whole, as orders that may not rest demand."""
    return Symbol(
        venue_symbol=doc["symbol"],
        tick_size=Decimal(str(doc.get("price_increment") or TICK)),
        unit_step=Decimal(str(doc.get("min_trade_increment") or SHARE_STEP)),
        units_min=Decimal(str(doc.get("min_order_size") or SHARE_STEP)),
        tradable=bool(doc["tradable"]) and doc.get("status", "active") == "active",
    )


def positions(*, rows: list[Doc], config: VenueConfig) -> tuple[Position, ...]:
    """Return open positions of mapped symbols."""
    found = []
    for row in rows:
        if (mapping := config.from_venue.get(row["symbol"])) is not None:
            sign = -1 if row.get("side") == "short" else 1
            size = lots(units=sign * abs(Decimal(row["qty"])), mapping=mapping)
            found.append(Position(mapping.symbol, size, Decimal(row["avg_entry_price"])))
    return tuple(found)


def balances(*, doc: Doc) -> tuple[Balance, ...]:
    """Return the account's cash and buying power."""
    return (Balance(doc["currency"], Decimal(doc["cash"]), Decimal(doc["buying_power"])),)
