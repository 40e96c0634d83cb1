"""What Alpaca says: quotes, trade updates and answers to quotes, reports and terms. Pure.

A stream's execution ids and the activities' own ids are not the same, so a fill is named by its order and how much of
it was filled by then, which both tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from piggy.adapters import telling
from piggy.adapters.alpaca.config import (
    BUST,
    CANCEL_REFUSED,
    CORRECTIONS,
    DAY_DONE,
    DONE_EVENTS,
    DUPLICATE_TEXT,
    EVENTS,
    QUOTE_UNITS,
    SHARE_STEP,
    STATUSES,
    TICK,
)
from piggy.adapters.answers import fields_of, is_doubtful
from piggy.adapters.books import Books, lots
from piggy.adapters.interface import Balance, Position, Reports, Response, Said, Symbol, UnableToReadReport, VenueConfig
from piggy.adapters.latest import Latest
from piggy.adapters.reading import Part, message, number_of, parts_of
from piggy.core.money import plain
from piggy.core.orders import Side

SIDES = {"buy": Side.BUY, "sell": Side.SELL, "sell_short": Side.SELL}


def quote(*, doc: object, books: Books, config: VenueConfig, now_us: int) -> None:
    """Take one quote (`T` is q): the best level of both sides; a price of zero is none. Raises UnableToReadReport."""
    part = Part(doc, what="Alpaca quote")
    units = Decimal(config.settings.get("quote_units", QUOTE_UNITS))
    mapping = config.mapping_from(name=part.name("S"))
    bids, asks = (
        [(part.size(price), part.size(size) * units)] if part.size(price) else []
        for price, size in (("bp", "bs"), ("ap", "as"))
    )
    books.top(symbol=mapping.symbol, bids=bids, asks=asks, venue_at_us=part.at("t"), now_us=now_us)


class Executions:
    """Which fill of ours each execution of the stream is, as busts and corrections name executions."""

    def __init__(self) -> None:
        self._fill_ids = Latest[str, str]()
        self._told = Latest[str, str]()

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


def trade_update(*, doc: object, executions: Executions, config: VenueConfig, raw: str) -> Reports:
    """Return what an update says; `executions` learns from it. Raises UnableToReadReport."""
    event = Part(doc, what="Alpaca trade update").word("event", EVENTS)
    part = Part(doc, what=f"Alpaca {event}")
    order = part.part("order")
    client_id = order.name("client_order_id")
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "raw": raw}
    happened_us = part.at("timestamp") if part.has("timestamp") else order.at("updated_at")
    if event in ("fill", "partial_fill"):
        return (_fill(part, order, executions, config, happened_us, raw),)
    if event in CORRECTIONS:
        return (_restated(part, order, executions, config, happened_us, raw),)
    if event == CANCEL_REFUSED:
        return (telling.uncancel(text=part.name_or("reason", event), at_us=happened_us, **names),)
    if event in ("new", "accepted"):
        return (telling.ack(venue_order_id=order.name("id"), at_us=happened_us, **names),)
    if event == "rejected":
        text = part.name_or("reason", order.name_or("reject_reason", "rejected"))
        return (telling.reject(code="rejected", text=text, at_us=happened_us, **names),)
    if event in DONE_EVENTS and not _goes_on(event, order):
        return (telling.done(cumulative=filled_of(order, config), how=event, at_us=happened_us, **names),)
    return ()


def _goes_on(word: str, order: Part) -> bool:
    """Whether the day is over for an order that works again on the next."""
    return word == DAY_DONE and order.raw("time_in_force") == "gtc"


def _restated(doc: Part, order: Part, executions: Executions, config: VenueConfig, happened_us: int, raw: str) -> Said:
    mapping = config.mapping_from(name=order.name("symbol"))
    event, execution_id = doc.name("event"), doc.name("execution_id")
    names: dict[str, Any] = {
        "venue": config.venue,
        "client_id": order.name("client_order_id"),
        "report_id": f"{event}/{execution_id}",
        "ref_fill_id": executions.fill_id(execution_id=doc.name("previous_execution_id")),
        "cumulative": filled_of(order, config),
        "text": doc.name_or("reason", event),
        "at_us": happened_us,
        "raw": raw,
    }
    if event == BUST:
        return telling.bust(**names)
    said = telling.correction(
        symbol=mapping.symbol,
        side=order.word("side", SIDES),
        lots=lots(units=doc.size("qty"), mapping=mapping),
        price=doc.number("price"),
        **names,
    )
    executions.restated(execution_id=execution_id, report_id=names["report_id"])
    return said


def _fill(doc: Part, order: Part, executions: Executions, config: VenueConfig, happened_us: int, raw: str) -> Said:
    mapping = config.mapping_from(name=order.name("symbol"))
    size, price, side = lots(units=doc.size("qty"), mapping=mapping), doc.number("price"), order.word("side", SIDES)
    names = {"number": order.name("id"), "cumulative": plain(order.size("filled_qty"))}
    client_id, cumulative = order.name("client_order_id"), filled_of(order, config)
    if size > cumulative:
        raise UnableToReadReport(f"{doc.what}: {size} lots of {cumulative} filled in all")
    # Learnt from only once all of it was read.
    return telling.fill(
        venue=config.venue,
        client_id=client_id,
        venue_order_id=names["number"],
        fill_id=executions.fill(execution_id=doc.name_or("execution_id", ""), **names),
        symbol=mapping.symbol,
        side=side,
        lots=size,
        price=price,
        cumulative=cumulative,
        at_us=happened_us,
        raw=raw,
    )


def fill_id(number: str, cumulative: str) -> str:
    """Return what makes a fill unique. Raises UnableToReadReport."""
    return f"{number}/{plain(number_of(cumulative, what='Alpaca fill', field='cumulative quantity'))}"


def activities(*, rows: object, client_ids: Mapping[str, str], config: VenueConfig, raw: str) -> Reports:
    """Return fills of account activities; `client_ids` are ours by the venue's. Raises UnableToReadReport."""
    said = []
    for row in parts_of(rows, what="Alpaca activity"):
        mapping, number = config.mapping_from(name=row.name("symbol")), row.name("order_id")
        if number not in client_ids:
            raise UnableToReadReport(f"{row.what}: order_id {number} was not looked up")
        said.append(
            telling.fill(
                venue=config.venue,
                client_id=client_ids[number],
                venue_order_id=number,
                fill_id=fill_id(number, plain(row.size("cum_qty"))),
                symbol=mapping.symbol,
                side=row.word("side", SIDES),
                lots=lots(units=row.size("qty"), mapping=mapping),
                price=row.number("price"),
                at_us=row.at("transaction_time"),
                raw=raw,
            )
        )
    return tuple(said)


