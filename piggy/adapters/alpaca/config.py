"""Alpaca: addresses, limits and states, as documented. `settings`: `data_url`, `feed`, `quote_units`."""

from __future__ import annotations

from decimal import Decimal

from piggy.adapters.interface import BudgetRule

REST_URL = "https://api.alpaca.markets"
STREAM_URL = "wss://api.alpaca.markets"
DATA_URL = "wss://stream.data.alpaca.markets"
FEED = "iex"
# Sizes of share quotes are told in round lots.
QUOTE_UNITS = "100"
BUDGET = (BudgetRule(200, 60.0),)
CLIENT_ID_MAX = 128
FILLS_A_PAGE = 100
UNKNOWN_AFTER_US = 3_000_000
DUPLICATE_TEXT = "client_order_id must be unique"
# From a dollar up prices move by cents, below by hundredths of one.
TICK, SHARE_STEP = Decimal("0.01"), Decimal(1)

ENDED = frozenset({"canceled", "expired", "rejected", "done_for_day", "replaced", "suspended"})
DONE_EVENTS = frozenset({"canceled", "expired", "done_for_day"})
BUST = "trade_bust"
CORRECTIONS = frozenset({BUST, "trade_correct"})
CANCEL_REFUSED = "order_cancel_rejected"
