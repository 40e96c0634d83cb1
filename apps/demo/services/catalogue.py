"""What the demo brokers are made of. Margins follow the caps for retail clients: 3.33 % majors, 5 % gold and index."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

LPS = ("LP1", "LP2", "LP3")
ROLES = ("admin", "dealer", "risk", "watcher", "compliance", "treasury", "support", "auditor")
DEPOSIT = Decimal(100_000)
OPTION_DAYS = 90


class Broker(NamedTuple):
    """A demo tenant and its brand."""

    schema: str
    name: str
    colour_primary: str
    colour_accent: str
    logo_text: str
    prefix: str


BROKERS = (
    Broker("acorn", "Acorn Markets", "#0ecb81", "#3b82f6", "ACORN", "A"),
    Broker("birch", "Birch & Co", "#d97706", "#8b5cf6", "BIRCH", "B"),
)

ORDER_VALUE_MAX = Decimal(10_000_000)  # The demo's clients deal up to five lots, more than P-07's default for retail.
GROUPS: tuple[dict[str, Any], ...] = (
    {
        "name": "a-book",
        "order_notional_max": ORDER_VALUE_MAX,
        "book_mode": "A",
        "bid_markup_points": 1,
        "ask_markup_points": 1,
        "commission_per_lot": Decimal(3),
    },
    {
        "name": "b-book",
        "book_mode": "B",
        "bid_markup_points": 6,
        "ask_markup_points": 6,
        "order_notional_max": ORDER_VALUE_MAX,
    },
    {
        "name": "mixed",
        "order_notional_max": ORDER_VALUE_MAX,
        "book_mode": "MIXED",
        "a_book_percent": Decimal(50),
        "bid_markup_points": 3,
        "ask_markup_points": 3,
    },
)

# For a desk of small clients: tighter than the house's, with room for what the demo trades.
LIMITS: dict[str, Any] = {
    "order_volume_max_lots": Decimal(50),
    "window_value_max": Decimal(20_000_000),
    "position_net_max_lots": Decimal(200),
    "position_gross_max_lots": Decimal(400),
    "exposure_account_max": Decimal(50_000_000),
    "loss_daily_account_max": Decimal(50_000),
    "loss_daily_tenant_max": Decimal(1_000_000),
}


def _fx(symbol: str, *, digits: int = 5, margin: str = "3.33") -> dict[str, Any]:
    return {
        "symbol": symbol,
        "asset_class": "fx_major",
        "base": symbol[:3],
        "quote": symbol[3:],
        "contract_size": Decimal(100_000),
        "price_digits": digits,
        "tick_size": Decimal(1).scaleb(-digits),
        "margin_percent": Decimal(margin),
    }


def _other(symbol: str, kind: str, base: str, size: int, digits: int, margin: int) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "asset_class": kind,
        "base": base,
        "quote": "USD",
        "contract_size": Decimal(size),
        "price_digits": digits,
        "tick_size": Decimal(1).scaleb(-digits),
        "margin_percent": Decimal(margin),
    }


INSTRUMENTS: tuple[dict[str, Any], ...] = (
    _fx("EURUSD"),
    _fx("GBPUSD"),
    _fx("USDJPY", digits=3),
    _fx("AUDUSD", margin="5"),
    _fx("USDCHF"),
    _fx("USDCAD"),
    _fx("NZDUSD", margin="5"),
    _other("XAUUSD", "gold", "XAU", 100, 2, 5),
    _other("US500", "index_major", "US500", 1, 2, 5),
    _other("BTCUSD", "crypto", "BTC", 1, 2, 50),
)

# (login, name, group, currency)
CLIENTS = (
    ("alice", "Alice Amber", "a-book", "USD"),
    ("bob", "Bob Birchwood", "b-book", "USD"),
    ("carol", "Carol Cedar", "mixed", "USD"),
    ("dan", "Dan Dogwood", "a-book", "EUR"),
    ("erin", "Erin Elm", "b-book", "EUR"),
    ("frank", "Frank Fir", "mixed", "GBP"),
    ("grace", "Grace Ginkgo", "a-book", "USD"),
    ("heidi", "Heidi Hazel", "b-book", "USD"),
    ("ivan", "Ivan Ironwood", "mixed", "USD"),
    ("judy", "Judy Juniper", "a-book", "GBP"),
    ("mallory", "Mallory Maple", "b-book", "USD"),
    ("niaj", "Niaj Nutmeg", "mixed", "EUR"),
)
FIRST_ACCOUNT = 1001
STRATEGY = "quant-1"


def account_id(*, broker: Broker, number: int) -> str:
    """Return the account id of the client at place `number` (from 0)."""
    return f"{broker.prefix}{FIRST_ACCOUNT + number}"
