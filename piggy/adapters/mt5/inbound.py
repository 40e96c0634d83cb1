"""What a bridge agent answers, MetaTrader's own fields and codes, put into the unified words of the session. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from piggy.adapters.answers import document
from piggy.adapters.interface import Response, VenueConfig
from piggy.adapters.mt5.config import QUOTE_LOTS, RETCODES, STATES, TIMEZONE, TRADE_MODE_FULL, Meaning
from piggy.adapters.reading import Part, parts_of, unreadable

TICK_SIZE = 4
_STATUSES = {Meaning.DOUBT: 0, Meaning.THROTTLED: 429, Meaning.REFUSED: 400}
PLACED, DONE = 10008, 10009
TYPES = {0: "buy", 1: "sell"}
# A deal that the broker took back keeps its ticket and its time, its type changes.
CANCELED_TYPES = {13: "buy", 14: "sell"}


def unified(
    *, response: Response, asked: str, config: VenueConfig, codes: Mapping[int, Meaning] = RETCODES
) -> Response:
    """Return an answer in unified words; a return code other than done becomes a status. Raises UnableToReadReport."""
    if not response.ok:
        return response
    doc = document(response.text)
    if asked in ("submit", "cancel"):
        return _result(Part(doc, what=f"terminal {asked}"), asked, codes)
    return _good(_value(doc, asked, config))


def utc_ms(*, part: Part, field: str, config: VenueConfig) -> int:
    """Return a time of the trade server in UTC: it counts milliseconds as if its own clock's zone were UTC."""
    shown_ms = part.ms(field) // 1_000
    zone = ZoneInfo(config.settings.get("timezone", TIMEZONE))
    there = datetime.fromtimestamp(shown_ms // 1_000, UTC).replace(tzinfo=zone)
    return int(there.timestamp()) * 1_000 + shown_ms % 1_000


def server_s(*, at_us: int, config: VenueConfig) -> int:
    """Return a UTC instant as the trade server counts seconds."""
    there = datetime.fromtimestamp(max(0, at_us) // 1_000_000, ZoneInfo(config.settings.get("timezone", TIMEZONE)))
    return int(there.replace(tzinfo=UTC).timestamp())


def _result(doc: Part, asked: str, codes: Mapping[int, Meaning]) -> Response:
    retcode = doc.whole("retcode")
    # A code that nobody documented leaves everything open.
    meaning = codes.get(retcode, Meaning.DOUBT)
    if meaning is not Meaning.DONE:
        refusal = {"code": str(retcode), "msg": doc.name_or("comment", "")}
        return Response(status=_STATUSES[meaning], text=msgspec.json.encode(refusal).decode())
    if asked == "cancel":
        return _good({})
    wanted = doc.size("asked")
    filled = Decimal(0) if retcode == PLACED else doc.size("volume")
    if filled > wanted or not doc.whole("order"):
        unreadable(doc.what, "volume of order", f"{filled} of {wanted}, order {doc.whole('order')}")
    # A partly done deal does not rest: what is left of it is gone.
    status = "open" if retcode == PLACED else "canceled" if filled < wanted else "closed"
    return _good(
        {
            "id": str(doc.whole("order")),
            "clientOrderId": doc.name("client_id"),
            "status": status,
            "filled": str(filled),
            "remaining": str(wanted - filled),
        }
    )


def _value(doc: Any, asked: str, config: VenueConfig) -> Any:
    what = f"terminal {asked}"
    if asked == "markets":
        return {"mode": TICK_SIZE, "markets": {row.name("name"): _market(row) for row in parts_of(doc, what=what)}}
    if asked == "balance":
        part = Part(doc, what=what)
        name = part.name("currency")
        return {"total": {name: str(part.number("balance"))}, "free": {name: str(part.number("margin_free"))}}
    if asked == "book":
        part, size = Part(doc, what=what), config.settings.get("quote_lots", QUOTE_LOTS)
        sides = {side: [[str(part.size(price)), size]] if part.size(price) else [] for side, price in _SIDES}
        return sides | {"timestamp": utc_ms(part=part, field="time_msc", config=config)}
    if asked == "trades":
        return [_deal(row, config) for row in parts_of(doc, what=what)]
    if asked == "positions":
        return _held(parts_of(doc, what=what))
    if asked == "open_orders":
        return [_order(row) for row in parts_of(doc, what=what)]
    return _order(Part(doc, what=what))


_SIDES = (("bids", "bid"), ("asks", "ask"))


def _market(row: Part) -> dict[str, Any]:
    return {
        "symbol": row.name("name"),
        "active": row.whole("trade_mode") == TRADE_MODE_FULL,
        "precision": {"price": str(Decimal(1).scaleb(-row.whole("digits"))), "amount": str(row.size("volume_step"))},
        "limits": {"amount": {"min": str(row.size("volume_min")), "max": str(row.size("volume_max"))}},
    }


def _order(row: Part) -> dict[str, str]:
    first, left, state = row.size("volume_initial"), row.size("volume_current"), row.whole("state")
    if state not in STATES or left > first:
        unreadable(row.what, "state", state)
    return {
        "id": str(row.whole("ticket")),
        "clientOrderId": row.name_or("client_id", ""),
        "status": STATES[state],
        "filled": str(first - left),
        "remaining": str(left),
    }


def _type(row: Part) -> str:
    if row.whole("type") not in TYPES:
        unreadable(row.what, "type", row.whole("type"))
    return TYPES[row.whole("type")]


def _deal(row: Part, config: VenueConfig) -> dict[str, Any]:
    return {
        "id": str(row.whole("ticket")),
        "order": str(row.whole("order")),
        "symbol": row.name("symbol"),
        "side": CANCELED_TYPES.get(row.whole("type")) or _type(row),
        "busted": row.whole("type") in CANCELED_TYPES,
        "amount": str(row.size("volume")),
        "price": str(row.number("price")),
        "timestamp": utc_ms(part=row, field="time_msc", config=config),
        "fee": {"cost": str(row.number_or("commission", Decimal(0))), "currency": "account"},
    }


def _held(rows: list[Part]) -> list[dict[str, str]]:
    """Return positions by symbol: an account that hedges has several, whose average is of the larger side."""
    found: dict[str, dict[str, tuple[Decimal, Decimal]]] = {}
    for row in rows:
        sides = found.setdefault(row.name("symbol"), {})
        lots, paid = sides.get(_type(row), (Decimal(0), Decimal(0)))
        sides[_type(row)] = (lots + row.size("volume"), paid + row.size("volume") * row.number("price_open"))
    nothing = (Decimal(0), Decimal(0))
    return [_net(name, sides.get("buy", nothing), sides.get("sell", nothing)) for name, sides in found.items()]


def _net(name: str, bought: tuple[Decimal, Decimal], sold: tuple[Decimal, Decimal]) -> dict[str, str]:
    net = bought[0] - sold[0]
    lots, paid = bought if net > 0 else sold
    average = paid / lots if net else Decimal(0)
    side = "long" if net > 0 else "short"
    return {"symbol": name, "side": side, "contracts": str(abs(net)), "entryPrice": f"{average:.10f}"}


def _good(value: Any) -> Response:
    return Response(status=200, text=msgspec.json.encode(value, enc_hook=str).decode())
