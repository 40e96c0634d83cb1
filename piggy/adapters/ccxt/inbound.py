"""What ccxt answers: its unified structures to quotes, reports and terms. Numbers come as text, asked so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from piggy.adapters import telling
from piggy.adapters.answers import document, fields_of, is_doubtful
from piggy.adapters.books import Books, lots
from piggy.adapters.ccxt.config import DUPLICATE
from piggy.adapters.interface import Balance, Reports, Response, Symbol, VenueConfig
from piggy.core.orders import Side

Doc = Mapping[str, Any]
DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE = 2, 3, 4
_STANDINGS = {"open": "working", "closed": "filled"}


def number(value: object) -> Decimal:
    """Return a number of ccxt, which is text, absent or, from some exchanges, a float's shortest text."""
    return Decimal(str(value)) if value not in (None, "") else Decimal(0)


def book(*, doc: Doc, symbol: str, books: Books, now_us: int) -> None:
    """Take a whole order book."""
    sides = [[(str(row[0]), str(row[1])) for row in doc[side]] for side in ("bids", "asks")]
    venue_at_us = int(doc.get("timestamp") or now_us // 1_000) * 1_000
    books.top(symbol=symbol, bids=sides[0], asks=sides[1], venue_at_us=venue_at_us, now_us=now_us)


def symbols(*, doc: Doc, config: VenueConfig) -> tuple[Symbol, ...]:
    """Return the terms of mapped markets; `mode` is how the exchange states precision."""
    mode, markets = int(doc["mode"]), doc["markets"]
    return tuple(_terms(markets[name], mode) for name in sorted(config.from_venue) if name in markets)


def _terms(market: Doc, mode: int) -> Symbol:
    def step(value: object) -> Decimal:
        if value is None or mode == SIGNIFICANT_DIGITS:
            return Decimal(0)
        return number(value) if mode == TICK_SIZE else Decimal(1).scaleb(-int(number(value)))

    limits = market.get("limits") or {}
    amount, cost = limits.get("amount") or {}, limits.get("cost") or {}
    precision = market.get("precision") or {}
    return Symbol(
        venue_symbol=market["symbol"],
        tick_size=step(precision.get("price")),
        unit_step=step(precision.get("amount")),
        units_min=number(amount.get("min")),
        units_max=number(amount.get("max")),
        notional_min=number(cost.get("min")),
        tradable=market.get("active") is not False,
    )


def order_answer(*, response: Response, client_id: str, config: VenueConfig, now_us: int) -> Reports:
    """Return what the answer to a new order says, doubt included."""
    names: dict[str, Any] = {"venue": config.venue, "client_id": client_id, "at_us": now_us, "raw": response.text}
    doc = fields_of(response)
    if is_doubtful(response):
        return (telling.doubt(text=f"{response.status} {response.text}", **names),)
    if not response.ok:
        text = str(doc.get("msg", response.text))
        if doc.get("code") == DUPLICATE or "uplicate" in text:
            return (telling.doubt(text="the venue saw this id twice", **names),)
        return (telling.reject(code=str(doc.get("code", response.status)), text=text, **names),)
    if doc.get("status") == "rejected":
        return (telling.reject(code="rejected", text="rejected by the exchange", **names),)
    return (telling.ack(venue_order_id=str(document(response.text)["id"]), **names),)


def standing(doc: Doc) -> str:
    """Return working, filled or ended; a closed order that is not filled whole has ended."""
    found = _STANDINGS.get(str(doc.get("status")), "ended")
    if found == "filled" and number(doc.get("remaining")) > 0:
        return "ended"
    return found


def trades(*, rows: list[Doc], client_ids: Mapping[str, str], config: VenueConfig, raw: str) -> Reports:
    """Return fills; `client_ids` are ours by the exchange's order id."""
    said = []
    for row in sorted(rows, key=lambda row: (row["timestamp"], str(row["id"]))):
        mapping = config.mapping_from(name=row["symbol"])
        fee = row.get("fee") or {}
        said.append(
            telling.fill(
                venue=config.venue,
                client_id=client_ids[str(row["order"])],
                venue_order_id=str(row["order"]),
                fill_id=f"{mapping.venue_symbol}-{row['id']}",
                symbol=mapping.symbol,
                side=Side(row["side"]),
                lots=lots(units=number(row["amount"]), mapping=mapping),
                price=number(row["price"]),
                at_us=int(row["timestamp"]) * 1_000,
                fee=f"{fee['cost']} {fee['currency']}" if fee.get("cost") else "",
                raw=raw,
            )
        )
    return tuple(said)


def balances(*, doc: Doc) -> tuple[Balance, ...]:
    """Return every currency that the account holds."""
    held = doc.get("total") or {}
    free = doc.get("free") or {}
    return tuple(
        Balance(name, number(held[name]), number(free.get(name))) for name in sorted(held) if number(held[name])
    )
