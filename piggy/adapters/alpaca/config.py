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

# What an order's status means; one that is not documented here is for a person to read. What is suspended or stopped
# may still trade, and an order that rests is done for the day only.
STATUSES = {
    **dict.fromkeys(("new", "partially_filled", "accepted", "pending_new", "accepted_for_bidding", "held"), "working"),
    **dict.fromkeys(("pending_cancel", "pending_replace", "pending_review", "stopped", "suspended"), "working"),
    **dict.fromkeys(("calculated",), "working"),
    **dict.fromkeys(("canceled", "expired", "done_for_day", "replaced"), "ended"),
    "filled": "filled",
    "rejected": "rejected",
}
DAY_DONE = "done_for_day"
DONE_EVENTS = frozenset({"canceled", "expired", DAY_DONE})
BUST = "trade_bust"
CORRECTIONS = frozenset({BUST, "trade_correct"})
CANCEL_REFUSED = "order_cancel_rejected"
# Every word for what became of an order.
EVENTS = {
    what: what
    for what in (
        "new", "accepted", "fill", "partial_fill", "rejected", "replaced", "restated", "pending_new", "pending_cancel",
        "pending_replace", "calculated", "stopped", "suspended", "held", "order_replace_rejected",
        "accepted_for_bidding", CANCEL_REFUSED, *sorted(DONE_EVENTS), *sorted(CORRECTIONS),
    )
}  # fmt: skip
