"""What we say to an LP: the desk's words as FIX text. Nothing here sends."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from piggy.adapters import tracking
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.messages import SOH, change_id, fields, message, stamp
from piggy.adapters.interface import Symbol, SymbolMapping, UnableToTranslate
from piggy.adapters.terms import price_of, units_of
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side

_SIDES = {Side.BUY: "1", Side.SELL: "2"}
UNKNOWN_SYMBOL = "unknown_symbol"
_DENIALS = {
    UNKNOWN_SYMBOL: "A",
    tracking.WRONG_SYMBOL: "A",
    tracking.WRONG_SIDE: "B",
    tracking.OVERFILL: "C",
    tracking.UNKNOWN_ORDER: "D",
}
_TIMES_IN_FORCE = {"gtc": "1", "ioc": "3", "fok": "4", "day": "0", "gtd": "1"}


def new_order(*, child: ChildOrderCreated, config: SessionConfig, at_us: int, terms: Symbol | None = None) -> str:
    """Return a limit NewOrderSingle (35=D) within the LP's own `terms`, where known. Raises UnableToTranslate."""
    if child.time_in_force == "fok" and not config.dialect.time_in_force:
        # It would rest there and fill in parts, which its client has been promised it will not.
        raise UnableToTranslate(f"{config.venue} takes no time in force, and so no order that is all or nothing.")
    units = units_of(lots=child.quantity, mapping=_mapping(config, child.symbol), terms=terms)
    price = price_of(price=child.limit_price, side=child.side, terms=terms)
    account = f"1={config.account}{SOH}" if config.account else ""
    force = f"59={_TIMES_IN_FORCE[child.time_in_force]}{SOH}" if config.dialect.time_in_force else ""
    return message(
        "D",
        f"11={child.cl_ord_id}{SOH}{account}{_instrument(config, child.symbol)}54={_SIDES[child.side]}{SOH}"
        f"60={stamp(at_us)}{SOH}38={units}{SOH}40=2{SOH}44={price}{SOH}{force}",
    )


def cancel(
    *, cl_ord_id: str, symbol: str, side: Side, quantity: Decimal, config: SessionConfig, at_us: int, attempt: int = 0
) -> str:
    """Return an OrderCancelRequest (35=F) whose own id follows from the order's. Raises UnableToTranslate.

    An LP that refused one sees the next `attempt` under another id.
    """
    units = units_of(lots=quantity, mapping=_mapping(config, symbol), terms=None)
    return message(
        "F",
        f"41={cl_ord_id}{SOH}11={cl_ord_id}-C{attempt or ''}{SOH}{_instrument(config, symbol)}54={_SIDES[side]}{SOH}"
        f"60={stamp(at_us)}{SOH}38={units}{SOH}",
    )


def replace(
    *,
    child: ChildOrderCreated,
    change: int,
    config: SessionConfig,
    at_us: int,
    latest: int = 0,
    terms: Symbol | None = None,
) -> str:
    """Return an OrderCancelReplaceRequest (35=G): `child` as it shall be, as the order's change number `change`.

    OrigClOrdID is the last id that the LP took: the order's own, or that of its change `latest`. Raises
    UnableToTranslate.
    """
    changed = msgspec.structs.replace(child, cl_ord_id=change_id(cl_ord_id=child.cl_ord_id, change=change))
    text = new_order(child=changed, config=config, at_us=at_us, terms=terms)
    before = change_id(cl_ord_id=child.cl_ord_id, change=latest)
    return text.replace(f"35=D{SOH}", f"35=G{SOH}41={before}{SOH}", 1)


def dont_know(*, text: str, why: str) -> str:
    """Return a DontKnowTrade (35=Q) to the execution in `text`; `why` is tracking's word or UNKNOWN_SYMBOL."""
    values = fields(text)
    named = {"37": values.get("37") or "NONE", "17": values.get("17") or "NONE", "127": _DENIALS[why]}
    told = {tag: values[tag] for tag in ("55", "48", "22", "54", "38", "32", "31") if values.get(tag)}
    said = named | told | {"58": why.replace("_", " ")}
    return message("Q", "".join(f"{tag}={value}{SOH}" for tag, value in said.items()))


def mass_status_request(*, request_id: str) -> str:
    """Return an OrderMassStatusRequest (35=AF) for all that we have at the LP."""
    return message("AF", f"584={request_id}{SOH}585=7{SOH}")


def security_list_request(*, request_id: str, config: SessionConfig) -> str:
    """Return a SecurityListRequest (35=x) for all that the LP trades."""
    return message("x", f"320={request_id}{SOH}559={config.dialect.security_list}{SOH}")


def mass_quote_ack(*, quote_id: str) -> str:
    """Return a MassQuoteAcknowledgement (35=b), for LPs that send no more until they have it."""
    return message("b", f"117={quote_id}{SOH}297=0{SOH}")


def status_request(*, cl_ord_id: str, symbol: str, side: Side, config: SessionConfig) -> str:
    """Return an OrderStatusRequest (35=H). Raises UnableToTranslate."""
    return message("H", f"11={cl_ord_id}{SOH}{_instrument(config, symbol)}54={_SIDES[side]}{SOH}")


def market_data_request(*, symbols: Sequence[str], request_id: str, config: SessionConfig) -> str:
    """Return a subscription to snapshots and refreshes of `symbols` (35=V). Raises UnableToTranslate."""
    names = "".join(_instrument(config, symbol) for symbol in symbols)
    return message(
        "V",
        f"262={request_id}{SOH}263=1{SOH}264={config.dialect.market_depth}{SOH}265=1{SOH}"
        f"267=2{SOH}269=0{SOH}269=1{SOH}146={len(symbols)}{SOH}{names}",
    )


def _mapping(config: SessionConfig, symbol: str) -> SymbolMapping:
    mapping = config.to_venue.get(symbol)
    if mapping is None:
        raise UnableToTranslate(f"{config.venue} has no symbol for {symbol}.")
    return mapping


def _instrument(config: SessionConfig, symbol: str) -> str:
    mapping = _mapping(config, symbol)
    if config.dialect.symbol_tag == "48":
        return f"55=[N/A]{SOH}48={mapping.venue_symbol}{SOH}22=8{SOH}"
    return f"55={mapping.venue_symbol}{SOH}"
