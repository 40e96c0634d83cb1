"""What ccxt answers: its unified structures to quotes, reports and terms. Numbers come as text, asked so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from piggy.adapters import telling
from piggy.adapters.answers import fields_of, is_doubtful
from piggy.adapters.books import Books, lots
from piggy.adapters.ccxt.config import DUPLICATE, STATUSES
from piggy.adapters.interface import Balance, Position, Reports, Response, Symbol, UnableToReadReport, VenueConfig
from piggy.adapters.reading import Part, message, parts_of
from piggy.core.orders import Side

DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE = 2, 3, 4
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
ZERO = Decimal(0)
# A quote of later than now was stamped in another zone, or one of the clocks is wrong.
AHEAD_US_MAX = 120_000_000


class Seen(NamedTuple):
    """An order as an exchange shows it; `standing` is empty where it does not say, `filled` is in its units."""

    number: str
    client_id: str
    standing: str
    status: str
    filled: Decimal


def book(*, doc: object, symbol: str, books: Books, now_us: int) -> None:
    """Take a whole order book. Raises UnableToReadReport."""
    part = Part(doc, what="book")
    bids, asks = part.levels("bids"), part.levels("asks")
    venue_at_us = part.ms("timestamp") if part.has("timestamp") else now_us
    if venue_at_us > now_us + AHEAD_US_MAX:
        raise UnableToReadReport(f"book: timestamp is {(venue_at_us - now_us) // 1_000_000} s ahead of our clock")
    if bids and asks and max(price for price, _ in bids) > min(price for price, _ in asks):
        raise UnableToReadReport("book: it is crossed, so levels are left in it that are gone")
    books.top(symbol=symbol, bids=bids, asks=asks, venue_at_us=venue_at_us, now_us=now_us)


def symbols(*, doc: object, config: VenueConfig) -> tuple[Symbol, ...]:
    """Return the terms of mapped markets; `mode` is how the exchange states precision. Raises UnableToReadReport."""
    part = Part(doc, what="markets")
    mode, markets = part.whole("mode"), part.part("markets")
    return tuple(_terms(markets.part(name), mode) for name in sorted(config.from_venue) if markets.has(name))


def _terms(market: Part, mode: int) -> Symbol:
    def inside(part: Part, name: str) -> Part:
        return part.part(name) if part.has(name) else Part({}, what=f"{part.what} {name}")

    def step(part: Part, name: str) -> Decimal:
        if not part.has(name) or mode == SIGNIFICANT_DIGITS:
            return ZERO
        return part.size(name) if mode == TICK_SIZE else Decimal(1).scaleb(-part.whole(name))

    limits, precision = inside(market, "limits"), inside(market, "precision")
    amount, cost = inside(limits, "amount"), inside(limits, "cost")
    return Symbol(
        venue_symbol=market.name("symbol"),
        tick_size=step(precision, "price"),
        unit_step=step(precision, "amount"),
        units_min=amount.number_or("min", ZERO),
        units_max=amount.number_or("max", ZERO),
        notional_min=cost.number_or("min", ZERO),
        tradable=market.raw("active") is not False,
    )


def order_answer(*, response: Response, client_id: str, config: VenueConfig, now_us: int) -> Reports:
    """Return what the answer to a new order says, doubt included. Raises UnableToReadReport."""
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": now_us, "raw": response.text}
    doc = fields_of(response)
    if is_doubtful(response):
        return (telling.doubt(text=f"{response.status} {response.text}", **names),)
    if not response.ok:
        text = str(doc.get("msg", response.text))
        if doc.get("code") == DUPLICATE or "uplicate" in text:
            return (telling.doubt(text="the venue saw this id twice", **names),)
        return (telling.reject(code=str(doc.get("code", response.status)), text=text, **names),)
    order = message(response.text, what="order")
    if order.has("clientOrderId"):
        order.must_name("clientOrderId", client_id)
    if order.raw("status") == "rejected":
        return (telling.reject(code="rejected", text="rejected by the exchange", **names),)
    return (telling.ack(venue_order_id=order.name("id"), **names),)


def seen(doc: object) -> Seen:
    """Return how an order stands; a closed order that is not filled whole has ended. Raises UnableToReadReport.

    Some exchanges answer a new order by nothing but its number: that says neither that it works nor that it ended.
    """
    part = Part(doc, what="order")
    stands = part.word("status", STATUSES) if part.has("status") else ""
    told = part.has("filled")
    if stands in ("filled", "ended") and not told:
        raise UnableToReadReport(f"{part.what}: filled is missing of an order that is {part.name('status')}")
    if stands == "filled" and part.number_or("remaining", ZERO) > 0:
        stands = "ended"
    return Seen(
        number=part.name("id"),
        client_id=part.name_or("clientOrderId", ""),
        standing=stands,
        status=part.name_or("status", ""),
        filled=part.size("filled") if told else ZERO,
    )


def trades(*, rows: object, client_ids: Mapping[str, str], config: VenueConfig, raw: str) -> Reports:
    """Return fills, and those that the venue took back; `client_ids` are ours by the exchange's order id.

    Raises UnableToReadReport. What is left of an order with a fill taken back is what the rows say of it.
    """
    said: Reports = ()
    parts = parts_of(rows, what="trade")
    for row in sorted(parts, key=lambda row: (row.ms("timestamp"), row.name("id"))):
        mapping, number = config.mapping_from(name=row.name("symbol")), row.name("order")
        if number not in client_ids:
            raise UnableToReadReport(f"{row.what}: order {number} was not looked up")
        names: dict[str, Any] = {
            "venue": config.venue,
            "client_id": client_ids[number],
            "at_us": row.ms("timestamp"),
            "raw": raw,
        }
        fill_id = f"{mapping.venue_symbol}-{row.name('id')}"
        said += (
            telling.fill(
                venue_order_id=number,
                fill_id=fill_id,
                symbol=mapping.symbol,
                side=row.word("side", SIDES),
                lots=lots(units=row.size("amount"), mapping=mapping),
                price=row.number("price"),
                fee=_fee(row),
                **names,
            ),
        )
        if row.raw("busted") is True:
            left = [one for one in parts if one.name("order") == number and one.raw("busted") is not True]
            units = sum((one.size("amount") for one in left), ZERO)
            busted: dict[str, Any] = {"report_id": f"bust/{fill_id}", "ref_fill_id": fill_id}
            text = "taken back by the venue"
            said += (telling.bust(cumulative=lots(units=units, mapping=mapping), text=text, **busted, **names),)
    return said


def _fee(row: Part) -> str:
    """Return what a fill cost; a fee, unlike a fill, may be told later or never."""
    fees = row.parts("fees") if row.has("fees") else [row.part("fee")] if row.has("fee") else []
    told = [fee for fee in fees if fee.has("cost") and fee.number("cost")]
    return ", ".join(f"{fee.number('cost'):f} {fee.name_or('currency', '?')}" for fee in told)


def positions(*, rows: object, config: VenueConfig) -> tuple[Position, ...]:
    """Return what is held of mapped contracts, from positions in contracts. Raises UnableToReadReport."""
    found = []
    for row in parts_of(rows, what="position"):
        mapping = config.from_venue.get(row.name("symbol"))
        if mapping is None or not row.number_or("contracts", ZERO):
            continue
        sign = row.word("side", {"long": 1, "short": -1, "buy": 1, "sell": -1})
        held = lots(units=sign * abs(row.number("contracts")), mapping=mapping)
        found.append(Position(mapping.symbol, held, row.number_or("entryPrice", ZERO)))
    return tuple(found)


def balances(*, doc: object) -> tuple[Balance, ...]:
    """Return every currency that the account holds. Raises UnableToReadReport."""
    part = Part(doc, what="balance")
    held = part.part("total")
    free = part.part("free") if part.has("free") else Part({}, what="balance free")
    return tuple(
        Balance(name, held.number(name), free.number_or(name, ZERO))
        for name in sorted(held.doc)
        if held.has(name) and held.number(name)
    )
