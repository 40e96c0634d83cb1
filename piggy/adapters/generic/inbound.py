"""What a described venue answers, put into the unified words that the polled session understands. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from piggy.adapters.answers import at_us, document, fields_of
from piggy.adapters.generic.config import Mapping
from piggy.adapters.interface import Response, UnableToReadReport

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
    """Return an answer in unified words. Raises UnableToReadReport where parts are missing."""
    if not response.ok:
        return _refusal(response, mapping)
    doc = document(response.text) if response.text else {}
    try:
        value = _value(doc, asked, mapping)
    except (KeyError, ValueError, TypeError, InvalidOperation) as error:
        raise UnableToReadReport(f"{asked}: {type(error).__name__} {error}") from error
    return Response(status=200, text=msgspec.json.encode(value, enc_hook=str).decode(), headers=response.headers)


def _refusal(response: Response, mapping: Mapping) -> Response:
    if response.status == 0 or response.status >= 500:
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
        found = [_market(row, mapping) for row in rows]
        return {"mode": TICK_SIZE, "markets": {row["symbol"]: row for row in found}}
    if asked == "balance":
        names = mapping.fields.get("balance", {})
        totals = {str(place(row, names["currency"])): str(place(row, names["total"])) for row in rows}
        return {"total": totals, "free": totals}
    if asked == "book":
        names = mapping.fields["book"]
        return {side: [_level(row, names) for row in place(rows, names[side])] for side in ("bids", "asks")}
    if asked == "trades":
        return [_trade(row, mapping) for row in rows]
    if asked == "open_orders":
        return [_order(row, mapping) for row in rows]
    return {} if asked == "cancel" else _order(rows, mapping)


def _market(row: Any, mapping: Mapping) -> dict[str, Any]:
    names = mapping.fields["market"]
    amount = {"min": _text(row, names, "units_min"), "max": _text(row, names, "units_max")}
    return {
        "symbol": str(place(row, names["symbol"])),
        "active": True,
        "precision": {"price": _text(row, names, "tick"), "amount": _text(row, names, "step")},
        "limits": {"amount": amount},
    }


def _level(row: Any, names: dict[str, str]) -> list[str]:
    if isinstance(row, list):
        return [str(row[0]), str(row[1])]
    return [str(place(row, names["price"])), str(place(row, names["size"]))]


def _order(row: Any, mapping: Mapping) -> dict[str, Any]:
    names = mapping.fields["order"]
    filled, quantity = Decimal(str(place(row, names["filled"]))), Decimal(str(place(row, names["quantity"])))
    return {
        "id": str(row_value(row, names["number"])),
        "clientOrderId": str(row_value(row, names["client_id"])),
        "status": mapping.words["status"].get(str(row_value(row, names["status"])), "open"),
        "filled": str(filled),
        "remaining": str(quantity - filled),
    }


def _trade(row: Any, mapping: Mapping) -> dict[str, Any]:
    names = mapping.fields["trade"]
    sides = {word: side for side, word in mapping.words["side"].items()}
    at = row_value(row, names["at"])
    return {
        "id": str(row_value(row, names["id"])),
        "order": str(row_value(row, names["number"])),
        "symbol": str(row_value(row, names["symbol"])),
        "side": sides[str(row_value(row, names["side"]))],
        "amount": str(row_value(row, names["units"])),
        "price": str(row_value(row, names["price"])),
        "timestamp": int(at) if str(at).isdecimal() else at_us(str(at)) // 1_000,
        "fee": {"cost": _text(row, names, "fee"), "currency": _text(row, names, "fee_currency")},
    }


def row_value(row: Any, path: str) -> Any:
    """Return what stands at a path. Raises KeyError where nothing does."""
    if (value := place(row, path)) is None:
        raise KeyError(path)
    return value


def _text(row: Any, names: dict[str, str], name: str) -> str | None:
    value = place(row, names[name]) if name in names else None
    return None if value is None else str(value)
