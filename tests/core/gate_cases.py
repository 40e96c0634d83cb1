"""An order that passes every control, to be spoilt one field at a time."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec

from piggy.core.accounts import Account, Group, TradingState
from piggy.core.gate import GateContext, Permissions, Request
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import Limits
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.core.risk import assess

NOW_US = 1_700_000_000_000_000
INSTRUMENT = Instrument(
    symbol="EURUSD",
    asset_class=AssetClass.FX_MAJOR,
    base="EUR",
    quote="USD",
    contract_size=D(100_000),
    price_digits=5,
    tick_size=D("0.00001"),
    margin_percent=D("3.33"),
)
SHARE = msgspec.structs.replace(INSTRUMENT, symbol="ACME", asset_class=AssetClass.SHARE)
TERMS = OrderTerms(
    account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=D(2), type=OrderType.LIMIT, limit_price=D("1.1")
)
LIMITS = Limits.retail_defaults(
    order_volume_max_lots=D(10),
    position_net_max_lots=D(20),
    position_gross_max_lots=D(40),
    exposure_max=D(5_000_000),
    loss_daily_account_max=D(1_000),
    loss_daily_tenant_max=D(50_000),
)
BASE: dict[str, Any] = {
    "terms": TERMS,
    "instrument": INSTRUMENT,
    "account": Account(account_id="a1", group="g", owner_id="o1", currency="USD"),
    "group": Group(name="g"),
    "limits": LIMITS,
    "now_us": NOW_US,
    "permissions": Permissions.granted(),
    "states": (TradingState.ACTIVE, TradingState.ACTIVE),
    "bid": D("1.0999"),
    "ask": D("1.1001"),
    "quote_at_us": NOW_US - 10_000,
    "notional": D(220_000),
    "window_notional": D(0),
    "margin_required": D(7_326),
    "margin_free": D(10_000),
    "exposure_account": D(0),
    "exposure_tenant": D(0),
    "exposure_venue": D(0),
    "exposure_firm": D(0),
    "loss_today_account": D(0),
    "loss_today_tenant": D(0),
    "margin_percent": D("3.33"),
    "margin_percent_min": D("3.33"),
    "review_due_at_us": NOW_US + 1,
}
TERM_FIELDS = frozenset(OrderTerms.__struct_fields__) - {"account_id"}
LIMIT_FIELDS = frozenset(Limits.__struct_fields__)


def context(**spoilt: Any) -> GateContext:
    """Return the good order with some fields of context, terms or limits replaced."""
    terms = {name: spoilt.pop(name) for name in list(spoilt) if name in TERM_FIELDS}
    limits = {name: spoilt.pop(name) for name in list(spoilt) if name in LIMIT_FIELDS}
    fields = BASE | spoilt
    fields["terms"] = msgspec.structs.replace(fields["terms"], **terms)
    fields["limits"] = msgspec.structs.replace(fields["limits"], **limits)
    return GateContext(**fields)


MARKET: dict[str, Any] = {"type": OrderType.MARKET, "limit_price": None}
SHORT_SALE: dict[str, Any] = {"instrument": SHARE, "side": Side.SELL, "daily_volume_lots": D(1_000)}
REQUESTS = [Request.NEW, Request.REPLACE]


def refused(**spoilt: Any) -> list[str]:
    """Return the codes of the reasons to refuse the spoilt order."""
    return [reason.code for reason in assess(context=context(**spoilt)).reasons]
