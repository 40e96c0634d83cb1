"""What a bridge agent answers, MetaTrader's own fields and codes, put into the unified words of the session. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from piggy.adapters.answers import document
from piggy.adapters.interface import Response, UnableToReadReport, VenueConfig
from piggy.adapters.mt5.config import QUOTE_LOTS, RETCODES, STATES, TRADE_MODE_FULL, Meaning

TICK_SIZE = 4
_STATUSES = {Meaning.DOUBT: 0, Meaning.THROTTLED: 429, Meaning.REFUSED: 400}
PLACED, DONE = 10008, 10009
Doc = Mapping[str, Any]


def unified(
    *, response: Response, asked: str, config: VenueConfig, codes: Mapping[int, Meaning] = RETCODES
) -> Response:
    """Return an answer in unified words; a return code other than done becomes a status. Raises UnableToReadReport."""
    if not response.ok:
        return response
    doc = document(response.text)
    try:
        if asked in ("submit", "cancel"):
            return _result(doc, asked, codes)
        value = _value(doc, asked, config)
    except (KeyError, ValueError, TypeError, InvalidOperation) as error:
        raise UnableToReadReport(f"{asked}: {type(error).__name__} {error}") from error
    return _good(value)


def _result(doc: Doc, asked: str, codes: Mapping[int, Meaning]) -> Response:
    retcode = int(doc["retcode"])
    # A code that nobody documented leaves everything open.
    meaning = codes.get(retcode, Meaning.DOUBT)
    if meaning is not Meaning.DONE:
        refusal = {"code": str(retcode), "msg": str(doc.get("comment", ""))}
        return Response(status=_STATUSES[meaning], text=msgspec.json.encode(refusal).decode())
    if asked == "cancel":
        return _good({})
    filled = Decimal(0) if retcode == PLACED else Decimal(str(doc["volume"]))
    left = Decimal(str(doc["asked"])) - filled
    # A partly done deal does not rest: what is left of it is gone.
    status = "open" if retcode == PLACED else "canceled" if left else "closed"
    return _good(
        {
            "id": str(doc["order"]),
            "clientOrderId": str(doc["client_id"]),
            "status": status,
            "filled": str(filled),
            "remaining": str(left),
        }
    )


def _value(doc: Any, asked: str, config: VenueConfig) -> Any:
    if asked == "markets":
        return {"mode": TICK_SIZE, "markets": {row["name"]: _market(row) for row in doc}}
    if asked == "balance":
        return {"total": {doc["currency"]: str(doc["balance"])}, "free": {doc["currency"]: str(doc["margin_free"])}}
    if asked == "book":
        size = config.settings.get("quote_lots", QUOTE_LOTS)
        sides = {side: [[str(doc[price]), size]] if doc[price] else [] for side, price in _SIDES}
        return sides | {"timestamp": doc["time_msc"]}
    if asked == "trades":
        return [_deal(row) for row in doc]
    if asked == "open_orders":
        return [_order(row) for row in doc]
    return _order(doc)


_SIDES = (("bids", "bid"), ("asks", "ask"))


def _market(row: Doc) -> dict[str, Any]:
    return {
        "symbol": row["name"],
        "active": int(row["trade_mode"]) == TRADE_MODE_FULL,
        "precision": {"price": str(Decimal(1).scaleb(-int(row["digits"]))), "amount": str(row["volume_step"])},
        "limits": {"amount": {"min": str(row["volume_min"]), "max": str(row["volume_max"])}},
    }


def _order(row: Doc) -> dict[str, str]:
    first, left = Decimal(str(row["volume_initial"])), Decimal(str(row["volume_current"]))
    return {
        "id": str(row["ticket"]),
        "clientOrderId": str(row["client_id"]),
        "status": STATES[int(row["state"])],
        "filled": str(first - left),
        "remaining": str(left),
    }


def _deal(row: Doc) -> dict[str, Any]:
    return {
        "id": str(row["ticket"]),
        "order": str(row["order"]),
        "symbol": row["symbol"],
        "side": {0: "buy", 1: "sell"}[int(row["type"])],
        "amount": str(row["volume"]),
        "price": str(row["price"]),
        "timestamp": int(row["time_msc"]),
        "fee": {"cost": str(row.get("commission") or ""), "currency": "account"},
    }


def _good(value: Any) -> Response:
    return Response(status=200, text=msgspec.json.encode(value, enc_hook=str).decode())
