"""What we say to an LP: the desk's words as FIX text. Nothing here sends."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.messages import SOH, message, stamp
from piggy.adapters.interface import UnableToTranslate
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side

_SIDES = {Side.BUY: "1", Side.SELL: "2"}
_TIMES_IN_FORCE = {"gtc": "1", "ioc": "3", "fok": "4", "day": "0", "gtd": "1"}


def new_order(*, child: ChildOrderCreated, config: SessionConfig, at_us: int) -> str:
    """Return a limit NewOrderSingle (35=D). Raises UnableToTranslate."""
    units = _units(config, child.symbol, child.quantity)
    force = f"59={_TIMES_IN_FORCE[child.time_in_force]}{SOH}" if config.dialect.time_in_force else ""
    return message(
        "D",
        f"11={child.cl_ord_id}{SOH}{_instrument(config, child.symbol)}54={_SIDES[child.side]}{SOH}"
        f"60={stamp(at_us)}{SOH}38={units}{SOH}40=2{SOH}44={child.limit_price:f}{SOH}{force}",
    )


def cancel(
    *, cl_ord_id: str, symbol: str, side: Side, quantity: Decimal, config: SessionConfig, at_us: int, attempt: int = 0
) -> str:
    """Return an OrderCancelRequest (35=F) whose own id follows from the order's. Raises UnableToTranslate.

    An LP that refused one sees the next `attempt` under another id.
    """
    units = _units(config, symbol, quantity)
    return message(
        "F",
        f"41={cl_ord_id}{SOH}11={cl_ord_id}-C{attempt or ''}{SOH}{_instrument(config, symbol)}54={_SIDES[side]}{SOH}"
        f"60={stamp(at_us)}{SOH}38={units}{SOH}",
    )


def replace(*, child: ChildOrderCreated, new_id: str, config: SessionConfig, at_us: int) -> str:
    """Return an OrderCancelReplaceRequest (35=G): `child` as it shall be, in the place of the order with its id.

    Raises UnableToTranslate.
    """
    changed = msgspec.structs.replace(child, cl_ord_id=new_id)
    text = new_order(child=changed, config=config, at_us=at_us)
    return text.replace(f"35=D{SOH}", f"35=G{SOH}41={child.cl_ord_id}{SOH}", 1)


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


def _instrument(config: SessionConfig, symbol: str) -> str:
    mapping = config.to_venue.get(symbol)
    if mapping is None:
        raise UnableToTranslate(f"{config.venue} has no symbol for {symbol}.")
    if config.dialect.symbol_tag == "48":
        return f"55=[N/A]{SOH}48={mapping.venue_symbol}{SOH}22=8{SOH}"
    return f"55={mapping.venue_symbol}{SOH}"


def _units(config: SessionConfig, symbol: str, lots: Decimal) -> str:
    mapping = config.to_venue.get(symbol)
    if mapping is None:
        raise UnableToTranslate(f"{config.venue} has no symbol for {symbol}.")
    return f"{(lots * mapping.units_per_lot).normalize():f}"
