"""Binance spot and USD-M futures: where they differ, what they allow, and what their refusals mean. As documented.

Settings: `user_url`, where the user stream is not at `stream_url` (spot's testnet has another host for it).
"""

from __future__ import annotations

import msgspec

from piggy.adapters.interface import BudgetRule

RECV_WINDOW_MS = 2_000
LISTEN_KEY_RENEW_S = 30 * 60
CLOCK_AGAIN_S = 10 * 60
CLOCK_LATE_MS_MAX = 1_000
SNAPSHOT_LEVELS = 1_000
DIFFS_BUFFERED_MAX = 5_000
CLIENT_ID_MAX = 36
TRADES_MAX = 1_000
# Futures answer at most so much of the past at once.
TRADES_SPAN_US = 7 * 86_400 * 1_000_000
SUBSCRIBE, SUBSCRIBED_ID = "userDataStream.subscribe.signature", "user"
USER_ENDED = frozenset({"listenKeyExpired", "eventStreamTerminated"})

# Neither says whether the order lives.
CODES_OF_DOUBT = frozenset({-1006, -1007})
# -2010 is also "insufficient balance" and more: its text tells which.
CODE_DUPLICATE, DUPLICATE_TEXT = -4116, "Duplicate order sent"
CODE_CLOCK = -1021
CODES_UNKNOWN_ORDER = frozenset({-2013, -2011})

# What an order's status means; one that is not documented here is for a person to read.
STATUSES = {
    **dict.fromkeys(
        ("NEW", "PENDING_NEW", "PARTIALLY_FILLED", "PENDING_CANCEL", "NEW_ADL", "NEW_INSURANCE"), "working"
    ),
    **dict.fromkeys(("CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"), "ended"),
    "FILLED": "filled",
    "REJECTED": "rejected",
}
# What an update of an order may tell of it.
EXECUTIONS = {
    what: what
    for what in (
        "NEW", "CANCELED", "REPLACED", "REJECTED", "TRADE", "EXPIRED", "TRADE_PREVENTION", "CALCULATED", "AMENDMENT",
    )
}  # fmt: skip


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two markets; `w_*` are request weights, `chained` that a diff names the one before it (`pu`).

    Spot's user stream is asked for by a signed request on a socket of its own (`user_path`), that of futures by a
    ticket (`listen_key_path`) that must be renewed.
    """

    rest_url: str
    stream_url: str
    user_url: str
    market_path: str
    user_path: str
    prefix: str
    chained: bool
    budget: tuple[BudgetRule, ...]
    listen_key_path: str
    trades_path: str
    balance_path: str
    positions_path: str
    w_depth: int
    w_order: int
    w_query: int
    w_open_orders: int
    w_trades: int
    w_balance: int
    w_info: int
    w_listen_key: int


SPOT = Flavour(
    rest_url="https://api.binance.com",
    stream_url="wss://stream.binance.com:9443",
    user_url="wss://ws-api.binance.com:443",
    market_path="/stream",
    user_path="/ws-api/v3",
    prefix="/api/v3",
    chained=False,
    budget=(BudgetRule(6_000, 60.0), BudgetRule(100, 10.0, True), BudgetRule(200_000, 86_400.0, True)),
    listen_key_path="",
    trades_path="/api/v3/myTrades",
    balance_path="/api/v3/account",
    positions_path="",
    w_depth=50,
    w_order=1,
    w_query=4,
    w_open_orders=6,
    w_trades=20,
    w_balance=20,
    w_info=20,
    w_listen_key=0,
)
USDM = Flavour(
    rest_url="https://fapi.binance.com",
    stream_url="wss://fstream.binance.com",
    user_url="wss://fstream.binance.com",
    market_path="/public/stream",
    user_path="/private/ws",
    prefix="/fapi/v1",
    chained=True,
    budget=(BudgetRule(2_400, 60.0), BudgetRule(300, 10.0, True), BudgetRule(1_200, 60.0, True)),
    listen_key_path="/fapi/v1/listenKey",
    trades_path="/fapi/v1/userTrades",
    balance_path="/fapi/v2/balance",
    positions_path="/fapi/v2/positionRisk",
    w_depth=20,
    w_order=1,
    w_query=1,
    w_open_orders=1,
    w_trades=5,
    w_balance=5,
    w_info=1,
    w_listen_key=1,
)
FLAVOURS = {"binance": SPOT, "binance_usdm": USDM}
