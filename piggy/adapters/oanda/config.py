"""OANDA v20: addresses, limits and the reasons that are no refusals, as documented."""

from __future__ import annotations

from piggy.adapters.interface import BudgetRule

REST_URL = "https://api-fxtrade.oanda.com"
STREAM_URL = "https://stream-fxtrade.oanda.com"
# Both streams say something every five seconds.
SILENCE_S_MAX = 12.0
BUDGET = (BudgetRule(100, 1.0),)
CLIENT_ID_MAX = 128
DUPLICATE = "CLIENT_ORDER_ID_ALREADY_EXISTS"
# What an order's state means; one that is not documented here is for a person to read.
STATES = {"PENDING": "working", "TRIGGERED": "working", "FILLED": "filled", "CANCELLED": "ended"}
REPLACED = frozenset({"CLIENT_REQUEST_REPLACED", "REPLACEMENT"})
# A request is given up after five seconds, and what arrived is done within one.
UNKNOWN_AFTER_US = 3_000_000
