"""Any exchange through ccxt. Settings: `exchange` (ccxt's id), `lookup`, `options` (JSON), `requests_per_s`, `streams`.

`streams` is `auto` or `none`: books, orders and fills come over ccxt.pro where the exchange streams them, else they are
asked for every second.

`lookup` says how an order is found by our id: `client_id` where the exchange takes it, else `list`: among open and
closed orders. ccxt is imported when the first account starts (it takes seconds), and nothing is asked at import.
"""

from __future__ import annotations

from piggy.adapters.interface import BudgetRule, VenueConfig

CLIENT_ID_MAX = 32
REQUESTS_PER_S = "8"
BOOK_LEVELS = 20
TRADES_MAX = 500
UNKNOWN_AFTER_US = 5_000_000
# With streams, how often working orders are asked for all the same: a stream may lose a message without breaking.
POLL_STREAMED_US = 5_000_000
CLOCK_AGAIN_US = 600_000_000
# ccxt's classes of refusal that are none.
DUPLICATE = "DuplicateOrderId"
# What an order's unified status means; another one is an exchange's own word and for a person to read.
STATUSES = {
    "open": "working",
    "canceling": "working",
    "closed": "filled",
    "canceled": "ended",
    "expired": "ended",
    "rejected": "ended",
}
LOOKUPS = ("client_id", "list")


def budget_of(*, config: VenueConfig) -> tuple[BudgetRule, ...]:
    """Return the budget of one account: ccxt knows no weights, so requests are counted."""
    return (BudgetRule(int(config.settings.get("requests_per_s", REQUESTS_PER_S)), 1.0),)
