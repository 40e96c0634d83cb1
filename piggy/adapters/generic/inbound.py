"""What a described venue answers, put into the unified words that the polled session understands. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from piggy.adapters.answers import document, fields_of, is_doubtful
from piggy.adapters.generic.config import Mapping
from piggy.adapters.interface import Response
from piggy.adapters.reading import Part, name_of, number_of, unreadable

DUPLICATE_STATUS, UNKNOWN_STATUS = 409, 404
TICK_SIZE = 4


def place(doc: Any, path: str) -> Any:
    """Return what stands at a path of names with dots; None where nothing does."""
    for name in path.split(".") if path else ():
        if not isinstance(doc, dict):
            return None
        doc = doc.get(name)
    return doc


def unified(*, response: Response, asked: str, mapping: Mapping) -> Response:
    """Return an answer in unified words. Raises UnableToReadReport where parts are missing or odd."""
    if not response.ok:
        return _refusal(response, mapping)
    doc = document(response.text) if response.text else {}
    value = _value(doc, asked, mapping)
    return Response(status=200, text=msgspec.json.encode(value, enc_hook=str).decode(), headers=response.headers)


def _refusal(response: Response, mapping: Mapping) -> Response:
    if is_doubtful(response):
        return response
    doc = fields_of(response)
    code, text = str(place(doc, mapping.code)), str(place(doc, mapping.text) or response.text)
    status = response.status
    if code in mapping.duplicate:
        status, code = DUPLICATE_STATUS, "DuplicateOrderId"
    elif code in mapping.unknown:
        status = UNKNOWN_STATUS
    elif status in (DUPLICATE_STATUS, UNKNOWN_STATUS):
        # Another sense than the mapping's own words would give it.
        status = 400
    return Response(
        status=status, text=msgspec.json.encode({"code": code, "msg": text}).decode(), headers=response.headers
    )


def _value(doc: Any, asked: str, mapping: Mapping) -> Any:
    rows = place(doc, mapping.rows.get(asked, ""))
    if asked == "markets":
        found = [_market(row, mapping) for row in _listed(rows, asked)]
        return {"mode": TICK_SIZE, "markets": {row["symbol"]: row for row in found}}
    if asked == "balance":
        names = mapping.fields.get("balance", {})
        held = [(_name(row, names, "currency"), _number(row, names, "total")) for row in _listed(rows, asked)]
        return {"total": dict(held), "free": dict(held)}
    if asked == "time":
        at = Part({"at": place(doc, mapping.fields["time"]["at"])}, what="time")
        return {"at_ms": (at.ms("at") if str(at.raw("at")).isdecimal() else at.at("at")) // 1_000}
    if asked == "book":
        names = mapping.fields["book"]
        sides = {side: _listed(place(rows, names[side]), f"book {side}") for side in ("bids", "asks")}
        return {side: [_level(row, names) for row in levels] for side, levels in sides.items()}
    if asked == "trades":
        return [_trade(row, mapping) for row in _listed(rows, asked)]
    if asked == "positions":
        return [_position(row, mapping) for row in _listed(rows, asked)]
    if asked == "open_orders":
        return [_order(row, mapping) for row in _listed(rows, asked)]
    return {} if asked == "cancel" else _order(rows, mapping)


def _listed(rows: Any, what: str) -> list[Any]:
    if not isinstance(rows, list):
        unreadable(what, "the list", rows)
    return rows


def _market(row: Any, mapping: Mapping) -> dict[str, Any]:
    names = mapping.fields["market"]
    amount = {"min": _number_or_none(row, names, "units_min"), "max": _number_or_none(row, names, "units_max")}
    return {
        "symbol": _name(row, names, "symbol"),
        "active": True,
        "precision": {"price": _number_or_none(row, names, "tick"), "amount": _number_or_none(row, names, "step")},
        "limits": {"amount": amount},
    }


def _level(row: Any, names: dict[str, str]) -> list[str]:
    pair = row[:2] if isinstance(row, list) else [place(row, names["price"]), place(row, names["size"])]
    if len(pair) < 2:
        unreadable("book", "a level", row)
    return [str(number_of(value, what="book", field=field)) for value, field in zip(pair, _LEVEL, strict=True)]


def _order(row: Any, mapping: Mapping) -> dict[str, Any]:
    names, words = mapping.fields["order"], mapping.words["status"]
    filled, quantity = Decimal(_number(row, names, "filled")), Decimal(_number(row, names, "quantity"))
    status = _name(row, names, "status")
    if status not in words:
        unreadable("order", names["status"], status)
    return {
        "id": _name(row, names, "number"),
        "clientOrderId": _name(row, names, "client_id"),
        "status": words[status],
        "filled": str(filled),
        "remaining": str(quantity - filled),
    }


def _trade(row: Any, mapping: Mapping) -> dict[str, Any]:
    names = mapping.fields["trade"]
    sides = {word: side for side, word in mapping.words["side"].items()}
    side, at = _name(row, names, "side"), place(row, names["at"])
    if side not in sides:
        unreadable("trade", names["side"], side)
    stamped = Part({"at": at}, what="trade")
    fee = {"cost": _number_or_none(row, names, "fee"), "currency": place(row, names.get("fee_currency", "-"))}
    return {
        "id": _name(row, names, "id"),
        "order": _name(row, names, "number"),
        "symbol": _name(row, names, "symbol"),
        "side": sides[side],
        "amount": _number(row, names, "units"),
        "price": _number(row, names, "price"),
        "timestamp": stamped.ms("at") // 1_000 if str(at).isdecimal() else stamped.at("at") // 1_000,
        "fee": fee,
    }


def _position(row: Any, mapping: Mapping) -> dict[str, Any]:
    names = mapping.fields["position"]
    held = Decimal(_number(row, names, "units"))
    return {
        "symbol": _name(row, names, "symbol"),
        "contracts": str(abs(held)),
        "side": "long" if held >= 0 else "short",
        "entryPrice": _number_or_none(row, names, "price"),
    }


_LEVEL = ("price", "size")


def _name(row: Any, names: dict[str, str], name: str) -> str:
    return name_of(place(row, names[name]), what=name, field=names[name])


def _number(row: Any, names: dict[str, str], name: str) -> str:
    return str(number_of(place(row, names[name]), what=name, field=names[name]))


def _number_or_none(row: Any, names: dict[str, str], name: str) -> str | None:
    value = place(row, names[name]) if name in names else None
    return None if value is None else str(number_of(value, what=name, field=names[name]))