def order_answer(*, response: Response, client_id: str, config: VenueConfig, now_us: int) -> Reports:
    """Return what the answer to a new order says, doubt included. Raises UnableToReadReport."""
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": now_us, "raw": response.text}
    if is_doubtful(response):
        return (telling.doubt(text=f"{response.status} {response.text}", **names),)
    if not response.ok:
        doc = fields_of(response)
        text = str(doc.get("message", response.text))
        if DUPLICATE_TEXT in text:
            return (telling.doubt(text="the venue saw this id twice", **names),)
        return (telling.reject(code=str(doc.get("code", response.status)), text=text, **names),)
    order = message(response.text, what="Alpaca order")
    order.must_name("client_order_id", client_id)
    if order.word("status", STATUSES) == "rejected":
        return (telling.reject(code="rejected", text=order.name_or("reject_reason", "rejected"), **names),)
    return (telling.ack(venue_order_id=order.name("id"), **names),)


def filled_of(order: Part, config: VenueConfig) -> Decimal:
    """Return the lots that an order document says were filled. Raises UnableToReadReport."""
    mapping = config.mapping_from(name=order.name("symbol"))
    return lots(units=order.size("filled_qty"), mapping=mapping)


def standing(order: Part) -> str:
    """Return working, filled or ended. Raises UnableToReadReport."""
    stands = order.word("status", STATUSES)
    if stands == "ended" and _goes_on(order.name("status"), order):
        return "working"
    return "ended" if stands == "rejected" else stands


def symbol(*, doc: object) -> Symbol:
    """Return the terms of one asset; shares trade whole, as orders that may not rest demand."""
    part = Part(doc, what="Alpaca asset")
    return Symbol(
        venue_symbol=part.name("symbol"),
        tick_size=part.number_or("price_increment", TICK),
        unit_step=part.number_or("min_trade_increment", SHARE_STEP),
        units_min=part.number_or("min_order_size", SHARE_STEP),
        tradable=part.flag("tradable") and part.name_or("status", "active") == "active",
    )


def positions(*, rows: object, config: VenueConfig) -> tuple[Position, ...]:
    """Return open positions of mapped symbols. Raises UnableToReadReport."""
    found = []
    for row in parts_of(rows, what="Alpaca position"):
        if (mapping := config.from_venue.get(row.name("symbol"))) is not None:
            sign = row.word("side", {"long": 1, "short": -1})
            size = lots(units=sign * abs(row.number("qty")), mapping=mapping)
            found.append(Position(mapping.symbol, size, row.number("avg_entry_price")))
    return tuple(found)


def balances(*, doc: object) -> tuple[Balance, ...]:
    """Return the account's cash and buying power. Raises UnableToReadReport."""
    part = Part(doc, what="Alpaca account")
    return (Balance(part.name("currency"), part.number("cash"), part.number("buying_power")),)
